"""The timings of an earlier desk summed up like those of this one: the same definitions, from stated times.

Kept apart by source and never added to this desk's figures. Whoever compares, compares like response grade with like: a
time that a system told to the minute, or that an officer pressed, is not one that a server saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, func, select

from rvr.core import earlier
from rvr.core import events as e
from rvr.core.moment import iso, parse_iso
from rvr.evaluation import stored_text
from rvr.evaluation.disclosure import about
from rvr.evaluation.pseudonyms import Alias
from rvr.evaluation.summary import ALL, NOT_KNOWN, Summary, Tally
from rvr.evaluation.timings import TIMINGS, Timing
from rvr.evaluation.window import Window
from rvr.store.store import Store
from rvr.store.tables import EventRow

_MICROSECOND = timedelta(microseconds=1)

_STATES = {
    "call_answered_at": ("answered_at",),
    "received_at": ("opened_at",),
    "deployment_requested_at": ("requested_at",),
    "attended_at": ("attended_at",),
    "_attended_after_request": ("attended_at",),
    "two_way_video_at": ("video_at",),
    "_live_contact": ("video_at",),
    "_response": ("attended_at", "video_at"),
}
"""Milestone -> the stated times of which it is the first."""


def rows(store: Store) -> Iterator[tuple[e.EarlierCaseTimed, str]]:
    """Everything that was taken over, in its order, each with the UTC time of its import. For a thread of the caller's
    own."""
    for recorded in store.iterate(kind=earlier.STREAM, chunk=1_000):
        if isinstance(recorded.event.fact, e.EarlierCaseTimed):
            yield recorded.event.fact, iso(recorded.event.at.at)


def last(session: Session, window: Window) -> int:
    """Position of the last row that was taken over by the end of the window; nought for none."""
    wanted = select(func.max(EventRow.position)).where(
        col(EventRow.stream).startswith(earlier.STREAM),
        col(EventRow.position) <= window.until,
        col(EventRow.recorded_at) < (iso(window.followed) if window.followed else "9999"),
    )
    return session.exec(wanted).one() or 0


def table_rows(store: Store, alias: Alias, until: int) -> Iterator[dict[str, Any]]:
    """The rows of earlier.csv, up to a position. An end that nobody stated is an empty cell."""
    for recorded in store.iterate(kind=earlier.STREAM, until=until, chunk=1_000) if until else ():
        row = {"row": alias("earlier", recorded.stream), "imported_at": iso(recorded.event.at.at)}
        yield row | recorded.event.fact.split()[0]


def summarise(store: Store, wanted: Iterable[Timing] = TIMINGS, *, by: str = "") -> dict[str, Summary]:
    """A summary by source, of the timings whose both ends its rows can state. `by` as in `summary.BY`."""
    stored = store.iterate(kind="definition/")
    zones = [stored_text.zone(r.event.fact) for r in stored if isinstance(r.event.fact, e.DefinitionStored)]
    zone = ZoneInfo(zones[0] if zones else "UTC")
    timings = [one for one in wanted if {one.interval.start, one.interval.end} <= _STATES.keys()]
    found: dict[str, dict[str, dict[str, Tally]]] = {}
    cases: dict[str, int] = {}
    for row, imported_at in rows(store):
        tallies = found.setdefault(row.source, {timing.name: {ALL: Tally()} for timing in timings})
        cases[row.source] = cases.get(row.source, 0) + 1
        groups = (ALL, _group(row, by, zone)) if by else (ALL,)
        for timing in timings:
            if _is_among(timing.among, row):
                for group in groups:
                    _count(timing, row, imported_at, tallies[timing.name].setdefault(group, Tally()))
    for of_source in found.values():
        for of in of_source.values():
            _unstated(of)
    return {
        source: Summary(
            tuple(timing for timing in timings if tallies[timing.name][ALL].cases),
            by,
            "",
            None,
            cases[source],
            {name: {ALL: of.pop(ALL), **dict(sorted(of.items()))} for name, of in tallies.items()},
            {timing.name: timing.limit.limit_s or None for timing in timings if timing.limit},
        )
        for source, tallies in sorted(found.items())
    }


def _is_among(among: str, row: e.EarlierCaseTimed) -> bool:
    """Offered: whom an earlier desk spoke with by video; sent: all others."""
    return {"offered": bool(row.video_at), "sent": not row.video_at}.get(among, True)


def _group(row: e.EarlierCaseTimed, by: str, zone: ZoneInfo) -> str:
    local = parse_iso(row.opened_at).astimezone(zone)
    match by:
        case "month":
            return f"{local:%Y-%m}"
        case "hour":
            return f"{local:%H}"
        case "lpa":
            return row.lpa or NOT_KNOWN
        case "grade":
            return row.response_grade or "none"
    first = min(
        ((at, kind) for at, kind in ((row.video_at, "video"), (row.attended_at, "deployment")) if at), default=None
    )
    return first[1] if first else "none"


def _time(row: e.EarlierCaseTimed, milestone: str) -> str:
    return min((at for name in _STATES[milestone] if (at := getattr(row, name))), default="")


def _unstated(of: Mapping[str, Tally]) -> None:
    """An end that the source states of no row was not told, which is not to say that it never came in time."""
    if not of[ALL].values and not of[ALL].reversed:
        for tally in of.values():
            tally.beyond = 0


def _count(timing: Timing, row: e.EarlierCaseTimed, imported_at: str, tally: Tally) -> None:
    """Without a stated end there was none as far as anybody told. As of this desk's own cases (`timings.within`) it is
    past the limit once that had passed when the row was closed, or told to this desk."""
    tally.cases += 1
    start, end = (_time(row, milestone) for milestone in (timing.interval.start, timing.interval.end))
    limit_us = timing.limit.limit_s * 1_000_000 if timing.limit else 0
    if not start:
        tally.missing += 1
        return
    if not end:
        tally.never += 1
        followed = min(row.closed_at or imported_at, imported_at)
        tally.beyond += bool(limit_us and _between(start, followed) > limit_us)
        return
    measured = _between(start, end)
    if measured < 0:
        tally.reversed += 1
        return
    tally.values.append(measured)
    if limit_us:
        tally.within += measured <= limit_us
        tally.beyond += measured > limit_us


def _between(start: str, end: str) -> int:
    return (parse_iso(end) - parse_iso(start)) // _MICROSECOND


def head(source: str, summary: Summary, threshold: int) -> str:
    """What stands above the figures of one source, of which those of few cases are hidden."""
    return (
        f"Before this desk, as {source} states it: {about(summary.cases, threshold)} rows, imported and not seen by "
        "this desk. never: no end is stated."
    )


def document(told: Mapping[str, list[dict[str, object]]]) -> list[dict[str, object]]:
    """What a program is told."""
    return [{"source": source, "stated": True, "timings": rows_} for source, rows_ in told.items()]
