"""A killed process loses nothing that it acknowledged, and leaves nothing half done.

SIGKILL keeps what the process wrote, synced or not: what a power cut takes is another proof (`test_powercut`).
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from tests.crash import children
from tests.crash.soundness import is_sound
from tests.store.builders import Place


def kill_again_and_again(place: Place, kills: int, seed: int = 7) -> dict[str, int]:
    """Processes with eight clients each are killed one after the other; after each kill everything must hold."""
    dice, acknowledged, events, repeated = random.Random(seed), set[str](), 0, 0
    again: list[dict[str, Any]] = []
    since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    for turn in range(kills):
        with children.at("write", place, name=str(turn), since_ns=since_ns, again=again) as child:
            child.until("started")
            child.until("done", dice.randrange(50))
            time.sleep(dice.uniform(0, 0.02))
            said = child.kill()
        acknowledged |= children.acknowledged(said)
        left = children.unanswered(said)
        # Every other time the next process, under load, is asked them again instead of the quiet one here.
        again = left if turn % 2 else []
        repeated += len(left)
        events = asyncio.run(is_sound(place, acknowledged, [] if again else left, children.Hurry(since_ns, 600)))
    return {"kills": kills, "acknowledged": len(acknowledged), "events": events, "sent again": repeated, "lost": 0}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_kill_loses_an_acknowledged_command_or_leaves_one_half_done(place: Place, kills: int) -> None:
    counts = kill_again_and_again(place, kills)
    assert counts["acknowledged"] > 10 * kills
    assert counts["sent again"] > kills
