"""The evaluator's data package: a folder or one zip file, made from the public part of the timing log alone.

Same log, window and project key, same bytes. Rows are written as cases are read, so memory does not grow with the
number of cases. Ids leave as pseudonyms under a key of the project's own, times as they were recorded, codes as codes;
a sealed field is never read, and a text that is no code is withheld.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, takewhile
from pathlib import Path
from typing import IO, Any

from sqlmodel import Session, col, func, select

from rvr.core import events as e
from rvr.core.errors import Reason, Refused
from rvr.core.moment import iso, parse_iso
from rvr.evaluation import codebook, timings
from rvr.store.store import Store
from rvr.store.tables import EventRow

FORMAT = "rvr-evaluation/1"
"""Version of the layout: another number means other columns."""

MANIFEST, DATAPACKAGE, README = "MANIFEST.sha256", "datapackage.json", "README.md"
_KEY_BYTES = 32
_PARTIAL = ".partial"
_ROLE_WORDS = ("bot", "media", "victim")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that the format knows; a real time would change the bytes."""


class CannotExport(Exception):
    """The package cannot be written there, or not with that key. The message says why."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What was exported."""

    out: Path
    cases: int
    events: int
    clocks: int
    withheld: int
    """Texts that were no codes, and did not leave."""
    data_cut: datetime | None
    """Nothing that was recorded later is in it; None for an empty one."""
    project: str
    """Id of the project whose key made the pseudonyms."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which cases: opened from `start` on and before `end`, with what was recorded before `end`."""

    start: datetime | None
    end: datetime | None
    until: int
    """Feed position at which the log was when the export began."""
    cut: datetime | None
    """When the last of these events was recorded."""

    def of(self, log: Iterable[e.Recorded]) -> list[e.Recorded]:
        """What the window shows of a case; nothing for a case that it leaves out."""
        end = self.end
        seen = list(takewhile(lambda r: end is None or r.recorded_at < end, log))
        if not seen:
            return []
        opened = seen[0].event.at.at
        early = self.start is not None and opened < self.start
        return [] if early or (end is not None and opened >= end) else seen


async def export(
    store: Store, out: Path, *, project_key: Path, from_: datetime | None = None, to: datetime | None = None
) -> Summary:
    """Writes the package to `out`: a zip file where its name ends in `.zip`, else a folder.

    `project_key`: the file of the project's key, made at first use; it must not lie inside the package. Raises Refused
    when the window is empty, CannotExport when `out` holds something else than an earlier export, or for a key file
    that cannot be used.
    """
    start, end = (at.astimezone(UTC) if at else None for at in (from_, to))
    if start and end and start >= end:
        raise Refused(Reason("export-window"))
    until = await store.position()
    cut = await store.read(lambda session: _cut(session, start, end, until))
    window = Window(start, end, until, parse_iso(cut) if cut else None)
    return await asyncio.to_thread(_export, store, out, project_key, window)


def _cut(session: Session, start: datetime | None, end: datetime | None, until: int) -> str:
    """When the last event of the window was recorded."""
    low, high = iso(start) if start else "", iso(end) if end else "9999"
    opened = select(EventRow.stream).where(
        EventRow.version == 1,
        col(EventRow.stream).startswith("case/"),
        col(EventRow.observed_at) >= low,
        col(EventRow.observed_at) < high,
    )
    wanted = select(func.max(EventRow.recorded_at)).where(
        col(EventRow.position) <= until, col(EventRow.recorded_at) < high, col(EventRow.stream).in_(opened)
    )
    return session.exec(wanted).one() or ""


def _export(store: Store, out: Path, project_key: Path, window: Window) -> Summary:
    zipped = out.suffix == ".zip"
    if not zipped and project_key.resolve().is_relative_to(out.resolve()):
        raise CannotExport(f"the project key {project_key} must not lie inside the export")
    _check_zip(out) if zipped else _check_folder(out)
    alias = load_project(project_key)
    try:
        return _to_zip(store, out, alias, window) if zipped else _to_folder(store, out, alias, window)
    except OSError as error:
        raise CannotExport(f"{out} cannot be written: {error.strerror or error}") from error


# --- Pseudonyms --------------------------------------------------------------------------------------------------


class Alias:
    """Makes pseudonyms under a project's key: no two projects' exports can be joined by them."""

    def __init__(self, project: str, key: bytes) -> None:
        self.project, self._key = project, key

    def __call__(self, kind: str, subject: str) -> str:
        """80 bits, in hex; empty for nobody."""
        if not subject:
            return ""
        return hmac.digest(self._key, f"{kind}|{subject}".encode(), "sha256").hex()[:20]

    def person(self, by: str) -> str:
        """Members of staff by pseudonym; the others by their role."""
        role = by.partition(":")[0]
        return role if role in _ROLE_WORDS else self("staff", by)


def load_project(file: Path) -> Alias:
    """The project's key, made at first use. Raises CannotExport for a file that is no such key or that others read."""
    try:
        if not file.exists():
            _create_project(file)
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise CannotExport(f"the project key {file} can be read by others: chmod 600")
        told = json.loads(file.read_text())
        project, key = str(told["id"]), bytes.fromhex(told["key"])
    except OSError as error:
        raise CannotExport(f"the project key {file} cannot be used: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CannotExport(f"{file} is not a project key of this program") from error
    if len(key) != _KEY_BYTES or not codebook.CODE.fullmatch(project):
        raise CannotExport(f"{file} is not a project key of this program")
    return Alias(project, key)


def _create_project(file: Path) -> None:
    """Writes the file whole or not at all; of two exports at once, one makes the key and both use it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = {"id": f"project-{secrets.token_hex(4)}", "key": secrets.token_hex(_KEY_BYTES)}
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "w") as out:
            json.dump(fresh, out)
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        Path(draft).unlink()


# --- Rows --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Writing:
    """What the rows need besides the case, and what is counted on the way."""

    alias: Alias
    definitions: Mapping[str, e.DefinitionStored]
    cut: datetime
    coded: dict[str, frozenset[str]] = field(default_factory=dict)
    """Workflow version -> the form fields whose answers are codes."""
    used: set[str] = field(default_factory=set)
    """Workflow versions that occur."""
    cases: int = 0
    events: int = 0
    clocks: int = 0
    withheld: int = 0

    def __post_init__(self) -> None:
        self.coded = {version: codebook.coded_fields(stored) for version, stored in self.definitions.items()}

    def code(self, value: Any) -> Any:
        """The value if it is a code or a number; never free text."""
        if isinstance(value, str) and value:
            if _UUID.fullmatch(value):
                return self.alias("id", value)
            if not codebook.CODE.fullmatch(value):
                self.withheld += 1
                return codebook.WITHHELD
        return value

    def codes(self, values: Mapping[str, Any], known: frozenset[str] | None = None) -> dict[str, Any]:
        """The coded answers of a form, or all of a map when no form's fields are given."""
        told = {name: value for name, value in values.items() if known is None or name in known}
        self.withheld += len(values) - len(told)
        return {self.code(name): self.code(value) for name, value in told.items()}


def case_row(log: Sequence[e.Recorded], writing: Writing) -> dict[str, Any]:
    """The row of cases.csv."""
    found = timings.moments(log)
    measured = timings.durations(found)
    last = log[-1]
    row: dict[str, Any] = timings.times(found)
    row |= {name: timings.seconds(microseconds) for name, microseconds in measured.items()}
    row |= timings.verdicts(found, measured, writing.cut)
    row |= _who(log, found, writing)
    row |= _what(found, writing)
    row |= {
        "response_kind": timings.response_kind(found),
        "interruptions": timings.interruptions(log),
        "handover_offers": sum(r.event.type == "HandoverOffered" for r in log),
        "final_state": last.event.state,
        "censored_at": "" if "ended_at" in found else iso(writing.cut),
    }
    return row


def _who(log: Sequence[e.Recorded], found: timings.Moments, writing: Writing) -> dict[str, Any]:
    alias, first = writing.alias, log[0]
    victim, suspect = (_of(found, "received_at", name) for name in ("victim_id", "suspect_id"))
    return {
        "case": _case(alias, first),
        "force": first.force,
        "victim": alias("victim", victim),
        "suspect": alias("suspect", suspect),
        "pair": alias("pair", f"{victim}|{suspect}") if victim and suspect else "",
        "officer": alias("staff", _of(found, "_officer", "officer")),
        "workflow": writing.code(_of(found, "received_at", "workflow")),
        "workflow_version": _version(log),
        **_details(log, writing),
    }


def _version(log: Sequence[e.Recorded]) -> str:
    return next((r.event.definition for r in reversed(log) if r.event.definition), "")


def _case(alias: Alias, recorded: e.Recorded) -> str:
    return alias("case", recorded.stream.removeprefix("case/"))


def _of(found: timings.Moments, milestone: str, name: str) -> Any:
    """A field of that milestone's event; empty when it did not happen or has no such field."""
    return getattr(found[milestone].event.fact, name, "") if milestone in found else ""


def _details(log: Sequence[e.Recorded], writing: Writing) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for recorded in log:
        if isinstance(recorded.event.fact, e.CaseOpened | e.DetailsRecorded):
            coded = writing.coded.get(recorded.event.definition, frozenset())
            answers |= {k: v for k, v in recorded.event.fact.details.items() if k in coded}
    return {column: writing.code(answers.get(name, "")) for column, name in codebook.CASE_DETAILS.items()}


def _what(found: timings.Moments, writing: Writing) -> dict[str, Any]:
    eligible = _of(found, "_eligibility", "eligible")
    answered = found.get("call_answered_at")
    values = {
        "call_answered_source": answered.event.stated_source if answered else "",
        "eligible": eligible,
        "consented": True if "_consent" in found else (False if "_refusal" in found else ""),
        "desk_capacity_at_offer": _of(found, "_capacity", "free"),
        "first_contact_mode": _of(found, "first_contact_at", "mode"),
        "risk_tool": _of(found, "risk_assessed_at", "tool"),
        "risk_level_first": _of(found, "risk_assessed_at", "risk_level"),
        "risk_level_last": _of(found, "_risk", "risk_level") or _of(found, "_risk", "after"),
        "grade": _of(found, "_risk", "risk_level") or _of(found, "_risk", "after"),
        "response_grade_first": _of(found, "deployment_requested_at", "response_grade"),
        "response_grade_last": _of(found, "_deployment", "response_grade"),
        "arrival_source": _of(found, "attended_at", "arrival_source"),
        "decision": {"CaseAllocated": "allocated", "CaseFiled": "filed"}.get(_type(found, "decided_at"), ""),
        "allocated_to": _of(found, "decided_at", "team"),
        "outcome_code": _of(found, "_outcome", "outcome_code"),
    }
    because = ";".join(writing.code(name) for name in _of(found, "_eligibility", "because"))
    return {name: writing.code(value) for name, value in values.items()} | {"ineligible_because": because}


def _type(found: timings.Moments, milestone: str) -> str:
    return found[milestone].event.type if milestone in found else ""


def event_row(recorded: e.Recorded, writing: Writing) -> dict[str, Any]:
    """The row of events.csv."""
    event, alias = recorded.event, writing.alias
    return {
        "case": _case(alias, recorded),
        "version": recorded.version,
        "type": event.type,
        "at": iso(event.at.at),
        "recorded_at": iso(recorded.recorded_at),
        "stated_at": iso(parse_iso(event.stated_at)) if event.stated_at else "",
        "stated_source": writing.code(event.stated_source),
        "by_role": event.by_role,
        "by": alias.person(event.by),
        "workflow_version": event.definition,
        "state": event.state,
        "clock_error_us": event.at.error_us,
        "clocks_started": ";".join(f"{c.clock}:{c.run}:{c.target_s}" for c in event.clocks if c.change == "started"),
        "clocks_stopped": ";".join(f"{c.clock}:{c.run}:{c.verdict}" for c in event.clocks if c.change == "stopped"),
        "desk_on_duty": event.basis.get("on_duty"),
        "desk_free": event.basis.get("free"),
        **_fields(event, writing),
    }


def _fields(event: e.Event, writing: Writing) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in _public_names(type(event.fact)):
        value = getattr(event.fact, name)
        if name in codebook.ID_FIELDS:
            told[name] = writing.alias(codebook.ID_FIELDS[name], value)
        elif isinstance(value, Mapping):
            known = writing.coded.get(event.definition, frozenset()) if name == "details" else None
            told[name] = json.dumps(writing.codes(value, known), sort_keys=True, separators=(",", ":"))
        elif isinstance(value, tuple):
            told[name] = ";".join(str(writing.code(item)) for item in value)
        else:
            told[name] = writing.code(value)
    return told


_NAMES: dict[type[e.Fact], tuple[str, ...]] = {}


def _public_names(kind: type[e.Fact]) -> tuple[str, ...]:
    if kind not in _NAMES:
        _NAMES[kind] = tuple(f.name for f in codebook.public_fields(kind))
    return _NAMES[kind]


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


# --- Files -------------------------------------------------------------------------------------------------------


def _build(store: Store, folder: Path, alias: Alias, window: Window) -> Writing:
    """Writes every file of the package into an empty folder."""
    stored = {r.stream.removeprefix("definition/"): r.event.fact for r in _definitions(store, window)}
    definitions = {key: fact for key, fact in stored.items() if isinstance(fact, e.DefinitionStored)}
    writing = Writing(alias, definitions, window.cut or datetime.min.replace(tzinfo=UTC))
    (folder / "data").mkdir()
    _write_data(store, folder, window, writing)
    _write_rows(folder, codebook.CODEBOOK_TABLE, codebook.codebook_rows())
    used = {version: definitions[version] for version in sorted(writing.used & set(definitions))}
    for version, definition in used.items():
        _write_definition(folder / "definitions" / version, definition)
    _write_text(folder / README, codebook.readme(used, writing.withheld))
    _write_text(
        folder / DATAPACKAGE, json.dumps(_describe(folder, window, writing), indent=1, ensure_ascii=False) + "\n"
    )
    _write_text(folder / MANIFEST, "".join(f"{_digest(folder / name)}  {name}\n" for name in _files(folder)))
    return writing


def _definitions(store: Store, window: Window) -> Iterator[e.Recorded]:
    return store.iterate(kind="definition/", until=window.until)


def _write_data(store: Store, folder: Path, window: Window, writing: Writing) -> None:
    with ExitStack() as opened:
        cases, events, clocks = (
            _rows_into(opened, folder, table)
            for table in (codebook.CASES_TABLE, codebook.EVENTS_TABLE, codebook.CLOCKS_TABLE)
        )
        for _, streamed in groupby(store.iterate(until=window.until), key=lambda r: r.stream):
            log = window.of(streamed)
            if log:
                _write_case(log, writing, cases, events, clocks)


Put = Callable[[Mapping[str, Any]], None]


def _write_case(log: list[e.Recorded], writing: Writing, cases: Put, events: Put, clocks: Put) -> None:
    runs = timings.clock_runs(log)
    cases(case_row(log, writing))
    for recorded in log:
        writing.used.add(recorded.event.definition)
        events(event_row(recorded, writing))
    for run in runs:
        clocks({"case": _case(writing.alias, log[0]), **timings.clock_columns(run)})
    writing.cases += 1
    writing.events += len(log)
    writing.clocks += len(runs)


def _rows_into(opened: ExitStack, folder: Path, table: codebook.Table) -> Put:
    """Opens the table's file with its head line; gives the way to put a row into it, by column name."""
    names = table.names
    place = {name: number for number, name in enumerate(names)}
    rows = csv.writer(opened.enter_context(_new(folder / table.path)), lineterminator="\n")
    rows.writerow(names)

    def put(row: Mapping[str, Any]) -> None:
        cells: list[Any] = [""] * len(names)
        for name, value in row.items():
            cells[place[name]] = _cell(value)
        rows.writerow(cells)

    return put


def _write_rows(folder: Path, table: codebook.Table, rows: Iterable[Sequence[Any]]) -> None:
    with _new(folder / table.path) as out:
        csv.writer(out, lineterminator="\n").writerows([table.names, *rows])


def _new(path: Path) -> IO[str]:
    return path.open("x", encoding="utf-8", newline="")


def _write_text(path: Path, text: str) -> None:
    with _new(path) as out:
        out.write(text)


def _write_definition(folder: Path, definition: e.DefinitionStored) -> None:
    for name, text in sorted(definition.files.items()):
        if not re.fullmatch(r"[a-z0-9_-]+(/[a-z0-9_-]+)*\.toml", name):
            raise CannotExport(f"a stored definition has a file named {name!r}")
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_text(file, text)


def _describe(folder: Path, window: Window, writing: Writing) -> dict[str, Any]:
    """datapackage.json, with where the data come from."""
    return {
        "$schema": codebook.PROFILE + "datapackage.json",
        "name": "rvr-evaluation",
        "title": "Rapid Video Response: timings of Domestic Abuse cases",
        "description": "Pseudonymised personal data. Read README.md first.",
        "resources": [
            codebook.resource(table, _digest(folder / table.path), (folder / table.path).stat().st_size)
            for table in codebook.TABLES
        ],
        "provenance": {
            "format": FORMAT,
            "project": writing.alias.project,
            "from": iso(window.start) if window.start else "",
            "to": iso(window.end) if window.end else "",
            "data_cut": iso(window.cut) if window.cut else "",
            "cases": writing.cases,
            "events": writing.events,
            "clocks": writing.clocks,
            "withheld_texts": writing.withheld,
            "workflow_versions": sorted(writing.used & set(writing.definitions)),
        },
    }


def _files(folder: Path) -> list[str]:
    """Every file of the package, by its path in it; without what is still being written beside them."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if path.parts[0] != _PARTIAL)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- Where it goes -----------------------------------------------------------------------------------------------


def _check_folder(out: Path) -> None:
    """Raises CannotExport for a folder that holds anything but an earlier export."""
    if not out.exists():
        return
    if not out.is_dir():
        raise CannotExport(f"{out} is a file; name a folder, or a file that ends in .zip")
    foreign = set(_files(out)) - {MANIFEST} - _listed(out)
    if foreign:
        raise CannotExport(f"{out} is not empty and no earlier export ({sorted(foreign)[0]}): name another folder")


def _listed(out: Path) -> set[str]:
    """The files that an earlier export wrote here."""
    try:
        ours = json.loads((out / DATAPACKAGE).read_text())["provenance"]["format"]
        lines = (out / MANIFEST).read_text().splitlines()
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {line[66:] for line in lines} if str(ours).startswith("rvr-evaluation/") else set()


def _check_zip(out: Path) -> None:
    """Raises CannotExport for a file that is no earlier export. An empty one is a place that was reserved."""
    if not out.exists() or (out.is_file() and out.stat().st_size == 0):
        return
    try:
        with zipfile.ZipFile(out) as archive:
            if str(json.loads(archive.read(DATAPACKAGE))["provenance"]["format"]).startswith("rvr-evaluation/"):
                return
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        pass
    raise CannotExport(f"{out} exists and is no earlier export: name another file")


def _to_folder(store: Store, out: Path, alias: Alias, window: Window) -> Summary:
    """Builds beside what is there, then takes its place: a fault on the way leaves the earlier export whole."""
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = out / _PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    try:
        writing = _build(store, partial, alias, window)
        for old in [path for path in out.iterdir() if path != partial]:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in list(partial.iterdir()):
            new.rename(out / new.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return _summary(out, writing, window)


def _to_zip(store: Store, out: Path, alias: Alias, window: Window) -> Summary:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".rvr-export-", dir=out.parent) as scratch:
        folder, archive = Path(scratch) / "package", Path(scratch) / "package.zip"
        folder.mkdir()
        writing = _build(store, folder, alias, window)
        with _private(archive) as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as pack:
            for name in _files(folder):
                _zip_file(pack, folder, name)
        archive.replace(out)
    return _summary(out, writing, window)


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b")


def _zip_file(pack: zipfile.ZipFile, folder: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, _ZIP_TIME)
    entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o600 << 16, 3
    with (folder / name).open("rb") as source, pack.open(entry, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target)


def _summary(out: Path, writing: Writing, window: Window) -> Summary:
    return Summary(
        out, writing.cases, writing.events, writing.clocks, writing.withheld, window.cut, writing.alias.project
    )
