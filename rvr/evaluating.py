"""The evaluator's verbs at the terminal: figures computed from the timing log, and nothing else."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rvr.config import Settings
from rvr.evaluation import earlier, report, summary, timings
from rvr.evaluation.disclosure import ROUNDED_TO, THRESHOLD
from rvr.evaluation.guarded import guarded
from rvr.evaluation.releases import Releases
from rvr.evaluation.window import window_of
from rvr.opening import Fault, open_store
from rvr.store import access
from rvr.terminal import entry, say, user

VERBS = ("timings", "report")

FOLLOWED = "with what was recorded before (default: --to)"


def add_verbs(verbs: Any, store: argparse.ArgumentParser, time: Callable[[str], datetime]) -> None:
    """The verbs with their options. `store`: the options of everything that opens a store; `time`: reads a time."""
    cases = argparse.ArgumentParser(add_help=False)
    cases.add_argument("--from", dest="start", type=time, metavar="TIME", help="cases opened at or after")
    cases.add_argument("--to", dest="end", type=time, metavar="TIME", help="cases opened before")
    cases.add_argument("--followed", type=time, metavar="TIME", help=FOLLOWED)
    cases.add_argument("--disclosure-k", type=int, default=THRESHOLD, metavar="N", help="hide fewer cases; 1: none")
    one = verbs.add_parser("report", parents=[store, cases], help="write charts and tables as one HTML file")
    one.add_argument("--out", type=Path, required=True, metavar="FILE.html")
    one.add_argument("--rebase", action="append", default=[], metavar="YYYY-MM", help="a new baseline from there on")
    one.add_argument("--project", type=Path, metavar="KEYFILE", help="whose register of releases it goes into")
    one.add_argument("--recipient", default="", metavar="NAME", help="who gets it, for the access log (default: you)")
    told = "sum up how long everything took, by replay of the log"
    one = verbs.add_parser("timings", parents=[store, cases], help=told)
    one.add_argument("--by", choices=tuple(summary.BY), default="", help="a line for each of these, too")
    one.add_argument("--interval", type=_interval, action="append", metavar="T5-T11", help="these pairs of points only")
    one.add_argument("--under", default="", metavar="VERSION", help="measure against that workflow's targets instead")
    one.add_argument("--json", action="store_true", help="for programs")


def _interval(text: str) -> timings.Timing:
    try:
        start, _, end = text.partition("-")
        one = timings.between(start, end)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None
    return timings.Timing(one.name, one)


def run(given: argparse.Namespace, settings: Settings) -> int:
    """Runs one of the verbs; the exit code. Raises Fault, CannotOpen, and what the desk refuses."""
    if given.verb == "report":
        asyncio.run(_report(given, settings))
        return 0
    found, before = asyncio.run(_timings(given, settings))
    k = given.disclosure_k

    def shown(one: summary.Summary) -> list[dict[str, Any]]:
        return guarded(one, k)[0] if k > 1 else summary.told(one)

    if given.json:
        stated = earlier.document({source: shown(one) for source, one in before.items()})
        say(json.dumps({**document(found, shown(found)), "earlier": stated}, indent=1))
        return 0
    for line in lines(found, shown(found), k):
        say(line)
    for source, one in before.items():
        for line in ("", earlier.head(source, one, k), *table(shown(one))):
            say(line)
    return 0


async def _timings(given: argparse.Namespace, settings: Settings) -> tuple[summary.Summary, dict[str, summary.Summary]]:
    """Of this desk, and of what was before it by source, whenever that was. A look at figures of few cases can be a
    look at a case: it is in the access log before anything is shown.
    """
    wanted = given.interval or timings.TIMINGS
    async with open_store(settings, existing=True) as store:
        window = await window_of(store, given.start, given.end, given.followed)
        await store.write(lambda connection: access.record(connection, entry("consultation", "timings")))
        try:
            found = await asyncio.to_thread(summary.summarise, store, window, wanted, by=given.by, under=given.under)
        except ValueError as wrong:
            raise Fault(str(wrong)) from None
        return found, await asyncio.to_thread(earlier.summarise, store, wanted, by=given.by)


async def _report(given: argparse.Namespace, settings: Settings) -> None:
    """Figures that leave are a disclosure, small counts or none: in the access log before the file is written."""
    key, recipient = given.project or settings.project_key_path, given.recipient or user()
    async with open_store(settings, existing=True) as store:
        window = await window_of(store, given.start, given.end, given.followed)
        told = entry("disclosure", "report", recipient=recipient)
        await store.write(lambda connection: access.record(connection, told))
        try:
            releases = Releases(key, given.disclosure_k)
            made = await asyncio.to_thread(
                report.made, store, window, threshold=given.disclosure_k, bases=given.rebase, releases=releases
            )
            given.out.write_text(report.html(made), encoding="utf-8")
        except OSError as error:
            raise Fault(f"{error.filename} cannot be used: {error.strerror}") from None
    say(f"{given.out}: written")


def document(found: summary.Summary, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What a program is told."""
    cut = found.cut.isoformat() if found.cut else None
    return {"data_cut": cut, "under": found.under or None, "timings": rows}


# --- As text -----------------------------------------------------------------------------------------------------

_SECONDS = ("mean_s", "median_s", "p10_s", "p90_s")
_COUNTS = ("cases", "n", "missing", "censored", "never", "reversed", "voided")


def lines(found: summary.Summary, rows: Sequence[Mapping[str, Any]], k: int) -> Iterable[str]:
    """The rows as a table for a terminal."""
    under = f"; targets of version {found.under[:12]}" if found.under else ""
    hidden = f" Counts rounded to {ROUNDED_TO}; -: withheld, for it tells of fewer than {k} cases." if k > 1 else ""
    yield f"Cases up to {found.cut.isoformat() if found.cut else 'nothing yet'}{under}. Seconds.{hidden}"
    yield from table(rows)


def table(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """The rows with their heads, aligned."""
    head = ("timing", "group", *_COUNTS, *(name.removesuffix("_s") for name in _SECONDS), "limit", "in limit")
    told = [head, *(_row(one) for one in rows)]
    widths = [max(len(row[place]) for row in told) for place in range(len(head))]
    for row in told:
        yield _aligned(row, widths)


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    counts = ("-" if one[name] is None else str(one[name]) for name in _COUNTS)
    seconds = ("-" if one[name] is None else f"{one[name]:.1f}" for name in _SECONDS)
    limit = "" if one["limit_s"] is None else str(one["limit_s"])
    share = "-" if one["share"] is None else f"{one['share']:.1%}"
    return (one["timing"], one["group"], *counts, *seconds, limit, share)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    names = (cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True))
    figures = (cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True))
    return "  ".join((*names, *figures)).rstrip()
