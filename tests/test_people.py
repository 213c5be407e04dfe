"""The demo's staff: every role has somebody, and who belongs to which team is known to log, row and session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from rvr import people
from rvr.core import events as e
from rvr.core.roster import apply_officer
from rvr.desk import Desk
from rvr.people import DEMO, DEMO_UNITS, change, register, seed_demo
from rvr.realtime import Hub
from rvr.store import Append, Batch, Passkeys, PasskeyTaken, Store, staff
from rvr.store.tables import AccountRow, PasskeyRow, every
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


def passkey(person: str, id_: str = "k1", key: bytes = b"key") -> dict[str, Any]:
    at = "2026-11-22T21:18:04.000000Z"
    more = {"name": "Token", "uses": 0, "challenge": 0, "created_at": at, "used_at": ""}
    return {"id": id_, "person": person, "public_key": key, **more}


async def passkeys(desk: Desk) -> dict[str, tuple[str, bytes]]:
    rows = await desk.store.read(lambda session: every(session, PasskeyRow))
    return {row.id: (row.person, row.public_key) for row in rows}


async def test_a_passkey_comes_with_its_event_and_is_nobody_elses_to_overwrite(desk: Desk) -> None:
    """Whoever learns the id of another's credential makes none of the same id (WebAuthn level 3, 7.1)."""
    ann, bob = [(await register(desk, name, name, ("officer",), "")).id for name in ("ann", "bob")]
    added = e.AccountChanged(what="passkey_added")
    await change(desk, ann, added, by=ann, passkeys=Passkeys(new=(passkey(ann),)))
    for insider in (bob, ann):
        with pytest.raises(PasskeyTaken):
            await change(desk, insider, added, by=insider, passkeys=Passkeys(new=(passkey(insider, key=b"other"),)))
    assert await passkeys(desk) == {"k1": (ann, b"key")}
    log = {who: [one.event.type for one in await desk.store.load(f"person/{who}")] for who in (ann, bob)}
    assert log == {ann: ["PersonRegistered", "AccountChanged"], bob: ["PersonRegistered"]}


@pytest.mark.parametrize(
    ("what", "stays"),
    [
        ("password", {"k3"}),
        ("second_factor", {"k3"}),
        ("sign_ins_ended", {"k1", "k2", "k3"}),
        ("roles", {"k1", "k2", "k3"}),
    ],
)
async def test_an_account_that_is_given_back_has_no_passkey_of_before(desk: Desk, what: str, stays: set[str]) -> None:
    ann, bob = [(await register(desk, name, name, ("officer",), "")).id for name in ("ann", "bob")]
    for who, names in ((ann, ("k1", "k2")), (bob, ("k3",))):
        new = tuple(passkey(who, name) for name in names)
        await change(desk, who, e.AccountChanged(what="passkey_added"), by=who, passkeys=Passkeys(new=new))
    await change(desk, ann, e.AccountChanged(what=what), by="terminal")
    assert set(await passkeys(desk)) == stays


async def test_demo_accounts_of_an_earlier_version_get_their_units(desk: Desk) -> None:
    await seed_demo(desk, "first", HASHER)
    await desk.store.write(lambda connection: connection.execute("UPDATE account SET units = '[]'").rowcount)
    await seed_demo(desk, "second", HASHER)
    rows = await desk.store.read(lambda session: {row.username: row for row in every(session, AccountRow)})
    assert {name: tuple(row.units) for name, row in rows.items() if row.units} == dict(DEMO_UNITS)
