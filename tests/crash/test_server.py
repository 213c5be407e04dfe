"""PostgreSQL is killed, or drops the desk's connections, while the desk is at work: nothing that was acknowledged is
lost, nothing happens twice, and the desk goes on by itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Any

import pytest

from tests import postgres
from tests.crash import children
from tests.crash.children import Hurry
from tests.crash.soundness import is_sound
from tests.store.builders import Place

EVERY_S = 0.3
"""Between two terminations of all the desk's connections."""


@pytest.fixture
def own() -> Any:
    """A server that only this proof kills."""
    with postgres.running() as server:
        yield server


def a_place(server: postgres.Server, folder: Any) -> Place:
    return Place(folder / "data", folder / "keys" / "keys.json", server.database())


def kill_the_server(place: Place, server: postgres.Server, kills: int, seed: int = 7) -> dict[str, Any]:
    """One desk at work all the time; the server under it is killed again and again."""
    dice, since_ns = random.Random(seed), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    with children.at("write", place, name="w", since_ns=since_ns, again=[]) as child:
        child.until("started")
        for _ in range(kills):
            child.until("done", dice.randrange(1, 40))
            time.sleep(dice.uniform(0, 0.02))
            server.kill()
            server.start()
        child.until("done", 20)
        said = child.kill()
    return asyncio.run(_counted(place, said, since_ns, kills=kills))


def terminate_backends(place: Place, server: postgres.Server, for_s: float) -> dict[str, Any]:
    """Every connection of the desk is cut by the server, three times a second."""
    since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    with children.at("write", place, name="w", since_ns=since_ns, again=[]) as child:
        child.until("started")
        until, cut = time.monotonic() + for_s, 0
        while time.monotonic() < until:
            again = time.monotonic() + EVERY_S
            while time.monotonic() < again:
                child.until("done")  # it is heard all the time: a full pipe would hold it up
            ended = server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rvr'")
            cut += len(ended)
        child.until("done", 20)
        said = child.kill()
    return asyncio.run(_counted(place, said, since_ns, cut=cut))


async def _counted(place: Place, said: list[list[Any]], since_ns: int, **counts: int) -> dict[str, Any]:
    acknowledged, left = children.acknowledged(said), children.unanswered(said)
    unavailable = Counter(line[2] for line in said if line[0] == "unavailable")
    events = await is_sound(place, acknowledged, left, Hurry(since_ns, 600))
    return {**counts, "acknowledged": len(acknowledged), "unavailable": dict(unavailable), "events": events, "lost": 0}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_that_is_killed_loses_no_acknowledged_command(own: postgres.Server, tmp_path: Any) -> None:
    counts = kill_the_server(a_place(own, tmp_path), own, 5)
    assert counts["acknowledged"] > 50


@pytest.mark.slow
def test_a_server_that_drops_every_connection_again_and_again_loses_nothing(
    own: postgres.Server, tmp_path: Any
) -> None:
    counts = terminate_backends(a_place(own, tmp_path), own, 6)
    assert counts["cut"] > 10
    assert counts["acknowledged"] > 50
    assert counts["unavailable"] == {}, "a lost connection is made again before anybody is told"
