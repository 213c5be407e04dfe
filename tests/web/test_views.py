"""What each role is shown of a case, what boards leave out, and how a page's form becomes the desk's."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from rvr.config import ROOT
from rvr.core import decide
from rvr.core.case import Case
from rvr.core.commands import Actor, MakeMove, OpenCase
from rvr.core.errors import Refused
from rvr.core.events import FACTS
from rvr.core.moment import Moment
from rvr.core.presence import presence_of
from rvr.core.roster import Capacity, Officer
from rvr.core.vocabulary import Basis
from rvr.definitions import load
from rvr.messages import catalogue
from rvr.store.projections import case_row
from rvr.store.tables import AccountRow
from rvr.web import form_views, views
from rvr.web.case_parts import Around
from rvr.web.choices import Choices

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AT = Moment(NOW, "boot", 1_000_000_000, 500)
DEFINITIONS = load(ROOT / "workflows", "wmp")
FLOW = DEFINITIONS.workflows["da-desk"]
WORDS = catalogue()

HANDLER = Actor("h-1", frozenset({"call_handler"}), "Hana")
SERGEANT = Actor("s-1", frozenset({"sergeant"}), "Sam")
INSPECTOR = Actor("i-1", frozenset({"inspector"}), "Isla")
OFFICER = Actor("o-1", frozenset({"officer"}), "Olu")
COLLEAGUE = Actor("o-2", frozenset({"officer"}), "Orla")
RESOURCING = Actor("r-1", frozenset({"resourcing"}), "Rae")
OUTSIDERS = [Actor(f"x-{role}", frozenset({role})) for role in ("evaluator", "administrator", "auditor", "advocate")]
PEOPLE = {
    actor.id: AccountRow(id=actor.id, username=actor.name, name=actor.name, roles=list(actor.roles), password_hash="")
    for actor in (HANDLER, SERGEANT, OFFICER, COLLEAGUE, RESOURCING)
}

PERSONAL = {
    "incident_number": "WM-77",
    "victim_name": "Alex Example",
    "safe_number": "07700 900123",
    "address": "1 Example Road, B91 1AA",
    "suspect_name": "Max Sample",
    "code_word": "lavender",
}


def basis(command: str = "open") -> Basis:
    return Basis(
        tuple(f"{command}-{n}" for n in range(4)),
        "ABC-234",
        Capacity(1, 1, 7),
        {OFFICER.id: Officer(OFFICER.id, 1, "on")},
    )


def moved(case: Case, by: Actor, move: str, **form: Any) -> Case:
    return decide.decide_move(
        case, MakeMove(f"c-{move}", case.id, move, form), FLOW, by=by, at=AT, basis=basis(move)
    ).case


@pytest.fixture
def opened() -> Case:
    form = {"source": "999", "safe_to_text": "yes", "lpa": "solihull", **PERSONAL}
    return decide.decide_open(OpenCase("c", form), FLOW, case_id="case-1", by=HANDLER, at=AT, basis=basis()).case


@pytest.fixture
def assigned(opened: Case) -> Case:
    case = moved(opened, HANDLER, "answer_criteria", answers=dict.fromkeys(FLOW.criteria, "yes"))
    case = moved(case, HANDLER, "record_consent", consent_kind="video", consent_answer="given")
    case = moved(case, HANDLER, "offer_handover", note="Alex is quiet")
    case = moved(case, SERGEANT, "accept_handover")
    return moved(case, SERGEANT, "assign_officer", officer=OFFICER.id)


def shown_to(case: Case, actor: Actor) -> dict[str, Any]:
    moves = decide.view_moves(FLOW, case, actor, basis())
    return views.case_json(around(case), moves, actor, WORDS)


def around(case: Case, **more: Any) -> Around:
    return Around(case, FLOW, people=PEOPLE, **more)


# --- Who sees what -----------------------------------------------------------------------------------------------


def test_the_opener_sees_the_details_and_no_other_call_handler_sees_the_case(opened: Case) -> None:
    assert shown_to(opened, HANDLER)["personal"]["victim_name"] == "Alex Example"
    assert not views.may_see(opened, replace(HANDLER, id="h-2"))


def test_an_officers_colleague_sees_the_outline_and_nothing_personal(assigned: Case) -> None:
    shown = shown_to(assigned, COLLEAGUE)
    assert {"reference", "state", "clocks"} <= set(shown)
    assert "personal" not in shown
    assert "details" not in shown
    assert views.shown_classes(around(assigned), COLLEAGUE) == []
    assert views.facts_shown(assigned, FLOW, COLLEAGUE) == {"contact": [], "address": [], "details": []}


def test_the_duty_inspector_sees_of_a_case_what_the_sergeant_sees(assigned: Case) -> None:
    shown = shown_to(assigned, INSPECTOR)
    assert {**shown, "moves": []} == {**shown_to(assigned, SERGEANT), "moves": []}
    assert views.shown_classes(around(assigned), INSPECTOR) == views.shown_classes(around(assigned), SERGEANT)


def test_resourcing_sees_whom_to_ask_for_and_where_but_not_how_the_risk_stands(assigned: Case) -> None:
    assert not views.may_see(assigned, RESOURCING)
    sent = moved(assigned, OFFICER, "dispatch_emergency")
    shown = shown_to(sent, RESOURCING)
    assert set(shown["personal"]) == {"victim_name", "safe_number", "code_word", "address"}
    assert views.shown_classes(around(sent), RESOURCING) == ["contact", "address"]
    assert not {"risk", "actions", "handover_note", "answers"} & set(shown)


@pytest.mark.parametrize("actor", OUTSIDERS, ids=lambda actor: str(actor.id))
def test_evaluators_and_administrators_see_nothing_of_a_case(assigned: Case, actor: Actor) -> None:
    assert not views.may_see(assigned, actor)
    assert views.shown_classes(around(assigned), actor) == []


def test_the_seat_is_told_to_the_officer_who_sits_in_it_and_the_victims_seat_to_nobody(assigned: Case) -> None:
    waiting = moved(assigned, OFFICER, "send_link")
    assert waiting.session is not None
    assert shown_to(waiting, OFFICER)["session"]["officer_seat"] == waiting.session.officer_seat
    for actor in (OFFICER, SERGEANT, HANDLER):
        told = json.dumps(shown_to(waiting, actor))
        assert waiting.session.victim_seat not in told
        assert (waiting.session.officer_seat in told) is (actor is OFFICER)


def test_the_call_handler_is_not_shown_the_risk_answers(assigned: Case) -> None:
    case = replace(assigned, state="video")
    questions = dict.fromkeys((q.id for q in DEFINITIONS.instruments["dash"].questions), "no")
    case = moved(case, OFFICER, "assess_risk", risk_tool="dash", risk_answers=questions, risk_level="standard")
    assert shown_to(case, HANDLER)["risk"] is None
    assert shown_to(case, OFFICER)["risk"]["answers"] == questions
    assert "risk" in views.shown_classes(around(case), OFFICER)
    assert "risk" not in views.shown_classes(around(case), HANDLER)


def test_a_quick_exit_is_told_apart_from_a_closed_page_until_a_new_link_is_sent(assigned: Case) -> None:
    waiting = moved(assigned, OFFICER, "send_link")
    assert presence_of(waiting) == "sent"
    assert waiting.session is not None
    gone = replace(waiting.session, victim="gone", link_opened_at="2026-11-22T12:01:00.000000Z")
    closed = replace(waiting, session=gone)
    assert presence_of(closed) == "left"
    exited = replace(closed, first={**closed.first, "VictimExited": "2026-11-22T12:02:00.000000Z"})
    assert presence_of(exited) == "exited"
    again = replace(gone, link_sent_at="2026-11-22T12:03:00.000000Z", link_opened_at="")
    assert presence_of(replace(exited, session=again)) == "sent"


# --- Boards and the log ------------------------------------------------------------------------------------------


def test_a_board_row_holds_no_personal_text(assigned: Case) -> None:
    row = views.board_row(case_row(assigned, 9), FLOW, PEOPLE, WORDS)
    told = json.dumps(row)
    for value in (*PERSONAL.values(), "+447700900123", "Alex is quiet"):
        assert value not in told
    assert row["area"] == "Solihull"
    assert row["officer"] == {"id": OFFICER.id, "name": "Olu"}
    assert {clock["id"] for clock in row["clocks"]} == {"transfer", "service_level", "assign"}


def test_handovers_stand_first_and_then_the_earliest_deadline() -> None:
    def row(state: str, due: str, emergency: bool = False) -> dict[str, Any]:
        return {"state": state, "emergency": emergency, "clocks": [{"due_at": due}]}

    rows = [row("video", "3"), row("handover", "2"), row("review", "1"), row("video", "9", True), row("handover", "1")]
    order = sorted(rows, key=views.board_order)
    assert [(r["state"], r["clocks"][0]["due_at"]) for r in order] == [
        ("handover", "1"),
        ("handover", "2"),
        ("video", "9"),
        ("review", "1"),
        ("video", "3"),
    ]


def test_a_clock_says_when_it_is_due(opened: Case) -> None:
    clock = next(c for c in shown_to(opened, HANDLER)["clocks"] if c["id"] == "transfer")
    assert clock["due_at"] == "2026-11-22T12:10:00.000000Z"


# --- Forms -------------------------------------------------------------------------------------------------------

BOX = "call_answered_at"


@pytest.mark.parametrize(
    ("typed", "now", "meant"),
    [
        ("2026-01-15T10:00", NOW, "2026-01-15T10:00:00.000000Z"),
        ("2026-07-15T10:00", NOW, "2026-07-15T09:00:00.000000Z"),
        # The hour that comes twice: the reading nearer to now.
        ("2026-10-25T01:30", datetime(2026, 10, 25, 0, 40, tzinfo=UTC), "2026-10-25T00:30:00.000000Z"),
        ("2026-10-25T01:30", datetime(2026, 10, 25, 1, 40, tzinfo=UTC), "2026-10-25T01:30:00.000000Z"),
        ("2026-07-15T10:00:00+02:00", NOW, "2026-07-15T08:00:00.000000Z"),
    ],
)
def test_a_local_time_becomes_one_with_its_offset(typed: str, now: datetime, meant: str) -> None:
    assert form_views.form_from({BOX: typed}, FLOW, [BOX], now) == {BOX: meant}


@pytest.mark.parametrize("typed", ["2026-03-29T01:30", "yesterday"])
def test_a_time_that_does_not_exist_is_refused_beside_its_field(typed: str) -> None:
    form = form_views.form_from({BOX: typed}, FLOW, [BOX], NOW)
    with pytest.raises(Refused) as refused:
        decide.forms.clean(FLOW, [], [BOX], form)
    assert [(reason.code, reason.field) for reason in refused.value.reasons] == [("not-a-time", BOX)]


def test_answers_are_gathered_and_empty_ones_left_out() -> None:
    post = {"answers.adult": "yes", "answers.is_the_victim": "", "csrf": "x", "note": " "}
    assert form_views.form_from(post, FLOW, ["answers", "note"]) == {"answers": {"adult": "yes"}}


def test_a_form_that_was_refused_shows_what_was_typed_and_the_error_beside_it(opened: Case) -> None:
    view = next(v for v in decide.view_moves(FLOW, opened, HANDLER, basis()) if v.move.id == "request_deployment")
    choices = Choices(FLOW, WORDS, AT, opened)
    form = form_views.form_view(view, opened, choices, {"response_grade": "priority"}, {"deployment_reason": "Fill in"})
    assert form.field("response_grade").value == "priority"
    assert form.field("deployment_reason").error == "Fill in"
    assert form.version == opened.version


def test_every_sentence_of_the_templates_is_in_the_catalogue() -> None:
    templates = (ROOT / "rvr/web/templates").glob("*.html")
    asked = {key for path in templates for key in re.findall(r"\bt\('([a-z]+\.[a-z_A-Z]+)'[,)]", path.read_text())}
    assert len(asked) > 100
    assert {key for key in asked if key not in WORDS} == set()


def test_every_fact_of_the_log_has_a_name_that_people_read() -> None:
    assert {name for name in FACTS if f"event.{name}" not in WORDS} == set()


def test_every_name_that_the_pages_ask_for_is_in_the_catalogue() -> None:
    for role in views.SEES:
        assert WORDS.name("role", role) != role
    for presence in ("none", "sent", "opened", "waiting", "on_video", "interrupted", "left", "exited"):
        assert f"presence.{presence}" in WORDS
