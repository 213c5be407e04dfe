"""Where an assessed case goes: the routing table proposes with its reason, the sergeant decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rvr.core.conditions import Facts
from rvr.core.workflow import Route


@dataclass(frozen=True, slots=True)
class Proposal:
    team: str
    route: str
    """Id of the rule."""
    say: str


def propose(routes: Iterable[Route], facts: Facts) -> Proposal | None:
    """The first rule of the table that holds, or None when the case has no area or no level yet."""
    for route in routes:
        if route.when.holds(facts):
            team = route.team.replace("{lpa}", str(facts.get("details.lpa") or ""))
            return Proposal(team, route.id, route.say)
    return None
