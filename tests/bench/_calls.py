"""The load of `run.py bench media`, a process of its own: `python -m tests.bench._calls HOW`.

It starts one server, brings people into calls there, has them talk for a while, and says what it counted as one line of
JSON. What it sends is the same for every server.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import math
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from tests import janus
from tests.bench import _leg
from tests.bench._clip import FPS, Clip, clip
from tests.bench._leg import AUDIO, VIDEO
from tests.bench._targets import TARGETS, Person, cpu_s, memory_mib

JOINING_AT_ONCE: Final = 4
SETTLE_S: Final = 2.0
FRAME_S, SOUND_S = 1 / FPS, 0.02
PROBE_EVERY_S: Final = 0.001


@dataclass
class How:
    """What is measured."""

    target: str
    calls: int
    seconds: float
    kept: str
    """The file of the clip."""
    ahead: bool = False
    """Load and server go ahead of all else on this machine (SCHED_RR; for root)."""
    joins: int = 0
    """So many more calls come and go while the others talk, and how far each holds those up is measured."""


class Talker:
    """One person's sending side: the clip over and over, from a place of its own in it."""

    def __init__(self, person: Person, film: Clip, phase: float) -> None:
        self.person, self._film = person, film
        self._frame = 0
        self._sound = 0
        self._ticks = {AUDIO: 0, VIDEO: 0}
        self.frame_at = time.monotonic() + phase * FRAME_S
        self.sound_at = time.monotonic() + phase * SOUND_S
        person.tx.on_key_frame_wanted = self._begin_anew

    def _begin_anew(self) -> None:
        self._frame = 0

    def frame(self) -> None:
        packets = self._film.video[self._frame]
        self._ticks[VIDEO] += 90_000 // FPS
        is_key = self._frame == 0
        for n, payload in enumerate(packets):
            last = n == len(packets) - 1
            self.person.tx.send(VIDEO, self._ticks[VIDEO] & 0xFFFFFFFF, payload, last=last, marked=last and not is_key)
        self._frame = (self._frame + 1) % len(self._film.video)

    def sound(self) -> None:
        self._ticks[AUDIO] += 960
        payload = self._film.audio[self._sound]
        self.person.tx.send(AUDIO, self._ticks[AUDIO] & 0xFFFFFFFF, payload, last=False, marked=False)
        self._sound = (self._sound + 1) % len(self._film.audio)


class Load:
    """Everybody who talks."""

    def __init__(self, film: Clip) -> None:
        self._film = film
        self._people: list[Person] = []
        self._due: list[tuple[float, int, Any, float]] = []
        self._numbers = itertools.count()
        self.samples: list[float] = []
        self.late: list[float] = []
        """How late each sending was by our own doing, in ms: what of a latency is the load's."""

    def add(self, people: tuple[Person, Person], phase: float) -> None:
        for n, person in enumerate(people):
            talker = Talker(person, self._film, (phase + n / 2) % 1)
            person.rx.on_sample = self.samples.append
            self._people.append(person)
            heapq.heappush(self._due, (talker.frame_at, next(self._numbers), talker.frame, FRAME_S))
            heapq.heappush(self._due, (talker.sound_at, next(self._numbers), talker.sound, SOUND_S))

    async def run(self) -> None:
        reports, wide = time.monotonic(), time.monotonic()
        while True:
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                due, number, act, every = heapq.heappop(self._due)
                self.late.append((now - due) * 1000)
                act()
                heapq.heappush(self._due, (due + every, number, act, every))
                now = time.monotonic()
            if now - wide >= 0.1:
                wide = now
                for person in self._people:
                    person.rx.wide_report()
            if now - reports >= 1.0:
                reports = now
                for person in self._people:
                    for leg in person.legs:
                        leg.report()
            await asyncio.sleep(max(0.0005, self._due[0][0] - time.monotonic()) if self._due else 0.01)

    def counted(self) -> tuple[int, int]:
        """Packets that should have come, and that did, by their sequence numbers."""
        streams = [
            stream
            for person in self._people
            for type_, stream in person.rx.streams.items()
            if type_ in person.rx.heard_types.values()
        ]
        return sum(one.expected for one in streams), sum(one.packets for one in streams)

    def sent(self) -> int:
        return sum(sum(person.tx.sent.values()) for person in self._people)


async def measure(how: How) -> dict[str, Any]:
    film = clip(Path(how.kept))
    address = janus.own_address()
    _leg.prepare(address)
    target = TARGETS[how.target]()
    with tempfile.TemporaryDirectory(prefix="rvr-media-") as folder:
        await target.start(Path(folder), address, how.calls + (how.joins > 0))
        try:
            return await _measured(how, target, film)
        finally:
            await target.stop()


async def _measured(how: How, target: Any, film: Clip) -> dict[str, Any]:
    load = Load(film)
    took: list[float] = []
    gate = asyncio.Semaphore(JOINING_AT_ONCE)

    async def enter(number: int) -> None:
        async with gate:
            start = time.monotonic()
            people = await target.call(f"call-{number}")
            took.append((time.monotonic() - start) * 1000)
            load.add(people, number / how.calls)

    before_mib = memory_mib(target.pids)
    runner = asyncio.create_task(load.run())
    await asyncio.gather(*(enter(n) for n in range(how.calls)))
    await asyncio.sleep(SETTLE_S)
    stalls = await _stalls(how, target, load) if how.joins else []
    load.samples.clear()
    load.late.clear()
    expected, came = load.counted()
    sent = load.sent()
    cpu, own, start = cpu_s(target.pids), time.process_time(), time.monotonic()
    await asyncio.sleep(how.seconds)
    cpu, own, lasted = cpu_s(target.pids) - cpu, time.process_time() - own, time.monotonic() - start
    expected, came = load.counted()[0] - expected, load.counted()[1] - came
    sent = load.sent() - sent
    runner.cancel()
    return {
        "cpu": cpu / (how.calls * lasted / 60),
        "load_core": own / lasted,
        "p50": quantile(load.samples, 0.5),
        "p99": quantile(load.samples, 0.99),
        "late_p99": quantile(load.late, 0.99),
        "sent": sent,
        "came": came,
        "lost": expected - came,
        "mib": (memory_mib(target.pids) - before_mib) / how.calls,
        "call_ms": statistics.median(took),
        "stalls": stalls,
    }


async def _stalls(how: How, target: Any, load: Load) -> list[float]:
    """For each of so many joins, the longest that a packet of a standing call took meanwhile, in ms."""
    probe, other = await target.call("probe")
    worst: list[float] = []
    longest = 0.0

    def sample(ms: float) -> None:
        nonlocal longest
        longest = max(longest, ms)

    other.rx.marks_sound, other.rx.on_sample = True, sample
    ticking = asyncio.create_task(_probe(probe))
    for number in range(how.joins):
        await asyncio.sleep(0.1)
        longest = 0.0
        people = await target.call(f"join-{number}")
        await asyncio.sleep(0.05)
        worst.append(longest)
        for person in people:
            for leg in person.legs:
                await leg.close()
        await target.hang_up(f"join-{number}")
    ticking.cancel()
    return worst


async def _probe(person: Person) -> None:
    stamp = 0
    due = time.monotonic()
    while True:
        stamp += 48
        due = max(due + PROBE_EVERY_S, time.monotonic())
        person.tx.send(AUDIO, stamp, b"\xf8\xff\xfe", last=False, marked=True)
        await asyncio.sleep(max(0.0, due - time.monotonic()))


def quantile(values: list[float], share: float) -> float | None:
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def main() -> None:
    how = How(**json.loads(sys.argv[1]))
    if how.ahead:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # the server inherits it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.write(json.dumps(runner.run(measure(how))) + "\n")


if __name__ == "__main__":
    main()
