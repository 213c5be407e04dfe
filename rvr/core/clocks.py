"""The clocks of a case: what starts and stops them, and whether a target was met.

The only module that does arithmetic on times. All of it is on UTC seconds: "+24 hours" is 86,400 seconds on the days
when the clocks change, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rvr.core import events as e
from rvr.core.case import Case, RunningClock
from rvr.core.force import Hours
from rvr.core.moment import Moment, iso, parse_iso
from rvr.core.workflow import ClockDef, Workflow, any_match

STEP_US = 500_000
"""Wall clock and boot clock differ by more than this when the wall clock was set: the duration is then in doubt."""


def changes(
    workflow: Workflow, case: Case, fact: e.Fact, state: str, at: Moment, facts: Mapping[str, Any]
) -> tuple[e.ClockChange, ...]:
    """What this fact, which leaves the case in `state`, does to the case's clocks."""
    ended = workflow.states[state].ended
    stopped, started = [], []
    for clock in workflow.clocks.values():
        running = case.clocks.get(clock.id)
        fresh = None
        if not ended and _starts(clock, fact, case, state):
            fresh = _started(clock, case.runs.get(clock.id, 0) + 1, at, facts)
        if running is not None:
            left = bool(clock.runs_in) and state not in clock.runs_in
            reached = any_match(clock.stops, fact) or (left and not clock.stops)
            again = fresh is not None and (not clock.by or _ends(fresh) < _ends(running))
            if not (reached or left or ended or again or any_match(clock.cancels, fact)):
                continue
            stopped.append(_stopped(running, at, moot=not reached))
        if fresh is not None:
            started.append(fresh)
    return (*stopped, *started)


def _ends(run: RunningClock | e.ClockChange) -> datetime:
    """When a run reaches its target: a higher grade brings that forward, and no second start puts it off."""
    start = run.started_at if isinstance(run, RunningClock) else parse_iso(run.at)
    return start + timedelta(seconds=run.target_s)


def _starts(clock: ClockDef, fact: e.Fact, case: Case, state: str) -> bool:
    entered = state in clock.runs_in and case.state not in clock.runs_in
    return entered or any_match(clock.starts, fact)


def _started(clock: ClockDef, run: int, at: Moment, facts: Mapping[str, Any]) -> e.ClockChange:
    target_s = clock.targets.get(str(facts.get(clock.by)), clock.target_s) if clock.by else clock.target_s
    offset = target_s if clock.by else 0
    due = tuple(
        (offset + threshold.after_s, iso(at.at + timedelta(seconds=offset + threshold.after_s)))
        for threshold in clock.thresholds
    )
    return e.ClockChange(clock.id, run, "started", iso(at.at), target_s, due)


def _stopped(running: RunningClock, at: Moment, *, moot: bool) -> e.ClockChange:
    """A run that ends without the thing that it waits for has not met its target: cancelled, or breached by then."""
    elapsed_us = microseconds(running.started_at, at)
    verdict = judge(elapsed_us, running.target_s, at.error_us or 0)
    if running.boot == at.boot and abs(elapsed_us - (at.boottime_ns - running.boottime_ns) // 1000) > STEP_US:
        verdict = "uncertain"
    if moot and verdict != "breached":
        verdict = "cancelled"
    return e.ClockChange(
        running.clock, running.run, "stopped", iso(at.at), running.target_s, elapsed_us=elapsed_us, verdict=verdict
    )


def microseconds(start: datetime, at: Moment) -> int:
    """Whole microseconds from a UTC time to a moment."""
    return (at.at - start) // timedelta(microseconds=1)


def judge(elapsed_us: int, target_s: int, error_us: int) -> str:
    """met, breached, or uncertain when the machine's clock error straddles the target."""
    if abs(elapsed_us - target_s * 1_000_000) < error_us:
        return "uncertain"
    return "met" if elapsed_us <= target_s * 1_000_000 else "breached"


def threshold_of(clock: ClockDef, running: RunningClock, after_s: int) -> str:
    """The move that the workflow makes at this threshold of a running clock; empty when it only flags."""
    offset = running.target_s if clock.by else 0
    return next((t.do for t in clock.thresholds if offset + t.after_s == after_s), "")


def is_due(running: RunningClock, after_s: int, at: Moment) -> bool:
    """Never early, and not late because somebody set the wall clock back: within one boot the clock that never steps
    decides; across a restart of the machine only the wall clock is left.
    """
    due = next((when for seconds, when in running.due if seconds == after_s), None)
    if due is None:
        return False
    if running.boot == at.boot:
        return at.boottime_ns - running.boottime_ns >= after_s * 1_000_000_000
    return at.at >= due


def is_open(hours: Hours, at: Moment) -> bool:
    """Whether the desk's hours include this moment, in the force's own time zone."""
    local = at.at.astimezone(ZoneInfo(hours.zone)).time()
    if hours.opens <= hours.closes:
        return hours.opens <= local < hours.closes
    return local >= hours.opens or local < hours.closes
