"""Every run of every clock of a case, as its log tells it: the rows of clocks.csv."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rvr.core import events as e
from rvr.core.clocks import elapsed_us
from rvr.core.moment import Moment, iso
from rvr.evaluation.timings import seconds


@dataclass(slots=True)
class ClockRun:
    """One run of one clock, as the log tells it."""

    clock: str
    run: int
    started_at: str
    started_by: str
    target_s: int
    counts: str
    paused_at: Moment | None = None
    """Of the pause in which it is."""
    paused_us: int | None = None
    """All pauses that have ended; None without any."""
    stopped_at: str = ""
    stopped_by: str = ""
    elapsed_us: int | None = None
    verdict: str = ""
    thresholds_fired: int = 0
    breach: e.ClockRanOut | None = None
    """The first threshold at or behind the target that was noticed."""
    breach_at: str = ""


def clock_runs(log: Sequence[e.Recorded]) -> list[ClockRun]:
    """Every run of every clock of the case, in the order in which they were started."""
    runs: dict[tuple[str, int], ClockRun] = {}
    for recorded in log:
        event = recorded.event
        for change in event.clocks:
            if change.change == "started":
                run = ClockRun(change.clock, change.run, change.at, event.type, change.target_s, change.counts)
                runs[change.clock, change.run] = run
            else:
                _change(runs[change.clock, change.run], change, event)
        if isinstance(event.fact, e.ClockRanOut):
            _ran_out(runs[event.fact.clock, event.fact.run], event.fact, iso(event.at.at))
    return list(runs.values())


def _change(run: ClockRun, change: e.ClockChange, event: e.Event) -> None:
    if run.paused_at:
        run.paused_us = (run.paused_us or 0) + elapsed_us(run.paused_at, event.at)
    run.paused_at = event.at if change.change == "paused" else None
    if change.change == "stopped":
        run.stopped_at, run.stopped_by = change.at, event.type
        run.elapsed_us, run.verdict = change.elapsed_us, change.verdict


def _ran_out(run: ClockRun, fact: e.ClockRanOut, at: str) -> None:
    run.thresholds_fired += 1
    if run.breach is None and fact.after_s >= run.target_s:
        run.breach, run.breach_at = fact, at


def clock_columns(run: ClockRun) -> dict[str, Any]:
    """The run as a row of clocks.csv, its case apart."""
    return {
        "clock": run.clock,
        "run": run.run,
        "started_at": run.started_at,
        "started_by": run.started_by,
        "target_s": run.target_s,
        "counts": run.counts,
        "paused_s": "" if run.paused_us is None else seconds(run.paused_us),
        "stopped_at": run.stopped_at,
        "stopped_by": run.stopped_by,
        "elapsed_s": "" if run.elapsed_us is None else seconds(run.elapsed_us),
        "verdict": run.verdict,
        "thresholds_fired": run.thresholds_fired,
        "ran_out_due_at": run.breach.due_at if run.breach else "",
        "ran_out_at": run.breach_at,
        "lateness_s": seconds(run.breach.late_us) if run.breach else "",
        "censored": not run.stopped_at,
    }
