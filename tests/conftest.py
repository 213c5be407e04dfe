"""What every test may be told on the command line, and how a run is spread over several processes."""

from __future__ import annotations

import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import structlog
from xdist.scheduler import LoadFileScheduling

from tests import janus, postgres
from tests.serving import MOST_WORKERS
from tests.turns import Turns

LONG = ("e2e", "slow")

_turns = pytest.StashKey[Turns]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-docs", action="store_true", help="write the made tables of docs/ anew (tests/test_docs.py)"
    )
    parser.addoption("--kills", type=int, default=8, help="how often tests/crash/test_kill9.py kills")
    parser.addoption("--cuts", type=int, default=60, help="power cuts in tests/crash/test_powercut.py")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Several processes for folders. None for named files, where starting them takes longer than it saves, and none
    for whoever wants to see what a test prints. `-n` overrules it."""
    folders = all(Path(argument).is_dir() for argument in config.args)
    if not folders or config.option.capture == "no":
        return 0
    return min((os.cpu_count() or 1) + 1, MOST_WORKERS)  # half of a test's time it waits: for a kill, a clock, a page


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return OneAlone(config, log) if config.option.dist == "loadfile" else None


class OneAlone(LoadFileScheduling):
    """A file stays in one process, and all files with tests that run alone in the same one: they follow each other."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "alone" if runs_alone(self.config.rootpath / file) else file


@cache
def runs_alone(file: Path) -> bool:
    """As its text says: the process that shares the tests out has no marks of theirs."""
    return "pytest.mark.alone" in file.read_text(encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    if run := os.environ.get("PYTEST_XDIST_TESTRUNUID"):
        folder = Path(tempfile.gettempdir()) / f"rvr-turns-{run}"
        folder.mkdir(exist_ok=True)
        config.stash[_turns] = Turns(folder)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Before the time of a test begins to count."""
    turns = item.config.stash.get(_turns, None)
    if turns is not None:
        turns.take(alone=_alone(item))
    try:
        return (yield)
    finally:
        if turns is not None and not (_alone(item) and nextitem is not None and _alone(nextitem)):
            turns.give_back()


def _alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests first, the others in their random order: no process waits at the end for a long one. What
    is to run alone comes when the others are about done.
    """
    long = Counter(item.path for item in items if any(map(item.get_closest_marker, LONG)))
    items.sort(key=lambda item: (_alone(item), -long[item.path]))


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that runs a verb sets the logs up on the standard error of that test, which closes behind it."""
    handlers = list(logging.getLogger().handlers)
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    """A real PostgreSQL, started when the first test asks for it."""
    with postgres.running() as started:
        yield started


@pytest.fixture(scope="session")
def janus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[janus.Janus]:
    """A real Janus, likewise. `tests.janus.missing` says whether this machine has one."""
    with janus.running(tmp_path_factory.mktemp("janus")) as server:
        yield server
