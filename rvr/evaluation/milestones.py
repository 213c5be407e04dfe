"""Which event of a case is which of its moments, defined once as data.

Reads a case's public events and nothing else. Which of several events counts is by version, never by time. A moment
that did not happen is absent, never nought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rvr.core import events as e
from rvr.core.moment import iso, parse_iso

LIVE = ("video", "audio")
"""Modes of contact that count as an officer's response; a telephone call alone does not (docs/ARCHITECTURE.md)."""

NO_OUTCOME = "0"
"""Not yet assigned (Home Office counting rules)."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """One moment of a case: which event it is."""

    name: str
    """The column of cases.csv, or `_name` for one that only serves others."""
    events: tuple[str, ...]
    meaning: str
    pick: str = "first"
    """first or last, by version."""
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values that the event's fields must have, where it has such a field."""
    unless: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values that they must not have."""
    before: str = ""
    """Only events before that other milestone, if that happened at all."""
    after: str = ""
    """Only events after that other milestone, if that happened at all."""
    stated: bool = False
    """Its time is the stated one, not the observed one."""

    @property
    def source(self) -> str:
        """The events behind it, as the codebook names them."""
        told = [f"{name} {' or '.join(values)}" for name, values in self.where.items()]
        told += [f"{name} not {' or '.join(values)}" for name, values in self.unless.items()]
        where = ", ".join(told)
        return " | ".join(self.events) + (f" ({where})" if where else "")


MILESTONES = (  # each after those that it names
    Milestone("received_at", ("CaseOpened",), "The case was opened; the desk's clocks run from here"),
    Milestone(
        "call_answered_at",
        ("CallAnswered",),
        "The call was answered, as stated by a person or another system (the last statement)",
        pick="last",
        stated=True,
    ),
    Milestone("_undone", ("CaseReopened", "AllocationRejected"), "", pick="last"),
    Milestone("_eligibility", ("EligibilityDecided",), "", pick="last"),
    Milestone(
        "_at_screening",
        ("CapacityNoted",),
        "",
        pick="last",
        where={"moment": ("screening",)},
        before="_eligibility",
    ),
    Milestone("_consent", ("ConsentGiven",), "", where={"kind": ("video",)}),
    Milestone("_refusal", ("ConsentRefused",), "", where={"kind": ("video",)}),
    Milestone(
        "consent_withdrawn_at",
        ("ConsentWithdrawn",),
        "Consent to video was first withdrawn",
        where={"kind": ("video",)},
    ),
    Milestone("handover_first_offered_at", ("HandoverOffered",), "The handover was offered for the first time"),
    Milestone("handover_accepted_at", ("HandoverAccepted",), "A sergeant first accepted a handover"),
    Milestone(
        "handover_offered_at",
        ("HandoverOffered",),
        "The offer that was accepted: the last before handover_accepted_at; without acceptance the last of all",
        pick="last",
        before="handover_accepted_at",
    ),
    Milestone(
        "_at_offer",
        ("CapacityNoted",),
        "",
        pick="last",
        where={"moment": ("offer",)},
        before="handover_offered_at",
    ),
    Milestone(
        "_at_acceptance",
        ("CapacityNoted",),
        "",
        pick="last",
        where={"moment": ("acceptance",)},
        before="handover_accepted_at",
    ),
    Milestone("_screened", ("EligibilityDecided",), "", pick="last", before="handover_first_offered_at"),
    Milestone("_asked", ("ConsentGiven", "ConsentRefused"), "", where={"kind": ("video",)}),
    Milestone("officer_assigned_at", ("OfficerAssigned",), "An officer was first assigned"),
    Milestone("_officer", ("OfficerAssigned",), "", pick="last"),
    Milestone("link_sent_at", ("LinkSent",), "The first link was handed to the outbox"),
    Milestone("link_opened_at", ("LinkOpened",), "The victim first opened a link"),
    Milestone("_joined", ("VictimConnected",), ""),
    Milestone(
        "two_way_video_at",
        ("TwoWayVideoStarted",),
        "The server first had decodable video from both sides and forwarded it",
    ),
    Milestone(
        "session_ended_at",
        ("SessionEnded",),
        "The session with the first two-way video ended; without two-way video, the first end of a session",
        after="two_way_video_at",
    ),
    Milestone("first_contact_at", ("OfficerContactStarted",), "First live contact with an officer, in any mode"),
    Milestone("_live_contact", ("OfficerContactStarted",), "", where={"mode": LIVE}),
    Milestone(
        "deployment_requested_at",
        ("DeploymentRequested", "HandoverDiverted"),
        "An officer in person was first asked for, an emergency apart",
    ),
    Milestone("_deployment", ("DeploymentRequested", "HandoverDiverted"), "", pick="last"),
    Milestone("emergency_dispatched_at", ("EmergencyDispatched",), "Emergency response was first asked for"),
    Milestone("attended_at", ("OfficerAttended",), "An officer was first with the victim in person"),
    Milestone("_attended_after_request", ("OfficerAttended",), "", after="deployment_requested_at"),
    Milestone("_response", ("OfficerContactStarted", "OfficerAttended"), "", where={"mode": LIVE}),
    Milestone("_appointment", ("AppointmentMade",), "", pick="last"),
    Milestone("_agreed", ("AppointmentMade",), "", pick="last", before="_response"),
    Milestone("_not_kept", ("ContactLost", "DeploymentRequested"), "", after="_agreed", before="_response"),
    Milestone("_risk_reported", ("RiskReported",), ""),
    Milestone("risk_assessed_at", ("RiskAssessed",), "The risk was first assessed"),
    Milestone("_planned", ("SafeguardingPlanned",), "", pick="last"),
    Milestone("_safeguarded", ("SafeguardingDone",), "", where={"next_due_at": ("",)}, after="_planned"),
    Milestone("_risk", ("RiskReported", "RiskAssessed", "GradeOverridden"), "", pick="last"),
    Milestone("_first_submitted", ("SubmittedForReview",), ""),
    Milestone(
        "decided_at",
        ("CaseAllocated", "CaseFiled"),
        "The decision in force was taken; empty after a reopening or a rejected allocation until the next decision",
        pick="last",
        after="_undone",
    ),
    Milestone(
        "allocation_accepted_at",
        ("AllocationAccepted",),
        "The receiving team took the case; empty after a reopening until it is taken again",
        pick="last",
        after="_undone",
    ),
    Milestone("investigator_contact_at", ("InvestigatorContactMade",), "An investigator first reached the victim"),
    Milestone("_support", ("VictimSupportChanged",), "", pick="last"),
    Milestone(
        "charged_at",
        ("ChargeRecorded",),
        "The first charge was recorded here; the day of the charge itself is charged_on",
    ),
    Milestone("_outcome", ("OutcomeRecorded",), "", pick="last"),
    Milestone("_first_outcome", ("OutcomeRecorded",), "", unless={"outcome_code": (NO_OUTCOME,)}),
    Milestone("_arrest", ("ArrestRecorded",), ""),
    Milestone(
        "ended_at",
        ("CaseClosed", "CaseVoided"),
        "The case was closed or voided, and not reopened since",
        pick="last",
        after="_undone",
    ),
)

STATED = frozenset(milestone.name for milestone in MILESTONES if milestone.stated)
"""Those whose time is a stated one."""

Moments = Mapping[str, e.Recorded]
"""The milestones that happened, by name."""


def moments(log: Sequence[e.Recorded]) -> dict[str, e.Recorded]:
    """The milestones that happened in this case. `log`: its events in order of version."""
    by_type: dict[str, list[e.Recorded]] = {}
    for recorded in log:
        by_type.setdefault(recorded.event.type, []).append(recorded)
    found: dict[str, e.Recorded] = {}
    for milestone in MILESTONES:
        chosen = _choose(milestone, by_type, found)
        if chosen is not None:
            found[milestone.name] = chosen
    return found


def _choose(milestone: Milestone, by_type: Mapping[str, list[e.Recorded]], found: Moments) -> e.Recorded | None:
    fitting = [r for kind in milestone.events for r in by_type.get(kind, ()) if _fits(milestone, r)]
    if milestone.before in found:
        fitting = [r for r in fitting if r.version < found[milestone.before].version]
    if milestone.after in found:
        fitting = [r for r in fitting if r.version > found[milestone.after].version]
    choose = min if milestone.pick == "first" else max
    return choose(fitting, key=lambda r: r.version, default=None)


def _fits(milestone: Milestone, recorded: e.Recorded) -> bool:
    if milestone.stated and not recorded.event.stated_at:
        return False
    fact = recorded.event.fact
    if any(getattr(fact, name, None) in values for name, values in milestone.unless.items()):
        return False
    return all(getattr(fact, name, values[0]) in values for name, values in milestone.where.items())


def time_of(found: Moments, name: str) -> datetime | None:
    """When that milestone happened: stated or observed, as it is defined."""
    recorded = found.get(name)
    if recorded is None:
        return None
    return parse_iso(recorded.event.stated_at) if name in STATED else recorded.event.at.at


def times(found: Moments) -> dict[str, str]:
    """The columns of cases.csv that hold a moment."""
    return {m.name: time_text(found, m.name) for m in MILESTONES if not m.name.startswith("_")}


def time_text(found: Moments, name: str) -> str:
    """The same as it is written; empty when it did not happen."""
    at = time_of(found, name)
    return iso(at) if at else ""
