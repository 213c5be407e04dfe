"""SPSS and Stata: sav/<table>.sav and dta/<table>.dta, with the meaning of each column and of each code as labels.

Codes and truths are labelled whole numbers: neither program labels longer texts. Times are UTC to the millisecond,
which is what a double holds there; the CSV files have the microseconds. A whole table is in memory while it is written,
column by column: eight bytes a cell, and each text once.
"""

from __future__ import annotations

import importlib
import re
from array import array
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import nan
from pathlib import Path
from typing import Any, NamedTuple

from rvr.core.moment import parse_iso
from rvr.evaluation.codebook import WITHHELD, Table
from rvr.evaluation.columns import Column
from rvr.evaluation.formats import Written, known
from rvr.evaluation.pseudonyms import CannotExport
from rvr.evaluation.scripts import SPSS_LABEL, STATA_LABEL, STATA_NAME, label, spss_name

TIMES = ("datetime", "date")
"""Types of columns that are a time there."""

TRUTHS = {0: "false", 1: "true"}
WITHHELD_CODE = 0
"""Of a code that did not leave: the others count from 1."""

_MS = timedelta(milliseconds=1)
_SPSS_DAY_0, _STATA_DAY_0 = datetime(1582, 10, 14, tzinfo=UTC), datetime(1960, 1, 1, tzinfo=UTC)
_SPSS_TIME, _STATA_TIME = "DATETIME23.3", "%tc"
"""How a number is shown as a time: there it is seconds, here milliseconds after day 0."""

_DTA_HEAD = 1_000
"""Bytes at the beginning of a .dta file within which the day stands: after its sizes and its name, which is empty."""
_DATED = re.compile(rb"<timestamp>\x11[0-9A-Za-z :]{17}</timestamp>")
_SAV_DATE = 92
"""Where a .sav file tells the day (9 bytes) and the time (8) at which it was written: the same rows, the same bytes."""


def write_sav(written: Written) -> None:
    """Writes every table for SPSS. Raises CannotExport without pyreadstat."""
    _write(written, _Program("sav", spss_name, SPSS_LABEL, _SPSS_TIME, _spss_time, _sav))


def write_dta(written: Written) -> None:
    """Writes every table for Stata. Raises CannotExport without pyreadstat."""
    _write(written, _Program("dta", stata_name, STATA_LABEL, _STATA_TIME, _stata_time, _dta))


def stata_name(column: Column) -> str:
    """What the column is called there. The set of its labels has the same name, and may be shorter by one."""
    return column.name[: STATA_NAME - bool(value_labels(column))]


class _Program(NamedTuple):
    """What one of the two needs."""

    kind: str
    name_of: Callable[[Column], str]
    longest: int
    """Of a column's label, in characters."""
    time_format: str
    time: Callable[[datetime], float]
    """A time as its number."""
    save: Callable[[Any, Any, Path, Mapping[str, Any]], None]


def _write(written: Written, program: _Program) -> None:
    kind = program.kind
    try:
        numpy, pandas, library = map(importlib.import_module, ("numpy", "pandas", "pyreadstat"))
    except ImportError:
        raise CannotExport(
            f"{kind} needs the packages pyreadstat (1.3 or newer) and pandas: pip install 'rvr[stats]'"
        ) from None
    (written.folder / kind).mkdir()
    for table in written.tables:
        columns = [(program.name_of(column), column) for column in table.columns]
        frame = pandas.DataFrame(_columns(numpy, written, table, program), copy=False)
        told = {
            "column_labels": {name: label(column)[: program.longest].rstrip() for name, column in columns},
            "variable_value_labels": {name: told for name, column in columns if (told := value_labels(column))},
            "variable_format": {name: program.time_format for name, column in columns if column.type in TIMES},
        }
        program.save(library, frame, written.folder / kind / f"{table.name}.{kind}", told)


def value_labels(column: Column) -> dict[int, str]:
    """What each number of this column stands for; empty for one that is no code."""
    if column.type == "boolean":
        return TRUTHS
    if column.type == "string" and column.enum:
        return {WITHHELD_CODE: WITHHELD} | dict(enumerate(column.enum, WITHHELD_CODE + 1))
    return {}


def _columns(numpy: Any, written: Written, table: Table, program: _Program) -> dict[str, Any]:
    """The table's columns by their names there, from its rows one after the other. Times are numbers here already:
    pyreadstat would copy the whole table to make them so.
    """
    seen: dict[str, str] = {}
    reading = [(column.name, *_cells(column, program, seen)) for column in table.columns]
    for row in written.rows(table):
        for name, cells, read in reading:
            cells.append(read(row[name]))
    made = {}
    for column in table.columns:
        _, cells, _ = reading.pop(0)  # a list goes when its column is made
        made[program.name_of(column)] = numpy.asarray(cells, dtype="float64" if isinstance(cells, array) else "object")
    return made


def _cells(
    column: Column, program: _Program, seen: dict[str, str]
) -> tuple[array[float] | list[str], Callable[[str], Any]]:
    """Where the cells of this column are put, and how one is read. `seen`: every text of the table, once."""
    if codes := {text: float(number) for number, text in value_labels(column).items()}:
        return array("d"), lambda text: codes.get(text, nan)
    if column.type in ("integer", "number"):
        return array("d"), lambda text: float(text) if known(column, text) else nan
    if column.type in TIMES:
        return array("d"), lambda text: program.time(_time(text)) if known(column, text) else nan
    return [], lambda text: seen.setdefault(text, text)


def _time(text: str) -> datetime:
    """A time, or the beginning of a day."""
    return parse_iso(text) if "T" in text else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _spss_time(at: datetime) -> float:
    """Cut, not rounded: a time is never told before it was."""
    return (at - _SPSS_DAY_0) // _MS / 1_000


def _stata_time(at: datetime) -> float:
    """Cut likewise."""
    return float((at - _STATA_DAY_0) // _MS)


# --- The files -----------------------------------------------------------------------------------------------------


def _sav(library: Any, frame: Any, path: Path, told: Mapping[str, Any]) -> None:
    library.write_sav(frame, path, row_compress=True, **told)
    with path.open("r+b") as file:
        file.seek(_SAV_DATE)
        file.write(b"01 Jan 8000:00:00")


def _dta(library: Any, frame: Any, path: Path, told: Mapping[str, Any]) -> None:
    library.write_dta(frame, path, **told)
    with path.open("r+b") as file:
        head = file.read(_DTA_HEAD)
        file.seek(0)
        file.write(_DATED.sub(b"<timestamp>\x1101 Jan 1980 00:00</timestamp>", head, count=1))
