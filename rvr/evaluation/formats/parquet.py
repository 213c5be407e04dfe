"""Parquet: parquet/<table>.parquet, with types, meanings and units, a few thousand rows at a time."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import islice
from typing import Any

from rvr.core.moment import parse_iso
from rvr.evaluation.codebook import Table
from rvr.evaluation.columns import Column
from rvr.evaluation.formats import Written, known
from rvr.evaluation.pseudonyms import CannotExport

ROWS = 5_000
"""Rows of one row group: what is in memory at a time."""

_READ: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "object": str,
    "integer": int,
    "number": float,
    "boolean": "true".__eq__,
    "datetime": parse_iso,
    "date": date.fromisoformat,
}


def write(written: Written) -> None:
    """Writes every table of the package. Raises CannotExport without pyarrow."""
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise CannotExport("Parquet needs the package pyarrow (26 or newer): pip install 'rvr[parquet]'") from None
    (written.folder / "parquet").mkdir()
    for table in written.tables:
        schema = arrow.schema([_field(arrow, column) for column in table.columns])
        path = written.folder / "parquet" / f"{table.name}.parquet"
        with parquet.ParquetWriter(path, schema, compression="zstd") as out:
            rows = written.rows(table)
            while some := list(islice(rows, ROWS)):
                out.write_batch(_batch(arrow, schema, table, some))


def _field(arrow: Any, column: Column) -> Any:
    types = {
        "integer": arrow.int64(),
        "number": arrow.float64(),
        "boolean": arrow.bool_(),
        "datetime": arrow.timestamp("us", tz="UTC"),
        "date": arrow.date32(),
    }
    told = {"description": column.meaning, "unit": column.unit}
    return arrow.field(column.name, types.get(column.type, arrow.string()), metadata=told)


def _batch(arrow: Any, schema: Any, table: Table, rows: Sequence[Mapping[str, str]]) -> Any:
    columns = [
        arrow.array([_value(column, row[column.name]) for row in rows], type=field.type)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return arrow.record_batch(columns, schema=schema)


def _value(column: Column, text: str) -> Any:
    return _READ[column.type](text) if known(column, text) else None
