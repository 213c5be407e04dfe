"""A case as somebody may see it: the one place that decides which fields a role is shown, and in what words.

Pages, fragments and the JSON API all read from here. Nothing is looked up and nothing is written; what was shown is
reported by `shown`, so that the access log can be written before the bytes leave.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from rvr.core import clocks, routing
from rvr.core.call_facts import FULL_PICTURE
from rvr.core.case import Case
from rvr.core.commands import Actor
from rvr.core.decide import MoveView
from rvr.core.events import Recorded
from rvr.core.force import Force
from rvr.core.forms import json_schema, options_of
from rvr.core.moment import Moment, iso, parse_iso
from rvr.core.presence import presence_of, ring
from rvr.core.relation import concerns
from rvr.core.vocabulary import Facts
from rvr.core.workflow import Field, State, Workflow
from rvr.messages import Catalogue
from rvr.store.staff import Person
from rvr.store.tables import CaseRow
from rvr.web import case_parts, trial_view
from rvr.web.case_parts import Around
from rvr.web.errors import told

# --- Who sees what -----------------------------------------------------------------------------------------------

ALL_CLASSES = ("details", "contact", "address", "people", "orders", "risk", "safeguarding")
"""people: who these people are in other cases. orders: the civil orders that protect them."""

SEES = {
    "call_handler": frozenset({"details", "contact", "address", "people", "orders"}),
    "sergeant": frozenset(ALL_CLASSES),
    "inspector": frozenset(ALL_CLASSES),
    "officer": frozenset(ALL_CLASSES),
    "investigator": frozenset(ALL_CLASSES),
    "resourcing": frozenset({"contact", "address"}),
}
"""What a role is shown of a case that concerns it. Whoever is sent needs the place and whom to ask for, no more."""

WHOLE = frozenset({"call_handler", "sergeant", "inspector", "officer", "investigator"})
"""Roles that read how the case went, beside its reference, state and clocks."""

OUTLINE = frozenset({"officer", "control_room_specialist"})
"""Roles that see the reference, the state and the clocks of every case."""

SUPERVISES = frozenset({"sergeant", "inspector"})
"""Roles that answer for the desk as a whole: every case concerns them."""

LOOKS_OVER = frozenset({"control_room_specialist"})
"""Who looks over the verdicts on the safety questions, and has no other part in a case."""

TRIAGE = LOOKS_OVER | {"sergeant", "inspector"}
"""Who reads what was found by that."""

FOR_PARTNERS = ("victim_name", "safe_number", "safe_to_text", "who_sees_phone")
"""The answers that an advocate needs to make contact safely: whom to ask for, and how. No other answer is shown to a
partner organisation."""

TOLD_IN_CALL = ("AccountTaken", "MessageSent", "RiskNoted")
"""Facts that hold what the victim said in the call: shown to whoever sees the risk."""

SHOWN_TO_PARTNERS = ("safe_contact", "risk_level", "children", "referral")
"""What the access log calls a look at a referral."""


class Other(NamedTuple):
    """Another case, as far as it decides who may open it."""

    id: str
    state: str
    opened_by: str
    officer: str
    decision: str
    conflicts: Collection[str] = ()


def _roles(case: Case, actor: Actor) -> frozenset[str]:
    """The person's roles that this case concerns, or that look at it for a reason and a while."""
    if actor.id in case.conflicts:
        return frozenset()
    looks = case.id in actor.glass
    return frozenset(role for role in actor.roles if role in SEES and (looks or concerns(case, actor, role)))


def may_see(case: Case, actor: Actor) -> bool:
    """Whether this person may look at the case at all: the outline, or an advocate's own referral, included."""
    if actor.id in case.conflicts:
        return False
    return bool(_roles(case, actor) or actor.roles & OUTLINE) or is_partner(case, actor)


def sees_whole(case: Case, actor: Actor) -> bool:
    """Whether more than the outline (reference, state, clocks) is shown."""
    return bool(_roles(case, actor) & WHOLE)


WATCHES = frozenset({"sergeant", "inspector", "officer", "investigator"})
"""Roles that may see and hear what was recorded of a case that concerns them, each time with a reason."""


def may_watch(case: Case, actor: Actor) -> bool:
    """Whether recordings and stills of this case may be looked at: never for a look outside one's own cases."""
    return bool(_roles(case, replace(actor, glass=frozenset())) & WATCHES)


def may_read(row: CaseRow | Other, actor: Actor) -> bool:
    """The same of a row: whether a link to it leads to more than the outline."""
    if actor.id in row.conflicts:
        return False
    return row.id in actor.glass or any(concerns(row, actor, role) for role in actor.roles & WHOLE)


def is_partner(case: Case, actor: Actor) -> bool:
    """Whether the case was referred to this advocate's organisation, and concerns the person in no other way."""
    asked = "advocate" in actor.roles and actor.id not in case.conflicts and concerns(case, actor, "advocate")
    return asked and not _roles(case, actor)


def classes_for(case: Case, actor: Actor) -> frozenset[str]:
    """The classes of personal data that this person may be shown of the case."""
    return frozenset().union(*(SEES[role] for role in _roles(case, actor)))


def shown_classes(around: Around, actor: Actor) -> list[str]:
    """The classes that a page of this case shows to this person: allowed, and there is something to show."""
    case, known = around.case, around.known
    if is_partner(case, actor):
        return list(SHOWN_TO_PARTNERS)
    has = {class_of(around.flow, name) for name in case.personal}
    has |= {"details"} if case.handover_note else set()
    has |= {"people"} if known.history or known.candidates else set()
    has |= {"orders"} if known.orders else set()
    has |= {"risk"} if case.risk or not case.first.keys().isdisjoint(TOLD_IN_CALL) else set()
    has |= {"safeguarding"} if case.actions or case.safety or case.referrals or case.contact_plan else set()
    return [name for name in ALL_CLASSES if name in has & classes_for(case, actor)]


def shown(around: Around, actor: Actor) -> dict[str, list[str]]:
    """Case id -> what the access log calls that which a page of this case shows of it to this person.

    Of other cases with the same people it shows reference, day, state and risk level: a look at each of them
    (s.62(1)(c)), else nobody would find in the log of a case who saw of it from another. That they stand side by side
    is no combination (e): that is when somebody confirms that the person is the same.
    """
    case, known = around.case, around.known
    own = shown_classes(around, actor)
    if case.eligibility and "control_room_specialist" in actor.roles and not is_partner(case, actor):
        own.append("screening")
    others = [past.case for past in known.history] + [one.id for found in known.candidates for one in found.cases]
    return {case.id: own or ["outline"], **{one: ["elsewhere"] for one in others if one != case.id}}


def class_of(workflow: Workflow, name: str) -> str:
    """The class of a personal answer; what the workflow does not know is shown to those alone who see everything."""
    field = workflow.fields.get(name)
    return field.group if field else "risk"


# --- The case, as JSON and for the pages -------------------------------------------------------------------------


def person(people: Mapping[str, Person], person_id: str) -> dict[str, str] | None:
    """A member of staff, as colleagues see her or him."""
    if not person_id:
        return None
    row = people.get(person_id)
    return {"id": person_id, "name": row.name if row else ""}


def case_json(around: Around, moves: Iterable[MoveView], actor: Actor, words: Catalogue) -> dict[str, Any]:
    """The case as this person may see it."""
    case, workflow, people = around.case, around.flow, around.people
    told_moves = [_move_json(view, workflow, words) for view in moves]
    if is_partner(case, actor):
        return for_partner(around, actor) | {"moves": told_moves}
    shown = outline(case, workflow, words) | {"moves": told_moves}
    classes = classes_for(case, actor)
    if classes:
        shown["personal"] = {name: v for name, v in case.personal.items() if class_of(workflow, name) in classes}
        shown["response_grade"] = case.response_grade or None
        shown["attended"] = case.attended
        shown["officer"] = person(people, case.officer)
    if actor.roles & LOOKS_OVER:
        shown["eligibility"] = _eligibility(case, workflow)
    if actor.roles & TRIAGE:
        shown["triage_checks"] = _triage_checks(case, people, notes=sees_whole(case, actor))
    if sees_whole(case, actor):
        shown |= _whole(around, actor, words)
        shown |= _risk(around) if "risk" in classes else {}
        shown |= _safeguarding(around) if "safeguarding" in classes else {}
    return shown


def _triage_checks(case: Case, people: Mapping[str, Person], *, notes: bool) -> list[dict[str, Any]]:
    """Each look at the verdict, the newest first."""
    return [
        {"at": at, "by": person(people, by), "finding": one.finding, "note": one.note if notes else ""}
        for at, by, one in reversed(case.triage_checks)
    ]


def for_partner(around: Around, actor: Actor) -> dict[str, Any]:
    """What an advocate is shown: how to make contact safely, the risk level, whether there are children, the note."""
    case = around.case
    known = {**case.details, **case.personal}
    return {
        "id": case.id,
        "reference": case.reference,
        "version": case.version,
        "safe_contact": {name: known[name] for name in FOR_PARTNERS if name in known},
        "next_contact": case.safety.next_contact if case.safety else None,
        "contact_plan": case.contact_plan or None,
        "risk_level": case.risk_level or None,
        "children": case.details.get("children"),
        "referrals": case_parts.referrals(case, around.flow, actor.units),
    }


def outline(case: Case, workflow: Workflow, words: Catalogue) -> dict[str, Any]:
    """What every member of the desk may know of a case."""
    state = workflow.states[case.state]
    owner, say = state.acting(case.officer)
    return {
        "id": case.id,
        "reference": case.reference,
        "workflow": case.workflow,
        "workflow_name": workflow.name,
        "workflow_version": case.definition,
        "state": state.id,
        "state_name": state.name,
        "state_say": say,
        "version": case.version,
        "owner": {"role": owner, "name": words.name("role", owner)} if owner else None,
        "emergency": case.emergency,
        "erased_at": case.first.get("CaseErased"),
        "risk_level": case.risk_level or None,
        "clocks": [
            _clock(workflow, one.clock, one.run, iso(one.started_at), one.target_s, one.ends_at, paused=one.paused)
            for one in case.clocks.values()
        ],
    }


def _clock(
    workflow: Workflow, clock: str, run: int, started_at: str, target_s: int, ends_at: str, *, paused: bool
) -> dict[str, Any]:
    """A clock on the screen; one that stands still is due at no time."""
    definition = workflow.clocks.get(clock)
    due_at = ends_at or iso(parse_iso(started_at) + timedelta(seconds=target_s))
    return {
        "id": clock,
        "name": definition.name if definition else clock,
        "run": run,
        "started_at": started_at,
        "target_s": target_s,
        "due_at": None if paused else due_at,
        "paused": paused,
        "why_paused": definition.why_paused if definition and paused else "",
        "board": definition.board if definition else True,
    }


def _of_row(workflow: Workflow, told: Mapping[str, Any]) -> dict[str, Any]:
    run, target_s, paused = int(told["run"]), int(told["target_s"]), bool(told["paused"])
    return _clock(workflow, told["clock"], run, told["started_at"], target_s, told["ends_at"], paused=paused)


def _move_json(view: MoveView, workflow: Workflow, words: Catalogue) -> dict[str, Any]:
    move = view.move
    return {
        "id": move.id,
        "name": move.name,
        "allowed": view.allowed,
        "reasons": told(view.reasons, words),
        "form": json_schema(workflow, move.asks, move.may_ask),
    }


def _whole(around: Around, actor: Actor, words: Catalogue) -> dict[str, Any]:
    case, workflow, people = around.case, around.flow, around.people
    return {
        "opened_at": case.opened_at,
        "opened_by": person(people, case.opened_by),
        "sergeant": person(people, case.sergeant),
        "officer": person(people, case.officer),
        "details": dict(case.details),
        "call_answered_at": case.call_answered_at or None,
        "answers": dict(case.answers),
        "eligibility": _eligibility(case, workflow),
        "consents": dict(case.consents),
        "trial": trial_view.shown(case, workflow),
        "handover_note": case.handover_note,
        "contacts": list(case.contacts),
        "session": _session(case, actor),
        "exhibits": case_parts.exhibits(around),
        "appointment": case_parts.appointment(case),
        "told": case_parts.told(around),
        "line_cleared": case_parts.line_cleared(around),
        "suspects": case_parts.suspects(case, workflow),
        "earlier": case_parts.earlier(around),
        "candidates": case_parts.candidates(around, words),
        "orders": case_parts.live_orders(around, words),
        "order_breached": "yes" in case.orders.values(),
        "safety": None,
        "accounts": [],
        "risk": None,
        "escalations": [],
        "actions": [],
        "referrals": [],
        "proposal": None,
        "decision": case.decision or None,
        "team": case.team or None,
        "team_name": workflow.force.teams.get(case.team, case.team) or None,
        "outcome_code": case.outcome_code or None,
    }


def _eligibility(case: Case, workflow: Workflow) -> dict[str, Any] | None:
    verdict = case.eligibility
    if verdict is None:
        return None

    def told(names: Iterable[str]) -> list[dict[str, str]]:
        known = [workflow.criteria[name] for name in names if name in workflow.criteria]
        return [{"id": c.id, "say": c.say, "why": c.why, "way_out": c.way_out} for c in known]

    return {
        "eligible": verdict.eligible,
        "because": told(verdict.because),
        "way_out": verdict.way_out,
        "concerns": told(verdict.concerns),
        "results": dict(verdict.results),
    }


def _session(case: Case, actor: Actor) -> dict[str, Any] | None:
    """The session; a seat is told to whoever sits in it, and the link's id to nobody."""
    if case.session is None:
        return None
    hidden = {"victim_seat", "link", "officer_seat", "guests", "beside"}
    shown = {f.name: getattr(case.session, f.name) for f in dataclasses.fields(case.session) if f.name not in hidden}
    seat = live_seat(case, actor)
    shown["officer_seat"] = seat if seat == case.session.officer_seat else None
    shown["seat"] = seat or None
    shown["presence"] = presence_of(case)
    shown["overlooked"], shown["without_picture"] = case.session.beside.overlooked, case.session.beside.without or None
    shown["camera_asked"] = case.session.beside.camera_asked
    shown["signal"], shown["private"] = case.session.beside.signal or None, case.session.beside.private or None
    messages = case.session.beside.messages if "risk" in classes_for(case, actor) else ()
    shown["messages"] = [dataclasses.asdict(one) for one in messages if one.text]  # none once the case is erased
    shown["people"] = case_parts.company(case, names="contact" in classes_for(case, actor))
    return shown


def live_seat(case: Case, actor: Actor) -> str:
    """The seat in which this person may sit now: the officer's, or a guest's; empty when there is none."""
    session = case.session
    if session is None or not session.link_sent_at or session.ended_at:
        return ""
    if case.officer == actor.id:
        return session.officer_seat
    return next((one.seat for one in session.live_guests if one.person == actor.id), "")


def _risk(around: Around) -> dict[str, Any]:
    case, workflow = around.case, around.flow
    proposal = routing.propose(workflow.routes, Facts(case))
    return {
        "safety": dataclasses.asdict(case.safety) if case.safety else None,
        "accounts": case_parts.accounts(around),
        "risk": {**dataclasses.asdict(case.risk), "because": list(case.risk.because)} if case.risk else None,
        "escalations": case_parts.escalations(around),
        "evidence_led": case.evidence_led or None,
        "endorsed_by": person(around.people, case.endorsed_by),
        "investigation": case_parts.investigation(around),
        "proposal": {
            "team": proposal.team,
            "team_name": workflow.force.teams.get(proposal.team, proposal.team),
            "because": proposal.route,
            "say": proposal.say,
        }
        if proposal
        else None,
    }


def _safeguarding(around: Around) -> dict[str, Any]:
    case = around.case
    return {
        "actions": [dataclasses.asdict(action) for action in case.actions.values()],
        "referrals": case_parts.referrals(case, around.flow),
        "entitlement": case.entitlement or None,
        "contact_plan": case.contact_plan or None,
    }


def line_told(case: Case, actor: Actor) -> dict[str, str]:
    """What the officer's panel is told of the line beside the victim's presence: how much the victim's side sends, why
    its microphone brings no sound, what keeps its devices from working, whether somebody is there, where both talk, and
    the number to ring when nothing gets through."""
    session = case.session
    if session is None or case.officer != actor.id or not live_seat(case, actor):
        return {}
    return {
        "picture": session.quality.get("victim", FULL_PICTURE),
        "microphone": session.microphones.get("victim", ""),
        "voice": session.voice,
        "fault": session.fault,
        "overlooked": "yes" if session.beside.overlooked else "",
        "ring": str(case.personal.get("safe_number", "")) if ring(case) else "",
    }


# --- Boards and the log ------------------------------------------------------------------------------------------


def board_row(row: CaseRow, workflow: Workflow, people: Mapping[str, Person], words: Catalogue) -> dict[str, Any]:
    """A case on a board: reference, state and clocks, and nothing that names or locates the victim."""
    state = workflow.states.get(row.state) or State(row.state, row.state, "")
    owner, _ = state.acting(row.officer)
    return {
        "id": row.id,
        "reference": row.reference,
        "workflow": row.workflow,
        "workflow_name": workflow.name,
        "state": row.state,
        "state_name": state.name,
        "version": row.version,
        "owner": {"role": owner, "name": words.name("role", owner)} if owner else None,
        "opened_at": row.opened_at,
        "channel": _option(workflow, "source", row.channel),
        "area": workflow.force.areas.get(row.lpa, row.lpa),
        "officer": person(people, row.officer),
        "sergeant": person(people, row.sergeant),
        "emergency": row.emergency,
        "risk_level": row.risk_level or None,
        "response_grade": row.response_grade or None,
        "team": row.team,
        "presence": row.presence,
        "presence_name": words.name("presence", row.presence),
        "clocks": sorted(
            (clock for clock in (_of_row(workflow, one) for one in row.clocks) if clock["board"]),
            key=lambda clock: clock["due_at"] or "9",
        ),
    }


def board_order(row: Mapping[str, Any]) -> tuple[bool, bool, str]:
    """Handovers first, then emergencies, each by the deadline that comes first."""
    due = min((clock["due_at"] for clock in row["clocks"] if clock["due_at"]), default="9")
    return row["state"] != "handover", not row["emergency"], due


ABOUT_RISK = frozenset({"RiskAssessed", "GradeOverridden"})
"""Events whose fields tell the answers of a risk tool."""

OF_THE_DESK = frozenset({"FeedbackGiven"})
"""Events that say what a victim thought of the desk, as it promised to show nobody there: an evaluator has them without
a name, in the package."""


def event_json(recorded: Recorded, case: Case, actor: Actor, words: Catalogue) -> dict[str, Any]:
    """An event of the timing log: its public side, as far as this person may see it."""
    event = recorded.event
    public, _ = event.fact.split()
    of_risk = event.type in ABOUT_RISK and "risk" not in classes_for(case, actor)
    hidden = of_risk or event.type in OF_THE_DESK
    return {
        "version": recorded.version,
        "position": recorded.position,
        "type": event.type,
        "name": words.name("event", event.type),
        "at": iso(event.at.at),
        "recorded_at": iso(recorded.recorded_at),
        "stated_at": event.stated_at or None,
        "stated_source": event.stated_source or None,
        "by": event.by,
        "by_role": event.by_role,
        "state": event.state,
        "workflow_version": event.definition or None,
        "fields": {} if hidden else {n: list(v) if isinstance(v, tuple) else v for n, v in public.items()},
        "clocks": [dataclasses.asdict(change) for change in event.clocks],
    }


def _option(workflow: Workflow, field: str, value: Any) -> str:
    """The label of an option; what is no option is shown as it is."""
    known = workflow.fields.get(field)
    if known is None:
        return str(value)
    return next((str(o.label) for o in options_of(workflow, known) if o.value == value), str(value))


def desk_is_open(force: Force, at: Moment) -> bool:
    """Whether this moment lies within the desk's hours."""
    return clocks.is_open(force.hours, at)


# --- Words for the pages -----------------------------------------------------------------------------------------


def facts_shown(case: Case, workflow: Workflow, actor: Actor) -> dict[str, list[tuple[str, str]]]:
    """The case's answers by class, each as label and words, as far as this person may see them."""
    allowed = classes_for(case, actor)
    shown: dict[str, list[tuple[str, str]]] = {"contact": [], "address": [], "details": []}
    known = {**case.personal, **(case.details if sees_whole(case, actor) else {})}
    for field in workflow.fields.values():
        if field.id not in known:
            continue
        if field.personal and field.group not in allowed:
            continue
        shown[field.group].append((field.label, _words_for(field, known[field.id], workflow)))
    return shown


def labelled(answers: Mapping[str, Any], workflow: Workflow) -> list[tuple[str, str]]:
    """These answers, each as label and words."""
    fields = {name: workflow.fields[name] for name in answers}
    return [(field.label, _words_for(field, answers[name], workflow)) for name, field in fields.items()]


def _words_for(field: Field, value: Any, workflow: Workflow) -> str:
    if field.kind == "date":
        return datetime.fromisoformat(str(value)).strftime("%-d %B %Y")
    return _option(workflow, field.id, value)
