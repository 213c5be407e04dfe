"""How many officers a shift needs: the queue against the formulas where they hold, and against sense elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import cache
from random import Random
from typing import Any

import pytest

from rvr import cli
from rvr.core.force import Hours
from rvr.simulation import staffing
from rvr.simulation.callers import Caller, a_caller
from rvr.simulation.erlang import waiting_a
from rvr.simulation.estimates import of_count, of_runs, of_shares, student
from rvr.simulation.population import Population, load
from rvr.simulation.queue import Queue, Seen, Shift
from rvr.simulation.stages import Stages, stages_of
from tests.builders import da_desk

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
EARLY, LATE = Shift(time(7), time(15), 0), Shift(time(15), time(23), 0)
LONDON = Hours(time(7), time(23), "Europe/London")
ASKED = staffing.Asked()


@pytest.mark.parametrize(
    ("freedom", "two_sided_95", "two_sided_99"),
    [
        (1, 12.706, 63.657),
        (2, 4.303, 9.925),
        (4, 2.776, 4.604),
        (9, 2.262, 3.250),
        (19, 2.093, 2.861),
        (100, 1.984, 2.626),
    ],
)
def test_students_t_as_in_its_tables(freedom: int, two_sided_95: float, two_sided_99: float) -> None:
    assert student(0.95, freedom) == pytest.approx(two_sided_95, abs=6e-4)
    assert student(0.99, freedom) == pytest.approx(two_sided_99, abs=6e-4)


def test_an_interval_holds_what_it_promises() -> None:
    """Of 1,000 intervals of ten runs each, about 950 hold the true mean."""
    dice = Random(1)
    held = [of_runs([dice.gauss(5, 2) for _ in range(10)]) for _ in range(1000)]
    assert 935 <= sum(one.low <= 5 <= one.high for one in held) <= 965
    one = of_count(81, 263)  # Newcombe 1998, table I: 0.2553 to 0.3662
    assert (round(one.low, 4), round(one.high, 4)) == (0.2553, 0.3662)


def test_a_share_of_runs_that_do_not_differ_is_as_sure_as_its_callers_are_many() -> None:
    assert of_shares([]) is of_shares([(0, 0), (0, 0)]) is None
    assert of_shares([(1, 1), (1, 1)]) == of_shares([(2, 2), (0, 0)]) == of_count(2, 2), "two callers prove little"
    assert of_shares([(30, 40), (3, 4)]) == of_count(33, 44)
    assert of_shares([(9, 10), (8, 10), (0, 0)]) == of_runs([0.9, 0.8])


# --- The queue -----------------------------------------------------------------------------------------------------


SOMEBODY = a_caller(load(), 0, MONDAY, 1, "video")


def plain(number: int, at: datetime, session_s: float, patience_s: float = 1e9) -> Caller:
    """A caller who takes no time but the officer's."""
    free = {"fails": "", "consents": True, "duplicate": False, "drop": "", "wrap_up_s": 0.0}
    stages = dict.fromkeys(SOMEBODY.stages, 0.0)
    told = {"number": number, "at": at, "session_s": session_s, "patience_s": patience_s, "stages": stages}
    return replace(SOMEBODY, **free, **told)


def became(crowd: list[Caller], *shifts: Shift) -> dict[int, Seen]:
    """What the shipped workflow makes of them, by number."""
    queue = Queue(stages_of(da_desk()), LONDON, shifts)
    return {one.number: one for one in queue.run(crowd, MONDAY, MONDAY + timedelta(days=2))}


def test_without_hours_and_with_the_formulas_own_dice_it_is_erlang_a() -> None:
    dice, at, crowd = Random(5), MONDAY, list[Caller]()
    load_, service_s, patience_s, officers = 5.0, 3000.0, 1200.0, 6
    for number in range(40_000):
        at += timedelta(seconds=dice.expovariate(load_ / service_s))
        crowd.append(plain(number, at, dice.expovariate(1 / service_s), dice.expovariate(1 / patience_s)))
    shift = Shift(time(0), time(0), officers)
    hours = replace(LONDON, opens=time(0), closes=time(0), zone="UTC")
    seen = list(Queue(Stages(None, None, True, 600), hours, [shift]).run(crowd, MONDAY, at + timedelta(days=2)))
    told = waiting_a(officers, load_, service_s, patience_s, 600)
    assert len(seen) == len(crowd)
    served = [one for one in seen if one.ended == "video"]
    assert 1 - len(served) / len(seen) == pytest.approx(told.leaves, abs=0.015)
    assert sum(one.waited_s <= 600 for one in served) / len(seen) == pytest.approx(told.within, abs=0.015)


def test_who_offers_first_is_taken_first_and_an_officer_ends_what_is_begun_after_the_shift() -> None:
    at, shifts = MONDAY + timedelta(hours=14), (replace(EARLY, officers=1), replace(LATE, officers=1))
    seen = became([plain(n, at + timedelta(minutes=n), 7200) for n in range(2)], *shifts)
    assert (seen[0].ended, seen[0].waited_s, seen[0].held_s) == ("video", 0, 7200)
    assert (seen[1].ended, seen[1].waited_s) == ("timed_out", 1800), "the workflow takes the offer back"
    later = [plain(2, at + timedelta(minutes=50), 600), plain(3, at + timedelta(minutes=51), 600)]
    seen = became([plain(0, at, 7200), *later], *shifts)
    assert (seen[2].ended, seen[2].waited_s) == ("video", 600), "the late officer comes while the early one speaks"
    assert (seen[3].ended, seen[3].waited_s) == ("video", 540 + 600)


def test_whom_a_call_holds_at_the_next_beginning_is_not_there_a_second_time() -> None:
    midnight = MONDAY + timedelta(days=1)
    crowd = [plain(0, midnight - timedelta(hours=1), 7200), plain(1, midnight + timedelta(minutes=50), 600)]
    always = Shift(time(0), time(0), 1)
    assert became(crowd, always)[1].waited_s == 600
    late, over = Shift(time(15), time(0), 1), Shift(time(0), time(8), 1)
    assert became(crowd, late, over)[1].waited_s == 0, "these are two people"
    long = plain(2, MONDAY + timedelta(hours=14, minutes=59), 17 * 3600)
    seen = became([long, plain(3, midnight + timedelta(hours=7, minutes=50), 60)], replace(EARLY, officers=1))
    assert seen[3].waited_s == 540, "a call that goes on through the night"


def test_nobody_is_offered_a_closed_desk_and_who_waits_at_closing_time_is_told() -> None:
    night, evening = plain(0, MONDAY + timedelta(hours=3), 600), MONDAY + timedelta(hours=22, minutes=50)
    seen = became([night, plain(1, evening, 7200), plain(2, evening, 7200)], replace(LATE, officers=1))
    assert {number: one.ended for number, one in seen.items()} == {1: "video", 2: "closed"}


def test_a_caller_whose_patience_ends_is_lost_and_frees_the_place_in_the_queue() -> None:
    at = MONDAY + timedelta(hours=9)
    crowd = [plain(0, at, 900), plain(1, at, 900, patience_s=60), plain(2, at, 900)]
    seen = became(crowd, replace(EARLY, officers=1))
    assert (seen[1].ended, seen[1].waited_s) == ("left", 60)
    assert (seen[2].ended, seen[2].waited_s) == ("video", 900)


def test_a_shift_lasts_from_wall_clock_to_wall_clock_when_the_hour_changes() -> None:
    night = Shift(time(23), time(7), 1)
    begins, ends = night.on(datetime(2026, 3, 28, tzinfo=UTC).date(), LONDON)
    assert ends - begins == timedelta(hours=7)
    begins, ends = night.on(datetime(2026, 10, 24, tzinfo=UTC).date(), LONDON)
    assert ends - begins == timedelta(hours=9)
    assert night.holds(datetime(2026, 1, 1, 2, tzinfo=UTC), LONDON)
    assert not night.holds(datetime(2026, 1, 1, 12, tzinfo=UTC), LONDON)


# --- The search ----------------------------------------------------------------------------------------------------


def a_desk(population: Population | None = None, days: float = 14, runs: int = 6) -> staffing.Desk:
    return staffing.Desk(stages_of(da_desk()), LONDON, population or load(), MONDAY, days, runs, 1)


@cache
def found() -> tuple[staffing.Desk, staffing.Answer]:
    desk = a_desk()
    return desk, staffing.with_one_fewer(desk, staffing.fewest(desk, (EARLY, LATE), ASKED, lambda _: None), ASKED)


def test_the_answer_is_enough_and_one_fewer_is_not() -> None:
    _, answer = found()
    assert answer.enough(ASKED)
    for figure, fewer in zip(answer.by_shift, answer.fewer, strict=True):
        assert figure.within.low >= 0.95
        assert fewer is not None
        assert fewer.low < 0.95
    early, late = answer.shifts
    assert early.officers <= late.officers, "more call in the evening"


def test_the_formulas_say_about_the_same_of_a_desk_that_is_like_them() -> None:
    desk, answer = found()
    for figure in answer.by_shift:
        beside = staffing.beside(figure, desk, ASKED)
        assert beside is not None
        assert abs(beside.officers - figure.officers) <= 1
        assert beside.impatient.within == pytest.approx(figure.within.value, abs=0.02)


def test_more_work_needs_more_officers_and_fewer_callers_fewer() -> None:
    _, answer = found()
    usual = sum(shift.officers for shift in answer.shifts)
    busier = a_desk(load().changed(contacts_per_day=380))
    more = staffing.fewest(busier, (EARLY, LATE), ASKED, lambda _: None)
    assert sum(shift.officers for shift in more.shifts) > usual
    quieter = a_desk(load().changed(contacts_per_day=40))
    assert (
        sum(shift.officers for shift in staffing.fewest(quieter, (EARLY, LATE), ASKED, lambda _: None).shifts) < usual
    )


def test_a_desk_that_never_closes_is_counted_once_it_is_warm() -> None:
    days = a_desk(days=7, runs=3)
    answer = staffing.figures(days, [Shift(time(0), time(0), 12)], ASKED)
    (figure,) = answer.by_shift
    expected = 190 * 0.24 * 0.75 * 0.98 / 24
    assert figure.an_hour.value == pytest.approx(expected, rel=0.12)
    assert all(one.offered_at >= MONDAY for run in days.play([Shift(time(0), time(0), 12)]) for one in run)


def test_an_officer_of_shifts_that_overlap_is_busy_with_whom_that_shift_took_and_the_hours_count_once() -> None:
    """Each caller of the two shared hours is bound to one officer and not to one of either shift."""
    shifts = (Shift(time(7), time(17), 2), Shift(time(14), time(0), 3))
    desk = a_desk(days=7, runs=2)
    answer, runs = staffing.figures(desk, shifts, ASKED), list(desk.play(shifts))
    bound_s = sum(one.held_s for run in runs for one in run)
    told_s = sum(one.busy.value * one.officers * 10 * 3600 * 7 * 2 for one in answer.by_shift)
    assert told_s == pytest.approx(bound_s)
    assert answer.whole.busy.value == pytest.approx(bound_s / (50 * 3600 * 7 * 2))
    assert answer.whole.an_hour.value == pytest.approx(sum(map(len, runs)) / (17 * 7 * 2)), "07:00 to midnight"
    assert all(staffing.beside(one, desk, ASKED) is None for one in answer.by_shift), "the formulas know one row"
    apart = staffing.figures(desk, (Shift(time(7), time(14), 2), Shift(time(14), time(0), 3)), ASKED)
    assert all(staffing.beside(one, desk, ASKED) for one in apart.by_shift)
    night = staffing.figures(desk, (Shift(time(22), time(6), 2), Shift(time(5), time(13), 2)), ASKED)
    assert not any(one.alone for one in night.by_shift)


def test_what_too_few_callers_cannot_tell_is_said_and_no_officer_is_added_for_it() -> None:
    rare = a_desk(load().changed(contacts_per_day=10), days=1, runs=2)
    with pytest.raises(staffing.NotEnough, match=r"handovers?, all in time, are too few to show 95%"):
        staffing.fewest(rare, (EARLY, LATE), ASKED, lambda _: None)
    nobody = a_desk(load().changed(contacts_per_day=0.001), days=1, runs=2)
    with pytest.raises(staffing.NotEnough, match="Nobody was offered"):
        staffing.fewest(nobody, (EARLY, LATE), ASKED, lambda _: None)
    empty = staffing.figures(nobody, [Shift(time(7), time(15), 1)], ASKED)
    assert not empty.enough(ASKED), "nobody shows nothing"


def test_what_no_number_of_officers_does_is_said() -> None:
    """A desk that is open for an hour, and calls of which most are offered to it when that is over."""
    slow = load().changed(transfer={"median_s": 20_000, "sigma": 0.1})
    with pytest.raises(staffing.NotEnough, match="do not reach 95%"):
        staffing.fewest(a_desk(slow, days=7, runs=2), [Shift(time(7), time(8), 0)], ASKED, lambda _: None)


# --- The verb ------------------------------------------------------------------------------------------------------

QUICK = ["staffing", "--days", "7", "--runs", "4", "--seed", "3"]


def test_the_verb_answers_with_intervals_beside_the_formulas(capsys: Any) -> None:
    assert cli.main([*QUICK, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["shift"] for one in told["shifts"]] == ["07:00-15:00", "15:00-23:00"]
    for one in told["shifts"]:
        assert 0.95 <= one["within"]["low"] <= one["within"]["value"] <= one["within"]["high"]
        assert one["formulas"]["erlang_c_officers"] >= 1
    assert told["population"]["session"]["tag"] == "F/assumed"


def test_what_ifs_change_the_question(capsys: Any) -> None:
    def asked(*options: str) -> dict[str, Any]:
        cli.main([*QUICK, "--shift", "07:00-15:00=4", "--shift", "15:00-23:00=5", "--json", *options])
        return dict(json.loads(capsys.readouterr().out))

    usual, longer = asked(), asked("--session-minutes", "90")
    grown, christmas = asked("--years", "5"), asked("--christmas")
    assert longer["all"]["held_s"] > usual["all"]["held_s"] + 1_500
    assert grown["all"]["an_hour"]["value"] == pytest.approx(usual["all"]["an_hour"]["value"] * 1.05**5, rel=0.12)
    assert christmas["start"] == "2026-12-24"
    assert christmas["all"]["an_hour"]["value"] > usual["all"]["an_hour"]["value"] * 1.3
    assert not longer["enough"]


def test_a_shift_in_which_nobody_calls_has_no_share_and_what_has_no_interval_is_null(capsys: Any) -> None:
    rare = ["staffing", "--contacts", "3", "--days", "2", "--runs", "3"]
    shifts = [f"--shift={one}=1" for one in ("07:00-15:00", "15:00-23:00", "23:00-07:00")]
    assert cli.main([*rare, *shifts]) == 1
    assert "no offers" in next(line for line in capsys.readouterr().out.splitlines() if line.startswith("07:00"))

    def no_number(told: str) -> None:
        raise AssertionError(f"{told} is no JSON")

    cli.main([*rare, *shifts, "--json"])
    first, _, night = json.loads(capsys.readouterr().out, parse_constant=no_number)["shifts"]
    assert (first["offers"], first["within"]) == (0, None)
    assert (night["offers"], night["waited_s"]) == (1, {"value": 0.0, "low": None, "high": None})


def test_a_roster_that_is_not_enough_ends_with_one_and_says_so(capsys: Any) -> None:
    assert cli.main([*QUICK, "--shift", "07:00-15:00=1", "--shift", "15:00-23:00=1"]) == 1
    said = capsys.readouterr().out
    assert "not enough" in said
    assert "assumed, not measured" in said
    assert cli.main([*QUICK, "--hours", "08:00-20:00", "--shift", "07:00-15:00"]) == 1
    assert "give one of them" in capsys.readouterr().err
