"""The demo's staff: every role has somebody, and who belongs to which team is known to log, row and session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from rvr.core import events as e
from rvr.desk import Desk
from rvr.people import DEMO, DEMO_UNITS, seed_demo
from rvr.realtime import Hub
from rvr.store import Store, staff
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


async def test_demo_accounts_of_an_earlier_version_get_their_units(desk: Desk) -> None:
    await seed_demo(desk, "first", HASHER)
    await desk.store.write(lambda connection: connection.execute("UPDATE account SET units = '[]'").rowcount)
    await seed_demo(desk, "second", HASHER)
    rows = await desk.store.read(lambda session: {row.username: row for row in every(session, AccountRow)})
    assert {name: tuple(row.units) for name, row in rows.items() if row.units} == dict(DEMO_UNITS)
