"""Several processes tick on one store and are killed again and again: each threshold fires once, and none too early."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from datetime import timedelta
from statistics import quantiles
from typing import Any

import pytest

from rvr import timekeeping
from rvr.core import events as e
from rvr.core.commands import OpenCase
from rvr.core.moment import Moment, iso, parse_iso
from rvr.serving import LOOK_S
from rvr.store.tables import ClockRow, every
from tests.builders import HANDLER
from tests.crash import children
from tests.crash.children import at_work, opens
from tests.crash.soundness import is_sound
from tests.store.builders import Place

DUE_S = 600
"""Two clocks of an untouched call have a threshold then (`workflows/da-desk/clocks.toml`)."""

A_CASE = 2
A_CASE_S = 0.06
"""How long it may take to open one, on a machine that does other things too."""
WAIT_S = 30

Threshold = tuple[str, str, int, int]
"""Case, clock, run, after_s."""


def back(moment: Moment, seconds: float) -> Moment:
    """That long before the moment, by both clocks."""
    past = moment.at - timedelta(seconds=seconds)
    return Moment(past, moment.boot, moment.boottime_ns - int(seconds * 1e9), moment.error_us)


async def set_clocks(place: Place, thresholds: int, over_s: float) -> tuple[set[Threshold], float]:
    """Opens cases whose clocks fall due evenly over that time, and from when on: by `time.monotonic`."""
    cases = thresholds // A_CASE
    async with at_work(place) as desk:
        now, starts_s = timekeeping.observe(), cases * A_CASE_S + 2
        begins = time.monotonic() + starts_s
        for number in range(cases):
            opened = back(now, DUE_S - starts_s - over_s * number / cases)
            await desk.handle(OpenCase(f"timer {number}", opens("", number).form, at=opened), HANDLER)
        assert time.monotonic() < begins, "this machine is too slow to set the clocks in time"
        until = iso(now.at + timedelta(seconds=starts_s + over_s))
        rows = await desk.store.read(lambda session: every(session, ClockRow, ClockRow.due_at <= until))
    return {(row.case_id, row.clock, row.run, row.after_s) for row in rows}, begins


async def fired(place: Place) -> list[tuple[Threshold, e.ClockRanOut, Moment]]:
    """Every threshold that fired, with the fact and when it was seen."""
    found, after = [], 0
    async with at_work(place) as desk:
        while events := await desk.store.events_after(after, 1000):
            after = events[-1].position
            for one in events:
                if isinstance(fact := one.event.fact, e.ClockRanOut):
                    case = one.stream.removeprefix("case/")
                    found.append(((case, fact.clock, fact.run, fact.after_s), fact, one.event.at))
    return found


def tick_through(
    place: Place, *, thresholds: int, workers: int, kills: int, over_s: float, seed: int = 7
) -> dict[str, Any]:
    """Workers tick while the thresholds fall due; as many times as told one of them is killed, and another started."""
    dice = random.Random(seed)
    due, begins = asyncio.run(set_clocks(place, thresholds, over_s))
    moments = sorted(begins + dice.uniform(0, over_s) for _ in range(kills))
    with contextlib.ExitStack() as stack:
        alive = [stack.enter_context(children.at("tick", place, look_s=LOOK_S)) for _ in range(workers)]
        for child in alive:
            child.until("started")
        for moment in moments:
            time.sleep(max(0, moment - time.monotonic()))
            which = dice.randrange(workers)
            alive[which].kill()
            alive[which] = stack.enter_context(children.at("tick", place, look_s=LOOK_S))
        time.sleep(max(0, begins + over_s - time.monotonic()))
        deadline = time.monotonic() + WAIT_S
        while len(asyncio.run(fired(place))) < len(due) and time.monotonic() < deadline:
            time.sleep(1)
        time.sleep(2 * LOOK_S)  # whoever would fire one twice has looked again
        for child in alive:
            child.kill()
    asyncio.run(is_sound(place, []))
    times, late_s = Counter[Threshold](), []
    for threshold, fact, at in asyncio.run(fired(place)):
        times[threshold] += 1
        assert at.at >= parse_iso(fact.due_at), f"{threshold} fired early"
        late_s.append(fact.late_us / 1e6)
        assert abs(late_s[-1] - (at.at - parse_iso(fact.due_at)).total_seconds()) < 0.1, "how late is in the event"
    hundredths = quantiles(late_s, n=100)
    return {
        "thresholds": len(due),
        "workers": workers,
        "kills": kills,
        "fired": len(times),
        "never fired": len(due - times.keys()),
        "fired twice": sum(count > 1 for count in times.values()),
        "late, p50 p99 max (s)": tuple(round(one, 3) for one in (hundredths[49], hundredths[98], max(late_s))),
    }


@pytest.mark.slow
def test_each_threshold_fires_once_whatever_worker_is_killed(place: Place) -> None:
    told = tick_through(place, thresholds=300, workers=3, kills=6, over_s=8)
    assert (told["thresholds"], told["fired"], told["never fired"], told["fired twice"]) == (300, 300, 0, 0)
