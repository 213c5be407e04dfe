"""What a command does to a case: the desk's decisions, as events or as reasons why not.

`decide_*` takes the case, the command, who asks, the moment, and the basis (fresh ids, capacity, officers): everything
that it needs, so that it looks nothing up and the same inputs give the same events. `view_moves` asks the very same
rules without making the move, so that what a screen offers and what the door accepts always agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rvr.core import arms, clocks, escalation, forms, recording
from rvr.core import events as e
from rvr.core.asked import Asked
from rvr.core.case import Case, apply
from rvr.core.commands import BOT, IMPORTER, STAFF, THE_BOT, Actor, MakeMove, OpenCase, Picture, RunOut, SetDuty
from rvr.core.errors import Forbidden, NotFound, Reason, Refused
from rvr.core.makers import MAKERS, plain, split_personal, stated_at
from rvr.core.moment import Moment, iso, parse_iso
from rvr.core.relation import concerns
from rvr.core.roster import Officer
from rvr.core.vocabulary import Basis, Facts
from rvr.core.workflow import Move, Workflow


@dataclass(frozen=True, slots=True)
class Decision:
    """The events that a command comes to, for the case's stream and for the officers' streams."""

    case: Case
    """The case after them."""
    events: tuple[e.Event, ...] = ()
    officers: Mapping[str, tuple[e.Event, ...]] = field(default_factory=dict)
    strata: Mapping[str, tuple[e.Event, ...]] = field(default_factory=dict)
    """For the streams of a trial's strata, where a place was taken."""


@dataclass(frozen=True, slots=True)
class MoveView:
    """A move as somebody sees it: allowed, or with every reason why not."""

    move: Move
    reasons: tuple[Reason, ...] = ()

    @property
    def allowed(self) -> bool:
        return not self.reasons


# --- May this person make this move? -----------------------------------------------------------------------------


def view_moves(workflow: Workflow, case: Case, by: Actor, basis: Basis) -> list[MoveView]:
    """Every move that the table has from here and that is this person's to make."""
    if by.id in case.conflicts:
        return []
    facts = Facts(case, by, basis)
    return [
        MoveView(move, (*_unmet(workflow, move.needs, facts), *arms.reasons(workflow, move, facts)))
        for move in workflow.open_to(case.state)
        if not by.roles.isdisjoint(move.who) and _theirs(move, case, by)
    ]


_ANYBODYS = ("EmergencyDispatched", "HandoverAccepted", "HandoverDeclined")
"""Facts that everybody may bring about whose role the workflow names, whosever case it is."""


def _theirs(move: Move, case: Case, by: Actor) -> bool:
    """A role alone is not enough: the case must concern the person in it."""
    return move.event in _ANYBODYS or any(concerns(case, by, role) for role in by.roles if role in move.who)


def _unmet(workflow: Workflow, names: Iterable[str], facts: Facts) -> tuple[Reason, ...]:
    guards = [workflow.guards[name] for name in names]
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
    if by.id in case.conflicts:
        raise Forbidden(Reason("conflict-declared"))
    if case.state not in move.sources:
        raise Refused(Reason("not-from-here", {"move": move.name, "state": workflow.states[case.state].name}))
    return move


PASSING = frozenset(
    [
        *("DeviceChecked", "GuestDeviceChecked", "LinkDelivered", "MicrophoneResumed", "MicrophoneStopped"),
        *("MessageSent", "OfficerSignalled", "PrivateCheckAnswered", "QualityStepped", "RiskNoted"),
    ]
)
"""Facts that make nobody's form stale: they come many times in a call, and whoever decides something beside it would
decide the same."""

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
    details, personal = split_personal(workflow, form)
    opened = e.CaseOpened(
        workflow=workflow.id,
        reference=basis.reference,
        details=details,
        personal=personal,
        victim_id=basis.ids[0],
        suspect_id=basis.ids[1],
        suspect_named="suspect_name" in personal,
    )
    facts: list[e.Fact] = [opened, *([e.CallAnswered()] if answered_at else [])]
    if reported := details.get("reported_risk_level"):
        facts.append(e.RiskReported(tool=details.get("reported_risk_tool", ""), risk_level=reported))
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
    facts = Facts(case, by, basis)
    unmet = (*_unmet(workflow, move.needs, facts), *arms.reasons(workflow, move, facts))
    if unmet:
        raise Refused(*unmet)
    form = forms.clean(workflow, move.asks, move.may_ask, command.form)
    wrong = _unmet(workflow, move.checks, Facts(case, by, basis, form))
    if wrong:
        raise Refused(*wrong)
    return _make(workflow, case, move, form, by, at, basis, command.picture)


def decide_run_out(case: Case, command: RunOut, workflow: Workflow, *, at: Moment, basis: Basis) -> Decision:
    """Fires a due threshold, and makes the workflow's own move for it where the table and its guards allow.

    Decides nothing (no events) for a threshold that has fired, was stopped, or is not due yet.
    """
    running = case.clocks.get(command.clock)
    if running is None or running.run != command.run or not clocks.is_due(running, command.after_s, at):
        return Decision(case)
    clock = workflow.clocks[command.clock]
    threshold = clocks.threshold_of(clock, running, command.after_s)
    move = workflow.moves.get(threshold.do) if threshold else None
    here = move is not None and case.state in move.sources
    can = move is not None and here and not _unmet(workflow, move.needs, Facts(case, THE_BOT, basis))
    due_at = next(when for seconds, when in running.due if seconds == command.after_s)
    ran_out = e.ClockRanOut(
        clock=command.clock,
        run=command.run,
        after_s=command.after_s,
        due_at=iso(due_at),
        late_us=clocks.late_us(running, due_at, at),
        did=move.id if move is not None and can else "",
    )
    first = _settle(workflow, case, [ran_out], primary="", to=case.state, by=THE_BOT, role=BOT, at=at, basis=basis)
    if move is None or not can:
        return first
    second = _make(workflow, first.case, move, {}, THE_BOT, at, basis)
    return Decision(second.case, (*first.events, *second.events), second.officers, second.strata)


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
    workflow: Workflow,
    case: Case,
    move: Move,
    form: Mapping[str, Any],
    by: Actor,
    at: Moment,
    basis: Basis,
    picture: Picture | None = None,
) -> Decision:
    asked = Asked(workflow, case, move, form, by, at, basis, Facts(case, by, basis, form), picture)
    facts = [*MAKERS.get(move.event, plain)(asked), *_also(asked)]
    to = _destination(asked)
    live = case.session is not None and case.session.link_sent_at and not case.session.ended_at
    if live and not workflow.states[to].session and move.event != "SessionEnded":
        facts = [*facts, e.SessionEnded(reason=move.id)]
    if case.engaged and not workflow.states[to].keeps_officer:
        facts = [*facts, e.OfficerReleased(officer=case.officer, because=_RELEASED_BY.get(move.event, move.id))]
    facts = [*facts, *recording.stops(case, facts)]
    role, told = _role(by, move.who), stated_at(asked)
    return _settle(
        workflow,
        case,
        facts,
        primary=move.event,
        to=to,
        by=by,
        role=role,
        at=at,
        basis=basis,
        stated={move.event: (told, "import" if role == IMPORTER else role)} if told else None,
    )


def _also(asked: Asked) -> list[e.Fact]:
    """What else the workflow writes with this move, such as an emergency beside a contact that was lost in danger."""
    return [e.FACTS[a.event](**a.sets) for a in asked.move.also if a.when is None or a.when.holds(asked.facts)]


_RELEASED_BY = {
    "SubmittedForReview": "submitted",
    "HandedBack": "handed_back",
    "DeploymentRequested": "deployed",
    "CaseVoided": "voided",
}


def _destination(asked: Asked) -> str:
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
    state, waiting = case.state or to, list(facts)
    while waiting:
        fact = waiting.pop(0)
        kind = type(fact).__name__
        state = to if kind == primary else state
        stated_at, source = (stated or {}).get(kind, ("", ""))
        event = e.Event(
            fact,
            state,
            at,
            by.id,
            role,
            definition=workflow.hash,
            clocks=clocks.changes(workflow, case, fact, state, at, partial(Facts, case, by, basis)),
            stated_at=stated_at,
            stated_source=source,
            basis=basis.noted() if kind in _RESTS_ON_CAPACITY else {},
        )
        made.append(event)
        case = apply(case, event)
        if not waiting and role in STAFF and not isinstance(fact, e.EscalationProposed):
            waiting += escalation.proposals(workflow, case, basis, Facts(case, by, basis), at)
    return Decision(case, tuple(made), _on_officers(case.id, made), _on_strata(case.id, made))


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


def _on_strata(case_id: str, made: list[e.Event]) -> dict[str, tuple[e.Event, ...]]:
    """The place that was taken, as it reads in its stratum's stream."""
    return {
        arms.stream_of(event.fact.trial, event.fact.stratum): (
            e.Event(e.PlaceTaken(case=case_id), "", event.at, event.by, event.by_role),
        )
        for event in made
        if isinstance(event.fact, e.ArmAllocated)
    }
