"""The witness as people meet it: what `verify` says, what a desk signs, and how it tells that its log was altered."""

from __future__ import annotations

import shutil
import time
from base64 import b64encode
from pathlib import Path

import pytest

from rvr import cli
from tests.serving import Served, ready_for_handover, served


def verb(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.main(arguments)
    return code, capsys.readouterr().out


def heads(data: Path) -> Path:
    return Path(f"{data}.keys") / "heads.txt"


def readiness(desk: Served, wanted: str, within_s: float = 20) -> dict[str, str]:
    """What /health/ready says, as soon as it says this."""
    deadline = time.monotonic() + within_s
    while True:
        body: dict[str, str] = desk.client().call("GET", "/health/ready").body
        if body["status"] == wanted or time.monotonic() > deadline:
            return body
        time.sleep(0.1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a desk ran, and a case was opened just before it was stopped."""
    data = tmp_path_factory.mktemp("witness") / "data"
    with served(data) as desk:
        ready_for_handover(desk.client("handler"))
        assert readiness(desk, "ready")["status"] == "ready"
        assert desk.stop() == 0
    return data


@pytest.fixture
def copy(data: Path, tmp_path: Path) -> Path:
    for suffix in ("", ".keys"):
        shutil.copytree(f"{data}{suffix}", tmp_path / f"data{suffix}")
    return tmp_path / "data"


def test_everything_is_signed_when_the_desk_has_stopped(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = verb(capsys, "verify", "--data", str(copy))
    assert code == 0
    assert "of the 0 events that no head covers" in told
    size, root = heads(copy).read_text().splitlines()[-1].split(" ")[1:3]
    assert f"Signed head: {size} events, root {root}" in told
    assert "Public key: rvr/wmp/" in told


def test_an_export_names_the_head_and_the_key_that_verify_tells(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = verb(capsys, "verify", "--data", str(copy))[1].rpartition("Public key: ")[2].strip()
    for out, more in (("plain", ()), ("proven.zip", ("--proofs", "--with-internal-ids"))):
        package = str(copy.parent / out)
        assert verb(capsys, "export", "--data", str(copy), "--out", package, *more)[0] == 0
        code, told = verb(capsys, "verify", package, "--key", key)
        assert (code, "Proven: each row" in told) == (0, bool(more))
    assert (copy.parent / "plain" / "checkpoint.txt").read_text().startswith(f"{key}\n\nrvr/wmp/")
    (copy.parent / "plain" / "data" / "cases.csv").write_text("case\n")
    code, told = verb(capsys, "verify", str(copy.parent / "plain"))
    assert code == 1
    assert told.startswith("data/cases.csv: ")
    assert cli.main(["export", "--data", str(copy), "--out", str(copy.parent / "no"), "--proofs"]) == 1
    assert "--with-internal-ids" in capsys.readouterr().err


def test_a_package_without_its_parts_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoint.txt").write_text("hello")
    (tmp_path / "cut.zip").write_bytes(b"PK")
    for path in (tmp_path, tmp_path / "cut.zip"):
        code, told = verb(capsys, "verify", str(path))
        assert (code, told.count("\n"), "not a whole package" in told) == (1, 1, True)


def test_a_log_that_was_put_back_is_told_by_verify_export_and_health(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    origin = heads(copy).read_text().split(" ")[0]
    with heads(copy).open("a") as lines:
        lines.write(f"{origin} 100000 {b64encode(bytes(32)).decode()} 2026-11-22T21:18:04.118221Z\n")
    code, told = verb(capsys, "verify", "--data", str(copy))
    assert code == 1
    assert "a head of 100000 was signed" in told
    with served(copy) as desk:
        told_here = readiness(desk, "degraded")
        assert (told_here["status"], told_here["reason"]) == ("degraded", "log-behind")
    assert (
        cli.main(["export", "--data", str(copy), "--out", str(copy.parent / "fresh")]) == 0
    )  # an earlier head covers it
    heads(copy).unlink()
    code, told = verb(capsys, "verify", "--data", str(copy))
    assert code == 1
    assert "heads-missing" in told
