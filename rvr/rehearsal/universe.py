"""What surrounds a rehearsed case: the time, the ids that would be drawn, and the officers at the desk.

All of it stands still until it is moved, so that the same steps give the same events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from rvr.core.clocks import is_open
from rvr.core.commands import THE_BOT, THE_CARRIER, THE_MEDIA, Actor
from rvr.core.force import Force, GuestContact
from rvr.core.history import PastCase
from rvr.core.identity import Candidate
from rvr.core.moment import Moment, iso
from rvr.core.orders import Order
from rvr.core.roster import Capacity, Officer
from rvr.core.vocabulary import Basis

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""A Monday at noon, when the desk is open."""

ITSELF = {actor.id: actor for actor in (THE_BOT, THE_MEDIA, THE_CARRIER)}

EARLIER = {"victim": "00000000-0000-4000-8000-00000000a001", "suspect": "00000000-0000-4000-8000-00000000a002"}
"""Whom earlier cases are about when they are about the same people."""


@dataclass
class Universe:
    """Clock, ids and officers."""

    wall: datetime = START
    boottime_ns: int = 1_000_000_000
    boot: str = "0c5a2b7e-1111-4222-8333-444455556666"
    error_us: int | None = 0
    drawn: int = 0
    """How many ids have been drawn."""
    officers: dict[str, Officer] = field(default_factory=dict)
    reference: str = "K7Q-X2M"
    force: Force | None = None
    history: tuple[PastCase, ...] = ()
    orders: tuple[Order, ...] = ()
    contacts: Mapping[str, GuestContact] = field(default_factory=dict)
    trial: bool = False
    """Whether the workflow's trial, if it has one, is registered."""
    places: dict[str, int] = field(default_factory=dict)
    """Stratum of it -> places taken."""

    def person(self, role: str, number: int = 1) -> Actor:
        """Whoever acts in this role: the first belongs to every team and organisation, the others to none."""
        id_ = role.replace("_", " ") + (f" {number}" if number > 1 else "")
        units = frozenset({*self.force.teams, *self.force.partners} if self.force and number == 1 else ())
        return ITSELF.get(id_) or Actor(id_, frozenset({role}), id_.capitalize(), units)

    @property
    def at(self) -> Moment:
        return Moment(self.wall, self.boot, self.boottime_ns, self.error_us)

    def pass_(self, seconds: float) -> None:
        """Time passes: both of the machine's clocks run."""
        passed = timedelta(seconds=seconds)
        self.wall += passed
        self.boottime_ns += passed // timedelta(microseconds=1) * 1000

    def new_id(self) -> str:
        self.drawn += 1
        return f"00000000-0000-4000-8000-{self.drawn:012d}"

    def on_duty(self, *officers: str) -> None:
        """These officers are on duty, and no others; whoever has a case keeps it."""
        for id_ in dict.fromkeys((*self.officers, *officers)):
            known = self.officers.get(id_, Officer(id_, 1))
            self.officers[id_] = replace(known, status="on" if id_ in officers else "off")

    def basis(self) -> Basis:
        """What the desk would gather before a decision."""
        on = [officer for officer in self.officers.values() if officer.status == "on"]
        free = sum(officer.free for officer in on)
        desk_open = self.force is None or is_open(self.force.hours, self.at)
        known = {id_ for past in self.history for id_ in (past.victim_id, past.suspect_id)}
        candidates = [Candidate(role, id_, ("name_dob",), ()) for role, id_ in EARLIER.items() if id_ in known]
        return Basis(
            ids=(self.new_id(), self.new_id(), self.new_id(), self.new_id()),
            reference=self.reference,
            capacity=Capacity(len(on), free, 1, tuple(officer.id for officer in on), desk_open),
            officers=dict(self.officers),
            now=iso(self.wall),
            history=self.history,
            candidates=tuple(candidates),
            orders=self.orders,
            contacts=self.contacts,
        )
