"""Where the proofs keep their stores, and how much of each is run. The counts of a test run are small: a full proof is
`python3 run.py bench crash`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash import disk
from tests.places import empty_place
from tests.store.builders import Place


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return empty_place(request, tmp_path / "disk")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk.build(tmp_path_factory.mktemp("disk"))


@pytest.fixture
def kills(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("kills"))


@pytest.fixture
def cuts(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("cuts"))
