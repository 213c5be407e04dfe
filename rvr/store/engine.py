"""How the database file is opened: SQLCipher with a raw key, every pragma set and read back.

Python's own SQLite is not used: releases before 3.51.3 can lose committed data when the write-ahead log is reset
(SQLite release notes, 3.51.3). This module knows nothing of tables.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlcipher3.dbapi2 as dbapi
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

if TYPE_CHECKING:  # sqlcipher3 carries no types; its interface is the one of the standard library
    from sqlite3 import Connection, Cursor
else:
    Connection, Cursor = dbapi.Connection, dbapi.Cursor

__all__ = ["CannotOpen", "Connection", "Cursor", "connect", "dbapi", "engine_fault", "reader", "schema_engine"]

OLDEST_SAFE = (3, 51, 3)
BUSY_MS = 5_000
"""How long a statement waits for another process, such as a command line verb beside the service."""

_WRITING = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1, "secure_delete": 1}
"""synchronous 2 is FULL: a commit is on the disk before it is answered. recursive_triggers: without it INSERT OR
REPLACE deletes past the triggers that forbid it. secure_delete: a destroyed key leaves no copy in free pages."""


class CannotOpen(Exception):
    """The store cannot be opened. The message says why, for the person who starts the service."""


def engine_fault(version: tuple[int, ...]) -> str:
    """Why this SQLite must not be used; empty when it may."""
    if tuple(version) >= OLDEST_SAFE:
        return ""
    told, safe = (".".join(map(str, v)) for v in (version, OLDEST_SAFE))
    return f"SQLite {told} can lose committed data (WAL reset fault): {safe} or newer is needed"


def connect(file: Path, key: bytes, *, write: bool) -> Connection:
    """A connection that leaves transactions to its user. Raises CannotOpen for a wrong key or a refused pragma."""
    connection: Connection = dbapi.connect(
        str(file), timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
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
        return
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the disk there
    for name, value in _WRITING.items():
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        (found,) = connection.execute(f"PRAGMA {name}").fetchone()
        if found != value:
            raise CannotOpen(f"the database refuses {name} = {value}: it stays {found}")


def reader(open_one: Callable[[], Connection], size: int) -> Engine:
    """The engine for reads: `size` connections that cannot write, each read in one snapshot."""
    return _engine(open_one, "BEGIN", poolclass=QueuePool, pool_size=size, max_overflow=size)


def schema_engine(open_one: Callable[[], Connection]) -> Engine:
    """The engine for migrations: one writing connection, one transaction."""
    return _engine(open_one, "BEGIN IMMEDIATE", poolclass=NullPool)


def _engine(open_one: Callable[[], Connection], begin: str, **pool: Any) -> Engine:
    engine = create_engine("sqlite://", module=dbapi, creator=open_one, **pool)
    # With isolation_level None the driver begins nothing by itself (SQLAlchemy, "pysqlite transactions").
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine
