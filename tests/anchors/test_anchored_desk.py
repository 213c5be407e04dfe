"""A desk and a witness as they run: two processes, what the desk tells of it, and a database that is put back."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rvr import cli
from rvr.cosigning import cosignature
from rvr.store.notes import Verifier, parted
from tests.anchors.places import Process, witness
from tests.serving import Served, ready_for_handover, served
from tests.test_witness import readiness, verb


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where a desk ran once."""
    with served(tmp_path / "data") as desk:
        assert desk.stop() == 0
    return tmp_path / "data"


@pytest.fixture
def at(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Process]:
    told = verb(capsys, "verify", "--data", str(data))[1]
    with witness(tmp_path / "witness", told.rpartition("Public key: ")[2].strip()) as running:
        yield running


def held(at: Process) -> int:
    return max((one["size"] for one in json.loads(at.state.read_text())["heads"].values()), default=0)


def until_held(at: Process, size: int, within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while held(at) < size:
        assert time.monotonic() < deadline, held(at)
        time.sleep(0.1)


def admin_page(desk: Served) -> str:
    return str(desk.client("admin").call("GET", "/admin").body.decode())


@pytest.mark.slow
def test_the_whole_of_it(
    data: Path, at: Process, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in ("", ".keys"):
        shutil.copytree(f"{data}{suffix}", tmp_path / "yesterday" / f"data{suffix}")

    # What is recorded is cosigned while the desk runs, and when it stops.
    with served(data, RVR_WITNESSES=at.setting) as desk:
        until_held(at, 1)
        ready_for_handover(desk.client("handler"))
        position = desk.client().call("GET", "/health/ready").body["position"]
        until_held(at, position)
        told = readiness(desk, "ready")
        assert (told["position"], "anchors" in told) == (position, False)
        assert "witness" not in admin_page(desk).partition("<table")[0].lower()
        ready_for_handover(desk.client("handler"), victim_name="Another Victim")
        last = desk.client().call("GET", "/health/ready").body["position"]
        assert desk.stop() == 0
    assert held(at) == last > position

    # Whoever verifies, and whoever gets an export, sees it.
    monkeypatch.setenv("RVR_WITNESSES", at.setting)
    code, told = verb(capsys, "verify", "--data", str(data))
    assert code == 0
    assert f"Cosigned by {Verifier(at.key).name}: {last} events" in told
    out = tmp_path / "out"
    assert verb(capsys, "export", "--data", str(data), "--out", str(out), "--proofs", "--with-internal-ids")[0] == 0
    assert verb(capsys, "verify", str(out))[0] == 0
    note = (out / "checkpoint.txt").read_text().partition("\n\n")[2]
    assert cosignature(Verifier(at.key), note, parted(note)[1]).at > time.time() - 120

    # Everything on the machine is put back: it holds together, and the witness knows better.
    for suffix in ("", ".keys"):
        shutil.rmtree(f"{data}{suffix}")
        shutil.copytree(tmp_path / "yesterday" / f"data{suffix}", f"{data}{suffix}")
    assert cli.main(["verify", "--data", str(data)]) == 0
    with served(data, RVR_WITNESSES=at.setting) as desk:
        told_by_health = readiness(desk, "degraded")
        assert told_by_health["reason"] == "witness-ahead"
        assert [one["code"] for one in told_by_health["anchors"]] == ["witness-ahead"]  # type: ignore[index]
        page = admin_page(desk)
        assert '<p class="rvr-alert" role="note">The witness' in page
        assert "has cosigned a longer log than this one" in page
        assert ready_for_handover(desk.client("handler"))  # the desk goes on
    assert held(at) == last

    # A witness that is away is told, and no alarm.
    at.stop()
    with served(data, RVR_WITNESSES=at.setting) as desk:
        deadline = time.monotonic() + 20
        while "anchors" not in (body := desk.client().call("GET", "/health/ready").body):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert (body["status"], body["anchors"][0]["code"]) == ("ready", "witness-unreachable")
        assert "does not answer (since" in admin_page(desk)
