"""Hands decoded frames from one seat of a room to the other, and knows when the room is two-way.

Late video is dropped, never queued; a seat whose partner is silent or absent hears silence. Nothing here knows of
connections, numbers or processes: `worker` tells it what happened and is told what that means.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Final

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from rvr.media import Kind

MAX_WIDTH: Final = 640
MAX_HEIGHT: Final = 480
"""Enough to see a face and a room, and what one core can transcode for a few calls."""
MAX_FPS: Final = 15

VIDEO_CLOCK: Final = 90_000
AUDIO_RATE: Final = 48_000
AUDIO_SAMPLES: Final = 960
"""20 ms of Opus."""
AUDIO_DEPTH: Final = 5
"""At most 100 ms of sound wait for the encoder; older sound is dropped."""
AUDIO_PATIENCE_S: Final = 0.1
"""How long real sound may be late before silence takes its place."""

Emit = Callable[[Kind, str | None, Mapping[str, str]], None]


def fitted(width: int, height: int) -> tuple[int, int]:
    """The largest even size of this shape within 640 x 480, either way up; never larger than it was."""
    long, short = (MAX_WIDTH, MAX_HEIGHT) if width >= height else (MAX_HEIGHT, MAX_WIDTH)
    scale = min(1.0, long / width, short / height)
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


class Pace:
    """Lets at most `fps` frames a second through, judged by their own timestamps."""

    def __init__(self, fps: int) -> None:
        self._step = 1 / fps
        self._due: float | None = None

    def admits(self, at: float) -> bool:
        # A clock that jumped (another camera, another connection) starts afresh.
        if self._due is None or abs(at - self._due) > 1.0:
            self._due = at
        if at < self._due - self._step / 4:
            return False
        self._due = max(self._due, at - self._step) + self._step
        return True


class VideoOut(MediaStreamTrack):
    """The picture that one seat is sent: always the newest frame of its partner."""

    kind = "video"

    def __init__(self, handed_on: Callable[[], None]) -> None:
        super().__init__()
        self._handed_on = handed_on
        self._newest: VideoFrame | None = None
        self._arrived = asyncio.Event()
        self._started = time.monotonic()
        self._last_pts = -1

    def put(self, frame: VideoFrame) -> None:
        self._newest = frame
        self._arrived.set()

    def drop(self) -> None:
        self._newest = None
        self._arrived.clear()

    async def recv(self) -> VideoFrame:
        """The next frame for the encoder; waits, without any work, as long as there is no partner."""
        while True:
            if self.readyState != "live":
                raise MediaStreamError
            await self._arrived.wait()
            self._arrived.clear()
            frame, self._newest = self._newest, None
            if frame is not None:
                break
        frame = await self._reduced(frame)
        self._handed_on()
        return frame

    async def _reduced(self, frame: VideoFrame) -> VideoFrame:
        width, height = fitted(frame.width, frame.height)
        if (width, height) != (frame.width, frame.height):
            frame = await asyncio.get_running_loop().run_in_executor(None, _scaled, frame, width, height)
        # The time of handing on, not the sender's own: it stays monotonic when the partner's connection is replaced.
        pts = int((time.monotonic() - self._started) * VIDEO_CLOCK)
        self._last_pts = frame.pts = max(pts, self._last_pts + 1)
        frame.time_base = Fraction(1, VIDEO_CLOCK)
        return frame


def _scaled(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    return frame.reformat(width=width, height=height, format="yuv420p")


class AudioOut(MediaStreamTrack):
    """The sound that one seat is sent: its partner's, or silence every 20 ms.

    Silence is sent on purpose: a browser that stops hearing packets knows at once that the way is broken.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sound: deque[AudioFrame] = deque(maxlen=AUDIO_DEPTH)
        self._arrived = asyncio.Event()
        self._started = time.monotonic()
        self._next_pts = 0
        self._silent = True

    def put(self, frame: AudioFrame) -> None:
        self._sound.append(frame)
        self._arrived.set()

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if not self._sound:
            self._arrived.clear()
            await self._wait_for_sound()
        self._silent = not self._sound
        frame = _silence() if self._silent else self._sound.popleft()
        return self._stamped(frame)

    async def _wait_for_sound(self) -> None:
        if self._silent:
            patience = self._started + (self._next_pts + AUDIO_SAMPLES) / AUDIO_RATE - time.monotonic()
        else:
            patience = AUDIO_PATIENCE_S
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, patience)):
                await self._arrived.wait()

    def _stamped(self, frame: AudioFrame) -> AudioFrame:
        now = int((time.monotonic() - self._started) * AUDIO_RATE)
        # Counted in samples, so that jitter does not reach the timestamps; a real gap is skipped.
        if now - self._next_pts > AUDIO_SAMPLES * AUDIO_DEPTH:
            self._next_pts = now
        frame.pts = self._next_pts
        frame.time_base = Fraction(1, AUDIO_RATE)
        self._next_pts += AUDIO_SAMPLES
        return frame


def _silence() -> AudioFrame:
    """As the Opus decoder writes its frames: the encoder's resampler takes one format and no other."""
    frame = AudioFrame(format="s16", layout="stereo", samples=AUDIO_SAMPLES)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate = AUDIO_RATE
    return frame


class Sight:
    """Which of the two principal seats is there, and whether each sees the other: the room's facts, in order.

    Pure: told what happened, it emits what the contract calls for, once.
    """

    def __init__(
        self, principals: tuple[str, ...], emit: Emit, *, had_two_way: bool = False, away: Collection[str] = ()
    ) -> None:
        """`had_two_way` and `away` (lost, but not gone) come from an earlier process that held this room."""
        self._principals = principals
        self._emit = emit
        self._present: set[str] = set()
        self._away = set(away)
        self._seen: set[str] = set()
        """The seats of which a fresh frame was handed to the partner while both were present."""
        self._last_back: str | None = None
        self._had_two_way = had_two_way
        self._two_way = False

    @property
    def had_two_way(self) -> bool:
        return self._had_two_way

    def partner(self, seat: str) -> str | None:
        return next((other for other in self._principals if other != seat), None)

    def connected(self, seat: str, *, again: bool = False) -> None:
        self._present.add(seat)
        self._away.discard(seat)
        self._last_back = seat
        self._emit("connected", seat, self._detail(seat, again="yes") if again else self._detail(seat))

    def first_frame(self, seat: str) -> None:
        self._emit("first_frame", seat, self._detail(seat))

    def handed_on(self, seat: str) -> None:
        """A frame of this seat was handed to its partner's encoder."""
        if self._two_way or not {*self._principals} <= self._present:
            return
        self._seen.add(seat)
        if {*self._principals} <= self._seen and len(self._seen) == 2:
            self._two_way = True
            self._tell_two_way()

    def lost(self, seat: str, cause: str) -> None:
        if seat in self._present:
            self._leave(seat)
            self._away.add(seat)
            self._emit("lost", seat, self._detail(seat, cause=cause))

    def is_away(self, seat: str) -> bool:
        """Lost and not yet known to have left."""
        return seat in self._away

    def gone(self, seat: str, cause: str) -> None:
        self._leave(seat)
        self._away.discard(seat)
        self._emit("gone", seat, self._detail(seat, cause=cause))

    def _leave(self, seat: str) -> None:
        self._present.discard(seat)
        self._seen.clear()
        self._two_way = False

    def _tell_two_way(self) -> None:
        if self._had_two_way:
            back = self._last_back
            self._emit("resumed", back, self._detail(back) if back is not None else {})
        else:
            self._had_two_way = True
            self._emit("two_way", None, {})

    def _detail(self, seat: str, **more: str) -> dict[str, str]:
        partner = self.partner(seat)
        return more if partner is None else {"partner": partner, **more}


class Forwarder:
    """One room's switchboard: where a seat's frames go."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._outs: dict[str, tuple[VideoOut, AudioOut]] = {}
        self._paces: dict[str, Pace] = {}

    def open(self, seat: str) -> tuple[VideoOut, AudioOut]:
        """What a new connection of this seat will be sent. Not yet in use: see `switch`."""
        partner = self._sight.partner(seat)
        return VideoOut(lambda: self._sight.handed_on(partner) if partner else None), AudioOut()

    def switch(self, seat: str, outs: tuple[VideoOut, AudioOut]) -> None:
        """From now on this seat is served by these tracks."""
        self._outs[seat] = outs
        self._paces[seat] = Pace(MAX_FPS)

    def close(self, seat: str) -> None:
        outs = self._outs.pop(seat, None)
        if outs is not None:  # a frame still waiting for the old connection must not count for the new one
            outs[0].drop()
        self.quiet(seat)

    def quiet(self, seat: str) -> None:
        """This seat is no longer heard: forget what it sent last, so that nothing stale counts as fresh."""
        partner = self._sight.partner(seat)
        if partner in self._outs:
            self._outs[partner][0].drop()

    def video(self, seat: str, frame: VideoFrame) -> None:
        partner = self._sight.partner(seat)
        if partner not in self._outs or not self._paces[seat].admits(frame.time):
            return
        self._outs[partner][0].put(frame)

    def audio(self, seat: str, frame: AudioFrame) -> None:
        partner = self._sight.partner(seat)
        if partner in self._outs:
            self._outs[partner][1].put(frame)
