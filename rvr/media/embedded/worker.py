"""The media worker process: rooms of peers behind a line protocol on stdin and stdout.

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

It lives exactly as long as its stdin. It keeps nothing on disk and opens no connection to anything but its browsers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

from rvr import timekeeping
from rvr.core.moment import iso
from rvr.media import Kind, MediaRefused
from rvr.media.embedded.forwarder import Forwarder, Sight
from rvr.media.embedded.peer import Address, Peer, prepare

LOOK_EVERY_S: Final = 0.2
GRACE_S: Final = 2.0
PRINCIPALS: Final = 2

log = logging.getLogger("rvr.media.worker")


class Ledger:
    """Numbers what was seen and keeps it until it is acknowledged."""

    def __init__(self, link: Link) -> None:
        self.worker = str(uuid.uuid4())
        self._link = link
        self._number = 0
        self._kept: dict[int, dict[str, Any]] = {}

    def saw(self, room: str, kind: Kind, seat: str | None, detail: Mapping[str, str]) -> None:
        moment = timekeeping.observe()
        self._number += 1
        self._kept[self._number] = {
            "worker": self.worker,
            "number": self._number,
            "room": room,
            "seat": seat,
            "kind": kind,
            "moment": [iso(moment.at), moment.boot, moment.boottime_ns, moment.error_us],
            "detail": dict(detail),
        }
        self._link.send(saw=self._kept[self._number])

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


class Room:
    """Its seats' connections. All methods run in the worker's one event loop."""

    def __init__(self, name: str, wanted: Mapping[str, Any], ledger: Ledger, lost_after_s: float) -> None:
        self.seats = _ids(wanted)
        self._principals = tuple(self.seats[:PRINCIPALS])
        self._lost_after_s = lost_after_s
        self._sight = Sight(
            self._principals,
            lambda kind, seat, detail: ledger.saw(name, kind, seat, detail),
            had_two_way=wanted["had_two_way"],
            away=wanted["away"],
        )
        self._forwarder = Forwarder(self._sight)
        self._peers: dict[str, Peer] = {}
        self._silent: set[str] = set()
        self._joining: dict[str, asyncio.Lock] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def join(self, seat: str, offer: str) -> str:
        if seat not in self.seats:
            raise MediaRefused("seat-unknown")
        if seat not in self._principals:
            raise MediaRefused("seat-unknown", "this engine connects the two principal seats only")
        async with self._joining.setdefault(seat, asyncio.Lock()):
            outs = self._forwarder.open(seat)
            visit = Visit(self, seat)
            peer = Peer(
                outs,
                on_connected=visit.connected,
                on_video=visit.video,
                on_audio=visit.audio,
                on_end=visit.ended,
            )
            answer = await peer.answer(offer)  # a refused offer leaves the earlier connection as it was
            self._remove(seat, "replaced")
            visit.peer = self._peers[seat] = peer
            self._forwarder.switch(seat, outs)
            if peer.ended:  # between the answer and this line nobody was listening
                visit.ended("failed")
            return answer

    def reseat(self, seats: list[str]) -> bool:
        """Take another list of seats without disturbing those who stay. False: other principals, another room."""
        if {*seats[:PRINCIPALS]} != {*self._principals}:
            return False
        self.seats = seats
        return True

    def leave(self, seat: str) -> None:
        # Goodbye may come after the connection's own end, or after it was lost: it is a fact all the same.
        if seat not in self._peers and self._sight.is_away(seat):
            self._sight.gone(seat, "left")
        self._remove(seat, "left")

    def look(self) -> None:
        """Find the seats that have fallen silent, and those that are heard again."""
        for seat, peer in self._peers.items():
            if not peer.connected:
                continue
            peer.notice()
            silent = time.monotonic() - peer.heard_at > self._lost_after_s
            if silent and seat not in self._silent:
                self._silent.add(seat)
                self._forwarder.quiet(seat)
                self._sight.lost(seat, "silent")
            elif not silent and seat in self._silent:
                self._silent.discard(seat)
                self._sight.connected(seat, again=True)

    async def closed(self, cause: str) -> None:
        for seat in list(self._peers):
            self._remove(seat, cause)
        if self._closing:
            await asyncio.wait(self._closing)

    def _remove(self, seat: str, cause: str) -> None:
        peer = self._forget(seat)
        if peer is not None:
            self._sight.gone(seat, cause)
            self._reap(peer)

    def _forget(self, seat: str) -> Peer | None:
        self._silent.discard(seat)
        peer = self._peers.pop(seat, None)
        if peer is not None:
            self._forwarder.close(seat)
        return peer

    def _reap(self, peer: Peer) -> None:
        task = asyncio.ensure_future(peer.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _is_current(self, visit: Visit) -> bool:
        return visit.peer is not None and self._peers.get(visit.seat) is visit.peer

    def on_connected(self, visit: Visit) -> None:
        if self._is_current(visit):
            self._sight.connected(visit.seat)

    def on_frame(self, visit: Visit, kind: str, frame: Any) -> None:
        if not self._is_current(visit):
            return
        if kind == "audio":
            self._forwarder.audio(visit.seat, frame)
            return
        if not visit.shown:
            visit.shown = True
            self._sight.first_frame(visit.seat)
        if visit.seat not in self._silent:
            self._forwarder.video(visit.seat, frame)

    def on_end(self, visit: Visit, cause: str) -> None:
        if not self._is_current(visit):
            return
        peer = self._forget(visit.seat)
        if cause == "deadline":
            self._sight.gone(visit.seat, cause)
        else:
            self._sight.lost(visit.seat, cause)
        if peer is not None:
            self._reap(peer)


def _ids(wanted: Mapping[str, Any]) -> list[str]:
    return [seat for seat, _admitted, _muted in wanted["seats"]]


class Visit:
    """One connection's stay in a seat: what its callbacks need to know, so that a replaced one is not listened to."""

    def __init__(self, room: Room, seat: str) -> None:
        self.room = room
        self.seat = seat
        self.peer: Peer | None = None
        self.shown = False

    def connected(self) -> None:
        self.room.on_connected(self)

    def video(self, frame: Any) -> None:
        self.room.on_frame(self, "video", frame)

    def audio(self, frame: Any) -> None:
        self.room.on_frame(self, "audio", frame)

    def ended(self, cause: str) -> None:
        self.room.on_end(self, cause)


class Worker:
    """Takes the supervisor's messages one by one; a join runs beside the others."""

    def __init__(self, link: Link, lost_after_s: float) -> None:
        self._link = link
        self._ledger = Ledger(link)
        self._lost_after_s = lost_after_s
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
            case {"still": [_, _], "id": number}:
                self._link.send(reply=number, refused=["no-picture", "this engine takes no stills"])
            case {"ack": [worker, number]}:
                self._ledger.acknowledge(worker, number)
            case {"ping": True, "id": number}:
                self._link.send(reply=number)
            case _:
                log.warning("a message that this worker does not know: %s", sorted(message))

    def _want(self, rooms: dict[str, dict[str, Any]]) -> None:
        kept = {name for name, room in self._rooms.items() if name in rooms and room.reseat(_ids(rooms[name]))}
        for name in self._rooms.keys() - kept:
            self._start(self._rooms.pop(name).closed("closed"))
        for name, wanted in rooms.items():
            if name not in self._rooms:
                self._rooms[name] = Room(name, wanted, self._ledger, self._lost_after_s)

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

    def _room(self, name: str) -> Room:
        try:
            return self._rooms[name]
        except KeyError:
            raise MediaRefused("room-unknown") from None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for room in self._rooms.values():
                try:
                    room.look()
                except Exception:  # the next look, and the other rooms, go on
                    log.exception("a room could not be looked at")

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _read(source: BinaryIO, loop: asyncio.AbstractEventLoop, inbox: asyncio.Queue[dict[str, Any] | None]) -> None:
    """In a thread: pass messages to the loop; when stdin closes, end the process even if the loop hangs."""
    try:
        for line in source:
            loop.call_soon_threadsafe(inbox.put_nowait, json.loads(line))
        loop.call_soon_threadsafe(inbox.put_nowait, None)
        time.sleep(GRACE_S)
    finally:
        os._exit(0)


async def _serve(source: BinaryIO, link: Link) -> None:
    settings = json.loads(source.readline())["configure"]
    ports = settings["ports"]
    prepare(Address(settings["bind"], settings["public"], tuple(ports) if ports else None))
    inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    threading.Thread(target=_read, args=(source, asyncio.get_running_loop(), inbox), daemon=True).start()
    await Worker(link, settings["lost_after_s"]).run(inbox)


class _NoAddresses(logging.Formatter):
    """Libraries name peers in their messages and errors: of theirs only the fixed text and the error's type go out."""

    def format(self, record: logging.LogRecord) -> str:
        if not record.name.startswith("rvr."):
            record.args = ()
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return str(ei[0].__name__)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor closes us in order
    # What a library prints must not land between the messages.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_NoAddresses("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # These name peers' addresses, which belong in no log.
    logging.getLogger("aioice").setLevel(logging.ERROR)
    asyncio.run(_serve(sys.stdin.buffer, Link(out)))
    os._exit(0)  # decoder threads of connections that would not close must not hold the process


if __name__ == "__main__":
    main()
