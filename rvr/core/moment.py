"""When something was seen: a wall-clock time together with what a court may ask about it.

A moment is read once, by whichever process saw the thing happen, and never computed again.
All duration arithmetic is on UTC seconds (zone-aware subtraction is wrong twice a year).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of a machine's clocks."""

    at: datetime
    """UTC, aware, microseconds."""
    boot: str
    """The machine's boot id: `boottime_ns` can be compared only within one."""
    boottime_ns: int
    """CLOCK_BOOTTIME in nanoseconds: it runs on through suspend and never steps."""
    error_us: int | None = None
    """The kernel's bound on the wall clock's error in microseconds; None when unsynchronised or unknown."""
    untold: bool = field(default=False, compare=False)
    """The kernel would not tell its bound. Only while the moment is fresh: an event does not keep it."""


def iso(at: datetime) -> str:
    """`2026-11-22T21:18:04.118221Z`: the one form in which a time is stored, sent and exported."""
    return _written(at.astimezone(UTC))


@lru_cache(1024)
def _written(at: datetime) -> str:
    """One command writes the same moment a dozen times."""
    return at.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def seconds_between(start: str, end: str) -> int:
    """Whole UTC seconds from one time to another; negative where the second lies before the first."""
    return int((parse_iso(end) - parse_iso(start)).total_seconds())


@lru_cache(1024)
def parse_iso(text: str) -> datetime:
    """The UTC time that `iso` wrote; also takes any ISO 8601 time that names its offset.

    Raises ValueError for a time without an offset: a bare local time is not evidence.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return at.astimezone(UTC)
