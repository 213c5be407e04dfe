"""Risk, safeguarding, the sergeant's decision, and what the receiving team does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rvr.core import events as e
from rvr.core import risk as tool
from rvr.core import routing
from rvr.core.errors import Forbidden
from rvr.core.moment import iso
from tests.builders import (
    FILING,
    HANDLER,
    INVESTIGATOR,
    OFFICER,
    SERGEANT,
    SERGEANT_2,
    a_case,
    answered,
    considers_evidence,
    da_desk,
    plans,
    risk,
    shipped,
    then,
)

DASH = shipped().instruments["dash"]
CRITICAL = [question.id for question in DASH.questions if question.critical]
PLAIN = [question.id for question in DASH.questions if not question.critical]


def answers(yes: list[str], other: str = "no") -> dict[str, Any]:
    return answered(DASH, other, **dict.fromkeys(yes, "yes"))


@pytest.mark.parametrize(
    ("yes", "suggested"), [(0, "standard"), (9, "standard"), (10, "medium"), (13, "medium"), (14, "high"), (17, "high")]
)
def test_the_count_suggests_a_band(yes: int, suggested: str) -> None:
    result = tool.assess(DASH, answers(PLAIN[:yes] + CRITICAL[: max(0, yes - len(PLAIN))]))
    assert (result.score, result.suggested, result.missing) == (yes, suggested, ())


@pytest.mark.parametrize("question", CRITICAL)
def test_one_critical_answer_suggests_at_least_medium(question: str) -> None:
    assert tool.assess(DASH, answers([question])).suggested == "medium"
    assert tool.assess(DASH, answers([question, *PLAIN])).suggested == "high"


def test_unknown_and_refused_are_answers_and_a_question_left_out_is_not() -> None:
    assert tool.assess(DASH, answers([], "unknown")).missing == ()
    assert tool.assess(DASH, answers([], "refused")).missing == ()
    assert tool.assess(DASH, {}).missing == tuple(question.id for question in DASH.questions)
    story = a_case("assessment")
    form = risk("standard")
    del form["risk_answers"]["strangled"]
    assert story.refuses(OFFICER, "assess_risk", **form) == {"questions-left"}
    assert story.refuses(OFFICER, "assess_risk", **risk("standard", shoe_size="yes")) == {"unknown-question"}


def test_a_score_comes_with_the_questions_that_made_it() -> None:
    story = a_case("assessment").does(OFFICER, "assess_risk", **risk("high", weapons="yes", frightened="yes"))
    fact = story.last[0].fact
    assert isinstance(fact, e.RiskAssessed)
    assert (fact.score, fact.because, fact.suggested, fact.risk_level) == (
        2,
        ("frightened", "weapons"),
        "medium",
        "high",
    )
    assert fact.tool_version == DASH.hash


def test_a_level_below_the_suggested_one_needs_a_reason_and_one_above_needs_none() -> None:
    story = a_case("assessment")
    assert story.refuses(OFFICER, "assess_risk", **risk("standard", strangled="yes")) == {"lower-needs-rationale"}
    story.does(OFFICER, "assess_risk", **risk("standard", "A mistake: it was a film.", strangled="yes"))
    assert story.does(OFFICER, "assess_risk", **risk("high")).case.risk_level == "high"


def test_a_level_is_never_silently_lowered_by_assessing_again() -> None:
    story = a_case("assessment").does(OFFICER, "assess_risk", **risk("high"))
    assert story.refuses(OFFICER, "assess_risk", **risk("standard")) == {"lower-needs-rationale"}
    assert story.refuses(SERGEANT, "raise_level", risk_level="medium") == {"missing"}
    story.does(SERGEANT, "raise_level", risk_level="medium", rationale="The suspect is in custody.")
    (changed,) = story.last
    assert changed.fact == e.GradeOverridden(before="high", after="medium", reason="The suspect is in custody.")
    assert story.refuses(SERGEANT, "raise_level", risk_level="medium", rationale="Again") == {"level-already"}


def test_answers_and_reasons_of_a_risk_assessment_are_sealed() -> None:
    story = a_case("assessment").does(OFFICER, "assess_risk", **risk("standard", "Why", control="yes"))
    public, sealed = story.last[0].fact.split()
    assert set(sealed) == {"answers", "rationale"}
    assert public["score"] == 1


def test_submission_needs_risk_safeguarding_and_no_open_emergency_and_says_all_at_once() -> None:
    story = a_case("assessment").does(OFFICER, "dispatch_emergency")
    assert story.refuses(OFFICER, "submit_for_review") == {
        "risk_assessed",
        "safeguarding_planned",
        "not_in_emergency",
    }


def test_submission_frees_the_officer_and_keeps_the_name() -> None:
    story = a_case("review")
    then(story).is_in("review").has_no_officer().runs("review").has_stopped("assessment")
    assert story.case.officer == OFFICER.id
    assert story.said("OfficerReleased")[-1].fact == e.OfficerReleased(officer=OFFICER.id, because="submitted")


def test_a_returned_case_goes_back_to_its_officer() -> None:
    story = a_case("review").does(SERGEANT, "return_to_officer", return_reason="details_missing", note="Which door?")
    then(story).is_in("assessment").runs("assessment")
    assert "submit_for_review" in story.may(OFFICER)


def test_a_safeguarding_action_is_due_in_the_future_and_is_completed_once() -> None:
    story = a_case("assessment")
    past = {"action_kind": "alarm", "action_owner": "PC Example", "due_at": iso(story.universe.wall - timedelta(1))}
    assert story.refuses(OFFICER, "plan_safeguarding", **past) == {"in-the-past"}
    assert story.refuses(OFFICER, "complete_safeguarding", action="x", action_result="done") == {"actions_planned"}
    (action,) = plans(story).case.actions
    assert story.refuses(OFFICER, "complete_safeguarding", action="x", action_result="done") == {"no-such-action"}
    declined = {"action": action, "action_result": "declined"}
    assert story.refuses(OFFICER, "complete_safeguarding", **declined) == {"reason_given"}
    story.does(OFFICER, "complete_safeguarding", **declined, note="The victim wants none.")
    assert story.case.actions[action].result == "declined"
    done = {"action": action, "action_result": "done"}
    assert story.refuses(OFFICER, "complete_safeguarding", **done) == {"no-such-action"}


def test_standard_and_medium_risk_are_proposed_to_the_area_and_high_risk_to_the_specialists() -> None:
    standard = a_case("review").does(SERGEANT, "allocate", team="lpa-coventry").last[0].fact
    assert standard == e.CaseAllocated(team="lpa-coventry", proposed="lpa-coventry", because="area_team")
    story = a_case("review").does(SERGEANT, "raise_level", risk_level="medium", rationale="The account")
    story.does(SERGEANT, "allocate", team="lpa-coventry")
    high = a_case("review at high risk").does(SERGEANT, "allocate", team="ppu").last[0].fact
    assert high == e.CaseAllocated(team="ppu", proposed="ppu", because="high_risk_to_ppu")


def test_another_team_than_the_proposed_one_needs_a_reason() -> None:
    story = a_case("review at high risk")
    assert story.refuses(SERGEANT, "allocate", team="lpa-coventry") == {"override-needs-reason"}
    story.does(SERGEANT, "allocate", team="lpa-coventry", override="The specialists asked for it.")
    fact = story.last[0].fact
    assert fact == e.CaseAllocated(
        team="lpa-coventry", proposed="ppu", because="high_risk_to_ppu", override="The specialists asked for it."
    )
    assert story.case.team == "lpa-coventry"


def test_an_override_beside_the_proposed_team_is_not_kept_as_one() -> None:
    story = a_case("review").does(SERGEANT, "allocate", team="lpa-coventry", override="No reason")
    assert story.last[0].fact.override == ""  # type: ignore[attr-defined]


def test_filing_needs_risk_safeguarding_a_code_and_reasons_in_words() -> None:
    assert a_case("review").refuses(SERGEANT, "file", **FILING) == {"evidence_led_considered"}
    story = considers_evidence(a_case("review"))
    assert story.refuses(SERGEANT, "file") == {"missing"}
    assert story.refuses(SERGEANT, "file", file_reason="no_crime") == {"missing"}
    unmet = FILING["filing_checks"] | {"victim_contacted": "no", "counter_allegation": "not_applicable"}
    assert story.refuses(SERGEANT, "file", **FILING | {"filing_checks": unmet}) == {"check-unmet"}
    left = {"lines_of_enquiry": "yes"}
    assert story.refuses(SERGEANT, "file", **FILING | {"filing_checks": left}) == {"questions-left"}
    bare = a_case("assessment").does(
        SERGEANT, "request_deployment", response_grade="other", deployment_reason="child_at_risk"
    )
    assert bare.refuses(SERGEANT, "file", **FILING) == {"not-from-here"}
    then(a_case("filed")).is_in("filed")
    assert a_case("filed").case.decision == "filed"


def test_a_case_of_high_risk_is_filed_only_by_two() -> None:
    story = considers_evidence(a_case("review at high risk"))
    assert story.refuses(SERGEANT, "file", **FILING) == {"second_person"}
    story.does(SERGEANT, "endorse_filing", endorsement="Nothing is disclosed.")
    assert story.refuses(SERGEANT, "file", **FILING) == {"second_person"}
    then(story.branch().does(SERGEANT_2, "file", **FILING)).is_in("filed")
    back = story.does(SERGEANT, "return_to_officer", return_reason="risk_unclear")
    assert back.case.endorsed_by == ""
    assert a_case("review").refuses(SERGEANT_2, "endorse_filing", endorsement="x") == {"high_risk"}


def test_only_a_sergeant_decides() -> None:
    for who in (OFFICER, HANDLER, INVESTIGATOR):
        with pytest.raises(Forbidden):
            a_case("review").does(who, "allocate", team="lpa-coventry")


def test_a_decided_case_is_worked_on_closed_and_comes_back_to_review_when_reopened() -> None:
    story = a_case("allocated").does(INVESTIGATOR, "record_arrest")
    record = {"victim_supports": "no", "evidence_led_done": "yes", "outcome_rationale": "Said so to PC Example."}
    assert story.refuses(INVESTIGATOR, "record_outcome", outcome_code="16") == {"outcome-needs"}
    story.does(INVESTIGATOR, "record_outcome", outcome_code="16", **record).does(INVESTIGATOR, "close")
    then(story).is_in("closed")
    assert (story.case.outcome_code, story.case.clocks) == ("16", {})
    story.does(SERGEANT, "reopen", reopen_reason="repeat_incident")
    then(story).is_in("review").runs("review")
    assert (story.case.decision, story.case.team) == ("", "")


def test_a_promise_that_was_broken_stays_broken_when_the_case_is_closed() -> None:
    """A case closed within the 24 hours without contact has no verdict; one closed later broke the promise."""
    for days, verdict in [(0, "cancelled"), (2, "breached")]:
        story = a_case("deployment")
        story.universe.pass_(days * 86_400)
        story.does(SERGEANT, "void", void_reason="duplicate")
        assert story.change("service_level").verdict == verdict


def test_a_proposal_needs_a_level_and_an_area() -> None:
    routes = da_desk().routes
    assert routing.propose(routes, {"details.lpa": "dudley"}) is None
    assert routing.propose(routes, {"risk_level": "medium"}) is None
    found = routing.propose(routes, {"risk_level": "medium", "details.lpa": "dudley"})
    assert found is not None
    assert (found.team, found.route) == ("lpa-dudley", "area_team")
