"""The report: one HTML file with everything in it, that opens without a network and prints.

Computed by one replay of the timing log and nothing else. After disclosure control; the counts behind it go into the
register of releases before it leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from rvr.core.moment import iso
from rvr.evaluation import milestones
from rvr.evaluation.disclosure import ROUNDED_TO, THRESHOLD
from rvr.evaluation.exhibits import WITHHELD, Exhibit, Guard, exhibits, percent
from rvr.evaluation.guarded import guarded
from rvr.evaluation.measures import Measures
from rvr.evaluation.releases import Releases
from rvr.evaluation.summary import Summing
from rvr.evaluation.window import Window
from rvr.store.store import Store

TEMPLATE = Path(__file__).with_name("report.html")


@dataclass(frozen=True, slots=True)
class Report:
    """What a report tells."""

    window: Window
    force: str
    versions: tuple[str, ...]
    """Content hashes of the workflows that the log holds."""
    threshold: int
    timings: tuple[dict[str, Any], ...]
    """Rows of `guarded`; those with a source are the clocks of the literature."""
    exhibits: tuple[Exhibit, ...]
    bases: tuple[str, ...]


def made(
    store: Store,
    window: Window,
    *,
    threshold: int = THRESHOLD,
    bases: Collection[str] = (),
    releases: Releases | None = None,
) -> Report:
    """Reads every case of the window once. For a thread of the caller's own. `bases`: months at which new baselines of
    the control charts begin; `releases`: the register, read and written where it is given.
    """
    stored = window.definitions(store)
    summing, force = Summing(window, stored), ""
    measures = Measures(window.cut) if window.cut else None
    for log in window.cases(store):
        found = milestones.moments(log)
        summing.add(log, found)
        if measures:
            measures.add(log, found, summing.zone(log))
        force = log[0].force
    too_close = partial(releases.too_close, "report") if releases else (lambda name, cell, count: False)
    guard = Guard(threshold, too_close)
    rows, released = guarded(summing.summary(), threshold, too_close)
    pictures = exhibits(measures, guard, bases) if measures else []
    if releases and window.cut:
        releases.add("report", released | guard.released, window.cut)
    return Report(window, force, tuple(sorted(stored)), threshold, tuple(rows), tuple(pictures), tuple(sorted(bases)))


Table = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]
"""Head and rows."""

_HEAD = ("interval", "cases", "measured", "mean (s)", "median (s)", "p10 (s)", "p90 (s)", "limit (s)", "within it")


def tables(report: Report) -> dict[str, Table]:
    """The timings as text: `literature`, the clocks of other people's studies, and `own`, every other interval."""
    told = {"literature": True, "own": False}
    return {
        name: (_HEAD, tuple(_row(row) for row in report.timings if bool(row["source"]) == theirs))
        for name, theirs in told.items()
    }


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    meaning = f"{row['timing']}: {row['meaning']}" + (f". {row['source']}" if row["source"] else "")
    counts = (WITHHELD if row[name] is None else str(row[name]) for name in ("cases", "n"))
    seconds = (
        WITHHELD if row[name] is None else f"{row[name]:,.1f}" for name in ("mean_s", "median_s", "p10_s", "p90_s")
    )
    limit = "" if row["limit_s"] is None else str(row["limit_s"])
    share = WITHHELD if row["share"] is None else percent(row["share"])
    return (meaning, *counts, *seconds, limit, share if limit else "")


def html(report: Report) -> str:
    """The report as one HTML file."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    window = report.window
    times = {"from": window.start, "to": window.end, "cut": window.cut}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        report=report,
        tables=tables(report),
        rounded_to=ROUNDED_TO,
        times={name: iso(at) if at else "" for name, at in times.items()},
    )
