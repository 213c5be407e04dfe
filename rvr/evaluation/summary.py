"""Timings of many cases summed up: by replay of the log, each case read once, nothing stored.

Of every case it is told where it is counted: measured, or why not. Cases that were voided (duplicates, tests, opened in
error) are counted apart and stand in no spread.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rvr.core import events as e
from rvr.core.history import VOIDED
from rvr.evaluation import milestones, stored_text, timings
from rvr.evaluation.codebook import CODE
from rvr.evaluation.milestones import Moments
from rvr.evaluation.spread import Spread, spread
from rvr.evaluation.timings import Timing
from rvr.evaluation.window import Window
from rvr.store.store import Store

NOT_KNOWN = "unknown"


@dataclass(slots=True)
class Tally:
    """The cases of one group, for one timing. `cases` is the sum of the other counts and of the values."""

    cases: int = 0
    values: array[int] = field(default_factory=lambda: array("q"))
    """Microseconds, of each case that was measured."""
    missing: int = 0
    """The start did not happen, or nobody stated it."""
    censored: int = 0
    """The end has not happened, and the case was still open at the data cut: it may happen yet."""
    never: int = 0
    """The case was closed without the end."""
    reversed: int = 0
    """The end came before the start: in no spread."""
    voided: int = 0
    within: int = 0
    """Kept the limit."""
    beyond: int = 0
    """Did not, or had not when the limit had passed."""

    @property
    def spread(self) -> Spread:
        return spread(self.values)

    @property
    def share(self) -> float | None:
        """Of those of whom it is known, how many kept the limit."""
        known = self.within + self.beyond
        return self.within / known if known else None


@dataclass(frozen=True, slots=True)
class Summary:
    """Every timing asked for, in each group."""

    timings: tuple[Timing, ...]
    by: str
    under: str
    """Version of the workflow whose targets stand in place of those that held; empty: those that held."""
    cut: datetime | None
    cases: int
    tallies: Mapping[str, Mapping[str, Tally]]
    """Timing -> group -> its cases; the group `all` first, the others in order."""
    limits: Mapping[str, int | None]
    """Timing -> its limit in seconds; None where each case has its own."""


# --- Groups ------------------------------------------------------------------------------------------------------

ALL = "all"
Grouping = Callable[[Sequence[e.Recorded], Moments, ZoneInfo], str]


def _local(log: Sequence[e.Recorded], zone: ZoneInfo, form: str) -> str:
    return log[0].event.at.at.astimezone(zone).strftime(form)


def _lpa(log: Sequence[e.Recorded], found: Moments, zone: ZoneInfo) -> str:
    told = (r.event.fact.details.get("lpa") for r in log if isinstance(r.event.fact, e.CaseOpened | e.DetailsRecorded))
    last = [str(lpa) for lpa in told if lpa]
    return last[-1] if last and CODE.fullmatch(last[-1]) else NOT_KNOWN


def _grade(log: Sequence[e.Recorded], found: Moments, zone: ZoneInfo) -> str:
    grade = getattr(found["_deployment"].event.fact, "response_grade", "") if "_deployment" in found else ""
    return grade if CODE.fullmatch(grade) else "none"


BY: Mapping[str, Grouping] = {
    "month": lambda log, found, zone: _local(log, zone, "%Y-%m"),
    "hour": lambda log, found, zone: _local(log, zone, "%H"),
    "lpa": _lpa,
    "grade": _grade,
    "response": lambda log, found, zone: timings.response_kind(found),
}
"""What a case is grouped by. Months and hours are those of the opening on a clock on the force's wall; the grade is the
last one, as West Midlands Police count (FOI 945); response is what came first. A trial's arms have tables of their own,
which are protected as one (`consort`)."""


# --- Summing up --------------------------------------------------------------------------------------------------


def summarise(
    store: Store, window: Window, wanted: Iterable[Timing] = timings.TIMINGS, *, by: str = "", under: str = ""
) -> Summary:
    """Replays the window's cases. For a thread of the caller's own. `by`: one of BY, or nothing; `under`: the content
    hash of a workflow, or how it begins. Raises ValueError for one that the log does not hold, or holds twice.
    """
    summing = Summing(window, window.definitions(store), wanted, by=by, under=under)
    for log in window.cases(store):
        summing.add(log, milestones.moments(log))
    return summing.summary()


def _all_first(group: tuple[str, Any]) -> tuple[bool, str]:
    return group[0] != ALL, group[0]


def _restated(stored: Mapping[str, e.DefinitionStored], under: str) -> tuple[str, Mapping[str, int]]:
    if not under:
        return "", {}
    found = [version for version in stored if version.startswith(under)]
    if len(found) != 1:
        raise ValueError(f"{under}: {len(found)} versions of a workflow begin so; the log holds {', '.join(stored)}")
    return found[0], stored_text.clock_targets(stored[found[0]])


class Summing:
    """Sums up case by case. Raises ValueError as `summarise` does."""

    def __init__(
        self,
        window: Window,
        stored: Mapping[str, e.DefinitionStored],
        wanted: Iterable[Timing] = timings.TIMINGS,
        *,
        by: str = "",
        under: str = "",
    ) -> None:
        self._wanted, self._by, self._window = tuple(wanted), by, window
        self._version, self._targets = _restated(stored, under)
        self._cut = window.cut or datetime.max.replace(tzinfo=UTC)
        self._zones = {version: ZoneInfo(stored_text.zone(one)) for version, one in stored.items()}
        self._tallies: dict[str, dict[str, Tally]] = {timing.name: {ALL: Tally()} for timing in self._wanted}
        self._cases = 0

    def zone(self, log: Sequence[e.Recorded]) -> ZoneInfo:
        """The time zone on the wall of the force whose definition the case began with."""
        return self._zones.get(log[0].event.definition, ZoneInfo("UTC"))

    def add(self, log: Sequence[e.Recorded], found: Moments) -> None:
        """One case. `found`: its moments."""
        self._cases += 1
        groups = [ALL]
        if self._by:
            groups.append(BY[self._by](log, found, self.zone(log)))
        voided = log[-1].event.state == VOIDED
        for timing in self._wanted:
            if _is_among(timing.among, found):
                tallies = self._tallies[timing.name]
                for group in groups:
                    self._count(timing, found, tallies.setdefault(group, Tally()), voided=voided)

    def summary(self) -> Summary:
        """All that was added."""
        tallies = {name: dict(sorted(groups.items(), key=_all_first)) for name, groups in self._tallies.items()}
        return Summary(self._wanted, self._by, self._version, self._window.cut, self._cases, tallies, self._limits())

    def _count(self, timing: Timing, found: Moments, tally: Tally, *, voided: bool) -> None:
        tally.cases += 1
        if voided:
            tally.voided += 1
            return
        start, measured = timing.interval.start, timings.elapsed(found, timing.interval)
        if milestones.time_of(found, start) is None:
            tally.missing += 1
        elif measured is None:
            if "ended_at" in found:
                tally.never += 1
            else:
                tally.censored += 1
        elif measured < 0:
            tally.reversed += 1
            return
        else:
            tally.values.append(measured)
        limit_s = self._limit(timing, found)
        kept = None if limit_s is None else timings.within(found, start, measured, limit_s, self._cut)
        tally.within += kept is True
        tally.beyond += kept is False

    def _limit(self, timing: Timing, found: Moments) -> int | None:
        if timing.limit is None:
            return None
        return self._targets.get(timing.limit.restated_by) or timings.limit_of(timing.limit, found)

    def _limits(self) -> dict[str, int | None]:
        told = {timing.name: timing.limit for timing in self._wanted if timing.limit}
        return {name: self._targets.get(one.restated_by) or one.limit_s or None for name, one in told.items()}


def _is_among(among: str, found: Moments) -> bool:
    offered = "handover_first_offered_at" in found
    match among:
        case "offered":
            return offered
        case "sent":
            return not offered and "deployment_requested_at" in found
    return True


# --- As told -----------------------------------------------------------------------------------------------------


def told(summary: Summary) -> list[dict[str, Any]]:
    """A row for each timing and group; durations in seconds, to the microsecond."""
    return [
        {
            "timing": timing.name,
            "from": timing.interval.start.lstrip("_"),
            "to": timing.interval.end.lstrip("_"),
            "meaning": timing.interval.meaning,
            "source": timing.source,
            "among": timing.among or ALL,
            "group": group,
            "limit_s": summary.limits.get(timing.name),
            **_figures(tally, timing),
        }
        for timing in summary.timings
        for group, tally in summary.tallies[timing.name].items()
    ]


def _figures(tally: Tally, timing: Timing) -> dict[str, Any]:
    of, share = tally.spread, tally.share
    counts = {name: getattr(tally, name) for name in ("missing", "censored", "never", "reversed", "voided")}
    spreads = {f"{name}_s": getattr(of, name) for name in ("mean", "median", "p10", "p90")}
    kept = {"within": tally.within, "beyond": tally.beyond, "share": None if share is None else round(share, 4)}
    return {
        "cases": tally.cases,
        "n": of.n,
        **counts,
        **{name: None if value is None else value / 1_000_000 for name, value in spreads.items()},
        **(kept if timing.limit else dict.fromkeys(kept)),
    }
