"""What a verb says at the terminal, and to whom nobody listens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT


@pytest.mark.parametrize("told", [("help",), ("check", "workflows/")])
def test_a_verb_that_nobody_reads_goes_on_to_its_end_and_complains_of_nothing(told: tuple[str, ...]) -> None:
    """As before `| head`, which reads its line and goes."""
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rvr.cli", *told],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=writes,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_verb_that_changes_something_has_changed_it_though_nobody_reads(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    account = ["-m", "rvr.cli", "accounts", "add", "ada", "--name", "Ada", "--role", "auditor"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        subprocess.run(
            [sys.executable, *account, "--data", str(tmp_path / "data")],
            input="three small words\nthree small words\n",
            env=env,
            cwd=ROOT,
            stdout=writes,
            text=True,
            timeout=60,
            check=True,
        )
    finally:
        os.close(writes)
    listed = [sys.executable, "-m", "rvr.cli", "accounts", "list", "--data", str(tmp_path / "data")]
    assert "ada" in subprocess.run(listed, env=env, cwd=ROOT, capture_output=True, text=True, check=True).stdout
