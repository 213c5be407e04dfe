"""The drill that a force is told to hold: the machine is lost, and the desk comes back from a backup, sheets of the key
file and the heads that were kept elsewhere. What was recorded since the backup is lost, and everybody is told so.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.anchors.places import witness
from tests.anchors.test_anchored_desk import held, until_held
from tests.serving import Served, served
from tests.test_witness import readiness, verb

FORM = "application/x-www-form-urlencoded"

RTO_S = 30 * 60
"""How long a desk may be away."""


@pytest.mark.slow
def test_a_lost_machine_comes_back_from_its_backup_and_says_what_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, kept = tmp_path / "old", tmp_path / "new", tmp_path / "kept"
    kept.mkdir()
    with served(old) as desk:
        before = [desk.client("handler").open_case().body for _ in range(3)]
        assert desk.stop() == 0
    key = verb(capsys, "verify", "--data", str(old))[1].rpartition("Public key: ")[2].strip()
    with witness(tmp_path / "witness", key) as at:
        monkeypatch.setenv("RVR_WITNESSES", at.setting)

        # A day as it should be: sheets of the key file, a backup, and the heads leave the machine; more is recorded.
        assert verb(capsys, "keys", "split", "--data", str(old), "--out", str(kept / "sheets"))[0] == 0
        assert verb(capsys, "backup", "--data", str(old), "--out", str(kept / "backup"))[0] == 0
        head = signed_head(verb(capsys, "verify", str(kept / "backup"), "--data", str(old))[1])
        with served(old) as desk:
            lost = [desk.client("handler").open_case().body for _ in range(2)]
            position = readiness(desk, "ready")["position"]
            assert desk.stop() == 0
        assert held(at) >= position
        shutil.copy(f"{old}.keys/heads.txt", kept)

        # The machine is gone.
        for folder in (old, Path(f"{old}.keys")):
            shutil.rmtree(folder)
        started = monotonic()
        sheets, keys = sorted((kept / "sheets").iterdir()), f"{new}.keys/keys.json"
        told = verb(capsys, "keys", "restore", str(sheets[0]), str(sheets[2]), "--data", str(new), "--out", keys)
        assert told[0] == 0, told
        shutil.copy(kept / "heads.txt", f"{new}.keys")
        code, told_by_verify = verb(capsys, "verify", str(kept / "backup"), "--data", str(new))
        assert (code, signed_head(told_by_verify)) == (0, head)
        code, told_by_restore = verb(capsys, "restore", str(kept / "backup"), "--data", str(new))
        assert code == 0
        missing = held(at) - json.loads((kept / "backup" / "MANIFEST.json").read_text())["position"]
        assert missing > 0
        for part in ("behind its signed heads", f"The {missing} events since", "signs no head (behind", "heads.txt"):
            assert part in told_by_restore

        # The desk serves, and says on every way that the log ends too early.
        with served(new) as desk:
            took = monotonic() - started
            assert took < RTO_S
            assert readiness(desk, "degraded")["reason"] == "log-behind"
            handler = desk.client("handler")
            assert [handler.call("GET", f"cases/{one['id']}").status for one in before] == [200] * 3
            assert [handler.call("GET", f"cases/{one['id']}").status for one in lost] == [404] * 2
            assert handler.open_case().status == 201
            code, told_by_verify = verb(capsys, "verify", "--data", str(new))
            assert (code, "behind: there are" in told_by_verify) == (1, True), told_by_verify

            evaluator = desk.client("evaluator")
            refused = evaluator.call("POST", "exports", {})
            assert (refused.status, refused.headers["Content-Type"].split(";")[0]) == (503, "application/problem+json")
            assert refused.body["reasons"][0]["code"] == "export-unsigned"
            assert "(log-behind)" in refused.body["reasons"][0]["text"]
            form = f"csrf={evaluator.csrf}".encode()
            page = evaluator.call("POST", "/evaluation/export", raw=form, Content_Type=FORM)
            assert (page.status, b"(log-behind)" in page.body) == (503, True)

            # Accepted, as docs/LOG.md says: signing goes on, and the witness still knows that more was signed.
            Path(f"{new}.keys/heads.txt").rename(f"{new}.keys/heads-before-the-loss.txt")
            Path(f"{new}.keys/heads.txt").touch(0o600)
            handler.open_case()
            until_reason(desk, "witness-")
            assert evaluator.call("POST", "exports", {}).status == 200
            assert desk.stop() == 0
        code, told_by_verify = verb(capsys, "verify", "--data", str(new))
        assert code == 0, told_by_verify
        assert signed_head(told_by_verify) != head
        assert held(at) == position, "the witness has not cosigned another course"

        # Whoever runs the witness takes this log out of its state: it cosigns again.
        at.stop()
        state = json.loads(at.state.read_text())
        shutil.copy(at.state, kept / "witness-state-before-the-loss.json")
        at.state.write_text(json.dumps(state | {"heads": {}}))
        at.start()
        with served(new) as desk:
            until_held(at, desk.client().call("GET", "/health/ready").body["position"])
            assert readiness(desk, "ready")["status"] == "ready"


def until_reason(desk: Served, start: str, within_s: float = 20) -> None:
    """/health/ready is degraded for a reason that begins so."""
    deadline = monotonic() + within_s
    while not (told := readiness(desk, "degraded"))["reason"].startswith(start):
        assert monotonic() < deadline, told
        sleep(0.1)


def signed_head(told: str) -> str:
    """The line of the newest head."""
    (line,) = [line for line in told.splitlines() if line.startswith("Signed head: ")]
    return line


def test_a_restore_without_the_heads_says_that_they_are_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(tmp_path / "old") as desk:
        desk.client("handler").open_case()
        assert desk.stop() == 0
    backup, keys = str(tmp_path / "backup"), tmp_path / "old.keys" / "keys.json"
    assert verb(capsys, "backup", "--data", str(tmp_path / "old"), "--out", backup)[0] == 0
    told = verb(capsys, "restore", backup, "--data", str(tmp_path / "same"), "--key-file", str(keys))
    assert (told[0], "signing goes on" in told[1]) == (0, True), told
    (tmp_path / "new.keys").mkdir()
    shutil.copy(keys, tmp_path / "new.keys")
    told = verb(capsys, "restore", backup, "--data", str(tmp_path / "new"))
    assert (told[0], "heads.txt is missing" in told[1], "(heads-missing" in told[1]) == (0, True, True), told
    with served(tmp_path / "new") as desk:
        assert readiness(desk, "degraded")["reason"] == "log-heads-missing"
        (tmp_path / "new.keys" / "heads.txt").touch(0o600)
        assert readiness(desk, "ready")["status"] == "ready"
