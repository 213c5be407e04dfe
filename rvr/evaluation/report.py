"""The report: one HTML file with everything in it, that opens without a network and prints.

Computed by one replay of the timing log and nothing else. After disclosure control; the counts behind it go into the
register of releases before it leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from rvr.core import events as e
from rvr.core.moment import iso
from rvr.evaluation import consort, milestones
from rvr.evaluation.disclosure import ROUNDED_TO, THRESHOLD
from rvr.evaluation.exhibits import WITHHELD, Exhibit, Guard, exhibits, percent
from rvr.evaluation.guarded import REASONS, guarded
from rvr.evaluation.measures import Measures
from rvr.evaluation.milestones import Moments
from rvr.evaluation.releases import Releases
from rvr.evaluation.summary import Summing
from rvr.evaluation.trial_runs import Trials, runs
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
    making = Making(window, stored, Trials(stored, runs(store, window.until)), threshold)
    for log in window.cases(store):
        making.add(log, milestones.moments(log))
    return making.report(bases, releases)


class Making:
    """Gathers what a report tells, case by case."""

    def __init__(
        self,
        window: Window,
        stored: Mapping[str, e.DefinitionStored],
        trials: Trials,
        threshold: int = THRESHOLD,
        *,
        by: str = "",
    ) -> None:
        self._window, self._versions, self._threshold = window, tuple(sorted(stored)), threshold
        self._summing = Summing(window, stored, by=by)
        self._measures = Measures(window.cut or datetime.max.replace(tzinfo=UTC))
        self._trials = trials
        self._flows: dict[str, consort.Flow] = {}
        self._force = ""

    def add(self, log: Sequence[e.Recorded], found: Moments) -> None:
        """One case. `found`: its moments."""
        self._summing.add(log, found)
        self._measures.add(log, found, self._summing.zone(log))
        self._force = log[0].force
        taking = self._trials.taking(log)
        if taking is not None:
            id_ = taking.design.id
            self._flows.setdefault(id_, consort.Flow(id_)).add(taking)

    def report(self, bases: Collection[str] = (), releases: Releases | None = None) -> Report:
        """What was gathered, after disclosure control."""
        too_close = partial(releases.too_close, "report") if releases else (lambda name, cell, count: False)
        guard = Guard(self._threshold, too_close)
        rows, released = guarded(self._summing.summary(), self._threshold, too_close)
        pictures = exhibits(self._measures, guard, bases)
        for _, flow in sorted(self._flows.items()):
            pictures += consort.exhibits(flow, guard)
        if releases and self._window.cut:
            releases.add("report", released | guard.released, self._window.cut)
        told = (tuple(rows), tuple(pictures), tuple(sorted(bases)))
        return Report(self._window, self._force, self._versions, self._threshold, *told)


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


COLUMNS = (
    *("timing", "from", "to", "meaning", "source", "among", "group", "limit_s", "cases", "n", *REASONS),
    *("mean_s", "median_s", "p10_s", "p90_s", "within", "beyond", "share", "withheld"),
)


def csv_tables(report: Report) -> dict[str, Table]:
    """The same as tables for programs: `timings`, and one for each picture. Nothing stands in a cell that is withheld
    there."""
    rows = (tuple(_cell(row[name]) for name in COLUMNS) for row in report.timings)
    return {"timings": (COLUMNS, tuple(rows))} | {one.id: (one.head, one.rows) for one in report.exhibits}


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


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
