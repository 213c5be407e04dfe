"""The writer: many callers share one commit, one caller's fault stays its own, and a full disk is said, not hidden."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rvr.core.case import Case
from rvr.core.errors import Unavailable
from rvr.store import Store
from rvr.store.sqlite import Committer, Connection, dbapi
from rvr.store.statements import put
from rvr.store.tables import SettingRow, every
from rvr.store.writer import Job, Writer
from tests.store.builders import Clock, Place, a_batch, opened


def setting(key: str) -> Job[None]:
    return lambda connection: put(connection, SettingRow(key=key, value="x"))


_holding: set[asyncio.Task[None]] = set()


async def held(do: Callable[[Job[None]], Awaitable[None]]) -> threading.Event:
    """Keeps the writer busy until the event is set, so that what follows shares one commit."""
    gate, running = threading.Event(), threading.Event()

    def wait(_: Connection) -> None:
        running.set()
        gate.wait(10)

    async def hold() -> None:
        await do(wait)

    _holding.add(task := asyncio.create_task(hold()))
    task.add_done_callback(_holding.discard)
    await asyncio.to_thread(running.wait, 10)
    return gate


async def test_one_failing_job_does_not_harm_the_others_in_its_commit(store: Store) -> None:
    def fail_half_way(connection: Connection) -> None:
        put(connection, SettingRow(key="half", value="x"))
        raise ValueError("mine alone")

    gate = await held(store.write)
    jobs = [fail_half_way if number == 5 else setting(f"k{number}") for number in range(10)]
    waiting = asyncio.gather(*(store.write(job) for job in jobs), return_exceptions=True)
    await asyncio.sleep(0)
    gate.set()
    answers = await waiting
    assert [type(answer) for answer in answers].count(ValueError) == 1
    kept = {row.key for row in await store.read(lambda s: every(s, SettingRow))}
    assert kept >= {f"k{number}" for number in range(10) if number != 5}
    assert "half" not in kept


async def test_a_job_that_is_refused_before_it_wrote_costs_the_others_nothing(store: Store) -> None:
    """Only what fails half way makes the others of its commit run again."""
    runs = list[str]()

    def counted(key: str) -> Job[None]:
        return lambda connection: (runs.append(key), put(connection, SettingRow(key=key, value="x")))[-1]

    def refuse(connection: Connection) -> None:
        raise ValueError("mine alone")

    gate = await held(store.write)
    jobs = [counted("k1"), refuse, counted("k2")]
    waiting = asyncio.gather(*(store.write(job) for job in jobs), return_exceptions=True)
    await asyncio.sleep(0)
    gate.set()
    assert [type(answer) for answer in await waiting] == [type(None), ValueError, type(None)]
    assert runs == ["k1", "k2"]


@pytest.mark.files
async def test_waiting_jobs_share_one_commit_of_at_most_64(store: Store, place: Place) -> None:
    connection = _Watched(place.connection())
    writer = Writer(lambda: Committer(connection))
    writer.start()
    gate = await held(writer.do)
    waiting = [asyncio.create_task(writer.do(setting(f"k{n}"))) for n in range(130)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*waiting)
    await asyncio.to_thread(writer.stop)
    assert connection.batches == [0, 64, 64, 2]


@pytest.mark.files
async def test_a_full_disk_is_unavailable_and_writing_goes_on_when_there_is_room(store: Store, clock: Clock) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock, "R1", name="Ann")))
    pages = await store.write(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await store.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises(Unavailable) as told:
        await store.append(a_batch("c2", Case("2"), opened(clock, "R2", note="x" * 100_000)))
    assert isinstance(told.value.__cause__, dbapi.OperationalError)
    assert [recorded.version for recorded in await store.load("case/1")] == [1]
    await store.write(lambda c: c.execute("PRAGMA max_page_count = 100000").fetchone())
    await store.append(a_batch("c2", Case("2"), opened(clock, "R2", note="x" * 100_000)))
    assert await store.position() == 2
    assert await store.verify() == []


class _Watched:
    """A connection that counts what each commit writes, and whose commits can be made to fail like a broken disk's."""

    def __init__(self, real: Connection) -> None:
        self.real, self.broken = real, False
        self.batches: list[int] = []

    def begin(self) -> None:
        self.batches.append(0)
        self.real.begin()

    def commit(self) -> None:
        if self.broken:
            raise dbapi.OperationalError("disk I/O error")
        self.real.commit()

    def rollback(self) -> None:
        self.real.rollback()

    def execute(self, sql: str, *values: Any) -> object:
        if sql.startswith("INSERT"):
            self.batches[-1] += 1
        return self.real.execute(sql, *values)

    @property
    def total_changes(self) -> int:
        return self.real.total_changes

    @property
    def in_transaction(self) -> bool:
        return self.real.in_transaction

    def close(self) -> None:
        self.real.close()


@pytest.mark.files
async def test_a_full_disk_is_told_until_a_write_succeeds_and_what_was_held_is_written_then(store: Store) -> None:
    pages = await store.write(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await store.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises(Unavailable) as told:
        await store.write(setting("k" + "x" * 100_000))
    assert ([reason.code for reason in told.value.reasons], store.fault) == (["disk-full"], "disk-full")
    await store.write(lambda c: c.execute("SELECT 1").fetchone())
    assert store.fault == "disk-full", "a job that writes nothing proves nothing"
    await store.write_or_hold(setting("held" + "x" * 100_000))
    with pytest.raises(Unavailable):
        await store.probe()
    await store.write(lambda c: c.execute("PRAGMA max_page_count = 100000").fetchone())
    await store.probe()
    assert store.fault == ""
    assert any(row.key.startswith("held") for row in await store.read(lambda s: every(s, SettingRow)))
    with pytest.raises(ZeroDivisionError):
        await store.write_or_hold(lambda c: 1 / 0)


@pytest.mark.files
async def test_a_disk_that_takes_no_writing_is_told_until_it_does_again(store: Store, place: Place) -> None:
    connection = place.connection()
    writer = Writer(lambda: Committer(connection))
    writer.start()
    connection.execute("PRAGMA query_only = 1")
    with pytest.raises(Unavailable) as told:
        await writer.do(setting("k"))
    assert ([reason.code for reason in told.value.reasons], writer.fault) == (["disk-read-only"], "disk-read-only")
    connection.execute("PRAGMA query_only = 0")
    await writer.do(setting("k"))
    assert writer.fault == ""
    await asyncio.to_thread(writer.stop)


@pytest.mark.files
async def test_a_failed_commit_fails_the_whole_batch_and_keeps_nothing(store: Store, place: Place) -> None:
    connection = _Watched(place.connection())
    writer = Writer(lambda: Committer(connection))
    writer.start()
    connection.broken = True
    answers = await asyncio.gather(
        *(writer.do(setting(f"k{n}")) for n in range(3)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    connection.broken = False
    await writer.do(setting("later"))
    await asyncio.to_thread(writer.stop)
    kept = {row.key for row in await store.read(lambda s: every(s, SettingRow))}
    assert kept == {"created_at", "envelope", "log", "opens", "rows", "later"}


async def test_a_clean_stop_finishes_what_waits_and_refuses_what_comes_after(place: Place, clock: Clock) -> None:
    store = place.store(clock)
    await store.start()
    gate = await held(store.write)
    waiting = [asyncio.create_task(store.write(setting(f"k{n}"))) for n in range(100)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0.05)
    with pytest.raises(Unavailable):
        await store.write(setting("too late"))
    gate.set()
    await asyncio.gather(*waiting, closing)
    connection = place.connection()
    (kept,) = connection.execute("SELECT count(*) FROM setting WHERE key LIKE 'k%'").fetchone()
    connection.close()
    assert kept == 100


async def test_a_caller_that_goes_away_leaves_its_command_done(store: Store, clock: Clock) -> None:
    gate = await held(store.write)
    task = asyncio.create_task(store.append(a_batch("c1", Case("1"), opened(clock))))
    await asyncio.sleep(0)
    task.cancel()
    gate.set()
    assert await store.write(lambda c: c.execute("SELECT count(*) FROM event").fetchone()) == (1,)
    assert task.cancelled()
