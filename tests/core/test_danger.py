"""Lost contact, officers in person, and emergency: safety before everything."""

from __future__ import annotations

import pytest

from rvr.core import events as e
from rvr.core.commands import THE_MEDIA
from tests.builders import (
    HANDLER,
    OFFICER,
    OFFICER_2,
    RESOURCING,
    SERGEANT,
    THE_VICTIM,
    WAYS,
    Story,
    Universe,
    a_case,
    all_met,
    da_desk,
    person,
    plans,
    risk,
    then,
)

OPEN = [state.id for state in da_desk().states.values() if state.open]
SENT = {"response_grade": "priority", "deployment_reason": "lost_contact"}
SPECIALIST = person("cass", "control_room_specialist")


@pytest.mark.parametrize("state", OPEN)
def test_emergency_is_one_press_in_every_open_state_for_all_who_work_on_a_call(state: str) -> None:
    for who in (HANDLER, SERGEANT, OFFICER, RESOURCING, SPECIALIST):
        story = a_case(state)
        before, officer = story.case.state, (story.case.officer, story.case.engaged)
        story.does(who, "dispatch_emergency")
        then(story).is_in(before).is_an_emergency().runs("emergency_attendance")
        assert (story.case.officer, story.case.engaged) == officer


def test_the_victims_call_for_help_raises_the_emergency_and_the_session_stays() -> None:
    story = a_case("video").does(THE_VICTIM, "victim_unsafe")
    assert story.types == ["VictimUnsafe", "EmergencyDispatched"]
    then(story).is_in("video").is_an_emergency().has_a_session().has_officer(OFFICER)
    assert story.case.session is not None
    assert story.case.session.flowing
    assert story.does(THE_VICTIM, "victim_unsafe").types == ["VictimUnsafe"]


def test_an_emergency_takes_back_the_safety_that_was_confirmed() -> None:
    for who, move in [(OFFICER, "dispatch_emergency"), (THE_VICTIM, "victim_unsafe")]:
        story = a_case("video").does(OFFICER, "confirm_safety", alone="yes", place_verified="yes").does(who, move)
        then(story.does(OFFICER, "end_session", end_reason="in_person")).is_in("lost_contact").is_an_emergency()


def test_an_emergency_is_dispatched_once_until_it_is_over() -> None:
    story = a_case("video").does(OFFICER, "dispatch_emergency")
    assert story.refuses(SERGEANT, "dispatch_emergency") == {"no_emergency_yet"}
    story.does(SERGEANT, "stand_down", stand_down_reason="pressed_in_error")
    then(story).is_in("video").has_stopped("emergency_attendance")
    assert story.change("emergency_attendance").verdict == "cancelled"
    then(story.does(SERGEANT, "dispatch_emergency")).is_an_emergency()


def test_only_a_sergeant_stands_an_emergency_down_with_a_coded_reason() -> None:
    story = a_case("video").does(OFFICER, "dispatch_emergency")
    assert "stand_down" not in story.may(OFFICER) | story.may(RESOURCING) | story.may(HANDLER)
    assert story.refuses(SERGEANT, "stand_down") == {"missing"}


def test_attendance_during_a_session_ends_the_emergency_and_not_the_session() -> None:
    story = a_case("video").does(OFFICER, "dispatch_emergency").does(RESOURCING, "record_attendance")
    then(story).is_in("video").has_a_session().has_officer(OFFICER).has_stopped("emergency_attendance")
    assert not story.case.emergency


def test_attendance_in_person_meets_the_service_level_and_leads_to_assessment() -> None:
    story = a_case("deployment").waits(1800).does(RESOURCING, "record_attendance")
    then(story).is_in("assessment").has_stopped("transfer", "service_level", "attendance")
    assert (story.change("attendance").verdict, story.change("attendance").target_s) == ("met", 3600)
    assert (story.change("service_level").verdict, story.change("transfer").verdict) == ("met", "breached")


def test_attendance_is_recorded_only_for_somebody_who_was_sent_and_only_once() -> None:
    assert a_case("call_taking").refuses(SERGEANT, "record_attendance") == {"sent_for"}
    story = a_case("deployment").does(RESOURCING, "record_attendance")
    assert story.refuses(SERGEANT, "record_attendance") == {"sent_for"}
    assert story.forbids(RESOURCING, "record_attendance") == {"not-your-case"}


def test_an_emergency_found_in_review_is_attended_without_losing_the_review() -> None:
    story = a_case("review").does(SERGEANT, "dispatch_emergency")
    assert story.refuses(SERGEANT, "allocate", team="lpa-coventry") == {"not_in_emergency"}
    then(story.does(RESOURCING, "record_attendance")).is_in("review").runs("review")


def test_lost_contact_sends_officers_after_ten_minutes_and_never_closes_by_itself() -> None:
    story = a_case("lost_contact").waits(599)
    then(story).is_in("lost_contact").has_officer(OFFICER)
    story.waits(1)
    then(story).is_in("deployment").runs("attendance").has_stopped("safe_contact").has_no_officer().has_no_session()
    (asked,) = story.said("DeploymentRequested")
    assert asked.fact == e.DeploymentRequested(response_grade="immediate", reason="lost_contact")
    assert asked.by == "bot"
    then(story.waits(30 * 86_400)).is_in("deployment").runs("attendance")


def test_contact_regained_leads_to_assessment_only_when_the_victim_is_known_to_be_safe() -> None:
    for alone, place in [("yes", "no"), ("no", "no"), ("unknown", "yes")]:
        story = a_case("lost_contact").does(OFFICER, "contact_regained", alone=alone, place_verified=place)
        then(story).is_in("lost_contact").runs("safe_contact").has_officer(OFFICER)
    story.does(OFFICER, "contact_regained", alone="no", place_verified="yes")
    then(story).is_in("assessment").has_officer(OFFICER)


def test_a_caller_who_rings_back_before_the_desk_had_the_case_is_call_taking_again() -> None:
    story = Story(Universe()).opens().does(HANDLER, "lose_contact", lost_reason="call_cut")
    then(story.does(HANDLER, "call_regained")).is_in("call_taking").runs("call_taking", "transfer")
    assert story.last[0].fact == e.ContactAttempted(result="reached")
    assert a_case("lost_contact").refuses(HANDLER, "call_regained") == {"no_officer"}


def test_speaking_by_telephone_is_contact_in_that_mode_and_stops_neither_promise() -> None:
    story = a_case("lost_contact").does(OFFICER, "record_contact_attempt", attempt_result="reached")
    assert story.said("OfficerContactStarted")[-1].fact == e.OfficerContactStarted(mode="phone")
    story.does(OFFICER, "contact_regained", alone="yes", place_verified="yes")
    assert story.types == ["SafetyConfirmed", "SessionEnded"], "contact in one mode starts once"
    late = Story(Universe()).opens().does(HANDLER, "lose_contact", lost_reason="call_cut")
    late.does(HANDLER, "record_contact_attempt", attempt_result="reached")
    assert not late.said("OfficerContactStarted"), "a call handler is no officer"
    then(late).runs("transfer", "service_level")


def test_without_a_known_place_the_alarm_goes_to_the_inspector_and_nobody_is_sent_to_a_guess() -> None:
    story = Story(Universe()).opens(address="").does(HANDLER, "lose_contact", lost_reason="call_cut").waits(601)
    then(story).is_in("lost_contact")
    assert story.said("AlarmRaised")[-1].fact == e.AlarmRaised(to_role="inspector", about="no_place_known")
    assert not story.said("DeploymentRequested")


def test_a_call_that_is_cut_off_is_lost_contact_from_the_first_minute() -> None:
    for state in ("call_taking", "handover", "accepted"):
        story = a_case(state).does(HANDLER, "lose_contact", lost_reason="call_cut")
        then(story).is_in("lost_contact").runs("safe_contact")
        then(story.waits(600)).is_in("deployment")


def test_lost_contact_in_assessment_is_answered_as_at_any_other_time() -> None:
    story = a_case("assessment").does(OFFICER, "lose_contact", lost_reason="no_answer")
    then(story).is_in("lost_contact").runs("safe_contact").has_officer(OFFICER)
    assert story.case.safety is None


@pytest.mark.parametrize("state", [s for s in OPEN if s not in ("deployment", "video")])
def test_officers_can_be_sent_from_every_open_state(state: str) -> None:
    story = a_case(state).does(SERGEANT, "request_deployment", **SENT)
    then(story).is_in("deployment").runs("attendance").has_no_officer().has_no_session()


def test_officers_are_not_sent_in_place_of_a_running_call_it_is_ended_first() -> None:
    assert a_case("video").refuses(OFFICER, "request_deployment", **SENT) == {"session_over"}


def test_a_call_that_nobody_decides_about_is_flagged_and_then_answered_in_person() -> None:
    story = a_case("call_taking").waits(1799)
    then(story).is_in("call_taking")
    then(story.waits(1)).is_in("deployment").runs("attendance")
    assert story.said("DeploymentRequested")[0].by == "bot"


@pytest.mark.parametrize(("grade", "target_s"), [("immediate", 900), ("priority", 3600), ("other", 86_400)])
def test_attendance_is_promised_by_the_response_grade(grade: str, target_s: int) -> None:
    story = a_case().does(HANDLER, "request_deployment", response_grade=grade, deployment_reason="not_private")
    started = story.change("attendance", "started")
    assert (started.target_s, [after for after, _ in started.due]) == (target_s, [target_s])
    story.waits(target_s)
    assert "attendance" in [event.fact.clock for event in story.last if isinstance(event.fact, e.ClockRanOut)]
    assert [event.fact.to_role for event in story.last if isinstance(event.fact, e.AlarmRaised)] == ["inspector"]


def test_a_higher_response_grade_brings_the_promise_forward_and_a_lower_one_never_puts_it_off() -> None:
    story = a_case("handover").waits(900).does(HANDLER, "lose_contact", lost_reason="call_cut").waits(600)
    assert (story.change("attendance").verdict, story.change("attendance").target_s) == ("cancelled", 3600)
    assert story.change("attendance", "started").target_s == 900
    lower = a_case("handover").waits(900)
    before = lower.case.clocks["attendance"]
    lower.does(HANDLER, "request_deployment", response_grade="other", deployment_reason="prefers_in_person")
    assert lower.case.clocks["attendance"] == before


def test_the_desk_takes_a_deployment_over_when_it_has_room_again() -> None:
    story = a_case("deployment").does(HANDLER, "answer_criteria", **all_met())
    story.does(HANDLER, "record_consent", consent_kind="video", consent_answer="given").does(HANDLER, "offer_handover")
    then(story).is_in("handover").runs("handover", "attendance")


def test_nobody_at_the_door_is_recorded_and_the_clock_runs_on() -> None:
    then(a_case("deployment").does(RESOURCING, "record_no_reply")).is_in("deployment").runs("attendance")


@pytest.mark.parametrize("state", ["waiting_room", "video", "interrupted", "lost_contact"])
def test_a_case_is_not_made_void_during_a_session(state: str) -> None:
    assert a_case(state).refuses(SERGEANT, "void", void_reason="test") == {"not-from-here"}


def test_a_case_is_not_made_void_in_an_emergency_and_frees_its_officer_when_it_is() -> None:
    story = a_case("assessment").does(SERGEANT, "dispatch_emergency")
    assert story.refuses(SERGEANT, "void", void_reason="duplicate") == {"not_in_emergency"}
    story.does(SERGEANT, "stand_down", stand_down_reason="victim_safe").does(SERGEANT, "void", void_reason="duplicate")
    then(story).is_in("voided").has_no_officer()
    assert story.case.clocks == {}


def test_an_officer_who_was_freed_on_submission_sends_no_link_until_assigned_again() -> None:
    story = plans(a_case("assessment").does(OFFICER, "assess_risk", **risk("standard")))
    story.does(OFFICER, "submit_for_review").does(SERGEANT, "return_to_officer", return_reason="risk_unclear")
    assert story.refuses(OFFICER, "send_link") == {"officer_bound"}
    story.does(SERGEANT, "assign_officer", officer=OFFICER.id).does(OFFICER, "send_link")
    then(story).is_in("waiting_room").has_officer(OFFICER)
    story.does(THE_MEDIA, "two_way_video")


def test_every_open_state_has_a_usual_way_in_these_tests() -> None:
    assert set(da_desk().states) <= set(WAYS)


def test_a_colleagues_case_is_closed_to_every_move_of_another_officer_and_call_handler_but_the_emergency() -> None:
    story = a_case("waiting_room")
    other = person("hector", "call_handler")
    for stranger in (OFFICER_2, other):
        assert story.may(stranger) == {"dispatch_emergency"}
        for move in story.workflow.moves.values():
            if stranger.roles & set(move.who) and move.id != "dispatch_emergency":
                assert story.forbids(stranger, move.id) == {"not-your-case"}, move.id
