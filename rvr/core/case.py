"""What a case is, and how each fact changes it.

`apply` is total and never looks anything up: the events carry the resulting state and every clock they started or
stopped. Folding a case's events from the first gives the case, on any version of this program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import singledispatch
from typing import Any

from rvr.core import events as e
from rvr.core.moment import iso, parse_iso


@dataclass(frozen=True, slots=True)
class RunningClock:
    """A clock that runs in this case."""

    clock: str
    run: int
    started_at: datetime
    boot: str
    boottime_ns: int
    target_s: int
    due: tuple[tuple[int, datetime], ...]
    """The thresholds that have not fired yet: seconds after the start, and when that is."""
    fired: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """The video session: a room with two seats."""

    id: str
    victim_seat: str
    officer_seat: str
    link: str = ""
    link_expires_at: str = ""
    link_sent_at: str = ""
    link_opened_at: str = ""
    two_way_at: str = ""
    ended_at: str = ""
    flowing: bool = False
    """Video flows both ways at this moment."""
    victim: str = ""
    """Presence of the victim's media: '', connected, lost, gone."""
    officer: str = ""
    interruptions: int = 0
    camera: bool | None = None
    microphone: bool | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """A safeguarding action."""

    id: str
    kind: str
    due_at: str
    owner: str
    note: str
    result: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A Domestic Abuse call on its way through the desk, at one version of its log."""

    id: str
    version: int = 0
    state: str = ""
    workflow: str = ""
    definition: str = ""
    """Content hash of the workflow that the case runs under."""
    reference: str = ""
    opened_at: str = ""
    opened_by: str = ""
    victim_id: str = ""
    suspect_id: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Answers that are not personal."""
    personal: Mapping[str, Any] = field(default_factory=dict)
    """Names, numbers, places. Empty once the case's key is destroyed."""
    call_answered_at: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    eligibility: e.EligibilityDecided | None = None
    consents: Mapping[str, str] = field(default_factory=dict)
    """Kind -> given, refused or withdrawn."""
    handover_note: str = ""
    sergeant: str = ""
    officer: str = ""
    engaged: bool = False
    """The officer is bound to this case now; after submission the name stays and the officer is free."""
    session: Session | None = None
    contacts: tuple[str, ...] = ()
    """Modes of live officer contact, in the order in which each first happened."""
    safety: e.SafetyConfirmed | None = None
    emergency: bool = False
    response_grade: str = ""
    """Grade of the last deployment asked for."""
    attended: bool = False
    """An officer has been with the victim since that."""
    risk: e.RiskAssessed | None = None
    risk_level: str = ""
    actions: Mapping[str, Action] = field(default_factory=dict)
    decision: str = ""
    """allocated or filed."""
    team: str = ""
    outcome_code: str = ""
    clocks: Mapping[str, RunningClock] = field(default_factory=dict)
    runs: Mapping[str, int] = field(default_factory=dict)
    """How often each clock has been started."""
    first: Mapping[str, str] = field(default_factory=dict)
    """Time of the first event of each type."""
    exited: bool = False
    """The victim left by quick exit and has not been reached since: nothing goes out to the victim's phone."""


def fold(case_id: str, log: Iterable[e.Recorded]) -> Case:
    """The case that these events, in order of version, add up to."""
    case = Case(case_id)
    for recorded in log:
        case = apply(case, recorded.event)
    return case


def apply(case: Case, event: e.Event) -> Case:
    """The case after one more event."""
    changed = _changes(event.fact, case, event)
    return replace(
        case,
        version=case.version + 1,
        state=event.state,
        definition=event.definition or case.definition,
        clocks=_clocks(case, event),
        runs={**case.runs, **{c.clock: c.run for c in event.clocks if c.change == "started"}},
        first=case.first if event.type in case.first else {**case.first, event.type: iso(event.at.at)},
        **changed,
    )


def _clocks(case: Case, event: e.Event) -> Mapping[str, RunningClock]:
    fact = event.fact
    if not event.clocks and not isinstance(fact, e.ClockRanOut):
        return case.clocks
    clocks = dict(case.clocks)
    if isinstance(fact, e.ClockRanOut) and fact.clock in clocks:
        running = clocks[fact.clock]
        clocks[fact.clock] = replace(
            running,
            due=tuple(d for d in running.due if d[0] != fact.after_s),
            fired=(*running.fired, fact.after_s),
        )
    for change in event.clocks:
        if change.change == "started":
            clocks[change.clock] = RunningClock(
                change.clock,
                change.run,
                parse_iso(change.at),
                event.at.boot,
                event.at.boottime_ns,
                change.target_s,
                tuple((after_s, parse_iso(at)) for after_s, at in change.due),
            )
        else:
            clocks.pop(change.clock, None)
    return clocks


@singledispatch
def _changes(fact: e.Fact, case: Case, event: e.Event) -> dict[str, Any]:
    """What this fact changes besides state and clocks; most change nothing more."""
    return {}


def _in_session(case: Case, **changed: Any) -> dict[str, Any]:
    return {"session": replace(case.session, **changed)} if case.session else {}


@_changes.register
def _(fact: e.CaseOpened, case: Case, event: e.Event) -> dict[str, Any]:
    return {
        "workflow": fact.workflow,
        "reference": fact.reference,
        "opened_at": iso(event.at.at),
        "opened_by": event.by,
        "victim_id": fact.victim_id,
        "suspect_id": fact.suspect_id,
        "details": dict(fact.details),
        "personal": dict(fact.personal),
    }


@_changes.register
def _(fact: e.CallAnswered, case: Case, event: e.Event) -> dict[str, Any]:
    return {"call_answered_at": event.stated_at}


@_changes.register
def _(fact: e.DetailsRecorded, case: Case, event: e.Event) -> dict[str, Any]:
    return {"details": {**case.details, **fact.details}, "personal": {**case.personal, **fact.personal}}


@_changes.register
def _(fact: e.CriterionAnswered, case: Case, event: e.Event) -> dict[str, Any]:
    return {"answers": {**case.answers, fact.criterion: fact.answer}}


@_changes.register
def _(fact: e.EligibilityDecided, case: Case, event: e.Event) -> dict[str, Any]:
    return {"eligibility": fact}


@_changes.register
def _(fact: e.ConsentGiven, case: Case, event: e.Event) -> dict[str, Any]:
    return {"consents": {**case.consents, fact.kind: "given"}}


@_changes.register
def _(fact: e.ConsentRefused, case: Case, event: e.Event) -> dict[str, Any]:
    return {"consents": {**case.consents, fact.kind: "refused"}}


@_changes.register
def _(fact: e.ConsentWithdrawn, case: Case, event: e.Event) -> dict[str, Any]:
    return {"consents": {**case.consents, fact.kind: "withdrawn"}}


@_changes.register
def _(fact: e.HandoverOffered, case: Case, event: e.Event) -> dict[str, Any]:
    return {"handover_note": fact.note or case.handover_note}


@_changes.register
def _(fact: e.HandoverAccepted, case: Case, event: e.Event) -> dict[str, Any]:
    return {"sergeant": event.by}


@_changes.register
def _(fact: e.HandedBack, case: Case, event: e.Event) -> dict[str, Any]:
    return {"sergeant": ""}


@_changes.register
def _(fact: e.OfficerAssigned, case: Case, event: e.Event) -> dict[str, Any]:
    return {"officer": fact.officer, "engaged": True}


@_changes.register
def _(fact: e.OfficerReleased, case: Case, event: e.Event) -> dict[str, Any]:
    """A submitted case keeps its officer's name: a return by the sergeant goes back to that officer."""
    return {"engaged": False} if fact.because == "submitted" else {"officer": "", "engaged": False}


@_changes.register
def _(fact: e.SessionPrepared, case: Case, event: e.Event) -> dict[str, Any]:
    return {"session": Session(fact.session, fact.victim_seat, fact.officer_seat)}


@_changes.register
def _(fact: e.LinkSent, case: Case, event: e.Event) -> dict[str, Any]:
    return {"exited": False} | _in_session(
        case, link=fact.link, link_sent_at=iso(event.at.at), link_expires_at=fact.expires_at, link_opened_at=""
    )


@_changes.register
def _(fact: e.LinkOpened, case: Case, event: e.Event) -> dict[str, Any]:
    return _in_session(case, link_opened_at=iso(event.at.at))


@_changes.register
def _(fact: e.DeviceChecked, case: Case, event: e.Event) -> dict[str, Any]:
    return _in_session(case, camera=fact.camera, microphone=fact.microphone)


@_changes.register
def _(fact: e.VictimConnected, case: Case, event: e.Event) -> dict[str, Any]:
    return _in_session(case, victim="connected")


@_changes.register
def _(fact: e.OfficerConnected, case: Case, event: e.Event) -> dict[str, Any]:
    return _in_session(case, officer="connected")


@_changes.register
def _(fact: e.TwoWayVideoStarted, case: Case, event: e.Event) -> dict[str, Any]:
    return _in_session(case, flowing=True, victim="connected", officer="connected", two_way_at=iso(event.at.at))


@_changes.register
def _(fact: e.OfficerContactStarted, case: Case, event: e.Event) -> dict[str, Any]:
    return {"contacts": (*case.contacts, fact.mode)}


@_changes.register
def _(fact: e.MediaLost, case: Case, event: e.Event) -> dict[str, Any]:
    if case.session is None:
        return {}
    was_flowing = case.session.flowing
    return _in_session(
        case,
        flowing=False,
        interruptions=case.session.interruptions + was_flowing,
        **{fact.side: "gone" if fact.cause == "left" else "lost"},
    )


@_changes.register
def _(fact: e.MediaResumed, case: Case, event: e.Event) -> dict[str, Any]:
    return _in_session(case, flowing=True, victim="connected", officer="connected")


@_changes.register
def _(fact: e.VictimExited, case: Case, event: e.Event) -> dict[str, Any]:
    """The link is dead at once, and whoever leaves in haste is not safe on the strength of what was said before."""
    return {"exited": True, "safety": None} | _in_session(case, flowing=False, victim="gone", link="")


@_changes.register
def _(fact: e.SafetyConfirmed, case: Case, event: e.Event) -> dict[str, Any]:
    return {"safety": fact}


@_changes.register
def _(fact: e.SessionEnded, case: Case, event: e.Event) -> dict[str, Any]:
    return _in_session(case, flowing=False, victim="", officer="", ended_at=iso(event.at.at))


@_changes.register
def _(fact: e.ContactLost, case: Case, event: e.Event) -> dict[str, Any]:
    """Safety that was confirmed before contact broke is not safety now."""
    return {"safety": None}


@_changes.register
def _(fact: e.ContactAttempted, case: Case, event: e.Event) -> dict[str, Any]:
    return {"exited": False} if fact.result == "reached" else {}


@_changes.register
def _(fact: e.DeploymentRequested, case: Case, event: e.Event) -> dict[str, Any]:
    return {"response_grade": fact.response_grade, "attended": False}


@_changes.register
def _(fact: e.HandoverDiverted, case: Case, event: e.Event) -> dict[str, Any]:
    return {"response_grade": fact.response_grade, "attended": False}


@_changes.register
def _(fact: e.EmergencyDispatched, case: Case, event: e.Event) -> dict[str, Any]:
    """Whoever needs an emergency response is not safe, whatever was confirmed before."""
    return {"emergency": True, "safety": None}


@_changes.register
def _(fact: e.VictimUnsafe, case: Case, event: e.Event) -> dict[str, Any]:
    return {"safety": None}


@_changes.register
def _(fact: e.EmergencyStoodDown, case: Case, event: e.Event) -> dict[str, Any]:
    return {"emergency": False}


@_changes.register
def _(fact: e.OfficerAttended, case: Case, event: e.Event) -> dict[str, Any]:
    return {"attended": True, "emergency": False}


@_changes.register
def _(fact: e.RiskAssessed, case: Case, event: e.Event) -> dict[str, Any]:
    return {"risk": fact, "risk_level": fact.risk_level}


@_changes.register
def _(fact: e.GradeOverridden, case: Case, event: e.Event) -> dict[str, Any]:
    return {"risk_level": fact.after}


@_changes.register
def _(fact: e.SafeguardingPlanned, case: Case, event: e.Event) -> dict[str, Any]:
    action = Action(fact.action, fact.kind, fact.due_at, fact.owner, fact.note)
    return {"actions": {**case.actions, fact.action: action}}


@_changes.register
def _(fact: e.SafeguardingDone, case: Case, event: e.Event) -> dict[str, Any]:
    action = replace(case.actions[fact.action], result=fact.result)
    return {"actions": {**case.actions, fact.action: action}}


@_changes.register
def _(fact: e.CaseAllocated, case: Case, event: e.Event) -> dict[str, Any]:
    return {"decision": "allocated", "team": fact.team}


@_changes.register
def _(fact: e.CaseFiled, case: Case, event: e.Event) -> dict[str, Any]:
    return {"decision": "filed", "team": ""}


@_changes.register
def _(fact: e.CaseReopened, case: Case, event: e.Event) -> dict[str, Any]:
    return {"decision": "", "team": ""}


@_changes.register
def _(fact: e.OutcomeRecorded, case: Case, event: e.Event) -> dict[str, Any]:
    return {"outcome_code": fact.outcome_code}
