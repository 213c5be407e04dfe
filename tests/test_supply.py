"""What is shipped is listed from the lock files, and every package of them is pinned by its hash."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import run
from tests.serving import free_port

LOCKED = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="no npm on this machine")


def locked() -> set[tuple[str, str]]:
    return set(LOCKED.findall(run.RUNTIME_LOCK.read_text(encoding="utf-8")))


@needs_npm
def test_the_list_of_what_is_shipped_has_every_locked_package_with_its_hash_and_is_the_same_again(
    tmp_path: Path,
) -> None:
    python, front_end = run.bill_of_materials(tmp_path / "one")
    told = json.loads(python.read_text())
    assert told["bomFormat"] == "CycloneDX"
    assert {(one["name"], one["version"]) for one in told["components"]} == locked()
    assert all(one["externalReferences"][0]["hashes"] for one in told["components"])
    again, _ = run.bill_of_materials(tmp_path / "two")
    assert again.read_bytes() == python.read_bytes()
    wanted = json.loads((run.STATIC / "package.json").read_text())["dependencies"]
    named = {
        f"{one.get('group', '')}/{one['name']}".strip("/") for one in json.loads(front_end.read_text())["components"]
    }
    assert set(wanted) <= named


@pytest.mark.parametrize("file", [run.RUNTIME_LOCK, run.TEST_LOCK, run.NODE_LOCK], ids=lambda file: file.name)
def test_every_locked_package_has_its_hashes_and_no_address(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.partition(" ")[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_what_is_known_against_a_package_fails_and_what_cannot_be_asked_is_said(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Against the services themselves, where they can be reached; where not, that is what it says."""
    known = run.audit_python()
    told = capfd.readouterr().err
    assert re.search(r"Python packages: (\d+ of \d+ examined|not examined: no advisory service)", told)
    assert known == [] or "examined" in told


def test_where_no_service_is_reached_it_is_said_with_the_reason_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTPS_PROXY", "https_proxy", "npm_config_registry"):
        monkeypatch.setenv(name, nobody)
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    assert run.audit_python() == []
    told = capfd.readouterr().err
    assert re.match(r"Python packages: not examined: no advisory service .+\n  .*ProxyError", told)
    assert run.audit_front_end() == []
    told = capfd.readouterr().err
    assert re.match(r"front-end packages: not examined: no advisory service .+\n  .*ECONNREFUSED", told)


def test_a_lock_file_that_cannot_be_examined_is_a_fault_and_not_a_missing_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "requirements.lock").write_text("aiohttp==3\n")
    monkeypatch.setattr(run, "RUNTIME_LOCK", tmp_path / "requirements.lock")
    with pytest.raises(run.SetupFault, match=r"Python packages could not be examined.*does not contain a hash"):
        run.audit_python()
    (tmp_path / "package.json").write_bytes((run.STATIC / "package.json").read_bytes())
    monkeypatch.setattr(run, "STATIC", tmp_path)
    with pytest.raises(run.SetupFault, match=r"front-end packages could not be examined.*lockfile"):
        run.audit_front_end()
