"""The store: opens and closes everything, and carries each request to the writer or to a reader.

It decides nothing. What it acknowledges is on the disk; a reader sees only what is committed.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlalchemy import Engine
from sqlmodel import Session

from rvr.core.errors import Reason, Unavailable
from rvr.core.events import Recorded
from rvr.core.moment import Moment, iso
from rvr.store import access, anchors, checkpoints, envelope, ledger, log, migrations, projections
from rvr.store.checkpoints import Checkpoint, HeadFault, Heads, RefusesToSign, Sequencer, Shown
from rvr.store.engine import CannotOpen, Connection, Database
from rvr.store.log import Batch, CommandSeen
from rvr.store.merkle import Tree
from rvr.store.notes import Notary
from rvr.store.place import Place
from rvr.store.postgres import Bell, Postgres
from rvr.store.sealing import Sealer
from rvr.store.statements import put
from rvr.store.tables import SettingRow
from rvr.store.writer import Writer
from rvr.timekeeping import observe as observe_now

T = TypeVar("T")

warn = structlog.get_logger()

PROBED_FOR_S = 1.0

MOST_HELD = 10_000
"""Jobs that wait for room on the disk: an hour of looks at a busy desk."""

READERS = 4
"""Threads for reads: a query takes about a millisecond, and all of them share the machine with the media workers."""

READ_FOR_S, AGAIN_S = 3.0, 0.1
"""How long a read looks for a new connection, and how often: a server that is started again answers within two."""


class Store:
    """One database with its key file. Use `start` and `close` once each."""

    sealer: Sealer
    notary: Notary
    """Signs checkpoints and exports."""
    bell: Bell | None = None
    """How other processes on the database are told, and heard; None where there are none to tell."""
    refusal: RefusesToSign | None = None
    """Why no checkpoint is signed; None while all is as it was signed before."""

    def __init__(self, place: Place, *, force: str = "", observe: Callable[[], Moment] = observe_now) -> None:
        self.place = place
        self._force = force
        self._observe = observe
        self._database: Database
        self._writer: Writer
        self._engine: Engine
        self._here: Connection | None = None
        """For looks by the loop itself, where the database is a file."""
        self._heads: Heads
        self._sequencer: Sequencer
        self._sequencing = asyncio.Lock()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="rvr-reader")
        self._held: list[Callable[[Connection], object]] = []
        self._probed = float("-inf")
        self._away = False
        """The database was looked for in vain: until it is back no read waits for it again."""

    async def start(self) -> None:
        """Opens the store, made or migrated where needed. Raises CannotOpen, whose message says why."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        found = self.place.keys(database_exists=self.place.exists())
        self.sealer = Sealer(found, self.place.keys)
        self._database = database = self.place.database(found)
        database.check()
        origin = "/".join(part for part in ("rvr", self._force, secrets.token_hex(8)) if part)
        facts = {"created_at": iso(self._observe().at), "envelope": envelope.FORMAT, "log": origin}
        opens = self.sealer.fingerprint(b"store").hex()

        def own_rows(connection: Connection) -> str:
            told = dict(connection.execute("SELECT key, value FROM setting").fetchall())
            if told["opens"] != opens:
                raise CannotOpen(f"{self.place.where} does not open with this key file: it belongs to another store")
            projections.refresh(connection, self.sealer)
            return str(told["log"])

        origin = migrations.run(database, {**facts, "opens": opens}, own_rows)
        self.notary = Notary(origin, found.signing)
        machine = socket.gethostname() if self.place.url else ""
        self._heads = Heads(self.place.heads_file.resolve(), origin, machine)
        self._heads.sync()
        self._sequencer = Sequencer(self.notary, self._heads)
        self._writer = Writer(database.committer)
        self._writer.start()
        self._engine = database.reader(READERS)
        self._here = database.beside()
        if isinstance(database, Postgres):
            self.bell = database.bell()

    async def close(self) -> None:
        """Finishes what waits, then closes. What is asked afterwards is refused."""
        parts = [self._writer.stop, self._readers.shutdown, *([self.bell.stop] if self.bell is not None else [])]
        await asyncio.gather(*map(asyncio.to_thread, parts))  # each may wait some seconds for a server that is away
        here, self._here = self._here, None
        if here is not None:
            here.close()
        self._engine.dispose()

    async def append(self, batch: Batch) -> list[Recorded]:
        """Records one command durably. Raises CommandSeen, Conflict, ReferenceTaken, PasskeyTaken, or Unavailable
        (outcome unknown: repeat it)."""
        recorded = await self._writer.do(
            lambda connection: log.append(connection, self.sealer, batch, self._force, iso(self._observe().at))
        )
        if batch.erases:
            await asyncio.to_thread(self._database.empty_journal)
        return recorded

    async def write(self, job: Callable[[Connection], T]) -> T:
        """Runs a job on the writing connection, in a transaction: for the few rows that are no events."""
        return await self._writer.do(job)

    @property
    def fault(self) -> str:
        """Why the log cannot be written just now, as a reason's code; empty when it can."""
        return self._writer.fault

    @property
    def waits(self) -> int:
        """How many jobs wait for the writer."""
        return self._writer.waits

    @property
    def holds(self) -> int:
        """How many jobs wait for room on the disk."""
        return len(self._held)

    async def write_or_hold(self, job: Callable[[Connection], T]) -> T | None:
        """Runs a job as `write` does; while the disk takes nothing it is held in memory and written first thing after,
        and nothing is returned.

        For what must not keep somebody from reading, such as the note of a look: a process that ends before there is
        room again loses it. Raises Unavailable when too much is held.
        """
        try:
            return await self._writer.do(job)
        except Unavailable:
            if not self.fault or len(self._held) >= MOST_HELD:
                raise
            self._held.append(job)
            return None

    async def probe(self) -> None:
        """Writes a row and what was held. Raises Unavailable while the log cannot be written.

        While all is well, once a second at most: whoever asks for our health must not wear the disk out.
        """
        if not self.fault and not self._held and time.monotonic() - self._probed < PROBED_FOR_S:
            return
        at = iso(self._observe().at)
        held, self._held = self._held, []

        def write(connection: Connection) -> None:
            put(connection, SettingRow(key="probed_at", value=at))
            for job in held:
                job(connection)

        try:
            await self._writer.do(write)
        except BaseException:
            self._held = held + self._held
            raise
        self._probed = time.monotonic()

    async def read(self, query: Callable[[Session], T]) -> T:
        """Runs a query in a reader's thread, in one snapshot, on a session that cannot write."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._in_session, query)

    async def look(self, query: Callable[[Connection], T]) -> T:
        """The same on the driver's own connection, for what is asked with each command and answered within a
        millisecond or two: a session and its objects take ten times as long as the rows (13 of 20 ms of a command,
        measured). A file is read where we stand, since a thread takes longer to come and go than the question takes (2
        of 9 ms, measured); a server in a reader's thread.
        """
        if self._here is None:
            return await self.look_through(query)
        self._database.snapshot(self._here)
        try:
            return query(self._here)
        finally:
            self._here.rollback()  # which ends the snapshot

    async def look_through(self, query: Callable[[Connection], T]) -> T:
        """The same for what goes over many rows: in a reader's thread, while the loop goes on."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._on_connection, query)

    def _in_session(self, query: Callable[[Session], T]) -> T:
        def run() -> T:
            with Session(self._engine) as session:
                return query(session)

        return self._tried(run)

    def _on_connection(self, query: Callable[[Connection], T]) -> T:
        def run() -> T:
            pooled = self._engine.raw_connection()
            try:
                connection: Any = pooled.driver_connection
                self._database.snapshot(connection)
                return query(connection)
            except Exception as error:
                if self._database.lost(error):
                    pooled.invalidate(error)
                raise
            finally:
                pooled.close()  # which ends the snapshot

        return self._tried(run)

    def _tried(self, run: Callable[[], T]) -> T:
        """What it found, also where a connection was lost under it."""
        until = time.monotonic() + (0 if self._away else READ_FOR_S)
        while True:
            try:
                found = run()
                self._away = False
                return found
            except Exception as error:
                if not self._database.lost(error):
                    raise
                if time.monotonic() > until:
                    self._away = True
                    raise Unavailable(Reason("database-down")) from error
            self._engine.dispose()  # those that wait in the pool are lost with it
            time.sleep(AGAIN_S)

    async def load(self, stream: str, after: int = 0) -> list[Recorded]:
        """The stream's events behind version `after`."""
        return await self.look(lambda connection: log.load(connection, self.sealer, stream, after))

    async def events_after(self, position: int, limit: int) -> list[Recorded]:
        """The feed: the next events of all streams, public part only."""
        return await self.look_through(lambda connection: log.feed(connection, position, limit))

    async def of_type(self, event_type: str) -> list[Recorded]:
        """Every event of a type, the oldest first, public part only: of those of which there are few."""
        return await self.look_through(lambda connection: log.of_type(connection, event_type))

    async def position(self) -> int:
        """The feed position of the last event; 0 in an empty log."""
        return await self.look(log.position)

    async def command(self, person: str, command_id: str) -> CommandSeen | None:
        """What that command asked and got, if it was recorded before."""
        return await self.look(lambda connection: log.command(connection, person, command_id))

    def fingerprint(self, told: bytes) -> bytes:
        """A keyed hash: equal for equal input, and not to be found by trying every telephone number."""
        return self.sealer.fingerprint(told)

    async def checkpoint(self) -> Checkpoint | None:
        """Signs the head of the log as it is committed now; None when that head is signed already.

        Raises RefusesToSign for a log that is not what was signed before: `refusal` then says so until it is.
        """
        async with self._sequencing:
            try:
                while await self.look_through(self._sequencer.take):
                    pass
                signed = await self.write(lambda connection: self._sequencer.sign(connection, iso(self._observe().at)))
            except RefusesToSign as refusal:
                if self.refusal is None or str(self.refusal) != str(refusal):
                    warn.error("checkpoint_refused", code=refusal.code)
                self.refusal = refusal
                raise
            self.refusal = None
            return signed

    async def head(self) -> Checkpoint | None:
        """The newest checkpoint."""
        return await self.look(checkpoints.last)

    async def head_over(self, position: int) -> Checkpoint:
        """The earliest cosigned checkpoint over the events up to this position, with its cosignatures; the earliest of
        all where there is none, signed now where there is not even that. Raises RefusesToSign.
        """
        while (found := await self.look(lambda connection: anchors.covering(connection, position))) is None:
            await self.checkpoint()
        return found

    def tree(self, size: int) -> Tree:
        """The tree over the events up to this position, for proofs. For a thread of the caller's own."""
        return Tree(self.leaves(0, size))

    def leaves(self, after: int, until: int) -> Iterator[bytes]:
        """The leaves of the tree behind position `after` up to `until`, in order. For a thread of the caller's own."""
        return (leaf for start in range(after, until, checkpoints.CHUNK) for leaf in self._leaves(start, until))

    def _leaves(self, after: int, size: int) -> list[bytes]:
        until = min(after + checkpoints.CHUNK, size)
        return self._on_connection(
            lambda connection: [leaf for _, leaf in checkpoints.leaves(connection, after, until)]
        )

    def shown(self, stream: str) -> dict[int, Shown]:
        """Version -> what a proof shows of the stream's events. For a thread of the caller's own."""
        return self._on_connection(lambda connection: checkpoints.shown(connection, stream))

    async def verify(self) -> list[ledger.Fault | HeadFault]:
        """Every fault of the timing log, of its signed heads, and of the access log."""
        return await self.look_through(self._faults)

    def _faults(self, connection: Connection) -> list[ledger.Fault | HeadFault]:
        heads = checkpoints.verify(connection, self.notary, self._heads)  # first: it fixes the snapshot
        return [*ledger.verify_all(connection), *heads, *access.verify(connection)]

    async def rebuild(self) -> None:
        """Makes the read rows again from the log."""
        await self.replay()

    async def replay(self) -> list[str]:
        """The same; the tables whose rows were not what the log says. One transaction: readers see the old rows until
        the new ones are whole, and what would write waits."""
        return await self._writer.do(lambda connection: projections.replay(connection, self.sealer))

    def derive(self, scope: str, purpose: str) -> bytes | None:
        """The key of a file that belongs to this scope (`Sealer.derived`). For a thread of the caller's own."""
        return self._on_connection(lambda connection: self.sealer.derived(connection, scope, purpose))

    def iterate(self, *, kind: str = "case/", until: int | None = None, chunk: int = 50) -> Iterator[Recorded]:
        """All events of the streams of a kind up to feed position `until`, public part only: streams in the order in
        which they began, each by version.

        For a thread of the caller's own. Reads `chunk` streams at a time, so that memory stays flat and no long
        snapshot keeps the write-ahead log from being reset; positions are dense, so `until` makes it consistent.
        """
        if until is None:
            until = self._on_connection(log.position)
        after = 0
        while True:
            events, after = self._on_connection(partial(_chunk, kind=kind, after=after, until=until, limit=chunk))
            if not after:
                return
            yield from events


def _chunk(connection: Connection, *, kind: str, after: int, until: int, limit: int) -> tuple[list[Recorded], int]:
    """The events of the next streams, and the position at which the last of them began; 0 when there are none."""
    found = log.streams(connection, kind, after, until, limit)
    events = [
        recorded for stream, _ in found for recorded in log.load(connection, None, stream) if recorded.position <= until
    ]
    return events, found[-1][1] if found else 0
