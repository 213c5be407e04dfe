"""Who is shown what of the parts of a case: its people elsewhere, orders, referrals, escalations, and what was told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rvr.core import decide
from rvr.core.commands import Actor
from rvr.core.events import Recorded
from rvr.core.history import PastCase
from rvr.core.identity import Candidate, KnownCase
from rvr.core.moment import iso
from rvr.core.orders import Order
from rvr.messages import catalogue
from rvr.store.history import Known
from rvr.web import views
from rvr.web.case_parts import Around
from tests.builders import (
    ADVOCATE,
    HANDLER,
    INSPECTOR,
    INVESTIGATOR,
    OFFICER,
    OFFICER_2,
    RESOURCING,
    SERGEANT,
    START,
    Story,
    Universe,
    a_case,
    crime_report,
)

WORDS = catalogue()
SPECIALIST = Actor("cass", frozenset({"control_room_specialist"}), "Cass")
OTHER_ADVOCATE = Actor("ava", frozenset({"advocate"}), "Ava", frozenset({"coventry"}))
EARLIER = iso(START.replace(month=3))

PAST = PastCase("0", "AAA-222", EARLIER, "v", "s", "high", "closed", marac=True)
CANDIDATE = Candidate("victim", "p-9", ("name_dob", "part_dob"), (KnownCase("0", "AAA-222", EARLIER, "closed"),))
ORDER = Order(
    "o-1", 1, "non_molestation", starts=EARLIER, conditions="Not to go near.", found_by=(("suspect", "name_dob"),)
)


def around(story: Story, **more: Any) -> Around:
    log = tuple(
        Recorded(event, "case/1", n, n, f"e{n}", "c", "wmp", event.at.at, b"") for n, event in enumerate(story.log, 1)
    )
    return Around(story.case, story.workflow, log, **more)


def shown(story: Story, who: Actor, **more: Any) -> dict[str, Any]:
    found = around(story, **more)
    return views.case_json(
        found, decide.view_moves(story.workflow, story.case, who, story.universe.basis()), who, WORDS
    )


def referred(partner: str = "bswa") -> Story:
    story = Story(Universe()).opens(lpa="birmingham", children="yes", code_word="umbrella", who_sees_phone="Nobody")
    story.does(HANDLER, "request_deployment", response_grade="priority", deployment_reason="prefers_in_person")
    return story.does(SERGEANT, "make_referral", partner=partner, referral_basis="consent", note="A refuge.")


# --- Partners ----------------------------------------------------------------------------------------------------


def test_an_advocate_sees_how_to_make_contact_the_risk_the_children_and_the_note_and_nothing_else() -> None:
    story = referred()
    seen = shown(story, ADVOCATE)
    assert {move.pop("id") for move in seen.pop("moves")} == {"receive_referral", "close_referral"}
    assert seen.pop("safe_contact") == {
        "victim_name": "Ann Example",
        "safe_number": "+447700900123",
        "safe_to_text": "yes",
        "who_sees_phone": "Nobody",
    }
    (referral,) = seen.pop("referrals")
    assert (referral["note"], referral["state"]) == ("A refuge.", "sent")
    assert seen == {
        "id": "1",
        "reference": "K7Q-X2M",
        "version": story.case.version,
        "next_contact": None,
        "contact_plan": None,
        "risk_level": None,
        "children": "yes",
    }
    assert views.shown_classes(around(story), ADVOCATE) == ["safe_contact", "risk_level", "children", "referral"]


def test_another_organisations_advocate_sees_nothing_and_not_even_that_there_is_a_case() -> None:
    story = referred()
    assert not views.may_see(story.case, OTHER_ADVOCATE)
    assert not views.may_see(a_case().case, ADVOCATE)


def test_of_two_referrals_an_advocate_sees_the_own_organisations() -> None:
    story = referred().does(
        SERGEANT, "make_referral", partner="victim_support", referral_basis="consent", note="Money."
    )
    assert [one["partner"] for one in shown(story, ADVOCATE)["referrals"]] == ["bswa"]
    assert [one["partner"] for one in shown(story, SERGEANT)["referrals"]] == ["bswa", "victim_support"]


# --- The outline -------------------------------------------------------------------------------------------------


def test_a_control_room_specialist_sees_the_outline_the_safety_results_and_the_emergency_button() -> None:
    story = a_case("handover")
    seen = shown(story, SPECIALIST)
    assert seen["eligibility"]["eligible"] is True
    assert [move["id"] for move in seen["moves"]] == ["check_triage", "dispatch_emergency"]
    assert not {"personal", "details", "suspects", "candidates", "orders"} & set(seen)
    assert views.shown_classes(around(story), SPECIALIST) == []
    assert views.facts_shown(story.case, story.workflow, SPECIALIST) == {"contact": [], "address": [], "details": []}


# --- The same people, and orders ---------------------------------------------------------------------------------

KNOWN = Known((PAST,), (CANDIDATE,), (ORDER,))


@pytest.mark.parametrize("who", [HANDLER, SERGEANT, INSPECTOR], ids=lambda who: str(who.id))
def test_earlier_cases_and_candidates_are_shown_by_reference_date_and_strength_and_never_by_name(who: Actor) -> None:
    story = a_case()
    seen = shown(story, who, known=KNOWN, states={"closed": "Closed"})
    (past,), (candidate,) = seen["earlier"], seen["candidates"]
    assert (past["reference"], past["state_name"], past["same"]) == ("AAA-222", "Closed", "suspect")
    assert (candidate["strength"], candidate["same"]) == ("strong", "same name and date of birth")
    assert candidate["candidate"] == "victim:p-9"
    assert "Ann Example" not in json.dumps([past, candidate])
    assert {"people", "orders"} <= set(views.shown_classes(around(story, known=KNOWN), who))


def test_a_case_is_linked_only_for_whoever_may_read_it() -> None:
    story = a_case()
    assert shown(story, SERGEANT, known=KNOWN)["earlier"][0]["id"] is None
    assert shown(story, SERGEANT, known=KNOWN, mine=frozenset({"0"}))["earlier"][0]["id"] == "0"


def test_an_orders_conditions_are_for_those_whom_the_case_concerns() -> None:
    story = a_case("deployment")
    (order,) = shown(story, HANDLER, known=KNOWN)["orders"]
    assert (order["name"], order["conditions"], order["breached"]) == ("Non-molestation order", "Not to go near.", "")
    for who in (RESOURCING, OFFICER, SPECIALIST):
        assert "Not to go near." not in json.dumps(shown(story, who, known=KNOWN))


def test_a_breach_is_told_to_all_whom_the_case_concerns() -> None:
    story = a_case("call_taking", Universe(orders=(ORDER,))).does(
        HANDLER, "match_order", live_order="o-1", breached="yes"
    )
    seen = shown(story, HANDLER, known=KNOWN)
    assert (seen["order_breached"], seen["orders"][0]["breached"]) == (True, "yes")


# --- Escalation, suspects, what was agreed and told --------------------------------------------------------------


def test_an_escalation_tells_its_rule_its_source_and_the_cases_that_it_rests_on() -> None:
    story = Story(Universe(), crime_report()).opens(SERGEANT)
    pair = (story.case.victim_id, story.case.suspect_id)
    earlier = [PastCase(str(n), f"AAA-22{n}", EARLIER, *pair, "medium", "closed") for n in (2, 3)]
    story.universe.history = tuple(earlier)
    story.does(SERGEANT, "add_suspect")
    told = {one["rule"]: one for one in shown(story, SERGEANT)["escalations"]}
    third = told["third_occasion"]
    assert (third["count"], third["cases"], third["proposes"]) == (3, ["AAA-222", "AAA-223"], "specialist")
    assert "third time" in third["say"]
    assert third["source"]
    assert shown(story, SERGEANT)["proposal"]["team"] == "specialist"


def test_the_call_handler_is_shown_suspects_and_what_was_told_but_no_escalation_and_no_referral() -> None:
    story = a_case("handover").does(HANDLER, "tell_victim", told="officers_coming")
    story.does(HANDLER, "clear_line_with_plan", next_contact="Text at nine.")
    seen = shown(story, HANDLER)
    assert [one["what"] for one in seen["told"]] == ["Officers are on the way"]
    assert (seen["line_cleared"]["because"], seen["line_cleared"]["next_contact"]) == (
        "plan_read_back",
        "Text at nine.",
    )
    assert seen["suspects"][0]["status_name"] == "Not known"
    assert (seen["escalations"], seen["referrals"]) == ([], [])
    assert "investigation" not in seen


def test_what_the_receiving_team_did_is_told_with_the_record_of_the_outcome() -> None:
    story = a_case("allocated").does(INVESTIGATOR, "accept_allocation")
    story.does(INVESTIGATOR, "record_charge", charged_on="2026-11-22")
    story.does(INVESTIGATOR, "record_outcome", outcome_code="1")
    done = shown(story, INVESTIGATOR)["investigation"]
    assert done["charges"][0]["charged_on"] == "2026-11-22"
    assert [one["code"] for one in done["outcomes"]] == ["1"]
    assert views.may_see(story.case, INVESTIGATOR)
    assert not views.sees_whole(story.case, OFFICER_2)


def test_an_agreed_time_is_told_with_how_to_make_contact() -> None:
    story = a_case("appointment")
    assert shown(story, SERGEANT)["appointment"]["how"] == "Ring twice, then send the link."
    assert "appointment" not in shown(story, replace(OFFICER, id="nobody"))
