"""Which time a clock counts: every second, the desk's hours only, or working days only.

A second counts when a clock on the force's wall, just then, reads an hour or a date that counts. So desk hours in which
the hour changes count what really passes: the doubled hour twice, the missing one not at all. A working day counts as
long as it is, and a promise of five of them is 5 * 86,400 counted seconds; in the United Kingdom the hour changes on
Sundays, so that every working day there has its 86,400. All arithmetic is on UTC, a day at a time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from rvr.core.force import Hours

COUNTS = ("always", "desk_hours", "working_days")
"""What a clock may count."""

_DAY, _SECOND, _MICROSECOND = timedelta(days=1), timedelta(seconds=1), timedelta(microseconds=1)
_FOREVER = datetime.max.replace(tzinfo=UTC)

Stretch = tuple[datetime, datetime]
"""From, and up to but without."""


def counted_us(counts: str, hours: Hours, start: datetime, end: datetime) -> int:
    """Microseconds that count between two UTC times; negative when the second lies before the first."""
    if end < start:
        return -counted_us(counts, hours, end, start)
    total = timedelta(0)
    for since, until in _stretches(counts, hours, start):
        if since >= end:
            break
        total += min(until, end) - since
    return total // _MICROSECOND


def when_counted(counts: str, hours: Hours, start: datetime, microseconds: int) -> datetime:
    """The first UTC time by which so much has been counted from `start` on: `start` itself when nothing is left."""
    left = microseconds * _MICROSECOND
    if microseconds <= 0:
        return start
    if counts == "always":
        return start + left
    for since, until in _stretches(counts, hours, start):
        if left <= until - since:
            break
        left -= until - since
    return since + left


MORNING, EVENING = time(9), time(20)
"""Between the two a text wakes nobody, and nobody asks who writes at this hour. Narrower than what is law elsewhere for
calls that nobody has asked for: 8 to 21 h (47 CFR 64.1200(c)(1))."""


def by_day(hours: Hours, at: datetime) -> datetime:
    """That UTC time where it is day on the force's wall; else the next morning there, in UTC."""
    local = hours.local(at)
    if MORNING <= local.time() < EVENING:
        return at
    day = local.date() + (_DAY if local.time() >= EVENING else timedelta(0))
    return datetime.combine(day, MORNING, ZoneInfo(hours.zone)).astimezone(UTC)


def _stretches(counts: str, hours: Hours, start: datetime) -> Iterator[Stretch]:
    """The stretches of UTC that count, from `start` on, without end."""
    if counts == "always":
        yield start, _FOREVER
        return
    day = start.astimezone(UTC).date()
    while True:
        for since, until in _of_day(counts, hours, day):
            if until > start:
                yield max(since, start), until
        day += _DAY


@lru_cache(4096)
def _of_day(counts: str, hours: Hours, day: date) -> tuple[Stretch, ...]:
    """The stretches of one day of UTC that count. Kept: every case of a day asks for the same few days."""
    found = []
    for since, until, offset in _steady(ZoneInfo(hours.zone), datetime.combine(day, time(0), UTC)):
        local = (since + offset).date()
        for near in (local - _DAY, local, local + _DAY):  # yesterday's opening may last over midnight
            if opening := _opening(counts, hours, near):
                begin, end = max(opening[0] - offset, since), min(opening[1] - offset, until)
                if begin < end:
                    found.append((begin, end))
    return tuple(found)


def _steady(zone: ZoneInfo, midnight: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """The day of UTC from its midnight on, in pieces with the zone's one offset in each: two on a day of a change."""
    since, end = midnight, midnight + _DAY
    while since < end:
        offset = _offset(zone, since)
        until = end if _offset(zone, end) == offset else min(_change(zone, since), end)
        yield since, until, offset
        since = until


def _change(zone: ZoneInfo, since: datetime) -> datetime:
    """When the offset changes in the day after `since`: on a whole second."""
    offset = _offset(zone, since)
    seconds = range(_DAY // _SECOND)
    return since + bisect_left(seconds, True, key=lambda s: _offset(zone, since + s * _SECOND) != offset) * _SECOND


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


def _opening(counts: str, hours: Hours, day: date) -> Stretch | None:
    """What counts of a local day as a clock on the wall there reads it: only labelled UTC, to be shifted."""
    if counts == "working_days":
        midnight = datetime.combine(day, time(0), UTC)
        return (midnight, midnight + _DAY) if day.weekday() < 5 and day not in hours.holidays else None
    opens, closes = (datetime.combine(day, at, UTC) for at in (hours.opens, hours.closes))
    return opens, closes if opens < closes else closes + _DAY
