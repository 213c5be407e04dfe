"""What a case is, and how each fact changes it.

`apply` is total and never looks anything up: the events carry the resulting state and every clock they started or
stopped. Folding a case's events from the first gives the case, on any version of this program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch
from typing import Any

from rvr.core import events as e
from rvr.core import exhibits as kept
from rvr.core.beside import alone_again
from rvr.core.moment import iso
from rvr.core.risk import rank
from rvr.core.running import RunningClock, clocks_after
from rvr.core.session import Session as Session
from rvr.core.session import SessionFact, all_out, session_after


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
class Referral:
    """A partner organisation that was asked to help."""

    id: str
    partner: str
    how: str
    note: str
    made_at: str
    received_at: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One suspect of the case, and where that person stands."""

    id: str
    status: str
    name: str = ""
    since: str = ""


@dataclass(frozen=True)
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
    triage_checks: tuple[tuple[str, str, e.TriageChecked], ...] = ()
    """Each look at the verdict: when, by whom, and what was found."""
    consents: Mapping[str, str] = field(default_factory=dict)
    """Kind -> given, refused or withdrawn."""
    wordings: Mapping[str, str] = field(default_factory=dict)
    """Kind -> version of the wording that the victim's last yes or no was an answer to."""
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
    risk_noted: e.RiskNoted | None = None
    """The answers of the risk form that is being filled in, together; None once it is assessed by them."""
    risk_level: str = ""
    risk_highest: str = ""
    """The highest level that this case ever had."""
    actions: Mapping[str, Action] = field(default_factory=dict)
    referrals: Mapping[str, Referral] = field(default_factory=dict)
    suspects: Mapping[str, Suspect] = field(default_factory=dict)
    not_the_same: frozenset[str] = frozenset()
    """Ids of people who were proposed as this victim or suspect and are not."""
    orders: Mapping[str, str] = field(default_factory=dict)
    """Live civil orders that concern these people, each with whether it was breached."""
    appointment: e.AppointmentMade | None = None
    """The agreed time, until the link is sent or contact is lost."""
    outstanding: int = 0
    """Suspects who are sought and not yet arrested."""
    last_attempt: str = ""
    """What came of the last attempt to reach the victim since contact was lost."""
    escalations: Mapping[str, str] = field(default_factory=dict)
    """Rule -> what it proposes."""
    endorsed_by: str = ""
    """Who agreed that this case of high risk may be filed."""
    evidence_led: str = ""
    decision: str = ""
    """allocated or filed."""
    team: str = ""
    accepted_by: str = ""
    """The investigator who took the allocated case."""
    investigator_contact: bool = False
    """The investigator has reached the victim."""
    support: str = ""
    entitlement: str = ""
    """What the Victims' Code entitles the victim to: standard or enhanced; empty while no contact is agreed."""
    feedback: str = ""
    """invited, given or withheld: how the questions afterwards stand."""
    contact_plan: str = ""
    disclosure: str = ""
    """requested, or what was decided about a disclosure (Clare's Law)."""
    outcome_code: str = ""
    clocks: Mapping[str, RunningClock] = field(default_factory=dict)
    runs: Mapping[str, int] = field(default_factory=dict)
    """How often each clock has been started."""
    first: Mapping[str, str] = field(default_factory=dict)
    """Time of the first event of each type."""
    exited: bool = False
    """The victim left by quick exit and has not been reached since: nothing goes out to the victim's phone."""
    exhibits: kept.Exhibits = field(default_factory=kept.Exhibits)
    """Recordings and stills."""
    draw: e.ArmAllocated | e.NotRandomised | None = None
    """What came of the draw of a trial's arm."""
    arm_overridden: str = ""
    """Why the trial was set aside for this case: code of the reason."""
    glass: Mapping[str, str] = field(default_factory=dict)
    """Who looks or looked at this case outside the own ones -> until when."""
    conflicts: frozenset[str] = frozenset()
    """Members of staff with a conflict of interest, to whom this case is closed."""


def fold(case_id: str, log: Iterable[e.Recorded]) -> Case:
    """The case that these events, in order of version, add up to."""
    case = Case(case_id)
    for recorded in log:
        case = apply(case, recorded.event)
    return case


def apply(case: Case, event: e.Event) -> Case:
    """The case after one more event."""
    started = {change.clock: change.run for change in event.clocks if change.change == "started"}
    return _changed(
        case,
        {
            "version": case.version + 1,
            "state": event.state,
            "definition": event.definition or case.definition,
            "clocks": clocks_after(case.clocks, event),
            "runs": {**case.runs, **started} if started else case.runs,
            "first": case.first if event.type in case.first else {**case.first, event.type: iso(event.at.at)},
            **_changes(event.fact, case, event),
        },
    )


def _changed(case: Case, changes: Mapping[str, Any]) -> Case:
    """What `replace` gives, at a tenth of its price: a case has some fifty fields, and an event changes a few."""
    after = object.__new__(Case)
    after.__dict__.update(case.__dict__, **changes)
    return after


def names_people(event: e.Event) -> bool:
    """Whether the victim and the suspect may be recognised by something else afterwards, or have another id."""
    return isinstance(event.fact, e.CaseOpened | e.DetailsRecorded | e.PersonMatched)


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
        "suspects": {fact.suspect_id: _first_suspect(fact, event)},
    }


def _first_suspect(fact: e.CaseOpened, event: e.Event) -> Suspect:
    """Whoever the caller speaks of, named or not. That there was a name outlives the name."""
    status = "named" if fact.suspect_named else "unknown"
    return Suspect(fact.suspect_id, status, str(fact.personal.get("suspect_name", "")), iso(event.at.at))


@_changes.register
def _(fact: e.CallAnswered, case: Case, event: e.Event) -> dict[str, Any]:
    return {"call_answered_at": event.stated_at}


@_changes.register
def _(fact: e.DetailsRecorded, case: Case, event: e.Event) -> dict[str, Any]:
    changed: dict[str, Any] = {
        "details": {**case.details, **fact.details},
        "personal": {**case.personal, **fact.personal},
    }
    if fact.suspect_named and case.suspect_id in case.suspects:
        changed["suspects"] = {**case.suspects, case.suspect_id: _named(case.suspects[case.suspect_id], fact, event)}
    return changed


def _named(suspect: Suspect, fact: e.DetailsRecorded, event: e.Event) -> Suspect:
    status, since = ("named", iso(event.at.at)) if suspect.status == "unknown" else (suspect.status, suspect.since)
    return replace(suspect, name=str(fact.personal.get("suspect_name", "")), status=status, since=since)


@_changes.register
def _(fact: e.PersonMatched, case: Case, event: e.Event) -> dict[str, Any]:
    """The person has one id in every case from now on, and so has the suspect among the suspects."""
    if fact.role == "victim":
        return {"victim_id": fact.person}
    others = {id_: suspect for id_, suspect in case.suspects.items() if id_ != case.suspect_id}
    this = replace(case.suspects[case.suspect_id], id=fact.person)
    return {"suspect_id": fact.person, "suspects": {fact.person: this, **others}}


@_changes.register
def _(fact: e.PersonDiffers, case: Case, event: e.Event) -> dict[str, Any]:
    return {"not_the_same": case.not_the_same | {fact.person}}


@_changes.register
def _(fact: e.OrderMatched, case: Case, event: e.Event) -> dict[str, Any]:
    return {"orders": {**case.orders, fact.order: fact.breached}}


@_changes.register
def _(fact: e.CriterionAnswered, case: Case, event: e.Event) -> dict[str, Any]:
    return {"answers": {**case.answers, fact.criterion: fact.answer}}


@_changes.register
def _(fact: e.EligibilityDecided, case: Case, event: e.Event) -> dict[str, Any]:
    return {"eligibility": fact}


@_changes.register
def _(fact: e.TriageChecked, case: Case, event: e.Event) -> dict[str, Any]:
    return {"triage_checks": (*case.triage_checks, (iso(event.at.at), event.by, fact))}


@_changes.register
def _(fact: kept.Answered, case: Case, event: e.Event) -> dict[str, Any]:
    consents, exhibits = kept.answered(case.consents, case.exhibits, fact, iso(event.at.at))
    return {"consents": consents, "wordings": kept.read_before(case.wordings, fact), "exhibits": exhibits}


@_changes.register
def _(fact: kept.ExhibitFact, case: Case, event: e.Event) -> dict[str, Any]:
    consents, exhibits = kept.after(case.consents, case.exhibits, fact, iso(event.at.at), event.by)
    return {"consents": consents, "exhibits": exhibits}


@_changes.register
def _(fact: e.HandoverOffered, case: Case, event: e.Event) -> dict[str, Any]:
    return {"handover_note": fact.note or case.handover_note}


@_changes.register
def _(fact: e.HandoverAccepted, case: Case, event: e.Event) -> dict[str, Any]:
    return {"sergeant": event.by}


@_changes.register
def _(fact: e.CaseTakenOver, case: Case, event: e.Event) -> dict[str, Any]:
    return {"sergeant": event.by, **_conflict(fact.reason, case, fact.before)}


@_changes.register
def _(fact: e.HandoverDeclined, case: Case, event: e.Event) -> dict[str, Any]:
    return _conflict(fact.reason, case, event.by)


CONFLICT = "conflict_of_interest"
"""The reason by which the lists of the workflows call it."""


def _conflict(reason: str, case: Case, person: str) -> dict[str, Any]:
    """A case that was given away for a conflict of interest is closed to whoever gave it away."""
    return {"conflicts": case.conflicts | {person}} if reason == CONFLICT and person else {}


@_changes.register
def _(fact: e.ConflictDeclared, case: Case, event: e.Event) -> dict[str, Any]:
    return {"conflicts": case.conflicts | {event.by}}


@_changes.register
def _(fact: e.ConflictLifted, case: Case, event: e.Event) -> dict[str, Any]:
    return {"conflicts": case.conflicts - {fact.person}}


@_changes.register
def _(fact: e.GlassBroken, case: Case, event: e.Event) -> dict[str, Any]:
    return {"glass": {**case.glass, event.by: fact.until}}


@_changes.register
def _(fact: e.HandedBack, case: Case, event: e.Event) -> dict[str, Any]:
    """Whose conflict it is, the reason says. What earlier definitions called it by one word was the officer's where one
    was assigned already."""
    whose = {"own_conflict": event.by, "officer_conflict": case.officer}
    earlier = case.officer if case.engaged else event.by
    person = whose.get(fact.reason, earlier if fact.reason == CONFLICT else "")
    return {"sergeant": "", "conflicts": case.conflicts | ({person} - {""})}


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
    return {"exited": False, "appointment": None} | _in_session(
        case,
        link=fact.link,
        link_sent_at=iso(event.at.at),
        link_expires_at=fact.expires_at,
        link_delivered="",
        link_opened_at="",
    )


@_changes.register
def _(fact: SessionFact, case: Case, event: e.Event) -> dict[str, Any]:
    return {"session": session_after(case.session, fact, iso(event.at.at))} if case.session else {}


@_changes.register
def _(fact: e.OfficerContactStarted, case: Case, event: e.Event) -> dict[str, Any]:
    return {"contacts": (*case.contacts, fact.mode)}


@_changes.register
def _(fact: e.VictimExited, case: Case, event: e.Event) -> dict[str, Any]:
    """The link is dead at once, and whoever leaves in haste is not safe on the strength of what was said before."""
    guests = all_out(case.session) if case.session else {}
    return {"exited": True, "safety": None} | _in_session(
        case, flowing=False, victim="gone", link="", away="", guests=guests
    )


@_changes.register
def _(fact: e.SafetyConfirmed, case: Case, event: e.Event) -> dict[str, Any]:
    """Who is known to be alone, or with somebody safe, is overlooked no more."""
    if case.session is None or fact.alone not in ("yes", "no"):
        return {"safety": fact}
    return {"safety": fact} | _in_session(case, beside=alone_again(case.session.beside))


@_changes.register
def _(fact: e.VictimNotAlone, case: Case, event: e.Event) -> dict[str, Any]:
    """Whoever is overlooked is not safe on the strength of what was said before."""
    changed = session_after(case.session, fact, iso(event.at.at)) if case.session else None
    return {"safety": None, "session": changed}


@_changes.register
def _(fact: e.SessionEnded, case: Case, event: e.Event) -> dict[str, Any]:
    ended = _in_session(case, flowing=False, victim="", officer="", ended_at=iso(event.at.at))
    return ended | {"exhibits": kept.over(case.exhibits)}


@_changes.register
def _(fact: e.ContactLost, case: Case, event: e.Event) -> dict[str, Any]:
    """Safety that was confirmed before contact broke is not safety now."""
    return {"safety": None, "appointment": None, "last_attempt": ""}


@_changes.register
def _(fact: e.AppointmentMade, case: Case, event: e.Event) -> dict[str, Any]:
    return {"appointment": fact}


@_changes.register
def _(fact: e.ContactAttempted, case: Case, event: e.Event) -> dict[str, Any]:
    return {"last_attempt": fact.result, "exited": case.exited and fact.result != "reached"}


@_changes.register
def _(fact: e.DeploymentRequested, case: Case, event: e.Event) -> dict[str, Any]:
    return {"response_grade": fact.response_grade, "attended": False}


@_changes.register
def _(fact: e.DeploymentCalledOff, case: Case, event: e.Event) -> dict[str, Any]:
    return {"response_grade": ""}


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
    return {"risk": fact, "risk_noted": None, **_graded(case, fact.risk_level)}


@_changes.register
def _(fact: e.RiskNoted, case: Case, event: e.Event) -> dict[str, Any]:
    known = case.risk_noted.answers if case.risk_noted and case.risk_noted.tool == fact.tool else {}
    return {"risk_noted": replace(fact, answers={**known, **fact.answers})}


def _graded(case: Case, level: str) -> dict[str, Any]:
    return {"risk_level": level, "risk_highest": max(case.risk_highest, level, key=rank)}


@_changes.register
def _(fact: e.RiskReported, case: Case, event: e.Event) -> dict[str, Any]:
    return _graded(case, fact.risk_level)


@_changes.register
def _(fact: e.GradeOverridden, case: Case, event: e.Event) -> dict[str, Any]:
    return _graded(case, fact.after)


@_changes.register
def _(fact: e.SafeguardingPlanned, case: Case, event: e.Event) -> dict[str, Any]:
    action = Action(fact.action, fact.kind, fact.due_at, fact.owner, fact.note)
    return {"actions": {**case.actions, fact.action: action}}


@_changes.register
def _(fact: e.SafeguardingDone, case: Case, event: e.Event) -> dict[str, Any]:
    action = replace(case.actions[fact.action], result=fact.result)
    return {"actions": {**case.actions, fact.action: action}}


@_changes.register
def _(fact: e.ReferralMade, case: Case, event: e.Event) -> dict[str, Any]:
    made = Referral(fact.referral, fact.partner, fact.how, fact.note, iso(event.at.at))
    return {"referrals": {**case.referrals, fact.referral: made}}


@_changes.register
def _(fact: e.ReferralReceived, case: Case, event: e.Event) -> dict[str, Any]:
    return _referral(case, fact.referral, received_at=iso(event.at.at))


@_changes.register
def _(fact: e.ReferralClosed, case: Case, event: e.Event) -> dict[str, Any]:
    return _referral(case, fact.referral, result=fact.result)


def _referral(case: Case, id_: str, **changed: str) -> dict[str, Any]:
    return {"referrals": {**case.referrals, id_: replace(case.referrals[id_], **changed)}}


@_changes.register
def _(fact: e.ContactAgreed, case: Case, event: e.Event) -> dict[str, Any]:
    return {"entitlement": fact.entitlement, "contact_plan": fact.how}


@_changes.register
def _(fact: e.DisclosureRequested, case: Case, event: e.Event) -> dict[str, Any]:
    return {"disclosure": "requested"}


@_changes.register
def _(fact: e.DisclosureDecided, case: Case, event: e.Event) -> dict[str, Any]:
    return {"disclosure": fact.result}


@_changes.register
def _(fact: e.EscalationProposed, case: Case, event: e.Event) -> dict[str, Any]:
    return {"escalations": {**case.escalations, fact.rule: fact.proposes}}


@_changes.register
def _(fact: e.EvidenceLedConsidered, case: Case, event: e.Event) -> dict[str, Any]:
    return {"evidence_led": fact.result}


@_changes.register
def _(fact: e.FilingEndorsed, case: Case, event: e.Event) -> dict[str, Any]:
    return {"endorsed_by": event.by}


@_changes.register
def _(fact: e.ReturnedToOfficer, case: Case, event: e.Event) -> dict[str, Any]:
    """What is looked at again is agreed to again."""
    return {"endorsed_by": ""}


@_changes.register
def _(fact: e.CaseAllocated, case: Case, event: e.Event) -> dict[str, Any]:
    anew = {"accepted_by": "", "investigator_contact": False, "endorsed_by": ""}
    return {"decision": "allocated", "team": fact.team, **anew}


@_changes.register
def _(fact: e.AllocationAccepted, case: Case, event: e.Event) -> dict[str, Any]:
    return {"accepted_by": event.by}


@_changes.register
def _(fact: e.AllocationRejected, case: Case, event: e.Event) -> dict[str, Any]:
    return {"decision": "", "team": "", "accepted_by": "", **_conflict(fact.reason, case, event.by)}


@_changes.register
def _(fact: e.InvestigatorContactMade, case: Case, event: e.Event) -> dict[str, Any]:
    return {"investigator_contact": True}


@_changes.register
def _(fact: e.CaseFiled, case: Case, event: e.Event) -> dict[str, Any]:
    return {"decision": "filed", "team": ""}


@_changes.register
def _(fact: e.CaseReopened, case: Case, event: e.Event) -> dict[str, Any]:
    return {"decision": "", "team": "", "accepted_by": "", "endorsed_by": ""}


@_changes.register
def _(fact: e.SuspectAdded, case: Case, event: e.Event) -> dict[str, Any]:
    added = Suspect(fact.suspect, fact.status, fact.name, iso(event.at.at))
    return {"suspects": {**case.suspects, fact.suspect: added}}


@_changes.register
def _(fact: e.SuspectStatusChanged, case: Case, event: e.Event) -> dict[str, Any]:
    changed = replace(case.suspects[fact.suspect], status=fact.after, since=iso(event.at.at))
    return {"suspects": {**case.suspects, fact.suspect: changed}, "outstanding": fact.outstanding}


@_changes.register
def _(fact: e.VictimSupportChanged, case: Case, event: e.Event) -> dict[str, Any]:
    return {"support": fact.support}


@_changes.register(e.FeedbackInvited)
@_changes.register(e.FeedbackGiven)
@_changes.register(e.FeedbackWithheld)
def _(fact: e.Fact, case: Case, event: e.Event) -> dict[str, Any]:
    return {"feedback": event.type.removeprefix("Feedback").lower()}


@_changes.register
def _(fact: e.OutcomeRecorded, case: Case, event: e.Event) -> dict[str, Any]:
    return {"outcome_code": fact.outcome_code}


@_changes.register
def _(fact: e.ArmAllocated, case: Case, event: e.Event) -> dict[str, Any]:
    return {"draw": fact}


@_changes.register
def _(fact: e.NotRandomised, case: Case, event: e.Event) -> dict[str, Any]:
    return {"draw": fact}


@_changes.register
def _(fact: e.ArmOverridden, case: Case, event: e.Event) -> dict[str, Any]:
    return {"arm_overridden": fact.reason}
