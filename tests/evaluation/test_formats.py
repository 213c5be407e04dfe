"""The other formats of a package say what its CSV files say, and are the same twice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree

import pyreadstat
import pytest
from jsonschema import Draft202012Validator
from pyarrow import parquet

from rvr.core.errors import Refused
from rvr.evaluation import codebook, scripts
from rvr.evaluation.columns import Column
from rvr.evaluation.formats import FORMATS, Written, labelled, writers
from rvr.evaluation.formats.parquet import _READ
from rvr.evaluation.pseudonyms import CannotExport
from tests.evaluation.conftest import Week
from tests.evaluation.days import SECRETS
from tests.evaluation.reading import everything, table

XES = "{http://www.xes-standard.org/}"


@pytest.fixture(scope="module")
def full(week: Week, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("full") / "package"
    week.exports(out, also=FORMATS)
    return out


def test_every_format_that_can_be_named_has_its_writer() -> None:
    assert tuple(writers()) == FORMATS


def test_the_same_log_gives_the_same_bytes_in_every_format_and_the_same_tables_as_without(
    week: Week, full: Path, package: Path, tmp_path: Path
) -> None:
    week.exports(tmp_path / "again", also=tuple(reversed(FORMATS)))
    files = everything(full)
    assert everything(tmp_path / "again") == files
    assert {name: text for name, text in files.items() if name.startswith("data/")} == {
        name: text for name, text in everything(package).items() if name.startswith("data/")
    }
    assert [name for name, text in files.items() if any(secret.encode() in text for secret in SECRETS)] == []
    assert not [name for name in files if name.endswith((".objects", ".order", ".ordered"))]


# --- Parquet -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("described", codebook.DATA_TABLES, ids=lambda table: table.name)
def test_parquet_holds_the_rows_of_the_csv_file_with_their_types(full: Path, described: codebook.Table) -> None:
    read = parquet.read_table(full / "parquet" / f"{described.name}.parquet")
    assert read.column_names == list(described.names)
    told = read.to_pylist()
    rows = table(full, described.name)
    assert len(told) == len(rows)
    for one, row in zip(told, rows, strict=True):
        assert one == {column.name: _typed(column, row[column.name]) for column in described.columns}
    meanings = {field.name: field.metadata[b"description"].decode() for field in read.schema}
    assert meanings == {column.name: column.meaning for column in described.columns}


def _typed(column: Column, text: str) -> Any:
    lost = text == "" or (text == codebook.WITHHELD and column.type != "string")
    return None if lost else _READ[column.type](text)


def test_relative_times_are_numbers_in_parquet_and_spss(week: Week, tmp_path: Path) -> None:
    week.exports(tmp_path / "relative", also=["parquet", "ocel", "xes", "sav"], times="relative")
    read = parquet.read_table(tmp_path / "relative" / "parquet" / "cases.parquet")
    assert str(read.schema.field("received_at").type) == "double"
    assert set(read.column("received_at").to_pylist()) == {0.0}
    assert set(pyreadstat.read_sav(tmp_path / "relative" / "sav" / "cases.sav")[0]["received_at"]) == {0.0}
    log = json.loads((tmp_path / "relative" / "eventlog" / "ocel2.json").read_text())
    assert {event["time"][:4] for event in log["events"]} == {"1970"}


# --- SPSS and Stata ------------------------------------------------------------------------------------------------

READERS = {"sav": pyreadstat.read_sav, "dta": pyreadstat.read_dta}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("described", codebook.DATA_TABLES, ids=lambda table: table.name)
def test_spss_and_stata_read_the_rows_of_the_csv_file_with_labels(
    full: Path, kind: str, described: codebook.Table
) -> None:
    frame, meta = READERS[kind](full / kind / f"{described.name}.{kind}")
    rows, names = table(full, described.name), list(frame.columns)
    assert (len(frame), len(set(names))) == (len(rows), len(described.columns))
    longest = {"sav": scripts.SPSS_LABEL, "dta": scripts.STATA_LABEL}[kind]
    labels = {column.name: scripts.label(column)[:longest].rstrip() for column in described.columns}
    assert list(meta.column_names_to_labels.values()) == list(labels.values())
    for name, column in zip(names, described.columns, strict=True):
        codes = labelled.value_labels(column)
        assert meta.variable_value_labels.get(name, {}) == codes, name
        for value, row in zip(frame[name], rows, strict=True):
            assert _read_back(column, value, codes) == _as_a_double_tells(column, row[column.name]), name


def _read_back(column: Column, value: Any, codes: dict[int, str]) -> Any:
    if value is None or value != value or value == "":
        return None
    if codes:
        return codes[int(value)]
    if column.type == "datetime" and not isinstance(value, str):
        return value.round("ms").to_pydatetime().replace(tzinfo=UTC)
    if column.type == "date":
        return value.date()
    return value


def _as_a_double_tells(column: Column, text: str) -> Any:
    told = text if column.enum else _typed(column, text)
    if isinstance(told, datetime):
        return told.replace(microsecond=told.microsecond // 1000 * 1000)
    if isinstance(told, bool):
        return text
    return told or None if isinstance(told, str) else told


def test_no_name_is_too_long_for_stata_or_a_word_of_spss() -> None:
    for described in codebook.DATA_TABLES:
        short = [labelled.stata_name(column) for column in described.columns]
        assert len(set(short)) == len(short), described.name


def test_without_the_library_it_is_said_which_one_is_missing(
    week: Week, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    with pytest.raises(CannotExport, match=r"rvr\[stats\]"):
        week.exports(tmp_path / "package", also=["sav"])


@pytest.mark.parametrize("kind", ["sav", "dta"])
def test_more_events_than_a_serving_process_has_room_for_are_refused_before_anything_is_made(
    week: Week, full: Path, tmp_path: Path, kind: str
) -> None:
    events = len(table(full, "events"))
    with pytest.raises(Refused) as refused:
        week.exports(tmp_path / "package", also=["parquet", kind], most=events - 1)
    (reason,) = refused.value.reasons
    told = {"formats": kind, "events": events, "most": events - 1}
    assert (reason.code, reason.params) == ("export-too-large", told)
    assert not (tmp_path / "package").exists()
    week.exports(tmp_path / "package", also=[kind], most=events)
    week.exports(tmp_path / "others", also=["ocel", "parquet", "xes"], most=0)


def test_a_table_takes_eight_bytes_a_cell_and_not_its_rows_as_texts(full: Path, tmp_path: Path) -> None:
    """What is held of 20,000 events while a file is written: `bench export` has the whole process."""
    described = next(one for one in codebook.DATA_TABLES if one.name == "events")
    (tmp_path / "data").mkdir()
    head, *lines = (full / described.path).read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / described.path).write_text("".join((head, *islice(cycle(lines), 20_000))), encoding="utf-8")
    tracemalloc.start()
    try:
        labelled.write_dta(Written(tmp_path, (described,), relative=False))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 20_000 * len(described.columns) * 8 * 1.5
    assert len(pyreadstat.read_dta(tmp_path / "dta" / "events.dta")[0]) == 20_000


# --- Event logs --------------------------------------------------------------------------------------------------

_NAMED = {"type": "object", "required": ["name", "attributes"], "additionalProperties": False}
_ATTRIBUTES = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "type"],
        "properties": {"type": {"enum": ["string", "time", "integer", "float", "boolean"]}},
    },
}
_RELATED = {
    "type": "array",
    "items": {"type": "object", "required": ["objectId", "qualifier"], "additionalProperties": {"type": "string"}},
}
OCEL = {
    "type": "object",
    "required": ["objectTypes", "eventTypes", "objects", "events"],
    "additionalProperties": False,
    "properties": {
        "objectTypes": {"items": {**_NAMED, "properties": {"name": {"type": "string"}, "attributes": _ATTRIBUTES}}},
        "eventTypes": {"items": {**_NAMED, "properties": {"name": {"type": "string"}, "attributes": _ATTRIBUTES}}},
        "objects": {"items": {"required": ["id", "type"], "properties": {"relationships": _RELATED}}},
        "events": {"items": {"required": ["id", "type", "time"], "properties": {"relationships": _RELATED}}},
    },
}
"""The shape of OCEL 2.0 JSON (ocel-standard.org, 7.2)."""


def test_the_object_centric_log_has_every_event_and_names_no_object_that_is_not_there(full: Path) -> None:
    log = json.loads((full / "eventlog" / "ocel2.json").read_text())
    Draft202012Validator(OCEL).validate(log)
    rows = table(full, "events")
    assert [(one["type"], one["time"]) for one in log["events"]] == [(row["type"], row["at"]) for row in rows]
    objects = [one["id"] for one in log["objects"]]
    assert len(set(objects)) == len(objects)
    related = [tie["objectId"] for one in (*log["events"], *log["objects"]) for tie in one["relationships"]]
    assert set(related) <= set(objects)
    types = Counter(one["type"] for one in log["objects"])
    assert types["case"] == len(table(full, "cases"))
    assert types["victim"] == len({row["victim"] for row in table(full, "cases")} | _named(rows, "victim_id"))
    for one in (*log["events"], *log["objects"]):
        known = next(kind for kind in (*log["eventTypes"], *log["objectTypes"]) if kind["name"] == one["type"])
        assert {told["name"] for told in one["attributes"]} <= {told["name"] for told in known["attributes"]}


def _named(rows: list[dict[str, str]], column: str) -> set[str]:
    return {row[column] for row in rows if row[column]} | {
        row["person"] for row in rows if row["type"] in ("PersonMatched", "PersonDiffers") and row["role"] == "victim"
    }


def test_an_event_belongs_to_its_case_and_to_whom_it_is_about(full: Path) -> None:
    log = json.loads((full / "eventlog" / "ocel2.json").read_text())
    assigned = next(one for one in log["events"] if one["type"] == "OfficerAssigned" and len(one["relationships"]) > 2)
    assert [tie["qualifier"] for tie in assigned["relationships"]] == ["case", "by", "officer"]
    types = {one["id"]: one["type"] for one in log["objects"]}
    assert [types[tie["objectId"]] for tie in assigned["relationships"]] == ["case", "staff", "staff"]


def test_the_flat_log_has_a_trace_a_case_and_its_events_in_their_order(full: Path) -> None:
    root = Tree.parse(full / "eventlog" / "log.xes").getroot()  # noqa: S314 - our own file
    traces = root.findall(f"{XES}trace")

    def told(node: Tree.Element, key: str) -> str:
        return next(one.attrib["value"] for one in node if one.attrib.get("key") == key)

    read = [
        (
            told(trace, "concept:name"),
            told(event, "version"),
            told(event, "concept:name"),
            told(event, "time:timestamp"),
        )
        for trace in traces
        for event in trace.findall(f"{XES}event")
    ]
    assert read == [(row["case"], row["version"], row["type"], row["at"]) for row in table(full, "events")]


# --- Scripts -----------------------------------------------------------------------------------------------------


def test_the_python_script_reads_every_table_with_its_types(package: Path, tmp_path: Path) -> None:
    run = [sys.executable, "-I", str(package / "scripts" / "load.py")]
    told = subprocess.run(run, capture_output=True, text=True, check=True, env={}, cwd=tmp_path).stdout
    assert told.splitlines() == [
        f"{one.name}: {len(table(package, one.name))} rows, {len(one.columns)} columns" for one in codebook.DATA_TABLES
    ]


def test_statas_short_names_stay_apart() -> None:
    for described in codebook.DATA_TABLES:
        names = [column.name[: scripts.STATA_NAME] for column in described.columns]
        names += [f"{name[: scripts.STATA_NAME - 2]}_t" for name in names]
        assert len({name for name in names if not name.endswith("_t")}) == len(described.columns), described.name


def test_no_variable_is_called_by_a_word_of_spss(package: Path) -> None:
    """Found by running it: `by` is one, and reading stopped there."""
    named = re.findall(r"^  (\w+) [AFS]", (package / "scripts" / "load.sps").read_text(), re.MULTILINE)
    assert "by_" in named
    assert not {"by", "to", "with", "all", "not"} & set(named)


def test_every_column_is_named_in_every_script(package: Path) -> None:
    for name in ("load.R", "load.sps", "load.do"):
        text = (package / "scripts" / name).read_text()
        missing = [
            column.name
            for described in codebook.DATA_TABLES
            for column in described.columns
            if column.name[: scripts.STATA_NAME] not in text
        ]
        assert missing == [], name
