"""What the store needs of a database engine, and nothing of any one engine: `sqlite` and `postgres` give it.

Statements are written once, with parameters as `:name`, in what both engines understand. Of several processes on one
database one writes at a time: positions are then dense and in the order of the commits on either engine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Engine

from rvr.core.errors import Reason, Unavailable

__all__ = [
    "Attempt",
    "CannotOpen",
    "Committer",
    "Connection",
    "Cursor",
    "Database",
    "Question",
    "transaction",
    "unavailable",
    "within",
]

T = TypeVar("T")
Values = Mapping[str, Any]
NONE: Values = {}
Question = tuple[str, Values]
"""A statement that reads, and its values."""


class CannotOpen(Exception):
    """The store cannot be opened. The message says why, for the person who starts the service."""


class Cursor(Protocol):
    """What a statement found."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """The driver's own connection, below SQLAlchemy's as well."""

    def execute(self, sql: str, values: Values = NONE, /) -> Cursor:
        """Runs one statement."""

    def rows(self, sql: str, values: Values = NONE, /) -> Iterator[Any]:
        """What a statement finds, row by row, in memory that does not grow with it. For reads."""

    def given(self, table: str) -> int:
        """The highest number that an append-only table ever gave, also to a row that is gone."""

    def begin(self) -> None:
        """Begins to write, once no other process does."""

    def commit(self) -> None:
        """Returns when all since `begin` is on the disk."""

    def rollback(self) -> None:
        """Undoes all since `begin`, if there is anything to undo."""

    def close(self) -> None: ...


@contextlib.contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """All of it is kept, on the disk, or nothing."""
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def within(column: str, values: Collection[Any]) -> tuple[str, dict[str, Any]]:
    """The condition that a column is one of these values, with its parameters. One of none never holds, and is asked
    of the index all the same: what is plainly false beside an OR makes SQLite read every row.
    """
    named = {f"{column}_{number}": value for number, value in enumerate(values)}
    return f"{column} IN ({', '.join(f':{name}' for name in named) or 'NULL'})", named


@dataclass(slots=True)
class Attempt:
    """One job of a commit, and what became of it."""

    job: Callable[[Connection], Any]
    result: Any = None
    error: Exception | None = None


class Committer(Protocol):
    """The one writing connection of a process, for one thread."""

    def commit(self, batch: Sequence[Attempt]) -> bool:
        """Runs the jobs in one durable transaction; one that fails takes none of the others along.

        A job may be run again, where nothing of it was kept. Its error is its own, or Unavailable where the engine
        failed: the outcome is then unknown. True when something was written. Raises nothing.
        """

    def close(self) -> None: ...


class Database(Protocol):
    """Where the rows lie."""

    where: str
    """As people are told it, without a password."""

    def check(self) -> None:
        """Raises CannotOpen for an engine, or a setting of it, that could lose what was committed."""

    def connect(self, *, write: bool) -> Connection:
        """A connection of one's own. Raises CannotOpen."""

    def committer(self) -> Committer: ...

    def reader(self, size: int) -> Engine:
        """For reads: `size` connections that cannot write, each read in one snapshot."""

    def beside(self) -> Connection | None:
        """A connection for short reads by whoever asks, without a thread in between; None where an answer may be long
        in coming: from a server."""

    def snapshot(self, connection: Connection) -> None:
        """Begins a read on one of the reader's connections: what follows sees one state of the database."""

    def schema_engine(self) -> Engine:
        """For migrations: one writing connection, one transaction."""

    def lost(self, error: Exception) -> bool:
        """Whether a read failed with its connection only, and may be tried on another."""

    def empty_journal(self) -> None:
        """So that a destroyed key stays nowhere in the engine's own files, as far as that can be had."""


def unavailable(error: Exception, code: str) -> Unavailable:
    """What the sender of a command is told when the engine failed."""
    told = Unavailable(Reason(code))
    told.__cause__ = error
    return told
