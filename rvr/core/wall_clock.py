"""What a machine's clocks tell of its wall clock: whether it was set, and how far it can be trusted.

Two readings within one boot tell a step: the clock that never steps says how much time passed, so that whatever the
wall clock moved besides, somebody set it. Across boots nothing is left but that time cannot have gone back.
"""

from __future__ import annotations

from datetime import datetime

from rvr.core.clocks import microseconds
from rvr.core.moment import Moment

STEP_US = 50_000
"""More than this between two readings is a step. Less is the time that a busy machine takes to read two clocks; more
than that is evidence, for a verdict may hang on it."""

SLEW_PPM = 500
"""No clock is slewed faster than this by the kernel (MAXFREQ of <linux/timex.h>): half a millisecond a second. Linux
slews both clocks alike, so that nothing is left of it between them; where a kernel does not, this is no step."""

BEHIND_US = 1_000_000
"""Across boots: the newest time in the log may come from another machine, and two that are in order differ by their
errors alone."""

HEALTHS = ("synchronised", "inaccurate", "unsynchronised", "unknown")
"""Codes of what the kernel says: its bound is within the limit, beyond it, or at its ceiling; or it says nothing."""


def moved_us(before: Moment, now: Moment) -> int:
    """By how much the wall clock was set between two readings of one boot; nought when it was not."""
    passed_us = (now.boottime_ns - before.boottime_ns) // 1000
    moved = microseconds(before.at, now) - passed_us
    return moved if abs(moved) > STEP_US + abs(passed_us) * SLEW_PPM // 1_000_000 else 0


def behind_us(recorded_at: datetime, now: Moment) -> int:
    """How far the wall clock stands behind a time that was recorded before this boot; nought when it does not."""
    behind = -microseconds(recorded_at, now)
    return behind if behind > BEHIND_US else 0


def health(now: Moment, limit_ms: int) -> str:
    """What can be said of the wall clock at this moment: one of HEALTHS."""
    if now.error_us is None:
        return "unknown" if now.untold else "unsynchronised"
    return "inaccurate" if now.error_us > limit_ms * 1000 else "synchronised"
