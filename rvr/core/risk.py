"""Risk instruments as data. The tool suggests, a person grades.

Officers' grades from a checklist predict serious harm little better than chance (Turner, Medina and Brown 2019), so
the count never decides: it can be exceeded with a word and never undercut without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LEVELS = ("standard", "medium", "high")
ANSWERS = ("yes", "no", "unknown", "refused")


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    topic: str
    critical: bool = False
    """Known to go with serious harm: one yes suggests at least medium."""


@dataclass(frozen=True, slots=True)
class Band:
    level: str
    at_least: int


@dataclass(frozen=True, slots=True)
class Instrument:
    id: str
    name: str
    hash: str
    about: str
    source: str
    questions: tuple[Question, ...]
    bands: tuple[Band, ...]
    """From the lowest to the highest."""
    critical_suggests: str = "medium"


@dataclass(frozen=True, slots=True)
class RiskResult:
    """A score with its parts, so that a supervisor can argue with it."""

    score: int
    suggested: str
    missing: tuple[str, ...]
    because: tuple[str, ...]


def assess(instrument: Instrument, answers: Mapping[str, str]) -> RiskResult:
    """What the instrument makes of these answers; unknown and refused count neither way and are not missing."""
    yes = [q for q in instrument.questions if answers.get(q.id) == "yes"]
    suggested = [band.level for band in instrument.bands if len(yes) >= band.at_least][-1:] or [LEVELS[0]]
    if any(q.critical for q in yes):
        suggested.append(instrument.critical_suggests)
    return RiskResult(
        score=len(yes),
        suggested=max(suggested, key=LEVELS.index),
        missing=tuple(q.id for q in instrument.questions if q.id not in answers),
        because=tuple(q.id for q in yes),
    )


def below(level: str, other: str) -> bool:
    """Whether the first level is lower than the second; nothing is lower than an unknown level."""
    return bool(other) and LEVELS.index(level) < LEVELS.index(other)
