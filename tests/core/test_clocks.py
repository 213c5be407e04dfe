"""Clocks: never early, once, with their lateness; seconds are seconds on the days when the hour changes, too."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from rvr.core import clocks
from rvr.core import events as e
from rvr.core.force import Hours
from rvr.core.moment import Moment, iso, parse_iso
from tests.builders import HANDLER, SERGEANT, Story, Universe, a_case, then


def test_a_threshold_does_not_fire_before_its_time_not_even_by_a_microsecond() -> None:
    story = a_case("handover")
    story.universe.pass_(299.999999)
    assert story.rings("handover", 300).last == ()
    story.universe.pass_(0.000001)
    assert story.rings("handover", 300).types == ["ClockRanOut", "AlarmRaised"]


def test_a_wall_clock_set_forward_fires_nothing_early() -> None:
    story = a_case("handover")
    story.universe.step(3600)
    assert story.rings("handover", 300).last == ()
    story.universe.pass_(300)
    assert story.rings("handover", 300).types[0] == "ClockRanOut"


def test_a_wall_clock_set_back_neither_hastens_nor_delays_a_deadline_and_leaves_the_duration_in_doubt() -> None:
    story = a_case("handover")
    story.universe.step(-3600)
    story.universe.pass_(299)
    assert story.rings("handover", 300).last == ()
    story.universe.pass_(1)
    assert story.rings("handover", 300).types[0] == "ClockRanOut"
    story.does(SERGEANT, "accept_handover")
    assert (story.change("handover").elapsed_us, story.change("handover").verdict) == (300_000_000, "uncertain")


def test_a_wall_clock_that_went_back_across_a_restart_leaves_the_duration_in_doubt() -> None:
    story = a_case("handover")
    story.universe.restart()
    story.universe.step(-60)
    story.universe.pass_(30)
    story.does(SERGEANT, "accept_handover")
    assert (story.change("handover").elapsed_us, story.change("handover").verdict) == (-30_000_000, "uncertain")


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_how_late_a_threshold_fires_is_told_by_the_clock_that_never_steps(step_s: int) -> None:
    story = a_case("handover")
    story.universe.step(step_s)
    story.universe.pass_(300.25)
    (ran_out,) = (event.fact for event in story.rings("handover", 300).last if event.type == "ClockRanOut")
    assert isinstance(ran_out, e.ClockRanOut)
    assert ran_out.late_us == 250_000


def test_after_a_restart_of_the_machine_the_wall_clock_alone_decides() -> None:
    story = a_case("handover")
    story.universe.pass_(120)
    story.universe.restart()
    story.universe.pass_(179)
    assert story.rings("handover", 300).last == ()
    story.universe.pass_(1)
    assert story.rings("handover", 300).types[0] == "ClockRanOut"


def test_a_threshold_fires_once() -> None:
    story = a_case("handover").waits(300)
    assert story.rings("handover", 300).last == ()
    assert [event.fact.after_s for event in story.said("ClockRanOut")] == [180, 300]  # type: ignore[attr-defined]


def test_a_late_threshold_says_how_late_it_is_and_when_it_was_due() -> None:
    story = a_case("handover")
    due = story.universe.wall + timedelta(seconds=300)
    story.universe.pass_(300.25)
    ran_out = story.rings("handover", 300).last[0].fact
    assert ran_out == e.ClockRanOut(
        clock="handover", run=1, after_s=300, due_at=iso(due), late_us=250_000, did="nudge_handover"
    )


def test_a_threshold_of_a_stopped_clock_or_of_an_earlier_run_does_nothing() -> None:
    story = a_case("handover")
    first = story.case.clocks["handover"]
    story.does(SERGEANT, "accept_handover")
    story.universe.pass_(900)
    assert story.rings("handover", 300).last == ()
    story = a_case("handover").does(SERGEANT, "decline_handover", decline_reason="more_information")
    story.does(HANDLER, "offer_handover")
    assert story.case.clocks["handover"].run == first.run + 1
    story.universe.pass_(300)
    assert story.rings("handover", 300, run=first.run).last == ()
    assert story.rings("handover", 300).types[0] == "ClockRanOut"


def test_a_threshold_without_a_move_or_whose_move_is_closed_only_flags() -> None:
    story = a_case("handover").waits(600)
    flags = [event.fact for event in story.last if isinstance(event.fact, e.ClockRanOut)]
    assert [(flag.clock, flag.did) for flag in flags if not flag.did] == [("handover", ""), ("transfer", "")]
    then(story).is_in("handover")


@pytest.mark.parametrize(
    ("opened", "local_hours"),
    [("2026-10-24T12:00:00+01:00", 23), ("2027-03-27T12:00:00+00:00", 25), ("2026-11-22T21:18:04+00:00", 24)],
)
def test_twenty_four_hours_are_86400_seconds_when_the_hour_changes(opened: str, local_hours: int) -> None:
    """On the wall in Birmingham that is an hour less in October, an hour more in March."""
    from zoneinfo import ZoneInfo

    start = parse_iso(opened)
    story = Story(Universe(wall=start)).opens()
    ((after_s, due),) = story.case.clocks["service_level"].due
    assert (after_s, due) == (86_400, start + timedelta(seconds=86_400))
    local = ZoneInfo("Europe/London")
    walls = [at.astimezone(local).replace(tzinfo=None) for at in (start, due)]
    assert walls[1] - walls[0] == timedelta(hours=local_hours)
    story.universe.pass_(86_399.999999)
    assert story.rings("service_level", 86_400).last == ()
    story.universe.pass_(0.000001)
    assert story.rings("service_level", 86_400).types == ["ClockRanOut"]


@pytest.mark.parametrize(
    ("opens", "closes", "open_at", "closed_at"),
    [("07:00", "23:00", ["07:00", "22:59"], ["06:59", "23:00"]), ("22:00", "06:00", ["22:00", "05:59"], ["06:00"])],
)
def test_hours_are_the_forces_own_and_may_pass_midnight(
    opens: str, closes: str, open_at: list[str], closed_at: list[str]
) -> None:
    """In July the force's clocks are an hour ahead of UTC."""
    hours = Hours(time.fromisoformat(opens), time.fromisoformat(closes), "Europe/London")

    def at(local: str) -> Moment:
        return Moment(datetime.fromisoformat(f"2026-07-01T{local}:00+01:00").astimezone(UTC), "b", 0)

    assert all(clocks.is_open(hours, at(local)) for local in open_at)
    assert not any(clocks.is_open(hours, at(local)) for local in closed_at)


def test_times_are_written_in_one_form_that_sorts_and_reads_back() -> None:
    early = datetime(1, 1, 1, tzinfo=UTC)
    assert iso(early) == "0001-01-01T00:00:00.000000Z"
    assert parse_iso(iso(early)) == early
    assert iso(parse_iso("2026-11-22T23:18:04+02:00")) == "2026-11-22T21:18:04.000000Z"
    with pytest.raises(ValueError, match="time zone"):
        parse_iso("2026-11-22T21:18:04")
