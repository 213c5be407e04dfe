"""Stopped and started again: every case, clock and sign-in is as it was, and what fell due meanwhile says how late."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from tests.serving import ROOT, ready_for_handover, served


def hurried(folder: Path) -> Path:
    """The shipped workflows, with a handover clock whose first thresholds are seconds instead of minutes."""
    workflows = folder / "workflows"
    shutil.copytree(ROOT / "workflows", workflows)
    clocks = workflows / "da-desk" / "clocks.toml"
    text = clocks.read_text()
    for minutes, seconds in ((300, 2), (480, 3)):
        text, changed = re.subn(rf"after_s = {minutes}, do = \"nudge", f'after_s = {seconds}, do = "nudge', text)
        assert changed == 1
    clocks.write_text(text)
    return workflows


def test_a_clock_that_fell_due_while_the_desk_was_stopped_fires_at_once_and_says_how_late(tmp_path: Path) -> None:
    workflows = str(hurried(tmp_path))
    with served(tmp_path / "data", RVR_WORKFLOWS=workflows) as first:
        handler = first.client("handler")
        case = ready_for_handover(handler)
        before = handler.move(case, "offer_handover").body
        assert first.stop() == 0
    time.sleep(3.5)
    with served(tmp_path / "data", RVR_WORKFLOWS=workflows) as second:
        handler.url = second.url  # the same sign-in still holds
        fired = []
        deadline = time.monotonic() + 5
        while len(fired) < 2 and time.monotonic() < deadline:
            events = handler.call("GET", f"cases/{case}/events").body["events"]
            fired = [e["fields"] for e in events if e["type"] == "ClockRanOut"]
        assert [(f["clock"], f["after_s"]) for f in fired] == [("handover", 2), ("handover", 3)]
        assert all(f["late_us"] > 200_000 for f in fired)
        after = handler.call("GET", f"cases/{case}").body
    kept = ("id", "reference", "state", "details", "personal", "eligibility", "consents", "handover_note")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert {c["id"]: c["started_at"] for c in after["clocks"]} == {c["id"]: c["started_at"] for c in before["clocks"]}


def test_the_desk_stops_within_five_seconds_with_open_feeds(tmp_path: Path) -> None:
    from tests.web.test_api import read_stream

    with served(tmp_path / "data") as desk:
        sergeant = desk.client("sergeant")
        for _ in range(3):
            read_stream(desk, sergeant, "/api/v1/live?topics=board", last_id=0, until="id:")
        started = time.monotonic()
        assert desk.stop() == 0
        assert time.monotonic() - started < 5


def test_a_busy_port_is_one_clear_sentence_and_a_way_out(tmp_path: Path) -> None:
    import subprocess
    import sys

    with served(tmp_path / "data") as desk:
        port = desk.url.rpartition(":")[2]
        command = [sys.executable, "-m", "rvr.cli", "serve", "--port", port, "--data", str(tmp_path / "other")]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert f"Port {port} is in use" in second.stderr
    assert "--port" in second.stderr
    assert "Traceback" not in second.stderr


def test_verify_and_export_work_beside_a_stopped_desk(tmp_path: Path) -> None:
    import subprocess
    import sys

    data = tmp_path / "data"
    with served(data) as desk:
        ready_for_handover(desk.client("handler"))
    for verb in (["verify"], ["export", "--out", str(tmp_path / "package")]):
        command = [sys.executable, "-m", "rvr.cli", verb[0], "--data", str(data), *verb[1:]]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "package" / "data" / "cases.csv").read_text().count("\n") == 2
