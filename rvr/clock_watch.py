"""Watches this machine's wall clock: whether somebody sets it, and whether it is synchronised. What changes is an event
in the stream desk/clock, so that it can be told for any time.

Every process looks at its own machine. Of several on one machine the stream's key lets one tell; the others find it
told, and count on from there. After a start it goes on from the newest event that was seen in this boot.
"""

from __future__ import annotations

import contextlib
from datetime import datetime

import structlog

from rvr.core import events as e
from rvr.core import wall_clock
from rvr.core.commands import THE_BOT
from rvr.core.errors import Unavailable
from rvr.core.moment import Moment, iso
from rvr.desk import TRIES, Desk
from rvr.store import Append, Batch, CommandSeen, Conflict

log = structlog.get_logger()

STREAM = "desk/clock"

RECENT = 200
"""So many of the newest events are read at the start, for one that was seen in this boot."""

ADDED_UP_S = 60
"""Steps too small to be told are added up for so long: many of them are one large one."""


class ClockWatch:
    """Looks when it is asked to; `Periodic` asks."""

    def __init__(self, desk: Desk, limit_ms: int) -> None:
        self._desk, self._limit_ms = desk, limit_ms
        self._begun = False
        self._last: Moment | None = None
        """The last reading that what comes is compared with."""
        self._since: Moment | None = None
        """The reading from which small steps are added up."""
        self._recorded_at: datetime | None = None
        """When the newest event was recorded, where none of this boot is known."""
        self._health = ""
        self._version = 0
        """How far the stream has been read."""

    async def look(self) -> None:
        """Reads the clocks and records what changed. While the log cannot be written nothing is lost: the next look
        compares with the same readings.
        """
        now = self._desk.observe()
        with contextlib.suppress(Unavailable):
            if not self._begun:
                await self._begin(now)
            if self._news(now):
                await self._tell(now)
            if self._last is None or now.boottime_ns > self._last.boottime_ns:
                self._last = now
            if self._since is None or now.boottime_ns - self._since.boottime_ns >= ADDED_UP_S * 1_000_000_000:
                self._since = now

    async def _begin(self, now: Moment) -> None:
        """Takes up where the log ends. Of the events of this boot the one that was seen last counts, not the one that
        was recorded last: an observation may come late.
        """
        position = await self._desk.store.position()
        recent = await self._desk.store.events_after(max(0, position - RECENT), RECENT)
        here = [one.event.at for one in recent if one.event.at.boot == now.boot]
        self._last = self._since = max(here, key=lambda at: at.boottime_ns, default=None)
        self._recorded_at = recent[-1].recorded_at if recent else None
        await self._catch_up(now)
        self._begun = True

    async def _catch_up(self, now: Moment) -> None:
        """What other processes have told of this machine since the stream was last read."""
        for recorded in await self._desk.store.load(STREAM, self._version):
            self._version, at = recorded.version, recorded.event.at
            if at.boot != now.boot:
                continue
            if isinstance(recorded.event.fact, e.ClockHealthNoted):
                self._health = recorded.event.fact.health
            if self._last is None or at.boottime_ns > self._last.boottime_ns:
                self._last = self._since = at

    def _news(self, now: Moment) -> tuple[e.Fact, ...]:
        """What is to be told now, the step before the health: who has seen the second has seen the first."""
        news: list[e.Fact] = []
        for before in (self._last, self._since):
            if news or before is None or before.boottime_ns > now.boottime_ns:
                continue  # told already, or another process has looked since we did
            if moved := wall_clock.moved_us(before, now):
                news.append(_step(moved, before.at, now, same_boot=True))
        if self._last is None and self._recorded_at and (behind := wall_clock.behind_us(self._recorded_at, now)):
            news.append(_step(-behind, self._recorded_at, now, same_boot=False))
        health = wall_clock.health(now, self._limit_ms)
        if health != self._health:
            news.append(e.ClockHealthNoted(health=health, limit_ms=self._limit_ms))
        return tuple(news)

    async def _tell(self, now: Moment) -> None:
        for _ in range(TRIES):
            await self._catch_up(now)
            news = self._news(now)
            if not news:  # another process on this machine was quicker
                return
            events = tuple(e.Event(fact, "", now, THE_BOT.id, THE_BOT.id) for fact in news)
            command = f"clock-watch:{now.boot}:{now.boottime_ns}"
            try:
                batch = Batch(command, THE_BOT.id, b"", (Append(STREAM, self._version, events),))
                recorded = await self._desk.store.append(batch)
            except (Conflict, CommandSeen):
                continue
            self._version, self._since = recorded[-1].version, now
            for fact in news:
                self._say(fact)
            await self._desk.catch_up()
            return

    def _say(self, fact: e.Fact) -> None:
        match fact:
            case e.ClockStepObserved():
                log.error("wall_clock_was_set", ms=fact.moved_ms)
            case e.ClockHealthNoted():
                self._health = fact.health
                told = log.info if fact.health == "synchronised" else log.error
                told("wall_clock_health", code=fact.health)


def _step(moved_us: int, before: datetime, now: Moment, *, same_boot: bool) -> e.ClockStepObserved:
    return e.ClockStepObserved(
        moved_ms=round(moved_us / 1000), from_at=iso(before), to_at=iso(now.at), same_boot=same_boot
    )
