"""How many officers each shift needs: the short reckoning run many times over, beside Erlang C and Erlang A.

A number of officers is enough when even the lower end of the confidence interval reaches what is asked for. All numbers
are tried on the same callers, so that the difference between two is the officers' and no luck of the dice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain
from statistics import fmean
from typing import NamedTuple

from rvr.core.force import Hours
from rvr.simulation import erlang
from rvr.simulation.callers import Caller, callers
from rvr.simulation.estimates import Estimate, of_runs, of_shares
from rvr.simulation.population import Population
from rvr.simulation.queue import Queue, Seen, Shift
from rvr.simulation.stages import Stages

WARM_UP = timedelta(days=1)
"""A desk that never closes starts empty, and soon is not: callers of the first day are played and not counted."""

MOST = 200
"""Officers of one shift up to which a number is looked for."""

FOUND = ("video", "drop")
"""Ends of a wait in which an officer was found."""


class NotEnough(Exception):
    """No number of officers does what is asked: a sentence."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the desk."""

    share: float = 0.95
    limit_s: float = 600.0
    """From when a sergeant could have accepted until an officer was found."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What all numbers of officers are tried on."""

    stages: Stages
    hours: Hours
    population: Population
    start: datetime
    days: float
    """Of one run, without the first day, which is not counted."""
    runs: int
    seed: int
    crowds: list[list[Caller]] = field(default_factory=list, compare=False)
    """Whom the desk is asked to take in each run; filled when first needed."""

    def everybody(self) -> list[list[Caller]]:
        """The callers of each run."""
        while len(self.crowds) < self.runs:
            seed = self.seed + len(self.crowds)
            found = callers(self.population, self.start - WARM_UP, self.days + 1, self.hours.zone, seed, arm="video")
            self.crowds.append([one for one in found if one.wants_video])
        return self.crowds

    def play(self, shifts: Sequence[Shift]) -> Iterator[list[Seen]]:
        """What became of whoever was counted, run by run."""
        first, end = self.start - WARM_UP, self.start + timedelta(days=self.days)
        for crowd in self.everybody():
            seen = Queue(self.stages, self.hours, shifts).run(crowd, first, end)
            yield [one for one in seen if one.offered_at >= self.start]


@dataclass(frozen=True, slots=True)
class Figures:
    """How one shift fares, or all together."""

    officers: int
    offers: int
    """Handovers offered in the shift, in all runs."""
    an_hour: Estimate
    """Of them in an hour of the shift."""
    within: Estimate | None
    """Share of them for whom an officer was found within the limit; None: nobody was offered one."""
    waited_s: Estimate | None
    lost: Estimate | None
    """Share that nobody took: given up, taken back by the workflow, or left when the desk closed."""
    held_s: float
    """For how long a caller binds one of the shift's officers, on average."""
    busy: Estimate
    """Share of the officers' time that is bound: above 1 where they stay after the end of the shift."""
    transfer: Estimate | None
    """Share on video within the workflow's promise from the opening of the case, of those who came to video."""
    alone: bool = True
    """Whether no other shift has any of its hours: else the offers of those hours are not for its officers alone."""

    @property
    def load(self) -> float:
        """Erlangs, of a shift that is alone."""
        return self.an_hour.value * self.held_s / 3600

    def enough(self, asked: Asked) -> bool:
        """Whether it does what is asked, by the lower end of its interval. Where nobody is offered a handover nobody
        waits."""
        return self.within is None or self.within.low >= asked.share


@dataclass(frozen=True, slots=True)
class Answer:
    """One roster, and how it fares."""

    shifts: tuple[Shift, ...]
    by_shift: tuple[Figures, ...]
    whole: Figures
    fewer: tuple[Estimate | None, ...] = ()
    """By shift: the share within the limit with one officer fewer there."""

    def enough(self, asked: Asked) -> bool:
        """Whether every shift does what is asked, and anybody was offered a handover at all."""
        return bool(self.whole.offers) and all(one.enough(asked) for one in self.by_shift)


def figures(desk: Desk, shifts: Sequence[Shift], asked: Asked) -> Answer:
    """How this roster fares."""
    runs = list(desk.play(shifts))
    by_shift = []
    for place, shift in enumerate(shifts):
        offered = [[one for one in run if shift.holds(one.offered_at, desk.hours)] for run in runs]
        taken = [[one.held_s for one in run if one.shift == place] for run in runs]
        others = [minutes(other) for other in (*shifts[:place], *shifts[place + 1 :])]
        part = _Part(offered, taken, shift.officers, lasts_h(shift), shift.officers * lasts_h(shift))
        by_shift.append(_figures(desk, part, asked, alone=minutes(shift).isdisjoint(chain.from_iterable(others))))
    day = len(set().union(*map(minutes, shifts))) / 60
    staffed = sum(shift.officers * lasts_h(shift) for shift in shifts)
    taken = [[one.held_s for one in run if one.shift is not None] for run in runs]
    whole = _figures(desk, _Part(runs, taken, round(staffed / day), day, staffed), asked)
    return Answer(tuple(shifts), tuple(by_shift), whole)


class _Part(NamedTuple):
    """One shift of a roster, or all of it."""

    offered: Sequence[Sequence[Seen]]
    """Run by run, whoever was offered a handover in its hours."""
    taken: Sequence[Sequence[float]]
    """Run by run, for how many seconds each caller bound one of its officers, whenever that caller was offered one."""
    officers: int
    hours: float
    """Of a day."""
    staffed_h: float
    """Officer-hours of a day."""


def _figures(desk: Desk, part: _Part, asked: Asked, *, alone: bool = True) -> Figures:
    def share(of: Callable[[Seen], bool], among: Callable[[Seen], bool] = lambda one: True) -> Estimate | None:
        counted = [[of(one) for one in run if among(one)] for run in part.offered]
        return of_shares([(sum(run), len(run)) for run in counted])

    held = [held_s for run in part.taken for held_s in run]
    staffed_s = 3600 * desk.days * part.staffed_h
    waits = [[one.waited_s for one in run] for run in part.offered if run]
    return Figures(
        officers=part.officers,
        offers=sum(len(run) for run in part.offered),
        an_hour=of_runs([len(run) / (part.hours * desk.days) for run in part.offered]),
        within=share(lambda one: one.ended in FOUND and one.waited_s <= asked.limit_s),
        waited_s=of_runs([fmean(run) for run in waits]) if waits else None,
        lost=share(lambda one: one.ended not in FOUND),
        held_s=fmean(held) if held else 0.0,
        busy=of_runs([sum(run) / staffed_s if staffed_s else 0.0 for run in part.taken]),
        transfer=share(
            lambda one: one.contact_s is not None and one.contact_s <= desk.stages.promise_s,
            lambda one: one.contact_s is not None,
        ),
        alone=alone,
    )


def minutes(shift: Shift) -> frozenset[int]:
    """The minutes of a day by a clock on the wall, from midnight, that a shift holds."""
    begins, ends = (at.hour * 60 + at.minute for at in (shift.begins, shift.ends))
    return frozenset(minute % 1440 for minute in range(begins, ends if ends > begins else ends + 1440))


def lasts_h(shift: Shift) -> float:
    """How many hours a shift lasts by a clock on the wall."""
    return len(minutes(shift)) / 60


# --- The search ----------------------------------------------------------------------------------------------------


def fewest(desk: Desk, shifts: Sequence[Shift], asked: Asked, progress: Callable[[Answer], None]) -> Answer:
    """The fewest officers on each shift that do what is asked, from what Erlang C says on.

    Raises NotEnough when none do, or when too few call to tell.
    """
    found = figures(desk, [replace(shift, officers=_at_first(desk, shift, asked)) for shift in shifts], asked)
    while not found.enough(asked):
        progress(found)
        _can_tell(found, asked)
        more = [
            shift if figure.enough(asked) else replace(shift, officers=shift.officers + 1)
            for shift, figure in zip(found.shifts, found.by_shift, strict=True)
        ]
        if max(shift.officers for shift in more) > MOST:
            raise NotEnough(f"More than {MOST} officers on a shift do not reach {asked.share:.0%}.")
        found = figures(desk, more, asked)
    for place in range(len(found.shifts)):
        while (fewer := _with_one_fewer(desk, found, place, asked)) is not None and fewer.enough(asked):
            progress(fewer)
            found = fewer
    return found


def _can_tell(answer: Answer, asked: Asked) -> None:
    """Raises NotEnough where more officers cannot show more: each caller was found one in time, or nobody called."""
    if not answer.whole.offers:
        raise NotEnough("Nobody was offered a handover: ask for more days (--days), runs (--runs) or contacts.")
    for shift, figure in zip(answer.shifts, answer.by_shift, strict=True):
        if figure.within is not None and figure.within.value == 1.0 and not figure.enough(asked):
            raise NotEnough(
                f"{shift}: {figure.offers} handovers, all in time, are too few to show {asked.share:.0%}: ask for more"
                " days (--days) or runs (--runs)."
            )


def with_one_fewer(desk: Desk, answer: Answer, asked: Asked) -> Answer:
    """The same, with what one officer fewer on each shift would mean for that shift."""
    tried = [_with_one_fewer(desk, answer, place, asked) for place in range(len(answer.shifts))]
    fewer = (one.by_shift[place].within if one else None for place, one in enumerate(tried))
    return replace(answer, fewer=tuple(fewer))


def _with_one_fewer(desk: Desk, answer: Answer, place: int, asked: Asked) -> Answer | None:
    shifts = list(answer.shifts)
    if shifts[place].officers <= 1:
        return None
    shifts[place] = replace(shifts[place], officers=shifts[place].officers - 1)
    return figures(desk, shifts, asked)


def _at_first(desk: Desk, shift: Shift, asked: Asked) -> int:
    """What Erlang C says of the shift's average hour: where the search begins, not where it ends."""
    offered = [one for crowd in desk.everybody() for one in crowd if shift.holds(one.at, desk.hours)]
    an_hour = len(offered) / (desk.runs * (desk.days + 1) * lasts_h(shift))
    service_s = desk.population.mean_s("session") + desk.population.mean_s("wrap_up")
    if not an_hour:
        return 1
    return max(1, erlang.servers_for(an_hour * service_s / 3600, service_s, asked.limit_s, asked.share))


# --- Beside it -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Beside:
    """What the formulas say of the same shift: its average hour, for ever."""

    officers: int
    """Erlang C's own answer to what is asked."""
    patient: erlang.Waiting
    """Erlang C with the officers of the shift."""
    impatient: erlang.Waiting
    """Erlang A with them."""


def beside(figure: Figures, desk: Desk, asked: Asked) -> Beside | None:
    """The formulas with this shift's figures; None for a shift in which nobody is offered a handover, and for one whose
    hours another has, too: they know one row of officers and who asks for these alone."""
    if figure.load <= 0 or not figure.alone:
        return None
    mean_s, limit = desk.population.table("patience")["mean_s"], desk.stages.gives_up_s
    patience_s = mean_s * -math.expm1(-limit / mean_s) if limit else mean_s
    return Beside(
        erlang.servers_for(figure.load, figure.held_s, asked.limit_s, asked.share),
        erlang.waiting_c(figure.officers, figure.load, figure.held_s, asked.limit_s),
        erlang.waiting_a(figure.officers, figure.load, figure.held_s, patience_s, asked.limit_s),
    )


def at_most(desk: Desk, shifts: Sequence[Shift], asked: Asked) -> float | None:
    """The share on video within the workflow's promise if an officer were always free: no number of them gives more.
    None where nobody came to video."""
    best = figures(desk, [replace(shift, officers=MOST) for shift in shifts], asked).whole.transfer
    return best.value if best else None
