"""Other formats of a package, each made from its CSV files: whatever protects those protects these."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rvr.evaluation.codebook import WITHHELD, Table
from rvr.evaluation.columns import Column


@dataclass(frozen=True, slots=True)
class Written:
    """The CSV files of a package, and what their columns mean in it."""

    folder: Path
    tables: tuple[Table, ...]
    """With their columns as this package describes them."""
    relative: bool
    """Whether times are seconds after the opening of the case."""

    def rows(self, table: Table) -> Iterator[dict[str, str]]:
        """The table's rows, one after the other."""
        with (self.folder / table.path).open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)

    def table(self, name: str) -> Table:
        """The table of that name."""
        return next(table for table in self.tables if table.name == name)


def known(column: Column, text: str) -> bool:
    """Whether the cell holds a value of the column's type."""
    return text != "" and (text != WITHHELD or column.type == "string")


Writer = Callable[[Written], None]


def writers() -> Mapping[str, Writer]:
    """The formats that can be asked for beside CSV; a library that one needs is loaded when it writes."""
    from rvr.evaluation.formats import labelled, ocel, parquet, xes

    return {
        "dta": labelled.write_dta,
        "ocel": ocel.write,
        "parquet": parquet.write,
        "sav": labelled.write_sav,
        "xes": xes.write,
    }


FORMATS = ("dta", "ocel", "parquet", "sav", "xes")
"""Their names, without loading them."""

IN_MEMORY = ("dta", "sav")
"""Those that hold a whole table in memory while they write it."""

NEEDS = {"parquet": ("pyarrow",), "sav": ("pyreadstat", "pandas"), "dta": ("pyreadstat", "pandas")}
"""Format -> the libraries that it needs, optional ones."""


def available() -> tuple[str, ...]:
    """The formats that can be made here."""
    return tuple(name for name in FORMATS if all(map(find_spec, NEEDS.get(name, ()))))
