"""One room's recording: whose packets are kept, and what is told of it to whoever wanted it.

Driven by wanted state, like the room itself: `want` says what is to be recorded now, and nothing else starts or stops
it. Belongs to one event loop; the writing is `recording`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from rvr.media import Recording
from rvr.media.recording import Codecs, Head, Recorder, Scribe

Tell = Callable[[Mapping[str, str]], object]
"""Takes the detail of a `recording` observation."""


class Tape:
    """Who of one room is recorded, each into a file of its own."""

    def __init__(self, folder: Path, tell: Tell, scribe: Scribe | None = None) -> None:
        """`folder` is that of all recordings; `tell` is called in this loop."""
        self._folder, self._tell, self._scribe = folder, tell, scribe
        self._loop = asyncio.get_running_loop()
        self._recording = ""
        self._recorders: dict[str, Recorder] = {}
        self._codecs: dict[str, Codecs] = {}
        self._begun: set[Recorder] = set()
        self._closing: set[Recorder] = set()
        self._closed = asyncio.Event()

    def want(self, recording: Recording | None) -> None:
        """Record this from now on, or nothing. A recording that has failed is not begun again under the same id."""
        seats = recording.seats if recording is not None else frozenset[str]()
        if recording is None or recording.id != self._recording:
            self._stop(self._recorders)
            self._recording = recording.id if recording is not None else ""
        self._stop(self._recorders.keys() - seats)
        if recording is not None:
            for seat in sorted(seats - self._recorders.keys()):
                self._recorders[seat] = self._begin(recording, seat)

    def codecs(self, seat: str, codecs: Codecs) -> None:
        """What this seat's packets are from now on: told at each join, whether or not it is recorded."""
        self._codecs[seat] = codecs
        if seat in self._recorders:
            self._recorders[seat].codecs(codecs)

    def packet(self, seat: str, kind: str, rtp: bytes, at_ns: int) -> None:
        """One plain RTP packet that came from this seat; dropped unless the seat is recorded."""
        recorder = self._recorders.get(seat)
        if recorder is not None:
            recorder.packet(kind, rtp, at_ns)

    async def close(self, within_s: float) -> None:
        """Ends the recording, and waits until its last blocks are on the disk or the time is over."""
        self.want(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._closing:
                    self._closed.clear()
                    await self._closed.wait()

    def _begin(self, recording: Recording, seat: str) -> Recorder:
        def on_block(head: Head) -> None:
            self._hear(recorder, head, "block")

        def on_end(head: Head, cause: str) -> None:
            self._hear(recorder, head, "failed" if cause else "stopped", cause)

        recorder = Recorder(
            self._folder,
            recording.id,
            recording.key,
            seat,
            on_block=on_block,
            on_end=on_end,
            scribe=self._scribe,
        )
        if seat in self._codecs:
            recorder.codecs(self._codecs[seat])
        return recorder

    def _stop(self, seats: Mapping[str, Recorder] | set[str]) -> None:
        for seat in list(seats):
            recorder = self._recorders.pop(seat)
            if not recorder.ended:
                self._closing.add(recorder)
                recorder.close()

    def _hear(self, recorder: Recorder, head: Head, state: str, cause: str = "") -> None:
        """In the scribe's thread; a loop that is gone hears nothing any more, and nobody would listen."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._told, recorder, head, state, cause)

    def _told(self, recorder: Recorder, head: Head, state: str, cause: str) -> None:
        if state == "block" and recorder not in self._begun:
            self._begun.add(recorder)
            state = "started"
        if state in ("stopped", "failed"):
            self._begun.discard(recorder)
            self._closing.discard(recorder)
            self._closed.set()
        detail = {
            "recording": recorder.recording,
            "state": state,
            "seat": head.seat,
            "part": str(head.part),
            "n": str(head.n),
            "bytes": str(head.bytes),
            "sha256": head.sha256,
            "audio": str(head.audio),
            "video": str(head.video),
        }
        self._tell(detail | ({"cause": cause} if cause else {}))
