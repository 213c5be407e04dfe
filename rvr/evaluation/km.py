"""How long until two-way video: Kaplan-Meier, and cumulative incidence with an officer in person as a competing event.

    python3 scripts/km.py [FOLDER OF THE PACKAGE]

Works on data/cases.csv with Python 3.10 alone. A case that had neither is followed up to ended_at or censored_at. In
the Kaplan-Meier curve an officer who came first ends the follow-up, as if the case had been lost: it tells how long
video takes where it comes about. The cumulative incidence tells in how many of all cases it came about by then, and a
claim about all cases needs that (Putter et al. 2007, doi 10.1002/sim.2712).
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from statistics import NormalDist

CENSORED, VIDEO, IN_PERSON = "", "video", "in_person"

Followed = tuple[float, str]
"""How long a case was followed, in seconds, and what ended that: VIDEO, IN_PERSON or CENSORED."""


@dataclass(frozen=True)
class Step:
    """The curve from this time on, until the next step."""

    time: float
    at_risk: int
    events: int
    survival: float
    low: float
    high: float
    """Bounds of the confidence interval; not a number where there is none."""


def kaplan_meier(cases: Iterable[Followed], event: str = VIDEO, confidence: float = 0.95) -> list[Step]:
    """The share that has not had the event yet: Greenwood's variance, interval on the log-log scale (Kalbfleisch and
    Prentice 2002, 1.4), one step for each time at which somebody had it or left. `cases`: at least one.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    survival, variance, steps = 1.0, 0.0, []
    for time, at_risk, counts in _table(cases):
        had = counts.get(event, 0)
        survival *= 1 - had / at_risk
        variance += had / (at_risk * (at_risk - had)) if at_risk > had else math.inf
        steps.append(Step(time, at_risk, had, survival, *_log_log(survival, variance, z)))
    return steps


def _log_log(survival: float, variance: float, z: float) -> tuple[float, float]:
    if survival >= 1:
        return 1.0, 1.0
    if survival <= 0 or math.isinf(variance):
        return math.nan, math.nan
    spread = z * math.sqrt(variance) / -math.log(survival)
    return survival ** math.exp(spread), survival ** math.exp(-spread)


def cumulative_incidence(cases: Iterable[Followed], event: str = VIDEO) -> list[tuple[float, float]]:
    """(time, share of all that had the event first by then), by Aalen and Johansen: what competes is no censoring."""
    free, share, steps = 1.0, 0.0, []
    for time, at_risk, counts in _table(cases):
        share += free * counts.get(event, 0) / at_risk
        free *= 1 - (sum(counts.values()) - counts.get(CENSORED, 0)) / at_risk
        steps.append((time, share))
    return steps


def _table(cases: Iterable[Followed]) -> Iterator[tuple[float, int, Mapping[str, int]]]:
    """(time, how many were followed until then, how many ended by what), in order of time."""
    ordered = sorted(cases)
    at_risk = len(ordered)
    for time, group in groupby(ordered, key=lambda one: one[0]):
        counts: dict[str, int] = {}
        for _, what in group:
            counts[what] = counts.get(what, 0) + 1
        yield time, at_risk, counts
        at_risk -= sum(counts.values())


def at(steps: Sequence[Step], time: float) -> Step | None:
    """The step in force at that time; None before the first."""
    return next((step for step in reversed(steps) if step.time <= time), None)


def median(steps: Sequence[Step]) -> float | None:
    """The first time at which at most half had not had the event; None when that was never reached."""
    return next((step.time for step in steps if step.survival <= 0.5), None)


# --- From a package ----------------------------------------------------------------------------------------------


def followed(row: Mapping[str, str]) -> Followed | None:
    """How a row of cases.csv was followed from its opening on; None for a voided case."""
    ends = {VIDEO: row["two_way_video_at"], IN_PERSON: row["attended_at"]}
    happened = sorted((_seconds(row["received_at"], at), what) for what, at in ends.items() if at)
    if row["final_state"] == "voided":
        return None
    if happened:
        return happened[0]
    return _seconds(row["received_at"], row["ended_at"] or row["censored_at"]), CENSORED


def _seconds(start: str, end: str) -> float:
    """Between two times of a package: of the calendar, or already in seconds."""
    try:
        return float(end) - float(start)
    except ValueError:
        return (datetime.fromisoformat(end[:-1]) - datetime.fromisoformat(start[:-1])).total_seconds()


def main(package: Path) -> int:
    """Prints the curve of the package; 0."""
    with (package / "data" / "cases.csv").open(encoding="utf-8", newline="") as file:
        cases = [one for row in csv.DictReader(file) if row["workflow"] == "da-desk" and (one := followed(row))]
    write = sys.stdout.write
    if not cases:
        write("There are no cases of the desk in this package.\n")
        return 0
    steps, incidence = kaplan_meier(cases), dict(cumulative_incidence(cases))
    write("seconds  at risk  video  not yet  95% interval     of all, by then\n")
    for step in steps:
        if step.events:
            write(
                f"{step.time:7.0f}  {step.at_risk:7}  {step.events:5}  {step.survival:7.3f}"
                f"  {step.low:.3f} to {step.high:.3f}  {incidence[step.time]:15.3f}\n"
            )
    half = median(steps)
    write(f"{len(cases)} cases; median {'not reached' if half is None else f'{half:.0f} s'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parents[1]))
