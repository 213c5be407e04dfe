"""How long a case has to be kept, and when somebody has to look whether it is still needed.

The rules of today hold for every case, whatever workflow it began under: what law and schedule say of old records
changes with them. So the table is in no workflow's hash; what is erased by it names the table's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.conditions import Condition
from rvr.core.moment import parse_iso


def is_look(fact: e.Fact) -> bool:
    """Whether it tells of a look from outside, or is the alarm that goes with it: the case itself stays as it was."""
    return isinstance(fact, e.GlassBroken) or (isinstance(fact, e.AlarmRaised) and fact.about == "glass_broken")


def begins_anew(fact: e.Fact) -> bool:
    """Whether the time of keeping is counted from this fact."""
    return not is_look(fact) and not isinstance(fact, e.ErasureProposed | e.CaseErased)


FACTS: Mapping[str, Callable[[Case], Any]] = {
    "workflow": lambda case: case.workflow,
    "state": lambda case: case.state,
    "decision": lambda case: case.decision,
    "risk_highest": lambda case: case.risk_highest,
    "outcome_code": lambda case: case.outcome_code,
    "charged": lambda case: "ChargeRecorded" in case.first,
}
"""What a class may ask of a case."""


@dataclass(frozen=True, slots=True)
class RecordClass:
    """A class of records with its times, both counted from the last entry in the case's log."""

    id: str
    name: str
    minimum_years: int
    """Nothing is erased before."""
    review_years: int
    """Then somebody looks whether it is still needed."""
    source: str
    confirmed: bool
    """False: practice, which the force has still to confirm."""
    when: Condition | None = None
    """None: whatever is in no class before it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """The table. Without one there are no classes, and nothing may be erased."""

    classes: tuple[RecordClass, ...] = ()
    authorities: Mapping[str, str] = field(default_factory=dict)
    """What may allow an erasure: code and name."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    hash: str = ""
    recordings: RecordClass | None = None
    """When somebody looks whether recordings and stills are still needed: sooner than the case itself, with whose key
    they go."""

    def review_of_recordings(self, case: Case) -> datetime | None:
        """When that is, counted from the newest of them; None without any, or without a rule."""
        kept = case.exhibits
        times = [tape.stopped_at or tape.started_at for tape in kept.tapes.values()]
        times += [still.taken_at for still in kept.stills.values()]
        if self.recordings is None or not times:
            return None
        return later(parse_iso(max(times)), self.recordings.review_years)

    def keeping(self, case: Case, log: Iterable[e.Recorded]) -> Keeping | None:
        """The first class that the case is in, with its times; None where the table has none for it."""
        facts = {name: told(case) for name, told in FACTS.items()}
        found = next((one for one in self.classes if one.when is None or one.when.holds(facts)), None)
        since = max((one.event.at.at for one in log if begins_anew(one.event.fact)), default=None)
        if found is None or since is None:
            return None
        return Keeping(found, since, later(since, found.minimum_years), later(since, found.review_years))


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long one case is kept."""

    record_class: RecordClass
    since: datetime
    until: datetime
    review_at: datetime


def later(at: datetime, years: int) -> datetime:
    """The same day and time so many years later; the 29th of February may become the 1st of March, never earlier."""
    try:
        return at.replace(year=at.year + years)
    except ValueError:
        return at.replace(year=at.year + years, month=3, day=1)
