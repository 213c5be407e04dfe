"""A force as the desk knows it: places, teams, hours, how fast police come. One file in `workflows/forces/`.

No code names a force: everything that differs between two of them is data, dated where it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time


@dataclass(frozen=True, slots=True)
class Hours:
    """When the desk is open, every day, in the force's own time."""

    opens: time
    closes: time
    zone: str
    holidays: frozenset[date] = frozenset()
    """Days that are no working days: they matter to clocks that count working days only."""


@dataclass(frozen=True, slots=True)
class ResponseGrade:
    """How fast police come in person."""

    id: str
    name: str
    target_s: int


@dataclass(frozen=True)
class Force:
    id: str
    name: str
    hours: Hours
    areas: Mapping[str, str] = field(default_factory=dict)
    teams: Mapping[str, str] = field(default_factory=dict)
    response_grades: Mapping[str, ResponseGrade] = field(default_factory=dict)
    """From the fastest to the slowest."""
    link_minutes: int = 15
    """An unopened link dies after this."""
