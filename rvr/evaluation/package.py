"""The evaluator's data package: a folder or one zip file, made from the public part of the timing log alone.

Same log, window and project key, same bytes. Rows are written as cases are read: nothing of a case is kept for the next
ones but when its victim reported. Ids leave as pseudonyms under a key of the project's own, times as they were
recorded, codes as codes; a sealed field is never read, and a text that is no code is withheld.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

from rvr.core import events as e
from rvr.core.errors import Reason, Refused
from rvr.core.moment import iso
from rvr.core.quality import stream_of
from rvr.evaluation import (
    clock_runs,
    codebook,
    earlier,
    formats,
    gaps,
    milestones,
    pseudonyms,
    report,
    rows,
    scripts,
    sessions,
    stored_text,
    trial_rows,
    verify,
)
from rvr.evaluation.desk_clock import DeskClock
from rvr.evaluation.leaving_times import AS_RECORDED, RELATIVE, LeavingTimes
from rvr.evaluation.proofs import ROWS, Proofs
from rvr.evaluation.pseudonyms import CannotExport
from rvr.evaluation.table_files import Put, by_pseudonym, new_file, rows_into, write_rows
from rvr.evaluation.taking_part import Taking
from rvr.evaluation.trial_runs import Trials, runs
from rvr.evaluation.window import Window, window_of
from rvr.store.checkpoints import Checkpoint, RefusesToSign
from rvr.store.store import Store

FORMAT = "rvr-evaluation/1"
"""Version of the layout: another number means other columns."""

MANIFEST, DATAPACKAGE, README = "MANIFEST.sha256", "datapackage.json", "README.md"
SIGNATURE, CHECKPOINT, VERIFIER = "MANIFEST.sig", "checkpoint.txt", "verify.py"
_PARTIAL = ".partial"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that the format knows; a real time would change the bytes."""


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
class _Plan:
    """What is to be written."""

    window: Window
    head: Checkpoint
    """The earliest signed head of the log that covers every event of the window, and what was before the desk."""
    before: int = 0
    """Position of the last row of an earlier desk's timings; nought: there are none."""
    proofs: bool = False
    times: str = AS_RECORDED
    """One of `leaving_times.WAYS`."""
    formats: tuple[str, ...] = ()
    """Of `formats.FORMATS`, beside CSV."""
    disclosure_k: int = 0
    """Threshold of the tables that may be published; nought: without them."""
    unblinded: bool = False
    """Whether a trial's arms leave by their ids."""


async def export(
    store: Store,
    out: Path,
    *,
    project_key: Path,
    from_: datetime | None = None,
    to: datetime | None = None,
    followed: datetime | None = None,
    proofs: bool = False,
    internal_ids: bool = False,
    times: str = AS_RECORDED,
    also: Sequence[str] = (),
    disclosure_k: int = 0,
    unblinded: bool = False,
    most: int | None = None,
) -> Summary:
    """Writes the package to `out`: a zip file where its name ends in `.zip`, else a folder.

    `followed`: up to when the cases of the window are, without it to its end. `project_key`: the file of the project's
    key, made at first use; it must not lie inside the package. `proofs`: with
    the proof of each row, which needs `internal_ids`, for the ids of the desk are in it. `times`: how they leave, one
    of `leaving_times.WAYS`. `also`: which of `formats.FORMATS` are made of the CSV files, too. `disclosure_k`: the
    threshold of the tables that are added then (`report.csv_tables`). `unblinded`: a trial's arms leave by their ids,
    in place of letters. `most`: of how many events a format of `formats.IN_MEMORY` is made in this process. Raises
    Refused for more of them, and when the window is empty; CannotExport when `out` holds something else than an earlier
    export, for a key file that cannot be used, for proofs without their ids, for changed times with proofs or tables,
    for a format whose library is not there, or when the log's head cannot be signed.
    """
    if disclosure_k and times != AS_RECORDED:
        raise CannotExport("the tables tell months: leave out --times or --disclosure-k")
    window = await window_of(store, from_, to, followed)
    heavy = sorted(set(also) & set(formats.IN_MEMORY))
    if most is not None and heavy and window.events > most:
        raise Refused(Reason("export-too-large", {"formats": ", ".join(heavy), "events": window.events, "most": most}))
    if proofs and not internal_ids:
        raise CannotExport(_DISCLOSES)
    if proofs and times != AS_RECORDED:
        raise CannotExport("proofs show each event with its time as it was recorded: leave out --times or --proofs")
    before = await store.read(lambda session: earlier.last(session, window))
    try:
        head = await store.head_over(max(window.last, before))
    except RefusesToSign as refusal:
        raise CannotExport(f"the log's head cannot be signed: {refusal}", refusal.code) from None
    plan = _Plan(window, head, before, proofs, times, tuple(sorted(set(also))), disclosure_k, unblinded)
    return await asyncio.to_thread(_export, store, out, project_key, plan)


_DISCLOSES = (
    "proofs show the whole public part of each event: the desk's own random ids of cases, people and staff, the spoken"
    " reference, and answers that the rows withhold. Two such packages can be joined. Say --with-internal-ids if the"
    " agreement with the recipient covers that"
)


def _export(store: Store, out: Path, project_key: Path, plan: _Plan) -> Summary:
    zipped = out.suffix == ".zip"
    if not zipped and project_key.resolve().is_relative_to(out.resolve()):
        raise CannotExport(f"the project key {project_key} must not lie inside the export")
    _check_zip(out) if zipped else _check_folder(out)
    alias = pseudonyms.load_project(project_key)
    try:
        return _to_zip(store, out, alias, plan) if zipped else _to_folder(store, out, alias, plan)
    except OSError as error:
        raise CannotExport(f"{out} cannot be written: {error.strerror or error}") from error


# --- Files -------------------------------------------------------------------------------------------------------


def _build(store: Store, folder: Path, alias: pseudonyms.Alias, plan: _Plan) -> rows.Writing:
    """Writes every file of the package into an empty folder."""
    window = plan.window
    definitions = window.definitions(store)
    clock = DeskClock(store.iterate(kind="desk/clock", until=window.last), alias)
    cut = window.cut or datetime.min.replace(tzinfo=UTC)
    writing = rows.Writing(alias, definitions, cut, clock, LeavingTimes(plan.times, alias), plan.unblinded)
    (folder / "data").mkdir()
    _write_data(store, folder, plan, writing)
    _write_text(folder / CHECKPOINT, f"{store.notary.verifier}\n\n{plan.head.note}")
    _write_text(folder / VERIFIER, Path(verify.__file__).read_text(encoding="utf-8"))
    _write_more(folder, plan, writing.times)
    write_rows(folder, codebook.CODEBOOK_TABLE, codebook.codebook_rows(writing.times.column))
    used = {version: definitions[version] for version in sorted(writing.used & set(definitions))}
    for version, definition in used.items():
        _write_definition(folder / "definitions" / version, definition)
    readme = codebook.readme(used, writing.withheld, proofs=plan.proofs, times=plan.times, unblinded=plan.unblinded)
    _write_text(folder / README, readme)
    _write_text(
        folder / DATAPACKAGE, json.dumps(_describe(folder, plan.window, writing), indent=1, ensure_ascii=False) + "\n"
    )
    manifest = "".join(f"{_digest(folder / name)}  {name}\n" for name in _files(folder))
    _write_text(folder / MANIFEST, manifest)
    _write_text(folder / SIGNATURE, store.notary.sign(manifest))
    return writing


def _write_data(store: Store, folder: Path, plan: _Plan, writing: rows.Writing) -> None:
    def measured(session: str) -> Iterator[e.Recorded]:
        return store.iterate(kind=stream_of(session), until=plan.window.last)

    with ExitStack() as opened:
        put = {table.name: rows_into(opened, folder, table, writing.times) for table in codebook.DATA_TABLES}
        prove = _proofs_into(opened, store, folder, plan.head) if plan.proofs else None
        trials = Trials(writing.definitions, runs(store, plan.window.until))
        sums = report.Making(plan.window, writing.definitions, trials, plan.disclosure_k, by="month")
        for log in plan.window.cases(store):
            found = milestones.moments(log)
            _write_case(log, found, writing, trials.taking(log), put, measured)
            if plan.disclosure_k:
                sums.add(log, found)
            if prove:
                prove.put(rows.case_of(writing.alias, log[0]), log)
        if not writing.times.changed:
            _write_of_no_case(store, plan, writing, put)
    if plan.disclosure_k:
        _write_tables(folder, report.csv_tables(sums.report()))
    if writing.times.changed:
        for table in codebook.CASE_TABLES:
            by_pseudonym(folder / table.path)


def _write_of_no_case(store: Store, plan: _Plan, writing: rows.Writing, put: Mapping[str, Put]) -> None:
    for row in writing.clock.rows():
        put["desk_clock"](row)
    for row in earlier.table_rows(store, writing.alias, plan.before):
        put["earlier"](row)


def _write_tables(folder: Path, tables: Mapping[str, report.Table]) -> None:
    (folder / "tables").mkdir()
    for name, (head, lines) in tables.items():
        with new_file(folder / "tables" / f"{name}.csv") as out:
            csv.writer(out, lineterminator="\n").writerows([head, *lines])


def _write_more(folder: Path, plan: _Plan, times: LeavingTimes) -> None:
    """What is made of the CSV files: other formats, and the scripts that read them."""
    tables = tuple(replace(table, columns=tuple(map(times.column, table.columns))) for table in codebook.DATA_TABLES)
    written = formats.Written(folder, tables, times.way == RELATIVE)
    makers = formats.writers() if plan.formats else {}
    for name in plan.formats:
        makers[name](written)
    (folder / "scripts").mkdir()
    for name, text in scripts.scripts(tables):
        _write_text(folder / name, text)


def _proofs_into(opened: ExitStack, store: Store, folder: Path, head: Checkpoint) -> Proofs:
    (folder / ROWS).parent.mkdir()
    return Proofs(store, head, opened.enter_context(new_file(folder / ROWS)))


def _write_case(
    log: list[e.Recorded],
    found: milestones.Moments,
    writing: rows.Writing,
    taking: Taking | None,
    put: Mapping[str, Put],
    measured: sessions.LogOf,
) -> None:
    runs = clock_runs.clock_runs(log)
    case = rows.case_of(writing.alias, log[0])
    writing.times.begin(log, case, rows.people(log)["victim"], writing.cut)
    version = rows.version_of(log)
    row = rows.case_row(log, found, writing) | trial_rows.arms(taking, writing)
    put["cases"](row)
    put["missing"](gaps.missing_row(row, found))
    put["screening"](rows.screening_row(log, found, writing))
    for recorded in log:
        writing.used.add(recorded.event.definition)
        put["events"](rows.event_row(recorded, writing))
    if taking is not None:
        put["trial"](trial_rows.trial_row(log, taking, writing))
    for noted in trial_rows.capacity_rows(log, writing.zones.get(version, ZoneInfo("UTC")), writing):
        put["capacity"](noted)
    for run in runs:
        put["clocks"]({"case": case, **clock_runs.clock_columns(run)})
    for suspect in rows.suspect_rows(log, writing):
        put["suspects"](suspect)
    for outcome in rows.outcome_rows(log, writing):
        put["outcomes"](outcome)
    for answer in rows.feedback_rows(log, writing):
        put["feedback"](answer)
    for session, stretches in sessions.session_rows(log, writing, measured):
        put["sessions"](session)
        for stretch in stretches:
            put["quality"](stretch)
    writing.cases += 1
    writing.events += len(log)
    writing.clocks += len(runs)


def _write_text(path: Path, text: str) -> None:
    with new_file(path) as out:
        out.write(text)


def _write_definition(folder: Path, definition: e.DefinitionStored) -> None:
    for name, text in stored_text.files_that_leave(definition):
        if not re.fullmatch(r"[a-z0-9_-]+(/[a-z0-9_-]+)*\.toml(\.withheld)?", name):
            raise CannotExport(f"a stored definition has a file named {name!r}")
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_text(file, text)


def _describe(folder: Path, window: Window, writing: rows.Writing) -> dict[str, Any]:
    """datapackage.json, with where the data come from."""
    return {
        "$schema": codebook.PROFILE + "datapackage.json",
        "name": "rvr-evaluation",
        "title": "Rapid Video Response: timings of Domestic Abuse cases",
        "description": "Pseudonymised personal data. Read README.md first.",
        "resources": [
            codebook.resource(
                table, writing.times.column, _digest(folder / table.path), (folder / table.path).stat().st_size
            )
            for table in codebook.TABLES
        ],
        "provenance": {
            "format": FORMAT,
            "project": writing.alias.project,
            "times": writing.times.way,
            **_when(window, told=not writing.times.changed),
            "cases": writing.cases,
            "events": writing.events,
            "clocks": writing.clocks,
            "withheld_texts": writing.withheld,
            "workflow_versions": sorted(writing.used & set(writing.definitions)),
        },
    }


def _when(window: Window, *, told: bool) -> dict[str, str]:
    times = {"from": window.start, "to": window.end, "data_cut": window.cut}
    return {name: iso(at) if at and told else "" for name, at in times.items()}


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
    foreign = set(_files(out)) - {MANIFEST, SIGNATURE} - _listed(out)
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


def _to_folder(store: Store, out: Path, alias: pseudonyms.Alias, plan: _Plan) -> Summary:
    """Builds beside what is there, then takes its place: a fault on the way leaves the earlier export whole."""
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = out / _PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    try:
        writing = _build(store, partial, alias, plan)
        for old in [path for path in out.iterdir() if path != partial]:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in list(partial.iterdir()):
            new.rename(out / new.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return _summary(out, writing, plan.window)


def _to_zip(store: Store, out: Path, alias: pseudonyms.Alias, plan: _Plan) -> Summary:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".rvr-export-", dir=out.parent) as scratch:
        folder, archive = Path(scratch) / "package", Path(scratch) / "package.zip"
        folder.mkdir()
        writing = _build(store, folder, alias, plan)
        with _private(archive) as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as pack:
            for name in _files(folder):
                _zip_file(pack, folder, name)
        archive.replace(out)
    return _summary(out, writing, plan.window)


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b")


def _zip_file(pack: zipfile.ZipFile, folder: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, _ZIP_TIME)
    entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o600 << 16, 3
    with (folder / name).open("rb") as source, pack.open(entry, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target)


def _summary(out: Path, writing: rows.Writing, window: Window) -> Summary:
    return Summary(
        out, writing.cases, writing.events, writing.clocks, writing.withheld, window.cut, writing.alias.project
    )
