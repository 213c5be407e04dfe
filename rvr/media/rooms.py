"""The embedded media engine as the main process sees it: wanted rooms, and the worker processes that hold them.

It supervises, pins, restarts and passes on; it parses no SDP, touches no media and imports no media library, so nothing
a browser sends can hold up the loop that the clocks run in.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import ipaddress
import itertools
import json
import logging
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rvr import timekeeping
from rvr.core.moment import Moment, parse_iso
from rvr.media import (
    IceServer,
    Kind,
    MediaRefused,
    MediaUnavailable,
    Observation,
    OnObservation,
    Room,
    Still,
)
from rvr.media.embedded import sdp_gate
from rvr.media.janus.listed import JanusServer

START_DEADLINE_S: Final = 20.0
JOIN_DEADLINE_S: Final = 6.0
LEAVE_DEADLINE_S: Final = 3.0
STILL_DEADLINE_S: Final = 4.0
CLOSE_DEADLINE_S: Final = 4.0
DRAIN_S: Final = 1.0
PING_EVERY_S: Final = 2.0
PING_DEADLINE_S: Final = 10.0
"""A worker that has not answered for this long is stuck: it is killed, and its rooms move to a fresh process."""
RESTART_DELAYS_S: Final = (0.0, 0.5, 1.0, 2.0, 5.0)
HEALTHY_AFTER_S: Final = 30.0
LINE_LIMIT_BYTES: Final = 8 << 20
"""A still is one line: 1920 x 1080 as JPEG has well under 2 MB."""
OFFER_DELAYS_S: Final = (0.1, 0.3, 1.0, 3.0, 5.0)
"""How long to wait before an observation is offered again that could not be recorded; the last one repeats."""
VIDEO_CODECS: Final = ("VP8", "H264")
"""One for all seats of every room: with VP8 on one side and H.264 on the other both stay black."""
BURST: Final = 4
REFILL_S: Final = 5.0
"""Offers a seat may make: four at once (a reload, a changed network), two in ten seconds for ever."""

log = logging.getLogger("rvr.media")


class Ledger:
    """Every observation of every worker until it is acknowledged, offered to the desk in order, one at a time."""

    def __init__(self, on_observation: OnObservation) -> None:
        self._on_observation = on_observation
        self._kept: dict[tuple[str, int], Observation] = {}
        self._due: list[tuple[str, int]] = []
        self._acknowledged: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()

    def add(self, observation: Observation) -> None:
        key = (observation.worker, observation.number)
        # A worker resends what it had not heard to be acknowledged yet: that may cross with the acknowledgement.
        if key not in self._kept and observation.number > self._acknowledged.get(observation.worker, 0):
            self._kept[key] = observation
            self._due.append(key)
            self._stir()

    def acknowledge(self, worker: str, number: int) -> None:
        self._acknowledged[worker] = max(number, self._acknowledged.get(worker, 0))
        self._kept = {key: seen for key, seen in self._kept.items() if key[0] != worker or key[1] > number}

    def offer_again(self) -> None:
        """All that is not acknowledged is due once more, oldest first."""
        self._due = list(self._kept)
        self._stir()

    def _stir(self) -> None:
        self._idle.clear()
        self._wake.set()

    async def drained(self, within_s: float) -> None:
        """When all has been offered, or the time is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), within_s)

    async def run(self) -> None:
        failures = 0
        while True:
            while not self._due:
                self._wake.clear()
                self._idle.set()
                await self._wake.wait()
            self._idle.clear()
            key = self._due[0]
            if key not in self._kept or await self._offered(self._kept[key]):
                failures = 0
                # The list may have been made anew meanwhile, with an older one at its head.
                if self._due and self._due[0] == key:
                    self._due.pop(0)
                continue
            await asyncio.sleep(OFFER_DELAYS_S[min(failures, len(OFFER_DELAYS_S) - 1)])
            failures += 1

    async def _offered(self, observation: Observation) -> bool:
        try:
            await self._on_observation(observation)
        except Exception:  # the contract: whatever was raised, it was not recorded
            log.exception("observation %s %s could not be recorded", observation.worker, observation.number)
            return False
        return True


@dataclass(slots=True)
class _Room:
    """What the supervisor must know of a room to open it anew elsewhere."""

    wanted: Room
    slot: Slot
    had_two_way: bool = False
    away: set[str] = field(default_factory=set)
    """Seats that were lost, and neither came back nor left."""

    def note(self, observation: Observation) -> None:
        if observation.kind == "two_way":
            self.had_two_way = True
        elif observation.kind == "lost" and observation.seat is not None:
            self.away.add(observation.seat)
        elif observation.kind in ("connected", "gone") and observation.seat is not None:
            self.away.discard(observation.seat)


class _Allowance:
    """A token bucket for one seat's offers."""

    def __init__(self) -> None:
        self._tokens = float(BURST)
        self._at = time.monotonic()

    def spend(self) -> None:
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._at) / REFILL_S)
        self._at = now
        if self._tokens < 1:
            wait = int((1 - self._tokens) * REFILL_S) + 1
            raise MediaRefused("too-many-offers", retry_after_s=wait)
        self._tokens -= 1

    def refund(self) -> None:
        """An offer that no worker could look at costs nothing, or a restart would shut out those who come back."""
        self._tokens += 1


class Slot:
    """One place for a worker process: keeps a live one in it, and speaks its line protocol (see `embedded.worker`)."""

    def __init__(self, number: int, module: str, settings: Mapping[str, Any], engine: Rooms) -> None:
        self.number = number
        self._module = module
        self._settings = settings
        self._engine = engine
        self._process: asyncio.subprocess.Process | None = None
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ids = itertools.count(1)
        self._present: dict[tuple[str, str], None] = {}
        """(room, seat) of every connection that this process has reported and not yet reported lost."""
        self._keeper: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep())

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def close(self) -> None:
        self.ready.clear()
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    def send(self, **message: Any) -> None:
        """Queue a message; without a process it is dropped, for the next one is told everything when it starts."""
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    async def ask(self, deadline_s: float, **message: Any) -> dict[str, Any]:
        """The reply to a message. Raises MediaUnavailable."""
        if not self.ready.is_set():
            raise MediaUnavailable("the media worker is starting")
        number = next(self._ids)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        try:
            self.send(**message, id=number)
            return await asyncio.wait_for(reply, deadline_s)
        except TimeoutError:
            raise MediaUnavailable("the media worker does not answer") from None
        finally:
            del self._replies[number]

    async def _keep(self) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            try:
                await self._live()
            except Exception:  # also a line that makes no sense: whatever it was, a fresh process follows
                log.exception("media worker %s cannot be kept", self.number)
            failures = 1 if time.monotonic() - started > HEALTHY_AFTER_S else failures + 1
            log.warning("media worker %s ended", self.number)
            await asyncio.sleep(RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S)) - 1])

    async def _live(self) -> None:
        """Run one process from start to end."""
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT_BYTES,
            env=_environment(),
        )
        logger, watcher = asyncio.create_task(self._log(process)), asyncio.create_task(self._watch(process))
        try:
            self.send(configure=self._settings)
            await self._listen(process)
        finally:
            self.ready.clear()
            watcher.cancel()
            self._bury()
            await _ended(process)
            await asyncio.wait([logger, watcher], timeout=1.0)  # its last words are often the reason
            logger.cancel()
            self._process = None

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        async for line in _lines(process.stdout):
            self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"saw": seen}:
                self._saw(_observation(seen))
            case {"reply": number}:
                if (waiting := self._replies.get(number)) is not None and not waiting.done():
                    waiting.set_result(message)
            case {"hello": _}:
                self.send(want=self._engine.wanted_of(self))
                self.ready.set()

    def _saw(self, observation: Observation) -> None:
        if observation.seat is not None:
            if observation.kind == "connected":
                self._present[observation.room, observation.seat] = None
            elif observation.kind in ("lost", "gone"):
                self._present.pop((observation.room, observation.seat), None)
        self._engine.saw(observation)

    def _bury(self) -> None:
        """The process is gone, and with it every connection that it held."""
        for waiting in self._replies.values():
            if not waiting.done():
                waiting.set_exception(MediaUnavailable("the media worker ended"))
        for room, seat in self._present:
            self._engine.worker_lost(room, seat)
        self._present.clear()

    async def _log(self, process: asyncio.subprocess.Process) -> None:
        async for line in _lines(process.stderr):
            log.warning("media worker %s: %s", self.number, line.decode(errors="replace").rstrip())

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kill a process that does not come up, or does not answer any more."""
        try:
            await asyncio.wait_for(self.ready.wait(), START_DEADLINE_S)
            while True:
                await asyncio.sleep(PING_EVERY_S)
                await self.ask(PING_DEADLINE_S, ping=True)
        except (TimeoutError, MediaUnavailable):
            log.warning("media worker %s hangs and is killed", self.number)
            _kill(process)


@dataclass(frozen=True, slots=True)
class OnJanus:
    """Rooms on Janus servers in place of this machine."""

    servers: tuple[JanusServer, ...]
    tap: str = "127.0.0.1"
    """Our address, to which they send a copy of what they receive."""


class Rooms:
    """The `MediaEngine` of this desk, embedded or on Janus. Every method belongs to one event loop, that of `start`."""

    def __init__(
        self,
        on_observation: OnObservation,
        *,
        workers: int = 1,
        ice_servers: Sequence[IceServer] = (),
        media_bind: str = "127.0.0.1",
        media_public_address: str | None = None,
        media_ports: tuple[int, int] | None = None,
        video_codec: str = "VP8",
        recordings: Path | None = None,
        lost_after_s: float = 3.0,
        janus: OnJanus | None = None,
    ) -> None:
        """`media_public_address` is what browsers are told (default: `media_bind`); `media_ports` is inclusive;
        `recordings` is the folder of all recordings, without which none can be made. With `janus` the first three are
        those servers' own settings, and not ours.

        Raises ValueError for settings with which no browser could ever connect.
        """
        public = media_public_address or media_bind
        _check_settings(workers, public, media_ports, video_codec)
        self._ice_servers = tuple(ice_servers)
        settings: dict[str, Any] = {
            "bind": media_bind,
            "public": public,
            "ports": list(media_ports) if media_ports else None,
            "lost_after_s": lost_after_s,
            "video": video_codec,
            "recordings": str(recordings) if recordings is not None else None,
        }
        if janus is not None:
            settings |= {"servers": [dataclasses.asdict(server) for server in janus.servers], "tap": janus.tap}
        self._settings: Final = settings
        self.receives_apart: Final = janus is not None
        module = "rvr.media.embedded.worker" if janus is None else "rvr.media.janus.worker"
        self._ledger = Ledger(on_observation)
        self._slots = [Slot(number, module, settings, self) for number in range(workers)]
        self._rooms: dict[str, _Room] = {}
        self._allowances: dict[tuple[str, str], _Allowance] = {}
        self._own_id = str(uuid.uuid4())
        self._own_numbers = itertools.count(1)
        self._deliverer: asyncio.Task[None] | None = None

    @property
    def ice_servers(self) -> tuple[IceServer, ...]:
        return self._ice_servers

    def use_servers(self, servers: Sequence[JanusServer]) -> None:
        """Have rooms on these Janus servers from now on. Those that a server has stay there, also when it is no longer
        among them or drains."""
        told = [dataclasses.asdict(server) for server in servers]
        if told != self._settings["servers"]:
            self._settings["servers"] = told
            for slot in self._slots:
                slot.send(servers=told)

    @property
    def worker_pids(self) -> list[int]:
        """For the operator's status page and for tests that kill one."""
        return [slot.pid for slot in self._slots if slot.pid is not None]

    @property
    def workers(self) -> tuple[int, int]:
        return sum(slot.ready.is_set() for slot in self._slots), len(self._slots)

    async def start(self) -> None:
        self._deliverer = asyncio.create_task(self._ledger.run())
        for slot in self._slots:
            slot.start()
        try:
            await asyncio.wait_for(asyncio.gather(*(slot.ready.wait() for slot in self._slots)), START_DEADLINE_S)
        except TimeoutError:
            await self.close()
            raise MediaUnavailable("no media worker came up") from None

    async def close(self) -> None:
        await asyncio.gather(*(slot.close() for slot in self._slots))
        if self._deliverer is not None:
            await self._ledger.drained(DRAIN_S)  # that the calls were cut by this restart is a fact to record
            self._deliverer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._deliverer

    async def want(self, rooms: Mapping[str, Room]) -> None:
        for name in self._rooms.keys() - rooms.keys():
            del self._rooms[name]
        for name, wanted in rooms.items():
            if name in self._rooms:
                self._rooms[name].wanted = wanted
            else:
                self._rooms[name] = _Room(wanted, self._emptiest())
        self._allowances = {key: spent for key, spent in self._allowances.items() if key[0] in self._rooms}
        self._ledger.offer_again()
        for slot in self._slots:
            if slot.ready.is_set():
                slot.send(want=self.wanted_of(slot))

    async def join(self, room: str, seat: str, offer: str) -> str:
        known = self._known(room, seat)
        allowance = self._allowances.setdefault((room, seat), _Allowance())
        allowance.spend()
        try:
            sdp_gate.check_size(offer)
            return await _answered(known.slot, room, seat, offer)
        except sdp_gate.BadSdp as fault:
            raise MediaRefused(fault.code, fault.detail) from None
        except MediaUnavailable:
            allowance.refund()
            raise

    async def receive(self, room: str, seat: str) -> str:
        match await self._known(room, seat).slot.ask(JOIN_DEADLINE_S, receive=[room, seat]):
            case {"offer": str(offer)}:
                return offer
        raise MediaUnavailable("nothing to receive yet")

    async def received(self, room: str, seat: str, answer: str) -> None:
        known = self._known(room, seat)
        try:
            sdp_gate.check_size(answer)
        except sdp_gate.BadSdp as fault:
            raise MediaRefused(fault.code, fault.detail) from None
        match await known.slot.ask(JOIN_DEADLINE_S, received=[room, seat], answer=answer):
            case {"refused": [str(code), str(detail)]}:
                raise MediaRefused(code, detail)
            case {"unavailable": _}:
                raise MediaUnavailable("this seat is not joined")

    async def leave(self, room: str, seat: str) -> None:
        known = self._rooms.get(room)
        if known is not None:
            with contextlib.suppress(MediaUnavailable):  # a dead worker's connections have left already
                await known.slot.ask(LEAVE_DEADLINE_S, leave=[room, seat])

    async def still(self, room: str, seat: str) -> Still:
        match await self._known(room, seat).slot.ask(STILL_DEADLINE_S, still=[room, seat]):
            case {"jpeg": str(jpeg), "width": int(width), "height": int(height), "moment": moment}:
                return Still(base64.b64decode(jpeg), width, height, _moment(moment))
            case {"refused": [str(code), str(detail)]}:
                raise MediaRefused(code, detail)
        raise MediaUnavailable("the media worker could not make a still")

    def _known(self, room: str, seat: str) -> _Room:
        known = self._rooms.get(room)
        if known is None:
            raise MediaRefused("room-unknown")
        if known.wanted.seat(seat) is None:
            raise MediaRefused("seat-unknown")
        return known

    async def acknowledge(self, worker: str, number: int) -> None:
        self._ledger.acknowledge(worker, number)
        for slot in self._slots:
            slot.send(ack=[worker, number])

    # --- what the slots call ---

    def wanted_of(self, slot: Slot) -> dict[str, dict[str, Any]]:
        """The rooms pinned to this slot, as its process is told of them."""
        return {
            name: _told(room.wanted) | {"had_two_way": room.had_two_way, "away": sorted(room.away)}
            for name, room in self._rooms.items()
            if room.slot is slot
        }

    def saw(self, observation: Observation) -> None:
        if observation.room in self._rooms:
            self._rooms[observation.room].note(observation)
        self._ledger.add(observation)

    def worker_lost(self, room: str, seat: str) -> None:
        """A seat was connected in a process that has ended: the supervisor saw that, so the number is its own."""
        principals = self._rooms[room].wanted.seats[:2] if room in self._rooms else ()
        partner = next((other.id for other in principals if other.id != seat), None)
        detail = {"cause": "worker_lost"} | ({"partner": partner} if partner else {})
        number = next(self._own_numbers)
        self.saw(Observation(self._own_id, number, room, seat, "lost", timekeeping.observe(), detail))

    def _emptiest(self) -> Slot:
        load = {slot.number: 0 for slot in self._slots}
        for room in self._rooms.values():
            load[room.slot.number] += 1
        return min(self._slots, key=lambda slot: load[slot.number])


def _check_settings(workers: int, public: str, ports: tuple[int, int] | None, video: str) -> None:
    if workers < 1:
        raise ValueError("at least one media worker is needed")
    if ipaddress.ip_address(public).is_unspecified:
        raise ValueError("media_public_address must be set when media_bind is every address")
    if video not in VIDEO_CODECS:
        raise ValueError(f"the rooms' video codec is one of {', '.join(VIDEO_CODECS)}")
    if ports is not None and not 1 <= ports[0] <= ports[1] <= 65535:
        raise ValueError("media_ports is a range within 1-65535")


async def _answered(slot: Slot, room: str, seat: str, offer: str) -> str:
    match await slot.ask(JOIN_DEADLINE_S, join=[room, seat], offer=offer):
        case {"answer": str(answer)}:
            return answer
        case {"refused": [str(code), str(detail)]}:
            raise MediaRefused(code, detail)
    raise MediaUnavailable("the media worker has no socket left")


def _told(wanted: Room) -> dict[str, Any]:
    """A room as the line protocol has it."""
    recording = wanted.recording
    return {
        "seats": [[seat.id, seat.admitted, sorted(seat.muted)] for seat in wanted.seats],
        "recording": recording and [recording.id, recording.key.hex(), sorted(recording.seats)],
    }


def _observation(seen: Mapping[str, Any]) -> Observation:
    kind: Kind = seen["kind"]
    moment = _moment(seen["moment"])
    return Observation(seen["worker"], seen["number"], seen["room"], seen["seat"], kind, moment, seen["detail"])


def _moment(written: Sequence[Any]) -> Moment:
    at, boot, boottime_ns, error_us = written
    return Moment(parse_iso(at), boot, boottime_ns, error_us)


_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")


def _environment() -> dict[str, str]:
    """The least a worker needs: no key, password or database of ours reaches the process that meets strangers.

    PYTHONOPTIMIZE stays behind too: aiortc validates by assert.
    """
    home = str(Path(__file__).resolve().parents[2])
    paths: Iterable[str] = filter(None, (home, os.environ.get("PYTHONPATH")))
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return kept | {"PYTHONPATH": os.pathsep.join(paths)}


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[bytes]:
    while stream is not None and (line := await stream.readline()):
        yield line


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Close the worker's stdin, which ends it; kill it if it does not go."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), CLOSE_DEADLINE_S)
    except TimeoutError:
        _kill(process)
        await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
