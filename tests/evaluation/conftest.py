"""A week at the desk, lived through once for all tests of the package that it makes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from rvr.clock_watch import ClockWatch
from rvr.evaluation.package import Summary, export
from rvr.store import Store
from tests.evaluation.days import Days, definitions, with_every_fact
from tests.evaluation.stories import a_week
from tests.store.builders import Clock, Place

T = TypeVar("T")


@dataclass(frozen=True)
class Week:
    """A store in which a week was recorded, and what was recorded there."""

    place: Place
    keys: Path
    clock: Clock
    cases: dict[str, str]
    """Story -> id of its case."""
    begins: dict[str, datetime]
    """Story -> when its case was opened."""

    def on_store(self, use: Callable[[Store], Awaitable[T]]) -> T:
        async def run() -> T:
            store = self.place.store(self.clock)
            await store.start()
            try:
                return await use(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def exports(self, out: Path, project: str = "kent", **window: Any) -> Summary:
        return self.on_store(lambda store: export(store, out, project_key=self.keys / f"{project}.json", **window))


async def _live(place: Place, clock: Clock) -> tuple[dict[str, str], dict[str, datetime]]:
    store = place.store(clock)
    await store.start()
    try:
        days = Days(store, clock, definitions())
        await days.start()
        await ClockWatch(days.desk, 1500).look()
        await with_every_fact(days)
        cases = await a_week(days)
        begins = {name: (await days.desk.log(case))[0].event.at.at for name, case in cases.items()}
    finally:
        await store.close()
    return cases, begins


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    root = tmp_path_factory.mktemp("week")
    place, clock = Place(root / "data", root / "keys" / "keys.json"), Clock()
    cases, begins = asyncio.run(_live(place, clock))
    return Week(place, root / "keys", clock, cases, begins)


@pytest.fixture(scope="session")
def package(week: Week, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the whole week."""
    out = tmp_path_factory.mktemp("export") / "package"
    week.exports(out)
    return out
