"""The report: one HTML file with everything in it, that opens without a network and prints.

Computed by one replay of the timing log and nothing else. After disclosure control; the counts behind it go into the
register of releases before it leaves.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from rvr.core.moment import iso
from rvr.evaluation import milestones
from rvr.evaluation.disclosure import ROUNDED_TO, THRESHOLD
from rvr.evaluation.exhibits import Exhibit, Guard, exhibits
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


def html(report: Report) -> str:
    """The report as one HTML file."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    window = report.window
    return template.render(
        report=report,
        literature=[row for row in report.timings if row["source"]],
        own=[row for row in report.timings if not row["source"]],
        rounded_to=ROUNDED_TO,
        times={name: iso(at) if at else "" for name, at in _times(window).items()},
        seconds=lambda value: "withheld" if value is None else f"{value:,.1f}",
        count=lambda value: "withheld" if value is None else str(value),
        share=lambda row: (
            "" if row["limit_s"] is None else ("withheld" if row["share"] is None else f"{row['share']:.0%}")
        ),
    )


def _times(window: Window) -> dict[str, Any]:
    return {"from": window.start, "to": window.end, "cut": window.cut}
