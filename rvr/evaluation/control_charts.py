"""Control charts: has the desk changed, or is this how it varies from month to month anyway?

XmR for one figure a period (a median), p for shares. Limits are those of a baseline, frozen; from a period on at which
somebody decided so (`bases`) a new baseline begins. Signals are points outside the limits, a jump from one period to
the next beyond the limit of such moves, eight in a row on one side of the centre, and six in a row that rise or fall
(Provost and Murray 2011, ch. 4; Wheeler 2000).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

D2, D4 = 1.128, 3.267
"""Of ranges of two values (ASTM E2587): 3 / D2 is the 2.66 of the books."""

BASELINE, FEWEST = 12, 4
"""The limits are those of the first so many periods of a base; with fewer than the second there are none."""

RUN, TREND = 8, 6


@dataclass(frozen=True, slots=True)
class Period:
    """What was counted in one period. `value`: None where there were too few cases to tell."""

    label: str
    value: float | None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """A period on a chart; without limits while its base has too few periods."""

    label: str
    value: float | None
    centre: float | None = None
    low: float | None = None
    high: float | None = None
    furthest: float = math.inf
    signals: tuple[str, ...] = ()
    """outside, jump, run, trend"""
    rebased: bool = False
    """A new baseline begins here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Centre and limits of one base."""

    centre: float
    low: float
    high: float
    furthest: float = math.inf
    """How far one period may lie from the one before."""


def xmr_limits(values: Sequence[float]) -> Limits:
    """Natural process limits from the mean moving range. `values`: at least two."""
    centre = math.fsum(values) / len(values)
    moved = mean_moving_range(values)
    return Limits(centre, centre - 3 / D2 * moved, centre + 3 / D2 * moved, D4 * moved)


def mean_moving_range(values: Sequence[float]) -> float:
    """The mean of the differences from each value to the next; times D4 it is the upper limit of such differences."""
    return math.fsum(abs(two - one) for one, two in pairwise(values)) / (len(values) - 1)


def p_limits(centre: float, n: int) -> Limits:
    """Three standard errors around a share, of a period with so many cases."""
    width = 3 * math.sqrt(centre * (1 - centre) / n)
    return Limits(centre, max(0.0, centre - width), min(1.0, centre + width))


def xmr(periods: Sequence[Period], bases: Collection[str] = (), *, least: float = -math.inf) -> list[Point]:
    """The chart of individual values. `least`: no limit lies below it."""

    def of(base: Sequence[Period]) -> Callable[[Period], Limits]:
        limits = xmr_limits([one.value for one in base if one.value is not None])
        limits = replace(limits, low=max(least, limits.low))
        return lambda period: limits

    return _chart(periods, bases, of)


def p_chart(periods: Sequence[Period], bases: Collection[str] = ()) -> list[Point]:
    """The chart of shares; limits are wider where there were fewer cases."""

    def of(base: Sequence[Period]) -> Callable[[Period], Limits]:
        told = [(one.value, one.n) for one in base if one.value is not None]
        centre = math.fsum(share * n for share, n in told) / sum(n for _, n in told)
        return lambda period: p_limits(centre, period.n)

    return _chart(periods, bases, of)


def _chart(
    periods: Sequence[Period],
    bases: Collection[str],
    limits_of: Callable[[Sequence[Period]], Callable[[Period], Limits]],
) -> list[Point]:
    points: list[Point] = []
    for base in _bases(periods, bases):
        told = [one for one in base if one.value is not None][:BASELINE]
        limits = limits_of(told) if len(told) >= FEWEST else None
        here = [_point(one, limits(one) if limits and one.value is not None else None) for one in base]
        here = list(_signalled(here))
        if points:
            here[0] = replace(here[0], rebased=True)
        points += here
    return points


def _bases(periods: Sequence[Period], starts: Collection[str]) -> Iterator[Sequence[Period]]:
    begin = 0
    for place, period in enumerate(periods):
        if place and period.label in starts:
            yield periods[begin:place]
            begin = place
    if periods:
        yield periods[begin:]


def _point(period: Period, limits: Limits | None) -> Point:
    if limits is None:
        return Point(period.label, period.value)
    return Point(period.label, period.value, limits.centre, limits.low, limits.high, limits.furthest)


def _signalled(points: Sequence[Point]) -> Iterator[Point]:
    known = [point for point in points if point.value is not None and point.centre is not None]
    found: dict[str, list[str]] = {point.label: [] for point in points}
    for point in known:
        if not (point.low or 0.0) <= (point.value or 0.0) <= (point.high or 0.0):
            found[point.label].append("outside")
    sides = [_sign((point.value or 0.0) - (point.centre or 0.0)) for point in known]
    steps = [_sign((two.value or 0.0) - (one.value or 0.0)) for one, two in pairwise(known)]
    for one, two in pairwise(known):
        if abs((two.value or 0.0) - (one.value or 0.0)) > two.furthest:
            found[two.label].append("jump")
    for place in _in_a_row(sides, RUN):
        found[known[place].label].append("run")
    for place in _in_a_row(steps, TREND - 1):
        found[known[place + 1].label].append("trend")
    return (replace(point, signals=tuple(found[point.label])) for point in points)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _in_a_row(signs: Iterable[int], length: int) -> Iterator[int]:
    """Each place that ends so many, or more, of one sign in a row; nought breaks the row."""
    run, last = 0, 0
    for place, sign in enumerate(signs):
        run = run + 1 if sign and sign == last else abs(sign)
        last = sign
        if run >= length:
            yield place
