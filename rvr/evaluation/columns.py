"""What each column of the files about cases means: cases.csv, clocks.csv, screening.csv, suspects.csv, outcomes.csv,
feedback.csv and missing.csv.

Columns of cases.csv keep their names for ever. Those of moments, intervals and limits are made from `timings`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rvr.core.calendar import COUNTS
from rvr.core.risk import LEVELS
from rvr.evaluation import milestones, timings

CASE_DETAILS = {
    "lpa": ("lpa",),
    "channel": ("source", "report_source"),
    "victim_sex": ("victim_sex",),
    "relationship": ("relationship",),
    "children": ("children",),
}
"""Columns of cases.csv that hold an answer of the opening form, with its name there: a call's, a report's."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `source`: the events that it comes from; empty for the envelope that all events have."""

    name: str
    type: str
    """As in Frictionless: string, integer, number, boolean, datetime, date, object."""
    meaning: str
    unit: str = ""
    source: str = ""
    enum: tuple[str, ...] = ()

    def field(self) -> dict[str, Any]:
        """The column as a Frictionless field."""
        told: dict[str, Any] = {"name": self.name, "type": self.type, "description": self.meaning}
        if self.type == "boolean":
            told |= {"trueValues": ["true"], "falseValues": ["false"]}
        if self.enum:
            told["constraints"] = {"enum": list(self.enum)}
        return told


# --- cases.csv ---------------------------------------------------------------------------------------------------

_LAST_ID = (
    ", as of the last event: once somebody has confirmed that it is the person of an earlier case, the same as there;"
    " in events.csv each event keeps what it said"
)
_RISK = "RiskReported | RiskAssessed | GradeOverridden"

_VALUES = (
    Column("case", "string", "Pseudonym of the case"),
    Column("force", "string", "Police force"),
    Column(
        "lpa", "string", "Local Policing Area of the victim, as last recorded", source="CaseOpened | DetailsRecorded"
    ),
    Column("victim", "string", "Pseudonym of the victim" + _LAST_ID, source="CaseOpened | PersonMatched"),
    Column("suspect", "string", "Pseudonym of the suspect" + _LAST_ID, source="CaseOpened | PersonMatched"),
    Column(
        "pair",
        "string",
        "Pseudonym of victim and suspect together, as of the last event",
        source="CaseOpened | PersonMatched",
    ),
    Column("officer", "string", "Pseudonym of the officer who was assigned last", source="OfficerAssigned"),
    Column("workflow", "string", "Workflow that the case ran under", source="CaseOpened"),
    Column("workflow_version", "string", "Content hash of that workflow, as of the last event: see definitions/"),
    Column("arm_allocated", "string", "Arm of a trial, as in trial.csv; empty outside of one", source="ArmAllocated"),
    Column("arm_received", "string", "Arm that was delivered first, as in trial.csv", source="ArmAllocated"),
    Column("call_answered_source", "string", "Who or what stated call_answered_at", source="CallAnswered"),
    Column("eligible", "boolean", "The last verdict on eligibility; empty: never decided", source="EligibilityDecided"),
    Column(
        "ineligible_because",
        "string",
        "Ids of the hard criteria that failed in that verdict, separated by ;",
        source="EligibilityDecided",
    ),
    Column(
        "consented",
        "boolean",
        "Agreed to video at least once; false: only refused; empty: never asked",
        source="ConsentGiven | ConsentRefused (kind video)",
    ),
    Column(
        "desk_capacity_at_offer",
        "integer",
        "Officers on duty without a live case at the offer of handover_offered_at",
        unit="officers",
        source="CapacityNoted (moment offer)",
    ),
    Column(
        "first_contact_mode",
        "string",
        "Mode of the first live contact with an officer",
        source="OfficerContactStarted",
        enum=("video", "audio", "phone"),
    ),
    Column("risk_tool", "string", "Instrument of the first risk assessment", source="RiskAssessed"),
    Column("grade", "string", "Risk level in force: the same as risk_level_last", source=_RISK, enum=LEVELS),
    Column(
        "risk_level_reported",
        "string",
        "Level that came with a crime report, graded outside the desk",
        source="RiskReported",
        enum=LEVELS,
    ),
    Column("risk_level_first", "string", "Level of the first assessment", source="RiskAssessed", enum=LEVELS),
    Column("risk_level_last", "string", "Risk level in force", source=_RISK, enum=LEVELS),
    Column(
        "response_grade_first",
        "string",
        "Grade of the first request for an officer in person",
        source="DeploymentRequested | HandoverDiverted",
    ),
    Column(
        "response_grade_last",
        "string",
        "Grade of the last request for an officer in person",
        source="DeploymentRequested | HandoverDiverted",
    ),
    Column(
        "arrival_source",
        "string",
        "Whether attended_at was pressed at the desk (click) or came from the dispatch system",
        source="OfficerAttended",
        enum=("click", "dispatch"),
    ),
    Column("decision", "string", "Decision in force", source="CaseAllocated | CaseFiled", enum=("allocated", "filed")),
    Column("allocated_to", "string", "Team of the decision in force", source="CaseAllocated"),
    Column("outcome_code", "string", "Last recorded Home Office outcome", source="OutcomeRecorded"),
    Column("channel", "string", "How the call or the report came in", source="CaseOpened | DetailsRecorded"),
    Column("victim_sex", "string", "Sex of the victim, as last recorded", source="CaseOpened | DetailsRecorded"),
    Column(
        "relationship",
        "string",
        "The suspect is the victim's ..., as last recorded",
        source="CaseOpened | DetailsRecorded",
    ),
    Column("children", "string", "Children in the household, as last recorded", source="CaseOpened | DetailsRecorded"),
    Column(
        "response_kind",
        "string",
        "What response_s ended with; appointment: contact by video or audio after an appointment was made, without lost"
        " contact or a request for officers in between (first_contact_mode tells how); none: no response by the data"
        " cut",
        source="OfficerContactStarted | OfficerAttended | AppointmentMade",
        enum=("video", "audio", "deployment", "appointment", "none"),
    ),
    Column(
        "interruptions",
        "integer",
        "How often video that flowed both ways was lost, in all sessions; 0 where there was none",
        source="MediaLost",
    ),
    Column(
        "prior_reports_12m",
        "integer",
        "Cases of the same victim that stand before this one in this package, opened at most 365 times 86,400 s before"
        " it and not voided; a case before the package's first day is not counted, nor one whose victim nobody has"
        " confirmed to be the same",
        source="CaseOpened | PersonMatched",
    ),
    Column(
        "appointment_at", "datetime", "Agreed time of the last appointment, kept or not", "UTC time", "AppointmentMade"
    ),
    Column(
        "support_last",
        "string",
        "Whether the victim supports a prosecution, as last recorded",
        source="VictimSupportChanged",
        enum=("supports", "never_supported", "withdrew"),
    ),
    Column("charged_on", "date", "Day of the charge that was recorded first", "date", "ChargeRecorded"),
    Column("first_hearing_on", "date", "Day of the first hearing on that charge", "date", "ChargeRecorded"),
    Column("referrals", "integer", "How many partner organisations were asked to help", source="ReferralMade"),
    Column(
        "escalations",
        "string",
        "Ids of the rules that proposed the case for more than the usual route, separated by ;",
        source="EscalationProposed",
    ),
    Column("handover_offers", "integer", "How often the handover was offered", source="HandoverOffered"),
    Column("final_state", "string", "State after the last event"),
    Column(
        "censored_at",
        "datetime",
        "The data cut, for a case that was neither closed nor voided by then: what has not happened may still happen",
        unit="UTC time",
    ),
    Column(
        "clock_error_max_us",
        "integer",
        "Largest clock_error_us of its events; empty where none of them has a bound",
        "microseconds",
    ),
    Column(
        "events_without_clock_error",
        "integer",
        "How many of its events were seen by a wall clock without an error bound: not synchronised, or not known",
    ),
    Column(
        "clock_stepped",
        "boolean",
        "Whether a wall clock was found to have been set between its first and its last event, in the order of the log,"
        " on a machine that saw one of them: see desk_clock.csv. Its times may then be wrong, and its durations are as"
        " good as the clock that never steps, which stands still while a virtual machine does",
        source="ClockStepObserved",
    ),
)


def _case_columns() -> dict[str, Column]:
    sources = {m.name: m.source for m in milestones.MILESTONES}
    ends = {i.name: f"{sources[i.start]} -> {sources[i.end]}" for i in timings.INTERVALS}
    computed = [
        *(Column(m.name, "datetime", m.meaning, "UTC time", m.source) for m in milestones.MILESTONES),
        *(
            Column(i.name, "number", i.meaning + (_BY_WALL if i.stated else _BY_BOOT), "s", ends[i.name])
            for i in timings.INTERVALS
        ),
        *(Column(n.name, "boolean", n.meaning + _LIMIT_NOTE, "", ends[n.interval]) for n in timings.LIMITS),
    ]
    return {column.name: column for column in (*_VALUES, *computed)}


_BY_BOOT = (
    ". The difference of boottime_us where both events have the same machine in events.csv, else that of the times"
)
_BY_WALL = ". The difference of the times"

_LIMIT_NOTE = (
    ". False also when it has not happened and the limit passed before ended_at and the data cut; empty when there is"
    " no start, or when the limit had not passed by then"
)

_CASE_ORDER = """
    case force lpa victim suspect pair officer workflow workflow_version arm_allocated arm_received
    call_answered_at call_answered_source received_at eligible ineligible_because consented desk_capacity_at_offer
    handover_offered_at handover_accepted_at officer_assigned_at link_sent_at link_opened_at two_way_video_at
    session_ended_at deployment_requested_at attended_at risk_assessed_at risk_tool grade decided_at decision
    allocated_to outcome_code handover_s transfer_s response_s response_kind transfer_within_10_min_from_answer
    transfer_within_10_min_from_open handover_within_target within_24_h session_s interruptions final_state censored_at
    first_contact_at first_contact_mode channel victim_sex relationship children response_grade_first
    response_grade_last risk_level_first risk_level_last consent_withdrawn_at handover_first_offered_at handover_offers
    emergency_dispatched_at arrival_source ended_at handover_from_first_offer_s transfer_from_answer_s answer_to_open_s
    link_opened_s deployment_s decision_s risk_level_reported prior_reports_12m appointment_at allocation_accepted_at
    investigator_contact_at support_last charged_at charged_on first_hearing_on referrals escalations
    clock_error_max_us events_without_clock_error clock_stepped
""".split()  # noqa: SIM905 - a list of eighty quoted names reads worse

CASES = tuple(_case_columns()[name] for name in _CASE_ORDER)

# --- clocks.csv --------------------------------------------------------------------------------------------------

CLOCKS = (
    Column("case", "string", "Pseudonym of the case"),
    Column("clock", "string", "Id of the clock in the workflow"),
    Column("run", "integer", "Which run of that clock in this case, from 1"),
    Column("started_at", "datetime", "When it started", "UTC time"),
    Column("started_by", "string", "Type of the event that started it"),
    Column("target_s", "integer", "What the desk promised, fixed when the clock started, in the time that counts", "s"),
    Column(
        "counts",
        "string",
        "Which time counts: every second, only the hours in which the force's desk is open, or only Mondays to Fridays"
        " that are no holidays, in the force's own zone",
        enum=COUNTS,
    ),
    Column(
        "paused_s",
        "number",
        "How long it stood still in all its pauses, whatever counts, each measured as durations in cases.csv are;"
        " empty: no pause, or none that has ended",
        "s",
    ),
    Column("stopped_at", "datetime", "When it stopped; empty while it runs", "UTC time"),
    Column("stopped_by", "string", "Type of the event that stopped it"),
    Column(
        "elapsed_s",
        "number",
        "What counts from start to stop, pauses left out, as the desk recorded it: each stretch by the clock that never"
        " steps where it began and ended in one boot, else by the wall clock; empty while it has not stopped",
        "s",
    ),
    Column(
        "verdict",
        "string",
        "Elapsed time against the target: uncertain when the error bound of the machine's clock straddles it,"
        " or when the wall clock was set while it ran;"
        " cancelled when it stopped within the target without what it waited for (stopped_by tells what came instead)",
        enum=("met", "breached", "uncertain", "cancelled"),
    ),
    Column("thresholds_fired", "integer", "How many thresholds it reached, reminders included", source="ClockRanOut"),
    Column(
        "ran_out_due_at",
        "datetime",
        "When the first threshold at or behind the target was due",
        "UTC time",
        "ClockRanOut",
    ),
    Column("ran_out_at", "datetime", "When the desk noticed that", "UTC time", "ClockRanOut"),
    Column(
        "lateness_s",
        "number",
        "How long after it was due the desk noticed, by the clock that decides: that of the boot, across a restart of"
        " the machine the wall clock",
        "s",
        "ClockRanOut",
    ),
    Column("censored", "boolean", "Whether it still ran at the data cut"),
)

# --- screening.csv -----------------------------------------------------------------------------------------------


SCREENING_MILESTONES = ("handover_offered_at", "handover_accepted_at", "two_way_video_at")


def _capacity(moment: str, when: str) -> tuple[Column, ...]:
    source = f"CapacityNoted (moment {moment})"
    return (
        Column(f"{moment}_on_duty", "integer", f"Officers on duty at the desk {when}", "officers", source),
        Column(f"{moment}_free", "integer", f"Officers on duty without a live case {when}", "officers", source),
        Column(f"{moment}_desk_open", "boolean", f"Whether the desk was within its hours {when}", "", source),
    )


def _as_in_cases(*names: str) -> tuple[Column, ...]:
    return tuple(column for column in CASES if column.name in names)


SCREENING = (
    *_as_in_cases("case", "workflow"),
    Column("screened_at", "datetime", "The verdict of eligible was reached", "UTC time", "EligibilityDecided"),
    *_as_in_cases("eligible", "ineligible_because"),
    Column("way_out", "string", "What that verdict asks for instead of video", source="EligibilityDecided"),
    Column(
        "concerns",
        "string",
        "Ids of the soft criteria that were not met in that verdict, separated by ;",
        source="EligibilityDecided",
    ),
    Column(
        "results",
        "object",
        "Each criterion with its result in that verdict: met, failed, unknown, refused or not_asked",
        source="EligibilityDecided",
    ),
    Column(
        "answers",
        "object",
        "Each criterion that was asked with the last answer, verdict or not: yes, no, unknown or refused",
        source="CriterionAnswered",
    ),
    Column("triage_checked_at", "datetime", "Somebody without a part in it looked last", "UTC time", "TriageChecked"),
    Column("triage_finding", "string", "What that look found", source="TriageChecked"),
    *_as_in_cases("consented"),
    *_capacity("screening", "at that verdict"),
    *_as_in_cases("handover_offered_at"),
    *_capacity("offer", "at that offer"),
    *_as_in_cases("handover_accepted_at"),
    *_capacity("acceptance", "at that acceptance"),
    *_as_in_cases("two_way_video_at"),
)

# --- suspects.csv and outcomes.csv -------------------------------------------------------------------------------

_SUSPECT_EVENTS = "CaseOpened | PersonMatched | SuspectAdded | SuspectStatusChanged"

SUSPECTS = (
    Column("case", "string", "Pseudonym of the case"),
    Column("suspect", "string", "Pseudonym of the suspect" + _LAST_ID, source=_SUSPECT_EVENTS),
    Column("of_opening", "boolean", "Whether the case was opened against this suspect; false: came to notice later"),
    Column(
        "status",
        "string",
        "Where the suspect stands at the data cut; empty: nothing was recorded since the opening, and whether a name"
        " was given then is sealed",
        source="SuspectAdded | SuspectStatusChanged",
    ),
    Column("status_at", "datetime", "Since when", "UTC time", "SuspectAdded | SuspectStatusChanged"),
    Column(
        "statuses",
        "object",
        "Each status that was recorded, with its first time in UTC; how often and in which order is in events.csv",
        source="SuspectAdded | SuspectStatusChanged",
    ),
)

OUTCOMES = (
    Column("case", "string", "Pseudonym of the case"),
    Column("version", "integer", "Place of the event in its case"),
    Column("at", "datetime", "When it was recorded", "UTC time", "OutcomeRecorded"),
    Column("outcome_code", "string", "Home Office outcome; 0 is no outcome, and has no row", source="OutcomeRecorded"),
    Column(
        "in_sets",
        "string",
        "Named sets that the code stands in, by the definition of workflow_version, separated by ;: no set is official",
        source="OutcomeRecorded",
    ),
    Column("support", "string", "Whether the victim supported further action then", source="OutcomeRecorded"),
    Column(
        "evidence_led",
        "string",
        "Whether a case without the victim's account was considered",
        source="OutcomeRecorded",
    ),
    Column("workflow_version", "string", "Content hash of the workflow that decided: see definitions/"),
)

# --- feedback.csv ------------------------------------------------------------------------------------------------

FEEDBACK = (
    Column("case", "string", "Pseudonym of the case"),
    Column(
        "agreed",
        "string",
        "The victim's last answer to whether questions may be sent: given, refused or withdrawn",
        source="ConsentGiven | ConsentRefused | ConsentWithdrawn",
    ),
    Column(
        "invited_at",
        "datetime",
        "When the link was sent: these cases are the denominator",
        "UTC time",
        "FeedbackInvited",
    ),
    Column(
        "withheld_because", "string", "Why somebody decided that the victim is not asked", source="FeedbackWithheld"
    ),
    Column("answered_at", "datetime", "When the answers came", "UTC time", "FeedbackGiven"),
    *(
        Column(name, "string", f"{asks}: yes, partly or no; empty: left out", source="FeedbackGiven")
        for name, asks in (
            ("quick", "Whether somebody was in touch quickly enough"),
            ("heard", "Whether the victim was listened to"),
            ("way", "Whether the way of getting in touch was right for the victim"),
            ("needed", "Whether the victim got what was needed"),
            ("again", "Whether the victim would get in touch again"),
        )
    ),
)

# --- missing.csv --------------------------------------------------------------------------------------------------

REASONS = {
    "not_yet": "have not happened, and the case was open at the data cut: they may happen yet",
    "never": "did not happen before the case was closed or voided",
    "no_start": "are measured from what did not happen, or was never stated",
    "undecided": "rest on a limit that had not passed by the end of the case or by the data cut: nobody knows",
    "not_asked": "are questions that were never put",
    "not_recorded": "nobody entered",
    "not_applicable": "cannot be in a case like this one",
    "no_trial": "belong to a trial, in which the case was not randomised",
    "withheld": "hold a text that is no code, and does not leave",
}
"""Why a cell is empty, and what is said of such columns."""

MISSING = (
    Column("case", "string", "Pseudonym of the case"),
    *(
        Column(reason, "string", f"Columns of cases.csv that {said}; separated by ;")
        for reason, said in REASONS.items()
    ),
)
