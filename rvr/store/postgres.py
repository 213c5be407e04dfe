"""PostgreSQL 15 or newer: the same statements, several processes on one database, whichever of them is killed.

A commit is written under one advisory lock, so that positions are dense and in the order of the commits: a feed that
reads "behind the last position" then misses nobody who commits late, and the tree of the log has one order. The lock
is held for one group commit, not for a command, and whoever waits for it takes it from a process that stands still.
Reads of a commit wait for their answers; its writes go out together with the COMMIT.

A lost connection leaves the outcome unknown: the batch is tried again on a new one, and a command that was kept after
all is known by its id.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import IsolationLevel, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from rvr.core.errors import Unavailable
from rvr.store import engine
from rvr.store.engine import NONE, Attempt, CannotOpen, Values, unavailable

OLDEST = 15
LOCK = 0x525652
"""The advisory lock of whoever writes: "RVR". It is the database's own, so that two desks on one server never meet."""

STANDING_STILL_S = 3
"""After this long without a word in the middle of a commit a process loses its transaction, and the lock with it."""

TRY_FOR_S = 4.0
"""How long a commit looks for a new connection, or waits for the lock: a server that is started again answers within
two seconds, and what stands still is ended by then."""

LOOK_S = 1
"""How long a commit waits for the lock before it looks whether the one that has it stands still."""

BUSY_S = 5
"""How long anything else waits for a lock, as on SQLite (`sqlite.BUSY_MS`)."""

AGAIN_S = 0.1
ROWS = 2_000
"""Rows that a long read has in memory."""

BELL_S = 0.05
"""At most twenty notices a second: each takes a lock of the whole database at its commit (it halves throughput)."""

CHANNEL = "rvr"

_MUST = {"fsync": "on", "full_page_writes": "on"}
"""Settings of the server without which a power cut loses what was committed."""

_CODES = {"53100": "disk-full", "25006": "disk-read-only", "58030": "disk-error", "XX001": "disk-error"}
"""SQLSTATE of a fault that lasts until somebody does something, and the reason that people read."""

_END_STANDING_STILL = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = :lock AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND wait_event_type = 'Client' AND query_start < clock_timestamp() - make_interval(secs => :still)"
)
"""The server's own time-out (idle_in_transaction_session_timeout) runs only once a pipeline is synced: it would wait
for ever for a process that is stopped, or cut off, between two statements of one."""

_STANDING_STILL = {"lock": LOCK, "still": STANDING_STILL_S}

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z_0-9]*)")


@cache
def _translated(sql: str) -> str:
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


class Connection(psycopg.Connection[Any]):
    """The driver's connection, as `engine.Connection` wants it."""

    _names = itertools.count()
    wrote = False
    """Whether anything but a question was asked since the last `begin`."""

    def execute(self, sql: Any, values: Any = NONE, /, **options: Any) -> Any:  # type: ignore[override]
        self.wrote = self.wrote or not sql.startswith("SELECT")
        return super().execute(_translated(sql), values, **options)

    def rows(self, sql: str, values: Values = NONE, /) -> Iterator[Any]:
        if self.autocommit:  # one that writes: no cursor of the server's own lives in its pipeline
            yield from self.execute(sql, values)
            return
        with self.cursor(name=f"rvr_{next(self._names)}") as cursor:
            cursor.itersize = ROWS
            cursor.execute(_translated(sql), values)
            yield from cursor

    def given(self, table: str) -> int:
        row = self.execute("SELECT last FROM given WHERE name = :table", {"table": table}).fetchone()
        return int(row[0]) if row else 0

    def begin(self) -> None:
        self.execute("BEGIN")
        self.execute("SELECT pg_advisory_xact_lock(:lock)", {"lock": LOCK})
        self.wrote = False


class Postgres:
    """A database on a server."""

    def __init__(self, url: str) -> None:
        try:
            told = conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise CannotOpen("the address of the database cannot be read: postgresql://USER@HOST/NAME") from None
        if any("@" in str(told.get(part, "")) for part in ("host", "port", "dbname")):  # or they would be printed
            raise CannotOpen("a password in the address of the database must be percent-encoded: %40 for @, %2F for /")
        self.where = f"PostgreSQL, {told.get('dbname', '')} on {told.get('host', 'this machine')}"
        # What keeps a connection whose other end is gone from being waited for: seconds, and a count of probes.
        alive = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 8000}
        self._url = make_conninfo(url, **{"connect_timeout": 3, "application_name": "rvr", **alive, **told})

    def exists(self) -> bool:
        """Whether there is a store in it. Raises CannotOpen."""
        with contextlib.closing(self.connect(write=False)) as connection:
            return bool(connection.execute("SELECT to_regclass('setting') IS NOT NULL").fetchone()[0])

    def check(self) -> None:
        with contextlib.closing(self.connect(write=False)) as connection:
            connection.execute(_END_STANDING_STILL, _STANDING_STILL)
            version = connection.info.server_version // 10_000
            if version < OLDEST:
                raise CannotOpen(f"{self.where} is version {version}: {OLDEST} or newer is needed")
            for name, value in _MUST.items():
                (found,) = connection.execute(f"SHOW {name}").fetchone()
                if found != value:
                    raise CannotOpen(f"{self.where} has {name} = {found}: a power cut would lose what was recorded")
            encoding, order, standby = connection.execute(
                "SELECT pg_encoding_to_char(encoding), datcollate, pg_is_in_recovery() FROM pg_database"
                " WHERE datname = current_database()"
            ).fetchone()
            if standby:
                raise CannotOpen(f"{self.where} is a standby: name the server that takes writes")
            if encoding != "UTF8" or order not in ("C", "POSIX"):
                raise CannotOpen(
                    f"{self.where} has the encoding {encoding} and the order {order}: what sorts by a language's rules"
                    " changes with the system's libraries. CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8'"
                    " LOCALE 'C'"
                )

    def connect(self, *, write: bool) -> Connection:
        """A connection that leaves transactions to its user if it writes, and reads in snapshots if not."""
        try:
            connection = Connection.connect(self._url, autocommit=write)
        except psycopg.Error as error:
            raise CannotOpen(f"{self.where} cannot be reached: {_sentence(error)}") from error
        if write:
            for name, value in (
                ("lock_timeout", BUSY_S),
                ("idle_in_transaction_session_timeout", STANDING_STILL_S),
            ):
                connection.execute(f"SET {name} = '{value}s'")
            if connection.execute("SHOW synchronous_commit").fetchone()[0] in ("off", "local"):
                connection.execute("SET synchronous_commit = on")
        else:
            connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
        return connection

    def committer(self) -> Committer:
        def open_one() -> Connection:
            connection = self.connect(write=True)
            connection.execute(f"SET lock_timeout = '{LOOK_S}s'")
            return connection

        return Committer(open_one)

    def reader(self, size: int) -> Engine:
        return _engine(lambda: self.connect(write=False), poolclass=QueuePool, pool_size=size, max_overflow=size)

    def beside(self) -> None:
        """It is a server."""

    def snapshot(self, connection: engine.Connection) -> None:
        """Its first statement begins one by itself (see `connect`)."""

    def schema_engine(self) -> Engine:
        def open_one() -> Connection:
            connection = self.connect(write=True)
            connection.execute("SET lock_timeout = 0")  # while another process migrates, however long that takes
            connection.autocommit = False
            return connection

        made = _engine(open_one, poolclass=NullPool)
        # Not when it connects: SQLAlchemy asks a first connection about the server, and rolls that back.
        event.listen(made, "begin", lambda one: one.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})"))
        return made

    def lost(self, error: Exception) -> bool:
        told = error.orig if isinstance(error, DBAPIError) else error
        return isinstance(told, CannotOpen) or (isinstance(told, psycopg.OperationalError) and _is_lost(told))

    def empty_journal(self) -> None:
        """Frees the rows that are gone. The server's write-ahead log and its archive keep them for as long as they
        are kept: what they hold of a key is wrapped by the master key.
        """
        with contextlib.suppress(CannotOpen, psycopg.Error), contextlib.closing(self.connect(write=True)) as connection:
            connection.execute("VACUUM data_key, command")

    def bell(self) -> Bell:
        return Bell(self._url)


def _engine(open_one: Callable[[], Connection], **pool: Any) -> Engine:
    return create_engine("postgresql+psycopg://", creator=open_one, use_native_hstore=False, **pool)


class Committer:
    """Group commit under the lock; after a lost connection, again on a new one."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = connect()
        self._away = False
        """The server was looked for in vain: until it is back nobody waits for it again."""

    def commit(self, batch: Sequence[Attempt]) -> bool:
        until = time.monotonic() + (0 if self._away else TRY_FOR_S)
        wrote = self._together(batch, until)
        if wrote is None:
            each = [self._together([attempt], until) for attempt in batch]
            return any(each)
        return wrote

    def _together(self, batch: Sequence[Attempt], until: float) -> bool | None:
        """Whether anything was written; None when nothing is kept because one of several jobs failed half way.

        Whatever the driver says, but of a job's own fault, leaves the outcome unknown and the connection in doubt.
        """
        while True:
            try:
                self._connection = self._connection or self._connect()
                self._away = False
                return self._run(self._connection, batch)
            except (psycopg.Error, CannotOpen) as error:
                if len(batch) > 1 and (_own(error) or isinstance(error, errors.PipelineAborted)):
                    return None
                if _own(error):
                    batch[0].error = error
                    return False
                if isinstance(error, errors.LockNotAvailable):
                    self._end_standing_still()
                self._drop()
                told = _unavailable(error)
            if _code(told) in _CODES.values() or time.monotonic() > until:
                self._away = _code(told) == "database-down"
                for attempt in batch:
                    attempt.error = told
                return False
            time.sleep(AGAIN_S)

    def _run(self, connection: Connection, batch: Sequence[Attempt]) -> bool | None:
        """One transaction. Raises what the engine raised; nothing of it is kept then, or it is not known."""
        try:
            with connection.pipeline():
                connection.begin()
                if not all(_attempt(connection, attempt) for attempt in batch):
                    return None if len(batch) > 1 else False
                wrote = connection.wrote
                connection.execute("COMMIT")  # `commit` would first wait for the answers to all the writes
            return wrote
        finally:
            if not connection.broken:
                connection.rollback()

    def _end_standing_still(self) -> None:
        with contextlib.suppress(psycopg.Error):
            if self._connection is not None:
                self._connection.execute(_END_STANDING_STILL, _STANDING_STILL)

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
        self._connection = None

    def close(self) -> None:
        self._drop()


def _attempt(connection: Connection, attempt: Attempt) -> bool:
    """Runs one job; False when it failed half way, and all that was written must be undone. Raises what the engine
    raised."""
    before, connection.wrote = connection.wrote, False
    attempt.result = attempt.error = None
    try:
        attempt.result = attempt.job(connection)
    except psycopg.Error:
        raise
    except Exception as error:  # noqa: BLE001 (its caller gets it)
        attempt.error = error
        if connection.wrote:
            return False
    connection.wrote = connection.wrote or before
    return True


def _code(error: Unavailable) -> str:
    return error.reasons[0].code


def _own(error: Exception) -> bool:
    """A fault of the job's own statement or data."""
    own = errors.IntegrityError | errors.ProgrammingError | errors.DataError | errors.NotSupportedError
    return isinstance(error, own)


def _unavailable(error: Exception) -> Unavailable:
    code = "database-down" if _is_lost(error) else _CODES.get(getattr(error, "sqlstate", ""), "unavailable")
    return unavailable(error, code)


def _is_lost(error: Exception) -> bool:
    """The connection is gone, or the server takes none: 08 connection exceptions, 57P shutdown, 25P03 stood still."""
    state = getattr(error, "sqlstate", None) or ""
    return not state or state.startswith(("08", "57P", "25P03"))


def _sentence(error: Exception) -> str:
    """The driver's first line: it names the host and the fault, never the password."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


class Bell:
    """Tells the other processes on the database that the log has grown, and hears them. It carries nothing: whoever
    hears it reads the log, and reads it once a second in any case.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._grown = threading.Event()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, heard: Callable[[], None]) -> None:
        """`heard` is called on the running loop."""
        loop = asyncio.get_running_loop()

        def hear() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(heard)

        for work in (lambda: self._listen(hear), self._ring):
            thread = threading.Thread(target=self._kept_up, args=(work,), name="rvr-bell", daemon=True)
            thread.start()
            self._threads.append(thread)

    def ring(self) -> None:
        """The log has grown. Never waits."""
        self._grown.set()

    def stop(self) -> None:
        """Blocks for less than a second."""
        self._stopped.set()
        self._grown.set()
        for thread in self._threads:
            thread.join()

    def _kept_up(self, work: Callable[[], None]) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(psycopg.Error):
                work()
            self._stopped.wait(AGAIN_S)

    def _listen(self, hear: Callable[[], None]) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            hear()  # what was rung before this connection stood
            while not self._stopped.is_set():
                for _ in connection.notifies(timeout=0.5, stop_after=1):
                    hear()

    def _ring(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._stopped.is_set():
                self._grown.wait()
                self._grown.clear()
                connection.execute(f"NOTIFY {CHANNEL}")
                self._stopped.wait(BELL_S)


if TYPE_CHECKING:
    _connection: engine.Connection = Connection.connect("")
    _database: engine.Database = Postgres("")
