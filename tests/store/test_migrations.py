"""The schema: what the migrations make is what the program's tables say, from every earlier step, whatever kills it."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from rvr.core import events as e
from rvr.core.case import Case, apply, fold
from rvr.core.roster import Officer
from rvr.store import Append, Batch, CannotOpen, Store, access, anchors, migrations
from rvr.store.anchors import Anchor
from rvr.store.messages import Message
from rvr.store.statements import put
from rvr.store.tables import METADATA, AccountRow, LinkRow, PasskeyRow, SigninRow, TryRow
from tests import postgres
from tests.store.builders import Clock, Place, a_batch, a_duty, a_note, an_order, opened

ROOT = Path(__file__).parents[2]
EARLIER = migrations.known()[:-1]
LATER = {
    "identity_row": "0002",
    "order_row": "0002",
    "checkpoint": "0003",
    "anchor": "0004",
    "passkey": "0010",
    "sign_in_try": "0013",
}
"""Table -> the step that made it, where that is not the first."""

MADE_AGAIN = {"case_row", "clock_row", "officer_row", "order_row", "identity_row", "glass_row"}
Rows = dict[str, list[dict[str, Any]]]


async def test_the_tables_equal_the_newest_migration(store: Store, place: Place) -> None:
    engine = place.database(place.keys()).schema_engine()
    with engine.begin() as connection:
        only_ours = {"compare_type": True, "include_name": lambda name, kind, _: (kind, name) != ("table", "given")}
        context = MigrationContext.configure(connection, opts=only_ours)
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_the_files_names_tell_the_steps_and_their_order() -> None:
    steps = list(ScriptDirectory.from_config(migrations.configured()).walk_revisions())[::-1]
    assert migrations.known() == [step.revision for step in steps]


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
    assert ("0014",) in before


def test_what_migrates_is_loaded_where_there_is_something_to_migrate_and_nowhere_else(tmp_path: Path) -> None:
    """Every verb opens the store, and would begin a tenth of a second later."""
    code = "import sys; from rvr import cli; cli.main(sys.argv[1:]); print('alembic' in sys.modules)"
    verb = [sys.executable, "-c", code, "migrate", "--data", str(tmp_path / "data")]
    told = [subprocess.run(verb, cwd=ROOT, check=True, capture_output=True, text=True).stdout for _ in range(2)]
    assert [one.split()[-1] for one in told] == ["True", "False"]


# --- From every earlier step -------------------------------------------------------------------------------------


async def everything(store: Store) -> Rows:
    """Every row of every table but the facts about the store itself."""

    def read(session: Any) -> Rows:
        tables = [table for table in METADATA.sorted_tables if table.name != "setting"]
        return {table.name: rows(session, table) for table in tables}

    def rows(session: Any, table: sa.Table) -> list[dict[str, Any]]:
        found = [dict(row) for row in session.connection().execute(sa.select(table)).mappings()]
        return sorted(found, key=repr)

    return await store.read(read)


async def fill(place: Place, clock: Clock) -> Rows:
    """Rows in every table, of the newest step."""
    store = place.store(clock)
    await store.start()
    told = {"victim_name": "Ann Example", "victim_dob": "1991-04-30", "safe_number": "+447700900123"}
    link = LinkRow(id="l1", case_id="0", seat="s1", token_hash="t1", expires_at="2026-11-23T00:00:00.000000Z")
    message = Message(id="m1", case_id="0", kind="link", recipient="+447700900123", body="Here")
    for number in range(3):
        batch = a_batch(f"c{number}", Case(str(number)), opened(clock, f"R{number}", **told))
        await store.append(batch if number else replace(batch, links=(link,), messages=(message,)))
    await store.append(a_duty("d1", Officer("o1"), e.OfficerDutyChanged(status="on"), clock=clock))
    await store.append(an_order("o1", clock))
    glass = e.Event(
        e.GlassBroken(until="2026-11-22T22:00:00.000000Z", reason="She rang back."),
        "call_taking",
        clock(),
        "p1",
        "officer",
    )
    case = apply(fold("0", await store.load("case/0")), glass)
    await store.append(Batch("g1", "p1", b"", (Append("case/0", case.version - 1, (glass,)),), cases=(case,)))
    await store.checkpoint()
    account = AccountRow(id="p1", username="ann", name="Ann", roles=["officer"], password_hash="x", units=["team-1"])
    at = "2026-11-22T21:18:04.118221Z"
    signin = SigninRow(token_hash="h1", person="p1", csrf="c", created_at=at, seen_at=at, expires_at=at)
    await store.write(lambda connection: put(connection, account))
    passkey = PasskeyRow(id="k1", person="p1", name="Token", public_key=b"key", created_at=at)
    await store.write(lambda connection: put(connection, signin))
    tried = TryRow(id="t1", pair=b"p", address=b"a", at=at)
    await store.write(lambda connection: put(connection, tried))
    await store.write(lambda connection: put(connection, passkey))
    await store.write(lambda connection: access.record(connection, a_note(clock)))
    await store.write(lambda connection: anchors.keep(connection, Anchor("mail", "", "2026-11-22", 5, at, b"<1@x>")))
    before = await everything(store)
    await store.close()
    assert [name for name, rows in before.items() if not rows] == []
    return before


def at_step(place: Place, step: str, old: Place) -> None:
    """A copy of the store in a database that ends with that step: every table and column that it has, and nothing in
    those that a later step has dropped.
    """
    shutil.copytree(place.key_file.parent, old.key_file.parent)
    if step < LATER["checkpoint"]:
        old.heads_file.unlink()
    old.data.mkdir()
    engine, config = old.database(old.keys()).schema_engine(), migrations.configured()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, step)
        schema = sa.inspect(connection)
        columns = {name: schema.get_columns(name) for name in schema.get_table_names()}
    engine.dispose()
    here, there = place.connection(), old.connection()
    for table in (table for table in METADATA.sorted_tables if table.name in columns):
        had = {column["name"]: column["type"] for column in columns[table.name]}
        dropped = {name: False if isinstance(kind, sa.Boolean) else "" for name, kind in had.items()}
        kept = [name for name in had if name in table.columns]
        names = ", ".join(f'"{name}"' for name in had)
        marks = ", ".join(f":{name}" for name in had)
        known = ", ".join(f'"{name}"' for name in kept)
        for row in here.execute(f"SELECT {known} FROM {table.name}").fetchall():  # noqa: S608 (names of ours)
            told = dropped | dict(zip(kept, row, strict=True))
            there.execute(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", told)  # noqa: S608
    there.execute("DELETE FROM setting WHERE key = 'rows'")
    here.close()
    there.close()


def of_step(rows: Rows, step: str) -> Rows:
    """What of the rows a database of that step could hold; read rows are made again whatever the step."""
    kept = {name: [] if step < LATER.get(name, "0001") and name not in MADE_AGAIN else rows[name] for name in rows}
    if step < "0002":
        kept["account"] = [row | {"units": []} for row in rows["account"]]
    return kept


@pytest.fixture
def another(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Callable[[], Place]:
    """Makes further empty places on the engine of the test."""
    count = iter(range(1000))

    def made() -> Place:
        folder = tmp_path / f"old-{next(count)}"
        url = request.getfixturevalue("server").database() if place.url else ""
        folder.mkdir()
        return Place(folder / "data", folder / "keys" / "keys.json", url)

    return made


@pytest.mark.parametrize("step", EARLIER)
async def test_a_store_of_every_earlier_step_keeps_its_rows_and_gets_those_it_lacks(
    place: Place, another: Callable[[], Place], clock: Clock, step: str
) -> None:
    before, old = await fill(place, clock), another()
    at_step(place, step, old)
    upgraded = old.store(clock)
    await upgraded.start()
    assert await everything(upgraded) == of_step(before, step)
    assert await upgraded.verify() == []
    assert [one.event.fact.personal["victim_name"] for one in await upgraded.load("case/1")] == ["Ann Example"]  # type: ignore[attr-defined]
    await upgraded.append(an_order("o2", clock))
    await upgraded.checkpoint()
    grown = await everything(upgraded)
    assert await upgraded.replay() == []
    assert await everything(upgraded) == grown
    assert await upgraded.verify() == []
    await upgraded.close()


# --- Kills -------------------------------------------------------------------------------------------------------


def child(place: Place) -> subprocess.Popen[str]:
    command_line = [sys.executable, "-m", "tests.store.migrating_child", *place.arguments]
    return subprocess.Popen(command_line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def step_of(place: Place) -> str:
    connection = place.connection()
    (step,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    connection.close()
    return str(step)


KILLS = 5


@pytest.mark.parametrize("step", [EARLIER[0], EARLIER[-1]])
def test_a_migration_killed_anywhere_has_not_happened_or_is_whole(
    place: Place, another: Callable[[], Place], clock: Clock, step: str
) -> None:
    before, old = asyncio.run(fill(place, clock)), another()
    at_step(place, step, old)
    with child(copied := another_copy(place, step, another)) as whole:
        told, _ = whole.communicate(timeout=60)
    statements = told.splitlines()
    assert (whole.returncode, statements[-1], "a row" in statements, "COMMIT" in statements) == (0, "done", True, True)
    assert step_of(copied) == migrations.newest()
    dice, steps = random.Random(step), []
    for turn in range(KILLS):
        after = 1 + turn * (len(statements) - 1) // (KILLS - 1)  # the last falls on the commit, or just behind it
        with child(old) as killed:
            assert killed.stdout is not None
            for _ in range(after):
                killed.stdout.readline()
            time.sleep(dice.uniform(0, 0.012))
            killed.send_signal(signal.SIGKILL)
        steps.append(step_of(old))
    assert set(steps) <= {step, migrations.newest()}
    assert steps == sorted(steps)
    assert steps.count(step) >= KILLS - 2, "nearly all were killed on the way"

    async def finish() -> None:
        store = old.store(clock)
        await store.start()
        assert await everything(store) == of_step(before, step)
        assert await store.verify() == []
        await store.append(an_order("o2", clock))
        await store.checkpoint()
        await store.close()

    asyncio.run(finish())
    assert step_of(old) == migrations.newest()


def another_copy(place: Place, step: str, another: Callable[[], Place]) -> Place:
    old = another()
    at_step(place, step, old)
    return old


def test_of_processes_that_start_at_once_one_migrates(place: Place, another: Callable[[], Place], clock: Clock) -> None:
    before = asyncio.run(fill(place, clock))
    old = another_copy(place, EARLIER[0], another)
    children = [child(old) for _ in range(3)]
    told = []
    for one in children:
        said, failed = one.communicate(timeout=60)
        assert one.returncode == 0, failed
        told.append(said)
    for once in ("CREATE TABLE identity_row", "CREATE TABLE anchor", "the rows\n"):
        assert sorted(said.count(once) for said in told) == [0, 0, 1], once

    async def look() -> None:
        store = old.store(clock)
        await store.start()
        assert await everything(store) == of_step(before, EARLIER[0])
        await store.close()

    asyncio.run(look())


# --- What cannot be brought up -----------------------------------------------------------------------------------


def test_a_database_of_a_newer_step_is_refused_and_stays_as_it_is(place: Place, clock: Clock) -> None:
    before = asyncio.run(fill(place, clock))
    connection = place.connection()
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with child(place) as refused:
        _, told = refused.communicate(timeout=60)
    assert (refused.returncode, "step 9999" in told, "newer version" in told) == (1, True, True), told
    assert "Traceback" not in told
    connection = place.connection()
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    connection.execute("UPDATE alembic_version SET version_num = :step", {"step": migrations.newest()})
    connection.close()

    async def look() -> None:
        store = place.store(clock)
        await store.start()
        assert await everything(store) == before
        await store.close()

    asyncio.run(look())


async def test_another_stores_key_file_brings_nothing_up(server: postgres.Server, clock: Clock, tmp_path: Path) -> None:
    """On a server the key file is no part of the address: a wrong one must not leave a migrated schema, or rows made
    without what it cannot open."""
    place = Place(tmp_path / "data", tmp_path / "keys" / "keys.json", server.database())
    await fill(place, clock)
    old = Place(tmp_path / "old", tmp_path / "old.keys" / "keys.json", server.database())
    at_step(place, "0002", old)
    stranger = Place(old.data, tmp_path / "stranger" / "keys.json", old.url)
    (tmp_path / "stranger").mkdir()
    strange = Place(tmp_path / "strange", stranger.key_file)
    opened_once = strange.store(clock)
    await opened_once.start()
    await opened_once.close()
    with pytest.raises(CannotOpen, match="belongs to another store"):
        await stranger.store(clock).start()
    assert step_of(old) == "0002"
    with psycopg.connect(old.url) as connection:
        assert connection.execute("SELECT count(*) FROM identity_row").fetchone() != (0,)
