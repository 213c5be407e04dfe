"""The only writer: one thread, one connection, group commit.

Jobs wait in a queue; up to 64 share one transaction, each in a savepoint of its own. An answer leaves only after the
durable commit, so a caller that has one can rely on it. `Unavailable` means that the outcome is unknown: the sender
repeats the command with the same id. (Measured on 2 cores: 11,581 commits of one command a second by this road, 237
through an asynchronous ORM: waiting for each statement costs more than the disk does.)
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from rvr.core.errors import Reason, Unavailable
from rvr.store.engine import Connection, dbapi

T = TypeVar("T")
Job = Callable[[Connection], T]

BATCH = 64
"""Jobs in one commit: beyond it the wait grows faster than the throughput (measured up to 128 callers)."""


_CODES = {
    "SQLITE_FULL": "disk-full",
    "SQLITE_READONLY": "disk-read-only",
    "SQLITE_IOERR": "disk-error",
    "SQLITE_CANTOPEN": "disk-error",
    "SQLITE_CORRUPT": "disk-error",
}
"""What the engine calls a fault that lasts until somebody does something, and the reason that people read."""


@dataclass(slots=True)
class _Waiting:
    job: Job[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class Writer:
    """Runs jobs on the writing connection, in the order in which they came."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open = False
        self._thread: threading.Thread | None = None
        self.fault = ""
        """Why the last write failed, as a reason's code; empty once one has succeeded."""

    def start(self) -> None:
        """Opens the connection. Raises what stands against that."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="rvr-writer", daemon=True)
        self._thread.start()
        ready.result()

    async def do(self, job: Job[T]) -> T:
        """What the job returned, after its commit. Raises what it raised, or Unavailable when nothing was kept."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(job, loop, loop.create_future())
        with self._lock:
            if not self._open:
                raise Unavailable(Reason("unavailable"))
            self._queue.put(waiting)
        result: T = await waiting.future
        return result

    def stop(self) -> None:
        """Finishes every job that waits, then closes the connection. Blocks; later jobs are refused."""
        with self._lock:
            if self._open:
                self._open = False
                self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self, ready: Future[None]) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 (raised again by `start`)
            ready.set_exception(error)
            return
        self._open = True
        ready.set_result(None)
        more = True
        while more:
            batch, more = self._take()
            if batch:
                before = connection.total_changes
                _commit(connection, batch)
                told = _fault(batch)
                if told or connection.total_changes > before:
                    self.fault = told
                _answer(batch)
        connection.close()

    def _take(self) -> tuple[list[_Waiting], bool]:
        """The next jobs, and whether there will be more."""
        batch: list[_Waiting] = []
        try:
            while len(batch) < BATCH:
                waiting = self._queue.get(block=not batch)
                if waiting is None:
                    return batch, False
                batch.append(waiting)
        except queue.Empty:
            pass
        return batch, True


def _commit(connection: Connection, batch: list[_Waiting]) -> None:
    try:
        connection.execute("BEGIN IMMEDIATE")
        for waiting in batch:
            _attempt(connection, waiting)
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 (every caller of the batch gets it)
        _roll_back(connection)
        for waiting in batch:
            waiting.error = _unavailable(error)


def _attempt(connection: Connection, waiting: _Waiting) -> None:
    """One job between savepoints. An error of the whole transaction (disk full) is left to `_commit`."""
    connection.execute("SAVEPOINT job")
    try:
        waiting.result = waiting.job(connection)
    except Exception as error:
        if not connection.in_transaction:  # the engine rolled the whole of it back
            raise
        waiting.error = _unavailable(error) if _of_the_engine(error) else error
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")


def _of_the_engine(error: Exception) -> bool:
    """Disk, lock or file, and not a fault of the job's own statement or data."""
    own = dbapi.IntegrityError | dbapi.ProgrammingError | dbapi.InterfaceError
    return isinstance(error, dbapi.Error) and not isinstance(error, own)


def _unavailable(error: Exception) -> Unavailable:
    told = str(getattr(error, "sqlite_errorname", ""))
    code = next((code for name, code in _CODES.items() if told.startswith(name)), "unavailable")
    unavailable = Unavailable(Reason(code))
    unavailable.__cause__ = error
    return unavailable


def _fault(batch: list[_Waiting]) -> str:
    """What keeps the log from being written; empty where it was a lock, or nothing."""
    told = (waiting.error.reasons[0].code for waiting in batch if isinstance(waiting.error, Unavailable))
    return next((code for code in told if code in _CODES.values()), "")


def _roll_back(connection: Connection) -> None:
    """SQLite rolls back by itself where it cannot be asked to (SQLITE_FULL, SQLITE_IOERR)."""
    with contextlib.suppress(dbapi.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _answer(batch: list[_Waiting]) -> None:
    for loop in {waiting.loop for waiting in batch}:
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(_resolve, [waiting for waiting in batch if waiting.loop is loop])


def _resolve(batch: list[_Waiting]) -> None:
    for waiting in batch:
        if waiting.future.done():  # the caller went away; the commit stands
            continue
        if waiting.error is not None:
            waiting.future.set_exception(waiting.error)
        else:
            waiting.future.set_result(waiting.result)
