"""Personal data: readable with the case's key in its own place, nowhere else, and gone with the key."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rvr.core import events as e
from rvr.core.case import Case, fold
from rvr.store import Append, Batch, CannotOpen, Message, Store, keys, messages
from rvr.store.identities import erase
from rvr.store.sealing import SealBroken
from rvr.store.sqlite import Connection, connect, engine_fault
from rvr.store.statements import put
from rvr.store.tables import METADATA, SettingRow
from tests import postgres
from tests.store.builders import Clock, Place, a_batch, blank, event, opened

CANARIES = ("Wilhelmina", "Fitzgerald-Okonkwo", "+447700900321", "17 Larkspur Mews", "B99 7ZX", "he took the keys")


def sealed_events(clock: Clock) -> tuple[e.Event, ...]:
    """One event of every type that has sealed fields, each full of canaries."""
    words = " ".join(CANARIES)
    kinds = {"str": words, "Mapping[str, Any]": {"a": words}, "Mapping[str, str]": {"a": words}}
    plain = {"str": "x", "int": 1, "bool": True, "tuple[str, ...]": ("a",)}
    found = []
    for kind in e.FACTS.values():
        hidden = kind.sealed_fields()
        fields = {f.name: (kinds if f.name in hidden else plain).get(str(f.type), {}) for f in dataclasses.fields(kind)}
        if hidden:
            found.append(event(kind(**fields), "assessment", clock))
    return tuple(found)


async def write_canaries(store: Store, clock: Clock) -> str:
    """A case, an event of every type with a sealed part, and a message: all full of them."""
    words = " ".join(CANARIES)
    batch = a_batch("c1", Case("1"), opened(clock, name=words, phone=CANARIES[2]), *sealed_events(clock))
    await store.append(dataclasses.replace(batch, messages=(Message("m1", "1", "sms", CANARIES[2], words),)))
    assert words in str(await store.load("case/1"))
    return words


@pytest.mark.files
async def test_no_name_number_or_address_can_be_read_outside_the_sealed_columns(
    store: Store, place: Place, clock: Clock
) -> None:
    words = await write_canaries(store, clock)
    files = [place.data / name for name in ("rvr.db", "rvr.db-wal")]
    assert all(file.stat().st_size > 0 for file in files)
    assert [c for c in CANARIES for file in files if c.encode() in file.read_bytes()] == []
    assert await store.write(found_in_clear) == []
    await store.write(lambda c: put(c, SettingRow(key="control", value=words)))
    assert len(await store.write(found_in_clear)) == len(CANARIES), "the search must be able to find"


async def test_nor_in_the_files_of_a_server(tmp_path: Path, clock: Clock) -> None:
    with postgres.running() as own:
        store = Place(tmp_path / "data", tmp_path / "keys" / "keys.json", own.database()).store(clock)
        await store.start()
        words = await write_canaries(store, clock)
        assert await store.write(found_in_clear) == []
        assert in_files(own) == []
        await store.write(lambda c: put(c, SettingRow(key="control", value=words)))
        assert set(in_files(own)) == set(CANARIES), "the search must be able to find"
        await store.close()


def in_files(server: postgres.Server) -> list[str]:
    """The canaries in any file of a server that nobody else uses."""
    server.ask("CHECKPOINT")
    files = [file.read_bytes() for file in server.folder.rglob("*") if file.is_file()]
    return [canary for canary in CANARIES if any(canary.encode() in file for file in files)]


def found_in_clear(connection: Connection) -> list[tuple[str, str, str]]:
    """(table, column, canary) of each canary in a column that is not sealed; the connection has the key."""
    execute = connection.execute
    found = []
    for table in METADATA.tables.values():
        columns = [column.name for column in table.columns]
        for row in execute(f"SELECT {', '.join(columns)} FROM {table.name}"):  # noqa: S608
            for column, value in zip(columns, row, strict=True):
                data = value if isinstance(value, bytes) else str(value).encode()
                found += [(table.name, column, canary) for canary in CANARIES if canary.encode() in data]
    return found


async def test_a_destroyed_key_takes_the_personal_data_and_leaves_the_log_whole(store: Store, clock: Clock) -> None:
    message = Message("m1", "1", "sms", CANARIES[2], "text")
    batch = a_batch("c1", Case("1"), opened(clock, name="Ann"), *sealed_events(clock)[1:4])
    await store.append(dataclasses.replace(batch, messages=(message,)))
    await store.append(a_batch("c2", Case("2"), opened(clock, "R2", name="Eve")))
    await store.write(lambda c: erase(c, "case/1"))
    case = fold("1", await store.load("case/1"))
    assert (case.personal, case.reference, case.version) == ({}, "K7QX", 4)
    assert fold("2", await store.load("case/2")).personal == {"name": "Eve"}
    (left,) = await store.read(lambda s: messages.latest(s, store.sealer))
    assert (left.message.recipient, left.message.body) == ("", "")
    assert await store.verify() == []


async def test_one_case_has_one_key_and_no_two_cases_share_one(store: Store, clock: Clock) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock, "R1", name="Ann"), *sealed_events(clock)[:2]))
    await store.append(a_batch("c2", Case("2"), opened(clock, "R2", name="Ann")))
    await store.append(a_batch("c3", Case("3"), opened(clock, "R3")))
    scopes = await store.write(lambda c: c.execute("SELECT scope FROM data_key ORDER BY scope").fetchall())
    assert scopes == [("case/1",), ("case/2",)]


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE event SET sealed = (SELECT sealed FROM event WHERE position = 2) WHERE position = 1",
        "UPDATE event SET sealed = substr(sealed, 1, 20) WHERE position = 1",
        partial(blank, table="event", column="sealed", where="position = 1"),
    ],
)
async def test_what_is_sealed_does_not_open_in_another_place(
    store: Store, place: Place, clock: Clock, tamper: str | Callable[[Any], None]
) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock, name="Ann"), opened(clock, name="Eve")))
    place.tamper(tamper)
    with pytest.raises(SealBroken):
        await store.load("case/1")


async def test_staff_streams_are_sealed_under_their_own_key(store: Store, clock: Clock) -> None:
    fact = e.PersonRegistered(roles=("officer",), username="w.fitz", name=CANARIES[0])
    await store.append(Batch("c1", "admin", b"", (Append("person/p1", 0, (event(fact, "", clock),)),)))
    assert (await store.load("person/p1"))[0].event.fact == fact
    assert await store.write(found_in_clear) == []


async def reopened(place: Place, clock: Clock) -> None:
    store = place.store(clock)
    await store.start()
    await store.close()


async def test_a_key_file_inside_the_data_folder_is_refused(place: Place, clock: Clock) -> None:
    for inside in (place.data / "keys.json", place.data / "deep" / "keys.json", place.data / ".." / "data" / "k"):
        with pytest.raises(CannotOpen, match="inside the data folder"):
            await reopened(Place(place.data, inside), clock)
    place.key_file.parent.mkdir()
    place.key_file.parent.joinpath("link").symlink_to(place.data)
    with pytest.raises(CannotOpen, match="inside the data folder"):
        await reopened(Place(place.data, place.key_file.parent / "link" / "keys.json"), clock)


async def test_an_existing_database_without_its_key_file_never_gets_a_new_one(place: Place, clock: Clock) -> None:
    await reopened(place, clock)
    place.key_file.unlink()
    with pytest.raises(CannotOpen, match="restore it from its backup"):
        await reopened(place, clock)
    assert not place.key_file.exists()


@pytest.mark.files
async def test_another_key_is_refused_in_a_sentence_that_says_so(place: Place, clock: Clock, tmp_path: Path) -> None:
    await reopened(place, clock)
    await reopened(Place(tmp_path / "other", tmp_path / "other-keys.json"), clock)
    with pytest.raises(CannotOpen, match="another key, or a damaged file"):
        await reopened(Place(place.data, tmp_path / "other-keys.json"), clock)
    await reopened(place, clock)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"format": 1}', '{"format":1,"masters":[],"index":"00","database":"00"}', "[1]", "null"]
)
async def test_a_damaged_key_file_is_refused(place: Place, clock: Clock, text: str) -> None:
    place.key_file.parent.mkdir()
    place.key_file.write_text(text)
    place.key_file.chmod(0o600)
    with pytest.raises(CannotOpen, match="key file"):
        await reopened(place, clock)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
async def test_the_key_file_is_for_its_owner_alone(place: Place, clock: Clock) -> None:
    await reopened(place, clock)
    assert place.key_file.stat().st_mode & 0o777 == 0o600
    assert place.key_file.parent.stat().st_mode & 0o777 == 0o700
    place.key_file.chmod(0o640)
    with pytest.raises(CannotOpen, match="chmod 600"):
        await reopened(place, clock)


async def test_after_a_change_of_master_key_older_data_keys_still_open(place: Place, clock: Clock) -> None:
    store = place.store(clock)
    await store.start()
    await store.append(a_batch("c1", Case("1"), opened(clock, "R1", name="Ann")))
    await store.close()
    told = json.loads(place.key_file.read_text())
    told["masters"].append({"id": "second", "key": "ab" * 32})
    place.key_file.write_text(json.dumps(told))
    store = place.store(clock)
    await store.start()
    await store.append(a_batch("c2", Case("2"), opened(clock, "R2", name="Eve")))
    masters = await store.write(lambda c: c.execute("SELECT master_id FROM data_key ORDER BY scope").fetchall())
    assert masters == [(told["masters"][0]["id"],), ("second",)]
    assert fold("1", await store.load("case/1")).personal == {"name": "Ann"}
    assert fold("2", await store.load("case/2")).personal == {"name": "Eve"}
    await store.close()


def test_an_engine_with_the_log_reset_fault_is_refused() -> None:
    assert engine_fault((3, 51, 2))
    assert engine_fault((3, 40, 1))
    assert not engine_fault((3, 51, 3))
    assert not engine_fault((3, 53, 4))
    assert not engine_fault((4, 0, 0))


def test_keys_cannot_be_printed(tmp_path: Path) -> None:
    found = keys.load(tmp_path / "k" / "keys.json", data=tmp_path / "data", database_exists=False)
    assert found.database.hex() not in repr(found)
    assert repr(found.database) not in repr(found)


def test_every_pragma_that_durability_rests_on_is_set(tmp_path: Path) -> None:
    connection = connect(tmp_path / "x.db", bytes(32), write=True)
    told = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    connection.close()
    assert told == ["wal", 2]
