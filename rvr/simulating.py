"""The verb `simulate`: a desk that is played with invented callers. What `planning` needs of it stands here, too."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from rvr import definitions
from rvr.config import Settings
from rvr.core.force import Hours
from rvr.core.workflow import Workflow
from rvr.desk import Desk
from rvr.opening import Fault, place_of
from rvr.realtime import Hub
from rvr.simulation import callers, population, stories
from rvr.simulation.agenda import VirtualClock
from rvr.simulation.play import Ids, Play, Tally
from rvr.simulation.queue import Shift
from rvr.store.store import Store
from rvr.terminal import say

VERBS = ("simulate",)

WORKFLOW = "da-desk"
INVENTED = "-simulated"
"""Behind the force's name in every event, in the name of the log and in each row that leaves: nobody shall take a
played desk for a real one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be played."""

    start: datetime
    days: float
    seed: int
    arm: str
    shifts: tuple[Shift, ...]
    population: population.Population

    @property
    def end(self) -> datetime:
        return self.start + timedelta(days=self.days)

    def callers(self, zone: str) -> Iterator[callers.Caller]:
        """Everybody who calls meanwhile."""
        return callers.callers(self.population, self.start, self.days, zone, self.seed, self.arm)


def people_options() -> argparse.ArgumentParser:
    """The options of every verb about an invented population."""
    people = argparse.ArgumentParser(add_help=False)
    people.add_argument("--population", type=Path, metavar="FILE.toml", help="parameters in place of the shipped ones")
    people.add_argument("--contacts", type=float, metavar="N", help="contacts on an average day, in place of its own")
    people.add_argument("--seed", type=int, default=1, help="other dice")
    people.add_argument("--force", default=Settings.force, help="whose hours, grades and workflow apply")
    return people


def add_verbs(verbs: Any, people: argparse.ArgumentParser) -> None:
    """The verb with its options. `people`: those of every verb about an invented population."""
    one = verbs.add_parser("simulate", parents=[people], help="play invented callers through the real desk")
    one.add_argument("--out", dest="data", required=True, metavar="DIR", help="a new data folder, for the other verbs")
    one.add_argument("--days", type=_positive, default=1.0, help="how long; a day of a large force is 190 contacts")
    one.add_argument("--start", type=a_day, default="2026-11-23", metavar="DAY", help="the first day")
    one.add_argument("--officers", type=int, metavar="N", help="on each shift, where no --shift is given (default 6)")
    one.add_argument("--shift", type=a_shift, action="append", default=[], metavar="HH:MM-HH:MM=N", help="a shift")
    told = "both: half of the eligible are offered no video, by chance; usual: nobody is"
    one.add_argument("--arm", choices=callers.ARMS, default="both", help=told)


def run(given: argparse.Namespace, settings: Settings) -> int:
    """Runs the verb; the exit code. Raises Fault, and what the store and the definitions raise."""
    if not all(shift.officers for shift in given.shift):
        raise Fault("A shift that is played has its officers: --shift 07:00-15:00=6")
    return asyncio.run(_simulate(given, settings, people_of(given)))


def people_of(given: argparse.Namespace) -> population.Population:
    """The population that the options name. Raises Fault."""
    try:
        people = population.load(given.population)
    except population.BadPopulation as bad:
        raise Fault(str(bad)) from None
    if given.contacts is None:
        return people
    if not 0 < given.contacts < 1_000_000:
        raise Fault(f"{given.contacts:g} contacts a day (--contacts) are none that can be played.")
    return people.changed(contacts_per_day=given.contacts)


# --- simulate ------------------------------------------------------------------------------------------------------


async def _simulate(given: argparse.Namespace, settings: Settings, people: population.Population) -> int:
    place = place_of(settings)
    if place.exists():
        raise Fault(f"There is a database in {place.where} already: a simulation begins a new one.")
    workflow = workflow_of(settings, given.force)
    hours = workflow.force.hours
    shifts = tuple(given.shift) or shifts_of(hours, 6 if given.officers is None else given.officers)
    plan = Plan(hours.start_of(given.start), given.days, given.seed, given.arm, shifts, people)
    clock = VirtualClock(plan.start, f"simulation-{plan.seed}")
    store = Store(place, force=f"{given.force}{INVENTED}", observe=clock)
    await store.start()
    began = time.monotonic()
    try:
        desk = desk_on(store, settings, given.force, clock, ids := Ids(plan.seed))
        tally = await played(desk, clock, workflow, ids, plan, progress=sys.stderr.isatty())
        await store.checkpoint()
    finally:
        await store.close()
    took = time.monotonic() - began
    for line in told(tally, plan, took):
        say(line)
    say(f"{settings.data_path}: invented cases only. Next: python3 run.py timings --data {given.data}")
    return 1 if tally.refused else 0


def desk_on(store: Store, settings: Settings, force: str, clock: VirtualClock, ids: Ids) -> Desk:
    """A desk that reads the virtual clock, and whose ids the seed decides."""
    return Desk(
        store,
        definitions.load(Path(settings.workflows), force),
        Hub(),
        observe=clock,
        join_url=settings.victim_url,
        link_text=settings.link_text,
        new_id=ids.new_id,
        new_reference=ids.new_reference,
        staff_url=settings.base_url,
    )


async def played(
    desk: Desk, clock: VirtualClock, workflow: Workflow, ids: Ids, plan: Plan, *, progress: bool = False
) -> Tally:
    """Plays the plan on a started store to its end."""
    await desk.start()
    play = Play(desk, clock, workflow, ids)
    await play.employ(plan.shifts, plan.start)
    everybody = plan.callers(workflow.force.hours.zone)

    async def calls() -> Any:
        for caller in everybody:
            yield max(0.0, (caller.at - clock.now).total_seconds())
            play.agenda.begin(stories.contact(play, caller), caller.at)

    play.agenda.begin(calls(), plan.start)
    for day in range(1, int(-(-plan.days // 1)) + 1):
        await play.agenda.run(min(plan.start + timedelta(days=day), plan.end))
        if progress:
            sys.stderr.write(f"day {day} of {plan.days:g}: {play.tally.contacts} contacts\x1b[K\r")
    await play.agenda.close()
    return play.tally


def told(tally: Tally, plan: Plan, took_s: float) -> Iterator[str]:
    """What was played, in a few lines."""
    asked = tally.ended.total()
    when = f"{plan.days:g} days from {plan.start:%Y-%m-%d}"
    yield f"{tally.contacts} contacts in {when}, seed {plan.seed}, arm {plan.arm}"
    parts = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in sorted(tally.ended.items()))
    yield f"the desk was asked to take {asked}: {parts or 'nobody'}"
    if tally.waited_s:
        waits = sorted(tally.waited_s.values())
        yield f"wait for an officer: mean {sum(waits) / len(waits):.0f} s, median {waits[len(waits) // 2]:.0f} s"
    for what, count in sorted(tally.refused.items()):
        yield f"refused by the desk {count} times: {what}"
    rate = tally.contacts / took_s if took_s else 0.0
    yield f"{tally.commands} commands, {tally.events} events in {took_s:.1f} s: {rate:.1f} cases a second"


def shifts_of(hours: Hours, officers: int) -> tuple[Shift, ...]:
    """The desk's hours in two halves; three thirds where it never closes."""
    opens, closes = (datetime.combine(date.min, at, UTC) for at in (hours.opens, hours.closes))
    lasts = (closes - opens) % timedelta(days=1) or timedelta(days=1)
    parts = 3 if lasts > timedelta(hours=18) else 2
    ends = [(opens + lasts / parts * part).time() for part in range(parts + 1)]
    return tuple(Shift(begin, end, officers) for begin, end in pairwise(ends))


def workflow_of(settings: Settings, force: str) -> Workflow:
    """The workflow that is played. Raises Fault, DefinitionFault."""
    flows = definitions.load(Path(settings.workflows), force).workflows
    if WORKFLOW not in flows:
        raise Fault(f"There is no workflow {WORKFLOW} in {settings.workflows}.")
    return flows[WORKFLOW]


# --- Options -------------------------------------------------------------------------------------------------------


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 36_600:
        raise argparse.ArgumentTypeError(f"{text} is no number of days")
    return value


def a_day(text: str) -> date:
    """A day of the command line."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no day such as 2026-11-23") from None


def a_shift(text: str) -> Shift:
    """A shift of the command line; without a number it has no officers yet."""
    try:
        span, given, officers = text.partition("=")
        begins, _, ends = span.partition("-")
        parsed = [datetime.strptime(one, "%H:%M").replace(tzinfo=UTC).time() for one in (begins, ends)]
        shift = Shift(parsed[0], parsed[1], int(officers) if given else 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no shift such as 07:00-15:00=6") from None
    if given and not 0 < shift.officers <= 1_000:
        raise argparse.ArgumentTypeError(f"{text}: a shift has an officer or more")
    return shift
