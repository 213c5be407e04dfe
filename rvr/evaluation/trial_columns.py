"""What each column of trial.csv and of capacity.csv means."""

from __future__ import annotations

from rvr.evaluation.columns import Column
from rvr.evaluation.taking_part import EXITS

_ARM = ": its letter, or its id in a package that is not blinded"
_DRAWN = "ArmAllocated"

WHY = {
    "not_running": "the trial did not run when it was opened, or ready",
    "voided": "opened in error, twice or as a test",
    "not_screened": "the questions were not all asked",
    "not_eligible": "a hard criterion was not met",
    "declined": "a consent was refused or taken back before the draw",
    "set_aside": "set aside for safety before the draw",
    "not_asked": "a consent that the trial needs was not asked",
    "no_capacity": "no officer was free",
    "no_stratum": "the case fits none",
    "not_drawn": "everything stood, and nobody drew",
}

TRIAL = (
    Column("case", "string", "Pseudonym of the case"),
    Column("trial", "string", "Id of the trial"),
    Column("eligible", "boolean", "The verdict before the draw; without one the last", source="EligibilityDecided"),
    Column(
        "agreed",
        "string",
        "given: every consent that the trial asks for; declined: one was refused or taken back; empty: not all asked",
        source="ConsentGiven | ConsentRefused | ConsentWithdrawn",
        enum=("given", "declined"),
    ),
    Column(
        "exit",
        "string",
        "Why it was not randomised, the first of these that holds: "
        + "; ".join(f"{code}: {WHY[code]}" for code in EXITS)
        + ". Empty for a randomised case",
        source="NotRandomised | CaseVoided | EligibilityDecided | ConsentRefused | ArmOverridden",
        enum=EXITS,
    ),
    Column("randomised_at", "datetime", "When its arm was drawn", "UTC time", _DRAWN),
    Column("stratum", "string", "Id of its stratum, as the case was known at the draw", source=_DRAWN),
    Column(
        "place",
        "integer",
        "Place in the stratum's list, from 1; empty where times do not leave as recorded",
        source=_DRAWN,
    ),
    Column("arm_allocated", "string", f"Intention to treat: the arm of its place{_ARM}", source=_DRAWN),
    Column("arm_received", "string", f"As treated: the arm that was delivered first after the draw{_ARM}"),
    Column("delivered", "boolean", "Whether the allocated arm was delivered, sooner or later"),
    Column("delivered_at", "datetime", "When", "UTC time"),
    Column("completed", "boolean", "Whether it was received to its end, as the design says what that is"),
    Column("per_protocol", "boolean", "The allocated arm was the first that was delivered, and nobody set it aside"),
    Column(
        "waited_s",
        "number",
        "From the opening of the case to the first arm that was delivered. Measured as durations in cases.csv are",
        "s",
    ),
    Column("overridden_at", "datetime", "When the trial was set aside for safety", "UTC time", "ArmOverridden"),
    Column("override_reason", "string", "Code of the reason", source="ArmOverridden"),
    Column("override_by_role", "string", "Role of whoever did", source="ArmOverridden"),
    Column(
        "on_duty",
        "integer",
        "Officers on duty at the draw, whatever came of it",
        "officers",
        "CapacityNoted (moment allocation)",
    ),
    Column("free", "integer", "Officers on duty without a live case then", "officers", "CapacityNoted"),
    Column("queue", "integer", "Other cases that waited for an officer then", "cases", "CapacityNoted"),
    Column("emergency_after", "boolean", "An emergency was dispatched after the draw", source="EmergencyDispatched"),
)

CAPACITY = (
    Column("case", "string", "Pseudonym of the case"),
    Column("version", "integer", "Place of the event in its case"),
    Column(
        "moment",
        "string",
        "screening: the verdict on eligibility; offer and acceptance: of the handover; allocation: the draw of a trial",
        source="CapacityNoted",
        enum=("screening", "offer", "acceptance", "allocation"),
    ),
    Column("at", "datetime", "When", "UTC time", "CapacityNoted"),
    Column("on_duty", "integer", "Officers on duty at the desk", "officers", "CapacityNoted"),
    Column("free", "integer", "Officers on duty without a live case", "officers", "CapacityNoted"),
    Column(
        "queue",
        "integer",
        "Other cases that were offered and had no officer yet; empty in the logs of earlier programs",
        "cases",
        "CapacityNoted",
    ),
    Column("desk_open", "boolean", "Whether the moment lies within the desk's hours", source="CapacityNoted"),
    Column("hour", "integer", "Hour on the force's wall, 0 to 23; empty where times do not leave as recorded"),
    Column("weekday", "integer", "Day of the week there, 1 for Monday; likewise"),
    Column(
        "eligible",
        "boolean",
        "The verdict in force; at screening the one that was just reached",
        source="EligibilityDecided",
    ),
    Column(
        "response_grade",
        "string",
        "Grade of an officer in person, where one had been asked for by then",
        source="DeploymentRequested | HandoverDiverted",
    ),
    Column(
        "risk_level",
        "string",
        "Risk level in force then",
        source="RiskReported | RiskAssessed | GradeOverridden",
    ),
    Column(
        "went_on",
        "string",
        "How the offer ended, of moment offer: accepted, declined, withdrawn (also by the clock); empty: not yet",
        source="HandoverAccepted | HandoverDeclined | HandoverWithdrawn",
        enum=("accepted", "declined", "withdrawn"),
    ),
)
