"""The statements by which the writer fills the tables. For the writing connection only.

To make an object of a row takes longer than to write it: what is written with each command comes as a mapping of its
columns to values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import JSON
from sqlmodel import SQLModel

from rvr.store.engine import Connection, Question
from rvr.store.ledger import canonical

MOST_VALUES = 50
"""In one statement: psycopg keeps what it made of the text of those with no more (`_queries`, 3.3)."""


def put(connection: Connection, row: SQLModel) -> None:
    """Writes the row, over the one with the same key if there is one."""
    kind = type(row)
    connection.execute(_upsert(kind), _stored(kind, {name: getattr(row, name) for name in _names(kind)}))


def add(connection: Connection, kind: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows that are new, several in one statement."""
    names = _names(kind)
    at_once = max(1, MOST_VALUES // len(names))
    for start in range(0, len(rows), at_once):
        some = [_stored(kind, row) for row in rows[start : start + at_once]]
        values = [row[name] for row in some for name in names]
        parameters = _parameters(kind, len(some))
        connection.execute(_insert(kind, len(some)), dict(zip(parameters, values, strict=True)))


def standing(kind: type[SQLModel], key: str) -> Question:
    """Asks for the row with this key, as it stands."""
    return _select(kind), {"key": key}


def change(connection: Connection, kind: type[SQLModel], told: Mapping[str, Any], found: Sequence[Any] | None) -> None:
    """Writes the row; of one that stands, what has become different: an index of what stays is then left alone.

    `found`: the row as it stands (`standing`). Columns of it that are known to stay need not be told.
    """
    if found is None:
        add(connection, kind, [told])
        return
    (key,) = _keys(kind)
    row, was = _stored(kind, told), dict(zip(_names(kind), found, strict=True))
    changed = tuple(name for name, value in row.items() if value != was[name])
    if changed:
        connection.execute(_update(kind, changed), {name: row[name] for name in (*changed, key)})


def _stored(kind: type[SQLModel], told: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values as the driver takes them."""
    texts = {name: canonical(told[name]).decode() for name in _texts(kind) if name in told}
    return {**told, **texts} if texts else told


# Every name in these statements comes from the classes of the tables.


@cache
def _upsert(kind: type[SQLModel]) -> str:
    names, keys = _names(kind), _keys(kind)
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
    return (
        f'INSERT INTO "{_table(kind).name}" ({_quoted(names)}) VALUES ({", ".join(":" + name for name in names)})'  # noqa: S608
        f" ON CONFLICT ({_quoted(keys)}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")
    )


@cache
def _insert(kind: type[SQLModel], rows: int) -> str:
    names, parameters = _names(kind), _parameters(kind, rows)
    each = [parameters[start : start + len(names)] for start in range(0, len(parameters), len(names))]
    values = ", ".join(f"({', '.join(f':{name}' for name in one)})" for one in each)
    return f'INSERT INTO "{_table(kind).name}" ({_quoted(names)}) VALUES {values}'  # noqa: S608


@cache
def _parameters(kind: type[SQLModel], rows: int) -> tuple[str, ...]:
    return tuple(f"{name}_{n}" for n in range(rows) for name in _names(kind))


@cache
def _select(kind: type[SQLModel]) -> str:
    (key,) = _keys(kind)
    return f'SELECT {_quoted(_names(kind))} FROM "{_table(kind).name}" WHERE "{key}" = :key'  # noqa: S608


@cache
def _update(kind: type[SQLModel], changed: tuple[str, ...]) -> str:
    (key,) = _keys(kind)
    changes = ", ".join(f'"{name}" = :{name}' for name in changed)
    return f'UPDATE "{_table(kind).name}" SET {changes} WHERE "{key}" = :{key}'  # noqa: S608


@cache
def _names(kind: type[SQLModel]) -> tuple[str, ...]:
    return tuple(column.name for column in _table(kind).columns)


@cache
def _keys(kind: type[SQLModel]) -> tuple[str, ...]:
    return tuple(column.name for column in _table(kind).primary_key)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


@cache
def _texts(kind: type[SQLModel]) -> frozenset[str]:
    """The columns that the driver takes as text."""
    return frozenset(column.name for column in _table(kind).columns if isinstance(column.type, JSON))


def _table(kind: type[SQLModel]) -> Any:
    return kind.__table__  # type: ignore[attr-defined]
