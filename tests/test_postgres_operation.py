"""What docs/POSTGRES.md tells an operator to do, done: two roles, dump and restore, a copy of a server at work."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from rvr import cli
from rvr.store import migrations, roles
from rvr.store.tables import METADATA
from tests import postgres
from tests.serving import ready_for_handover, served
from tests.test_witness import readiness, verb

OWNER, SERVES = "rvr_owner", "rvr_serve"


@dataclass(frozen=True)
class Made:
    """A database as docs/POSTGRES.md has it made."""

    name: str
    owner: str
    """Address as the role that owns the schema."""
    serves: str
    key_file: Path

    @property
    def told(self) -> dict[str, str]:
        return {"RVR_DATABASE": self.serves, "RVR_KEY_FILE": str(self.key_file)}

    def at(self, url: str) -> tuple[str, ...]:
        return ("--database", url, "--key-file", str(self.key_file))


@pytest.fixture
def made(server: postgres.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Made:
    have = {name for (name,) in server.ask("SELECT rolname FROM pg_roles")}
    for role in {OWNER, SERVES} - have:
        server.ask(f"CREATE ROLE {role} LOGIN")
    name = f"desk_{tmp_path.name.replace('-', '_')[-40:]}"
    server.ask(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    owner, serves = (server.url(name).replace("//rvr@", f"//{role}@") for role in (OWNER, SERVES))
    found = Made(name, owner, serves, tmp_path / "keys" / "keys.json")
    code, told = verb(capsys, "migrate", *found.at(owner))
    assert (code, f"step {migrations.newest()}" in told) == (0, True), told
    code, told = verb(capsys, "migrate", "--grants", SERVES)
    assert code == 0
    server.tool("psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", owner, typed=told)
    return found


# --- Roles -------------------------------------------------------------------------------------------------------


def test_a_desk_works_with_the_rights_of_the_serving_role(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(tmp_path / "data", **made.told) as desk:
        handler, sergeant = desk.client("handler"), desk.client("sergeant")
        case = ready_for_handover(handler)
        assert handler.move(case, "offer_handover", {"note": "Calm"}).status == 200
        assert sergeant.move(case, "accept_handover").status == 200
        void = handler.open_case().body
        assert sergeant.move(void["id"], "void", {"void_reason": "test"}).status == 200
        assert sergeant.call("DELETE", "session").status == 204
        assert desk.client("evaluator").call("POST", "exports", {}).status == 200
        assert readiness(desk, "ready")["status"] == "ready"
        assert desk.stop() == 0
    keys = made.at(made.serves)
    assert cli.main(["replay", *keys]) == 0
    assert cli.main(["keys", "rotate", *keys]) == 0
    code, told = verb(capsys, "verify", *keys)
    assert code == 0, told


FORBIDDEN = "permission denied|must be owner|must be superuser"
"""By its rights already, before any trigger."""


def test_the_serving_role_takes_nothing_away_of_what_was_recorded(made: Made, tmp_path: Path) -> None:
    with served(tmp_path / "data", **made.told) as desk:
        ready_for_handover(desk.client("handler"))
        assert desk.stop() == 0
    tries = [
        statement.format(table=table, column=next(iter(METADATA.tables[table].columns)).name)
        for table in sorted(roles.ADDED_TO)
        for statement in (
            "UPDATE {table} SET {column} = {column}",
            "DELETE FROM {table}",
            "TRUNCATE {table}",
            "DROP TABLE {table}",
            "ALTER TABLE {table} DISABLE TRIGGER USER",
            "ALTER TABLE {table} ADD COLUMN more int",
            "DROP TRIGGER {table}_stays ON {table}",
            "CREATE OR REPLACE FUNCTION {table}_stays() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$",
            "CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_stays()",
        )
    ]
    tries += ["SET session_replication_role = replica", "CREATE TABLE mine (x int)", "DELETE FROM command"]
    tries += ["DROP SCHEMA public CASCADE", "DELETE FROM data_key", "TRUNCATE setting", f"SET ROLE {OWNER}"]
    with psycopg.connect(made.serves, autocommit=True) as intruder:
        for statement in tries:
            with pytest.raises(psycopg.Error, match=FORBIDDEN):
                intruder.execute(statement.encode())
    with psycopg.connect(made.owner, autocommit=True) as owner, pytest.raises(psycopg.Error, match="append-only"):
        owner.execute("DELETE FROM event")  # the triggers still hold, also for the owner's slips


def test_the_rights_name_every_table_and_those_that_only_grow(made: Made, server: postgres.Server) -> None:
    told = {
        name
        for (name,) in server.ask(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace", made.name
        )
    }
    assert set(roles.rights()) == told
    grows = server.ask("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%_stays'", made.name)
    assert {name for (name,) in grows} == roles.ADDED_TO


def test_the_serving_role_migrates_nothing_and_says_so(
    server: postgres.Server, tmp_path: Path, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(made.owner, autocommit=True) as owner:
        owner.execute("UPDATE alembic_version SET version_num = '0004'")
        owner.execute("CREATE INDEX access_case_id ON access (case_id)")
    assert cli.main(["migrate", *made.at(made.serves)]) == 1
    told = capsys.readouterr().err
    assert "could not be brought to step" in told
    assert "permission denied" in told or "must be owner" in told


# --- Copies ------------------------------------------------------------------------------------------------------


def test_a_dump_in_a_second_database_is_the_same_desk(
    made: Made, server: postgres.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with at_work(made, tmp_path) as cases:
        before = len(cases)
        dump = server.tool("pg_dump", "-d", made.owner)
    second = f"{made.name}_2"
    server.ask(f"CREATE DATABASE {second} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    owner = made.owner.replace(made.name, second)
    server.tool("psql", "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", owner, typed=dump)
    keys = tmp_path / "second" / "keys.json"
    keys.parent.mkdir()
    shutil.copy(made.key_file, keys)  # without heads.txt, which the dump of a desk at work is behind
    checked(owner, made.serves.replace(made.name, second), keys, cases[:before], tmp_path, capsys)


def test_a_physical_copy_of_a_server_at_work_is_the_same_desk(
    made: Made, server: postgres.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with at_work(made, tmp_path) as cases:
        before = list(cases)
        copied = contextlib.ExitStack()
        second = copied.enter_context(postgres.running(like=server))
    with copied:
        keys = tmp_path / "second" / "keys.json"
        keys.parent.mkdir()
        shutil.copy(made.key_file, keys)
        urls = [url.replace(f":{server.port}/", f":{second.port}/") for url in (made.owner, made.serves)]
        checked(*urls, keys, before, tmp_path, capsys)


@contextlib.contextmanager
def at_work(made: Made, tmp_path: Path) -> Iterator[list[str]]:
    """A desk at which cases are opened all the while; the ids of those that were answered."""
    with served(tmp_path / "data", **made.told) as desk:
        handler, stop, cases = desk.client("handler"), threading.Event(), list[str]()

        def work() -> None:
            while not stop.is_set():
                cases.append(handler.open_case().body["id"])

        cases.append(ready_for_handover(handler))
        working = threading.Thread(target=work)
        working.start()
        while len(cases) < 5:
            working.join(0.05)
        try:
            yield cases
        finally:
            stop.set()
            working.join()
        assert desk.stop() == 0


def checked(
    owner: str, serves: str, keys: Path, cases: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Verify finds nothing, replay reports nothing, and the desk opens it with all that was answered."""
    keys.with_name("heads.txt").touch(0o600)
    code, told = verb(capsys, "verify", "--database", owner, "--key-file", str(keys))
    assert (code, "No fault" in told) == (0, True), told
    code, told = verb(capsys, "replay", "--database", owner, "--key-file", str(keys))
    assert (code, "all were as it says" in told) == (0, True), told
    with served(tmp_path / "second-data", RVR_DATABASE=serves, RVR_KEY_FILE=str(keys)) as desk:
        handler = desk.client("handler")
        assert {handler.call("GET", f"cases/{case}").status for case in cases} == {200}
        assert handler.open_case().status == 201
        assert readiness(desk, "ready")["status"] == "ready"
