"""The handover from the call handler to the sergeant, its clock, and what happens when nobody accepts."""

from __future__ import annotations

import pytest

from rvr.core import events as e
from rvr.core.case import apply
from rvr.core.commands import Actor
from tests.builders import HANDLER, OFFICER, OFFICER_2, RESOURCING, SERGEANT, Universe, a_case, then


def test_an_offer_starts_the_handover_clock_and_notes_the_capacity_of_that_moment() -> None:
    story = a_case("handover")
    assert story.types == ["CapacityNoted", "HandoverOffered"]
    noted, offered = story.last
    assert noted.fact == e.CapacityNoted(moment="offer", on_duty=2, free=2, desk_open=True, queue=0)
    assert offered.basis == {"position": 1, "on_duty": 2, "free": 2}
    assert story.change("handover", "started").target_s == 180
    then(story).is_in("handover").runs("handover").has_stopped("call_taking")


@pytest.mark.parametrize(
    ("waited_us", "error_us", "verdict"),
    [
        (0, 3100, "met"),
        (179_000_000, 3100, "met"),
        (180_000_000, 0, "met"),
        (179_999_000, 3100, "uncertain"),
        (180_003_000, 3100, "uncertain"),
        (180_003_200, 3100, "breached"),
        (180_000_001, 0, "breached"),
        (180_000_001, None, "breached"),
    ],
)
def test_an_accepted_handover_was_in_time_or_late_or_within_clock_error(
    waited_us: int, error_us: int | None, verdict: str
) -> None:
    story = a_case("handover", Universe(error_us=error_us))
    story.universe.pass_(waited_us / 1e6)
    story.does(SERGEANT, "accept_handover")
    then(story).is_in("accepted").has_stopped("handover").runs("assign")
    assert (story.change("handover").elapsed_us, story.change("handover").verdict) == (waited_us, verdict)
    assert story.case.sergeant == SERGEANT.id


@pytest.mark.parametrize(
    ("who", "move", "form"),
    [
        (SERGEANT, "decline_handover", {"decline_reason": "no_officer_free"}),
        (HANDLER, "withdraw_handover", {"withdraw_reason": "prefers_in_person"}),
    ],
)
def test_an_offer_returned_or_taken_back_is_call_taking_again_and_counts_as_no_handover_in_time(
    who: object, move: str, form: dict[str, str]
) -> None:
    story = a_case("handover")
    story.universe.pass_(30)
    story.does(who, move, **form)  # type: ignore[arg-type]
    then(story).is_in("call_taking").runs("call_taking", "transfer").has_stopped("handover")
    assert story.change("handover").verdict == "cancelled"
    story.does(HANDLER, "offer_handover")
    assert story.change("handover", "started").run == 2


def test_a_return_needs_a_coded_reason() -> None:
    story = a_case("handover")
    assert story.refuses(SERGEANT, "decline_handover") == {"missing"}
    assert story.refuses(SERGEANT, "decline_handover", decline_reason="felt like it") == {"not-an-option"}


def test_an_offer_returned_after_its_deadline_was_late_all_the_same() -> None:
    story = a_case("handover")
    story.universe.pass_(601)
    story.does(SERGEANT, "decline_handover", decline_reason="desk_closing")
    assert story.change("handover").verdict == "breached"


def test_nobody_accepts_reminded_at_five_and_eight_minutes_escalated_at_ten_diverted_at_fifteen() -> None:
    story = a_case("handover")
    offered_at = story.universe.wall
    story.waits(900)
    told = [
        ((event.at.at - offered_at).total_seconds(), event.type, getattr(event.fact, "to_role", ""))
        for event in story.last
        if event.type != "ClockRanOut"
    ]
    assert told == [
        (300, "AlarmRaised", "sergeant"),
        (480, "AlarmRaised", "sergeant"),
        (600, "HandoverEscalated", "inspector"),
        (900, "HandoverDiverted", ""),
    ]
    assert all(event.by == event.by_role == "bot" for event in story.last)


def test_a_diversion_sends_officers_beside_the_open_offer_which_can_still_be_accepted() -> None:
    story = a_case("handover").waits(900)
    then(story).is_in("handover").runs("attendance", "transfer", "service_level")
    assert story.case.response_grade == "priority"
    assert "accept_handover" in story.may(SERGEANT)
    assert "record_attendance" in story.may(RESOURCING)
    then(story.does(SERGEANT, "accept_handover")).is_in("accepted").runs("attendance")


def test_an_offer_made_again_does_not_send_officers_a_second_time() -> None:
    story = a_case("handover").waits(900)
    story.does(HANDLER, "withdraw_handover", withdraw_reason="opened_in_error").does(HANDLER, "offer_handover")
    story.waits(900)
    assert len(story.said("HandoverDiverted")) == 1
    assert [event.fact.did for event in story.said("ClockRanOut")][-1] == ""  # type: ignore[attr-defined]


def test_outside_its_hours_the_desk_is_noted_as_closed() -> None:
    for hours, is_open in [(0, True), (1.69, True), (1.71, False), (9.6, False), (9.7, True)]:
        universe = Universe()
        universe.pass_(hours * 3600)
        noted = a_case("handover", universe).last[0].fact
        assert isinstance(noted, e.CapacityNoted)
        assert noted.desk_open is is_open, f"{universe.wall}"


def test_an_accepted_case_without_an_officer_is_flagged_at_two_minutes_and_told_to_the_inspector_at_five() -> None:
    story = a_case("accepted").waits(300)
    assert story.types == ["ClockRanOut", "ClockRanOut", "AlarmRaised"]
    assert [event.fact.after_s for event in story.said("ClockRanOut")] == [120, 300]  # type: ignore[attr-defined]


def test_an_assigned_officer_is_bound_to_the_case_and_nobody_else_can_have_that_officer() -> None:
    universe = Universe()
    story = a_case("accepted", universe).does(SERGEANT, "assign_officer", officer=OFFICER.id)
    then(story).is_in("accepted").has_officer(OFFICER)
    other = a_case("accepted", universe)
    assert other.refuses(SERGEANT, "assign_officer", officer=OFFICER.id) == {"officer-not-free"}
    assert other.refuses(SERGEANT, "assign_officer", officer="nobody") == {"unknown-officer"}
    assert story.refuses(SERGEANT, "assign_officer", officer=OFFICER.id) == {"officer-already-assigned"}


def test_another_officer_takes_over_and_the_first_is_free_again() -> None:
    story = a_case("waiting_room").does(SERGEANT, "assign_officer", officer=OFFICER_2.id)
    assert story.types == ["OfficerReleased", "OfficerAssigned"]
    then(story).is_in("waiting_room").has_officer(OFFICER_2).has_a_session()
    assert story.universe.officers[OFFICER.id].free
    assert story.forbids(OFFICER, "resend_link") == {"not-your-case"}


@pytest.mark.parametrize(
    ("state", "who", "move", "form", "because"),
    [
        ("accepted", SERGEANT, "hand_back", {"hand_back_reason": "victim_asked"}, "handed_back"),
        (
            "waiting_room",
            OFFICER,
            "request_deployment",
            {"response_grade": "priority", "deployment_reason": "video_failed"},
            "deployed",
        ),
    ],
)
def test_an_officer_is_free_again_when_the_case_leaves_the_desk(
    state: str, who: object, move: str, form: dict[str, str], because: str
) -> None:
    story = a_case(state)
    if state == "accepted":
        story.does(SERGEANT, "assign_officer", officer=OFFICER.id)
    story.does(who, move, **form)  # type: ignore[arg-type]
    then(story).has_no_officer()
    assert story.case.officer == ""
    (released,) = story.said("OfficerReleased")
    assert released.fact == e.OfficerReleased(officer=OFFICER.id, because=because)


def test_a_link_goes_to_a_number_that_is_marked_safe_and_to_no_other() -> None:
    for answer in ("no", "unknown"):
        story = a_case("accepted").does(SERGEANT, "assign_officer", officer=OFFICER.id)
        story.does(HANDLER, "correct_details", safe_to_text=answer)
        assert story.refuses(OFFICER, "send_link") == {"safe_to_text"}


def test_the_call_handler_keeps_the_ways_out_while_the_offer_is_open_and_accepted() -> None:
    for state in ("handover", "accepted"):
        assert {"lose_contact", "request_deployment", "dispatch_emergency"} <= a_case(state).may(HANDLER)


@pytest.mark.parametrize(
    ("reason", "assigned", "whose"),
    [
        ("own_conflict", True, {SERGEANT.id}),
        ("own_conflict", False, {SERGEANT.id}),
        ("officer_conflict", True, {OFFICER.id}),
        ("no_officer_free", True, set()),
    ],
)
def test_whoever_hands_back_for_a_conflict_says_whose_it_is(reason: str, whose: set[str], *, assigned: bool) -> None:
    """The case is closed to that person alone: to the wrong one it would be closed in error, and stay open to whom it
    must not."""
    story = a_case("accepted")
    if assigned:
        story.does(SERGEANT, "assign_officer", officer=OFFICER.id)
    assert story.does(SERGEANT, "hand_back", hand_back_reason=reason).case.conflicts == whose


def test_a_conflict_of_the_officers_wants_an_officer() -> None:
    refused = a_case("accepted").refuses(SERGEANT, "hand_back", hand_back_reason="officer_conflict")
    assert refused == {"conflict_has_an_officer"}


@pytest.mark.parametrize(("assigned", "whose"), [(True, OFFICER), (False, SERGEANT)])
def test_what_an_earlier_definition_called_by_one_word_is_read_as_it_was(whose: Actor, *, assigned: bool) -> None:
    story = a_case("accepted")
    if assigned:
        story.does(SERGEANT, "assign_officer", officer=OFFICER.id)
    fact = e.HandedBack(reason="conflict_of_interest")
    stored = e.Event(fact, "call_taking", story.universe.at, SERGEANT.id, "sergeant")
    assert apply(story.case, stored).conflicts == {whose.id}
