"""Who may look at a case beyond, or short of, what the role gives: a look outside one's own cases for a typed reason
and half an hour (break-glass), and a conflict of interest, which closes a case to whoever has it.
"""

from __future__ import annotations

from rvr.core import clocks, guests
from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.commands import Actor, BreakGlass, DeclareConflict, LiftConflict
from rvr.core.decide import Decision
from rvr.core.errors import Forbidden, NotFound, Reason, Refused
from rvr.core.moment import Moment
from rvr.core.workflow import Workflow

GLASS_S = 30 * 60
BREAKS = ("call_handler", "officer", "investigator", "resourcing")
"""Roles that see their own cases only. To sergeants and inspectors every case is open; all others are shown none."""

DECLARES = ("sergeant", "inspector", *BREAKS)

LIFTS = ("inspector",)
"""Not the sergeant who may have handed the case back, and chosen the wrong name."""

SHORTEST, LONGEST = 10, 500
"""Characters of a reason: a full stop is none."""


def decide(
    case: Case, command: BreakGlass | DeclareConflict | LiftConflict, workflow: Workflow, *, by: Actor, at: Moment
) -> Decision:
    """What the command comes to. Raises what the decision about it raises."""
    match command:
        case BreakGlass():
            return decide_break_glass(case, command, by=by, at=at)
        case LiftConflict():
            return decide_lift(case, command, by=by, at=at)
    return decide_conflict(case, command, workflow, by=by, at=at)


def decide_break_glass(case: Case, command: BreakGlass, *, by: Actor, at: Moment) -> Decision:
    """Opens the case to this person for half an hour, and tells the sergeants at once.

    Raises Forbidden for another role and for somebody with a conflict of interest, Refused without a reason.
    """
    role = _role(by, BREAKS)
    if by.id in case.conflicts:
        raise Forbidden(Reason("conflict-declared"))
    reason = _words(command.reason, SHORTEST)
    until = clocks.glass_until(at, GLASS_S)
    alarm = e.AlarmRaised(to_role="sergeant", about="glass_broken")
    return _decided(case, (e.GlassBroken(until=until, reason=reason), alarm), by, role, at)


def decide_conflict(case: Case, command: DeclareConflict, workflow: Workflow, *, by: Actor, at: Moment) -> Decision:
    """Closes the case to this person, who leaves a guest's seat in its call. Whoever has the victim on the line hands
    over first: nobody is left alone.

    Raises Forbidden for another role, NotFound for a case that is closed to this person already, Refused for whoever
    has it in hand.
    """
    role = _role(by, DECLARES)
    if by.id in case.conflicts:
        raise NotFound(Reason("no-such-case"))
    if in_hand(case, workflow, by):
        raise Refused(Reason("conflict-hand-over-first"))
    declared = e.ConflictDeclared(note=_words(command.note, 0))
    told = "inspector" if role == "sergeant" else "sergeant"
    alarm = [e.AlarmRaised(to_role=told, about="conflict_declared")] if workflow.states[case.state].open else []
    return _decided(case, (declared, *guests.leaves(case, by.id), *alarm), by, role, at)


def decide_lift(case: Case, command: LiftConflict, *, by: Actor, at: Moment) -> Decision:
    """Opens the case again to whoever it was closed to in error.

    Raises Forbidden for another role and for somebody with a conflict of interest, Refused without a reason or where
    the person has none.
    """
    role = _role(by, LIFTS)
    if by.id in case.conflicts:
        raise Forbidden(Reason("conflict-declared"))
    if command.person not in case.conflicts:
        raise Refused(Reason("no-conflict", {}, "person"))
    lifted = e.ConflictLifted(person=command.person, reason=_words(command.reason, SHORTEST))
    return _decided(case, (lifted,), by, role, at)


def in_hand(case: Case, workflow: Workflow, by: Actor) -> bool:
    """Whether the next step with the victim is this very person's."""
    owner, _ = workflow.states[case.state].acting(case.officer)
    taking_the_call = owner == "call_handler" and case.opened_by == by.id
    return taking_the_call or (case.engaged and case.officer == by.id)


def _words(told: str, shortest: int) -> str:
    text = " ".join(told.split())
    if not text.isprintable():
        raise Refused(Reason("unseen-characters", {"label": "reason"}, "reason"))
    if not shortest <= len(text) <= LONGEST:
        raise Refused(Reason("reason-length", {"min": shortest, "max": LONGEST}, "reason"))
    return text


def _decided(case: Case, facts: tuple[e.Fact, ...], by: Actor, role: str, at: Moment) -> Decision:
    made = tuple(e.Event(fact, case.state, at, by.id, role, definition=case.definition) for fact in facts)
    for event in made:
        case = apply(case, event)
    return Decision(case, made)


def _role(by: Actor, who: tuple[str, ...]) -> str:
    role = next((role for role in who if role in by.roles), "")
    if not role:
        raise Forbidden(Reason("not-allowed-here"))
    return role
