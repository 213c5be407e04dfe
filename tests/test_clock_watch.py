"""The watch over the wall clock: each step of it is told once, slewing and suspending never, and so is its health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rvr import timekeeping
from rvr.clock_watch import ADDED_UP_S, STREAM, ClockWatch
from rvr.core import events as e
from rvr.core import wall_clock
from rvr.core.commands import OpenCase
from rvr.core.moment import Moment
from rvr.desk import Desk
from rvr.periodic import Periodic
from rvr.realtime import Hub
from rvr.store import Store
from tests.builders import HANDLER, OPENING, Universe, shipped
from tests.store.builders import Place

LIMIT_MS = 1500
HOUR_S = 3600


@pytest.fixture
def universe() -> Universe:
    return Universe()


async def opened(place: Place, observe: Callable[[], Moment], new_id: Callable[[], str]) -> Desk:
    store = Store(place, force="wmp", observe=observe)
    await store.start()
    desk = Desk(store, shipped(), Hub(), observe=observe, join_url="", link_text="{link}", new_id=new_id)
    await desk.start()
    return desk


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "data", tmp_path / "keys" / "keys.json")


@pytest.fixture
async def desk(place: Place, universe: Universe) -> AsyncIterator[Desk]:
    made = await opened(place, universe, universe.new_id)
    yield made
    await made.store.close()


def watch(desk: Desk) -> ClockWatch:
    """A watch of a process that has just started."""
    return ClockWatch(desk, LIMIT_MS)


async def steps(desk: Desk) -> list[e.ClockStepObserved]:
    told = [recorded.event.fact for recorded in await desk.store.load(STREAM)]
    return [fact for fact in told if isinstance(fact, e.ClockStepObserved)]


async def healths(desk: Desk) -> list[tuple[str, int | None]]:
    told = [recorded.event for recorded in await desk.store.load(STREAM)]
    return [(one.fact.health, one.at.error_us) for one in told if isinstance(one.fact, e.ClockHealthNoted)]


# --- Steps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S, 0.06, -0.06])
async def test_a_step_is_told_once_with_what_was_read_before_and_after(
    desk: Desk, universe: Universe, step_s: float
) -> None:
    looking, before = watch(desk), universe.wall
    await looking.look()
    universe.step(step_s)
    for _ in range(3):
        universe.pass_(1)
        await looking.look()
    (told,) = await steps(desk)
    assert (told.moved_ms, told.same_boot) == (round(step_s * 1000), True)
    assert told.from_at == before.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert await desk.store.verify() == []


async def test_slewing_for_a_day_is_no_step(desk: Desk, universe: Universe) -> None:
    looking = watch(desk)
    for _ in range(24 * HOUR_S):
        await looking.look()
        universe.pass_(1)
        universe.wall += timedelta(microseconds=500)
    assert await steps(desk) == []


async def test_many_small_steps_are_one_large_one(desk: Desk, universe: Universe) -> None:
    looking = watch(desk)
    for _ in range(ADDED_UP_S):
        await looking.look()
        universe.pass_(1)
        universe.step(0.04)
    told = await steps(desk)
    assert sum(one.moved_ms for one in told) >= ADDED_UP_S * 40 - 2 * 40
    assert all(one.moved_ms == 80 for one in told)


async def test_a_machine_that_sleeps_is_no_step(desk: Desk, universe: Universe) -> None:
    looking = watch(desk)
    await looking.look()
    universe.pass_(9 * HOUR_S)
    await looking.look()
    assert await steps(desk) == []


@pytest.mark.parametrize("step_s", [0, HOUR_S, -HOUR_S])
async def test_after_a_start_in_the_same_boot_the_newest_event_is_compared_with(
    desk: Desk, universe: Universe, step_s: int
) -> None:
    await watch(desk).look()
    universe.pass_(60)
    await desk.handle(OpenCase("c", OPENING), HANDLER)
    universe.pass_(600)
    universe.step(step_s)
    for _ in range(2):
        await watch(desk).look()
    assert [one.moved_ms for one in await steps(desk)] == ([step_s * 1000] if step_s else [])


async def test_an_observation_that_came_late_is_not_taken_for_the_last_one(desk: Desk, universe: Universe) -> None:
    looking, seen = watch(desk), universe.at
    await looking.look()
    universe.pass_(60)
    newest = universe.wall
    await desk.handle(OpenCase("in time", OPENING), HANDLER)
    await desk.handle(OpenCase("late", OPENING, at=seen), HANDLER)
    universe.pass_(60)
    universe.step(-HOUR_S)
    await watch(desk).look()
    (told,) = await steps(desk)
    assert told.from_at[:26] == newest.isoformat()[:26]


async def test_across_a_restart_of_the_machine_a_time_that_went_back_is_told_once(
    desk: Desk, universe: Universe
) -> None:
    await watch(desk).look()
    universe.restart()
    universe.step(-HOUR_S)
    universe.pass_(60)
    for _ in range(2):
        await watch(desk).look()
        universe.pass_(1)
    (told,) = await steps(desk)
    assert (told.moved_ms, told.same_boot) == ((-HOUR_S + 60) * 1000, False)


async def test_across_a_restart_of_the_machine_nothing_else_can_be_told(desk: Desk, universe: Universe) -> None:
    await watch(desk).look()
    universe.restart()
    universe.step(HOUR_S)
    await watch(desk).look()
    assert await steps(desk) == []


async def test_of_two_processes_on_one_machine_one_tells(place: Place, desk: Desk, universe: Universe) -> None:
    other = await opened(place, universe, universe.new_id)
    ours, theirs = watch(desk), watch(other)
    await asyncio.gather(ours.look(), theirs.look())
    universe.step(HOUR_S)
    await asyncio.gather(ours.look(), theirs.look())
    universe.pass_(0.7)
    await asyncio.gather(theirs.look(), ours.look())
    universe.step(-HOUR_S)
    await ours.look()
    universe.pass_(0.3)
    await theirs.look()
    assert [one.moved_ms for one in await steps(desk)] == [HOUR_S * 1000, -HOUR_S * 1000]
    assert len(await healths(desk)) == 1
    await other.store.close()


async def test_each_machine_tells_of_its_own_clock(place: Place, desk: Desk, universe: Universe) -> None:
    second = replace(universe, boot="another machine")
    other = await opened(place, second, universe.new_id)
    ours, theirs = watch(desk), watch(other)
    for looking in (ours, theirs):
        await looking.look()
    second.step(HOUR_S)
    for machine in (universe, second):
        machine.pass_(1)
    for looking in (ours, theirs):
        await looking.look()
    told = [(one.event.at.boot, one.event.type) for one in await desk.store.load(STREAM)]
    noted = [(machine.boot, "ClockHealthNoted") for machine in (universe, second)]
    assert told == [*noted, ("another machine", "ClockStepObserved")]
    await other.store.close()


async def test_a_step_while_the_log_cannot_be_written_is_told_afterwards(
    desk: Desk, universe: Universe, place: Place
) -> None:
    looking, before = watch(desk), universe.wall
    await looking.look()
    universe.step(HOUR_S)
    broken = place.connection()
    broken.execute("ALTER TABLE command RENAME TO gone")
    universe.pass_(1)
    await looking.look()
    assert await steps(desk) == []
    broken.execute("ALTER TABLE gone RENAME TO command")
    broken.close()
    universe.pass_(10)
    await looking.look()
    (told,) = await steps(desk)
    assert (told.moved_ms, told.from_at[:19]) == (HOUR_S * 1000, before.isoformat()[:19])


# --- Health ------------------------------------------------------------------------------------------------------


async def test_the_health_is_noted_at_the_first_look_of_a_boot_and_at_each_change(
    desk: Desk, universe: Universe, capsys: pytest.CaptureFixture[str]
) -> None:
    looking = watch(desk)
    for error_us in (3100, 3200, None, None, 2_000_000, 2_100_000, 900_000):
        universe.error_us = error_us
        universe.pass_(1)
        await looking.look()
    after_a_start = watch(desk)
    await after_a_start.look()
    told = [("synchronised", 3100), ("unsynchronised", None), ("inaccurate", 2_000_000), ("synchronised", 900_000)]
    assert await healths(desk) == told
    said = "".join(capsys.readouterr())
    assert [said.count(f"code={name}") for name in ("unsynchronised", "inaccurate", "synchronised")] == [1, 1, 2]
    universe.restart()
    await watch(desk).look()
    assert await healths(desk) == [*told, ("synchronised", 900_000)]


# --- The clocks of this machine ----------------------------------------------------------------------------------


async def test_of_the_clocks_of_this_machine_nothing_is_told_in_three_seconds(place: Place) -> None:
    """For as long as nobody sets them, which a test has no right to do."""
    ids = Universe()
    real = await opened(place, timekeeping.observe, ids.new_id)
    looks = 0
    looking = watch(real)

    async def look() -> None:
        nonlocal looks
        await looking.look()
        looks += 1

    often = Periodic(look, 0.01)
    often.start()
    await asyncio.sleep(3)
    await often.stop()
    assert looks > 100
    assert await steps(real) == []
    assert [name for name, _ in await healths(real)] == [wall_clock.health(timekeeping.observe(), LIMIT_MS)]
    await real.store.close()


def test_the_two_clocks_of_a_moment_are_read_together() -> None:
    first = timekeeping.observe()
    for _ in range(20_000):
        assert wall_clock.moved_us(first, timekeeping.observe()) == 0
