"""What every column of the package means, once: the codebook, the Frictionless schemas and the README are made of it.

Columns of cases.csv keep their names for ever. Those of events.csv that belong to one type of event
are made from the documentation of the facts themselves; a sealed field has no column, and neither has the spoken
reference. Which workflow texts hold coded answers, and which free text, is decided here, too.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rvr.core import events as e
from rvr.core.risk import LEVELS
from rvr.evaluation import timings

PROFILE = "https://datapackage.org/profiles/2.0/"

OTHER_STREAMS = ("OfficerDutyChanged", "OfficerEngaged", "OfficerFreed", "PersonRegistered", "DefinitionStored")
"""Facts that no case's stream holds."""

WITHHELD = "withheld"
"""Stands for a text that is no code."""

WITHHELD_FIELDS = frozenset({"reference"})
"""Public inside the desk, and still not for an evaluator: the reference is spoken on the telephone."""

ID_FIELDS = {
    "victim_id": "victim",
    "suspect_id": "suspect",
    "officer": "staff",
    "session": "session",
    "victim_seat": "seat",
    "officer_seat": "seat",
    "link": "link",
    "action": "action",
}
"""Fields of facts that hold an id, and what it is the id of: they leave as pseudonyms."""

CODED_KINDS = frozenset({"choice", "area", "team", "instrument", "flag", "datetime"})
"""Kinds of form field (core.forms) whose answers are codes. Other answers stay, even where they are not personal."""

CASE_DETAILS = {
    "lpa": "lpa",
    "channel": "source",
    "victim_sex": "victim_sex",
    "relationship": "relationship",
    "children": "children",
}
"""Columns of cases.csv that hold an answer of the opening form, with its name there."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `source`: the events that it comes from; empty for the envelope that all events have."""

    name: str
    type: str
    """As in Frictionless: string, integer, number, boolean, datetime, object."""
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

_VALUES = (
    Column("case", "string", "Pseudonym of the case"),
    Column("force", "string", "Police force"),
    Column(
        "lpa", "string", "Local Policing Area of the victim, as last recorded", source="CaseOpened | DetailsRecorded"
    ),
    Column("victim", "string", "Pseudonym of the victim", source="CaseOpened"),
    Column("suspect", "string", "Pseudonym of the suspect", source="CaseOpened"),
    Column("pair", "string", "Pseudonym of victim and suspect together", source="CaseOpened"),
    Column("officer", "string", "Pseudonym of the officer who was assigned last", source="OfficerAssigned"),
    Column("workflow", "string", "Workflow that the case ran under", source="CaseOpened"),
    Column("workflow_version", "string", "Content hash of that workflow, as of the last event: see definitions/"),
    Column("arm_allocated", "string", "Arm of a trial; empty outside of one", source="ArmAllocated"),
    Column("arm_received", "string", "Arm that was delivered; empty outside of a trial", source="ArmAllocated"),
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
    Column("grade", "string", "Risk level in force: the same as risk_level_last", source="RiskAssessed", enum=LEVELS),
    Column("risk_level_first", "string", "Level of the first assessment", source="RiskAssessed", enum=LEVELS),
    Column("risk_level_last", "string", "Risk level in force", source="RiskAssessed | GradeOverridden", enum=LEVELS),
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
    Column("channel", "string", "How the call came in", source="CaseOpened | DetailsRecorded"),
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
        "What response_s ended with; none: no response by the data cut",
        source="OfficerContactStarted | OfficerAttended",
        enum=("video", "audio", "deployment", "none"),
    ),
    Column(
        "interruptions",
        "integer",
        "How often video that flowed both ways was lost, in all sessions; 0 where there was none",
        source="MediaLost",
    ),
    Column("handover_offers", "integer", "How often the handover was offered", source="HandoverOffered"),
    Column("final_state", "string", "State after the last event"),
    Column(
        "censored_at",
        "datetime",
        "The data cut, for a case that was neither closed nor voided by then: what has not happened may still happen",
        unit="UTC time",
    ),
)


def _case_columns() -> dict[str, Column]:
    sources = {m.name: m.source for m in timings.MILESTONES}
    ends = {i.name: f"{sources[i.start]} -> {sources[i.end]}" for i in timings.INTERVALS}
    computed = [
        *(Column(m.name, "datetime", m.meaning, "UTC time", m.source) for m in timings.MILESTONES),
        *(Column(i.name, "number", i.meaning, "s", ends[i.name]) for i in timings.INTERVALS),
        *(Column(n.name, "boolean", n.meaning + _LIMIT_NOTE, "", ends[n.interval]) for n in timings.LIMITS),
    ]
    return {column.name: column for column in (*_VALUES, *computed)}


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
    link_opened_s deployment_s decision_s
""".split()  # noqa: SIM905 - a list of seventy quoted names reads worse

CASES = tuple(_case_columns()[name] for name in _CASE_ORDER)

# --- clocks.csv --------------------------------------------------------------------------------------------------

CLOCKS = (
    Column("case", "string", "Pseudonym of the case"),
    Column("clock", "string", "Id of the clock in the workflow"),
    Column("run", "integer", "Which run of that clock in this case, from 1"),
    Column("started_at", "datetime", "When it started", "UTC time"),
    Column("started_by", "string", "Type of the event that started it"),
    Column("target_s", "integer", "What the desk promised, fixed when the clock started", "s"),
    Column("stopped_at", "datetime", "When it stopped; empty while it runs", "UTC time"),
    Column("stopped_by", "string", "Type of the event that stopped it"),
    Column("elapsed_s", "number", "From start to stop; empty while it runs", "s"),
    Column(
        "verdict",
        "string",
        "Elapsed time against the target: uncertain when the error bound of the machine's clock straddles it;"
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
    Column("lateness_s", "number", "How long after it was due the desk noticed", "s", "ClockRanOut"),
    Column("censored", "boolean", "Whether it still ran at the data cut"),
)

# --- events.csv --------------------------------------------------------------------------------------------------

EVENT_TYPES = tuple(name for name in e.FACTS if name not in OTHER_STREAMS)

ENVELOPE = (
    Column("case", "string", "Pseudonym of the case"),
    Column("version", "integer", "Place of the event in its case, from 1: the order of what happened"),
    Column("type", "string", "Type of the event", enum=EVENT_TYPES),
    Column("at", "datetime", "When it was seen, by the process that saw it", "UTC time"),
    Column("recorded_at", "datetime", "When it was committed to the log", "UTC time"),
    Column("stated_at", "datetime", "An earlier time that a person or another system stated", "UTC time"),
    Column("stated_source", "string", "Who or what stated it"),
    Column("by_role", "string", "Role in which somebody acted; bot: the workflow itself; media: the server"),
    Column("by", "string", "Pseudonym of the member of staff; bot, media and victim as they are"),
    Column("workflow_version", "string", "Content hash of the workflow that decided: see definitions/"),
    Column("state", "string", "State of the case after the event"),
    Column("clock_error_us", "integer", "Error bound of the machine's clock; empty: unknown", "microseconds"),
    Column("clocks_started", "string", "Clocks that it started, as clock:run:target_s, separated by ;"),
    Column("clocks_stopped", "string", "Clocks that it stopped, as clock:run:verdict, separated by ;"),
    Column(
        "desk_on_duty", "integer", "Officers on duty when it was decided, where the decision rests on it", "officers"
    ),
    Column("desk_free", "integer", "Officers on duty without a live case then, likewise", "officers"),
)

_TYPES = {"bool": "boolean", "int": "integer"}


def public_fields(kind: type[e.Fact]) -> Iterator[dataclasses.Field[Any]]:
    """The fields of a fact that leave."""
    return (f for f in dataclasses.fields(kind) if not f.metadata.get("sealed") and f.name not in WITHHELD_FIELDS)


def _type_of(field: dataclasses.Field[Any]) -> str:
    annotation = str(field.type)
    if annotation.startswith("Mapping"):
        return "object"
    if field.metadata["unit"] == "UTC time":
        return "datetime"
    return _TYPES.get(annotation, "string")


@cache
def fact_columns() -> tuple[tuple[Column, ...], ...]:
    """The columns that types of event have of their own, in a fixed order; each with one entry a type that fills it."""
    found: dict[str, list[Column]] = {}
    for kind in EVENT_TYPES:
        for field in public_fields(e.FACTS[kind]):
            pseudonym = "Pseudonym. " if field.name in ID_FIELDS else ""
            column = Column(
                field.name, _type_of(field), pseudonym + field.metadata["meaning"], field.metadata["unit"], kind
            )
            found.setdefault(field.name, []).append(column)
    return tuple(tuple(columns) for columns in found.values())


def _merged(columns: tuple[Column, ...]) -> Column:
    kinds = {column.type for column in columns}
    meaning = "; ".join(dict.fromkeys(column.meaning for column in columns))
    sources = " | ".join(column.source for column in columns)
    return Column(columns[0].name, kinds.pop() if len(kinds) == 1 else "string", meaning, columns[0].unit, sources)


EVENTS = (*ENVELOPE, *(_merged(columns) for columns in fact_columns()))

CODEBOOK = (
    Column("file", "string", "The file"),
    Column("column", "string", "The column"),
    Column("type", "string", "How to read it: datetime is ISO 8601 UTC, object is canonical JSON"),
    Column("unit", "string", "Unit"),
    Column("source", "string", "The events that it comes from; a column of several types of event has a row for each"),
    Column("meaning", "string", "What it says"),
)

# --- The package -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file of the package."""

    path: str
    about: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2].removesuffix(".csv")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


CASES_TABLE = Table("data/cases.csv", "One row a case", CASES, ("case",))
EVENTS_TABLE = Table(
    "data/events.csv", "One row an event: everything else can be made from it", EVENTS, ("case", "version")
)
CLOCKS_TABLE = Table("data/clocks.csv", "One row a run of a clock", CLOCKS, ("case", "clock", "run"))
CODEBOOK_TABLE = Table("codebook.csv", "What each column means", CODEBOOK, ("file", "column", "source"))
TABLES = (CASES_TABLE, EVENTS_TABLE, CLOCKS_TABLE, CODEBOOK_TABLE)


def codebook_rows() -> Iterator[tuple[str, ...]]:
    """The rows of codebook.csv."""
    for table in TABLES:
        columns: Iterable[Column] = table.columns
        if table is EVENTS_TABLE:
            columns = (*ENVELOPE, *(column for columns in fact_columns() for column in columns))
        for column in columns:
            yield (table.path, column.name, column.type, column.unit, column.source, column.meaning)


def resource(table: Table, digest: str, size: int) -> dict[str, Any]:
    """The table as a Frictionless resource."""
    schema: dict[str, Any] = {
        "$schema": PROFILE + "tableschema.json",
        "fieldsMatch": "exact",
        "fields": [column.field() for column in table.columns],
        "missingValues": ["", WITHHELD],
        "primaryKey": list(table.key),
    }
    if table in (EVENTS_TABLE, CLOCKS_TABLE):
        schema["foreignKeys"] = [{"fields": ["case"], "reference": {"resource": "cases", "fields": ["case"]}}]
    return {
        "$schema": PROFILE + "dataresource.json",
        "name": table.name,
        "type": "table",
        "path": table.path,
        "description": table.about,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": size,
        "hash": f"sha256:{digest}",
        "schema": schema,
    }


# --- What a workflow's own text tells ----------------------------------------------------------------------------


def coded_fields(stored: e.DefinitionStored) -> frozenset[str]:
    """The form fields of this workflow whose answers are codes, and not personal."""
    forms = _part(stored, "forms")
    return frozenset(
        name for name, field in forms.items() if field.get("kind") in CODED_KINDS and not field.get("personal")
    )


def _clock_texts(stored: e.DefinitionStored) -> Iterator[str]:
    """What each clock of this workflow means, one Markdown row each."""
    for name, clock in _part(stored, "clocks").items():
        targets = ", ".join(f"{value} {target_s}" for value, target_s in clock.get("targets", {}).items())
        yield f"| `{name}` | {clock['name']} | {targets or clock['target_s']} | {clock.get('why', '')} |"


def _part(stored: e.DefinitionStored, part: str) -> Mapping[str, Any]:
    return tomllib.loads(stored.files.get(f"{stored.workflow}/{part}.toml", ""))


CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}")
"""What a code looks like. Words with spaces between them are never one."""


# --- README.md -------------------------------------------------------------------------------------------------------


def readme(used: Mapping[str, e.DefinitionStored], withheld: int) -> str:
    """README.md. `used`: the workflows that occur, by content hash; `withheld`: how many texts did not leave."""
    clocks = "\n".join(
        f"\n### `{definition.workflow}`, version `{version[:12]}`\n\n"
        "| clock | name | target (s) | why |\n|---|---|---|---|\n" + "\n".join(_clock_texts(definition))
        for version, definition in used.items()
    )
    files = "\n".join(f"- `{table.path}`: {table.about}" for table in TABLES)
    return _README.format(files=files, clocks=clocks, withheld=withheld)


_README = """\
# Rapid Video Response: the evaluator's data package

**These are pseudonymised personal data (UK GDPR), not anonymous data.** Names, numbers, places, notes and free text
are not in it, but times and combinations of codes can point at a person. Keep it as you keep personal data, and publish
no rows.

## Files

{files}
- `definitions/`: the text of every workflow that decided anything here, in a folder named by its content hash
- `datapackage.json`: types and keys (Frictionless Data Package v2) and where the data come from
- `MANIFEST.sha256`: a checksum of each file

## How to read it

- Times are ISO 8601 in UTC with microseconds. Durations are seconds with six decimals, exact.
- An empty cell means that it did not happen, or is not known; it never means nought.
- `at` is when something was seen. `stated_at` is an earlier time that somebody stated: it never replaces `at`.
- The order of events is their `version`, never their time.
- Everything in `cases.csv` and `clocks.csv` can be computed again from `events.csv` alone; `codebook.csv` names the
  events behind each column.
- `censored_at` is the data cut, when the last event here was recorded. A case without it was closed or voided. Voided
  cases (duplicates, tests, opened in error) stay in the data: `final_state` is `voided`.
- `handover_s` is about the offer that was accepted; `handover_from_first_offer_s` includes offers that were declined.
- `transfer_s` ends with live contact by video or audio; `response_s` also with an officer in person. The 24-hour level
  is a promise, not a comparison group's response time: compare cases of like response grade.
- `{{"a":"b"}}` in a cell is JSON with sorted keys; several codes in a cell are separated by `;`.
- `withheld` stands for a text that is no code. In this package {withheld} text(s) did not leave.
- Pseudonyms are made with the project's key. Under another project's key the same case has another one.

## What each clock means

`verdict` compares the elapsed time with the target, and `stopped_by` names the event that stopped the clock.
`cancelled` is a run that ended within its target without what it waited for. Targets by response grade are
listed by grade.
{clocks}

## How to check it

    sha256sum --check MANIFEST.sha256

The folder of a definition is named by the SHA-256 of its files as JSON: sorted names, texts, no spaces, UTF-8.

    python3 -c 'import hashlib, json, pathlib, sys; d = pathlib.Path(sys.argv[1]); t = {{p.relative_to(d).as_posix():
    p.read_text() for p in d.rglob("*.toml")}}; print(hashlib.sha256(json.dumps(t, sort_keys=True, ensure_ascii=False,
    separators=(",", ":")).encode()).hexdigest())' definitions/HASH
"""
