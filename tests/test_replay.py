"""The read rows rest on the log alone: after a random week, what was written live is what a replay makes of the log."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from rvr.core.commands import ConfirmErasure, MakeMove, ProposeErasure
from rvr.core.erasure import is_erased
from rvr.core.errors import RvrError
from rvr.desk import Desk
from rvr.realtime import Hub
from rvr.store import projections
from rvr.ticker import Ticker
from tests.evaluation.days import STAFF, Days, a_desk
from tests.evaluation.stories import a_week
from tests.store.builders import Place
from tests.test_erasure import ADMIN, INSPECTOR, TEN


@pytest.fixture
async def days(tmp_path: Path) -> AsyncIterator[Days]:
    async with a_desk(tmp_path) as told:
        yield told


async def a_random_week(days: Days, dice: random.Random) -> list[str]:
    """Whole stories and then whoever presses whatever, while time passes and clocks run out."""
    cases = list((await a_week(days)).values())
    ticker, made = Ticker(days.desk), 0
    for _ in range(120):
        days.later(dice.choice([1, 30, 61, 130, 301, 905, 7300, 40_000]))
        await ticker.tick()
        case, who = dice.choice(cases), dice.choice(list(STAFF.values()))
        ahead = await days.desk.open_to(await days.desk.gather(case), who)
        free = [view.move.id for view in ahead.moves if not view.move.asks]
        if free:
            with contextlib.suppress(RvrError):
                made += bool((await days.desk.handle(MakeMove(days._id(), case, dice.choice(free), {}), who)).recorded)
        if dice.random() < 0.1:
            cases.append(await days.opens())
    assert made > 20
    return cases


@pytest.mark.parametrize("seed", range(3))
async def test_live_and_rebuilt_rows_are_equal_after_a_random_week(days: Days, seed: int) -> None:
    cases = await a_random_week(days, random.Random(seed))
    days.clock.at += TEN + timedelta(days=1)
    for case in cases:  # those that nobody works on any more go
        with contextlib.suppress(RvrError):
            told = ("retention_review", "no_longer_necessary")
            await days.desk.handle(ProposeErasure(days._id(), case, *told), ADMIN)
            await days.desk.handle(ConfirmErasure(days._id(), case), INSPECTOR)
    live = await days.store.write(projections.fingerprints)
    assert await days.store.replay() == []
    assert await days.store.write(projections.fingerprints) == live
    assert any([is_erased(await days.desk.case(case)) for case in cases])
    assert await days.store.verify() == []


async def test_a_replay_beside_the_desk_shows_readers_whole_rows_and_loses_no_command(
    days: Days, tmp_path: Path
) -> None:
    """In another process's place: a second store on the same folder."""
    other = Place(tmp_path / "data", tmp_path / "keys" / "keys.json").store(days.clock)
    await other.start()
    for _ in range(20):
        await days.opens()

    async def work() -> int:
        for _ in range(10):
            await days.opens()
            assert len(await days.desk.open_cases()) >= 20, "no reader sees rows that are not there yet"
        return len(await days.desk.open_cases())

    async def replay() -> list[str]:
        return [table for _ in range(10) for table in await other.replay()]

    count, changed = await asyncio.gather(work(), replay())
    assert (count, changed) == (30, [])
    await other.close()


async def test_what_a_desk_keeps_of_its_cases_is_what_another_desk_reads(days: Days) -> None:
    cases = await a_random_week(days, random.Random(7))
    other = Desk(
        days.store, days.desk.definitions, Hub(), observe=days.clock, join_url="", link_text="", new_id=days._id
    )
    for case in cases:
        kept, read = days.desk._recent.of(case), await other.gather(case)
        assert kept.log, "or there is nothing to compare"
        assert kept == read.told
