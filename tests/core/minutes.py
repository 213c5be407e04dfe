"""Minutes in Birmingham, one byte each: a counter that knows nothing of `rvr.core.calendar`, nor of zoneinfo.

The hour changes there at 01:00 UTC on the last Sunday of March and of October; everything else follows by counting.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

from rvr.core.force import Hours

YEARS = range(2024, 2041)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MICROSECOND, MINUTE_US = timedelta(microseconds=1), 60_000_000
FIRST, LAST = datetime(2023, 11, 1, tzinfo=UTC), datetime(2041, 3, 1, tzinfo=UTC)


def last_sunday(year: int, month: int) -> datetime:
    """01:00 UTC on it; both months have 31 days."""
    last = datetime(year, month, 31, 1, tzinfo=UTC)
    return last - (last.isoweekday() % 7) * DAY


CHANGES = [last_sunday(year, month) for year in YEARS for month in (3, 10)]


def summer(at: datetime) -> bool:
    return last_sunday(at.year, 3) <= at < last_sunday(at.year, 10)


class Minutes:
    """Which minutes from FIRST to LAST count. `day`: the minutes of a local day on this date, one byte each."""

    def __init__(self, day: Callable[[datetime], bytes]) -> None:
        self.flags = bytearray()
        hour = FIRST
        while hour < LAST:
            local = hour + summer(hour) * HOUR
            minute = local.hour * 60
            self.flags += day(local)[minute : minute + 60]
            hour += HOUR

    def counted_us(self, start: datetime, end: datetime) -> int:
        """Microseconds that count between two times."""
        since, until = (start - FIRST) // MICROSECOND, (end - FIRST) // MICROSECOND
        first, last = since // MINUTE_US, until // MINUTE_US
        whole = self.flags.count(1, first, last + 1) * MINUTE_US
        before, after = since - first * MINUTE_US, (last + 1) * MINUTE_US - until
        return whole - self.flags[first] * before - self.flags[last] * after

    def is_first_with(self, due: datetime, start: datetime, left_us: int) -> bool:
        """Whether this much has been counted at `due` for the first time: no less, and not before."""
        if left_us <= 0:
            return due == start
        just_before = (due - FIRST - MICROSECOND) // MINUTE
        return self.counted_us(start, due) == left_us and self.flags[just_before] == 1


def minutes_of(hours: Hours) -> Minutes:
    """The minutes in which a desk with these hours is open."""
    opens, closes = (at.hour * 60 + at.minute for at in (hours.opens, hours.closes))
    turned = bytes(1 if (m - opens) % 1440 < ((closes - opens) % 1440 or 1440) else 0 for m in range(1440))
    return Minutes(lambda local: turned)


def working_minutes(hours: Hours) -> Minutes:
    """The minutes of Mondays to Fridays that are no holidays."""
    works, rests = bytes([1]) * 1440, bytes(1440)
    return Minutes(lambda local: works if local.isoweekday() <= 5 and local.date() not in hours.holidays else rests)


def desk(opens: str, closes: str, zone: str = "Europe/London") -> Hours:
    """Hours, with a few holidays of every year, in the weeks in which the hour changes, too."""
    days = [(1, 1), (3, 27), (3, 30), (10, 26), (10, 29), (12, 25), (12, 28)]
    holidays = {datetime(year, month, day, tzinfo=UTC).date() for year in YEARS for month, day in days}
    return Hours(time.fromisoformat(opens), time.fromisoformat(closes), zone, frozenset(holidays))


USUAL = desk("07:00", "23:00")
EVERY_WAY: dict[str, tuple[str, Hours, Callable[[], Minutes]]] = {
    "always": ("always", USUAL, lambda: Minutes(lambda local: bytes([1]) * 1440)),
    "working days": ("working_days", USUAL, lambda: working_minutes(USUAL)),
    **{
        f"desk {opens} to {closes}": (
            "desk_hours",
            desk(opens, closes),
            lambda opens=opens, closes=closes: minutes_of(desk(opens, closes)),  # type: ignore[misc]
        )
        for opens, closes in [
            ("07:00", "23:00"),
            ("22:00", "06:00"),  # over midnight, and over the hour that changes
            ("01:30", "09:10"),  # opens in the missing hour and in the doubled one
            ("09:00", "01:20"),  # closes there
            ("00:00", "00:00"),  # round the clock
        ]
    },
}
"""Name -> what counts, the hours, and the minutes of that."""
