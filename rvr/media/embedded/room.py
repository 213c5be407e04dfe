"""One room in the worker: its connections, what is wanted of it, and what was seen there.

Puts the parts together: `peer` (a connection), `forwarder` (who gets what), `sight` (what the desk is told), `quality`,
`picture`. All methods run in the worker's one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from rvr import timekeeping
from rvr.core.moment import Moment
from rvr.media import Kind, MediaRefused, Seat, Still, Track
from rvr.media import Room as Wanted
from rvr.media.embedded import forwarder, picture
from rvr.media.embedded.answer import VideoCodec
from rvr.media.embedded.leg import Leg
from rvr.media.embedded.peer import Peer
from rvr.media.embedded.quality import Meter
from rvr.media.embedded.rtp import KeyFrame
from rvr.media.embedded.sight import Sight
from rvr.media.tape import Tape

STILL_DEADLINE_S: Final = 3.0
CAP_EVERY_S: Final = 1.0
TAPE_DEADLINE_S: Final = 1.0
"""How long a closing room waits for its last block to be on the disk; a worker has two seconds in all."""

Saw = Callable[[str, Kind, str | None, Mapping[str, str]], Moment]
"""Records an observation of this room (its name first)."""

log = logging.getLogger("rvr.media.room")


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every room of this worker."""

    lost_after_s: float
    video: VideoCodec
    recordings: Path | None = None
    """The folder of all recordings; without one nothing can be recorded."""


class Carrier(Protocol):
    """What carries one connection's media here: `Peer`, or something that stands for a connection elsewhere."""

    connected: bool
    ended: bool

    @property
    def leg(self) -> Leg: ...
    async def answer(self, offer: str) -> str: ...
    async def close(self) -> None: ...


class Room:
    """Its seats' connections."""

    def __init__(
        self,
        name: str,
        wanted: Wanted,
        saw: Saw,
        terms: Terms,
        *,
        had_two_way: bool = False,
        away: Collection[str] = (),
    ) -> None:
        self._name = name
        self._wanted = wanted
        self._saw = saw
        self._terms = terms
        self._sight = Sight(_principals(wanted), self._emit, had_two_way=had_two_way, away=away)
        self._visits: dict[str, Visit] = {}
        self._silent: set[str] = set()
        self._joining: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._capped_at = 0.0
        self._tape = Tape(terms.recordings, self._tell_recording) if terms.recordings is not None else None
        self._unrecorded = ""
        """A recording that was wanted and cannot be, for want of a folder: told once."""
        self._record()

    def _emit(self, kind: Kind, seat: str | None, detail: Mapping[str, str]) -> Moment:
        return self._saw(self._name, kind, seat, detail)

    # --- wanted ---

    def rearrange(self, wanted: Wanted) -> bool:
        """Be what is wanted now, without disturbing those who stay. False: other principals, so another room."""
        if {*_principals(wanted)} != {*_principals(self._wanted)}:
            return False
        if wanted != self._wanted:
            self._wanted = wanted
            for seat in [seat for seat in self._visits if wanted.seat(seat) is None]:
                self._remove(seat, "closed")
            self._record()
            self._arrange()
        return True

    def _record(self) -> None:
        recording = self._wanted.recording
        if self._tape is not None:
            self._tape.want(recording)
        elif recording is not None and recording.id != self._unrecorded:
            self._unrecorded = recording.id
            self._tell_recording({"recording": recording.id, "state": "failed", "cause": "no-folder"})

    def _tell_recording(self, detail: Mapping[str, str]) -> None:
        self._emit("recording", None, detail)

    async def join(self, seat: str, offer: str) -> str:
        """The answer. Raises MediaRefused, or OSError without a free port."""
        if self._wanted.seat(seat) is None:
            raise MediaRefused("seat-unknown")
        async with self._joining.setdefault(seat, asyncio.Lock()):
            visit = Visit(self, seat)
            answer = await visit.peer.answer(offer)  # a refused offer leaves the earlier connection as it was
            self._remove(seat, "replaced")
            self._visits[seat] = visit
            if visit.peer.ended:  # between the answer and this line nobody was listening
                visit.ended("failed")
            return answer

    def leave(self, seat: str) -> None:
        # Goodbye may come after the connection's own end, or after it was lost: it is a fact all the same.
        if seat not in self._visits and self._sight.is_away(seat):
            self._sight.gone(seat, "left")
        self._remove(seat, "left")

    async def still(self, seat: str) -> Still:
        """The seat's picture now. Raises MediaRefused, or TimeoutError when no key frame comes."""
        if self._wanted.seat(seat) is None:
            raise MediaRefused("seat-unknown")
        visit = self._visits.get(seat)
        if visit is None or visit.pictures is None:
            raise MediaRefused("no-picture")
        async with asyncio.timeout(STILL_DEADLINE_S):
            payloads = await visit.pictures.fresh(time.monotonic())
        moment = timekeeping.observe()
        try:
            jpeg, width, height = await self._loop.run_in_executor(None, _jpeg, visit.codec, payloads)
        except picture.NotDecodable as fault:
            raise MediaRefused("no-picture", str(fault)) from None
        return Still(jpeg, width, height, moment)

    async def closed(self, cause: str) -> None:
        for seat in list(self._visits):
            self._remove(seat, cause)
        if self._tape is not None:
            await self._tape.close(TAPE_DEADLINE_S)
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- looking ---

    def look(self) -> None:
        """Find the seats that have fallen silent, and those that are heard again; measure; cap; say what is due."""
        now = time.monotonic()
        for seat, visit in self._visits.items():
            if not visit.peer.connected:
                continue
            silent = now - visit.leg.heard_at > self._terms.lost_after_s
            if silent and seat not in self._silent:
                self._silent.add(seat)
                self._sight.lost(seat, "silent")
            elif not silent and seat in self._silent:
                self._silent.discard(seat)
                self._sight.connected(seat, again=True)
                self._ask_key_frames(now)
            if visit.meter is not None and visit.meter.due(now):
                self._tell_quality(visit, now)
        if now - self._capped_at >= CAP_EVERY_S:
            self._capped_at = now
            forwarder.cap(self._legs())
        for leg in self._legs().values():
            leg.tick(now)

    def _ask_key_frames(self, now: float) -> None:
        """Both pictures may be broken after a silence, and both must be seen again before the call is two-way."""
        for leg in self._legs().values():
            if (video := leg.inlets.get("video")) is not None:
                video.ask_key_frame(now)

    def _tell_quality(self, visit: Visit, now: float) -> None:
        if (figures := self._measured(visit, now)) is not None:
            self._emit("quality", visit.seat, figures)

    def _measured(self, visit: Visit, now: float) -> Mapping[str, str] | None:
        return visit.meter.read(now) if visit.meter is not None else None

    def _legs(self) -> dict[str, Leg]:
        return {seat: visit.leg for seat, visit in self._visits.items() if visit.peer.connected}

    def _arrange(self) -> None:
        self._pass_on()
        for seat in self._wanted.seats:
            if (visit := self._visits.get(seat.id)) is not None and visit.peer.connected:
                self._tap(visit, seat)

    def _pass_on(self) -> None:
        """Have each seat sent what it should see and hear now."""
        forwarder.arrange(self._wanted, self._legs(), self._sight.handed_on, time.monotonic())

    def _tap(self, visit: Visit, seat: Seat) -> None:
        recording = self._wanted.recording
        # Who is held is neither heard nor seen, so nothing of them is kept either.
        kept = recording is not None and seat.id in recording.seats and seat.admitted and self._tape is not None
        if kept and visit.leg.tap is None and (video := visit.leg.inlets.get("video")) is not None:
            video.ask_key_frame(time.monotonic())  # a recording plays from its first key frame on
        visit.leg.tap = partial(self._keep, visit, seat.muted) if kept else None

    def _keep(self, visit: Visit, muted: Collection[Track], kind: Track, packet: bytes, now: float) -> None:
        if self._tape is None or kind in muted:
            return
        sources = tuple(inlet.ssrc for inlet in visit.leg.inlets.values())
        if sources != visit.taped:
            visit.taped = sources
            self._tape.codecs(visit.seat, _codecs(visit.leg))
        self._tape.packet(visit.seat, kind, packet, int(now * 1_000_000_000))

    # --- coming and going ---

    def connection(self, visit: Visit) -> Carrier:
        """What a visit comes in by."""
        return Peer(video=self._terms.video, on_connected=lambda: self.on_connected(visit), on_end=visit.ended)

    def on_connected(self, visit: Visit) -> None:
        if self._visits.get(visit.seat) is not visit:
            return
        now = time.monotonic()
        visit.meter = Meter(visit.leg, now)
        self._sight.connected(visit.seat)
        self._arrange()
        if (video := visit.leg.inlets.get("video")) is not None:
            visit.pictures = picture.KeyFrames(video)
            visit.codec = video.codec.name
            visit.watching = self._start(self._first_frame(visit, visit.pictures))

    async def _first_frame(self, visit: Visit, pictures: picture.KeyFrames) -> None:
        """Decode the first key frame of this connection, off the loop: media counts only when it decodes."""
        while self._visits.get(visit.seat) is visit:
            payloads = await pictures.first() if visit.undecodable == 0 else await pictures.fresh(time.monotonic())
            try:
                blank, size = await self._loop.run_in_executor(None, _looked_at, visit.codec, payloads)
            except picture.NotDecodable as fault:
                visit.undecodable += 1
                log.warning("a key frame cannot be decoded: %s", fault)
                await asyncio.sleep(min(5.0, 0.5 * visit.undecodable))
                continue
            if self._visits.get(visit.seat) is visit:
                video = visit.leg.inlets["video"]
                if not video.size.width:  # H.264 tells its size in a parameter set that is not read here
                    video.size = size
                self._sight.first_frame(visit.seat, blank=blank)
            return

    def on_end(self, visit: Visit, cause: str) -> None:
        if self._visits.get(visit.seat) is not visit:
            return
        self._forget(visit.seat)
        if visit.peer.connected:
            self._sight.lost(visit.seat, cause)
        else:
            self._sight.gone(visit.seat, cause)

    def _remove(self, seat: str, cause: str) -> None:
        if self._forget(seat):
            self._sight.gone(seat, cause)

    def _forget(self, seat: str) -> bool:
        """Take the connection out of the room and close it. False: there was none."""
        visit = self._visits.pop(seat, None)
        self._silent.discard(seat)
        if visit is None:
            return False
        self._tell_quality(visit, time.monotonic())
        self._arrange()
        if visit.watching is not None:
            visit.watching.cancel()
        self._start(visit.peer.close())
        return True

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class Visit:
    """One connection's stay in a seat."""

    def __init__(self, room: Room, seat: str) -> None:
        self.room = room
        self.seat = seat
        self.meter: Meter | None = None
        self.pictures: picture.KeyFrames | None = None
        self.watching: asyncio.Task[None] | None = None
        """Waits for the first key frame."""
        self.taped: tuple[int, ...] = ()
        """The sources that the recording was told of."""
        self.codec = ""
        self.undecodable = 0
        self.peer = room.connection(self)

    @property
    def leg(self) -> Leg:
        return self.peer.leg

    def ended(self, cause: str) -> None:
        self.room.on_end(self, cause)


def _principals(wanted: Wanted) -> tuple[str, ...]:
    return tuple(seat.id for seat in wanted.seats[: forwarder.PRINCIPALS])


def _codecs(leg: Leg) -> dict[str, dict[str, str | int]]:
    """What a recording must know of the packets to play them later: see `recording`."""
    return {
        kind: {
            "codec": inlet.codec.name,
            "payload_type": inlet.codec.payload_type,
            "clock_rate": inlet.codec.clock_hz,
            "ssrc": inlet.ssrc,
            **({"rtx": inlet.codec.rtx} if inlet.codec.rtx else {}),
        }
        for kind, inlet in leg.inlets.items()
    }


def _looked_at(codec: str, payloads: list[bytes]) -> tuple[bool, KeyFrame]:
    frame = picture.decoded(codec, payloads)
    return picture.is_blank(frame), KeyFrame(frame.width, frame.height)


def _jpeg(codec: str, payloads: list[bytes]) -> tuple[bytes, int, int]:
    frame = picture.decoded(codec, payloads)
    return picture.jpeg(frame), frame.width, frame.height
