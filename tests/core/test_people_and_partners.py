"""Who the people are, who helps, and who is sought: matches, orders, referrals, suspects, escalation."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from rvr.core import events as e
from rvr.core.escalation import proposals
from rvr.core.history import PastCase
from rvr.core.identity import Candidate
from rvr.core.moment import iso
from rvr.core.orders import Order
from rvr.core.vocabulary import Basis, Facts
from tests.builders import (
    ADVOCATE,
    HANDLER,
    INVESTIGATOR,
    OFFICER,
    SERGEANT,
    START,
    Story,
    Universe,
    a_case,
    crime_report,
    da_desk,
    person,
    risk,
    then,
)


def past(number: int, days_ago: float, victim: str = "vera", suspect: str = "sid", *, marac: bool = False) -> PastCase:
    seen = iso(START - timedelta(days=days_ago))
    return PastCase(f"past-{number}", f"PA-{number}", seen, victim, suspect, "medium", "closed", marac)


def proposed(*history: PastCase) -> set[str]:
    """The rules that hold of a case of vera and sid, with this history."""
    story = a_case()
    case = replace(story.case, victim_id="vera", suspect_id="sid")
    facts = Facts(case)
    return {one.rule for one in proposals(story.workflow, case, Basis((), history=history), facts, story.universe.at)}


@pytest.mark.parametrize(
    ("history", "rules"),
    [
        ([], set()),
        ([past(1, 10)], set()),
        ([past(1, 10), past(2, 365)], {"third_occasion", "potential_escalation"}),
        ([past(1, 10), past(2, 366)], set()),
        ([past(1, 10, victim="vanda")], {"second_victim"}),
        ([past(1, 366, victim="vanda")], set()),
        ([past(1, 10, suspect="sean"), past(2, 20)], {"potential_escalation"}),
        ([past(1, 10, marac=True)], {"repeat_after_marac"}),
        ([past(1, 10, suspect="sean", marac=True)], set()),
    ],
)
def test_a_rule_counts_what_it_says_within_its_days(history: list[PastCase], rules: set[str]) -> None:
    assert proposed(*history) == rules


def test_a_rule_is_in_force_on_its_days_only() -> None:
    story = a_case()
    case = replace(story.case, victim_id="vera", suspect_id="sid")
    rules = {id_: replace(rule, until=date(2026, 11, 21)) for id_, rule in story.workflow.rules.items()}
    flow = replace(story.workflow, rules=rules)
    history = [past(1, 10), past(2, 20)]
    assert proposals(flow, case, Basis((), history=tuple(history)), Facts(case), story.universe.at) == []


def test_a_proposal_names_its_cases_and_is_made_once() -> None:
    universe = Universe(
        history=(past(1, 10), past(2, 20)),
        candidates=(Candidate("victim", "vera", ("phone",), ()), Candidate("suspect", "sid", ("name_dob",), ())),
    )
    story = a_case("call_taking", universe).does(HANDLER, "match_person", candidate="victim:vera")
    story.does(HANDLER, "match_person", candidate="suspect:sid")
    (fact,) = [event.fact for event in story.last if isinstance(event.fact, e.EscalationProposed)]
    assert (fact.rule, fact.proposes, fact.count, fact.cases) == ("third_occasion", "specialist", 3, "PA-2, PA-1")
    assert fact.split()[1] == {"cases": "PA-2, PA-1"}, "which cases is nobody's outside"
    story.does(HANDLER, "lose_contact", lost_reason="no_answer")
    assert "EscalationProposed" not in story.types


def test_visible_high_risk_is_proposed_for_the_conference_and_judgement_alone_is_enough() -> None:
    yes = dict.fromkeys(("frightened", "isolated", "low_mood", "separation", "child_contact", "pregnant"), "yes")
    yes |= dict.fromkeys(("dependants", "harm_children", "more_often", "getting_worse", "control", "weapons"), "yes")
    story = a_case("assessment").does(OFFICER, "assess_risk", **risk("high", **yes, threat_kill="yes", animals="yes"))
    assert story.case.escalations == {"visible_high_risk": "marac"}
    story.does(OFFICER, "refer_to_marac")
    assert story.last[0].fact == e.MaracReferred(criteria=("visible_high_risk",))
    plain = a_case("assessment").does(OFFICER, "assess_risk", **risk("standard"))
    assert plain.refuses(OFFICER, "refer_to_marac") == {"marac-needs-reason"}
    plain.does(OFFICER, "refer_to_marac", marac_reason="The pattern.")
    assert plain.last[0].fact == e.MaracReferred(criteria=("professional_judgement",), reason="The pattern.")


def test_somebody_who_was_not_proposed_cannot_be_confirmed() -> None:
    story = a_case("call_taking", Universe(candidates=(Candidate("victim", "vera", ("phone",), ()),)))
    assert story.refuses(HANDLER, "match_person", candidate="victim:vanda") == {"no-such-candidate"}
    story.does(HANDLER, "reject_match", candidate="victim:vera")
    assert story.case.not_the_same == {"vera"}
    assert story.refuses(HANDLER, "match_person", candidate="victim:vera") == {"no-such-candidate"}


def test_a_breach_of_a_live_order_is_not_left_for_a_day_nor_put_off() -> None:
    story = a_case("call_taking", Universe(orders=(Order("order-1", kind="dvpn"),)))
    assert story.refuses(HANDLER, "match_order", live_order="order-2", breached="yes") == {"no-such-order"}
    story.does(HANDLER, "match_order", live_order="order-1", breached="yes")
    slow = {"response_grade": "other", "deployment_reason": "order_breached"}
    assert story.refuses(HANDLER, "request_deployment", **slow) == {"breach_is_urgent"}
    appointment = {"appointment_at": iso(START + timedelta(hours=1)), "appointment_how": "x"}
    assert story.refuses(HANDLER, "make_appointment", **appointment, appointment_reason="work") == {"delay_is_safe"}
    story.does(HANDLER, "request_deployment", **slow | {"response_grade": "priority"})
    then(story).is_in("deployment")


# --- Partners ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "state", "how"), [(0, "video", "email"), (1, "video", "session"), (1, "assessment", "room")]
)
def test_a_referral_goes_into_the_session_the_room_or_by_e_mail(days: int, state: str, how: str) -> None:
    """The story begins on a Sunday; the desk's partner is there on Monday, Wednesday and Thursday."""
    universe = Universe(wall=START - timedelta(hours=12))
    story = a_case("call_taking", universe)
    story.universe.pass_(days * 86_400)
    story = a_case(state, story.universe)
    story.does(OFFICER, "correct_details", lpa="solihull")
    story.does(OFFICER, "make_referral", partner="bswa", referral_basis="consent", note="Refuge tonight.")
    assert story.last[0].fact.how == how  # type: ignore[attr-defined]


def test_a_referral_is_received_and_answered_by_the_organisation_that_was_asked() -> None:
    story = a_case("assessment").does(OFFICER, "correct_details", lpa="solihull")
    assert story.refuses(OFFICER, "make_referral", partner="coventry", referral_basis="consent") == {"partner-not-here"}
    assert story.forbids(ADVOCATE, "receive_referral", referral="x") == {"not-your-case"}
    story.does(OFFICER, "make_referral", partner="bswa", referral_basis="risk_of_harm")
    (referral,) = story.case.referrals
    then(story).runs("referral_received")
    stranger = person("ann", "advocate")
    assert story.forbids(stranger, "receive_referral", referral=referral) == {"not-your-case"}
    story.does(ADVOCATE, "receive_referral", referral=referral)
    then(story).runs("referral_contact").has_stopped("referral_received")
    assert story.refuses(ADVOCATE, "receive_referral", referral=referral) == {"referral_sent"}
    story.does(ADVOCATE, "close_referral", referral=referral, referral_result="unable")
    assert story.change("referral_contact").verdict == "cancelled"


def test_one_organisations_referral_is_not_anothers() -> None:
    story = a_case("assessment").does(OFFICER, "correct_details", lpa="solihull")
    story.does(OFFICER, "make_referral", partner="bswa", referral_basis="consent")
    story.does(OFFICER, "make_referral", partner="victim_support", referral_basis="consent")
    other = next(r.id for r in story.case.referrals.values() if r.partner == "victim_support")
    assert story.refuses(ADVOCATE, "receive_referral", referral=other) == {"another-partners-referral"}


def test_the_next_safeguarding_action_has_a_clock_and_only_the_next() -> None:
    story = a_case("assessment")
    plan = {"action_owner": "PC Example"}
    story.does(OFFICER, "plan_safeguarding", action_kind="alarm", **plan)
    assert story.change("safeguarding", "started").target_s == 86_400
    story.does(OFFICER, "plan_safeguarding", action_kind="medical", **plan)
    assert story.change("safeguarding", "started").target_s == 3600
    story.does(OFFICER, "plan_safeguarding", action_kind="housing", **plan)
    assert not [change for event in story.last for change in event.clocks]
    alarm, medical, housing = story.case.actions
    story.waits(3660)
    assert [event.fact.about for event in story.said("AlarmRaised")] == ["safeguarding_late"]  # type: ignore[attr-defined]
    story.does(OFFICER, "complete_safeguarding", action=medical, action_result="done")
    assert story.change("safeguarding").verdict == "breached"
    assert story.change("safeguarding", "started").target_s == 86_400 - 3660
    for action in (alarm, housing):
        story.does(OFFICER, "complete_safeguarding", action=action, action_result="done")
    then(story).has_stopped("safeguarding")


# --- Suspects and the receiving team -----------------------------------------------------------------------------


def test_a_suspect_goes_through_the_steps_of_the_table_and_at_large_has_a_clock() -> None:
    story = a_case("review")
    (unknown,) = story.case.suspects.values()
    assert unknown.status == "unknown"
    story.does(SERGEANT, "correct_details", suspect_name="Bob Example")
    assert story.case.suspects[unknown.id].status == "named"
    story.does(SERGEANT, "change_suspect", suspect_status="outstanding", grounds="The account and a photograph.")
    then(story).runs("outstanding_suspect")
    story.does(SERGEANT, "add_suspect", another_suspect="Brother Example")
    other = next(suspect.id for suspect in story.case.suspects.values() if suspect.name == "Brother Example")
    story.does(SERGEANT, "change_suspect", suspect=other, suspect_status="outstanding")
    story.does(SERGEANT, "record_arrest", suspect=other)
    then(story).runs("outstanding_suspect")
    story.does(SERGEANT, "record_arrest")
    then(story).has_stopped("outstanding_suspect")
    assert story.refuses(SERGEANT, "record_arrest") == {"somebody_to_arrest"}
    assert story.refuses(SERGEANT, "change_suspect", suspect_status="named") == {"suspect-cannot"}
    assert story.refuses(SERGEANT, "change_suspect", suspect="nobody", suspect_status="named") == {"no-such-suspect"}


def test_an_allocated_case_is_accepted_or_sent_back_and_then_the_victim_is_reached() -> None:
    story = a_case("allocated")
    then(story).runs("acceptance", "victim_informed")
    back = story.branch().does(INVESTIGATOR, "reject_allocation", reject_reason="wrong_area")
    then(back).is_in("review").has_stopped("acceptance")
    assert back.case.team == ""
    story.does(INVESTIGATOR, "accept_allocation")
    then(story).runs("investigator_contact").has_stopped("acceptance")
    assert story.refuses(INVESTIGATOR, "reject_allocation", reject_reason="wrong_area") == {"not_accepted_yet"}
    story.does(INVESTIGATOR, "record_contact_attempt", attempt_result="no_answer")
    then(story).runs("investigator_contact")
    story.does(INVESTIGATOR, "record_contact_attempt", attempt_result="reached")
    assert story.types == ["ContactAttempted", "InvestigatorContactMade"]
    assert "OfficerContactStarted" not in story.types, "an investigator's call is no answer to the report"


def test_a_case_that_no_team_accepts_comes_to_the_sergeant() -> None:
    story = a_case("allocated").waits(28_800)
    assert story.said("AlarmRaised")[-1].fact == e.AlarmRaised(to_role="sergeant", about="allocation_not_accepted")


def test_an_outcome_is_of_the_table_in_force_that_day() -> None:
    story = a_case("allocated")
    codes = story.workflow.outcomes | {"22": replace(story.workflow.outcomes["22"], until=date(2026, 1, 1))}
    story.workflow = replace(story.workflow, outcomes=codes)
    assert story.refuses(INVESTIGATOR, "record_outcome", outcome_code="22") == {"outcome-not-in-force"}
    assert story.refuses(INVESTIGATOR, "record_outcome", outcome_code="0") == {"not-an-option"}


def test_who_is_entitled_to_more_hears_sooner() -> None:
    story = a_case("review")
    agreed = {"contact_every": "key_events", "contact_how": "By text, after nine."}
    story.does(SERGEANT, "agree_contact", **agreed, entitlement="enhanced").does(
        SERGEANT, "allocate", team="lpa-coventry"
    )
    assert story.change("victim_informed", "started").target_s == 86_400
    story.does(INVESTIGATOR, "inform_victim", informed_about="decision")
    assert story.change("victim_informed").verdict == "met"


# --- The other workflow, the other force --------------------------------------------------------------------------


def test_a_crime_report_goes_from_review_to_the_team_without_a_call() -> None:
    story = Story(Universe(), crime_report()).opens(SERGEANT)
    then(story).is_in("review").runs("review", "report_contact")
    assert story.case.risk_level == "medium"
    assert story.said("RiskReported")[0].fact == e.RiskReported(tool="", risk_level="medium")
    assert story.refuses(SERGEANT, "return_to_officer", return_reason="risk_unclear") == {"officer_known"}
    story.does(SERGEANT, "assign_officer", officer=OFFICER.id)
    then(story).is_in("assessment").has_officer(OFFICER)
    story.does(OFFICER, "assess_risk", **risk("high"))
    story.does(OFFICER, "plan_safeguarding", action_kind="safe_place", action_owner="PC Example")
    story.does(OFFICER, "submit_for_review").does(SERGEANT, "allocate", team="ppu")
    then(story).is_in("allocated").has_no_officer()


def test_a_report_whose_victim_nobody_reaches_within_a_day_comes_to_the_sergeant() -> None:
    story = Story(Universe(), crime_report()).opens(SERGEANT).waits(86_400)
    assert "victim_not_reached" in [event.fact.about for event in story.said("AlarmRaised")]  # type: ignore[attr-defined]


def test_in_a_force_without_a_sergeants_step_the_officer_takes_the_caller() -> None:
    story = Story(Universe(), da_desk("kent-like")).opens(lpa="north")
    story.does(HANDLER, "answer_criteria", answers={c.id: c.met for c in story.workflow.criteria.values()})
    story.does(HANDLER, "record_consent", consent_kind="video", consent_answer="given").does(HANDLER, "offer_handover")
    assert {"accept_handover", "decline_handover"} <= story.may(OFFICER)
    assert "accept_handover" not in story.may(SERGEANT)
    story.does(OFFICER, "accept_handover")
    assert story.types == ["CapacityNoted", "HandoverAccepted", "OfficerAssigned"]
    then(story).is_in("accepted").has_officer(OFFICER)
    then(story.does(OFFICER, "send_link")).is_in("waiting_room")
