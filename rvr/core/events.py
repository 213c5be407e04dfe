"""The facts that the timing log holds, in the desk's own words, and the envelope that each one travels in.

One documented frozen dataclass a fact. A field is `public` (codes, times, grades: what evaluation may see) or `sealed`
(everything that names, locates or quotes a person: encrypted under the case's key before it is stored). Fields hold
plain JSON values only, and no floats, so that the stored bytes are canonical. The codebook of the evaluator's export
is made from the documentation here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rvr.core.authority_facts import *  # noqa: F403
from rvr.core.beside_facts import *  # noqa: F403
from rvr.core.call_facts import *  # noqa: F403
from rvr.core.clock_facts import *  # noqa: F403
from rvr.core.duty_facts import *  # noqa: F403
from rvr.core.erasure_facts import *  # noqa: F403
from rvr.core.fact import FACTS as FACTS
from rvr.core.fact import Fact as Fact
from rvr.core.fact import fact, public, public_map, sealed, sealed_map
from rvr.core.feedback_facts import *  # noqa: F403
from rvr.core.moment import Moment
from rvr.core.recording_facts import *  # noqa: F403
from rvr.core.session_facts import *  # noqa: F403
from rvr.core.trial_facts import *  # noqa: F403

# --- Opening and screening ---------------------------------------------------------------------------------------


@fact
class CaseOpened(Fact):
    """A call handler opened the case. The desk's clocks run from here."""

    workflow: str = public("Id of the workflow; the event's definition is its version")
    reference: str = public("Short random reference, spoken on the telephone")
    details: Mapping[str, Any] = public("Answers of the opening form that are not personal: source, area, channel")
    personal: Mapping[str, Any] = sealed_map("Answers of the opening form that are: names, numbers, places")
    victim_id: str = public("Random id of the victim, new for each case until a person links it to an earlier one")
    suspect_id: str = public("Random id of the suspect, likewise")
    suspect_named: bool = public("Whether a suspect was named", default=False)


@fact
class CallAnswered(Fact):
    """When the call was answered, as stated by a person or another system (`stated_at` and its source)."""


@fact
class PersonMatched(Fact):
    """Somebody at the desk confirmed that the victim or suspect is the one of an earlier case: one id from now on."""

    role: str = public("victim or suspect")
    person: str = public("Random id of the person in the earlier case, and from now on in this one")
    by_keys: tuple[str, ...] = public("By what the earlier case was proposed: name_dob, phone or a weaker key")


@fact
class PersonDiffers(Fact):
    """Somebody at the desk looked at a proposed match and said that it is another person."""

    role: str = public("victim or suspect")
    person: str = public("Random id of the person who it is not")


@fact
class OrderMatched(Fact):
    """A live civil order was found to concern the people of this case."""

    order: str = public("Random id of the order")
    kind: str = public("Code of the order, from the force's table")
    breached: str = public("Whether the report is of a breach: yes, no or unknown")


@fact
class DetailsRecorded(Fact):
    """Details were added or corrected; the earlier ones stay in the log."""

    details: Mapping[str, Any] = public("The changed answers that are not personal")
    personal: Mapping[str, Any] = sealed_map("The changed answers that are")
    suspect_named: bool = public("Whether the suspect's name was among them", default=False)


@fact
class CriterionAnswered(Fact):
    """One eligibility question was answered."""

    criterion: str = public("Id of the criterion in the workflow")
    answer: str = public("yes, no, unknown or refused; a question never put has no event")


@fact
class EligibilityDecided(Fact):
    """All criteria were evaluated; written when the verdict changes."""

    eligible: bool = public("Whether every hard criterion is met")
    because: tuple[str, ...] = public("Ids of the hard criteria that failed")
    way_out: str = public("What happens instead: emergency, deployment, call_back; empty when eligible")
    results: Mapping[str, str] = public("Each criterion with met, failed, unknown, refused or not_asked")
    concerns: tuple[str, ...] = public("Ids of the soft criteria that failed: the sergeant decides")


@fact
class TriageChecked(Fact):
    """Somebody who has no part in the case looked at the verdict on its safety questions."""

    finding: str = public("Code of what was found")
    note: str = sealed("What the sergeant should know of it; may be empty")


@fact
class CapacityNoted(Fact):
    """How much of the desk was free at that moment: without it a refusal for want of officers cannot be counted."""

    moment: str = public("screening, offer, acceptance, or allocation: the draw of a trial's arm")
    on_duty: int = public("Officers on duty at the desk", unit="officers")
    free: int = public("Officers on duty without a live case", unit="officers")
    desk_open: bool = public("Whether the moment lies within the desk's hours")
    queue: int | None = public(
        "Other cases that have no officer yet: offered, or drawn into an arm that is to be offered one",
        unit="cases",
        default=None,
    )


@fact
class ConsentGiven(Fact):
    """The victim agreed."""

    kind: str = public("video, recording, still or evaluation: each asked apart")
    wording: str = public("Version of the wording that was read out")
    whose: str = public("officer, of a recording; empty: the victim", default="")


@fact
class ConsentRefused(Fact):
    """The victim did not agree. Kept as a possible sign of fear, not only as an absence."""

    kind: str = public("video, recording, still or evaluation")
    wording: str = public("Version of the wording that was read out")


@fact
class ConsentWithdrawn(Fact):
    """The victim took the agreement back."""

    kind: str = public("video, recording, still or evaluation")


# --- Handover ----------------------------------------------------------------------------------------------------


@fact
class HandoverOffered(Fact):
    """The call handler offered the victim to the DA Desk Sergeant."""

    note: str = sealed("The handover note, written once")


@fact
class HandoverAccepted(Fact):
    """A sergeant took the case over."""


@fact
class HandoverDeclined(Fact):
    """A sergeant returned the offer."""

    reason: str = public("Code of the reason")
    note: str = sealed("In the sergeant's words")


@fact
class HandoverWithdrawn(Fact):
    """The call handler took the offer back."""

    reason: str = public("Code of the reason")


@fact
class VictimTold(Fact):
    """What the victim was told to expect, by whom and when."""

    what: str = public("Code of what was said")


@fact
class LineCleared(Fact):
    """The call handler let the caller go."""

    because: str = public("officer_live or plan_read_back")
    next_contact: str = sealed("The safe-contact plan as it was read back")


@fact
class CaseTakenOver(Fact):
    """Another sergeant took the case over, at the end of a shift or for any other reason."""

    before: str = public("Person id of the sergeant until then; empty when there was none")
    reason: str = public("Code of the reason")


@fact
class HandoverEscalated(Fact):
    """Nobody accepted in time: the duty inspector's role was told."""

    to_role: str = public("The role that was told")


@fact
class AlarmRaised(Fact):
    """The workflow reminded somebody of something that stands still."""

    to_role: str = public("The role that was told")
    about: str = public("Code of what stands still")


@fact
class HandoverDiverted(Fact):
    """Still nobody: a deployment was started beside the open offer."""

    response_grade: str = public("Grade of the deployment")


@fact
class HandedBack(Fact):
    """The desk gave the case back to the call handler."""

    reason: str = public("Code of the reason")


@fact
class OfficerAssigned(Fact):
    """The sergeant gave the case to a desk officer."""

    officer: str = public("The officer's person id")


@fact
class OfficerReleased(Fact):
    """The officer is no longer bound to the case."""

    officer: str = public("The officer's person id")
    because: str = public("reassigned, submitted, handed_back, deployed, voided; else the id of the move")


# --- Contact, deployment, emergency ------------------------------------------------------------------------------


@fact
class ContactLost(Fact):
    """Contact with the victim was lost before the case was safe."""

    reason: str = public("Code of the reason")


@fact
class ContactAttempted(Fact):
    """Somebody tried to reach the victim again, by the safe number only."""

    result: str = public("reached, no_answer, unsafe_to_speak or wrong_person")
    note: str = sealed("In the officer's words")


@fact
class DeploymentRequested(Fact):
    """An officer is to be sent in person."""

    response_grade: str = public("How fast: immediate, priority or other")
    reason: str = public("Code of the reason")


@fact
class DeploymentCalledOff(Fact):
    """Officers who were on their way are not needed any more."""

    reason: str = public("Code of the reason")


@fact
class AppointmentMade(Fact):
    """The victim named a time at which it is safe to speak."""

    starts_at: str = public("The agreed time", unit="UTC time")
    reason: str = public("Code of the reason why not now")
    how: str = sealed("How to make contact then, in the words that were agreed")


@fact
class EmergencyDispatched(Fact):
    """Emergency response was asked for. A flag beside the state: the session and its officer stay."""

    reason: str = public("Code of the reason")


@fact
class EmergencyStoodDown(Fact):
    """A sergeant stood the emergency down."""

    reason: str = public("Code of the reason")


@fact
class OfficerAttended(Fact):
    """An officer is with the victim in person."""

    arrival_source: str = public("click or dispatch: whether arrival was pressed here or came from the dispatch system")


@fact
class NoReplyRecorded(Fact):
    """An officer attended and nobody answered."""


# --- Risk, safeguarding, decision --------------------------------------------------------------------------------


@fact
class RiskAssessed(Fact):
    """A risk tool was filled in and a person graded the risk."""

    tool: str = public("Id of the instrument")
    tool_version: str = public("Content hash of the instrument")
    score: int = public("What the instrument adds up to", unit="points")
    suggested: str = public("The level that the instrument suggests")
    risk_level: str = public("The level that the officer gave: standard, medium or high")
    missing: tuple[str, ...] = public("Questions without an answer")
    because: tuple[str, ...] = public("Questions that were answered so that they score")
    parts: Mapping[str, int] = public_map("Each question that counts in a score, with its points")
    subscores: Mapping[str, int] = public_map("Each opened set of questions with a score of its own, with that score")
    combinations: tuple[str, ...] = public("Named combinations of the instrument that were met", default=())
    answers: Mapping[str, Any] = sealed_map("Each question with its answer: a word, a list of ticked cells, free text")
    rationale: str = sealed("Why this level, in the officer's words")


@fact
class RiskReported(Fact):
    """The risk level that came with a report, as somebody outside the desk graded it."""

    tool: str = public("Id of the instrument, if it was named")
    risk_level: str = public("standard, medium or high")


@fact
class GradeOverridden(Fact):
    """A person set another risk level than the one in force."""

    before: str = public("The level until then")
    after: str = public("The level from then on")
    reason: str = sealed("Why")


@fact
class SafeguardingPlanned(Fact):
    """A safeguarding action was planned."""

    action: str = public("Random id of the action")
    kind: str = public("Code from the catalogue of safeguarding actions")
    owner_role: str = public("Role that the catalogue names for it", default="")
    due_at: str = public("When it is due", unit="UTC time")
    next_due_at: str = public("When the next open action of the case is due", unit="UTC time", default="")
    owner: str = sealed("Who is to do it")
    note: str = sealed("What exactly")


@fact
class SafeguardingDone(Fact):
    """A safeguarding action was completed, declined by the victim, or found unsafe."""

    action: str = public("Id of the action")
    result: str = public("done, declined or unsafe")
    next_due_at: str = public("When the next open action is due; empty when none is", unit="UTC time", default="")
    note: str = sealed("In the officer's words")


@fact
class ReferralMade(Fact):
    """A partner organisation was asked to help."""

    referral: str = public("Random id of the referral")
    partner: str = public("Code of the partner organisation")
    how: str = public("session (invited into the video session), room (with the desk that day) or email")
    basis: str = public("consent, or the code of the lawful exception")
    note: str = sealed("What the partner is asked to do")


@fact
class ReferralReceived(Fact):
    """The partner has the referral."""

    referral: str = public("Id of the referral")
    waiting: int = public("Referrals of the case that no partner has received yet", unit="referrals", default=0)


@fact
class ReferralClosed(Fact):
    """The partner reached the victim, or could not."""

    referral: str = public("Id of the referral")
    result: str = public("contacted, unable or declined")
    waiting: int = public("Referrals of the case that no partner has received yet", unit="referrals", default=0)
    unanswered: int = public("Referrals that are received and not answered yet", unit="referrals", default=0)


@fact
class MaracReferred(Fact):
    """The case was referred to the multi-agency risk assessment conference."""

    criteria: tuple[str, ...] = public("Ids of the rules that proposed it; professional_judgement if that was given")
    reason: str = sealed("The reasons of the professional judgement")


@fact
class OrderConsidered(Fact):
    """A civil order was considered."""

    order: str = public("Code of the order, from the force's table")
    result: str = public("applied, not_now or not_suitable")
    reason: str = sealed("Why")


@fact
class DisclosureRequested(Fact):
    """A disclosure under the Domestic Violence Disclosure Scheme (Clare's Law) was asked for."""

    right: str = public("ask or know")


@fact
class DisclosureDecided(Fact):
    """The disclosure was made, or refused."""

    result: str = public("made, nothing_to_disclose or refused")


@fact
class ContactAgreed(Fact):
    """How and how often the victim wants to hear of the case (Code of Practice for Victims)."""

    every: str = public("Code of the frequency")
    entitlement: str = public("standard or enhanced")
    how: str = sealed("The safe way, in the victim's words")


@fact
class VictimInformed(Fact):
    """The victim was told of a key event, in the agreed way."""

    about: str = public("Code of what the victim was told")


@fact
class SubmittedForReview(Fact):
    """The officer gave the case to the sergeant for a decision."""


@fact
class EscalationProposed(Fact):
    """A rule of repetition or risk held: the case is proposed for more than the usual route."""

    rule: str = public("Id of the rule")
    proposes: str = public("specialist or marac")
    count: int = public("What the rule counted", unit="cases, victims or points")
    cases: str = sealed("References of the cases that it rests on")


@fact
class EvidenceLedConsidered(Fact):
    """It was considered whether the case can be built without the victim's account."""

    result: str = public("viable, not_viable or unclear")
    reason: str = sealed("What was looked at")


@fact
class FilingEndorsed(Fact):
    """A second person agreed that a high-risk case may be filed."""

    reason: str = sealed("Why")


@fact
class ReturnedToOfficer(Fact):
    """The sergeant wants more before deciding."""

    reason: str = public("Code of the reason")
    note: str = sealed("What is missing")


@fact
class CaseAllocated(Fact):
    """The sergeant gave the case to a team for investigation."""

    team: str = public("Id of the team")
    proposed: str = public("The team that the routing table proposed")
    because: str = public("Id of the routing rule that proposed it")
    override: str = sealed("Why another team than the proposed one")


@fact
class CaseFiled(Fact):
    """The sergeant filed the case: no further investigation, with safeguarding in place."""

    reason: str = public("Code of the reason")
    checks: Mapping[str, str] = public_map("Each point of the filing gate with yes or not_applicable")
    rationale: str = sealed("In the sergeant's words")


@fact
class AllocationAccepted(Fact):
    """The receiving team took the case."""

    team: str = public("Id of the team")


@fact
class AllocationRejected(Fact):
    """The receiving team sent the case back."""

    team: str = public("Id of the team")
    reason: str = public("Code of the reason")


@fact
class InvestigatorContactMade(Fact):
    """The investigator reached the victim for the first time."""


@fact
class OutcomeRecorded(Fact):
    """A Home Office outcome was recorded."""

    outcome_code: str = public("Home Office outcome code")
    support: str = public("Whether the victim supported further action: yes, no or unknown", default="")
    evidence_led: str = public("Whether a case without the victim's account was considered: yes or no", default="")
    rationale: str = sealed("The record that the outcome requires")


@fact
class ArrestRecorded(Fact):
    """A suspect was arrested."""

    suspect: str = public("Id of the suspect", default="")


@fact
class SuspectAdded(Fact):
    """Another suspect came to notice."""

    suspect: str = public("Random id of the suspect")
    status: str = public("Where this suspect stands, from the workflow's table of suspects' states")
    name: str = sealed("The suspect's name")


@fact
class SuspectStatusChanged(Fact):
    """A suspect was named, sought, arrested, interviewed or eliminated."""

    suspect: str = public("Id of the suspect")
    before: str = public("Status until then")
    after: str = public("Status from then on")
    outstanding: int = public("Suspects who are sought and not yet arrested, from then on", unit="suspects")
    reason: str = sealed("The grounds")


@fact
class VictimSupportChanged(Fact):
    """Whether the victim supports a prosecution."""

    support: str = public("supports, never_supported or withdrew")
    reason: str = public("Code of the reason")


@fact
class ChargeRecorded(Fact):
    """A suspect was charged or summonsed."""

    suspect: str = public("Id of the suspect")
    charged_on: str = public("The day", unit="date")
    first_hearing_on: str = public("The day of the first hearing, if known", unit="date", default="")


@fact
class CaseClosed(Fact):
    """The receiving team closed the case."""


@fact
class CaseReopened(Fact):
    """A closed or decided case came back to review."""

    reason: str = public("Code of the reason")


@fact
class CaseVoided(Fact):
    """Opened in error, a duplicate or a test: kept in every denominator as void."""

    reason: str = public("Code of the reason")


# --- Clocks ------------------------------------------------------------------------------------------------------


@fact
class ClockRanOut(Fact):
    """A clock reached a threshold. Never early, once, with its lateness."""

    clock: str = public("Id of the clock")
    run: int = public("Which run of that clock in this case, from 1")
    after_s: int = public("The threshold", unit="s after the start")
    due_at: str = public("When it was due", unit="UTC time")
    late_us: int = public("How long after that it was noticed", unit="microseconds")
    did: str = public("The move that the workflow then made by itself; empty when it only flags", default="")


# --- Other streams -----------------------------------------------------------------------------------------------


@fact
class OfficerDutyChanged(Fact):
    """Stream officer/: an officer's duty status changed."""

    status: str = public("on, break or off")


@fact
class OfficerEngaged(Fact):
    """Stream officer/: the officer is bound to a case. At most one at a time: the stream's key settles the race."""

    case: str = public("Id of the case")


@fact
class OfficerFreed(Fact):
    """Stream officer/: the officer is free again."""

    case: str = public("Id of the case")


@fact
class PersonRegistered(Fact):
    """Stream person/: a member of staff was given an account."""

    roles: tuple[str, ...] = public("Roles at the desk")
    units: tuple[str, ...] = public("Ids of the teams and partner organisations that the person belongs to", default=())
    username: str = sealed("Sign-in name")
    name: str = sealed("Name as colleagues see it")


@fact
class AccountChanged(Fact):
    """Stream person/: something about a member of staff's account was changed, at the terminal or on the screen."""

    what: str = public(
        "password or second_factor (each takes the passkeys away), passkey_added, passkey_removed, passkeys_removed,"
        " roles, disabled, enabled or sign_ins_ended"
    )
    roles: tuple[str, ...] = public("Roles: the new ones; else empty", default=())
    units: tuple[str, ...] = public("Teams and partner organisations, likewise", default=())


@fact
class DefinitionStored(Fact):
    """Stream definition/: the whole text of a workflow as it was used."""

    workflow: str = public("Id of the workflow")
    files: Mapping[str, str] = public("File name and text of every part")


@fact
class OrderImported(Fact):
    """Stream order/: a civil order that protects somebody was taken over from the system that holds it."""

    kind: str = public("Code of the order, from the force's table")
    lpa: str = public("Local Policing Area", default="")
    neighbourhood: str = public("Neighbourhood within it", default="")
    starts: str = public("From when it holds", unit="UTC time")
    ends: str = public("From when it no longer holds; empty until further notice", unit="UTC time", default="")
    suspect_name: str = sealed("Who is bound by it")
    suspect_dob: str = sealed("That person's date of birth")
    suspect_address: str = sealed("That person's address")
    victim_name: str = sealed("Who is protected by it")
    victim_dob: str = sealed("That person's date of birth")
    victim_address: str = sealed("That person's address")
    conditions: str = sealed("What it forbids or demands, in its own words")


@fact
class OrderEnded(Fact):
    """Stream order/: the order ended before its time, or its end was moved."""

    ends: str = public("From when it no longer holds", unit="UTC time")
    because: str = public("Code of the reason")


@fact
class EarlierCaseTimed(Fact):
    """Stream earlier/: timings of one case of an earlier desk, or before there was one, as told elsewhere."""

    source: str = public("Code of the system that states them, and of its period")
    opened_at: str = public("The incident was recorded, as stated", unit="UTC time")
    answered_at: str = public("The call was answered, as stated; empty: not stated", unit="UTC time", default="")
    requested_at: str = public("An officer was asked for, as stated", unit="UTC time", default="")
    attended_at: str = public("An officer attended, as stated", unit="UTC time", default="")
    video_at: str = public("An officer and the victim were on video, as stated", unit="UTC time", default="")
    closed_at: str = public("The incident was closed, as stated", unit="UTC time", default="")
    lpa: str = public("Local Policing Area", default="")
    response_grade: str = public("Code of the response grade, as it was at last", default="")


_PARTS = (
    *("events", "session_facts", "beside_facts", "call_facts", "clock_facts", "erasure_facts", "recording_facts"),
    *("trial_facts", "authority_facts", "feedback_facts", "duty_facts"),
)
"""In this order their facts stand in every list: documents, the codebook, the columns of an export."""

for _name in sorted(FACTS, key=lambda name: _PARTS.index(FACTS[name].__module__.rpartition(".")[2])):
    FACTS[_name] = FACTS.pop(_name)

# --- The envelope ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClockChange:
    """What an event did to a clock, with every time that follows from it: `apply` never reads a workflow."""

    clock: str
    run: int
    change: str
    """started, paused, resumed or stopped"""
    at: str
    target_s: int
    due: tuple[tuple[int, str], ...] = ()
    """Started, resumed: each threshold that has still to fire, in seconds that count, with its UTC time."""
    elapsed_us: int | None = None
    """Stopped, paused: microseconds that count since the start, pauses left out: within one boot by the clock that
    never steps, across a restart of the machine by the wall clock (early logs: always by that)."""
    verdict: str = ""
    """Stopped: met, breached, or uncertain when the clock's error bound straddles the target; cancelled when moot.
    Paused: uncertain when the wall clock was set meanwhile."""
    counts: str = "always"
    """Started: which time it counts."""
    ends_at: str = ""
    """Started, resumed: when it reaches its target. Early logs do not tell: `target_s` after the start."""
    counted_us: int = 0
    """Paused: the same as elapsed_us, and in early logs what that should have been: thresholds go by it."""


@dataclass(frozen=True, slots=True)
class Event:
    """A decided fact with what it did: the resulting state, and what became of the clocks."""

    fact: Fact
    state: str
    at: Moment
    by: str
    by_role: str
    definition: str = ""
    """Content hash of the workflow that decided."""
    clocks: tuple[ClockChange, ...] = ()
    stated_at: str = ""
    """An earlier time stated by a person or another system; it never replaces `at`."""
    stated_source: str = ""
    basis: Mapping[str, Any] = field(default_factory=dict)
    """Facts of the desk that the decision rests on, with the feed position at which they were read."""

    @property
    def type(self) -> str:
        return type(self.fact).__name__


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the log holds it."""

    event: Event
    stream: str
    version: int
    position: int
    """Global feed position."""
    event_id: str
    command_id: str
    force: str
    recorded_at: datetime
    hash: bytes = b""


UPCASTERS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""(type, schema) -> the fields of the next schema. Stored bytes never change; these run when they are read."""


def build(name: str, schema: int, fields: Mapping[str, Any]) -> Fact:
    """The fact of that type from its stored fields, upcast to the schema of today.

    Fields that were sealed and whose key was destroyed are simply absent: they have defaults.
    Raises KeyError for a type that this program does not know.
    """
    kind = FACTS[name]
    values = dict(fields)
    for number in range(schema, kind.schema):
        values = UPCASTERS[name, number](values)
    return kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})
