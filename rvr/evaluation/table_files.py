"""The CSV files of a package while they are written: a row by column name, in the order of the codebook.

Where times leave changed, the cases are put into the order of their pseudonyms afterwards, for the order in which they
were opened is a clock of its own. Only places in the files are kept for that, in a scratch database on the disk.
"""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, Any

from rvr.evaluation.codebook import Table
from rvr.evaluation.leaving_times import LeavingTimes

Put = Callable[[Mapping[str, Any]], None]


def new_file(path: Path) -> IO[str]:
    """A file that is not there yet, for text."""
    return path.open("x", encoding="utf-8", newline="")


def rows_into(opened: ExitStack, folder: Path, table: Table, times: LeavingTimes) -> Put:
    """Opens the table's file with its head line; gives the way to put a row into it, by column name."""
    names = table.names
    place = {name: number for number, name in enumerate(names)}
    out = csv.writer(opened.enter_context(new_file(folder / table.path)), lineterminator="\n")
    out.writerow(names)

    def put(row: Mapping[str, Any]) -> None:
        cells: list[Any] = [""] * len(names)
        for name, value in row.items():
            cells[place[name]] = cell(times.cell(name, value))
        out.writerow(cells)

    return put


def write_rows(folder: Path, table: Table, lines: Iterable[Sequence[Any]]) -> None:
    """A whole table at once."""
    with new_file(folder / table.path) as out:
        csv.writer(out, lineterminator="\n").writerows([table.names, *lines])


def cell(value: Any) -> Any:
    """A value as CSV has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


def by_pseudonym(path: Path) -> None:
    """Puts the rows of a table whose first column is the case into the order of the cases' pseudonyms; rows of one case
    keep theirs. The cells hold no line breaks: a text that is no code is withheld."""
    scratch, ordered = path.with_suffix(".order"), path.with_suffix(".ordered")
    try:
        with closing(sqlite3.connect(scratch)) as places, path.open("rb") as rows, ordered.open("xb") as out:
            places.execute("PRAGMA journal_mode = OFF")
            places.execute("CREATE TABLE place (case_ TEXT, start INTEGER, length INTEGER)")
            out.write(rows.readline())
            places.executemany("INSERT INTO place VALUES (?, ?, ?)", _places(rows))
            for start, length in places.execute("SELECT start, length FROM place ORDER BY case_, start"):
                rows.seek(start)
                out.write(rows.read(length))
        ordered.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
        ordered.unlink(missing_ok=True)


def _places(rows: IO[bytes]) -> Iterable[tuple[str, int, int]]:
    start = rows.tell()
    while line := rows.readline():
        yield line.partition(b",")[0].decode(), start, len(line)
        start += len(line)
