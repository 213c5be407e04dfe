"""How durations are spread: mean, median, tenth and ninetieth percentile, exact to the microsecond.

Pure; values are whole microseconds. Eight bytes are kept for each, because no exact quantile can do with less.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Spread:
    """Durations in microseconds; None without any. The mean stands beside the median because a few long waits move it:
    West Midlands Police gives no means for that reason (FOI 945)."""

    n: int
    mean: int | None
    median: int | None
    p10: int | None
    p90: int | None


def spread(values: array[int]) -> Spread:
    """The spread of these values."""
    if not values:
        return Spread(0, None, None, None, None)
    ordered = sorted(values)
    mean = round(Fraction(sum(ordered), len(ordered)))
    return Spread(len(ordered), mean, *(quantile(ordered, tenth) for tenth in (5, 1, 9)))


def quantile(ordered: Sequence[int], tenths: int) -> int:
    """So many tenths of the values lie below it: linear between neighbours, Hyndman and Fan's type 7, which R, NumPy
    and spreadsheets take unless told otherwise. `ordered`: from the least, not empty.
    """
    place, part = divmod((len(ordered) - 1) * tenths, 10)
    if not part:
        return ordered[place]
    return round(Fraction(ordered[place] * (10 - part) + ordered[place + 1] * part, 10))
