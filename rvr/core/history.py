"""Earlier cases of a victim, a suspect, or the pair, within so many days before a case was opened.

Each answer is the cases themselves, so that whoever decides on their number can look at them; the case in question is
not among them. That two are the same person was confirmed by somebody before (`identity`). Cases made void are left
out when the history is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rvr.core.moment import parse_iso

VOIDED = "voided"
"""The state of a case that was opened in error, twice, or as a test: it counts nowhere."""

DAY_S = 86_400
"""A day of UTC seconds: the days on which the clocks change are no shorter and no longer."""


@dataclass(frozen=True, slots=True)
class PastCase:
    """An earlier case, as far as a decision on a later one may rest on it."""

    case: str
    reference: str
    opened_at: str
    victim_id: str
    suspect_id: str
    risk_level: str
    state: str
    marac: bool = False
    """Whether it was referred to a MARAC."""


def of_pair(
    history: Iterable[PastCase], victim_id: str, suspect_id: str, opened_at: str, days: int
) -> tuple[PastCase, ...]:
    """Earlier cases of this victim with this suspect, the oldest first."""
    pair = (victim_id, suspect_id)
    return _within(history, opened_at, days, lambda past: (past.victim_id, past.suspect_id) == pair)


def of_victim(history: Iterable[PastCase], victim_id: str, opened_at: str, days: int) -> tuple[PastCase, ...]:
    """Earlier cases of this victim with anybody, the oldest first."""
    return _within(history, opened_at, days, lambda past: past.victim_id == victim_id)


def of_suspect(history: Iterable[PastCase], suspect_id: str, opened_at: str, days: int) -> tuple[PastCase, ...]:
    """Earlier cases of this suspect with anybody, the oldest first."""
    return _within(history, opened_at, days, lambda past: past.suspect_id == suspect_id)


def _within(
    history: Iterable[PastCase], opened_at: str, days: int, wanted: Callable[[PastCase], bool]
) -> tuple[PastCase, ...]:
    """Those opened before that time and at most `days` times 86,400 seconds before: exactly that long still counts."""
    at = parse_iso(opened_at)

    def ago_s(past: PastCase) -> float:
        return (at - parse_iso(past.opened_at)).total_seconds()

    found = (past for past in history if wanted(past) and 0 < ago_s(past) <= days * DAY_S)
    return tuple(sorted(found, key=lambda past: past.opened_at))
