"""SQLite, encrypted: SQLCipher with a raw key, every pragma set and read back, group commit on one connection.

Python's own SQLite is not used: releases before 3.51.3 can lose committed data when the write-ahead log is reset
(SQLite release notes, 3.51.3). This module knows nothing of tables.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlcipher3.dbapi2 as dbapi
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from rvr.core.errors import Unavailable
from rvr.store import engine
from rvr.store.engine import NONE, Attempt, CannotOpen, Values, unavailable
from rvr.store.keys import make_folder

if TYPE_CHECKING:  # sqlcipher3 carries no types; its interface is the one of the standard library
    from sqlite3 import Connection as _Driver
else:
    _Driver = dbapi.Connection

__all__ = ["Committer", "Connection", "Sqlite", "connect", "dbapi", "engine_fault"]

OLDEST_SAFE = (3, 51, 3)
BUSY_MS = 5_000
"""How long a statement waits for another process, such as a command line verb beside the service."""

READER_CACHE_KIB = 2_000
"""Pages that a connection for reads keeps, as SQLite's own default is; this build's is four times as much. Whatever
goes over a long log fills it, for each reader's connection, and the process keeps it (measured: 32 MiB in all)."""

_WRITING = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "recursive_triggers": 1,
    "secure_delete": 1,
    "wal_autocheckpoint": 4000,
}
"""synchronous 2 is FULL: a commit is on the disk before it is answered. recursive_triggers: without it INSERT OR
REPLACE deletes past the triggers that forbid it. secure_delete: a destroyed key leaves no copy in free pages.
wal_autocheckpoint: in pages, 16 MiB; with the engine's own 1000 a desk that commits 32 commands at once waits for the
disk a quarter more often (measured: 105 syncs, not 87, for 2,100 commands)."""

_CODES = {
    "SQLITE_FULL": "disk-full",
    "SQLITE_READONLY": "disk-read-only",
    "SQLITE_IOERR": "disk-error",
    "SQLITE_CANTOPEN": "disk-error",
    "SQLITE_CORRUPT": "disk-error",
}
"""What the engine calls a fault that lasts until somebody does something, and the reason that people read."""


def engine_fault(version: tuple[int, ...]) -> str:
    """Why this SQLite must not be used; empty when it may."""
    if tuple(version) >= OLDEST_SAFE:
        return ""
    told, safe = (".".join(map(str, v)) for v in (version, OLDEST_SAFE))
    return f"SQLite {told} can lose committed data (WAL reset fault): {safe} or newer is needed"


class Connection(_Driver):
    """SQLite's own connection, as `engine.Connection` wants it."""

    def rows(self, sql: str, values: Values = NONE, /) -> Iterator[Any]:
        return iter(self.execute(sql, values))

    def given(self, table: str) -> int:
        row = self.execute("SELECT seq FROM sqlite_sequence WHERE name = :table", {"table": table}).fetchone()
        return int(row[0]) if row else 0

    def begin(self) -> None:
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        """SQLite rolls back by itself where it cannot be asked to (SQLITE_FULL, SQLITE_IOERR)."""
        with contextlib.suppress(dbapi.Error):
            if self.in_transaction:
                self.execute("ROLLBACK")


class Sqlite:
    """One file and its key."""

    def __init__(self, file: Path, key: bytes) -> None:
        self.where, self._file, self._key = str(file), file, key

    def check(self) -> None:
        if fault := engine_fault(dbapi.sqlite_version_info):
            raise CannotOpen(fault)
        make_folder(self._file.parent)

    def connect(self, *, write: bool) -> Connection:
        """A connection that leaves transactions to its user. Raises CannotOpen: a wrong key, a refused pragma."""
        return connect(self._file, self._key, write=write)

    def committer(self) -> Committer:
        return Committer(self.connect(write=True))

    def reader(self, size: int) -> Engine:
        return _engine(
            lambda: self.connect(write=False), "BEGIN", poolclass=QueuePool, pool_size=size, max_overflow=size
        )

    def beside(self) -> Connection:
        return self.connect(write=False)

    def snapshot(self, connection: engine.Connection) -> None:
        connection.execute("BEGIN")

    def schema_engine(self) -> Engine:
        return _engine(lambda: self.connect(write=True), "BEGIN IMMEDIATE", poolclass=NullPool)

    def lost(self, error: Exception) -> bool:
        """There is no connection to lose: it is a file."""
        return False

    def empty_journal(self) -> None:
        """A long read may keep a key in the write-ahead log until the log's next reset."""
        with contextlib.suppress(CannotOpen, dbapi.Error), contextlib.closing(self.connect(write=True)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def connect(file: Path, key: bytes, *, write: bool, frozen: bool = False) -> Connection:
    """`frozen`: nobody writes the file any more. It is read as it lies there, without a lock or a journal beside it,
    also from a folder that cannot be written."""
    connection: Connection = dbapi.connect(
        f"{file.resolve().as_uri()}?immutable=1" if frozen else str(file),
        uri=frozen,
        timeout=BUSY_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        factory=Connection,
    )
    try:
        _unlock(connection, file, key)
        _set_up(connection, write)
    except BaseException:
        connection.close()
        raise
    return connection


def _unlock(connection: Connection, file: Path, key: bytes) -> None:
    connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    if not connection.execute("PRAGMA cipher_version").fetchone():
        raise CannotOpen("this build of sqlcipher3 has no SQLCipher: the database would lie in clear")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except dbapi.DatabaseError as error:
        if "not a database" in str(error) or "malformed" in str(error):
            raise CannotOpen(f"{file} does not open with this key file: another key, or a damaged file") from error
        raise CannotOpen(f"{file} cannot be read: {error}") from error


def _set_up(connection: Connection, write: bool) -> None:
    if not write:
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
        return
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the disk there
    for name, value in _WRITING.items():
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        (found,) = connection.execute(f"PRAGMA {name}").fetchone()
        if found != value:
            raise CannotOpen(f"the database refuses {name} = {value}: it stays {found}")


def _engine(open_one: Callable[[], Connection], begin: str, **pool: Any) -> Engine:
    made = create_engine("sqlite://", module=dbapi, creator=open_one, **pool)
    # With isolation_level None the driver begins nothing by itself (SQLAlchemy, "pysqlite transactions").
    event.listen(made, "begin", lambda connection: connection.exec_driver_sql(begin))
    return made


class Committer:
    """Group commit: one transaction, one wait for the disk. Where a job fails half way, each in one of its own.

    No savepoint for each job: it copies, and encrypts, every page that the job is the first to change, a sixth of what
    a command costs (measured). What fails has mostly written nothing: a command is refused before.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def commit(self, batch: Sequence[Attempt]) -> bool:
        wrote = self._together(batch)
        if wrote is None:
            each = [self._together([attempt]) for attempt in batch]
            return any(each)
        return wrote

    def _together(self, batch: Sequence[Attempt]) -> bool | None:
        """Whether anything was written; None when nothing is kept because one of several jobs failed half way."""
        connection = self._connection
        before = connection.total_changes
        try:
            connection.begin()
            if not all(self._attempt(attempt) for attempt in batch):
                connection.rollback()
                return None if len(batch) > 1 else False
            wrote = connection.total_changes > before
            connection.commit()
        except Exception as error:  # noqa: BLE001 (every caller of the batch gets it)
            connection.rollback()
            for attempt in batch:
                attempt.error = _unavailable(error)
            return False
        return wrote

    def _attempt(self, attempt: Attempt) -> bool:
        """Runs one job; False when it failed half way, and all that was written must be undone. An error of the whole
        transaction (disk full) is raised."""
        connection = self._connection
        before = connection.total_changes
        attempt.result = attempt.error = None
        try:
            attempt.result = attempt.job(connection)
        except Exception as error:
            if not connection.in_transaction:  # the engine rolled the whole of it back
                raise
            attempt.error = _unavailable(error) if _of_the_engine(error) else error
            return connection.total_changes == before
        return True

    def close(self) -> None:
        self._connection.close()


def _of_the_engine(error: Exception) -> bool:
    """Disk, lock or file, and not a fault of the job's own statement or data."""
    own = dbapi.IntegrityError | dbapi.ProgrammingError | dbapi.InterfaceError
    return isinstance(error, dbapi.Error) and not isinstance(error, own)


def _unavailable(error: Exception) -> Unavailable:
    told = str(getattr(error, "sqlite_errorname", ""))
    return unavailable(error, next((code for name, code in _CODES.items() if told.startswith(name)), "unavailable"))


if TYPE_CHECKING:
    _connection: engine.Connection = _Driver.__new__(Connection)
    _database: engine.Database = Sqlite(Path(), b"")
