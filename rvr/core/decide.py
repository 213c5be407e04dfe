"""What a command does to a case: the desk's decisions, as events or as reasons why not.

`decide_*` takes the case, the command, who asks, the moment, and the basis (fresh ids, capacity, officers): everything
that it needs, so that it looks nothing up and the same inputs give the same events. `view_moves` asks the very same
rules without making the move, so that what a screen offers and what the door accepts always agree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rvr.core import clocks, criteria, forms, risk, routing
from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.commands import BOT, THE_BOT, Actor, MakeMove, OpenCase, RunOut, SetDuty
from rvr.core.errors import Forbidden, NotFound, Reason, Refused
from rvr.core.moment import Moment, iso, parse_iso
from rvr.core.roster import Capacity, Officer
from rvr.core.workflow import Move, Workflow


@dataclass(frozen=True, slots=True)
class Basis:
    """Everything from outside the case that a decision may rest on, gathered before it is made."""

    ids: tuple[str, ...]
    """Fresh random ids, enough for any one command."""
    reference: str = ""
    """A fresh short reference, for an opening."""
    capacity: Capacity = field(default_factory=lambda: Capacity(0, 0, 0))
    officers: Mapping[str, Officer] = field(default_factory=dict)
    """The officers that the command may bind or free, by id."""
    instruments: Mapping[str, risk.Instrument] = field(default_factory=dict)

    def noted(self) -> dict[str, Any]:
        """What the deciding event keeps of it."""
        capacity = self.capacity
        return {"position": capacity.position, "on_duty": capacity.on_duty, "free": capacity.free}


@dataclass(frozen=True, slots=True)
class Decision:
    """The events that a command comes to, for the case's stream and for the officers' streams."""

    case: Case
    """The case after them."""
    events: tuple[e.Event, ...] = ()
    officers: Mapping[str, tuple[e.Event, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MoveView:
    """A move as somebody sees it: allowed, or with every reason why not."""

    move: Move
    reasons: tuple[Reason, ...] = ()

    @property
    def allowed(self) -> bool:
        return not self.reasons


@dataclass(frozen=True, slots=True)
class _Asked:
    """One move being made."""

    workflow: Workflow
    case: Case
    move: Move
    form: Mapping[str, Any]
    by: Actor
    at: Moment
    basis: Basis
    facts: Mapping[str, Any]


# --- Facts that conditions ask for -------------------------------------------------------------------------------


def facts_of(
    case: Case, by: Actor | None = None, basis: Basis | None = None, form: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The case as named facts: the whole vocabulary of the conditions in a definition."""
    session = case.session
    open_actions = [a for a in case.actions.values() if not a.result]
    facts: dict[str, Any] = {
        "state": case.state,
        "emergency": case.emergency,
        "attended": case.attended,
        "eligible": case.eligibility.eligible if case.eligibility else None,
        "way_out": case.eligibility.way_out if case.eligibility else None,
        "response_grade": case.response_grade,
        "officer": case.officer,
        "engaged": case.engaged,
        "sergeant": case.sergeant,
        "has_safe_number": bool(case.personal.get("safe_number")),
        "session_live": bool(session and session.link_sent_at and not session.ended_at),
        "session_flowing": bool(session and session.flowing),
        "had_two_way": bool(session and session.two_way_at and not session.ended_at),
        "link_opened": bool(session and session.link_opened_at),
        "safety.alone": case.safety.alone if case.safety else None,
        "safety.place_verified": case.safety.place_verified if case.safety else None,
        "has_address": bool(case.personal.get("address")),
        "risk_level": case.risk_level,
        "actions": len(case.actions),
        "actions_unowned": len([a for a in open_actions if not (a.owner and a.due_at)]),
        "decision": case.decision,
        "diverted": "HandoverDiverted" in case.first,
        "exited": case.exited,
    }
    facts |= {f"details.{name}": value for name, value in case.details.items()}
    facts |= {f"consent.{kind}": answer for kind, answer in case.consents.items()}
    facts |= {f"form.{name}": value for name, value in (form or {}).items()}
    if by:
        facts["by"] = by.id
    if basis:
        facts |= {"desk.free": basis.capacity.free, "desk.on_duty": basis.capacity.on_duty}
    return facts


KNOWN_FACTS = frozenset(facts_of(Case(""), THE_BOT, Basis(()))) | {
    "consent.video",
    "consent.recording",
    "consent.evaluation",
}
"""What a condition may ask for besides `details.*` and `form.*`."""


# --- May this person make this move? -----------------------------------------------------------------------------


def view_moves(workflow: Workflow, case: Case, by: Actor, basis: Basis) -> list[MoveView]:
    """Every move that the table has from here and that is this person's to make."""
    facts = facts_of(case, by, basis)
    return [
        MoveView(move, _unmet(workflow, move, facts))
        for move in workflow.open_to(case.state)
        if by.roles & set(move.who) and _theirs(move, case, by)
    ]


def _theirs(move: Move, case: Case, by: Actor) -> bool:
    """A role alone is not enough: a case is the officer's who is assigned, and the call handler's who opened it.

    An emergency is everybody's.
    """
    if move.event == "EmergencyDispatched":
        return True
    related = {"officer": case.officer, "call_handler": case.opened_by}
    return any(role not in related or related[role] == by.id for role in by.roles & set(move.who))


def _unmet(workflow: Workflow, move: Move, facts: Mapping[str, Any]) -> tuple[Reason, ...]:
    guards = [workflow.guards[guard] for guard in move.needs]
    return tuple(
        Reason("needs", {"guard": guard.id, "say": guard.say}) for guard in guards if not guard.when.holds(facts)
    )


def _checked_move(workflow: Workflow, case: Case, move_id: str, by: Actor) -> Move:
    move = workflow.moves.get(move_id)
    if move is None:
        raise NotFound(Reason("unknown-move", {"move": move_id}))
    if not by.roles & set(move.who):
        raise Forbidden(Reason("not-your-move", {"move": move.name}))
    if not _theirs(move, case, by):
        raise Forbidden(Reason("not-your-case"))
    if case.state not in move.sources:
        raise Refused(Reason("not-from-here", {"move": move.name, "state": workflow.states[case.state].name}))
    return move


# --- The decisions -----------------------------------------------------------------------------------------------


def decide_open(
    command: OpenCase, workflow: Workflow, *, case_id: str, by: Actor, at: Moment, basis: Basis
) -> Decision:
    """Opens a case.

    Raises Forbidden for a role that may not open one, Refused with a reason for every field.
    """
    if not by.roles & set(workflow.opens_who):
        raise Forbidden(Reason("not-your-move", {"move": "open"}))
    form = forms.clean(workflow, workflow.opens_asks, workflow.opens_may_ask, command.form)
    answered_at = form.pop("call_answered_at", "")
    if answered_at and parse_iso(answered_at) > at.at:
        raise Refused(Reason("in-the-future", {"label": workflow.fields["call_answered_at"].label}, "call_answered_at"))
    details, personal = _split_personal(workflow, form)
    opened = e.CaseOpened(
        workflow=workflow.id,
        reference=basis.reference,
        details=details,
        personal=personal,
        victim_id=basis.ids[0],
        suspect_id=basis.ids[1],
    )
    facts: list[e.Fact] = [opened, *([e.CallAnswered()] if answered_at else [])]
    role = _role(by, workflow.opens_who)
    return _settle(
        workflow,
        Case(case_id),
        facts,
        primary="CaseOpened",
        to=workflow.initial,
        by=by,
        role=role,
        at=at,
        basis=basis,
        stated={"CallAnswered": (answered_at, role)},
    )


def decide_move(case: Case, command: MakeMove, workflow: Workflow, *, by: Actor, at: Moment, basis: Basis) -> Decision:
    """Makes a move.

    Raises NotFound for a move that the workflow does not have, Forbidden for another role's, Refused with every
    reason: not open from this state, guards unmet, form faults.
    """
    move = _checked_move(workflow, case, command.move, by)
    unmet = _unmet(workflow, move, facts_of(case, by, basis))
    if unmet:
        raise Refused(*unmet)
    form = forms.clean(workflow, move.asks, move.may_ask, command.form)
    return _make(workflow, case, move, form, by, at, basis)


def decide_run_out(case: Case, command: RunOut, workflow: Workflow, *, at: Moment, basis: Basis) -> Decision:
    """Fires a due threshold, and makes the workflow's own move for it where the table and its guards allow.

    Decides nothing (no events) for a threshold that has fired, was stopped, or is not due yet.
    """
    running = case.clocks.get(command.clock)
    if running is None or running.run != command.run or not clocks.is_due(running, command.after_s, at):
        return Decision(case)
    clock = workflow.clocks[command.clock]
    move = workflow.moves.get(clocks.threshold_of(clock, running, command.after_s))
    can = move is not None and case.state in move.sources and not _unmet(workflow, move, facts_of(case, THE_BOT, basis))
    due_at = next(when for seconds, when in running.due if seconds == command.after_s)
    ran_out = e.ClockRanOut(
        clock=command.clock,
        run=command.run,
        after_s=command.after_s,
        due_at=iso(due_at),
        late_us=max(0, clocks.microseconds(due_at, at)),
        did=move.id if move is not None and can else "",
    )
    first = _settle(workflow, case, [ran_out], primary="", to=case.state, by=THE_BOT, role=BOT, at=at, basis=basis)
    if move is None or not can:
        return first
    second = _make(workflow, first.case, move, {}, THE_BOT, at, basis)
    return Decision(second.case, (*first.events, *second.events), second.officers)


def decide_duty(officer: Officer, command: SetDuty, *, by: Actor, at: Moment) -> e.Event:
    """An officer's own duty, or any officer's by a sergeant.

    Raises Forbidden for somebody else's, Refused for a status that does not exist or is already so, or for an officer
    going off with a live case.
    """
    if "sergeant" not in by.roles and (by.id != command.officer or "officer" not in by.roles):
        raise Forbidden(Reason("not-your-duty"))
    if command.status not in ("on", "break", "off"):
        raise Refused(Reason("not-an-option", {"label": "duty"}, "status"))
    if officer.status == command.status:
        raise Refused(Reason("duty-already", {"status": command.status}))
    if officer.case and command.status != "on":
        raise Refused(Reason("officer-has-a-case"))
    fact = e.OfficerDutyChanged(status=command.status)
    return e.Event(fact, command.status, at, by.id, _role(by, ("sergeant", "officer")))


def _role(by: Actor, who: tuple[str, ...]) -> str:
    """The role in which somebody acts: the first that the move names."""
    return next(role for role in who if role in by.roles)


def _make(
    workflow: Workflow, case: Case, move: Move, form: Mapping[str, Any], by: Actor, at: Moment, basis: Basis
) -> Decision:
    asked = _Asked(workflow, case, move, form, by, at, basis, facts_of(case, by, basis, form))
    facts = MAKERS.get(move.event, _plain)(asked)
    to = _destination(asked)
    live = case.session is not None and case.session.link_sent_at and not case.session.ended_at
    if live and not workflow.states[to].session and move.event != "SessionEnded":
        facts = [*facts, e.SessionEnded(reason=move.id)]
    if case.engaged and not workflow.states[to].keeps_officer:
        facts = [*facts, e.OfficerReleased(officer=case.officer, because=_RELEASED_BY.get(move.event, move.id))]
    return _settle(
        workflow, case, facts, primary=move.event, to=to, by=by, role=_role(by, move.who), at=at, basis=basis
    )


_RELEASED_BY = {
    "SubmittedForReview": "submitted",
    "HandedBack": "handed_back",
    "DeploymentRequested": "deployed",
    "CaseVoided": "voided",
}


def _destination(asked: _Asked) -> str:
    for branch in asked.move.to:
        if branch.when is None or branch.when.holds(asked.facts):
            return branch.state or asked.case.state
    return asked.case.state


def _settle(
    workflow: Workflow,
    case: Case,
    facts: list[e.Fact],
    *,
    primary: str,
    to: str,
    by: Actor,
    role: str,
    at: Moment,
    basis: Basis,
    stated: Mapping[str, tuple[str, str]] | None = None,
) -> Decision:
    """Turns facts into events: each with the state it leaves, the clocks it moves, and who, when and why."""
    made: list[e.Event] = []
    state = case.state or to
    for fact in facts:
        kind = type(fact).__name__
        state = to if kind == primary else state
        values = {**facts_of(case, by, basis), **{f.name: getattr(fact, f.name) for f in dataclasses.fields(fact)}}
        stated_at, source = (stated or {}).get(kind, ("", ""))
        event = e.Event(
            fact,
            state,
            at,
            by.id,
            role,
            definition=workflow.hash,
            clocks=clocks.changes(workflow, case, fact, state, at, values),
            stated_at=stated_at,
            stated_source=source,
            basis=basis.noted() if kind in _RESTS_ON_CAPACITY else {},
        )
        made.append(event)
        case = apply(case, event)
    return Decision(case, tuple(made), _on_officers(case.id, made))


_RESTS_ON_CAPACITY = ("HandoverOffered", "HandoverAccepted", "OfficerAssigned", "DeploymentRequested")


def _on_officers(case_id: str, made: list[e.Event]) -> dict[str, tuple[e.Event, ...]]:
    """The same facts as they read in the streams of the officers concerned."""
    streams: dict[str, tuple[e.Event, ...]] = {}
    for event in made:
        match event.fact:
            case e.OfficerAssigned(officer=officer):
                fact: e.Fact = e.OfficerEngaged(case=case_id)
            case e.OfficerReleased(officer=officer):
                fact = e.OfficerFreed(case=case_id)
            case _:
                continue
        mirrored = e.Event(fact, "", event.at, event.by, event.by_role)
        streams[officer] = (*streams.get(officer, ()), mirrored)
    return streams


# --- What each move makes ----------------------------------------------------------------------------------------


def _plain(asked: _Asked) -> list[e.Fact]:
    """Most moves: the event's fields are the form's answers and the workflow's fixed values."""
    fields = asked.workflow.fields
    filled = {fields[name].fills or name: value for name, value in asked.form.items()}
    return [e.FACTS[asked.move.event](**{**asked.move.sets, **filled})]


def _split_personal(workflow: Workflow, form: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    personal = {name: value for name, value in form.items() if workflow.fields[name].personal}
    return {name: value for name, value in form.items() if name not in personal}, personal


def _details(asked: _Asked) -> list[e.Fact]:
    known = {**asked.case.details, **asked.case.personal}
    changed = {name: value for name, value in asked.form.items() if known.get(name) != value}
    details, personal = _split_personal(asked.workflow, changed)
    return [e.DetailsRecorded(details=details, personal=personal)] if changed else []


def _criteria(asked: _Asked) -> list[e.Fact]:
    before, given = asked.case.answers, asked.form["answers"]
    facts: list[e.Fact] = [
        e.CriterionAnswered(criterion=name, answer=answer)
        for name, answer in given.items()
        if before.get(name) != answer
    ]
    decided = asked.case.eligibility is not None
    verdict = criteria.evaluate(asked.workflow.criteria, {**before, **given}, even_unasked=decided)
    if facts and verdict is not None and verdict != asked.case.eligibility:
        facts.append(verdict)
    return facts


def _consent(asked: _Asked) -> list[e.Fact]:
    kind, answer = asked.form["consent_kind"], asked.form["consent_answer"]
    if asked.case.consents.get(kind) == answer:
        return []
    wording = asked.workflow.consent_wording
    match answer:
        case "given":
            return [e.ConsentGiven(kind=kind, wording=wording)]
        case "refused":
            return [e.ConsentRefused(kind=kind, wording=wording)]
    if asked.case.consents.get(kind) != "given":
        raise Refused(Reason("nothing-to-withdraw", {}, "consent_answer"))
    return [e.ConsentWithdrawn(kind=kind)]


def _with_capacity(asked: _Asked) -> list[e.Fact]:
    capacity = asked.basis.capacity
    noted = e.CapacityNoted(
        moment="offer" if asked.move.event == "HandoverOffered" else "acceptance",
        on_duty=capacity.on_duty,
        free=capacity.free,
        desk_open=clocks.is_open(asked.workflow.hours, asked.at),
    )
    return [noted, *_plain(asked)]


def _assign(asked: _Asked) -> list[e.Fact]:
    wanted = asked.form["officer"]
    officer = asked.basis.officers.get(wanted)
    if officer is None:
        raise Refused(Reason("unknown-officer", {}, "officer"))
    if wanted == asked.case.officer and asked.case.engaged:
        raise Refused(Reason("officer-already-assigned", {}, "officer"))
    if not officer.free:
        raise Refused(Reason("officer-not-free", {"status": "busy" if officer.case else officer.status}, "officer"))
    released = [e.OfficerReleased(officer=asked.case.officer, because="reassigned")] if asked.case.engaged else []
    return [*released, e.OfficerAssigned(officer=wanted)]


def _send_link(asked: _Asked) -> list[e.Fact]:
    session, fresh = asked.case.session, asked.basis.ids
    prepared: list[e.Fact] = []
    if session is None or session.ended_at:
        prepared = [e.SessionPrepared(session=fresh[0], victim_seat=fresh[1], officer_seat=fresh[2])]
    expires = asked.at.at + timedelta(minutes=asked.workflow.link_minutes)
    sent = e.LinkSent(link=fresh[3], channel="sms", expires_at=iso(expires), number=asked.case.personal["safe_number"])
    return [*prepared, sent]


def _open_link(asked: _Asked) -> list[e.Fact]:
    """Only the newest link: a tap that races with a resend or a quick exit is settled by the case's own version."""
    session = asked.case.session
    if session is None or asked.form["link"] != session.link:
        raise Refused(Reason("link-revoked", {}, "link"))
    return _plain(asked)


def _two_way(asked: _Asked) -> list[e.Fact]:
    session = asked.case.session
    assert session is not None  # noqa: S101 - the guard `session_live` of the move
    started: list[e.Fact] = [e.TwoWayVideoStarted(session=session.id)]
    return [*started, *_contact(asked, "video")]


def _contact(asked: _Asked, mode: str) -> list[e.Fact]:
    """The first live contact with an officer in this mode. A telephone call is one too, and meets no service level."""
    return [] if mode in asked.case.contacts else [e.OfficerContactStarted(mode=mode)]


def _reached(asked: _Asked) -> list[e.Fact]:
    facts = _plain(asked)
    spoke = any(isinstance(one, e.ContactAttempted) and one.result == "reached" for one in facts)
    return [*facts, *(_contact(asked, "phone") if spoke and "officer" in asked.by.roles else [])]


def _safety(asked: _Asked) -> list[e.Fact]:
    """What the officer hears of safety off the video is heard on the telephone."""
    return [*_plain(asked), *([] if asked.facts["session_flowing"] else _contact(asked, "phone"))]


def _unsafe(asked: _Asked) -> list[e.Fact]:
    already = asked.case.emergency
    return [e.VictimUnsafe(), *([] if already else [e.EmergencyDispatched(reason="victim_unsafe")])]


def _assess(asked: _Asked) -> list[e.Fact]:
    instrument = asked.basis.instruments[asked.form["risk_tool"]]
    answers, level = asked.form["risk_answers"], asked.form["risk_level"]
    unknown = sorted(set(answers) - {question.id for question in instrument.questions})
    if unknown:
        raise Refused(Reason("unknown-question", {"question": ", ".join(unknown)}, "risk_answers"))
    result, rationale = risk.assess(instrument, answers), asked.form.get("rationale", "")
    if result.missing:
        raise Refused(Reason("questions-left", {"count": len(result.missing)}, "risk_answers"))
    before = asked.case.risk_level
    if not rationale and (risk.below(level, result.suggested) or risk.below(level, before)):
        raise Refused(Reason("lower-needs-rationale", {"suggested": result.suggested, "before": before}, "rationale"))
    assessed = e.RiskAssessed(
        tool=instrument.id,
        tool_version=instrument.hash,
        score=result.score,
        suggested=result.suggested,
        risk_level=level,
        missing=result.missing,
        because=result.because,
        answers=answers,
        rationale=rationale,
    )
    return [assessed]


def _override_level(asked: _Asked) -> list[e.Fact]:
    level = asked.form["risk_level"]
    if level == asked.case.risk_level:
        raise Refused(Reason("level-already", {"level": level}, "risk_level"))
    return [e.GradeOverridden(before=asked.case.risk_level, after=level, reason=asked.form["rationale"])]


def _plan(asked: _Asked) -> list[e.Fact]:
    form = asked.form
    if parse_iso(form["due_at"]) < asked.at.at:
        raise Refused(Reason("in-the-past", {"label": asked.workflow.fields["due_at"].label}, "due_at"))
    planned = e.SafeguardingPlanned(
        action=asked.basis.ids[0],
        kind=form["action_kind"],
        due_at=form["due_at"],
        owner=form["action_owner"],
        note=form.get("note", ""),
    )
    return [planned]


def _action_done(asked: _Asked) -> list[e.Fact]:
    action = asked.case.actions.get(asked.form["action"])
    if action is None or action.result:
        raise Refused(Reason("no-such-action", {}, "action"))
    return _plain(asked)


def _allocate(asked: _Asked) -> list[e.Fact]:
    proposal = routing.propose(asked.workflow.routes, asked.facts)
    team, override = asked.form["team"], asked.form.get("override", "")
    if proposal is not None and team != proposal.team and not override:
        label = asked.workflow.teams.get(proposal.team, proposal.team)
        raise Refused(Reason("override-needs-reason", {"team": label}, "override"))
    return [
        e.CaseAllocated(
            team=team,
            proposed=proposal.team if proposal else "",
            because=proposal.route if proposal else "",
            override=override if proposal is None or team != proposal.team else "",
        )
    ]


MAKERS: dict[str, Callable[[_Asked], list[e.Fact]]] = {
    "DetailsRecorded": _details,
    "CriterionAnswered": _criteria,
    "ConsentGiven": _consent,
    "HandoverOffered": _with_capacity,
    "HandoverAccepted": _with_capacity,
    "OfficerAssigned": _assign,
    "ContactAttempted": _reached,
    "SafetyConfirmed": _safety,
    "LinkSent": _send_link,
    "LinkOpened": _open_link,
    "TwoWayVideoStarted": _two_way,
    "VictimUnsafe": _unsafe,
    "RiskAssessed": _assess,
    "GradeOverridden": _override_level,
    "SafeguardingPlanned": _plan,
    "SafeguardingDone": _action_done,
    "CaseAllocated": _allocate,
}
"""Moves that decide something of their own, by the event that they make; all others are `_plain`."""

FORM_OF: dict[str, tuple[str, ...]] = {
    "CriterionAnswered": ("answers",),
    "ConsentGiven": ("consent_kind", "consent_answer"),
    "OfficerAssigned": ("officer",),
    "RiskAssessed": ("risk_tool", "risk_answers", "risk_level"),
    "GradeOverridden": ("risk_level", "rationale"),
    "SafeguardingPlanned": ("action_kind", "action_owner", "due_at"),
    "CaseAllocated": ("team",),
}
"""The fields by their own names that these makers cannot do without."""

FILLED = frozenset(
    {"ContactAttempted", "SafetyConfirmed", "HandoverOffered", "HandoverAccepted", "LinkOpened", "SafeguardingDone"}
)
"""Makers that add a check or a fact, and otherwise fill the event from the form as `_plain` does."""
