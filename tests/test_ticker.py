"""The ticker: fires what is due, survives what cannot be fired, stops when told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.commands import OpenCase
from rvr.core.workflow import Threshold
from rvr.desk import Desk
from rvr.periodic import Periodic
from rvr.realtime import Hub
from rvr.store import Store
from rvr.store.tables import ClockRow, every
from rvr.ticker import Ticker
from tests.builders import HANDLER, OPENING, Universe, da_desk, shipped
from tests.store.builders import Place, a_batch, event, started


@pytest.fixture
def universe() -> Universe:
    return Universe()


@pytest.fixture
async def desk(tmp_path: Path, universe: Universe) -> AsyncIterator[Desk]:
    place = Place(tmp_path / "data", tmp_path / "keys" / "keys.json")
    store = Store(place, force="wmp", observe=universe)
    await store.start()
    made = Desk(store, shipped(), Hub(), observe=universe, join_url="", link_text="{link}", new_id=universe.new_id)
    await made.start()
    yield made
    await store.close()


async def fired(desk: Desk, case: str) -> list[tuple[str, int]]:
    log = await desk.log(case)
    return [(r.event.fact.clock, r.event.fact.after_s) for r in log if isinstance(r.event.fact, e.ClockRanOut)]


async def test_it_fires_what_is_due_and_nothing_before(desk: Desk, universe: Universe) -> None:
    case = (await desk.handle(OpenCase("c", OPENING), HANDLER)).case.id
    universe.pass_(599.999)
    assert await Ticker(desk).tick() == 0
    universe.pass_(0.001)
    assert await Ticker(desk).tick() == 2
    assert await Ticker(desk).tick() == 0
    assert sorted(await fired(desk, case)) == [("call_taking", 600), ("transfer", 600)]


async def test_a_wall_clock_set_forward_makes_it_wait_for_the_clock_that_never_steps(
    desk: Desk, universe: Universe
) -> None:
    case = (await desk.handle(OpenCase("c", OPENING), HANDLER)).case.id
    universe.step(3600)
    assert await Ticker(desk).tick() == 0
    assert await fired(desk, case) == []
    universe.pass_(600)
    assert await Ticker(desk).tick() == 2


@pytest.mark.parametrize("step_s", [-3600, 3600])
async def test_a_clock_that_counts_desk_hours_is_found_when_it_is_due_though_somebody_set_the_wall_clock(
    desk: Desk, universe: Universe, step_s: int
) -> None:
    """Two hours of the desk at 21:18 are ten on a watch: it is closed from 23:00 to 07:00."""
    flow = da_desk()
    two_hours = replace(flow.clocks["transfer"], counts="desk_hours", thresholds=(Threshold(7200),))
    desk.definitions = replace(desk.definitions, workflows={flow.id: replace(flow, clocks={"transfer": two_hours})})
    case = (await desk.handle(OpenCase("c", OPENING), HANDLER)).case.id
    universe.step(step_s)
    universe.pass_(35_999.999)
    assert await Ticker(desk).tick() == 0
    universe.pass_(0.001)
    assert await Ticker(desk).tick() == 1
    assert await fired(desk, case) == [("transfer", 7200)]


async def test_a_threshold_that_fired_or_whose_clock_stopped_is_no_row_any_more(desk: Desk, universe: Universe) -> None:
    await desk.handle(OpenCase("c", OPENING), HANDLER)
    before = await desk.store.read(lambda session: every(session, ClockRow))
    universe.pass_(600)
    await Ticker(desk).tick()
    left = await desk.store.read(lambda session: every(session, ClockRow))
    assert (len(before), {(row.clock, row.after_s) for row in left}) == (
        4,
        {("call_taking", 1800), ("service_level", 86_400)},
    )


async def test_one_case_that_cannot_be_read_does_not_silence_the_others(desk: Desk, universe: Universe) -> None:
    """Its definition is nowhere: that must not happen, and if it does, every other clock still runs."""

    class Early:
        at = universe.wall

        def __call__(self) -> object:
            return universe.at

    fact = e.CaseOpened(workflow="lost", reference="LOST", details={}, victim_id="v", suspect_id="s")
    broken = event(fact, "call_taking", Early(), clocks=(started("handover", Early()),))  # type: ignore[arg-type]
    await desk.store.append(a_batch("broken", Case("broken"), broken))
    case = (await desk.handle(OpenCase("c", OPENING), HANDLER)).case.id
    universe.pass_(600)
    assert await Ticker(desk).tick() == 2
    assert len(await fired(desk, case)) == 2


async def test_it_is_looked_at_again_and_again_until_stopped_whatever_a_look_comes_to(
    desk: Desk, universe: Universe
) -> None:
    case = (await desk.handle(OpenCase("c", OPENING), HANDLER)).case.id
    looks, screen = 0, desk.hub.listen(["board"])

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("the store is not there")
        await Ticker(desk).tick()

    running = Periodic(look, 0.01)
    running.start()
    universe.pass_(600)
    async with asyncio.timeout(5):
        for _ in range(2):
            await screen.queue.get()
    await running.stop()
    universe.pass_(3600)
    await asyncio.sleep(0.05)
    assert len(await fired(desk, case)) == 2
    await Periodic(look, 1).stop()
