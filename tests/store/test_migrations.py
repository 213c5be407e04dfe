"""The schema: what the migrations make is what the program's tables say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.roster import Officer
from rvr.store import Store, migrations
from rvr.store.engine import Connection
from rvr.store.tables import METADATA, AccountRow, CaseRow, ClockRow, IdentityRow, OfficerRow, OrderRow, every, put
from tests.store.builders import Clock, Place, a_batch, a_duty, an_order, opened


async def test_the_tables_equal_the_newest_migration(store: Store, place: Place) -> None:
    engine = place.database(place.keys()).schema_engine()
    with engine.begin() as connection:
        only_ours = {"compare_type": True, "include_name": lambda name, kind, _: (kind, name) != ("table", "given")}
        context = MigrationContext.configure(connection, opts=only_ours)
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


@pytest.mark.files
async def test_starting_again_leaves_the_schema_as_it_is(store: Store, place: Place, clock: Clock) -> None:
    def schema() -> list[tuple[str]]:
        connection = place.connection()
        found = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
        found += connection.execute("SELECT version_num FROM alembic_version").fetchall()
        connection.close()
        return found

    before = schema()
    await store.close()
    again = place.store(clock)
    await again.start()
    await again.close()
    assert schema() == before
    assert ("0005",) in before


async def everything(store: Store) -> dict[str, list[dict[str, Any]]]:
    kinds = (CaseRow, ClockRow, OfficerRow, OrderRow, IdentityRow, AccountRow)
    return await store.read(
        lambda session: {kind.__name__: [row.model_dump() for row in every(session, kind)] for kind in kinds}
    )


@pytest.mark.files
async def test_a_store_of_the_first_schema_keeps_its_rows_and_gets_those_it_lacks(
    store: Store, place: Place, clock: Clock, tmp_path: Path
) -> None:
    """Everything but the new tables and columns is copied into a database that step 0001 made."""
    told = {"victim_name": "Ann Example", "victim_dob": "1991-04-30", "safe_number": "+447700900123"}
    for number in range(3):
        await store.append(a_batch(f"c{number}", Case(str(number)), opened(clock, f"R{number}", **told)))
    await store.append(a_duty("d1", Officer("o1"), e.OfficerDutyChanged(status="on"), clock=clock))
    account = AccountRow(id="p1", username="ann", name="Ann", roles=["officer"], password_hash="x")
    await store.write(lambda connection: put(connection, account))
    before = await everything(store)
    await store.close()
    old = Place(tmp_path / "old", place.key_file)
    old.data.mkdir()
    first_schema(old)
    copy(place.connection(), old.connection())
    upgraded = old.store(clock)
    await upgraded.start()
    assert await everything(upgraded) == before
    assert before["IdentityRow"]
    assert await upgraded.verify() == []
    await upgraded.append(an_order("o1", clock))
    grown = await everything(upgraded)
    await upgraded.rebuild()
    assert await everything(upgraded) == grown
    await upgraded.close()


def first_schema(place: Place) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    engine = place.database(place.keys()).schema_engine()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()


def copy(here: Connection, there: Connection) -> None:
    """The rows of every table that is there, as far as it has their columns."""
    tables = [name for (name,) in there.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in set(tables) - {"alembic_version", "sqlite_sequence"}:
        names = ", ".join(f'"{row[1]}"' for row in there.execute(f"PRAGMA table_info({table})"))
        for row in here.execute(f"SELECT {names} FROM {table}").fetchall():  # noqa: S608
            there.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
    there.execute("DELETE FROM setting WHERE key = 'rows'")
    here.close()
    there.close()
