"""The demo's staff: every role has somebody, and who belongs to which team is known to log, row and session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from rvr import people
from rvr.core import events as e
from rvr.core.roster import apply_officer
from rvr.desk import Desk
from rvr.people import DEMO, DEMO_UNITS, seed_demo
from rvr.realtime import Hub
from rvr.store import Append, Batch, Store, staff
from rvr.store.tables import AccountRow, every
from rvr.web.app import EVERY_ROLE
from rvr.web.auth import _signed_in
from tests.builders import Universe, shipped
from tests.store.builders import Clock, Place

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    place, universe = Place(tmp_path / "data", tmp_path / "keys" / "keys.json"), Universe()
    store: Store = place.store(Clock())
    await store.start()
    yield Desk(store, shipped(), Hub(), observe=universe, join_url="", link_text="", new_id=universe.new_id)
    await store.close()


def test_every_role_of_staff_has_a_demo_account() -> None:
    assert {role for _, _, role in DEMO} == EVERY_ROLE
    assert set(DEMO_UNITS) <= {username for username, _, _ in DEMO}


def test_the_demo_investigator_belongs_to_every_team() -> None:
    assert set(DEMO_UNITS["investigator"]) == set(shipped().workflows["da-desk"].force.teams)


async def test_units_are_in_the_log_in_the_row_and_in_the_session(desk: Desk) -> None:
    await seed_demo(desk, "first", HASHER)
    (row,) = await desk.store.read(lambda session: every(session, AccountRow, AccountRow.username == "advocate"))
    assert row.units == ["bswa"]
    (recorded,) = await desk.store.load(f"person/{row.id}")
    assert isinstance(recorded.event.fact, e.PersonRegistered)
    assert recorded.event.fact.units == ("bswa",)
    person = (await desk.people())[row.id]
    assert _signed_in(staff.Open("a" * 64, "", "", ""), person).actor.units == {"bswa"}


async def test_of_changes_at_once_of_one_account_none_is_lost(desk: Desk) -> None:
    await seed_demo(desk, "first", HASHER)
    (row,) = await desk.store.read(lambda session: every(session, AccountRow, AccountRow.username == "advocate"))
    whats = [f"roles-{number}" for number in range(6)]
    changes = (people.change(desk, row.id, e.AccountChanged(what=what), by="admin") for what in whats)
    await asyncio.gather(*changes)
    told = [one.event.fact for one in await desk.store.load(f"person/{row.id}")]
    assert sorted(fact.what for fact in told if isinstance(fact, e.AccountChanged)) == whats


async def test_a_disabled_officer_is_on_duty_no_more_and_the_log_stays_what_it_was(desk: Desk) -> None:
    await seed_demo(desk, "first", HASHER)
    (row,) = await desk.store.read(lambda session: every(session, AccountRow, AccountRow.username == "officer"))
    before = await desk.capacity()
    await people.change(desk, row.id, e.AccountChanged(what="disabled"), by="admin", disabled=True)
    officer = (await desk.roster())[row.id]
    assert (officer.status, officer.duty, officer.free) == ("on", "off", False)
    assert (await desk.capacity()).on_duty == before.on_duty - 1
    freed = e.Event(e.OfficerFreed(case="c"), "", desk.observe(), "someone", "sergeant")
    append = Append(f"officer/{row.id}", officer.version, (freed,))
    await desk.store.append(Batch("free", "someone", b"", (append,), officers=(apply_officer(officer, freed),)))
    await people.change(desk, row.id, e.AccountChanged(what="enabled"), by="admin", disabled=False)
    assert (await desk.roster())[row.id].duty == "on"


async def test_demo_accounts_of_an_earlier_version_get_their_units(desk: Desk) -> None:
    await seed_demo(desk, "first", HASHER)
    await desk.store.write(lambda connection: connection.execute("UPDATE account SET units = '[]'").rowcount)
    await seed_demo(desk, "second", HASHER)
    rows = await desk.store.read(lambda session: {row.username: row for row in every(session, AccountRow)})
    assert {name: tuple(row.units) for name, row in rows.items() if row.units} == dict(DEMO_UNITS)
