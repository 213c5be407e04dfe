"""Invented callers: when each calls, who they are, and how long each step with them takes while an officer is free.

All that is chance about a caller is drawn here, from the seed and the caller's number alone. So the same callers can be
put through the real desk, through the short reckoning of `queue`, and before a desk of another size: what then differs
is the desk and no dice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from random import Random
from zoneinfo import ZoneInfo

from rvr.simulation.population import Population

ARMS = ("both", "video", "usual")
"""both: half of the eligible are never offered video, by chance; video: all are offered it; usual: nobody is."""

_CHRISTMAS = (24, 28)
"""First and last day, of December."""

_YEAR_S = 365.25 * 86_400

DROPS_OF = 100
"""Of how many the weights of `drops` are told; the rest stays to the end."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One contact. Durations in seconds."""

    number: int
    at: datetime
    """When the call is answered, UTC."""
    fails: str
    """The criterion that is not met; empty: eligible."""
    consents: bool
    arm: str
    """video, or usual."""
    duplicate: bool
    stages: Mapping[str, float]
    """How long each step to two-way video takes with an officer at hand, from `answer_to_open` to `connect`."""
    patience_s: float
    session_s: float
    wrap_up_s: float
    drop: str
    """How the caller drops out once an officer is assigned; empty: stays."""
    lost_for_s: float
    """How long video is lost in the middle of the session; nought: never."""
    usual_wait_s: float
    usual_attended: bool
    urgent_wait_s: float
    level: str
    review_s: float
    arrested_after_s: Mapping[str, float]
    """By arm: how long after the call somebody is arrested; absent: nobody."""
    outcome: str
    outcome_after_s: float
    person: int
    """A number from which the rest is made up: name, area, telephone."""
    source: str
    intimate: bool
    female: bool

    @property
    def wants_video(self) -> bool:
        """Whether the desk is asked to take this caller."""
        return not self.fails and self.consents and self.arm == "video" and not self.duplicate

    @property
    def until_asked_s(self) -> float:
        """From the answer of the call until the safety questions are answered."""
        return self.takes("answer_to_open", "screening")

    @property
    def until_offer_s(self) -> float:
        """From the answer of the call to the offer."""
        return self.takes("answer_to_open", "screening", "consent", "offer")

    @property
    def after_officer_s(self) -> float:
        """From an officer being found to two-way video."""
        return self.takes("assign", "send_link", "open_link", "connect")

    def takes(self, *stages: str) -> float:
        return math.fsum(self.stages[one] for one in stages)


def callers(
    population: Population, start: datetime, days: float, zone: str, seed: int, arm: str = "both"
) -> Iterator[Caller]:
    """Everybody who calls in so many days from `start` on (UTC), in the order of their calls."""
    times = arrivals(population, start, days, ZoneInfo(zone), Random(f"{seed}:arrivals"))
    for number, at in enumerate(times):
        yield a_caller(population, number, at, seed, arm)


def arrivals(population: Population, start: datetime, days: float, zone: ZoneInfo, dice: Random) -> Iterator[datetime]:
    """A Poisson process whose rate follows the hour, the day and the year, by thinning (Lewis and Shedler 1979)."""
    rate = Rate(population, start, zone)
    end, at, most = start + timedelta(days=days), start, rate.most(days)
    while most > 0:
        at += timedelta(seconds=dice.expovariate(most))
        if at >= end:
            return
        if dice.random() * most < rate.at(at):
            yield at


class Rate:
    """How many contacts a second there are at a moment."""

    def __init__(self, population: Population, start: datetime, zone: tzinfo | None) -> None:
        self._hours, self._weekend = population.numbers("hours"), population.number("weekend")
        self._christmas, self._growth = population.number("christmas"), population.number("growth_per_year")
        self._start, self._zone = start, zone
        average_day = (5 + 2 * self._weekend) / 7
        self._base = population.number("contacts_per_day") / average_day / math.fsum(self._hours) / 3600

    def at(self, at: datetime) -> float:
        """Contacts a second."""
        local = at.astimezone(self._zone)
        rate = self._base * self._hours[local.hour] * (self._weekend if local.weekday() >= 5 else 1.0)
        if local.month == 12 and _CHRISTMAS[0] <= local.day <= _CHRISTMAS[1]:
            rate *= self._christmas
        years = (at - self._start).total_seconds() / _YEAR_S
        return rate * math.exp(years * math.log1p(self._growth))

    def most(self, days: float) -> float:
        """No moment of so many days has more."""
        grown = max(1.0, math.exp(math.log1p(self._growth) * days * 86_400 / _YEAR_S))
        return self._base * max(self._hours) * max(1.0, self._weekend) * max(1.0, self._christmas) * grown


def a_caller(population: Population, number: int, at: datetime, seed: int, arm: str) -> Caller:
    """The caller of this number, who calls then."""
    dice = Random(f"{seed}:caller:{number}")
    shares = population.table("stages")
    whole, total = population.lognormal("transfer", dice), math.fsum(shares.values())
    drops = population.table("drops")
    stays = max(0.0, DROPS_OF - math.fsum(drops.values()))
    return Caller(
        number=number,
        at=at,
        fails="" if population.chance("eligible", dice) else population.one_of("fails", dice),
        consents=population.chance("consents", dice),
        arm=dice.choice(("video", "usual")) if arm == "both" else arm,
        duplicate=population.chance("duplicate", dice),
        stages={name: whole * share / total for name, share in shares.items()},
        patience_s=dice.expovariate(1.0) * population.table("patience")["mean_s"],
        session_s=population.lognormal("session", dice),
        wrap_up_s=population.lognormal("wrap_up", dice),
        drop=dice.choices(["", *drops], [stays, *drops.values()])[0],
        lost_for_s=dice.uniform(5, 90) if population.chance("interrupted", dice) else 0.0,
        usual_wait_s=population.lognormal("usual_wait", dice),
        usual_attended=population.chance("usual_attended", dice),
        urgent_wait_s=population.lognormal("urgent_wait", dice),
        level=population.one_of("level", dice),
        review_s=population.lognormal("review", dice),
        arrested_after_s=_arrests(population, dice),
        outcome=population.one_of("outcome", dice),
        outcome_after_s=86_400 * population.lognormal("outcome_days", dice),
        person=dice.getrandbits(32),
        source="999" if population.chance("source_999", dice) else "101",
        intimate=population.chance("intimate", dice),
        female=population.chance("female", dice),
    )


def _arrests(population: Population, dice: Random) -> dict[str, float]:
    """One draw for both arms: whoever is arrested with the smaller chance is so with the larger one, too."""
    luck, within = dice.random(), dice.random()
    shares = {arm: population.number(f"arrest_after_{arm}") for arm in ("video", "usual")}
    return {arm: 30 * 86_400 * within for arm, share in shares.items() if luck < share}
