"""A force as the desk knows it: places, teams, hours, how fast police come. One file in `workflows/forces/`.

No code names a force: everything that differs between two of them is data, dated where it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Hours:
    """When the desk is open, every day, in the force's own time."""

    opens: time
    closes: time
    zone: str
    holidays: frozenset[date] = frozenset()
    """Days that are no working days: they matter to clocks that count working days only."""

    def local(self, at: datetime) -> datetime:
        """That moment as the force's own clocks show it."""
        return at.astimezone(ZoneInfo(self.zone))

    def readings(self, local: datetime) -> tuple[datetime, ...]:
        """The UTC times at which the force's own clocks show this: none in the hour that is left out when they go
        forward, two in the hour that they show twice.
        """
        zone = ZoneInfo(self.zone)
        found = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return tuple(dict.fromkeys(at for at in found if at.astimezone(zone).replace(tzinfo=None) == local))

    def start_of(self, day: date) -> datetime:
        """When that day begins there, in UTC."""
        return datetime.combine(day, time(0), ZoneInfo(self.zone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class ResponseGrade:
    """How fast police come in person."""

    id: str
    name: str
    target_s: int


@dataclass(frozen=True, slots=True)
class Partner:
    """An organisation that helps victims: an independent advocate, a refuge, an interpreter service."""

    id: str
    name: str
    kind: str
    """advocate, interpreter or other."""
    serves: tuple[str, ...]
    """The areas from which it takes referrals."""
    days: tuple[int, ...] = ()
    """ISO weekdays on which its advocate is with the desk, 1 for Monday."""

    def how(self, weekday: int, *, session_live: bool) -> str:
        """How a referral reaches it that day: into the live session, in the room with the desk, or by e-mail."""
        if weekday not in self.days:
            return "email"
        return "session" if session_live else "room"


@dataclass(frozen=True, slots=True)
class CivilOrder:
    """A civil order that may be applied for, where and while it exists."""

    id: str
    name: str
    say: str
    source: str
    since: date = date.min
    until: date = date.max


@dataclass(frozen=True, slots=True)
class OnCall:
    """Where a role is reached when an alarm is for it and nobody looks at a screen."""

    role: str
    channel: str
    to: str


@dataclass(frozen=True, slots=True)
class GuestContact:
    """Somebody who is asked into a call often: an interpreter service, an advocate on call."""

    id: str
    name: str
    role: str
    """interpreter, advocate or supervisor."""
    channel: str
    """sms or email."""
    to: str
    partner: str = ""


@dataclass(frozen=True, slots=True)
class OfficerProfile:
    """What an officer brings to a case, as the officer has stated it."""

    languages: tuple[str, ...] = ()
    """Codes of the answers to `victim_language`, English apart."""
    skills: tuple[str, ...] = ()
    """In the force's own words."""
    gender: str = ""
    """A code of the answers to `officer_wish`; empty: not stated. Asked for only where a victim has a wish."""


@dataclass(frozen=True, slots=True)
class Contacts:
    """Addresses of the force and its partners. No part of a workflow's version: a new telephone is no new rule."""

    on_call: tuple[OnCall, ...] = ()
    partners: Mapping[str, str] = field(default_factory=dict)
    """Id of the partner -> its e-mail address."""
    guests: Mapping[str, GuestContact] = field(default_factory=dict)
    """Whom an officer can ask into a call without typing a number, by id."""
    officers: Mapping[str, OfficerProfile] = field(default_factory=dict)
    """User name -> what that officer brings."""

    @property
    def channels(self) -> frozenset[str]:
        """By which ways anybody here is reached."""
        told = {one.channel for one in self.on_call} | {one.channel for one in self.guests.values()}
        return frozenset(told | ({"email"} if self.partners else set()))


@dataclass(frozen=True)
class Force:
    id: str
    name: str
    hours: Hours
    areas: Mapping[str, str] = field(default_factory=dict)
    teams: Mapping[str, str] = field(default_factory=dict)
    response_grades: Mapping[str, ResponseGrade] = field(default_factory=dict)
    """From the fastest to the slowest."""
    partners: Mapping[str, Partner] = field(default_factory=dict)
    orders: Mapping[str, CivilOrder] = field(default_factory=dict)
    link_minutes: int = 15
    """An unopened link dies after this."""

    def partners_for(self, area: str) -> tuple[Partner, ...]:
        """The partners that take referrals from this area, in the order of the file; all when it is not known."""
        return tuple(p for p in self.partners.values() if not area or area in p.serves)

    def orders_on(self, day: date) -> tuple[CivilOrder, ...]:
        """The civil orders that exist here on that day."""
        return tuple(order for order in self.orders.values() if order.since <= day <= order.until)
