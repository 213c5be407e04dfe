"""SPSS and Stata: sav/<table>.sav and dta/<table>.dta, with the meaning of each column and of each code as labels.

Codes and truths are labelled whole numbers: neither program labels longer texts. Times are UTC to the millisecond,
which is what a double holds there; the CSV files have the microseconds. A whole table is in memory while it is written.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rvr.core.moment import parse_iso
from rvr.evaluation.codebook import WITHHELD
from rvr.evaluation.columns import Column
from rvr.evaluation.formats import Written, known
from rvr.evaluation.pseudonyms import CannotExport
from rvr.evaluation.scripts import SPSS_LABEL, STATA_LABEL, STATA_NAME, label, spss_name

TRUTHS = {0: "false", 1: "true"}
WITHHELD_CODE = 0
"""Of a code that did not leave: the others count from 1."""

_DATED = re.compile(rb"<timestamp>\x11[0-9A-Za-z :]{17}</timestamp>")
_SAV_DATE = 92
"""Where a .sav file tells the day (9 bytes) and the time (8) at which it was written: the same rows, the same bytes."""


def write_sav(written: Written) -> None:
    """Writes every table for SPSS. Raises CannotExport without pyreadstat."""
    _write(written, "sav", spss_name, SPSS_LABEL, _sav)


def write_dta(written: Written) -> None:
    """Writes every table for Stata. Raises CannotExport without pyreadstat."""
    _write(written, "dta", stata_name, STATA_LABEL, _dta)


def stata_name(column: Column) -> str:
    """What the column is called there. The set of its labels has the same name, and may be shorter by one."""
    return column.name[: STATA_NAME - bool(value_labels(column))]


Save = Callable[[Any, Any, Path, Mapping[str, Any]], None]


def _write(written: Written, kind: str, name_of: Callable[[Column], str], longest: int, save: Save) -> None:
    try:
        pandas, library = importlib.import_module("pandas"), importlib.import_module("pyreadstat")
    except ImportError:
        raise CannotExport(
            f"{kind} needs the packages pyreadstat (1.3 or newer) and pandas: pip install 'rvr[stats]'"
        ) from None
    (written.folder / kind).mkdir()
    for table in written.tables:
        rows, columns = list(written.rows(table)), [(name_of(column), column) for column in table.columns]
        frame = pandas.DataFrame({name: _values(pandas, column, rows) for name, column in columns})
        labels = {
            "column_labels": {name: label(column)[:longest].rstrip() for name, column in columns},
            "variable_value_labels": {name: told for name, column in columns if (told := value_labels(column))},
        }
        save(library, frame, written.folder / kind / f"{table.name}.{kind}", labels)


def value_labels(column: Column) -> dict[int, str]:
    """What each number of this column stands for; empty for one that is no code."""
    if column.type == "boolean":
        return TRUTHS
    if column.type == "string" and column.enum:
        return {WITHHELD_CODE: WITHHELD} | dict(enumerate(column.enum, WITHHELD_CODE + 1))
    return {}


def _values(pandas: Any, column: Column, rows: Sequence[Mapping[str, str]]) -> Any:
    cells = [row[column.name] for row in rows]
    if codes := {text: float(number) for number, text in value_labels(column).items()}:
        return pandas.Series([codes.get(text) for text in cells], dtype="float64")
    match column.type:
        case "integer" | "number":
            return pandas.Series([float(text) if known(column, text) else None for text in cells], dtype="float64")
        case "datetime" | "date":
            read = _to_the_millisecond if column.type == "datetime" else datetime.fromisoformat
            times = [read(text) if known(column, text) else None for text in cells]
            return pandas.Series(times, dtype="datetime64[ms]")
    return pandas.Series(cells, dtype="object")


def _to_the_millisecond(text: str) -> Any:
    """Cut, not rounded: a time is never told before it was."""
    at = parse_iso(text).replace(tzinfo=None)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


# --- The files -----------------------------------------------------------------------------------------------------


def _sav(library: Any, frame: Any, path: Path, labels: Mapping[str, Any]) -> None:
    times = {name: "DATETIME23.3" for name in frame.columns if frame[name].dtype.kind == "M"}
    library.write_sav(frame, path, row_compress=True, variable_format=times, **labels)
    with path.open("r+b") as file:
        file.seek(_SAV_DATE)
        file.write(b"01 Jan 8000:00:00")


def _dta(library: Any, frame: Any, path: Path, labels: Mapping[str, Any]) -> None:
    library.write_dta(frame, path, **labels)
    content = path.read_bytes()
    path.write_bytes(_DATED.sub(b"<timestamp>\x1101 Jan 1980 00:00</timestamp>", content, count=1))
