"""What only a server does: processes that stand still, connections that go, several that start at once."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rvr.core.case import Case
from rvr.store import Store
from rvr.store.checkpoints import Heads, RefusesToSign, Sequencer
from rvr.store.engine import CannotOpen
from rvr.store.postgres import STANDING_STILL_S, Postgres
from rvr.store.statements import put
from rvr.store.tables import SettingRow, every
from tests.serving import ROOT
from tests.store.builders import Clock, Place, a_batch, opened
from tests.store.test_checkpoints import cases, heads_file, kept

STOPS = """
import asyncio, signal, sys, threading
from tests.store.builders import Clock, Place
from rvr.store.statements import put
from rvr.store.tables import SettingRow

async def main():
    store = Place.told(*sys.argv[1:]).store(Clock())
    await store.start()
    def stand_still(connection):
        connection.execute("SELECT 1").fetchone()  # the lock is held
        print("in", flush=True)
        if not stopped:
            stopped.append(True)
            put(connection, SettingRow(key="stopped", value="x"))
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # this thread before it takes another step
        put(connection, SettingRow(key="stopped", value="y"))
    stopped = []
    try:
        await store.write(stand_still)
    finally:
        await store.close()

asyncio.run(main())
"""


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path / "data", tmp_path / "keys" / "keys.json", request.getfixturevalue("server").database())


@pytest.mark.parametrize("password", ["Ge@heim", "Ge/heim", "Geheim", "Ge%heim", "Ge:heim", "Ge%40heim"])
def test_no_sentence_shows_a_part_of_a_password(password: str) -> None:
    with pytest.raises(CannotOpen) as fault:
        Postgres(f"postgresql://rvr:{password}@127.0.0.1:1/rvr").connect(write=False)
    assert "heim" not in str(fault.value)


def stopped(place: Place) -> subprocess.Popen[str]:
    """A process that stands still in the middle of a commit."""
    child = subprocess.Popen(
        [sys.executable, "-c", STOPS, *place.arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "in\n"
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    return child


@pytest.mark.skipif(os.name != "posix", reason="signals")
async def test_a_process_that_stands_still_in_the_middle_of_a_commit_holds_nobody_up_for_long(
    store: Store, place: Place
) -> None:
    child = await asyncio.to_thread(stopped, place)
    try:
        began = time.monotonic()
        await asyncio.gather(*(store.write(lambda c, n=n: put(c, SettingRow(key=f"k{n}", value="x"))) for n in "abc"))
        assert STANDING_STILL_S - 1 < time.monotonic() - began < STANDING_STILL_S + 2
        found = {row.key for row in await store.read(lambda session: every(session, SettingRow))}
        assert {"ka", "kb", "kc"} <= found
        assert "stopped" not in found, "nothing of half a commit is kept"
        child.send_signal(signal.SIGCONT)
        await asyncio.to_thread(child.wait, 20)
    finally:
        child.kill()
        child.communicate()


async def test_stores_that_start_at_once_on_an_empty_database_all_open(place: Place) -> None:
    stores = [place.store(Clock()) for _ in range(4)]
    opened = await asyncio.gather(*(store.start() for store in stores), return_exceptions=True)
    try:
        assert opened == [None] * len(stores)
    finally:
        for store, fault in zip(stores, opened, strict=True):
            if fault is None:
                await store.close()


def another_machine(place: Place, folder: Path) -> Place:
    """Its key file was copied there, and nothing else."""
    (folder / "keys").mkdir(parents=True, mode=0o700)
    shutil.copy2(place.key_file, folder / "keys" / "keys.json")
    return Place(folder / "data", folder / "keys" / "keys.json", place.url)


async def test_a_second_machine_notes_every_head_once_it_is_proven_and_signs_on(
    store: Store, place: Place, clock: Clock, tmp_path: Path
) -> None:
    await cases(store, clock, "ab")
    there = another_machine(place, tmp_path / "there")
    second = there.store(clock)
    await second.start()
    try:
        assert await second.verify() == []
        assert await second.checkpoint() is None
        assert kept(there) == kept(place)[-1:], "what the first signed"
        await cases(second, clock, "c", 1)
        await cases(store, clock, "d", 1)
        assert await second.checkpoint() is None
        assert await store.checkpoint() is None
        assert kept(there)[-2:] == kept(place)[-2:]
        assert await second.verify() == await store.verify() == []
        heads_file(there).unlink()
        await cases(store, clock, "e", 1)
        with pytest.raises(RefusesToSign) as refused:
            await second.checkpoint()
        assert refused.value.code == "heads-missing"
        assert [fault.code for fault in await second.verify()] == ["heads-missing"]
    finally:
        await second.close()


class Counting:
    """A connection that counts the leaves that are asked of it."""

    def __init__(self, place: Place) -> None:
        self.connection, self.leaves = place.connection(), 0

    def execute(self, *asked: Any) -> Any:
        return self.connection.execute(*asked)

    def rows(self, sql: str, values: Any) -> Any:
        found = list(self.connection.rows(sql, values))
        self.leaves += len(found)
        return found


async def test_a_head_that_another_process_signed_costs_no_look_at_the_whole_log(
    store: Store, place: Place, clock: Clock
) -> None:
    """It is always a little behind: the log grows between the other's look and its signature."""
    signing, beside = (Sequencer(store.notary, Heads(heads_file(place), store.notary.name)) for _ in range(2))
    signs, counting, turns = place.connection(), Counting(place), 8
    for turn in range(turns):
        await store.append(a_batch(f"b{turn}", Case(f"b{turn}"), opened(clock, f"B{turn}")))
        assert not signing.take(signs)
        await store.append(a_batch(f"c{turn}", Case(f"c{turn}"), opened(clock, f"C{turn}")))
        while beside.take(counting):
            pass
        assert signing.sign(signs, "2026") is not None
    while beside.take(counting):
        pass
    signs.close()
    counting.connection.close()
    assert counting.leaves <= 3 * await store.position(), "each event a few times, however long the log"
    assert await store.verify() == []
