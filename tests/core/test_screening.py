"""Opening a case, the safety questions, the way out of a failed one, and consent."""

from __future__ import annotations

import pytest

from rvr.core import criteria
from rvr.core.errors import Forbidden, NotFound, Refused
from rvr.core.moment import parse_iso
from tests.builders import (
    HANDLER,
    OFFICER,
    OPENING,
    RESOURCING,
    SERGEANT,
    STAFF,
    Story,
    Universe,
    a_case,
    all_met,
    da_desk,
    then,
    through_the_store,
)

DANGER = [c.id for c in da_desk().criteria.values() if c.way_out == "emergency" and c.hard]


def test_only_a_call_handler_opens_a_case() -> None:
    for who in set(STAFF) - {HANDLER}:
        with pytest.raises(Forbidden):
            Story(Universe()).opens(who)
    then(Story(Universe()).opens()).is_in("call_taking").runs("call_taking", "transfer", "service_level")


def test_an_opening_names_every_field_that_is_missing_or_wrong_at_once() -> None:
    with pytest.raises(Refused) as refused:
        Story(Universe()).opens(victim_name="", safe_number="12", lpa="atlantis", shoe_size=44)
    found = {(reason.code, reason.field) for reason in refused.value.reasons}
    assert found == {
        ("missing", "victim_name"),
        ("not-a-phone-number", "safe_number"),
        ("not-an-option", "lpa"),
        ("unknown-field", "shoe_size"),
    }


def test_what_names_or_places_a_person_is_sealed_and_the_rest_is_not() -> None:
    (opened,) = Story(Universe()).opens().log
    public, sealed = opened.fact.split()
    assert set(public["details"]) == {"source", "safe_to_text", "lpa"}
    assert set(sealed["personal"]) == set(OPENING) - set(public["details"])
    assert sealed["personal"]["safe_number"] == "+447700900123"


def test_when_the_call_was_answered_is_a_stated_time_and_never_replaces_the_observed_one() -> None:
    story = Story(Universe()).opens(call_answered_at="2026-11-22T21:10:00+01:00")
    opened, answered = story.log
    assert (answered.stated_at, answered.stated_source) == ("2026-11-22T20:10:00.000000Z", "call_handler")
    assert opened.at == answered.at == story.universe.at
    assert story.case.call_answered_at == "2026-11-22T20:10:00.000000Z"
    assert "call_answered_at" not in story.case.details


def test_a_call_cannot_have_been_answered_in_the_future() -> None:
    with pytest.raises(Refused, match="in-the-future"):
        Story(Universe()).opens(call_answered_at="2027-01-01T00:00:00Z")


@pytest.mark.parametrize("question", DANGER)
@pytest.mark.parametrize("answer", ["no", "unknown", "refused"])
def test_danger_is_answered_by_emergency_and_never_by_a_wait(question: str, answer: str) -> None:
    """Also a danger that nobody could rule out; and one failed answer is enough, the rest may be unasked."""
    story = a_case().does(HANDLER, "answer_criteria", answers={question: answer})
    assert story.case.eligibility is not None
    assert (story.case.eligibility.eligible, story.case.eligibility.way_out) == (False, "emergency")
    sent = {"response_grade": "other", "deployment_reason": "not_eligible"}
    assert story.refuses(HANDLER, "request_deployment", **sent) == {"not_in_danger"}
    story.does(HANDLER, "dispatch_emergency").does(HANDLER, "request_deployment", **sent)
    then(story).is_in("deployment").is_an_emergency().runs("emergency_attendance", "attendance")


@pytest.mark.parametrize(
    ("question", "way_out"),
    [(c.id, c.way_out) for c in da_desk().criteria.values() if c.hard and c.id not in DANGER],
)
def test_another_failed_question_leads_to_officers_or_a_call_back(question: str, way_out: str) -> None:
    story = a_case().does(HANDLER, "answer_criteria", **all_met(**{question: "no"}))
    assert story.case.eligibility is not None
    assert story.case.eligibility.because == (question,)
    assert story.case.eligibility.way_out == way_out in ("deployment", "call_back")
    assert "eligible" in story.refuses(HANDLER, "offer_handover")
    assert "request_deployment" in story.may(HANDLER)


def test_of_several_failed_questions_the_most_urgent_decides() -> None:
    story = a_case().does(HANDLER, "answer_criteria", **all_met(can_use_video="no", not_injured="no"))
    assert story.case.eligibility is not None
    assert story.case.eligibility.because == ("not_injured", "can_use_video")
    assert story.case.eligibility.way_out == "emergency"


@pytest.mark.parametrize("question", [c.id for c in da_desk().criteria.values() if c.hard])
def test_a_question_that_was_not_put_counts_as_unmet(question: str) -> None:
    form = all_met()
    del form["answers"][question]
    story = a_case().does(HANDLER, "answer_criteria", **form)
    assert story.case.eligibility is None
    assert "eligible" in story.refuses(HANDLER, "offer_handover")


def test_a_soft_question_is_a_concern_for_the_sergeant_and_stops_nothing() -> None:
    story = a_case().does(HANDLER, "answer_criteria", **all_met(speaks_english="no", no_counter_allegation="unknown"))
    assert story.case.eligibility is not None
    assert story.case.eligibility.eligible
    assert story.case.eligibility.concerns == ("speaks_english", "no_counter_allegation")


def test_a_verdict_does_not_outlive_the_answer_that_it_rested_on() -> None:
    story = a_case().does(HANDLER, "answer_criteria", answers={"suspect_away": "no"})
    story.does(HANDLER, "answer_criteria", answers={"suspect_away": "yes"})
    assert story.case.eligibility is not None
    assert (story.case.eligibility.eligible, story.case.eligibility.because) == (False, ())
    assert "request_deployment" in story.may(HANDLER)
    assert "eligible" in story.refuses(HANDLER, "offer_handover")
    assert story.does(HANDLER, "answer_criteria", **all_met()).case.eligibility.eligible  # type: ignore[union-attr]


def test_the_same_answers_again_write_nothing() -> None:
    story = a_case().does(HANDLER, "answer_criteria", **all_met())
    assert story.types.count("CriterionAnswered") == len(da_desk().criteria)
    assert story.types[-1] == "EligibilityDecided"
    assert story.does(HANDLER, "answer_criteria", **all_met()).last == ()


def test_every_question_is_kept_with_its_result_also_beside_a_failed_one() -> None:
    verdict = criteria.evaluate(da_desk().criteria, {"suspect_away": "no", "adult": "yes"})
    assert verdict is not None
    assert set(verdict.results) == set(da_desk().criteria)
    assert (verdict.results["suspect_away"], verdict.results["adult"]) == ("failed", "met")
    assert verdict.results["not_injured"] == "not_asked"


def test_without_consent_to_video_there_is_no_offer_and_a_refusal_is_kept() -> None:
    story = a_case().does(HANDLER, "answer_criteria", **all_met())
    assert story.refuses(HANDLER, "offer_handover") == {"consent_video"}
    story.does(HANDLER, "record_consent", consent_kind="video", consent_answer="refused")
    assert story.types == ["ConsentRefused"]
    assert story.refuses(HANDLER, "offer_handover") == {"consent_video"}


def test_consent_to_one_thing_is_not_consent_to_another() -> None:
    story = a_case().does(HANDLER, "answer_criteria", **all_met())
    story.does(HANDLER, "record_consent", consent_kind="evaluation", consent_answer="given")
    story.does(HANDLER, "record_consent", consent_kind="recording", consent_answer="given")
    assert story.refuses(HANDLER, "offer_handover") == {"consent_video"}


def test_consent_can_be_withdrawn_once_given_and_no_link_goes_out_then() -> None:
    story = a_case("accepted")
    assert story.refuses(HANDLER, "record_consent", consent_kind="recording", consent_answer="withdrawn") == {
        "nothing-to-withdraw"
    }
    story.does(SERGEANT, "assign_officer", officer=OFFICER.id)
    story.does(HANDLER, "record_consent", consent_kind="video", consent_answer="withdrawn")
    assert story.refuses(OFFICER, "send_link") == {"consent_video"}


def test_a_move_of_another_role_is_forbidden_and_one_that_does_not_exist_is_not_found() -> None:
    story = a_case("handover")
    with pytest.raises(Forbidden):
        story.does(HANDLER, "accept_handover")
    with pytest.raises(Forbidden):
        story.does(RESOURCING, "offer_handover")
    with pytest.raises(NotFound):
        story.does(HANDLER, "fly")
    assert story.refuses(SERGEANT, "hand_back", hand_back_reason="victim_asked") == {"not-from-here"}


def test_a_corrected_detail_is_written_alone_and_the_earlier_one_stays_in_the_log() -> None:
    story = a_case().does(
        HANDLER, "correct_details", victim_name="Ann Example", safe_to_text="no", address="2 New Road"
    )
    (event,) = story.last
    told = {"details": {"safe_to_text": "no"}, "suspect_named": False}
    assert event.fact.split() == (told, {"personal": {"address": "2 New Road"}})
    assert story.log[0].fact.personal["address"] == OPENING["address"]  # type: ignore[attr-defined]
    assert story.does(HANDLER, "correct_details", safe_to_text="no").last == ()


def test_the_opening_comes_back_from_its_stored_bytes_as_it_was() -> None:
    story = Story(Universe()).opens(call_answered_at="2026-11-22T21:10:00Z", victim_name="Änne O’Hara")
    assert through_the_store(story.log) == story.log
    assert parse_iso(story.case.opened_at) == story.universe.wall
