"""The units of docs/operations/: systemd understands them, they give little away, and the desk works with what they
take from it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rvr import config
from tests.hostile.test_streams import open_stream
from tests.serving import PASSWORD, ROOT, free_port, served

OPERATIONS = ROOT / "docs" / "operations"
UNITS = sorted([*OPERATIONS.glob("*.service"), *OPERATIONS.glob("*.timer")])

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="no systemd-analyze on this machine")

MOST_EXPOSED = 2.0
"""systemd's own scale from 0 to 10: below 2 it calls a service OK, above 9 UNSAFE."""


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *map(str, arguments)], capture_output=True, text=True, timeout=30)


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_every_line_of_a_unit(unit: Path, tmp_path: Path) -> None:
    """With a program that there is on this machine in place of the installed one."""
    for one in UNITS:
        text = one.read_text(encoding="utf-8").replace("/opt/rvr/.venv/bin/python", sys.executable)
        (tmp_path / one.name).write_text(re.sub(r"^(User|Group)=rvr$", r"\1=daemon", text, flags=re.MULTILINE))
    done = analyze("verify", "--man=no", tmp_path / unit.name)
    told = [line for line in done.stderr.splitlines() if unit.name in line]
    assert told == []


@needs_systemd
@pytest.mark.parametrize("unit", [one for one in UNITS if one.suffix == ".service"], ids=lambda unit: unit.name)
def test_a_unit_leaves_little_exposed(unit: Path) -> None:
    told = analyze("security", "--offline=yes", "--no-pager", unit).stdout
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert exposure is not None, told
    assert float(exposure[1]) <= MOST_EXPOSED, told


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone")
def test_the_desk_and_its_media_workers_start_where_no_memory_may_become_executable(tmp_path: Path) -> None:
    """MemoryDenyWriteExecute=, as the kernel has it since 6.3 (PR_SET_MDWE, prctl(2)); inherited by what is started."""
    pr_set_mdwe, no_new_executable = 65, 1
    if ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) < 0:
        pytest.skip("this kernel cannot deny it")
    code = (
        "import ctypes, sys;"
        f"assert ctypes.CDLL(None).prctl({pr_set_mdwe}, {no_new_executable}, 0, 0, 0) == 0;"
        "from rvr import cli; sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-P", "-c", code, "serve", "--port", str(free_port()), "--data", str(tmp_path / "data")]
    env = {**os.environ, "RVR_DEMO_PASSWORD": PASSWORD, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True) as desk:
        assert desk.stdout is not None
        lines = iter(desk.stdout.readline, "")
        assert any(line.startswith("Stop with") for line in lines), "it did not start"
        desk.terminate()
        assert desk.wait(15) == 0


def test_the_example_of_settings_is_taken_as_it_stands() -> None:
    found = config.load({}, environ={}, file=OPERATIONS / "rvr.toml")
    assert not found.demo
    assert found.secure
    assert found.trusted_proxies == "127.0.0.1"
    assert found.public_url != found.join_url


def test_the_container_has_what_the_lock_file_names_and_nothing_of_the_tests() -> None:
    text = (OPERATIONS / "Containerfile").read_text(encoding="utf-8")
    assert "--require-hashes -r requirements.lock" in text
    assert "requirements-test.lock" not in text
    last = text.rpartition("\nFROM ")[2]
    assert "USER rvr" in last
    assert "STOPSIGNAL SIGTERM" in last
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert "." not in copied.split(), "a checkout's own environment, data and keys are no part of an image"
        assert all((ROOT / one).exists() for one in copied.split()), copied


@pytest.mark.timeout(60)
def test_a_desk_that_is_told_to_stop_does_so_in_less_than_five_seconds_while_many_listen(tmp_path: Path) -> None:
    """As systemd tells it: SIGTERM."""
    with served(tmp_path / "data") as desk, contextlib.ExitStack() as lines:
        sergeant = desk.client("sergeant")
        for _ in range(20):
            lines.enter_context(open_stream(sergeant, "/live?topics=board"))
        started = time.monotonic()
        assert desk.stop(signal.SIGTERM) == 0
        assert time.monotonic() - started < 5
