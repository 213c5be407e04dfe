"""The media worker process: rooms behind a line protocol on stdin and stdout.

    <- {"configure": {...}}                             first line
    -> {"hello": worker}
    <- {"want": {room: {"seats": [[id, admitted, [muted ...]] ...], "recording": [id, key, [seat ...]] or null,
                        "had_two_way": bool, "away": [...]}}}
    <- {"join": [room, seat], "offer": sdp, "id": n}    -> {"reply": n, "answer": sdp}
                                                        -> {"reply": n, "refused": [code, detail]}
                                                        -> {"reply": n, "unavailable": true}
    <- {"leave": [room, seat], "id": n}                 -> {"reply": n}
    <- {"still": [room, seat], "id": n}                 -> {"reply": n, "jpeg": base64, "width", "height", "moment"}
                                                        -> {"reply": n, "refused": [code, detail]}
    <- {"ack": [worker, number]}                        everything up to number is recorded; ignored for another worker
    <- {"ping": true, "id": n}                          -> {"reply": n}
    -> {"saw": {...}}                                   an observation; all unacknowledged ones again after each "want"

It lives exactly as long as its stdin. It keeps nothing on disk but sealed recordings that are wanted, and opens no
connection to anything but its browsers.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from rvr import timekeeping
from rvr.core.moment import Moment, iso
from rvr.loop import new_event_loop
from rvr.media import Kind, MediaRefused, Recording, Seat
from rvr.media import Room as Wanted
from rvr.media.embedded.feedback import EVERY_S
from rvr.media.embedded.hooks import Address, prepare
from rvr.media.embedded.room import Room, Terms

GRACE_S: Final = 2.0

log = logging.getLogger("rvr.media.worker")


class Ledger:
    """Numbers what was seen and keeps it until it is acknowledged."""

    def __init__(self, link: Link) -> None:
        self.worker = str(uuid.uuid4())
        self._link = link
        self._number = 0
        self._kept: dict[int, dict[str, Any]] = {}

    def saw(self, room: str, kind: Kind, seat: str | None, detail: Mapping[str, str]) -> Moment:
        moment = timekeeping.observe()
        self._number += 1
        self._kept[self._number] = {
            "worker": self.worker,
            "number": self._number,
            "room": room,
            "seat": seat,
            "kind": kind,
            "moment": _written(moment),
            "detail": dict(detail),
        }
        self._link.send(saw=self._kept[self._number])
        return moment

    def acknowledge(self, worker: str, number: int) -> None:
        if worker == self.worker:
            self._kept = {n: seen for n, seen in self._kept.items() if n > number}

    def resend(self) -> None:
        for observation in self._kept.values():
            self._link.send(saw=observation)


class Link:
    """One JSON object a line, to the supervisor."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def send(self, **message: Any) -> None:
        try:
            self._out.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
            self._out.flush()
        except OSError:  # the supervisor is gone: stdin says so too, and ends this process
            return


class Worker:
    """Takes the supervisor's messages one by one; a join runs beside the others."""

    def __init__(self, link: Link, terms: Terms) -> None:
        self._link = link
        self._ledger = Ledger(link)
        self._terms = terms
        self._rooms: dict[str, Room] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, inbox: asyncio.Queue[dict[str, Any] | None]) -> None:
        """Until the supervisor hangs up (None)."""
        self._start(self._look())
        self._link.send(hello=self._ledger.worker)
        while (message := await inbox.get()) is not None:
            try:
                self._take(message)
            except Exception:  # one bad message must not end the other calls of this process
                log.exception("a message could not be taken: %s", sorted(message))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(room.closed("closed") for room in self._rooms.values()))

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"want": rooms}:
                self._want(rooms)
                self._ledger.resend()
            case {"join": [room, seat], "offer": offer, "id": number}:
                self._start(self._join(number, room, seat, offer))
            case {"leave": [room, seat], "id": number}:
                if room in self._rooms:
                    self._rooms[room].leave(seat)
                self._link.send(reply=number)
            case {"still": [room, seat], "id": number}:
                self._start(self._still(number, room, seat))
            case {"ack": [worker, number]}:
                self._ledger.acknowledge(worker, number)
            case {"ping": True, "id": number}:
                self._link.send(reply=number)
            case _:
                log.warning("a message that this worker does not know: %s", sorted(message))

    def _want(self, rooms: dict[str, dict[str, Any]]) -> None:
        wanted = {name: _wanted(told) for name, told in rooms.items()}
        kept = {name for name, room in self._rooms.items() if name in wanted and room.rearrange(wanted[name])}
        for name in self._rooms.keys() - kept:
            self._start(self._rooms.pop(name).closed("closed"))
        for name in wanted.keys() - kept:
            told = rooms[name]
            earlier = {"had_two_way": told["had_two_way"], "away": told["away"]}
            self._rooms[name] = self._opened(name, wanted[name], **earlier)

    def _opened(self, name: str, wanted: Wanted, **earlier: Any) -> Room:
        return Room(name, wanted, self._ledger.saw, self._terms, **earlier)

    async def _join(self, number: int, room: str, seat: str, offer: str) -> None:
        try:
            self._link.send(reply=number, answer=await self._room(room).join(seat, offer))
        except MediaRefused as refusal:
            self._link.send(reply=number, refused=[refusal.code, refusal.detail])
        except OSError as fault:
            log.warning("a connection could not be set up: %s", fault.strerror or type(fault).__name__)
            self._link.send(reply=number, unavailable=True)
        except Exception:
            log.exception("a join failed")
            self._link.send(reply=number, unavailable=True)

    async def _still(self, number: int, room: str, seat: str) -> None:
        try:
            still = await self._room(room).still(seat)
        except MediaRefused as refusal:
            self._link.send(reply=number, refused=[refusal.code, refusal.detail])
        except Exception as fault:  # noqa: BLE001  no frame in time, or whatever: the call goes on
            log.warning("a still could not be made: %s", type(fault).__name__)
            self._link.send(reply=number, unavailable=True)
        else:
            jpeg = base64.b64encode(still.jpeg).decode()
            moment = _written(still.moment)
            self._link.send(reply=number, jpeg=jpeg, width=still.width, height=still.height, moment=moment)

    def _room(self, name: str) -> Room:
        try:
            return self._rooms[name]
        except KeyError:
            raise MediaRefused("room-unknown") from None

    async def _look(self) -> None:
        # One waking for all: a timer for each connection finds cold caches each time.
        while True:
            await asyncio.sleep(EVERY_S)
            for room in self._rooms.values():
                try:
                    room.look()
                except Exception:  # the next look, and the other rooms, go on
                    log.exception("a room could not be looked at")

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _wanted(told: Mapping[str, Any]) -> Wanted:
    """A room as the line protocol has it: see `rooms`."""
    recording = told["recording"]
    return Wanted(
        tuple(Seat(seat, admitted, frozenset(muted)) for seat, admitted, muted in told["seats"]),
        recording and Recording(recording[0], bytes.fromhex(recording[1]), frozenset(recording[2])),
    )


def _written(moment: Moment) -> list[str | int | None]:
    return [iso(moment.at), moment.boot, moment.boottime_ns, moment.error_us]


def _read(source: BinaryIO, loop: asyncio.AbstractEventLoop, inbox: asyncio.Queue[dict[str, Any] | None]) -> None:
    """In a thread: pass messages to the loop; when stdin closes, end the process even if the loop hangs."""
    try:
        for line in source:
            loop.call_soon_threadsafe(inbox.put_nowait, json.loads(line))
        loop.call_soon_threadsafe(inbox.put_nowait, None)
        time.sleep(GRACE_S)
    finally:
        os._exit(0)


Make = Callable[[Link, Mapping[str, Any]], Worker]
"""Makes the worker of the settings that the supervisor tells first."""


def _embedded(link: Link, settings: Mapping[str, Any]) -> Worker:
    ports = settings["ports"]
    prepare(Address(settings["bind"], settings["public"], tuple(ports) if ports else None))
    return Worker(link, terms(settings))


def terms(settings: Mapping[str, Any]) -> Terms:
    folder = settings["recordings"]
    return Terms(settings["lost_after_s"], settings["video"], Path(folder) if folder else None)


async def _serve(source: BinaryIO, link: Link, make: Make) -> None:
    worker = make(link, json.loads(source.readline())["configure"])
    inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    threading.Thread(target=_read, args=(source, asyncio.get_running_loop(), inbox), daemon=True).start()
    await worker.run(inbox)


class _NoAddresses(logging.Formatter):
    """Libraries name peers in their messages and errors: of theirs only the fixed text and the error's type go out."""

    def format(self, record: logging.LogRecord) -> str:
        if not record.name.startswith("rvr."):
            record.args = ()
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return str(ei[0].__name__)


def main(make: Make = _embedded) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor closes us in order
    # What a library prints must not land between the messages.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_NoAddresses("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # These name peers' addresses, which belong in no log.
    logging.getLogger("aioice").setLevel(logging.ERROR)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(sys.stdin.buffer, Link(out), make))
        os._exit(0)  # a decoding thread that would not end must not hold the process


if __name__ == "__main__":
    main()
