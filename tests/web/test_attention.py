"""What calls somebody to the screen, and what the officers are doing: told from rows and streams, without a desk."""

from __future__ import annotations

from typing import Any

import pytest

from rvr.core.assigning import Wishes
from rvr.core.commands import Actor
from rvr.core.force import OfficerProfile
from rvr.core.roster import Officer
from rvr.messages import catalogue
from rvr.store.projections import case_row
from rvr.store.staff import Person
from rvr.web import attention, roster_view
from rvr.web.roster_view import Roster, Shift
from tests.builders import INSPECTOR, OFFICER, RESOURCING, SERGEANT, a_case

WORDS = catalogue()


def row(**more: Any) -> dict[str, Any]:
    return {"accept": "", "state": "video", "emergency": False, "presence": "on_video", "officer": None, **more}


@pytest.mark.parametrize(
    ("shown", "sergeant", "officer"),
    [
        (row(accept="accept_handover", state="handover"), ["handover"], ["handover"]),
        (row(state="review"), ["report"], []),
        (row(emergency=True), ["emergency"], ["emergency"]),
        (row(presence="waiting"), ["waiting"], []),
        (row(presence="waiting", officer={"id": OFFICER.id}), ["waiting"], ["waiting"]),
        (row(state="accepted", officer={"id": OFFICER.id}), [], ["assigned"]),
        (row(state="deployment"), [], []),
        (row(), [], []),
    ],
)
def test_a_row_calls_whoever_has_to_act_on_it(shown: dict[str, Any], sergeant: list[str], officer: list[str]) -> None:
    assert attention.calls(shown, (), SERGEANT) == attention.calls(shown, (), INSPECTOR) == sergeant
    assert attention.calls(shown, (), OFFICER) == officer


def test_an_alarm_that_is_raised_again_calls_again() -> None:
    first, second = ({"about": "handover_waits", "at": at} for at in ("2026-11-23T02:00:00Z", "2026-11-23T02:03:00Z"))
    assert attention.calls(row(), [first], SERGEANT) != attention.calls(row(), [second], SERGEANT)


def test_every_kind_of_call_has_its_sentence() -> None:
    all_roles = Actor(OFFICER.id, SERGEANT.roles | RESOURCING.roles, "All")
    states = ("review", "accepted", "deployment")
    rows = [
        row(accept="a", state=one, emergency=True, presence="waiting", officer={"id": OFFICER.id}) for one in states
    ]
    kinds = {kind for one in rows for kind in attention.calls(one, [{"about": "x", "at": "y"}], all_roles)}
    assert len(kinds) == 7
    assert [kind for kind in kinds if f"live.call_{kind.partition('-')[0]}" not in WORDS] == []


# --- The roster --------------------------------------------------------------------------------------------------

OLU, ORLA = (Person(f"person-{name}", name, name.title(), ("officer",)) for name in ("olu", "orla"))
PEOPLE = {one.id: one for one in (OLU, ORLA)}


def told(*kinds: tuple[str, str]) -> dict[str, Shift]:
    """Olu's stream: kind and case, or status; one a minute."""
    field = {"OfficerDutyChanged": "status"}
    return roster_view.fold(
        (OLU.id, kind, f"2026-11-23T02:{minute:02}:00Z", {field.get(kind, "case"): value})
        for minute, (kind, value) in enumerate(kinds)
    )


def roster(status: str, case: Any = None, *, shifts: dict[str, Shift] | None = None, **more: Any) -> Roster:
    rows = {one.id: one for one in (case, *more.values()) if one}
    return Roster({OLU.id: Officer(OLU.id, 1, status, case.id if case else "")}, shifts or {}, rows)


@pytest.mark.parametrize(
    ("state", "doing"),
    [("accepted", "with_case"), ("waiting_room", "waiting"), ("video", "in_session"), ("assessment", "wrap_up")],
)
def test_an_officer_does_what_the_case_is_at(state: str, doing: str) -> None:
    assert roster("on", case_row(a_case(state).case, 1)).doing(OLU.id) == doing


def test_a_break_after_a_case_of_high_risk_is_told_apart() -> None:
    hard, mild = (case_row(a_case("review").case, 1) for _ in range(2))
    hard.risk_level, mild.risk_level = "high", "standard"
    for last, doing in ((hard, "hard_break"), (mild, "break")):
        shifts = told(("OfficerEngaged", last.id), ("OfficerFreed", last.id), ("OfficerDutyChanged", "break"))
        assert roster("break", shifts=shifts, last=last).doing(OLU.id) == doing
    assert roster("on").doing(OLU.id) == "free"
    assert roster("off").doing(OLU.id) == "off"


def test_a_shift_counts_each_case_once_and_knows_since_when() -> None:
    shifts = told(("OfficerEngaged", "a"), ("OfficerFreed", "a"), ("OfficerEngaged", "a"), ("OfficerEngaged", "b"))
    assert shifts == {OLU.id: Shift("2026-11-23T02:03:00Z", ("a", "b"), "a")}


def test_the_free_officer_whom_the_victim_asked_for_is_offered_first_then_the_one_with_the_fewest_cases() -> None:
    officers = {one.id: Officer(one.id, 1, "on") for one in PEOPLE.values()}
    two = Roster(officers, {OLU.id: Shift(cases=("a", "b"))}, {})
    plain = roster_view.to_choose(two, PEOPLE, WORDS)
    assert [choice.label for choice in plain] == ["Orla (Free)", "Olu (Free, cases this shift: 2)"]
    profiles = {"olu": OfficerProfile(("urdu",), ("stalking",), "woman")}
    asked = roster_view.to_choose(two, PEOPLE, WORDS, Wishes("urdu", "woman"), profiles)
    assert [choice.label for choice in asked] == [
        "Olu (Free, speaks the victim's language, as the victim asked, stalking, cases this shift: 2)",
        "Orla (Free, does not speak the victim's language, not as the victim asked)",
    ]
    away = roster_view.to_choose(Roster({OLU.id: Officer(OLU.id, 1, "break")}, {}, {}), PEOPLE, WORDS)
    assert away == ()


def test_whoever_sends_officers_hears_of_a_deployment() -> None:
    assert attention.calls(row(state="deployment"), (), RESOURCING) == ["deployment"]


def test_nobody_else_hears_what_is_the_leads() -> None:
    handler = Actor("person-handler", frozenset({"call_handler"}), "Hana")
    assert attention.calls(row(state="review", presence="waiting"), (), handler) == []
