"""A summary of timings that may be shown: counts after disclosure control, and figures of enough cases only.

Small groups are put together, so that every group that is named has as many cases as the threshold and no total need be
hidden: the same totals stand in many tables. Then counts are protected cell by cell (`disclosure`), and rounded. A mean
or a median needs as many measured cases as the threshold, a tenth or ninetieth percentile ten times as many: as many
cases as the threshold lie beyond it. Least and greatest are never told. Why cases were not measured is told only where
each reason has enough, here and wherever the same number would stand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from rvr.evaluation.disclosure import THRESHOLD, Cell, grid, protect, published
from rvr.evaluation.summary import ALL, Summary, Tally, told
from rvr.evaluation.timings import Timing

OTHERS = "others"
"""Stands for all groups that are too small to be named."""

REASONS = ("missing", "censored", "never", "reversed")
_SPLITS: Mapping[str, tuple[Callable[[Tally], int], ...]] = {
    "n": (lambda one: len(one.values), lambda one: one.cases - one.voided - len(one.values)),
    "kept": (
        lambda one: one.within,
        lambda one: one.beyond,
        lambda one: one.cases - one.voided - one.within - one.beyond,
    ),
}
"""How the cases of a group are divided in what is shown: measured or not; within the limit, beyond it, not known."""

TooClose = Callable[[str, Hashable, int], bool]
"""Whether a count would differ by too little from an earlier release's: timing, cell, count."""


def _never(timing: str, cell: Hashable, count: int) -> bool:
    return False


def guarded(
    summary: Summary, threshold: int = THRESHOLD, too_close: TooClose = _never
) -> tuple[list[dict[str, Any]], dict[tuple[str, Hashable], int]]:
    """The rows of `summary.told` as they may be shown, and the counts behind what they show, for a register of
    releases. What may not be shown is None; `withheld` says so of a row in which that is so. Voided cases are in no
    count.
    """
    merged = replace(summary, tallies=_merged(summary, threshold))
    open_about = _open_about(merged, threshold)
    rows: list[dict[str, Any]] = []
    released: dict[tuple[str, Hashable], int] = {}
    plain = {(row["timing"], row["group"]): row for row in told(merged)}
    for timing in merged.timings:
        tallies = merged.tallies[timing.name]
        gone = {split: _gone(timing, tallies, split, threshold, too_close) for split in _SPLITS}
        for group, tally in tallies.items():
            shown = _shown(group, gone)
            rows.append(_row(plain[timing.name, group], tally, shown, threshold, reasons=_about(timing) in open_about))
            released |= {(timing.name, cell): count for cell, count in _released(group, tally, shown)}
    return rows, released


# --- Groups ------------------------------------------------------------------------------------------------------


def _merged(summary: Summary, threshold: int) -> dict[str, dict[str, Tally]]:
    """The tallies with small groups put together; the same groups for all timings about the same cases."""
    names: dict[str, frozenset[str]] = {}
    for timing in summary.timings:
        if timing.among not in names:
            names[timing.among] = _large(summary.tallies[timing.name], threshold)
    return {one.name: _put_together(summary.tallies[one.name], names[one.among]) for one in summary.timings}


def _large(tallies: Mapping[str, Tally], threshold: int) -> frozenset[str]:
    """The groups that are named: those of enough cases, and only as many that the others have enough together."""
    sizes = {group: tally.cases - tally.voided for group, tally in tallies.items() if group != ALL}
    large = sorted((group for group, size in sizes.items() if size >= threshold), key=lambda one: (sizes[one], one))
    rest = sum(size for group, size in sizes.items() if group not in large)
    while large and 0 < rest < threshold:
        rest += sizes[large.pop(0)]
    return frozenset(large)


def _put_together(tallies: Mapping[str, Tally], named: Collection[str]) -> dict[str, Tally]:
    kept = {group: tally for group, tally in tallies.items() if group == ALL or group in named}
    rest = [tally for group, tally in tallies.items() if group not in kept]
    if len(kept) > 1 and rest:
        kept[OTHERS] = _sum(rest)
    return kept


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for one in tallies:
        total.values.extend(one.values)
        for name in ("cases", "voided", "within", "beyond", *REASONS):
            setattr(total, name, getattr(total, name) + getattr(one, name))
    return total


# --- What is shown -----------------------------------------------------------------------------------------------


def _gone(
    timing: Timing, tallies: Mapping[str, Tally], split: str, threshold: int, too_close: TooClose
) -> frozenset[Hashable] | None:
    """Cells (group, number of the part) that are hidden; None: all of them."""
    groups = [group for group in tallies if group != ALL] or [ALL]
    parts = _SPLITS[split]
    counts = {group: [count(tallies[group]) for count in parts] for group in tallies}
    totals = {group: sum(counts[group]) for group in tallies}
    if any(0 < total < threshold or too_close(timing.name, (group, "cases"), total) for group, total in totals.items()):
        return None
    cells = grid([counts[group] for group in groups])
    names = dict(enumerate(groups)) | {-1: ALL}
    keys: dict[Hashable, tuple[str, int]] = {
        (row, column): (names[row], column) for row in names for column in range(-1, len(parts))
    }
    hidden = {key for key, cell in keys.items() if cell[1] >= 0 and _too_close(timing, split, cell, counts, too_close)}
    shown = {key for key, (_, column) in keys.items() if column == -1}
    known = {column for group, column in (keys[key] for key in hidden) if group == ALL}
    whole = protect(_one_row(counts[ALL]), threshold, hidden=known, shown={-1})
    if whole is None:
        return None
    of_all = {key for key, (group, _) in keys.items() if group == ALL}
    hidden |= {key for key in of_all if keys[key][1] in whole}
    gone = protect(cells, threshold, hidden=hidden, shown=(shown | of_all) - hidden)
    if gone is None:  # the groups go, what is said of all of them stays
        return frozenset(keys[key] for key in (keys.keys() - of_all) | hidden)
    return frozenset(keys[key] for key in gone)


def _one_row(counts: list[int]) -> list[Cell]:
    """The counts of all cases and their sum: what is hidden of these is hidden in every grouping."""
    parts = [Cell(column, "all", "parts", count) for column, count in enumerate(counts)]
    return [*parts, Cell(-1, "parts", "all", sum(counts))]


def _too_close(
    timing: Timing, split: str, cell: tuple[str, int], counts: Mapping[str, list[int]], too_close: TooClose
) -> bool:
    group, column = cell
    return too_close(timing.name, (group, split, column), counts[group][column])


def _shown(group: str, gone: Mapping[str, frozenset[Hashable] | None]) -> dict[str, frozenset[int]]:
    """Split -> the numbers of its parts that are shown of this group; without those of which none may be."""
    return {
        split: frozenset(range(len(_SPLITS[split]))) - {column for column in range(4) if (group, column) in hidden}
        for split, hidden in gone.items()
        if hidden is not None
    }


def _row(
    row: Mapping[str, Any], tally: Tally, shown: Mapping[str, frozenset[int]], threshold: int, *, reasons: bool
) -> dict[str, Any]:
    n = len(tally.values)
    measured = 0 in shown.get("n", ()) and n >= threshold
    kept = {0, 1} <= shown.get("kept", frozenset()) and row["within"] is not None
    figures = {
        "cases": published(tally.cases - tally.voided, threshold) if shown else None,
        "n": published(n, threshold) if 0 in shown.get("n", ()) else None,
        **{name: published(getattr(tally, name), threshold) if reasons and shown else None for name in REASONS},
        "voided": None,
        **{name: row[name] if measured else None for name in ("mean_s", "median_s")},
        **{name: row[name] if measured and n >= 10 * threshold else None for name in ("p10_s", "p90_s")},
        "within": published(tally.within, threshold) if kept else None,
        "beyond": published(tally.beyond, threshold) if kept else None,
        "share": round(row["share"], 2) if kept and row["share"] is not None else None,
    }
    whole = shown.get("n") == frozenset({0, 1}) and (measured or n == 0)
    return {**row, **figures, "withheld": not whole}


def _released(group: str, tally: Tally, shown: Mapping[str, frozenset[int]]) -> Iterable[tuple[Hashable, int]]:
    if shown:
        yield (group, "cases"), tally.cases - tally.voided
    for split, columns in shown.items():
        for column in sorted(columns):
            yield (group, split, column), _SPLITS[split][column](tally)


# --- Why not measured --------------------------------------------------------------------------------------------


def _about(timing: Timing) -> tuple[str, str]:
    """Timings of which this is the same have the same number of cases without a start."""
    return timing.interval.start, timing.among


def _open_about(summary: Summary, threshold: int) -> frozenset[tuple[str, str]]:
    small = {
        _about(timing)
        for timing in summary.timings
        for tally in summary.tallies[timing.name].values()
        if any(0 < getattr(tally, name) < threshold for name in REASONS)
    }
    return frozenset(_about(timing) for timing in summary.timings) - small
