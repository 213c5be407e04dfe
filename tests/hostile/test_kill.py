"""The desk is killed without warning: what it acknowledged is there, once, and what it did not may be sent again."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.error
import uuid
from http.client import HTTPException
from pathlib import Path

from tests.serving import OPENING, ROOT, Client, Served, served

SENDERS, ENOUGH = 6, 60


def open_until_it_dies(desk: Served, handler: Client) -> tuple[dict[str, str], list[str]]:
    """Many senders open cases until the desk is killed under them: case by command id, and the ids left unanswered."""
    answered: dict[str, str] = {}
    unanswered: list[str] = []
    enough = threading.Event()

    def send() -> None:
        while True:
            command = str(uuid.uuid4())
            try:
                answer = handler.call("POST", "cases", {"command_id": command, "form": OPENING})
            except (urllib.error.URLError, OSError, HTTPException):
                unanswered.append(command)
                return
            assert answer.status == 201, answer.body
            answered[command] = answer.body["id"]
            if len(answered) >= ENOUGH:
                enough.set()

    senders = [threading.Thread(target=send) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    assert enough.wait(20)
    desk.process.kill()
    desk.process.wait(10)
    for sender in senders:
        sender.join(20)
    return answered, unanswered


def test_a_desk_killed_in_the_middle_of_commands_has_each_acknowledged_one_once_and_verifies(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with served(data) as first:
        handler = first.client("handler")
        answered, unanswered = open_until_it_dies(first, handler)
    with served(data) as second:
        handler.url = second.url  # the same sign-in still holds
        for _ in range(2):  # an answer that never came: the command is sent again, and then once more
            for command in unanswered:
                answer = handler.call("POST", "cases", {"command_id": command, "form": OPENING})
                assert answer.status == 201
                assert answered.setdefault(command, answer.body["id"]) == answer.body["id"]
        assert len(set(answered.values())) == len(answered)
        board = second.client("sergeant").call("GET", "board").body["cases"]
        assert sorted(row["id"] for row in board) == sorted(answered.values())
        for case in list(answered.values())[-10:]:
            events = handler.call("GET", f"cases/{case}/events").body["events"]
            assert [event["type"] for event in events] == ["CaseOpened"]
    command_line = [sys.executable, "-m", "rvr.cli", "verify", "--data", str(data)]
    verified = subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert verified.returncode == 0, verified.stdout
