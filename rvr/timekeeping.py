"""Reads this machine's clocks. The only place that asks what time it is."""

from __future__ import annotations

import ctypes
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from rvr.core.moment import Moment

_UNSYNCHRONISED_US = 16_000_000
"""The kernel's maxerror ceiling: at or above it nobody has disciplined the clock (adjtimex(2))."""


def _read_boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux: each process is then its own boot
        return str(uuid.uuid4())


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


def _clock_error_us() -> int | None:
    try:
        timex = _Timex()
        if ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0:
            return None
    except (OSError, AttributeError):
        return None
    error = int(timex.maxerror)
    return error if error < _UNSYNCHRONISED_US else None


def observe() -> Moment:
    """This moment, by this machine's clocks."""
    return Moment(
        at=datetime.now(UTC),
        boot=_BOOT,
        boottime_ns=time.clock_gettime_ns(_BOOTTIME),
        error_us=_clock_error_us(),
    )
