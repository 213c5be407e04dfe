"""Which time counts: held against a counter of minutes, over every change of the hour, and what people expect."""

from __future__ import annotations

import time as stopwatch
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvr.core import calendar, clocks
from rvr.core.force import Hours
from rvr.core.moment import Moment, parse_iso
from tests.core.minutes import CHANGES, EVERY_WAY, MINUTE, desk

DAY_US = 86_400_000_000
LONDON = ZoneInfo("Europe/London")
RUNS = 10_000


def test_the_counter_of_minutes_knows_every_change_of_the_hour() -> None:
    assert len(CHANGES) == 34
    for change in CHANGES:
        before, after = (at.astimezone(LONDON).utcoffset() for at in (change - timedelta(microseconds=1), change))
        assert before != after


@pytest.mark.parametrize("way", EVERY_WAY)
def test_any_run_with_any_pauses_is_counted_as_a_counter_of_minutes_counts_it(way: str) -> None:
    """Starts in the days around every change of the hour from 2024 to 2040, on whole minutes and off them."""
    counts, hours, made = EVERY_WAY[way]
    minutes, dice = made(), Random(way)
    for number in range(RUNS):
        unit_us = dice.choice((1, 1_000_000, 60_000_000))

        def some(days: float, unit_us: int = unit_us) -> timedelta:
            return timedelta(microseconds=dice.randrange(int(days * DAY_US)) // unit_us * unit_us)

        at = CHANGES[number % len(CHANGES)] - timedelta(days=3) + some(5)
        left_us = some(dice.choice((0.1, 1, 4))) // timedelta(microseconds=1)
        for _ in range(dice.randrange(4)):
            paused_at = at + some(dice.choice((0.1, 1)))
            counted_us = calendar.counted_us(counts, hours, at, paused_at)
            assert counted_us == minutes.counted_us(at, paused_at)
            if counted_us >= left_us:
                break
            at, left_us = paused_at + some(2), left_us - counted_us
        due = calendar.when_counted(counts, hours, at, left_us)
        assert minutes.is_first_with(due, at, left_us), (at, left_us, due)
        assert calendar.counted_us(counts, hours, at, due) == left_us


ZONES = ("Europe/London", "America/New_York", "America/Santiago", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC")


@given(
    zone=st.sampled_from(ZONES),
    opens=st.times(),
    closes=st.times(),
    passed=st.timedeltas(timedelta(0), timedelta(days=2000)),
    days=st.lists(st.floats(0, 9), min_size=2, max_size=2),
)
def test_what_counts_is_what_the_wall_clock_says_and_parts_add_up(
    zone: str, opens: object, closes: object, passed: timedelta, days: list[float]
) -> None:
    """Also where the hour changes at midnight, by half an hour, or never."""
    hours = Hours(opens, closes, zone)  # type: ignore[arg-type]
    instant, start = timedelta(microseconds=1), datetime(2024, 1, 1, tzinfo=UTC) + passed
    open_now = calendar.counted_us("desk_hours", hours, start, start + instant) == 1
    assert open_now == clocks.is_open(hours, Moment(start, "b", 0))
    works = start.astimezone(ZoneInfo(zone)).isoweekday() <= 5
    assert (calendar.counted_us("working_days", hours, start, start + instant) == 1) == works
    middle, end = start + timedelta(days[0]), start + timedelta(days[0] + days[1])
    for counts in calendar.COUNTS:
        parts = [calendar.counted_us(counts, hours, *ends) for ends in ((start, middle), (middle, end), (start, end))]
        assert parts[0] + parts[1] == parts[2]
        assert calendar.counted_us(counts, hours, end, start) == -parts[2]


@pytest.mark.parametrize(
    ("night", "open_hours"), [("2026-03-28", 7), ("2026-03-29", 8), ("2026-10-24", 9), ("2026-10-25", 8)]
)
def test_a_night_in_which_the_hour_changes_counts_what_really_passes(night: str, open_hours: int) -> None:
    """A desk from ten to six is open for seven hours in the night to the last Sunday of March, for nine in October."""
    noon = parse_iso(f"{night}T12:00:00+00:00")
    counted_us = calendar.counted_us("desk_hours", desk("22:00", "06:00"), noon, noon + timedelta(days=1))
    assert counted_us == open_hours * 3600 * 1_000_000


@pytest.mark.parametrize(
    ("start", "counts", "seconds", "due"),
    [
        # four hours at nine in the evening: two before the desk closes, two when it is open again
        ("2026-11-22T21:00:00+00:00", "desk_hours", 14_400, "2026-11-23T09:00:00+00:00"),
        # the last second of the day is due as the desk closes, and not when it opens again
        ("2026-11-22T22:00:00+00:00", "desk_hours", 3_600, "2026-11-22T23:00:00+00:00"),
        # nothing counts at night
        ("2026-11-22T23:30:00+00:00", "desk_hours", 1, "2026-11-23T07:00:01+00:00"),
        # five working days from Wednesday noon, over a weekend in which the hour changes: Wednesday noon again
        ("2025-10-15T12:00:00+01:00", "working_days", 5 * 86_400, "2025-10-22T12:00:00+01:00"),
        ("2025-10-22T12:00:00+01:00", "working_days", 3 * 86_400, "2025-10-27T12:00:00+00:00"),
        # over Christmas: the 25th and, here, the 28th are holidays
        ("2026-12-23T12:00:00+00:00", "working_days", 2 * 86_400, "2026-12-29T12:00:00+00:00"),
        # a Saturday counts from Monday on
        ("2026-06-06T09:00:00+01:00", "working_days", 86_400, "2026-06-09T00:00:00+01:00"),
        ("2026-03-28T12:00:00+00:00", "always", 86_400, "2026-03-29T13:00:00+01:00"),
    ],
)
def test_a_promise_is_due_when_people_expect_it(start: str, counts: str, seconds: int, due: str) -> None:
    hours = desk("07:00", "23:00")
    found = calendar.when_counted(counts, hours, parse_iso(start), seconds * 1_000_000)
    assert (found, found.tzinfo) == (parse_iso(due), UTC)


def test_nothing_left_to_count_is_due_at_once() -> None:
    night = parse_iso("2026-11-22T23:30:00+00:00")
    for counts in calendar.COUNTS:
        assert calendar.when_counted(counts, desk("07:00", "23:00"), night, 0) == night
        assert calendar.when_counted(counts, desk("07:00", "23:00"), night, -5) == night


def test_whole_years_are_counted_at_once() -> None:
    hours, start = desk("07:00", "23:00"), parse_iso("2024-01-01T00:00:00+00:00")
    began = stopwatch.perf_counter()
    for counts in calendar.COUNTS:
        due = calendar.when_counted(counts, hours, start, 3 * 365 * DAY_US)
        assert calendar.counted_us(counts, hours, start, due) == 3 * 365 * DAY_US
        assert due > start + 1000 * 24 * 60 * MINUTE
    assert stopwatch.perf_counter() - began < 2, "years are walked a day at a time, which takes milliseconds"


@pytest.mark.parametrize(
    ("due", "sent"),
    [
        ("2026-12-03T08:59:59Z", "2026-12-03T09:00:00Z"),
        ("2026-12-03T09:00:00Z", "2026-12-03T09:00:00Z"),
        ("2026-12-03T19:59:59Z", "2026-12-03T19:59:59Z"),
        ("2026-12-03T20:00:00Z", "2026-12-04T09:00:00Z"),
        ("2026-07-03T02:30:00Z", "2026-07-03T08:00:00Z"),
        ("2026-07-03T19:00:00Z", "2026-07-04T08:00:00Z"),
        ("2026-03-28T23:00:00Z", "2026-03-29T08:00:00Z"),
    ],
)
def test_what_wakes_nobody_waits_for_the_morning_of_the_forces_own_clocks(due: str, sent: str) -> None:
    """Two are in summer, and the last is in the night in which the hour changes."""
    assert calendar.by_day(desk("07:00", "03:00"), parse_iso(due)) == parse_iso(sent)
