"""A killed process loses nothing that it acknowledged. (A power cut is another test: SIGKILL keeps the page cache.)"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rvr.store import ledger
from tests.store.builders import Clock, Place

pytestmark = pytest.mark.files

ROOT = Path(__file__).parents[2]
KILLS = 10
BEHIND = """SELECT count(*) FROM case_row r
            WHERE version <> (SELECT max(version) FROM event WHERE stream = 'case/' || r.id)"""


def run_and_kill(place: Place, turn: int, seconds: float) -> set[str]:
    """The commands that a process acknowledged before it was killed."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.store.crash_child", *place.arguments, str(turn)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        *acknowledged, torn = child.stdout.read().decode().split("\n")
        assert torn == "" or torn not in acknowledged
    return set(acknowledged)


def test_ten_kills_lose_no_acknowledged_command_and_break_no_chain(place: Place, clock: Clock) -> None:
    dice, acknowledged = random.Random(7), set[str]()
    for turn in range(KILLS):
        acknowledged |= run_and_kill(place, turn, dice.uniform(0.02, 0.3))
        connection = place.connection()
        recorded = {row[0] for row in connection.execute("SELECT command_id FROM command")}
        events = {row[0] for row in connection.execute("SELECT stream || '/' || (version - 1) FROM event")}
        assert acknowledged <= recorded
        assert {f"case/{command}" for command in recorded} == events
        assert ledger.verify_all(connection) == []
        assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
        assert connection.execute(BEHIND).fetchone() == (0,)
        connection.close()
    assert len(acknowledged) > 50
