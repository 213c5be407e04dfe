"""The disk takes nothing more: commands are refused with the reason, reading goes on, and writing comes back by itself.

The desk is a process of its own whose files may not grow (RLIMIT_FSIZE): its writes fail like those of a broken disk.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.serving import OPENING, ROOT, Client, Served, served

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="Linux")
WITHIN_S = 10


def may_grow(desk: Served, size: int) -> None:
    """How large the desk's files may be from now on. Nothing is cut off."""
    resource.prlimit(desk.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def opens(handler: Client, command: str) -> tuple[int, list[str]]:
    answer = handler.call("POST", "cases", {"command_id": command, "form": OPENING})
    return answer.status, [reason["code"] for reason in answer.body.get("reasons", [])]


def page(client: Client, path: str) -> str:
    answer = client.call("GET", path)
    assert answer.status == 200, path
    return answer.body.decode()


def until(desk: Client, status: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while desk.call("GET", "/health/ready").status != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_while_the_disk_fails_commands_wait_reading_goes_on_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with served(data) as desk:
        handler, sergeant, anybody = desk.client("handler"), desk.client("sergeant"), desk.client()
        before = [str(uuid.uuid4()) for _ in range(3)]
        assert [opens(handler, command) for command in before] == [(201, [])] * 3
        cases = [row["id"] for row in sergeant.call("GET", "board").body["cases"]]
        may_grow(desk, 1)
        while_it_lasts = [str(uuid.uuid4()) for _ in range(5)]
        assert [opens(handler, command) for command in while_it_lasts] == [(503, ["disk-error"])] * 5
        ready = anybody.call("GET", "/health/ready")
        assert (ready.status, [one["code"] for one in ready.body["reasons"]]) == (503, ["disk-error"])
        assert anybody.call("GET", "/health/live").status == 200
        assert len(sergeant.call("GET", "board").body["cases"]) == 3
        for case in cases:  # never looked at before: the note of the look waits in memory
            assert sergeant.call("GET", f"cases/{case}").body["personal"]["victim_name"] == OPENING["victim_name"]
        for path in ("/", f"/cases/{cases[0]}", "/cases/new?workflow=crime-report"):
            assert page(sergeant, path).count("The disk of the log fails") == 1, path
        may_grow(desk, resource.RLIM_INFINITY)
        until(anybody, 200)
        assert "The disk of the log fails" not in page(sergeant, "/")
        assert [opens(handler, command) for command in while_it_lasts] == [(201, [])] * 5
        assert [opens(handler, command) for command in before] == [(201, [])] * 3, "the same commands, the same answers"
        assert len(sergeant.call("GET", "board").body["cases"]) == 8
    command_line = [sys.executable, "-m", "rvr.cli", "verify", "--data", str(data)]
    verified = subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert verified.returncode == 0, verified.stdout


def test_writing_comes_back_by_itself_and_the_looks_of_meanwhile_are_written_down(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with served(data) as desk:
        handler, sergeant = desk.client("handler"), desk.client("sergeant")
        case = handler.open_case().body["id"]
        may_grow(desk, 1)
        assert handler.open_case().status == 503
        assert [sergeant.call("GET", f"cases/{case}").status for _ in range(3)] == [200] * 3
        assert "The disk of the log fails" in page(sergeant, "/")
        may_grow(desk, resource.RLIM_INFINITY)
        deadline = time.monotonic() + WITHIN_S  # nobody writes anything and nobody asks for its health
        while "The disk of the log fails" in page(sergeant, "/"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    from rvr.config import Settings
    from rvr.store.place import Place

    with Place(data, Settings(data=str(data)).key_path).opened() as connection:
        looks = connection.execute("SELECT what FROM access WHERE category = 'consultation' ORDER BY what").fetchall()
    assert ("details",) in looks
    assert ("contact",) in looks


def test_a_desk_killed_while_the_disk_fails_has_all_that_it_acknowledged(tmp_path: Path) -> None:
    data, acknowledged = tmp_path / "data", 0
    with served(data) as desk:
        handler = desk.client("handler")
        for size in (1, 40_000, 200_000, resource.RLIM_INFINITY, 700_000, 1):
            may_grow(desk, size)
            acknowledged += sum(opens(handler, str(uuid.uuid4()))[0] == 201 for _ in range(20))
        desk.process.kill()
        desk.process.wait(10)
    with served(data) as desk:
        found = len(desk.client("sergeant").call("GET", "board").body["cases"])
    assert found >= acknowledged >= 20
    command_line = [sys.executable, "-m", "rvr.cli", "verify", "--data", str(data)]
    verified = subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert verified.returncode == 0, verified.stdout
