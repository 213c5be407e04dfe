"""The evaluator's verbs at the terminal: figures computed from the timing log, and nothing else."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rvr.config import Settings
from rvr.evaluation import summary, timings
from rvr.evaluation.disclosure import ROUNDED_TO, THRESHOLD
from rvr.evaluation.guarded import guarded
from rvr.evaluation.window import window_of
from rvr.opening import Fault, open_store
from rvr.store import access
from rvr.terminal import entry, say

VERBS = ("timings",)


def add_verbs(verbs: Any, store: argparse.ArgumentParser, time: Callable[[str], datetime]) -> None:
    """The verbs with their options. `store`: the options of everything that opens a store; `time`: reads a time."""
    one = verbs.add_parser("timings", parents=[store], help="sum up how long everything took, by replay of the log")
    one.add_argument("--from", dest="start", type=time, metavar="TIME", help="cases opened at or after")
    one.add_argument("--to", dest="end", type=time, metavar="TIME", help="cases opened before")
    one.add_argument("--by", choices=tuple(summary.BY), default="", help="a line for each of these, too")
    one.add_argument("--interval", type=_interval, action="append", metavar="T5-T11", help="these pairs of points only")
    one.add_argument("--under", default="", metavar="VERSION", help="measure against that workflow's targets instead")
    one.add_argument("--disclosure-k", type=int, default=THRESHOLD, metavar="N", help="hide fewer cases; 1: none")
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
    found = asyncio.run(_timings(given, settings))
    k = given.disclosure_k
    rows = guarded(found, k)[0] if k > 1 else summary.told(found)
    if given.json:
        say(json.dumps(document(found, rows), indent=1))
    else:
        for line in lines(found, rows, k):
            say(line)
    return 0


async def _timings(given: argparse.Namespace, settings: Settings) -> summary.Summary:
    """A look at figures of few cases can be a look at a case: it is in the access log before anything is shown."""
    wanted = given.interval or timings.TIMINGS
    async with open_store(settings, existing=True) as store:
        window = await window_of(store, given.start, given.end)
        await store.write(lambda connection: access.record(connection, entry("consultation", "timings")))
        try:
            return await asyncio.to_thread(summary.summarise, store, window, wanted, by=given.by, under=given.under)
        except ValueError as wrong:
            raise Fault(str(wrong)) from None


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
    head = ("timing", "group", *_COUNTS, *(name.removesuffix("_s") for name in _SECONDS), "limit", "in limit")
    table = [head, *(_row(one) for one in rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    for row in table:
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
