"""The store: opens and closes everything, and carries each request to the writer or to a reader.

It decides nothing. What it acknowledges is on the disk; a reader sees only what is committed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine
from sqlmodel import Session

from rvr.core.events import Recorded
from rvr.core.moment import Moment, iso
from rvr.store import access, envelope, keys, ledger, log, migrations, projections
from rvr.store.engine import CannotOpen, Connection, connect, dbapi, engine_fault, reader
from rvr.store.log import Batch, CommandSeen
from rvr.store.messages import driver
from rvr.store.sealing import Sealer
from rvr.store.writer import Writer
from rvr.timekeeping import observe as observe_now

T = TypeVar("T")

READERS = 4
"""Threads for reads: a query takes about a millisecond, and all of them share the machine with the media workers."""


class Store:
    """One database file with its key file. Use `start` and `close` once each."""

    sealer: Sealer

    def __init__(
        self, folder: Path, key_file: Path, *, force: str = "", observe: Callable[[], Moment] = observe_now
    ) -> None:
        self.file = folder / "rvr.db"
        self._key_file = key_file
        self._force = force
        self._observe = observe
        self._writer: Writer
        self._engine: Engine
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="rvr-reader")

    async def start(self) -> None:
        """Opens the store, made or migrated where needed. Raises CannotOpen, whose message says why."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        if fault := engine_fault(dbapi.sqlite_version_info):
            raise CannotOpen(fault)
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = keys.load(self._key_file, data=self.file.parent, database_exists=self.file.exists())
        self.sealer = Sealer(found)
        open_writing = partial(connect, self.file, found.database, write=True)
        migrations.run(open_writing, {"created_at": iso(self._observe().at), "envelope": envelope.FORMAT})
        with contextlib.closing(open_writing()) as connection:
            projections.refresh(connection, self.sealer)
        self._writer = Writer(open_writing)
        self._writer.start()
        self._engine = reader(partial(connect, self.file, found.database, write=False), READERS)

    async def close(self) -> None:
        """Finishes what waits, then closes. What is asked afterwards is refused."""
        await asyncio.to_thread(self._writer.stop)
        await asyncio.to_thread(self._readers.shutdown)
        self._engine.dispose()

    async def append(self, batch: Batch) -> list[Recorded]:
        """Records one command durably. Raises CommandSeen, Conflict, ReferenceTaken, or Unavailable (outcome
        unknown: repeat it)."""
        return await self._writer.do(
            lambda connection: log.append(connection, self.sealer, batch, self._force, iso(self._observe().at))
        )

    async def write(self, job: Callable[[Connection], T]) -> T:
        """Runs a job on the writing connection, in a transaction: for the few rows that are no events."""
        return await self._writer.do(job)

    async def read(self, query: Callable[[Session], T]) -> T:
        """Runs a query in a reader's thread, in one snapshot, on a session that cannot write."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._in_session, query)

    def _in_session(self, query: Callable[[Session], T]) -> T:
        with Session(self._engine) as session:
            return query(session)

    async def load(self, stream: str, after: int = 0) -> list[Recorded]:
        """The stream's events behind version `after`."""
        return await self.read(lambda session: log.load(driver(session), self.sealer, stream, after))

    async def events_after(self, position: int, limit: int) -> list[Recorded]:
        """The feed: the next events of all streams."""
        return await self.read(lambda session: log.feed(driver(session), self.sealer, position, limit))

    async def position(self) -> int:
        """The feed position of the last event; 0 in an empty log."""
        return await self.read(lambda session: log.position(driver(session)))

    async def command(self, person: str, command_id: str) -> CommandSeen | None:
        """What that command asked and got, if it was recorded before."""
        return await self.read(lambda session: log.command(driver(session), person, command_id))

    def fingerprint(self, told: bytes) -> bytes:
        """A keyed hash: equal for equal input, and not to be found by trying every telephone number."""
        return self.sealer.fingerprint(told)

    async def verify(self) -> list[ledger.Fault]:
        """Every fault of the timing log and of the access log."""
        return await self.read(lambda session: _faults(driver(session)))

    async def rebuild(self) -> None:
        """Makes the read rows again from the log."""
        await self._writer.do(lambda connection: projections.rebuild(connection, self.sealer))

    def iterate(self, *, kind: str = "case/", until: int | None = None, chunk: int = 50) -> Iterator[Recorded]:
        """All events of the streams of a kind up to feed position `until`, public part only: streams in the order in
        which they began, each by version.

        For a thread of the caller's own. Reads `chunk` streams at a time, so that memory stays flat and no long
        snapshot keeps the write-ahead log from being reset; positions are dense, so `until` makes it consistent.
        """
        if until is None:
            until = self._in_session(lambda session: log.position(driver(session)))
        after = 0
        while True:
            events, after = self._in_session(partial(_chunk, kind=kind, after=after, until=until, limit=chunk))
            if not after:
                return
            yield from events


def _chunk(session: Session, *, kind: str, after: int, until: int, limit: int) -> tuple[list[Recorded], int]:
    """The events of the next streams, and the position at which the last of them began; 0 when there are none."""
    connection = driver(session)
    found = log.streams(connection, kind, after, until, limit)
    events = [
        recorded for stream, _ in found for recorded in log.load(connection, None, stream) if recorded.position <= until
    ]
    return events, found[-1][1] if found else 0


def _faults(connection: Connection) -> list[ledger.Fault]:
    return [*ledger.verify_all(connection), *access.verify(connection)]
