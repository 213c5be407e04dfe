"""What a server must be before a desk writes to it; each refusal says in one sentence what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from rvr.store import CannotOpen
from tests import postgres
from tests.store.builders import Clock, Place


async def opened(place: Place) -> None:
    store = place.store(Clock())
    await store.start()
    await store.close()


def at(tmp_path: Path, url: str, keys: str = "keys.json") -> Place:
    return Place(tmp_path / "data", tmp_path / "keys" / keys, url)


async def test_a_database_that_sorts_by_a_languages_rules_is_refused(server: postgres.Server, tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match="LOCALE 'C'"):
        await opened(at(tmp_path, server.database("C.UTF-8")))


async def test_a_server_that_brings_nothing_to_the_disk_is_refused(tmp_path: Path) -> None:
    with postgres.running(fsync="off") as careless, pytest.raises(CannotOpen, match="a power cut would lose"):
        await opened(at(tmp_path, careless.database()))


async def test_a_session_that_would_not_wait_for_the_disk_is_made_to(server: postgres.Server, tmp_path: Path) -> None:
    place = at(tmp_path, server.database() + "?options=-c%20synchronous_commit%3Doff")
    await opened(place)
    connection = place.connection()
    assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    connection.close()


async def test_the_key_file_of_another_store_is_refused(server: postgres.Server, tmp_path: Path) -> None:
    url = server.database()
    await opened(at(tmp_path, url))
    await opened(at(tmp_path, server.database(), "other.json"))
    with pytest.raises(CannotOpen, match="it belongs to another store"):
        await opened(at(tmp_path, url, "other.json"))
    with pytest.raises(CannotOpen, match="restore it from its backup"):
        await opened(at(tmp_path, url, "none.json"))


@pytest.mark.parametrize("url", ["nonsense", "postgresql://rvr:zq-secret@127.0.0.1:1/x"])
async def test_what_cannot_be_reached_is_told_without_the_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(CannotOpen) as refused:
        await opened(at(tmp_path, url))
    assert "zq-secret" not in str(refused.value)
    assert "cannot be re" in str(refused.value)
