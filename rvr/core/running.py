"""The clocks that run in a case, as its events left them. Nothing here reckons: the events carry every time.

When a clock is due, and what that starts, is in `clocks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from rvr.core import events as e
from rvr.core.moment import parse_iso


@dataclass(frozen=True, slots=True)
class RunningClock:
    """A clock that runs in this case, or that stands still for a while."""

    clock: str
    run: int
    started_at: datetime
    since: datetime
    """When it started, or last went on after a pause; `boot` and `boottime_ns` are of that moment."""
    boot: str
    boottime_ns: int
    target_s: int
    due: tuple[tuple[int, datetime], ...]
    """The thresholds that have not fired yet: seconds that count after the start, and when that is. None in a pause."""
    ends_at: str = ""
    """When it reaches its target; empty in a pause, and in early logs."""
    fired: tuple[int, ...] = ()
    paused: bool = False
    elapsed_us: int = 0
    """Counted before `since`."""
    counted_us: int = 0
    """The same, also where an early log counted `elapsed_us` by a wall clock that was set: thresholds go by it."""
    doubtful: bool = False
    """The wall clock was set in that time."""


def moves_clocks(event: e.Event) -> bool:
    """Whether a clock is another one afterwards."""
    return bool(event.clocks) or isinstance(event.fact, e.ClockRanOut)


def clocks_after(before: Mapping[str, RunningClock], event: e.Event) -> Mapping[str, RunningClock]:
    """The clocks of a case after this event."""
    fact = event.fact
    if not moves_clocks(event):
        return before
    clocks = dict(before)
    if isinstance(fact, e.ClockRanOut) and fact.clock in clocks:
        running = clocks[fact.clock]
        clocks[fact.clock] = replace(
            running,
            due=tuple(d for d in running.due if d[0] != fact.after_s),
            fired=(*running.fired, fact.after_s),
        )
    for change in event.clocks:
        match change.change:
            case "started":
                clocks[change.clock] = _started(change, event)
            case "paused":
                clocks[change.clock] = _paused(clocks[change.clock], change)
            case "resumed":
                clocks[change.clock] = _resumed(clocks[change.clock], change, event)
            case _:
                clocks.pop(change.clock, None)
    return clocks


def _started(change: e.ClockChange, event: e.Event) -> RunningClock:
    return RunningClock(
        clock=change.clock,
        run=change.run,
        started_at=parse_iso(change.at),
        since=parse_iso(change.at),
        boot=event.at.boot,
        boottime_ns=event.at.boottime_ns,
        target_s=change.target_s,
        due=_due(change),
        ends_at=change.ends_at,
    )


def _paused(running: RunningClock, change: e.ClockChange) -> RunningClock:
    return replace(
        running,
        paused=True,
        due=(),
        ends_at="",
        elapsed_us=change.elapsed_us or 0,
        counted_us=change.counted_us,
        doubtful=change.verdict == "uncertain",
    )


def _resumed(running: RunningClock, change: e.ClockChange, event: e.Event) -> RunningClock:
    return replace(
        running,
        paused=False,
        since=parse_iso(change.at),
        boot=event.at.boot,
        boottime_ns=event.at.boottime_ns,
        due=_due(change),
        ends_at=change.ends_at,
    )


def _due(change: e.ClockChange) -> tuple[tuple[int, datetime], ...]:
    return tuple((after_s, parse_iso(at)) for after_s, at in change.due)
