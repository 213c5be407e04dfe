"""Virtual time: a clock that stands until it is moved, and what happens when.

A story is an asynchronous generator: each number that it yields is how many seconds pass until it goes on; `PARKED`
lets it wait until somebody wakes it. One thing happens at a time, in the order of its time and then of its making, so
that the same stories always give the same course.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from rvr.core.moment import Moment

PARKED = None

Steps = AsyncGenerator[float | None, None]

ERROR_US = 1_000
"""The bound on the virtual clock's error that its moments tell: that of a machine with a time server."""


@dataclass
class VirtualClock:
    """What a desk reads in place of the machine's clocks."""

    start: datetime
    boot: str
    now: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.start

    def __call__(self) -> Moment:
        passed_us = (self.now - self.start) // timedelta(microseconds=1)
        return Moment(self.now, self.boot, passed_us * 1_000, ERROR_US)


@dataclass(eq=False)
class Story:
    """Something that goes on for a while."""

    steps: Steps
    turn: int = 0
    """How often it went on: a waking that was meant for an earlier wait is none."""
    parked: bool = False


class Agenda:
    """What happens when. Moves the clock."""

    current: Story
    """Whatever goes on just now."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self._due: list[tuple[datetime, int, Story, int]] = []
        self._numbers = count()

    def begin(self, steps: Steps, at: datetime) -> Story:
        """A new story that begins then."""
        story = Story(steps)
        self._push(story, at)
        return story

    def wake(self, story: Story) -> None:
        """A parked story goes on now."""
        if story.parked:
            self._push(story, self.clock.now)

    def wake_me(self, at: datetime) -> None:
        """Whatever goes on just now goes on at that time at the latest, should it park."""
        self._push(self.current, at)

    async def run(self, until: datetime) -> None:
        """Everything that happens before `until`, in its order. What is under way then stays unfinished."""
        while self._due and self._due[0][0] < until:
            at, _, story, turn = heapq.heappop(self._due)
            if turn != story.turn:
                continue
            self.clock.now = max(at, self.clock.now)
            story.turn += 1
            story.parked, self.current = False, story
            try:
                passes = await anext(story.steps)
            except StopAsyncIteration:
                continue
            if passes is PARKED:
                story.parked = True
            else:
                self._push(story, self.clock.now + timedelta(seconds=passes))
        self.clock.now = max(until, self.clock.now)

    async def close(self) -> None:
        """Ends what is unfinished."""
        for _, _, story, _ in self._due:
            await story.steps.aclose()
        self._due.clear()

    def _push(self, story: Story, at: datetime) -> None:
        heapq.heappush(self._due, (max(at, self.clock.now), next(self._numbers), story, story.turn))
