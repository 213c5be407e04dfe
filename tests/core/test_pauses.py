"""Clocks that stand still, and clocks that count only certain time: what they keep, when they fire, what is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from rvr.core import clocks, soundness
from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.moment import Moment, iso, parse_iso
from rvr.core.workflow import ClockDef, Threshold, Trigger, Workflow
from rvr.messages import catalogue
from rvr.store import envelope, projections
from rvr.web import views
from tests.builders import (
    HANDLER,
    OFFICER,
    SERGEANT,
    START,
    Story,
    Universe,
    a_case,
    da_desk,
    then,
    through_the_store,
)
from tests.core.minutes import CHANGES, EVERY_WAY

HOUR = 3600
NEXT_MORNING = "2026-11-23T09:18:04.118221Z"
"""START is a Sunday at 21:18; the desk closes at 23:00 and opens at 07:00: four of its hours end here."""


def returned(after_s: float = 600) -> Story:
    """Back with the officer, after some time with the sergeant."""
    story = a_case("review")
    story.universe.pass_(after_s)
    return story.does(SERGEANT, "return_to_officer", return_reason="details_missing")


def with_clock(**definition: Any) -> Workflow:
    """The shipped workflow and a clock that waits for the case to be voided, and flags after one minute and ten."""
    usual: dict[str, Any] = {"starts": (Trigger("CaseOpened"),), "stops": (Trigger("CaseVoided"),)}
    thresholds = (Threshold(60, say="A minute"), Threshold(600, say="Ten minutes"))
    own = ClockDef("own", "Own", 600, **usual | {"thresholds": thresholds} | definition)
    return replace(da_desk(), clocks={**da_desk().clocks, "own": own})


HELD = {"pauses": (Trigger("DetailsRecorded"),), "resumes": (Trigger("ConsentRefused"),), "why_paused": "Tests"}


def holds(story: Story) -> Story:
    elsewhere = "walsall" if story.case.details["lpa"] == "coventry" else "coventry"
    return story.does(HANDLER, "correct_details", lpa=elsewhere)


def lets_go(story: Story) -> Story:
    return story.does(HANDLER, "record_consent", consent_kind="recording", consent_answer="refused")


def fired(story: Story, clock: str) -> list[tuple[int, str]]:
    facts = [event.fact for event in story.said("ClockRanOut") if isinstance(event.fact, e.ClockRanOut)]
    return [(fact.after_s, fact.due_at) for fact in facts if fact.clock == clock]


# --- Desk hours --------------------------------------------------------------------------------------------------


def test_the_review_counts_the_hours_of_the_desk_and_is_due_next_morning() -> None:
    story = a_case("review")
    assert story.case.clocks["review"].ends_at == NEXT_MORNING
    night = (parse_iso(NEXT_MORNING) - START).total_seconds()
    story.waits(night - 0.000001)
    assert story.rings("review", 14_400).last == ()
    story.universe.pass_(0.000001)
    assert story.rings("review", 14_400).types == ["ClockRanOut"]
    assert fired(story, "review") == [(14_400, NEXT_MORNING)]


def test_the_elapsed_time_of_a_review_leaves_out_the_night() -> None:
    story = a_case("review")
    story.universe.pass_((parse_iso(NEXT_MORNING) - START).total_seconds() - 60)
    change = story.does(SERGEANT, "allocate", team="lpa-coventry").change("review")
    assert (change.elapsed_us, change.verdict) == (14_340_000_000, "met")


def test_a_wall_clock_set_forward_into_the_morning_fires_no_review_early() -> None:
    story = a_case("review")
    story.universe.step(12 * HOUR)
    assert story.rings("review", 14_400).last == ()
    story.universe.pass_((parse_iso(NEXT_MORNING) - START).total_seconds())
    assert story.rings("review", 14_400).types == ["ClockRanOut"]


# --- Pauses by states --------------------------------------------------------------------------------------------


def test_a_review_stands_still_while_the_case_is_back_with_the_officer_and_something_else_watches() -> None:
    story = returned(600)
    paused = story.change("review", "paused")
    assert (paused.elapsed_us, paused.counted_us, paused.due, paused.verdict) == (600_000_000, 600_000_000, (), "")
    then(story).is_in("assessment").runs("review", "assessment")
    assert story.case.clocks["review"].paused
    assert not story.case.clocks["assessment"].paused


def test_what_a_review_has_counted_is_kept_and_the_same_run_goes_on() -> None:
    story = returned(600)
    story.universe.pass_(1800)
    resumed = story.does(OFFICER, "submit_for_review").change("review", "resumed")
    due = iso(parse_iso(NEXT_MORNING) + timedelta(seconds=1800))
    assert (resumed.run, dict(resumed.due)[14_400], resumed.ends_at) == (1, due, due)
    assert story.case.runs["review"] == 1
    story.universe.pass_(300)
    stopped = story.does(SERGEANT, "allocate", team="lpa-coventry").change("review")
    assert (stopped.run, stopped.elapsed_us, stopped.verdict) == (1, 900_000_000, "met")


def test_a_review_never_fires_while_it_stands_still_however_long_that_is() -> None:
    story = returned(600).waits(7 * 24 * HOUR)
    assert fired(story, "review") == []
    assert story.rings("review", 14_400).last == ()
    story.does(OFFICER, "submit_for_review")
    assert story.rings("review", 14_400).last == ()


def test_a_case_that_leaves_by_another_way_than_back_to_review_cancels_the_clock() -> None:
    story = returned().does(OFFICER, "lose_contact", lost_reason="call_cut")
    assert story.change("review").verdict == "cancelled"
    assert story.change("review").elapsed_us == 600_000_000
    then(story).has_stopped("review")


def test_a_first_assessment_has_no_review_to_pause() -> None:
    then(a_case("assessment")).has_stopped("review")
    assert a_case("assessment").case.runs.get("review", 0) == 0


def test_a_clock_that_starts_where_it_stands_still_counts_from_the_first_state_in_which_it_runs() -> None:
    flow = with_clock(paused_in=("call_taking",), why_paused="Tests")
    story = Story(Universe(), workflow=flow).opens()
    assert [c.change for c in story.last[0].clocks if c.clock == "own"] == ["started", "paused"]
    story.waits(601)
    assert fired(story, "own") == []
    story.does(HANDLER, "request_deployment", response_grade="priority", deployment_reason="prefers_in_person")
    now = story.universe.wall
    assert [due for _, due in story.case.clocks["own"].due] == [now + timedelta(seconds=s) for s in (60, 600)]


# --- Pauses by facts ---------------------------------------------------------------------------------------------


def test_a_fact_pauses_and_a_fact_resumes_and_what_has_fired_does_not_fire_again() -> None:
    story = Story(Universe(), workflow=with_clock(**HELD)).opens().waits(100)
    assert [after_s for after_s, _ in fired(story, "own")] == [60]
    holds(story).waits(5000)
    holds(story)  # a second time changes nothing
    assert [change for event in story.last for change in event.clocks if change.clock == "own"] == []
    lets_go(story)
    due = story.universe.wall + timedelta(seconds=500)
    assert story.case.clocks["own"].due == ((600, due),)
    story.waits(500)
    assert fired(story, "own")[1:] == [(600, iso(due))]
    story.universe.pass_(1)
    change = story.does(SERGEANT, "void", void_reason="test").change("own")
    assert (change.elapsed_us, change.verdict) == (601_000_000, "breached")


def test_a_paused_clock_that_is_stopped_keeps_what_it_had_counted() -> None:
    story = holds(Story(Universe(), workflow=with_clock(**HELD)).opens().waits(100)).waits(5000)
    assert story.does(SERGEANT, "void", void_reason="test").change("own").elapsed_us == 100_000_000


def test_a_start_that_ends_a_pause_goes_on_and_one_while_it_runs_or_stands_still_begins_anew() -> None:
    starts = (Trigger("CaseOpened"), Trigger("ConsentRefused"), Trigger("ConsentGiven"))
    story = Story(Universe(), workflow=with_clock(**HELD, starts=starts)).opens().waits(50)
    lets_go(holds(story))
    assert story.case.clocks["own"].run == 1
    story.does(HANDLER, "record_consent", consent_kind="recording", consent_answer="given")
    assert story.case.clocks["own"].run == 2
    holds(story).does(HANDLER, "record_consent", consent_kind="video", consent_answer="given")
    assert story.case.clocks["own"].run == 3


def test_a_promise_that_stands_still_is_brought_forward_and_never_put_off() -> None:
    by: dict[str, Any] = {
        "starts": (Trigger("DeploymentRequested"), Trigger("HandoverDiverted")),
        "by": "response_grade",
        "targets": {"immediate": 900, "priority": 3600, "other": 86_400},
        "thresholds": (Threshold(0, say="Late"),),
        "paused_in": ("deployment",),
        "why_paused": "Tests",
    }
    flow, moment = with_clock(**by), Universe().at
    case = Case("1", state="handover")

    def asked(grade: str, state: str, after_s: float) -> list[tuple[str, int]]:
        nonlocal case
        at = Moment(moment.at + timedelta(seconds=after_s), moment.boot, moment.boottime_ns + int(after_s * 10**9))
        fact = e.HandoverDiverted(response_grade=grade)
        changed = clocks.changes(flow, case, fact, state, at, {"response_grade": grade})
        case = apply(case, e.Event(fact, state, at, "bot", "bot", clocks=changed))
        return [(change.change, change.target_s) for change in changed if change.clock == "own"]

    assert asked("priority", "handover", 0) == [("started", 3600)]
    assert asked("other", "deployment", 600) == [("paused", 3600)]
    assert asked("other", "deployment", 9000) == []
    assert asked("immediate", "deployment", 9000) == [("stopped", 3600), ("started", 900), ("paused", 900)]
    assert asked("other", "handover", 10_000) == [("resumed", 900)]
    assert case.clocks["own"].ends_at == iso(moment.at + timedelta(seconds=10_900))


# --- Clocks that are set, machines that start again --------------------------------------------------------------


@pytest.mark.parametrize("step_s", [HOUR, -HOUR])
def test_a_wall_clock_set_before_a_pause_neither_hastens_nor_delays_what_comes_after_it(step_s: int) -> None:
    story = Story(Universe(), workflow=with_clock(**HELD)).opens()
    story.universe.pass_(50)
    story.universe.step(step_s)
    paused = holds(story).change("own", "paused")
    assert (paused.elapsed_us, paused.counted_us) == (50_000_000, 50_000_000)
    lets_go(story)
    story.universe.pass_(9.999999)
    assert story.rings("own", 60).last == ()
    story.universe.pass_(0.000001)
    assert story.rings("own", 60).types == ["ClockRanOut"]
    assert story.does(SERGEANT, "void", void_reason="test").change("own").verdict in ("uncertain", "breached")
    assert paused.verdict == "uncertain"


def test_doubt_from_before_a_pause_stays_with_the_verdict() -> None:
    story = Story(Universe(), workflow=with_clock(**HELD)).opens()
    story.universe.step(2)
    lets_go(holds(story))
    story.universe.pass_(5)
    assert story.does(SERGEANT, "void", void_reason="test").change("own").verdict == "uncertain"


def test_a_wall_clock_set_during_a_pause_counts_for_nothing_and_leaves_no_doubt() -> None:
    story = holds(Story(Universe(), workflow=with_clock(**HELD)).opens().waits(50))
    story.universe.step(3 * HOUR)
    story.universe.pass_(20)
    lets_go(story)
    assert story.rings("own", 60).last == ()
    story.universe.pass_(10)
    assert story.rings("own", 60).types == ["ClockRanOut"]
    change = story.does(SERGEANT, "void", void_reason="test").change("own")
    assert (change.elapsed_us, change.verdict) == (60_000_000, "met")


def test_a_wall_clock_set_forward_after_a_pause_fires_nothing_early() -> None:
    story = lets_go(holds(Story(Universe(), workflow=with_clock(**HELD)).opens().waits(50)))
    story.universe.step(HOUR)
    story.universe.pass_(9)
    assert story.rings("own", 60).last == ()
    story.universe.pass_(1)
    assert story.rings("own", 60).types == ["ClockRanOut"]


def test_a_machine_that_starts_again_during_a_pause_loses_nothing() -> None:
    story = holds(Story(Universe(), workflow=with_clock(**HELD)).opens().waits(50))
    story.universe.restart()
    story.universe.pass_(500)
    lets_go(story)
    story.universe.step(HOUR)  # within the new boot its own clock decides
    story.universe.pass_(9.999999)
    assert story.rings("own", 60).last == ()
    story.universe.pass_(0.000001)
    assert story.rings("own", 60).types == ["ClockRanOut"]


def test_after_a_restart_while_it_runs_the_wall_clock_says_what_has_been_counted() -> None:
    story = Story(Universe(), workflow=with_clock(**HELD)).opens()
    story.universe.pass_(20)
    story.universe.restart()
    story.universe.pass_(20)
    assert holds(story).change("own", "paused").counted_us == 40_000_000


# --- Any run, any pauses, through the real decisions -------------------------------------------------------------


@pytest.mark.parametrize("way", EVERY_WAY)
def test_any_clock_with_any_pauses_steps_and_restarts_is_counted_as_minutes_are(way: str) -> None:
    """Over every change of the hour. The wall clock is set only while the clock stands still."""
    counts, hours, made = EVERY_WAY[way]
    minutes, dice = made(), Random(way)
    flow = replace(da_desk(), force=replace(da_desk().force, hours=hours))
    own = with_clock(counts=counts, **HELD).clocks["own"]
    for number in range(700):
        target_s = dice.randrange(4 * 86_400)
        thresholds = (Threshold(target_s, say=""),)
        told = replace(flow, clocks={"own": replace(own, target_s=target_s, thresholds=thresholds)})
        universe = Universe(CHANGES[number % 34] - timedelta(seconds=dice.randrange(4 * 86_400_000) / 1000))
        case = Case("1", state="call_taking")

        def happens(fact: e.Fact, case: Case, told: Workflow = told, universe: Universe = universe) -> Case:
            changed = clocks.changes(told, case, fact, "call_taking", universe.at, {})
            return apply(case, e.Event(fact, "call_taking", universe.at, "x", "x", clocks=changed))

        case, left_us = happens(OPENED, case), target_s * 1_000_000
        for _ in range(dice.randrange(4)):
            since, ran = universe.wall, case.clocks["own"]
            universe.pass_(dice.randrange(86_400_000) / 1000)
            counted_us = minutes.counted_us(since, universe.wall)
            assert clocks.is_due(ran, target_s, universe.at) == (counted_us >= left_us)
            if counted_us >= left_us:
                break
            left_us -= counted_us
            case = happens(PAUSES, case)
            assert not clocks.is_due(case.clocks["own"], target_s, universe.at)
            universe.pass_(dice.randrange(86_400_000) / 1000)
            if dice.random() < 0.3:
                universe.restart()
            if dice.random() < 0.3:
                universe.step(dice.randrange(-HOUR, HOUR))
            case = happens(RESUMES, case)
        running = case.clocks["own"]
        ((_, due),) = running.due
        assert minutes.is_first_with(due, running.since, left_us)
        assert running.ends_at == iso(due)
        assert (case.clocks["own"].run, running.counted_us) == (1, target_s * 1_000_000 - left_us)


OPENED = e.CaseOpened(workflow="da-desk", reference="K7Q", details={}, victim_id="v", suspect_id="s")
PAUSES, RESUMES = e.DetailsRecorded(details={}), e.ConsentRefused(kind="recording", wording="1")


# --- What is stored and shown ------------------------------------------------------------------------------------


def test_a_log_from_before_clocks_could_pause_is_read_as_it_was_meant() -> None:
    old = {"clock": "handover", "run": 1, "change": "started", "at": iso(START), "target_s": 180}
    change = envelope._clock(old | {"due": [[180, iso(START)]], "elapsed_us": None, "verdict": ""})
    assert change == e.ClockChange("handover", 1, "started", iso(START), 180, ((180, iso(START)),))
    assert (change.counts, change.counted_us, change.ends_at) == ("always", 0, "")


def test_a_pause_comes_back_from_the_store_as_it_went_in() -> None:
    story = returned().does(OFFICER, "submit_for_review")
    assert through_the_store(story.log) == story.log


def test_a_paused_clock_has_no_row_that_could_fall_due_and_its_case_says_that_it_is_paused() -> None:
    story = returned()
    assert {row.clock for row in projections.clock_rows(story.case)} == set(story.case.clocks) - {"review"}
    told = {clock["clock"]: clock for clock in projections.case_row(story.case, 1).clocks}
    assert (told["review"]["paused"], told["review"]["due"], told["review"]["ends_at"]) == (True, [], "")
    assert not told["assessment"]["paused"]


def test_a_row_tells_when_it_is_due_by_the_clock_of_the_boot_whatever_time_counts() -> None:
    """As the ticker reads it: `after_s` behind `boottime_ns`."""
    story = returned()
    story.universe.pass_(1800)
    story.does(OFFICER, "submit_for_review")
    row = next(row for row in projections.clock_rows(story.case) if row.clock == "review")
    story.universe.pass_((parse_iso(row.due_at) - story.universe.wall).total_seconds())
    assert story.universe.boottime_ns == row.boottime_ns + row.after_s * 1_000_000_000


def test_a_screen_shows_that_a_clock_is_paused_and_why_and_the_board_goes_by_those_that_run() -> None:
    story = returned()
    shown = {c["id"]: c for c in views.outline(story.case, story.workflow, catalogue())["clocks"]}
    review, assessment = shown["review"], shown["assessment"]
    assert (review["paused"], review["due_at"]) == (True, None)
    assert review["why_paused"] == story.workflow.clocks["review"].why_paused
    assert (assessment["paused"], assessment["why_paused"]) == (False, "")
    row = views.board_row(projections.case_row(story.case, 1), story.workflow, {}, catalogue())
    assert row["clocks"][-1]["id"] == "review"
    assert views.board_order(row)[2] == row["clocks"][0]["due_at"]
    story.does(OFFICER, "submit_for_review")
    shown = {c["id"]: c for c in views.outline(story.case, story.workflow, catalogue())["clocks"]}
    assert shown["review"]["due_at"] == NEXT_MORNING


# --- Faults of a definition --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "fault"),
    [
        ({"counts": "sundays"}, "`counts` is none of always, desk_hours, working_days"),
        ({"paused_in": ("review",)}, "a pause and `why_paused` need each other"),
        ({"why_paused": "Because"}, "a pause and `why_paused` need each other"),
        ({**HELD, "why_paused": ""}, "a pause and `why_paused` need each other"),
        ({**HELD, "resumes": ()}, "`pauses` and `resumes` need each other"),
        ({**HELD, "pauses": (), "why_paused": ""}, "`pauses` and `resumes` need each other"),
        ({**HELD, "paused_in": ("review",)}, "stands still by `paused_in` or by `pauses`, not by both"),
        (
            {"runs_in": ("review",), "paused_in": ("review",), "why_paused": "Because"},
            "cannot both run and stand still in `review`",
        ),
        (
            {"until_fact": "state", "counts": "working_days"},
            "a time that was agreed on is not moved by `counts` or by a pause",
        ),
        ({"paused_in": ("revue",), "why_paused": "Because"}, "unknown state `revue`"),
        ({**HELD, "resumes": (Trigger("Nothing"),)}, "unknown event `Nothing`"),
    ],
)
def test_a_clock_that_cannot_count_as_it_is_told_to_is_a_fault(definition: dict[str, Any], fault: str) -> None:
    assert f"da-desk/clocks.toml: own: {fault}" in soundness.faults_of(with_clock(**definition))


def test_a_clock_that_stands_still_in_a_state_or_at_somebodys_word_does_not_watch_it() -> None:
    clocks_of = da_desk().clocks
    paused = replace(clocks_of["assessment"], **HELD)
    flow = replace(da_desk(), clocks={**clocks_of, "assessment": paused})
    found = soundness.faults_of(flow)
    assert any(fault.endswith("assessment: an open state without a running clock") for fault in found), found


def test_hours_that_nothing_can_be_counted_by_are_faults_of_the_force() -> None:
    force = da_desk().force
    hours = replace(force.hours, zone="Europe/Lodon", holidays=frozenset({"2026-12-25", datetime(2026, 1, 1)}))  # type: ignore[arg-type]  # noqa: DTZ001
    found = soundness.faults_of(replace(da_desk(), force=replace(force, hours=hours)))
    assert "forces/wmp.toml: hours: unknown zone `Europe/Lodon`" in found
    assert any("`holidays` must be dates" in fault for fault in found)
