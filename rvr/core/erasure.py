"""Whether a case's key may be destroyed: two people, nothing under way, the time of keeping over.

What is erased by a decision here cannot come back, so every rule is asked twice: at the proposal and at the word of the
second person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rvr.core import clocks
from rvr.core import events as e
from rvr.core.case import Case, apply, fold
from rvr.core.commands import Actor, ConfirmErasure, ProposeErasure
from rvr.core.errors import Forbidden, Reason, Refused
from rvr.core.moment import Moment, iso
from rvr.core.retention import Keeping, Retention, is_look
from rvr.core.workflow import Workflow

PROPOSES = ("administrator",)
CONFIRMS = ("administrator", "inspector")


@dataclass(frozen=True, slots=True)
class Subject:
    """The case that is to be erased, with all that the decision rests on."""

    case: Case
    log: Sequence[e.Recorded]
    workflow: Workflow
    retention: Retention


def is_erased(case: Case) -> bool:
    """Whether its key was destroyed. `case.first` has the time."""
    return "CaseErased" in case.first


def proposal(log: Sequence[e.Recorded]) -> e.Event | None:
    """The proposal that waits for a second person. Whatever happens to the case after it makes it void."""
    last = next((one.event for one in reversed(log) if not is_look(one.event.fact)), None)
    return last if last is not None and isinstance(last.fact, e.ErasureProposed) else None


def decide_propose(of: Subject, command: ProposeErasure, *, by: Actor, at: Moment) -> e.Event:
    """Raises Forbidden for another role, Refused with every reason against it."""
    role = _role(by, PROPOSES)
    wrong = [
        Reason("not-an-option", {"label": name}, name)
        for name, given, known in (
            ("authority", command.authority, of.retention.authorities),
            ("reason", command.reason, of.retention.reasons),
        )
        if given not in known
    ]
    against = (*wrong, *why_not(of, at.at))
    if against:
        raise Refused(*against)
    return _event(of, e.ErasureProposed(authority=command.authority, reason=command.reason), by, role, at)


def decide_confirm(of: Subject, command: ConfirmErasure, *, by: Actor, at: Moment) -> e.Event:
    """Raises Forbidden for another role or the person who proposed it, Refused with every reason against it."""
    role = _role(by, CONFIRMS)
    against = why_not(of, at.at)
    proposed = proposal(of.log)
    if against or proposed is None or not isinstance(proposed.fact, e.ErasureProposed):
        raise Refused(*(against or (Reason("erase-not-proposed"),)))
    if proposed.by == by.id:
        raise Forbidden(Reason("erase-second-person"))
    keeping = of.retention.keeping(of.case, of.log)
    if keeping is None:
        raise Refused(Reason("erase-no-rule"))
    fact = e.CaseErased(
        authority=proposed.fact.authority,
        reason=proposed.fact.reason,
        proposed_by=proposed.by,
        record_class=keeping.record_class.id,
        kept_until=iso(keeping.until),
        retention=of.retention.hash,
    )
    return replace(_event(of, fact, by, role, at), clocks=clocks.all_stopped(of.workflow, of.case, at))


def why_not(of: Subject, now: datetime) -> tuple[Reason, ...]:
    """Everything that stands against it now."""
    case = of.case
    if is_erased(case):
        return (Reason("case-erased"),)
    state = of.workflow.states[case.state]
    told = []
    if not (state.ended or case.decision == "filed") or case.outstanding or case.engaged:
        told.append(Reason("erase-under-investigation", {"state": state.name}))
    if case.emergency:
        told.append(Reason("erase-emergency"))
    if case.session is not None and not case.session.ended_at:
        told.append(Reason("erase-session"))
    return (*told, *_kept(of.retention.keeping(case, of.log), now))


def _kept(keeping: Keeping | None, now: datetime) -> tuple[Reason, ...]:
    if keeping is None:
        return (Reason("erase-no-rule"),)
    if now >= keeping.until:
        return ()
    params = {"class": keeping.record_class.name, "until": keeping.until.date().isoformat()}
    return (Reason("erase-kept", params),)


def forgotten(case_id: str, log: Sequence[e.Recorded], event: e.Event) -> Case:
    """The case after its erasure, as its log will tell it from then on."""
    public = (replace(one, event=replace(one.event, fact=_without_names(one.event.fact))) for one in log)
    return apply(fold(case_id, public), event)


def _without_names(fact: e.Fact) -> e.Fact:
    return type(fact)(**fact.split()[0])


def _role(by: Actor, who: tuple[str, ...]) -> str:
    role = next((role for role in who if role in by.roles), "")
    if not role:
        raise Forbidden(Reason("not-your-move", {"move": "erase"}))
    return role


def _event(of: Subject, fact: e.Fact, by: Actor, role: str, at: Moment) -> e.Event:
    return e.Event(fact, of.case.state, at, by.id, role, definition=of.case.definition)
