"""24 hours are 86,400 seconds from any moment of the years 2024 to 2040, and a wall clock that was set is told from one
that is slewed, or that stood still with its machine (S34).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rvr.core import clocks, wall_clock
from rvr.core import events as e
from rvr.core.moment import Moment
from tests.builders import Story, Universe, a_case

LONDON = ZoneInfo("Europe/London")
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2040, 12, 31, tzinfo=UTC)
A_DAY_S, HOUR_S = 86_400, 3600


def changes_of_the_hour() -> list[datetime]:
    """Each UTC hour of those years at which the offset of London changes."""
    hours = (FIRST + timedelta(hours=n) for n in range((LAST - FIRST) // timedelta(hours=1)))
    return [at for at in hours if at.astimezone(LONDON).utcoffset() != _before(at).astimezone(LONDON).utcoffset()]


def _before(at: datetime) -> datetime:
    return at - timedelta(microseconds=1)


CHANGES = changes_of_the_hour()
LEAP_DAYS = [datetime(year, 2, 28, 12, 30, tzinfo=UTC) for year in range(2024, 2041, 4)]

starts = st.one_of(
    st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)).map(lambda at: at.replace(tzinfo=UTC)),
    st.builds(
        lambda at, seconds: at + timedelta(seconds=seconds), st.sampled_from(CHANGES), st.integers(-26 * HOUR_S, HOUR_S)
    ),
    st.sampled_from(LEAP_DAYS),
)
"""Any moment; the hours around a change, in which the day that follows has 23 or 25 hours on the wall; leap days."""


def test_the_hour_changes_twice_a_year() -> None:
    assert len(CHANGES) == 2 * 17


def fired(story: Story) -> list[e.ClockRanOut]:
    facts = [event.fact for event in story.log]
    return [fact for fact in facts if isinstance(fact, e.ClockRanOut) and fact.clock == "service_level"]


def takes_86_400_seconds(start: datetime) -> None:
    story = a_case("call_taking", Universe(wall=start))
    assert dict(story.case.clocks["service_level"].due)[A_DAY_S] - start == timedelta(seconds=A_DAY_S)
    story.universe.pass_(A_DAY_S - 0.000001)
    assert story.rings("service_level", A_DAY_S).last == ()
    story.universe.pass_(0.000001)
    assert story.rings("service_level", A_DAY_S).types[0] == "ClockRanOut"
    assert [(one.after_s, one.late_us) for one in fired(story)] == [(A_DAY_S, 0)]


@settings(deadline=None, max_examples=500)
@given(starts)
@example(datetime(2027, 3, 27, 12, 30, tzinfo=UTC))
@example(datetime(2027, 10, 30, 11, 30, tzinfo=UTC))
@example(datetime(2027, 10, 31, 0, 30, tzinfo=UTC))
@example(datetime(2028, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC))
def test_a_clock_of_24_hours_takes_86_400_seconds(start: datetime) -> None:
    takes_86_400_seconds(start)


@pytest.mark.parametrize("ago_s", [A_DAY_S + 1, A_DAY_S, A_DAY_S - 1, 12 * HOUR_S, HOUR_S, 1, 0])
def test_so_it_does_across_every_change_of_the_hour(ago_s: int) -> None:
    for change in CHANGES:
        takes_86_400_seconds(change - timedelta(seconds=ago_s))


def test_both_half_past_ones_of_the_night_in_october_are_moments_of_their_own() -> None:
    first, second = (datetime(2027, 10, 31, 1, 30, fold=fold, tzinfo=LONDON) for fold in (0, 1))
    assert first == second, "what Python says of them, and why arithmetic is in UTC"
    at = Moment(first.astimezone(UTC), "boot", 0), Moment(second.astimezone(UTC), "boot", HOUR_S * 10**9)
    assert clocks.microseconds(at[0].at, at[1]) == clocks.elapsed_us(*at) == HOUR_S * 1_000_000
    assert wall_clock.moved_us(*at) == 0


@settings(deadline=None, max_examples=500)
@given(starts, st.integers(1, A_DAY_S - 1), st.sampled_from([HOUR_S, -HOUR_S]), st.integers(0, 5_000_000))
def test_a_wall_clock_that_is_set_while_a_clock_runs_hastens_nothing_and_what_fires_fires_once(
    start: datetime, after_s: int, step_s: int, late_us: int
) -> None:
    story = a_case("call_taking", Universe(wall=start))
    story.universe.pass_(after_s)
    before = story.universe.at
    story.universe.step(step_s)
    assert wall_clock.moved_us(before, story.universe.at) == step_s * 1_000_000
    story.universe.pass_(A_DAY_S - after_s - 0.000001)
    assert story.rings("service_level", A_DAY_S).last == ()
    story.universe.pass_(0.000001 + late_us / 1_000_000)
    story.rings("service_level", A_DAY_S)
    assert story.rings("service_level", A_DAY_S).last == ()
    assert [(one.after_s, one.late_us) for one in fired(story)] == [(A_DAY_S, late_us)]


NOW = Moment(FIRST, "boot", 10**12, 3100)


def later(passed_us: int, moved_us: int = 0, **changed: str) -> Moment:
    at = NOW.at + timedelta(microseconds=passed_us + moved_us)
    return replace(NOW, at=at, boottime_ns=NOW.boottime_ns + passed_us * 1000, **changed)


@given(st.integers(0, 366 * A_DAY_S * 1_000_000), st.integers(-500, 500))
def test_slewing_is_no_step_however_long_nobody_looked(passed_us: int, ppm: int) -> None:
    assert wall_clock.moved_us(NOW, later(passed_us, passed_us * ppm // 1_000_000)) == 0


@given(st.integers(0, 82 * A_DAY_S * 1_000_000), st.sampled_from([HOUR_S, -HOUR_S]))
def test_an_hour_is_a_step_although_nobody_looked_for_weeks(passed_us: int, step_s: int) -> None:
    assert wall_clock.moved_us(NOW, later(passed_us, step_s * 1_000_000)) == step_s * 1_000_000


@pytest.mark.parametrize(("moved_us", "told_us"), [(50_500, 0), (50_501, 50_501), (-50_500, 0), (-50_501, -50_501)])
def test_a_second_later_a_step_is_more_than_fifty_milliseconds(moved_us: int, told_us: int) -> None:
    assert wall_clock.moved_us(NOW, later(1_000_000, moved_us)) == told_us


@pytest.mark.parametrize(("behind_us", "told_us"), [(1_000_000, 0), (1_000_001, 1_000_001), (-HOUR_S * 10**6, 0)])
def test_across_boots_a_second_behind_is_the_difference_of_two_machines(behind_us: int, told_us: int) -> None:
    assert wall_clock.behind_us(NOW.at + timedelta(microseconds=behind_us), NOW) == told_us


@pytest.mark.parametrize(
    ("error_us", "untold", "health"),
    [
        (1_500_000, False, "synchronised"),
        (1_500_001, False, "inaccurate"),
        (None, False, "unsynchronised"),
        (None, True, "unknown"),
    ],
)
def test_what_is_said_of_a_clock_depends_on_its_error_bound_and_the_limit(
    error_us: int | None, untold: bool, health: str
) -> None:
    assert wall_clock.health(replace(NOW, error_us=error_us, untold=untold), 1500) == health
