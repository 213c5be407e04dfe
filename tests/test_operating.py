"""The operator's verbs as they are typed: what they say, what the access log says of them, and what a kill leaves."""

from __future__ import annotations

import asyncio
import io
import os
import pwd
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from rvr import cli, people
from rvr.config import Settings
from rvr.core.commands import Actor as Person
from rvr.core.commands import MakeMove, OpenCase
from rvr.opening import open_desk
from rvr.store.place import Place
from tests.serving import OPENING, PASSWORD, ROOT, served

Run = Callable[..., tuple[int, str]]
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
AT_THE_TERMINAL = f"terminal:{pwd.getpwuid(os.getuid()).pw_name}"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def workflows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped definitions with a table by which everything may go at once."""
    folder = tmp_path / "workflows"
    shutil.copytree(ROOT / "workflows", folder)
    table = folder / "tables" / "retention.toml"
    table.write_text(re.sub(r"_years = \d+", "_years = 0", table.read_text()))
    monkeypatch.setenv("RVR_WORKFLOWS", str(folder))
    return folder


@pytest.fixture
def run(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a verb on the data folder: the exit code and all that it said."""

    def done(verb: str, *arguments: str, typed: str = PASSWORD) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{typed}\n"))
        capsys.readouterr()
        code = cli.main([verb, *arguments, "--data", str(data)])
        told = capsys.readouterr()
        return code, told.out + told.err

    return done


def cases(data: Path, workflows: Path, count: int = 1) -> list[str]:
    """A store with the demo accounts and so many void cases; their references."""

    async def fill() -> list[str]:
        settings = Settings(data=str(data), workflows=str(workflows))
        async with open_desk(settings) as desk:
            await people.seed_demo(desk, PASSWORD, HASHER)
            who = {
                name: Person(row.id, frozenset(row.roles))
                for row in (await desk.people()).values()
                for name in row.roles
            }
            found = []
            for _ in range(count):
                opened = await desk.handle(OpenCase(str(uuid.uuid4()), OPENING), who["call_handler"])
                void = MakeMove(str(uuid.uuid4()), opened.case.id, "void", {"void_reason": "test"})
                found.append((await desk.handle(void, who["sergeant"])).case.reference)
            return found

    return asyncio.run(fill())


def rows(data: Path, query: str) -> list[Any]:
    place = Place(data, Settings(data=str(data)).key_path)
    connection = place.database(place.keys()).connect(write=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


# --- Keys --------------------------------------------------------------------------------------------------------


def test_keys_are_made_shown_rotated_split_and_restored(run: Run, data: Path, workflows: Path, tmp_path: Path) -> None:
    assert run("keys", "create")[0] == 0
    code, told = run("keys", "create")
    assert (code, "nothing was changed" in told) == (1, True)
    cases(data, workflows)
    key_file = Settings(data=str(data)).key_path
    before = key_file.read_text()
    code, told = run("keys", "show")
    assert (code, told.count("seals new keys")) == (0, 1)
    assert not [secret for secret in re.findall(r"[0-9a-f]{64}", before) if secret in told]
    code, told = run("keys", "rotate")
    assert code == 0, told
    assert "were wrapped anew" in told
    code, told = run("keys", "split", "--of", "3", "--need", "2", "--out", str(tmp_path / "shares"))
    assert code == 0, told
    shares = sorted(map(str, (tmp_path / "shares").iterdir()))
    key_file.rename(tmp_path / "lost.json")
    code, told = run("keys", "restore", shares[1], "--out", str(key_file))
    assert (code, "2 different shares are needed" in told) == (1, True)
    code, told = run("keys", "restore", shares[2], shares[0], "--out", str(key_file))
    assert (code, "it opens" in told) == (0, True), told
    assert run("verify")[0] == 0
    assert rows(data, "SELECT person, category, what FROM access ORDER BY seq") == [
        (AT_THE_TERMINAL, "alteration", "keys.rotate"),
        (AT_THE_TERMINAL, "disclosure", "keys.split"),
        (AT_THE_TERMINAL, "alteration", "keys.restore"),
    ]


# --- Backup, replay ----------------------------------------------------------------------------------------------


def test_a_backup_comes_back_with_its_own_key_file_only(
    run: Run, data: Path, workflows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases(data, workflows, 3)
    out, there = tmp_path / "backup", tmp_path / "there"
    code, told = run("backup", "--out", str(out))
    assert (code, "no fault" in told) == (0, True), told
    assert cli.main(["restore", str(out), "--data", str(there)]) == 1
    assert "--key-file" in capsys.readouterr().err
    keys = str(Settings(data=str(data)).key_path)
    assert cli.main(["restore", str(out), "--data", str(there), "--key-file", keys]) == 0
    assert cli.main(["verify", "--data", str(there), "--key-file", keys]) == 0
    assert cli.main(["restore", str(out), "--data", str(there), "--key-file", keys]) == 1
    assert "not empty" in capsys.readouterr().err


def test_a_replay_tells_which_rows_were_not_what_the_log_says(run: Run, data: Path, workflows: Path) -> None:
    cases(data, workflows, 2)
    code, told = run("replay")
    assert (code, "all were as it says" in told) == (0, True), told
    rows(data, "UPDATE case_row SET state = 'video', officer = 'somebody'")
    code, told = run("replay")
    assert (code, "case_row: was not what the log says" in told) == (0, True), told
    assert rows(data, "SELECT DISTINCT state FROM case_row") == [("voided",)]


# --- Retention, erasure ------------------------------------------------------------------------------------------


def test_what_is_due_is_listed_and_nothing_is_erased_by_it(run: Run, data: Path, workflows: Path) -> None:
    first, second = cases(data, workflows, 2)
    code, told = run("retention")
    assert (code, first in told, second in told, "2 cases are due" in told) == (0, True, True, True), told
    assert OPENING["victim_name"] not in told
    assert rows(data, "SELECT count(*) FROM data_key WHERE wrapped = x''") == [(0,)]


def test_by_the_shipped_table_a_new_case_is_due_in_six_years_and_cannot_be_erased(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (reference,) = cases(data, ROOT / "workflows")
    assert "0 cases are due" in run("retention")[1]
    assert reference in run("retention", "--by", "2100-01-01")[1]
    told = ("--user", "admin", "--authority", "retention_review", "--reason", "recorded_in_error")
    code, said = run("erase", "propose", reference, *told)
    assert (code, "It has to be kept until" in said) == (1, True), said


def test_two_people_with_their_passwords_erase_a_case_at_the_terminal(run: Run, data: Path, workflows: Path) -> None:
    (reference,) = cases(data, workflows)
    told = ("--authority", "retention_review", "--reason", "recorded_in_error")
    code, said = run("erase", "propose", reference, "--user", "admin")
    assert (code, "retention_review" in said) == (1, True), "the codes are told"
    assert run("erase", "propose", reference, "--user", "admin", *told, typed="wrong")[0] == 1
    assert run("erase", "propose", reference, "--user", "sergeant", *told)[0] == 1
    assert run("erase", "confirm", reference, "--user", "inspector")[0] == 1
    code, said = run("erase", "propose", reference, "--user", "admin", *told)
    assert (code, "nothing is erased yet" in said) == (0, True), said
    assert "erasure proposed" in run("retention")[1]
    code, said = run("erase", "confirm", reference, "--user", "admin")
    assert (code, "Somebody else" in said) == (1, True), said
    code, said = run("erase", "confirm", reference, "--user", "inspector")
    assert (code, "erased" in said) == (0, True), said
    assert run("verify")[0] == 0
    assert "0 cases are due" in run("retention")[1]
    assert run("erase", "confirm", "NO-SUCH", "--user", "inspector")[0] == 1
    case = rows(data, "SELECT id FROM case_row")[0][0]
    assert rows(data, "SELECT person, category, what, case_id FROM access ORDER BY seq") == [
        (AT_THE_TERMINAL, "erasure", "erase.propose", case),
        (AT_THE_TERMINAL, "consultation", "retention", None),
        (AT_THE_TERMINAL, "erasure", "erase.confirm", case),
        (AT_THE_TERMINAL, "consultation", "retention", None),
    ]


def test_the_screens_of_a_desk_that_runs_meanwhile_say_erased_and_show_no_name(
    run: Run, data: Path, workflows: Path
) -> None:
    with served(data) as desk:
        handler, sergeant, inspector = desk.client("handler"), desk.client("sergeant"), desk.client("inspector")
        opened = handler.open_case().body
        assert sergeant.move(opened["id"], "void", {"void_reason": "test"}).status == 200
        assert OPENING["victim_name"] in sergeant.call("GET", f"/cases/{opened['id']}").body.decode()
        assert run("erase", "propose", opened["reference"], "--user", "admin", *CODES)[0] == 0
        assert "Erasure proposed" in sergeant.call("GET", f"/cases/{opened['id']}").body.decode()
        assert run("erase", "confirm", opened["reference"], "--user", "inspector")[0] == 0
        for client in (handler, sergeant, inspector):
            page = client.call("GET", f"/cases/{opened['id']}")
            assert (page.status, b"Erased on" in page.body) == (200, True)
            told = client.call("GET", f"cases/{opened['id']}")
            assert (bool(told.body["erased_at"]), told.body["personal"], told.body["moves"]) == (True, {}, [])
            events = client.call("GET", f"cases/{opened['id']}/events")
            for answer in (page, told, events, client.call("GET", "/"), client.call("GET", "board")):
                shown = str(answer.body)
                assert not [name for name in OPENING if name in NAMING and str(OPENING[name]) in shown]
        refused = sergeant.move(opened["id"], "correct_details", {"victim_name": "Somebody"})
        assert (refused.status, refused.body["reasons"][0]["code"]) == (422, "case-erased")


NAMING = ("victim_name", "safe_number", "suspect_name", "address", "code_word", "incident_number")


def test_an_erasure_killed_anywhere_is_whole_or_has_not_happened(run: Run, data: Path, workflows: Path) -> None:
    turns, dice, done = 8, random.Random(11), 0
    references = cases(data, workflows, turns)
    for reference in references:
        code = run("erase", "propose", reference, "--user", "admin", *CODES)[0]
        assert code == 0
    for turn, reference in enumerate(references):
        command = [sys.executable, "-m", "tests.erasing_child", str(data), str(workflows), reference]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(1 + turn % 5):
                child.stdout.readline()
            time.sleep(dice.uniform(0, 0.01))
            child.send_signal(signal.SIGKILL)
        erased = "SELECT stream FROM event WHERE type = 'CaseErased'"
        gone = rows(data, "SELECT scope FROM data_key WHERE wrapped = x''")
        assert gone == rows(data, erased)
        named = rows(data, "SELECT DISTINCT stream FROM identity_row")
        assert not set(named) & set(gone)
        done = len(gone)
    assert 0 < done < turns, "some were killed before, and some after"
    for reference in references:
        run("erase", "confirm", reference, "--user", "inspector")
    assert len(rows(data, "SELECT 1 FROM data_key WHERE wrapped = x''")) == turns
    assert run("verify")[0] == 0


CODES = ("--authority", "retention_review", "--reason", "recorded_in_error")


# --- The access log ----------------------------------------------------------------------------------------------


def test_exports_and_imports_at_the_terminal_stand_in_the_access_log(
    run: Run, data: Path, workflows: Path, tmp_path: Path
) -> None:
    cases(data, workflows)
    assert run("export", "--out", str(tmp_path / "a"))[0] == 0
    assert run("export", "--out", str(tmp_path / "b"), "--recipient", "Example University")[0] == 0
    assert run("backup", "--out", str(tmp_path / "c"))[0] == 0
    file = tmp_path / "reports.csv"
    file.write_text("report_source\n")
    run("import", str(file), "--dry-run")
    found = rows(data, "SELECT person, category, what, recipient FROM access ORDER BY seq")
    assert found == [
        (AT_THE_TERMINAL, "disclosure", "export", AT_THE_TERMINAL.partition(":")[2]),
        (AT_THE_TERMINAL, "disclosure", "export", "Example University"),
        (AT_THE_TERMINAL, "disclosure", "backup", str(tmp_path / "c")),
    ]
