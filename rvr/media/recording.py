"""Records what people in a room sent: their packets as they came, in sealed blocks, one file a seat.

`Recorder.packet` only queues: sealing, writing and the disk's own sync run in one thread for all recordings of the
process. What cannot be written ends the recording and is told; the call goes on. Nothing of it is ever on the disk in
clear. Knows neither SRTP nor codecs, and imports no media library: see `blocks` for the format, `playable` for what is
made of it afterwards.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rvr import timekeeping
from rvr.core.moment import iso
from rvr.media.blocks import AUDIO, CODECS, KINDS, SALT_BYTES, VIDEO, Packet, Sealing

EVERY_S: Final = 0.75
"""A block is written this often: with the time that writing takes, a killed process loses less than a second."""
SYNC_EVERY_S: Final = 2.0
"""Brought to the disk this often, which costs about a millisecond: the most that a power cut takes besides."""
TELL_EVERY_S: Final = 10.0
"""The head of each file is told this often, for the log: what is cut off later than that shows."""
QUEUE_PACKETS: Final = 30_000
"""Some three minutes of one person: a disk that hangs for longer ends the recording, not the process."""
SUFFIX: Final = ".rvrrec"
_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")

Codecs = Mapping[str, Mapping[str, Any]]
"""Track -> what its packets are: `codec` (VP8, H264, opus), `payload_type`, `clock_rate`, `ssrc`, and `rtx` (payload
type of retransmissions) where there is one."""

log = logging.getLogger("rvr.media")


@dataclass(frozen=True, slots=True)
class Head:
    """How far one file has come; what it says is on the disk."""

    seat: str
    part: int
    """1, 2 ...: a process that died is followed by a fresh file, for none is ever written to twice."""
    n: int
    """Of the last block."""
    bytes: int
    sha256: str
    audio: int
    """Packets of sound so far, as of `video`: both have to grow."""
    video: int


OnBlock = Callable[[Head], None]
OnEnd = Callable[[Head, str], None]
"""The last head, and why: empty when it was closed; `disk-full`, `io-error`, `too-slow` when it failed."""


class Recorder:
    """One seat's file. Its callbacks are called in the writing thread."""

    def __init__(
        self,
        folder: Path,
        recording: str,
        key: bytes,
        seat: str,
        *,
        on_block: OnBlock,
        on_end: OnEnd,
        scribe: Scribe | None = None,
    ) -> None:
        """`folder` is that of all recordings. Opens nothing yet; raises ValueError for ids that make no file's name."""
        if not _ID.fullmatch(recording) or not _ID.fullmatch(seat):
            raise ValueError("the ids of a recording and of its seats are letters, digits and dashes")
        self.recording, self.seat = recording, seat
        self._folder, self._key = folder / recording, key
        self._on_block, self._on_end = on_block, on_end
        self._queue: deque[Packet] = deque()
        self._scribe = scribe or the_scribe()
        self._closing = self._ended = False
        self._file = -1
        self._sealing: Sealing | None = None
        self._part = self._bytes = 0
        self._counts = {AUDIO: 0, VIDEO: 0}
        self._synced_at = self._told_at = 0.0
        self._scribe.take(self)

    # --- In the process's event loop: nothing here waits ---

    def codecs(self, codecs: Codecs) -> None:
        """What the packets from now on are: at the beginning, and again when the person joined anew."""
        self._put(CODECS, json.dumps(codecs, sort_keys=True).encode(), time.monotonic_ns())

    def packet(self, kind: str, rtp: bytes, at_ns: int) -> None:
        """One plain RTP packet of `audio` or `video`, as it came; `at_ns` by `time.monotonic_ns`."""
        self._put(KINDS[kind], rtp, at_ns)

    def _put(self, kind: int, data: bytes, at_ns: int) -> None:
        if self._closing or self._ended:
            return
        if len(self._queue) >= QUEUE_PACKETS:
            self.fail("too-slow")
            return
        self._queue.append(Packet(kind, at_ns, data))

    def close(self) -> None:
        """Nothing that comes from now on is recorded; what has come is sealed and written, and then `on_end` called."""
        if not self._closing:
            self._closing = True
            self._scribe.hurry()

    @property
    def ended(self) -> bool:
        return self._ended

    # --- In the scribe's thread ---

    def write(self) -> None:
        """All that has come since the last time, as one block."""
        closing = self._closing  # read first: what came before it is in the queue
        packets = [self._queue.popleft() for _ in range(len(self._queue))]
        if self._ended or not (packets or closing):
            return
        if closing and not packets and self._sealing is None:
            self.fail("")  # nothing ever came: no file
            return
        try:
            self._write(packets, last=closing)
        except OSError as fault:
            log.warning("a recording cannot be written: %s", errno.errorcode.get(fault.errno or 0, "?"))
            self.fail("disk-full" if fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "io-error")

    def _write(self, packets: list[Packet], *, last: bool) -> None:
        if self._sealing is None:
            self._sealing = self._open()
        for packet in packets:
            if packet.kind != CODECS:
                self._counts[packet.kind] += 1
        self._append(self._sealing.block(packets, last=last))
        now = time.monotonic()
        if last or now - self._synced_at >= SYNC_EVERY_S:
            os.fdatasync(self._file)
            self._synced_at = now
            if last or now - self._told_at >= TELL_EVERY_S:
                self._told_at = now
                if not last:
                    self._on_block(self.head)
        if last:
            self.fail("")

    def _open(self) -> Sealing:
        """A new file, under a name that no other has; with its first bytes both are on the disk."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while self._file < 0:
            self._part += 1
            path = self._folder / f"{self.seat}.{self._part}{SUFFIX}"
            with contextlib.suppress(FileExistsError):
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        moment = timekeeping.observe()
        sealing = Sealing(
            self._key,
            os.urandom(SALT_BYTES),
            {
                "recording": self.recording,
                "seat": self.seat,
                "part": self._part,
                "at": iso(moment.at),
                "boot": moment.boot,
                "boottime_ns": moment.boottime_ns,
                "error_us": moment.error_us,
                "monotonic_ns": time.monotonic_ns(),
            },
        )
        self._append(sealing.header)
        for folder in (self._folder, self._folder.parent):
            _sync_folder(folder)
        return sealing

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.write(self._file, view)
            view = view[written:]
        self._bytes += len(data)

    @property
    def head(self) -> Head:
        told = (self._sealing.n, self._bytes, self._sealing.head.hex()) if self._sealing else (0, 0, "")
        return Head(self.seat, self._part, *told, self._counts[AUDIO], self._counts[VIDEO])

    def fail(self, cause: str) -> None:
        """It ends here; with no cause, in order."""
        if self._ended:
            return
        self._ended = True
        self._queue.clear()
        self._scribe.forget(self)
        if cause != "too-slow" and self._file >= 0:  # a hanging disk would hold up whoever closes it
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._on_end(self.head, cause)


class Scribe(threading.Thread):
    """The one thread that seals and writes, for all recordings of this process."""

    def __init__(self) -> None:
        super().__init__(name="scribe", daemon=True)
        self._recorders: list[Recorder] = []
        self._wake = threading.Event()
        self._lock = threading.Lock()

    def take(self, recorder: Recorder) -> None:
        with self._lock:
            self._recorders.append(recorder)
        self.hurry()  # one that waits with nothing to do sleeps for ever

    def forget(self, recorder: Recorder) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._recorders.remove(recorder)

    def hurry(self) -> None:
        """Write now: somebody's consent was withdrawn, or the process ends."""
        self._wake.set()

    def run(self) -> None:
        while True:
            with self._lock:
                recorders = list(self._recorders)
            began = time.monotonic()
            for recorder in recorders:
                try:
                    recorder.write()
                except Exception:  # whatever it was, the other recordings go on
                    log.exception("a recording failed")
                    recorder.fail("io-error")
            left = EVERY_S - (time.monotonic() - began) if recorders else None
            self._wake.wait(None if left is None else max(0.0, left))
            self._wake.clear()


_scribe: Scribe | None = None


def the_scribe() -> Scribe:
    """This process's own, started at first use."""
    global _scribe
    if _scribe is None or not _scribe.is_alive():
        _scribe = Scribe()
        _scribe.start()
    return _scribe


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
