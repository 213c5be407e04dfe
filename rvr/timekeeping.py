"""Reads this machine's clocks. The only place that asks what time it is."""

from __future__ import annotations

import ctypes
import time
import uuid
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from rvr.core.moment import Moment

_UNSYNCHRONISED_US = 16_000_000
"""The kernel's maxerror ceiling: at or above it nobody has disciplined the clock (adjtimex(2))."""


def _read_boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux: each process is then its own boot
        return str(uuid.uuid4())


_APART_NS = 1_000_000
"""The two clocks are read as one only if no more than this passed meanwhile: it is usually less than a microsecond."""

_READINGS = 8
"""A machine on which each of so many readings is interrupted has other troubles; then the last one must do."""

_BOOT = _read_boot_id()
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))


class _Timex(ctypes.Structure):
    """struct timex of <sys/timex.h>, 64-bit Linux; the padding is generous on purpose."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    ]


@cache
def _libc() -> ctypes.PyDLL:
    """Called without letting Python's lock go: the call takes less than a microsecond, to get the lock back may take
    milliseconds."""
    return ctypes.PyDLL(None)


def _clock_error_us() -> tuple[int | None, bool]:
    """The kernel's bound, None at its ceiling; and whether it would not tell (denied in many containers)."""
    try:
        timex = _Timex()
        if _libc().adjtimex(ctypes.byref(timex)) < 0:
            return None, True
    except (OSError, AttributeError):
        return None, True
    error = int(timex.maxerror)
    return (error if error < _UNSYNCHRONISED_US else None), False


def _both() -> tuple[datetime, int]:
    """The wall clock and the clock that never steps, read together: a process that is put aside between the two would
    seem to have seen the wall clock set.
    """
    readings = 0
    while True:
        before, at = time.clock_gettime_ns(_BOOTTIME), datetime.now(UTC)
        readings += 1
        if time.clock_gettime_ns(_BOOTTIME) - before <= _APART_NS or readings == _READINGS:
            return at, before


def observe() -> Moment:
    """This moment, by this machine's clocks."""
    (at, boottime_ns), (error_us, untold) = _both(), _clock_error_us()
    return Moment(at, _BOOT, boottime_ns, error_us, untold)
