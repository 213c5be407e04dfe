"""What several runs say together: a mean with its confidence interval, and a share with its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and between what it lies with `LEVEL` confidence."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def of_runs(values: Sequence[float], level: float = LEVEL) -> Estimate:
    """The mean of independent runs, with Student's interval; without one where there is only a single run.

    Raises ValueError for no run at all.
    """
    if not values:
        raise ValueError("an estimate needs a run")
    mean = fmean(values)
    if len(values) == 1:
        return Estimate(mean, -math.inf, math.inf)
    half = student(level, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Estimate(mean, mean - half, mean + half)


def of_shares(runs: Sequence[tuple[int, int]], level: float = LEVEL) -> Estimate | None:
    """A share from several runs, each so many of so many: the mean of the runs' shares with Student's interval.

    Where the runs do not differ, or one alone has anybody, that interval would be nothing or everything: then all are
    counted together, with Wilson's. None where nobody was counted.
    """
    counted = [(count, of) for count, of in runs if of]
    if not counted:
        return None
    shares = [count / of for count, of in counted]
    if min(shares) == max(shares):
        return of_count(sum(count for count, _ in counted), sum(of for _, of in counted), level)
    return of_runs(shares, level)


def of_count(count: int, of: int, level: float = LEVEL) -> Estimate:
    """A share of independent trials, with Wilson's interval (1927)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, shrunk = count / of, 1 + z * z / of
    middle = (share + z * z / (2 * of)) / shrunk
    half = z / shrunk * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return Estimate(share, middle - half, middle + half)


def student(level: float, freedom: int) -> float:
    """The two-sided quantile of Student's t: exact for one and two degrees of freedom, else Hill's series (1970)."""
    tail = (1 + level) / 2
    if freedom == 1:
        return math.tan(math.pi * (tail - 0.5))
    if freedom == 2:
        return (2 * tail - 1) * math.sqrt(2 / (4 * tail * (1 - tail)))
    return _hill(1 - level, freedom)


def _hill(both_tails: float, n: float) -> float:
    """Hill 1970, Algorithm 396 of the ACM, "Student's t-quantiles": six digits and more."""
    a = 1 / (n - 0.5)
    b = 48 / (a * a)
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * n
    y = (d * both_tails) ** (2 / n)
    if y <= 0.05 + a:
        y = ((1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1) * (n + 1) / (
            n + 2
        ) + 1 / y
        return math.sqrt(n * y)
    x = NormalDist().inv_cdf(both_tails / 2)
    y = x * x
    if n < 5:
        c += 0.3 * (n - 4.5) * (x + 0.6)
    c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
    y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
    return math.sqrt(n * math.expm1(a * y * y))
