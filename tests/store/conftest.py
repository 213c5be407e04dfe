"""A store on a fresh folder, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rvr.store import Store
from tests.places import empty_place
from tests.store.builders import Clock, Place


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return empty_place(request, tmp_path)


@pytest.fixture
async def store(place: Place, clock: Clock) -> AsyncIterator[Store]:
    opened = place.store(clock)
    await opened.start()
    yield opened
    await opened.close()
