"""What every test may be told on the command line."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests import postgres


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-docs", action="store_true", help="write the made tables of docs/ anew (tests/test_docs.py)"
    )
    parser.addoption("--kills", type=int, default=8, help="how often tests/crash/test_kill9.py kills")
    parser.addoption("--cuts", type=int, default=60, help="power cuts in tests/crash/test_powercut.py")


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
