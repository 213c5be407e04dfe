"""A store on a fresh folder, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rvr.store import Store
from tests.store.builders import Clock, Place


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place on each engine; on files alone for a test that is marked `files`."""
    url = ""
    if request.param == "postgres":
        if request.node.get_closest_marker("files"):
            pytest.skip("of files")
        url = request.getfixturevalue("server").database()
    return Place(tmp_path / "data", tmp_path / "keys" / "keys.json", url)


@pytest.fixture
async def store(place: Place, clock: Clock) -> AsyncIterator[Store]:
    opened = place.store(clock)
    await opened.start()
    yield opened
    await opened.close()
