"""What every column of the package means, once: the codebook, the Frictionless schemas and the README are made of it.

The columns of events.csv that belong to one type of event are made from the documentation of the facts themselves; a
sealed field has no column, and neither has the spoken reference. Those of the other files are in `columns`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rvr.core import events as e
from rvr.evaluation import stored_text
from rvr.evaluation.columns import CASES, CLOCKS, FEEDBACK, MISSING, OUTCOMES, SCREENING, SUSPECTS, Column
from rvr.evaluation.desk_columns import BOOTTIME, DESK_CLOCK, EARLIER, MACHINE
from rvr.evaluation.session_columns import QUALITY, SESSIONS
from rvr.evaluation.trial_columns import CAPACITY, TRIAL

PROFILE = "https://datapackage.org/profiles/2.0/"

OTHER_STREAMS = (
    *("OfficerDutyChanged", "OfficerEngaged", "OfficerFreed", "PersonRegistered", "AccountChanged", "DefinitionStored"),
    *("OrderImported", "OrderEnded", "EarlierCaseTimed", "ClockStepObserved", "ClockHealthNoted"),
    *("RecordingGrew", "RecordingSealed", "RecordingDerived", "QualityMeasured"),
    *("TrialRegistered", "TrialStopped", "PlaceTaken", "DutyPlanned"),
)
"""Facts that no case's stream holds."""

WITHHELD = "withheld"
"""Stands for a text that is no code."""

WITHHELD_FIELDS = frozenset({"reference", "sha256"})
"""Public inside the desk, and still not for an evaluator: the reference is spoken on the telephone, and the hash of a
picture finds it again wherever a copy lies."""

ROLE = "role"
"""Stands for whatever the fact's own field of that name says: victim or suspect."""

ID_FIELDS = {
    "victim_id": "victim",
    "suspect_id": "suspect",
    "suspect": "suspect",
    "officer": "staff",
    "session": "session",
    "recording": "recording",
    "still": "still",
    "victim_seat": "seat",
    "officer_seat": "seat",
    "link": "link",
    "action": "action",
    "referral": "referral",
    "guest": "guest",
    "seat": "seat",
    "PersonMatched.person": ROLE,
    "PersonDiffers.person": ROLE,
    "OrderMatched.order": "order",
    "CaseTakenOver.before": "staff",
    "ConflictLifted.person": "staff",
    "CaseErased.proposed_by": "staff",
    "GuestArrived.person": "staff",
}
"""Fields of facts that hold an id, and what it is the id of: they leave as pseudonyms. A field whose name means
something else in other facts stands here with its fact."""


def id_in(kind: type[e.Fact], field: str) -> str:
    """What this field holds the id of; empty for a field that holds none."""
    return ID_FIELDS.get(f"{kind.__name__}.{field}") or ID_FIELDS.get(field, "")


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
    Column("by", "string", "Pseudonym of the member of staff; bot, media, carrier, victim and guest as they are"),
    Column("workflow_version", "string", "Content hash of the workflow that decided: see definitions/"),
    Column("state", "string", "State of the case after the event"),
    Column("clock_error_us", "integer", "Error bound of the machine's clock; empty: unknown", "microseconds"),
    Column(
        "clocks_started",
        "string",
        "Clocks that it started, as clock:run:target_s, with :counts behind that where not every second counts,"
        " separated by ;",
    ),
    Column("clocks_paused", "string", "Clocks that stand still from it on, as clock:run, separated by ;"),
    Column("clocks_resumed", "string", "Clocks that go on from it on, as clock:run, separated by ;"),
    Column("clocks_stopped", "string", "Clocks that it stopped, as clock:run:verdict, separated by ;"),
    Column(
        "desk_on_duty", "integer", "Officers on duty when it was decided, where the decision rests on it", "officers"
    ),
    Column("desk_free", "integer", "Officers on duty without a live case then, likewise", "officers"),
    MACHINE,
    BOOTTIME,
)

_TYPES = {"bool": "boolean", "int": "integer", "int | None": "integer"}
_UNIT_TYPES = {"UTC time": "datetime", "date": "date"}


def public_fields(kind: type[e.Fact]) -> Iterator[dataclasses.Field[Any]]:
    """The fields of a fact that leave."""
    return (f for f in dataclasses.fields(kind) if not f.metadata.get("sealed") and f.name not in WITHHELD_FIELDS)


def _type_of(field: dataclasses.Field[Any]) -> str:
    annotation = str(field.type)
    if annotation.startswith("Mapping"):
        return "object"
    if field.metadata["unit"] in _UNIT_TYPES:
        return _UNIT_TYPES[field.metadata["unit"]]
    return _TYPES.get(annotation, "string")


@cache
def fact_columns() -> tuple[tuple[Column, ...], ...]:
    """The columns that types of event have of their own, in a fixed order; each with one entry a type that fills it."""
    found: dict[str, list[Column]] = {}
    for kind in EVENT_TYPES:
        for field in public_fields(e.FACTS[kind]):
            pseudonym = "Pseudonym. " if id_in(e.FACTS[kind], field.name) else ""
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
SCREENING_TABLE = Table(
    "data/screening.csv", "One row a case: what was asked, who was free, what came of it", SCREENING, ("case",)
)
SUSPECTS_TABLE = Table("data/suspects.csv", "One row a suspect and case", SUSPECTS, ("case", "suspect"))
OUTCOMES_TABLE = Table("data/outcomes.csv", "One row a recorded outcome", OUTCOMES, ("case", "version"))
FEEDBACK_TABLE = Table(
    "data/feedback.csv", "One row a case whose victim was asked whether questions may be sent", FEEDBACK, ("case",)
)
MISSING_TABLE = Table("data/missing.csv", "One row a case: why which cells of cases.csv are empty", MISSING, ("case",))
SESSIONS_TABLE = Table("data/sessions.csv", "One row a video session", SESSIONS, ("case", "session"))
QUALITY_TABLE = Table(
    "data/quality.csv",
    "One row a stretch of about ten seconds of one person's line in a session",
    QUALITY,
    ("session", "seat", "ended_at"),
)
TRIAL_TABLE = Table(
    "data/trial.csv",
    "One row a case of a workflow in which a trial ran: why it is not in it, or its arm",
    TRIAL,
    ("case",),
)
CAPACITY_TABLE = Table(
    "data/capacity.csv",
    "One row each time the desk's capacity was noted: at the verdict, at an offer, at its acceptance, at a draw",
    CAPACITY,
    ("case", "version"),
)
DESK_CLOCK_TABLE = Table(
    "data/desk_clock.csv",
    "One row a step of a machine's wall clock or a change of its health, from the first day of the log on",
    DESK_CLOCK,
    ("version",),
)
EARLIER_TABLE = Table(
    "data/earlier.csv",
    "One row a case of an earlier desk, or before there was one, as another system states its times",
    EARLIER,
    ("row",),
)
CODEBOOK_TABLE = Table("codebook.csv", "What each column means", CODEBOOK, ("file", "column", "source"))
CASE_TABLES = (
    *(CASES_TABLE, EVENTS_TABLE, CLOCKS_TABLE, SCREENING_TABLE, SUSPECTS_TABLE, OUTCOMES_TABLE, SESSIONS_TABLE),
    QUALITY_TABLE,
    FEEDBACK_TABLE,
    MISSING_TABLE,
    TRIAL_TABLE,
    CAPACITY_TABLE,
)
DATA_TABLES = (*CASE_TABLES, DESK_CLOCK_TABLE, EARLIER_TABLE)
TABLES = (*DATA_TABLES, CODEBOOK_TABLE)


AsTold = Callable[[Column], Column]
"""The column as it is described in this package: times may leave in another way."""


def codebook_rows(as_told: AsTold) -> Iterator[tuple[str, ...]]:
    """The rows of codebook.csv."""
    for table in TABLES:
        columns: Iterable[Column] = table.columns
        if table is EVENTS_TABLE:
            columns = (*ENVELOPE, *(column for columns in fact_columns() for column in columns))
        for column in map(as_told, columns):
            yield (table.path, column.name, column.type, column.unit, column.source, column.meaning)


def resource(table: Table, as_told: AsTold, digest: str, size: int) -> dict[str, Any]:
    """The table as a Frictionless resource."""
    schema: dict[str, Any] = {
        "$schema": PROFILE + "tableschema.json",
        "fieldsMatch": "exact",
        "fields": [as_told(column).field() for column in table.columns],
        "missingValues": ["", WITHHELD],
        "primaryKey": list(table.key),
    }
    if table in CASE_TABLES and table is not CASES_TABLE:
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


CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}")
"""What a code looks like. Words with spaces between them are never one."""


# --- README.md -------------------------------------------------------------------------------------------------------


def readme(
    used: Mapping[str, e.DefinitionStored],
    withheld: int,
    *,
    proofs: bool = False,
    times: str = "recorded",
    unblinded: bool = False,
) -> str:
    """README.md. `used`: the workflows that occur, by content hash; `withheld`: how many texts did not leave; `proofs`:
    whether each row has its proof; `times`: how they leave; `unblinded`: whether a trial's arms leave by their ids."""
    clocks = "\n".join(
        f"\n### `{definition.workflow}`, version `{version[:12]}`\n\n"
        "| clock | name | target (s) | why |\n|---|---|---|---|\n" + "\n".join(stored_text.clock_texts(definition))
        for version, definition in used.items()
    )
    files = "\n".join(f"- `{table.path}`: {table.about}" for table in TABLES)
    return _README.format(
        files=files,
        clocks=clocks,
        withheld=withheld,
        proofs=_PROOFS if proofs else _NO_PROOFS,
        times=_TIMES[times],
        blinded=_UNBLINDED if unblinded else _BLINDED,
    )


_PROOFS = """\
`proofs/rows.jsonl` ties each row of `events.csv` to that head, in the order of the rows: the event's public part, as it
was hashed, and the way from there to the root (RFC 6962). **It shows more than the rows do**: the desk's own random ids
of the case, its people and members of staff, the spoken reference, a trial's arms, and answers that the rows withhold.
Two packages
with proofs can be joined by these ids, whatever their projects' keys. What is sealed is not in it, only its hash."""

_NO_PROOFS = """\
Nothing in this package ties its rows to that head: the signature alone says that they were made from that log. A proof
for each row would show the desk's own ids; `export --proofs --with-internal-ids` makes a package that has them."""


_LEFT_OUT = """\
 Rows stand in the order of the pseudonyms, and `place` in
  a trial's list is empty. `boottime_us` begins anew in each case, `desk_clock.csv` and `earlier.csv` are empty, and the
  data cut is not told; `censored_at` is the longest of 30, 90, 180, 365, 730 and 1,825 days after the opening that had
  passed, or the last event if that was later."""

_TIMES = {
    "recorded": "- Times are ISO 8601 in UTC with microseconds.",
    "relative": "- Times are seconds after `received_at` with six decimals, dates are days after its day." + _LEFT_OUT,
    "shifted": "- Times are ISO 8601 in UTC with microseconds. They are not the real ones: all those of a victim's"
    " cases were\n  moved by one number of whole weeks, another one for each victim, so that weekday, hour of UTC and"
    " all that lies\n  between them stay." + _LEFT_OUT,
}


_BLINDED = """\
Arms are letters here, the same in every
  file; which is which is not told. Whoever looks at what cases received can work it out: the letters keep an analyst
  from knowing by accident, and no more."""

_UNBLINDED = """\
Arms are told by their ids."""

_README = """\
# Rapid Video Response: the evaluator's data package

**These are pseudonymised personal data (UK GDPR), not anonymous data.** Names, numbers, places, notes and free text of
the cases are not in it, but times and combinations of codes can point at a person. Keep it as you keep personal data,
and publish no rows.

## Files

{files}
- `definitions/`: the text of every workflow that decided anything here, in a folder named by its content hash. The
  force's own settings are a part of it, with the numbers of its on-call roles and the addresses of its partners
- `scripts/`: how to read the tables in Python, R, SPSS and Stata; `km.py` and `km.R` draw on them for a survival curve
- `tables/`: sums after disclosure control, where they were asked for: these may be published, as far as the agreement
  goes. An empty or `withheld` cell would tell of few cases
- `parquet/`, `sav/`, `dta/`, `eventlog/ocel2.json`, `eventlog/log.xes`: the same in other formats, where they were
  asked for; in `sav/` and `dta/` codes are labelled numbers, and times are cut to milliseconds
- `datapackage.json`: types and keys (Frictionless Data Package v2) and where the data come from
- `checkpoint.txt`: the public key of the log, and the signed head of the log that this was made from
- `MANIFEST.sha256`: a checksum of each file; `MANIFEST.sig`: its signature
- `verify.py`: checks all of that, with Python alone

## How to read it

{times}
- Durations are seconds with six decimals, exact.
- An empty cell means that it did not happen, or is not known; it never means nought. `missing.csv` tells for each case
  which columns of `cases.csv` are empty for which reason.
- `at` is when something was seen. `stated_at` is an earlier time that somebody stated: it never replaces `at`.
- The order of events is their `version`, never their time.
- A duration whose two ends were seen by one `machine` is the difference of their `boottime_us`, a clock that never
  steps: setting the wall clock makes none odd. The others are the difference of the times. `desk_clock.csv` tells when
  a wall clock was set and how far it could be trusted; leave cases out by `clock_stepped` if you want to be sure.
- Everything in `cases.csv`, `clocks.csv`, `screening.csv`, `suspects.csv`, `outcomes.csv`, `sessions.csv` and
  `feedback.csv` can be computed again from `events.csv`; `codebook.csv` names the events behind each column. How the
  lines of a session fared comes from `quality.csv`. Only a clock that does not count every second needs the force's
  `[hours]` as well, and `in_sets` the named sets of outcomes: both are in `definitions/`. `clock_stepped` rests on the
  order of the whole log, which is not here.
- `victim`, `suspect` and `pair` are the same in two cases only where somebody at the desk confirmed that they are the
  same people (`PersonMatched`). The age of the victim is not here: the date of birth is sealed.
- `screening.csv` has a row for every case, whether anything was asked or not. A question that was not asked, one that
  was answered with "not known" and one whose answer was refused are three things, and none of them meets a criterion.
- `censored_at` is the data cut, when the last event here was recorded. A case without it was closed or voided. Voided
  cases (duplicates, tests, opened in error) stay in the data: `final_state` is `voided`.
- `handover_s` is about the offer that was accepted; `handover_from_first_offer_s` includes offers that were declined.
- `transfer_s` ends with live contact by video or audio; `response_s` also with an officer in person. The 24-hour level
  is a promise, not a comparison group's response time: compare cases of like response grade.
- `{{"a":"b"}}` in a cell is JSON with sorted keys; several codes in a cell are separated by `;`.
- `withheld` stands for a text that is no code. In this package {withheld} text(s) did not leave.
- `trial.csv` is for a randomised trial inside operation: the screening log with one reason at each exit, intention to
  treat (`arm_allocated`), as treated (`arm_received`) and `per_protocol`. {blinded}
- `capacity.csv` is for comparisons without a trial: who was free, how many waited, the hour and the grade at the moment
  at which video was or was not offered.
- Pseudonyms are made with the project's key. Under another project's key the same case has another one.

## What each clock means

`verdict` compares the elapsed time with the target, and `stopped_by` names the event that stopped the clock. Elapsed
time and target are seconds of the time that `counts`, without pauses; a working day that counts is 86,400 seconds.
`cancelled` is a run that ended within its target without what it waited for. Targets by response grade are
listed by grade.
{clocks}

## How to check it

    python3 -I verify.py

It says what it proved and what it did not. The first line of `checkpoint.txt` is the key that signed: compare it with
the one that the force gives you by another way, or give it that one (`python3 -I verify.py . KEY`). The head says how
many events the log held, and their Merkle root; the signature of `MANIFEST.sha256` covers every file.
{proofs}

The folder of a definition is named by the SHA-256 of its files as JSON: sorted names, texts, no spaces, UTF-8.

    python3 -c 'import hashlib, json, pathlib, sys; d = pathlib.Path(sys.argv[1]); t = {{p.relative_to(d).as_posix():
    p.read_text() for p in d.rglob("*.toml")}}; w = [p.name for p in d.rglob("*.withheld")]; print("not without " +
    " ".join(w) if w else hashlib.sha256(json.dumps(t, sort_keys=True, ensure_ascii=False, separators=(",",
    ":")).encode()).hexdigest())' definitions/HASH

The official wording of a risk tool is licensed to the force and does not leave. A file that ends in `.withheld` stands
in its place and tells its name and hash. The name of that folder cannot be computed from what is here: it can by
whoever has the text, with the text under its own name in place of that file.
"""
