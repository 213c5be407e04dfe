"""Reads a CSV file as spreadsheets write it: lines with their numbers, cells as text. It knows no fields.

UTF-8 with or without a mark, or UTF-16 with one; comma, semicolon or tab; cells in quotation marks over several lines.
What cannot be read of one line is that line's fault, and the others are read on.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rvr.core.errors import BadInput, Reason

_DELIMITERS = ",;\t"
_DECLARED = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""Excel's own way to say what parts the cells: a line before the first."""
_AS_TEXT = re.compile(r'="(.*)"', re.DOTALL)
"""A number written as a formula, so that its leading nought is kept."""
_GUARDED = re.compile(r"'(?=[=+@-])")
"""Some programs put an apostrophe before what a spreadsheet would take for a formula."""
_NO_TEXT = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as `surrogateescape` leaves them."""


@dataclass(frozen=True, slots=True)
class Line:
    """One record."""

    number: int
    """Where it begins in the file, from 1."""
    cells: tuple[str, ...] = ()
    fault: Reason | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The whole file."""

    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    """Those behind the first, without empty ones."""


def read(file: Path, raw: bytes | None = None) -> Sheet:
    """The file's columns and lines; `raw`: what is in it, where it does not lie on a disk. Raises BadInput for one that
    is no table."""
    text = _text(file, raw)
    declared = _DECLARED.match(text)
    before = 1 if declared else 0
    text = text[declared.end() :] if declared else text
    lines = _lines(text, declared[1] if declared else _delimiter(file, text), before)
    first = next(lines, None)
    if first is None or first.fault is not None:
        fault = first.fault if first is not None else None
        raise BadInput(fault or Reason("import-empty", {"file": file}))
    columns = list(first.cells)
    while not columns[-1]:
        columns.pop()
    return Sheet(tuple(columns), tuple(_within(line, len(columns)) for line in lines))


def _text(file: Path, raw: bytes | None) -> str:
    try:
        raw = file.read_bytes() if raw is None else raw
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return raw.decode("utf-16")
        return raw.decode("utf-8-sig", "surrogateescape")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error.reason
        raise BadInput(Reason("import-unreadable", {"file": file, "why": why})) from None


def _delimiter(file: Path, text: str) -> str:
    """What parts the first line into most cells; a guess is refused where two do so equally."""
    counts = {sign: len(next(_lines(text, sign), Line(0)).cells) for sign in _DELIMITERS}
    most = max(counts.values())
    found = [sign for sign, count in counts.items() if count == most]
    if most > 1 and len(found) > 1:
        raise BadInput(Reason("import-delimiter", {"file": file}))
    return found[0]


def _lines(text: str, delimiter: str, before: int = 0) -> Iterator[Line]:
    """Every record that holds anything; `before` lines of the file stand before the text."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        number = before + reader.line_num + 1
        try:
            cells = tuple(map(_cell, next(reader)))
        except StopIteration:
            return
        except csv.Error:
            yield Line(number, fault=Reason("import-quotes"))
            continue
        if any(_NO_TEXT.search(cell) for cell in cells):
            yield Line(number, fault=Reason("import-not-utf8"))
        elif any(cells):
            yield Line(number, cells)


def _cell(text: str) -> str:
    text = text.strip()
    if formula := _AS_TEXT.fullmatch(text):
        return formula[1].replace('""', '"').strip()
    return text[1:] if _GUARDED.match(text) else text


def _within(line: Line, columns: int) -> Line:
    """The line with a cell for each column: spreadsheets leave out empty ones at its end."""
    if any(line.cells[columns:]):
        return Line(line.number, fault=Reason("import-too-many-cells", {"columns": columns}))
    return Line(line.number, (*line.cells, *[""] * columns)[:columns], line.fault)
