"""A job that many ask for at once runs as often as it must, and never beside itself."""

from __future__ import annotations

import asyncio

import pytest

from rvr.periodic import Shared


async def test_one_run_serves_all_who_asked_before_it_began_and_none_who_asked_after() -> None:
    log, begun = list[str](), asyncio.Event()
    gates = [asyncio.Event(), asyncio.Event()]

    async def job() -> None:
        log.append("begins")
        begun.set()
        await gates[log.count("begins") - 1].wait()
        log.append("ends")

    shared = Shared(job)
    first = asyncio.create_task(shared())
    await begun.wait()
    late = [asyncio.create_task(shared()) for _ in range(5)]
    await asyncio.sleep(0)
    gates[0].set()
    await first
    assert not any(task.done() for task in late), "what they asked for may be newer than what that run read"
    gates[1].set()
    await asyncio.gather(*late)
    assert log == ["begins", "ends"] * 2


async def test_a_run_that_fails_fails_those_who_asked_and_the_next_one_runs() -> None:
    fails = [True, False]

    async def job() -> None:
        if fails.pop(0):
            raise OSError("no")

    shared = Shared(job)
    with pytest.raises(OSError, match="no"):
        await shared()
    await shared()


async def test_whoever_goes_away_takes_the_run_from_nobody() -> None:
    done: list[int] = []

    async def job() -> None:
        await asyncio.sleep(0.01)
        done.append(1)

    shared = Shared(job)
    impatient, other = asyncio.create_task(shared()), asyncio.create_task(shared())
    await asyncio.sleep(0)
    impatient.cancel()
    await other
    assert done == [1]
