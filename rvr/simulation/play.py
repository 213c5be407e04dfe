"""Plays invented callers through the real desk: its store, its one door, its ticker, under a clock that is moved.

What a person would press is a command, what the media plane would see is one, too; clocks fire by the ticker, late by
nothing. What the desk refuses is counted and told: a population that the workflow does not take is a finding.
"""

from __future__ import annotations

import uuid
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from random import Random

from rvr import people
from rvr.core.case import Case
from rvr.core.commands import Actor, Command, MakeMove, OpenCase, SetDuty
from rvr.core.errors import Refused, RvrError
from rvr.core.workflow import Workflow
from rvr.desk import Desk
from rvr.simulation.agenda import Agenda, Steps, Story, VirtualClock
from rvr.simulation.callers import Caller
from rvr.simulation.queue import Shift
from rvr.ticker import Ticker

STAFF = ("call_handler", "sergeant", "inspector", "resourcing", "investigator")
"""One of each acts for all in that role: how many they are changes no wait here."""

_SIGNS = "23456789CDFGHJKMNPQRTVWXYZ"


class Ids:
    """Ids and references that the seed decides, in place of random ones."""

    def __init__(self, seed: int) -> None:
        self._dice, self._numbers = Random(f"{seed}:ids"), count()

    def new_id(self) -> str:
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))

    def new_reference(self) -> str:
        """Six places like any other, in their order: none comes twice before 300 million."""
        number, signs = next(self._numbers), []
        for _ in range(6):
            number, sign = divmod(number, len(_SIGNS))
            signs.append(_SIGNS[sign])
        code = "".join(reversed(signs))
        return f"{code[:3]}-{code[3:]}"


@dataclass
class Tally:
    """What was played."""

    contacts: int = 0
    commands: int = 0
    events: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    """Of whom the desk was asked to take: video, drop, left, timed_out, closed."""
    waited_s: dict[int, float] = field(default_factory=dict)
    """By caller: from when a sergeant could have accepted until an officer was found, or the offer ended."""
    refused: Counter[str] = field(default_factory=Counter)
    """What the desk did not take, by move and reason."""


@dataclass(eq=False)
class Officer:
    """A desk officer on one shift."""

    actor: Actor
    on: bool = False
    case: str = ""


class Play:
    """One desk at work on invented callers."""

    def __init__(self, desk: Desk, clock: VirtualClock, workflow: Workflow, ids: Ids) -> None:
        self.desk, self.clock, self.workflow = desk, clock, workflow
        self.agenda, self.tally = Agenda(clock), Tally()
        self.staff: dict[str, Actor] = {}
        self.cases: dict[str, Case] = {}
        """Those that are not ended, as they are."""
        self.stories: dict[str, Story] = {}
        """By case: whom to wake when the desk itself moves it."""
        self.waits: deque[tuple[Caller, Story]] = deque()
        self.found: dict[int, Officer] = {}
        """By caller: the officer who was found and not yet assigned."""
        self._officers: dict[str, Officer] = {}
        self._has: dict[str, Officer] = {}
        """By case: the officer who is bound to it."""
        self._duties: list[list[Officer]] = []
        self._ticker, self._ids, self._rung = Ticker(desk), ids, dict[str, datetime]()

    # --- Who is there ------------------------------------------------------------------------------------------------

    async def employ(self, shifts: Sequence[Shift], start: datetime) -> None:
        """Registers the staff, and lets each shift's officers come and go every day."""
        for role in STAFF:
            self.staff[role] = await self._person(f"sim-{role}", role)
        day = self.workflow.force.hours.local(start).date() - timedelta(days=1)
        for number, shift in enumerate(shifts, 1):
            names = [f"sim-officer-{number}-{one}" for one in range(1, shift.officers + 1)]
            officers = [Officer(await self._person(name, "officer")) for name in names]
            self._officers |= {one.actor.id: one for one in officers}
            self.agenda.begin(self._shift(shift, officers, day, start), start)

    async def _person(self, username: str, role: str) -> Actor:
        units = tuple(self.workflow.force.teams) if role == "investigator" else ()
        row = await people.register(self.desk, username, username, (role,), "", units, person=self._ids.new_id())
        return Actor(row.id, frozenset({role}), username, frozenset(units))

    async def _shift(self, shift: Shift, officers: list[Officer], day: date, start: datetime) -> Steps:
        hours = self.workflow.force.hours
        while True:
            begins, ends = shift.on(day, hours)
            day += timedelta(days=1)
            if ends <= start:
                continue
            yield max(0.0, (begins - self.clock.now).total_seconds())
            if officers not in self._duties:
                await self._come(officers)
            yield (ends - self.clock.now).total_seconds()
            yield 0.0  # whoever comes now comes first, or the queue would be sent away between two shifts
            if shift.on(day, hours)[0] <= self.clock.now:
                continue  # a shift of a whole day follows on itself: nobody goes
            self._duties.remove(officers)
            for officer in officers:
                officer.on = False
                if not officer.case and officer not in self.found.values():
                    await self._duty(officer, "off")
            if not self.staffed:
                self._send_away()

    async def _come(self, officers: list[Officer]) -> None:
        """A shift begins. Whom a case holds from the day before is on duty already, and not free."""
        for officer in officers:
            officer.on = True
            if not officer.case:
                await self._duty(officer, "on")
        self._duties.append(officers)
        self.serve()

    async def _duty(self, officer: Officer, status: str) -> None:
        await self.handle(SetDuty(self._ids.new_id(), officer.actor.id, status), officer.actor)

    @property
    def staffed(self) -> bool:
        """Whether any shift is on."""
        return bool(self._duties)

    def serve(self) -> None:
        """Whoever waits first is given the next free officer."""
        while self.waits:
            free = (one for duty in self._duties for one in duty if not one.case and one not in self.found.values())
            officer = next(free, None)
            if officer is None:
                return
            caller, story = self.waits.popleft()
            self.found[caller.number] = officer
            self.agenda.wake(story)

    def _send_away(self) -> None:
        while self.waits:
            self.agenda.wake(self.waits.popleft()[1])

    # --- The door ----------------------------------------------------------------------------------------------------

    async def handle(self, command: Command, by: Actor) -> Case | None:
        """Through the one door; None where it was refused."""
        self.tally.commands += 1
        try:
            outcome = await self.desk.handle(command, by)
        except RvrError as error:
            what = getattr(command, "move", type(command).__name__)
            for reason in error.reasons:
                self.tally.refused[f"{what}: {reason.params.get('guard') or reason.code}"] += 1
            if not isinstance(error, Refused):
                raise
            return None
        self.tally.events += len(outcome.recorded)
        if outcome.case.id:
            await self._note(outcome.case)
        return outcome.case

    async def opens(self, caller: Caller, form: dict[str, object]) -> Case | None:
        """A new case."""
        self.tally.contacts += 1
        return await self.handle(OpenCase(f"sim:{caller.number}", form, self.workflow.id), self.staff["call_handler"])

    async def does(self, who: Actor | str, case_id: str, move: str, **form: object) -> Case | None:
        """Somebody, or whoever acts in this role, makes a move; None where it was refused."""
        actor = self.staff[who] if isinstance(who, str) else who
        return await self.handle(MakeMove(self._ids.new_id(), case_id, move, form), actor)

    async def _note(self, case: Case) -> None:
        """Keeps the case as it is, sees to its next threshold, and to an officer whom it has let go."""
        if self.workflow.states[case.state].ended:
            self.cases.pop(case.id, None)
            self.stories.pop(case.id, None)
        else:
            self.cases[case.id] = case
        if case.engaged:
            self._officers[case.officer].case = case.id
            self._has[case.id] = self._officers[case.officer]
        elif (officer := self._has.pop(case.id, None)) is not None:
            officer.case = ""
            if not officer.on:
                await self._duty(officer, "off")
            self.serve()
        due = self._next_due(case.id)
        if due is not None and self._rung.get(case.id) != due:
            self._rung[case.id] = due
            self.agenda.begin(self._ring(case.id), due)

    def _next_due(self, case_id: str) -> datetime | None:
        case = self.cases.get(case_id)
        return min((when for one in case.clocks.values() for _, when in one.due), default=None) if case else None

    async def _ring(self, case_id: str) -> Steps:
        """A threshold of the case may be due: the desk's own ticker looks."""
        yield 0.0  # whoever presses at that very moment was quicker
        due = self._next_due(case_id)
        if due is not None and due <= self.clock.now:
            before = self.cases[case_id]
            await self._ticker.tick()
            case = await self.desk.case(case_id)
            self.tally.events += case.version - before.version
            await self._note(case)
            story = self.stories.get(case_id)
            if story is not None and case.state != before.state:
                self.agenda.wake(story)
