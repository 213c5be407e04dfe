"""OCEL 2.0 (object-centric event log, JSON): eventlog/ocel2.json, for process mining.

An event belongs to its case and to every person and thing whose pseudonym it names. Objects that are met on the way are
kept in a scratch database on the disk, so that memory stays flat.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from rvr.core import events as e
from rvr.core.moment import iso
from rvr.evaluation import codebook
from rvr.evaluation.codebook import EVENT_TYPES
from rvr.evaluation.columns import Column
from rvr.evaluation.formats import Written, known
from rvr.evaluation.table_files import new_file

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""When an attribute of an object has its first value (OCEL 2.0, 4.2); and the opening, where times are relative."""

CASE_ATTRIBUTES = ("workflow", "lpa", "channel", "response_kind", "final_state")
EVENT_ATTRIBUTES = ("version", "by_role", "state", "recorded_at", "stated_at", "workflow_version")
_TYPES = {"integer": "integer", "number": "float", "boolean": "boolean", "datetime": "time"}
_PEOPLE = frozenset({"bot", "media", "carrier", "victim", "guest", "unknown_browser", ""})
"""Who stands in `by` as a word is no object."""


def write(written: Written) -> None:
    """Writes the event log of the whole package."""
    path = written.folder / "eventlog" / "ocel2.json"
    path.parent.mkdir(exist_ok=True)
    scratch = path.with_suffix(".objects")
    try:
        with closing(sqlite3.connect(scratch)) as objects, new_file(path) as out:
            objects.execute("PRAGMA journal_mode = OFF")
            objects.execute("CREATE TABLE object (id TEXT PRIMARY KEY, type TEXT) WITHOUT ROWID")
            _write(written, objects, out)
    finally:
        scratch.unlink(missing_ok=True)


def _write(written: Written, objects: sqlite3.Connection, out: IO[str]) -> None:
    filled = filled_columns(written)
    described = {
        "objectTypes": [{"name": name, "attributes": attributes} for name, attributes in _object_types(written)],
        "eventTypes": [{"name": kind, "attributes": _described(filled[kind])} for kind in EVENT_TYPES],
    }
    out.write("{" + ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in described.items()))
    out.write(',\n"events": [')
    _listed(out, (_event(row, written, filled[row["type"]], objects) for row in written.rows(written.table("events"))))
    out.write('],\n"objects": [')
    _listed(out, _objects(written, objects))
    out.write("]}\n")


def _listed(out: IO[str], items: Iterable[Mapping[str, Any]]) -> None:
    for number, item in enumerate(items):
        out.write((",\n" if number else "\n") + json.dumps(item, ensure_ascii=False))


def filled_columns(written: Written) -> dict[str, list[Column]]:
    """Type of event -> the columns that tell something of it: those that all have, and its own."""
    described = {column.name: column for column in written.table("events").columns}
    filled = {kind: [described[name] for name in EVENT_ATTRIBUTES] for kind in EVENT_TYPES}
    for columns in codebook.fact_columns():
        for column in columns:
            filled[column.source].append(described[column.name])
    return filled


# --- Events ------------------------------------------------------------------------------------------------------


def _described(columns: Iterable[Column]) -> list[dict[str, str]]:
    return [{"name": column.name, "type": _TYPES.get(column.type, "string")} for column in columns]


def _event(
    row: Mapping[str, str], written: Written, columns: Iterable[Column], objects: sqlite3.Connection
) -> dict[str, Any]:
    related = dict(_related(row, columns))
    objects.executemany(
        "INSERT OR IGNORE INTO object VALUES (?, ?)", [(id_, kind) for (_, id_), kind in related.items()]
    )
    return {
        "id": f"{row['case']}-{row['version']}",
        "type": row["type"],
        "time": time_of(row["at"], relative=written.relative),
        "attributes": [
            {"name": column.name, "value": _value(column, row[column.name])}
            for column in columns
            if known(column, row[column.name])
        ],
        "relationships": [{"objectId": id_, "qualifier": qualifier} for qualifier, id_ in related],
    }


def _related(row: Mapping[str, str], columns: Iterable[Column]) -> Iterator[tuple[tuple[str, str], str]]:
    """((qualifier, id), what it is the id of) of everybody and everything that the event names."""
    yield ("case", row["case"]), "case"
    if row["by"] not in _PEOPLE:
        yield ("by", row["by"]), "staff"
    for column in columns:
        kind = codebook.id_in(e.FACTS[row["type"]], column.name)
        if kind == codebook.ROLE:
            kind = row["role"]
        if kind in _KINDS and row[column.name]:
            yield (column.name, row[column.name]), kind


def time_of(text: str, *, relative: bool) -> str:
    """The moment of an event: formats of event logs know no other times than those of a calendar."""
    return iso(EPOCH + timedelta(seconds=float(text))) if relative else text


def _value(column: Column, text: str) -> Any:
    match column.type:
        case "integer":
            return int(text)
        case "number":
            return float(text)
        case "boolean":
            return text == "true"
    return text


# --- Objects -----------------------------------------------------------------------------------------------------

_KINDS = ("case", "staff", *sorted({*codebook.ID_FIELDS.values(), "victim", "suspect"} - {codebook.ROLE, "staff"}))


def _object_types(written: Written) -> Iterator[tuple[str, list[dict[str, str]]]]:
    for kind in _KINDS:
        attributes = CASE_ATTRIBUTES if kind == "case" else ()
        yield kind, [{"name": name, "type": "string"} for name in attributes]


def _objects(written: Written, objects: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    for row in written.rows(written.table("cases")):
        people = [(row[role], role) for role in ("victim", "suspect") if row[role]]
        objects.executemany("INSERT OR IGNORE INTO object VALUES (?, ?)", people)
        yield {
            "id": row["case"],
            "type": "case",
            "attributes": [
                {"name": name, "time": iso(EPOCH), "value": row[name]} for name in CASE_ATTRIBUTES if row[name]
            ],
            "relationships": [{"objectId": id_, "qualifier": role} for id_, role in people],
        }
    for id_, kind in objects.execute("SELECT id, type FROM object WHERE type <> 'case' ORDER BY type, id"):
        yield {"id": id_, "type": kind, "attributes": [], "relationships": []}
