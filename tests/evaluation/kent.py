"""A simulated Kent trial (Rothwell et al. 2022): a seeded population, lived through the desk's one door.

749 eligible callers, of whom 560 agree and 517 are randomised, the others for want of an officer. The strata that Kent
printed (357, 57, 83, 21) add up to 518; the last has one fewer here. 94 % of those allocated to video have it, 67 % of
the others an officer in person, after 3 and 1,969 minutes on average. Callers whom nobody could have taken in stand
beside them. Each case is a story of its own pace, and what is next in time happens next.
"""

from __future__ import annotations

import heapq
import itertools
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.commands import THE_MEDIA, Actor, MakeMove, OpenCase, RegisterTrial, SetDuty
from rvr.core.moment import iso
from rvr.core.trial import commitment
from rvr.desk import Desk
from rvr.realtime import Hub
from rvr.store import Store
from rvr.store.statements import put
from rvr.store.tables import AccountRow
from tests.builders import OPENING, answered
from tests.store.builders import Clock
from tests.trials import SECRET, trial_on

STRATA = {"female-ipv": 357, "female-other": 57, "male-ipv": 83, "male-other": 20}
ELIGIBLE, CONSENTING, INELIGIBLE = 749, 560, 36
MISSED = {"video": 6, "usual": 33}
"""Arm -> of a hundred, how many do not receive it."""
DELIVERED = {"video": 242, "usual": 175}
"""Arm -> how many receive it: what those shares come to with the list that SECRET makes."""
MEAN_MIN = {"video": 3, "usual": 1969}
LEAST_MIN = {"video": 1.7, "usual": 40}

PEOPLE = {
    role: Actor(str(uuid.UUID(int=number)), frozenset({role}))
    for number, role in enumerate(("call_handler", "officer", "resourcing", "evaluator"), 1)
}
DETAILS = {
    "female-ipv": ("female", "partner"),
    "female-other": ("female", "relative"),
    "male-ipv": ("male", "ex_partner"),
    "male-other": ("male", "relative"),
}
EVERY = timedelta(hours=5)
"""One caller after the other, so that the one officer is free again: capacity is lost where it is meant to be."""


@dataclass(frozen=True)
class Caller:
    stratum: str
    eligible: bool = True
    agrees: bool = True
    officer_free: bool = True


def population(dice: random.Random) -> list[Caller]:
    """The callers in the order in which they ring."""
    strata = [name for name, count in STRATA.items() for _ in range(count)]
    others = dice.choices(list(STRATA), list(STRATA.values()), k=ELIGIBLE + INELIGIBLE - len(strata))
    no_officer, declining = CONSENTING - len(strata), ELIGIBLE - CONSENTING
    callers = [Caller(name) for name in strata]
    callers += [Caller(name, officer_free=False) for name in others[:no_officer]]
    callers += [Caller(name, agrees=False) for name in others[no_officer : no_officer + declining]]
    callers += [Caller(name, eligible=False) for name in others[no_officer + declining :]]
    dice.shuffle(callers)
    return callers


def waits(dice: random.Random, arm: str) -> list[float]:
    """Minutes, skewed as waits are, of exactly that mean."""
    least = LEAST_MIN[arm]
    drawn = [dice.lognormvariate(0, 0.8) for _ in range(DELIVERED[arm])]
    spread = (MEAN_MIN[arm] - least) * len(drawn) / sum(drawn)
    return [least + spread * one for one in drawn]


@dataclass
class Kent:
    """The trial as it is lived. A story yields how long it is until its next step."""

    desk: Desk
    clock: Clock
    dice: random.Random
    drawn: Counter[str] = field(default_factory=Counter)
    waits: dict[str, list[float]] = field(default_factory=dict)
    rung: Iterator[int] = field(default_factory=itertools.count)
    """The numbers of the callers."""

    async def does(self, who: str | Actor, case: str, move: str, **form: Any) -> Case:
        by = PEOPLE[who] if isinstance(who, str) else who
        return (await self.desk.handle(MakeMove(str(uuid.uuid4()), case, move, form), by)).case

    async def duty(self, status: str) -> None:
        officer = PEOPLE["officer"]
        await self.desk.handle(SetDuty(str(uuid.uuid4()), officer.id, status), officer)

    async def live(self) -> None:
        """Everything that happens, in the order of its time."""
        self.waits = {arm: waits(self.dice, arm) for arm in DELIVERED}
        turns, begin = itertools.count(), self.clock.at
        waiting = []
        for number, caller in enumerate(population(self.dice)):
            heapq.heappush(waiting, (begin + number * EVERY, next(turns), self.calls(caller)))
        while waiting:
            at, _, story = heapq.heappop(waiting)
            self.clock.at = at
            pause = await anext(story, None)
            if pause is not None:
                heapq.heappush(waiting, (at + pause, next(turns), story))

    async def calls(self, caller: Caller) -> AsyncIterator[timedelta]:
        sex, relationship = DETAILS[caller.stratum]
        number = next(self.rung)
        form = dict(OPENING) | {
            "victim_name": f"Ann {number} Example",
            "safe_number": f"07700 900{number:03}",
            "lpa": "north",
            "victim_sex": sex,
            "relationship": relationship,
        }
        case = (await self.desk.handle(OpenCase(str(uuid.uuid4()), form), PEOPLE["call_handler"])).case.id
        yield timedelta(seconds=40)
        flow = trial_on("kent-like", CHANGES).workflows["da-desk"]
        met = {one.id: one.met for one in flow.criteria.values()}
        await self.does(
            "call_handler", case, "answer_criteria", answers=met | ({} if caller.eligible else {"adult": "no"})
        )
        if not caller.eligible:
            return
        yield timedelta(seconds=15)
        answer = "given" if caller.agrees else "refused"
        await self.does("call_handler", case, "record_consent", consent_kind="video", consent_answer=answer)
        if not caller.agrees:
            return
        if not caller.officer_free:
            await self.duty("break")
        yield timedelta(seconds=5)
        draw = (await self.does("call_handler", case, "draw_arm")).draw
        if not caller.officer_free:
            await self.duty("on")
        if isinstance(draw, e.ArmAllocated):
            async for pause in self.allocated(case, draw.arm):
                yield pause

    async def allocated(self, case: str, arm: str) -> AsyncIterator[timedelta]:
        number, missed = self.drawn[arm], MISSED[arm]
        self.drawn[arm] += 1
        received = number * missed // 100 == (number + 1) * missed // 100
        wait = timedelta(minutes=self.waits[arm].pop()) - timedelta(seconds=60) if received else None
        ways = {"video": self.video, "usual": self.in_person}
        async for pause in ways[arm](case, wait) if wait is not None else self.crosses(case, arm, number):
            yield pause

    async def video(self, case: str, wait: timedelta) -> AsyncIterator[timedelta]:
        """The whole way: `wait` from the draw to two-way video."""
        yield timedelta(seconds=5)
        await self.does("call_handler", case, "offer_handover")
        yield timedelta(seconds=10)
        await self.does("officer", case, "accept_handover")
        yield timedelta(seconds=5)
        await self.does("officer", case, "send_link")
        yield wait - timedelta(seconds=20)
        await self.does(THE_MEDIA, case, "two_way_video")
        yield timedelta(minutes=35)
        await self.does("officer", case, "confirm_safety", alone="yes", place_verified="yes")
        await self.does("officer", case, "end_session", end_reason="completed")
        tool = trial_on("kent-like", CHANGES).instruments["dash"]
        risk = {"risk_tool": "dash", "risk_answers": answered(tool), "risk_level": "standard"}
        await self.does("officer", case, "assess_risk", **risk)
        due = iso(self.clock.at + timedelta(days=1))
        plan = {"action_kind": "safety_plan", "action_owner": "PC Example", "due_at": due}
        await self.does("officer", case, "plan_safeguarding", **plan)
        await self.does("officer", case, "submit_for_review")

    async def in_person(self, case: str, wait: timedelta) -> AsyncIterator[timedelta]:
        """`wait` from the draw to attendance."""
        yield timedelta(seconds=10)
        await self.sent(case)
        yield wait - timedelta(seconds=10)
        await self.does("resourcing", case, "record_attendance")

    async def crosses(self, case: str, arm: str, number: int) -> AsyncIterator[timedelta]:
        """The own arm is not received. Of those of video every second has an officer in person, the trial set aside; of
        the others nobody has anything, but for a few for whom it is set aside and who speak by video."""
        yield timedelta(seconds=10)
        if arm == "video":
            await self.sent(case)
            if number % 2:
                await self.does("call_handler", case, "override_arm", override_reason="prefers_in_person")
                yield timedelta(hours=20)
                await self.does("resourcing", case, "record_attendance")
        elif number % 20 == 3:
            await self.does("call_handler", case, "override_arm", override_reason="cannot_wait")
            async for pause in self.video(case, timedelta(minutes=4)):
                yield pause
        else:
            await self.sent(case)

    async def sent(self, case: str) -> None:
        told = {"response_grade": "medium", "deployment_reason": "prefers_in_person"}
        await self.does("call_handler", case, "request_deployment", **told)


CHANGES = 'consents = ["video"]'
"""Kent asked for one consent, to video."""


async def the_trial(store: Store, clock: Clock, seed: int = 2022) -> Kent:
    """Lived from the registration to the last attendance."""
    desk = Desk(
        store,
        trial_on("kent-like", CHANGES),
        Hub(),
        observe=clock,
        join_url="https://rvr.test",
        link_text="{link}",
        new_id=lambda: str(uuid.uuid4()),
        trial_secret=SECRET,
    )
    await desk.start()
    for who in PEOPLE.values():
        row = AccountRow(id=who.id, username=who.id, name="Example", roles=sorted(who.roles), password_hash="")
        await store.write(lambda connection, row=row: put(connection, row))
    kent = Kent(desk, clock, random.Random(seed))
    await desk.handle(RegisterTrial(str(uuid.uuid4()), "rapid-video", commitment(SECRET)), PEOPLE["evaluator"])
    await kent.duty("on")
    await kent.live()
    return kent
