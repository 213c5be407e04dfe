"""The clocks of a case: what starts, pauses and stops them, and whether a target was met.

All arithmetic is on UTC seconds: "+24 hours" is 86,400 seconds on the days when the hour changes, too. Which of them
count is in `calendar`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from rvr.core import calendar
from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.conditions import Facts
from rvr.core.force import Hours
from rvr.core.moment import Moment, iso, parse_iso
from rvr.core.running import RunningClock
from rvr.core.workflow import ClockDef, Threshold, Workflow, any_match

STEP_US = 500_000
"""Wall clock and boot clock differ by more than this when the wall clock was set: the duration is then in doubt."""


def changes(
    workflow: Workflow, case: Case, fact: e.Fact, state: str, at: Moment, facts_of: Callable[[], Facts]
) -> tuple[e.ClockChange, ...]:
    """What this fact, which leaves the case in `state`, does to the case's clocks."""
    ended = workflow.states[state].ended
    hours, stopped, started = workflow.force.hours, list[e.ClockChange](), list[e.ClockChange]()
    concerned = workflow.clocks_of(type(fact).__name__, moved=state != case.state)
    for clock in workflow.clocks.values() if ended else concerned:
        running = case.clocks.get(clock.id)
        still = _stands_still(clock, running, fact, state)
        fresh = None
        if not ended and _starts(clock, fact, case, state):
            target_s = _target_s(clock, at, fact, facts_of)
            if target_s is not None:
                fresh = _started(clock, case.runs.get(clock.id, 0) + 1, hours, at, target_s)
        if running is not None:
            left = bool(clock.runs_in) and state not in (*clock.runs_in, *clock.paused_in)
            reached = any_match(clock.stops, fact) or (left and not clock.stops)
            again = fresh is not None and _begins_again(clock, running, fresh, hours, at, goes_on=not still)
            over = ended and not clock.outlives
            if not (reached or left or over or again or any_match(clock.cancels, fact)):
                if still != running.paused:
                    stopped.append((_paused if still else _resumed)(clock, running, hours, at))
                continue
            stopped.append(_stopped(clock, running, hours, at, moot=not reached))
        if fresh is not None:
            started.append(fresh)
            if still:
                started.append(e.ClockChange(clock.id, fresh.run, "paused", fresh.at, fresh.target_s, elapsed_us=0))
    return (*stopped, *started)


def _stands_still(clock: ClockDef, running: RunningClock | None, fact: e.Fact, state: str) -> bool:
    """Whether the clock is paused after this fact."""
    if clock.paused_in:
        return state in clock.paused_in
    paused = running is not None and running.paused and not any_match(clock.resumes, fact)
    return paused or any_match(clock.pauses, fact)


def _begins_again(
    clock: ClockDef, running: RunningClock, fresh: e.ClockChange, hours: Hours, at: Moment, *, goes_on: bool
) -> bool:
    """A start while it runs begins a new run, but what ends a pause goes on with the old one. With `by`, a higher grade
    brings the end forward, and no second start puts it off.
    """
    if not clock.restarts:
        return False
    if clock.until_fact:
        return not running.ends_at or abs(parse_iso(fresh.ends_at) - parse_iso(running.ends_at)) >= timedelta(seconds=1)
    if not clock.by:
        return not (running.paused and goes_on)
    if running.paused:
        left_us = running.target_s * 1_000_000 - running.counted_us
        return parse_iso(fresh.ends_at) < calendar.when_counted(clock.counts, hours, at.at, left_us)
    ends = parse_iso(running.ends_at) if running.ends_at else running.started_at + timedelta(seconds=running.target_s)
    return parse_iso(fresh.ends_at) < ends


def _starts(clock: ClockDef, fact: e.Fact, case: Case, state: str) -> bool:
    entered = state in clock.runs_in and case.state not in clock.runs_in
    return entered or any_match(clock.starts, fact)


def _started(clock: ClockDef, run: int, hours: Hours, at: Moment, target_s: int) -> e.ClockChange:
    times = _times(clock, target_s, hours, at)
    return e.ClockChange(clock.id, run, "started", iso(at.at), target_s, counts=clock.counts, **times)


def _target_s(clock: ClockDef, at: Moment, fact: e.Fact, facts_of: Callable[[], Facts]) -> int | None:
    """How long it may take. None for a clock that ends at a time, where there is none."""
    if clock.until_fact:
        until = _told(clock.until_fact, fact, facts_of)
        return max(0, -(-(parse_iso(str(until)) - at.at) // timedelta(seconds=1))) if until else None
    return clock.targets.get(str(_told(clock.by, fact, facts_of)), clock.target_s) if clock.by else clock.target_s


def _told(name: str, fact: e.Fact, facts_of: Callable[[], Facts]) -> Any:
    """A target may depend on what has just happened, and else on the case."""
    told = getattr(fact, name, None)
    return facts_of().get(name) if told is None else told


def _offset(clock: ClockDef, target_s: int) -> int:
    """From where its thresholds are counted: a target that depends on the case, or else the start."""
    return target_s if clock.by or clock.until_fact else 0


def _resumed(clock: ClockDef, running: RunningClock, hours: Hours, at: Moment) -> e.ClockChange:
    times = _times(clock, running.target_s, hours, at, running.counted_us, running.fired)
    return e.ClockChange(clock.id, running.run, "resumed", iso(at.at), running.target_s, **times)


def _times(
    clock: ClockDef, target_s: int, hours: Hours, at: Moment, counted_us: int = 0, fired: tuple[int, ...] = ()
) -> dict[str, Any]:
    """What is still to come of a run that starts or goes on now."""

    def when(after_s: int) -> datetime:
        return calendar.when_counted(clock.counts, hours, at.at, after_s * 1_000_000 - counted_us)

    due = []
    for threshold in clock.thresholds:
        after_s = _offset(clock, target_s) + threshold.after_s
        if after_s >= 0 and after_s not in fired:
            then = when(after_s)
            due.append((after_s, iso(calendar.by_day(hours, then) if threshold.daytime else then)))
    return {"due": tuple(due), "ends_at": iso(when(target_s))}


def _paused(clock: ClockDef, running: RunningClock, hours: Hours, at: Moment) -> e.ClockChange:
    return e.ClockChange(
        clock.id,
        running.run,
        "paused",
        iso(at.at),
        running.target_s,
        elapsed_us=_elapsed_us(clock, running, hours, at),
        verdict="uncertain" if _in_doubt(running, at) else "",
        counted_us=running.counted_us + calendar.counted_us(clock.counts, hours, running.since, _until(running, at)),
    )


def all_stopped(workflow: Workflow, case: Case, at: Moment) -> tuple[e.ClockChange, ...]:
    """What becomes of the clocks of a case in which nothing more can happen."""
    hours = workflow.force.hours
    return tuple(_stopped(workflow.clocks[name], one, hours, at, moot=True) for name, one in case.clocks.items())


def _stopped(clock: ClockDef, running: RunningClock, hours: Hours, at: Moment, *, moot: bool) -> e.ClockChange:
    """A run that ends without the thing that it waits for has not met its target: cancelled, or breached by then."""
    elapsed_us = _elapsed_us(clock, running, hours, at)
    verdict = judge(elapsed_us, running.target_s, at.error_us or 0)
    if _in_doubt(running, at):
        verdict = "uncertain"
    if moot and verdict != "breached":
        verdict = "cancelled"
    return e.ClockChange(
        running.clock, running.run, "stopped", iso(at.at), running.target_s, elapsed_us=elapsed_us, verdict=verdict
    )


def _elapsed_us(clock: ClockDef, running: RunningClock, hours: Hours, at: Moment) -> int:
    """What has been counted so far."""
    if running.paused:
        return running.elapsed_us
    return running.elapsed_us + calendar.counted_us(clock.counts, hours, running.since, _until(running, at))


def _until(running: RunningClock, at: Moment) -> datetime:
    """What the wall clock would read, had nobody set it since this clock started or went on. Across a restart of the
    machine only what it does read is left.
    """
    if running.boot != at.boot:
        return at.at
    return running.since + timedelta(microseconds=_boot_us(running, at))


def _in_doubt(running: RunningClock, at: Moment) -> bool:
    """Whether the wall clock was set while this clock ran: the two clocks then disagree, and the one that never steps
    need not be right (it stands still while a virtual machine does). A restart of the machine leaves nothing to tell it
    by but a time that went back.
    """
    if running.paused:
        return running.doubtful
    if running.boot != at.boot:
        return running.doubtful or at.at < running.since
    return running.doubtful or abs(microseconds(running.since, at) - _boot_us(running, at)) > STEP_US


def _boot_us(running: RunningClock, at: Moment) -> int:
    """What has passed since it started or went on, by the clock of this boot."""
    return at.boottime_ns // 1000 - running.boottime_ns // 1000


def elapsed_us(start: Moment, end: Moment) -> int:
    """Microseconds from one moment to another: within one boot by the clock that never steps, of which each reading is
    cut to whole microseconds, as an export tells it; else by the wall clock.
    """
    if start.boot == end.boot:
        return end.boottime_ns // 1000 - start.boottime_ns // 1000
    return microseconds(start.at, end)


def late_us(running: RunningClock, due: datetime, at: Moment) -> int:
    """How long after a threshold was due this is, by the clock that decides whether it is due; never early."""
    if running.boot == at.boot:
        return max(0, at.boottime_ns // 1000 - due_boottime_ns(running, due) // 1000)
    return max(0, microseconds(due, at))


def microseconds(start: datetime, at: Moment) -> int:
    """Whole microseconds from a UTC time to a moment."""
    return (at.at - start) // timedelta(microseconds=1)


def judge(elapsed_us: int, target_s: int, error_us: int) -> str:
    """met, breached, or uncertain when the machine's clock error straddles the target."""
    if abs(elapsed_us - target_s * 1_000_000) < error_us:
        return "uncertain"
    return "met" if elapsed_us <= target_s * 1_000_000 else "breached"


def threshold_of(clock: ClockDef, running: RunningClock, after_s: int) -> Threshold | None:
    """What the workflow says of a running clock so many seconds after its start."""
    offset = _offset(clock, running.target_s)
    return next((one for one in clock.thresholds if offset + one.after_s == after_s), None)


def is_due(running: RunningClock, after_s: int, at: Moment) -> bool:
    """Never early, and not late because somebody set the wall clock back: within one boot the clock that never steps
    decides; across a restart of the machine only the wall clock is left. What is paused is not due.
    """
    due = next((when for seconds, when in running.due if seconds == after_s), None)
    if due is None:
        return False
    if running.boot == at.boot:
        return at.boottime_ns >= due_boottime_ns(running, due)
    return at.at >= due


def due_boottime_ns(running: RunningClock, due: datetime) -> int:
    """What the clock of its boot reads when a threshold is due: as much later than when the run last went on."""
    return running.boottime_ns + (due - running.since) // timedelta(microseconds=1) * 1000


def link_expires(workflow: Workflow, at: Moment) -> str:
    """When a link that is sent now and not opened dies, the victim's as a guest's."""
    return iso(at.at + timedelta(minutes=workflow.force.link_minutes))


def glass_until(at: Moment, seconds: int) -> str:
    """When a look outside one's own cases that begins now ends."""
    return iso(at.at + timedelta(seconds=seconds))


QUESTIONS_D = 14
"""Whoever has not answered in two weeks will not."""


def questions_expire(at: Moment) -> str:
    """When a link to questions that is sent now stops working."""
    return iso(at.at + timedelta(days=QUESTIONS_D))


def is_open(hours: Hours, at: Moment) -> bool:
    """Whether the desk's hours include this moment, in the force's own time zone; the same time twice: always open."""
    local = hours.local(at.at).time()
    if hours.opens < hours.closes:
        return hours.opens <= local < hours.closes
    return local >= hours.opens or local < hours.closes
