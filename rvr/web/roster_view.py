"""The officers as a sergeant sees them: what each is doing now, since when, and what this shift has held for each.

Told from the officers' own streams and the states of the cases they are bound to: nobody keeps a list by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlmodel import Session, col, select

from rvr.core import duty_plan
from rvr.core.assigning import NOBODY, Wishes, met
from rvr.core.events import DutyPlanned, build
from rvr.core.force import OfficerProfile
from rvr.core.moment import iso
from rvr.core.roster import Officer
from rvr.desk import Desk
from rvr.messages import Catalogue
from rvr.store.staff import Person
from rvr.store.tables import CaseRow, EventRow
from rvr.web.choices import Choice

NO_WISHES = Wishes()

SHIFT_H = 12
"""What lies further back is another shift's."""

IN_STATE = {
    "waiting_room": "waiting",
    "video": "in_session",
    "interrupted": "in_session",
    "lost_contact": "searching",
    "assessment": "wrap_up",
}
"""State of the officer's case -> what the officer is doing; in any other state the officer is with a case."""

ORDER = ("free", "with_case", "waiting", "in_session", "searching", "wrap_up", "break", "hard_break", "off")


@dataclass(frozen=True, slots=True)
class Shift:
    """What an officer's stream tells of the last hours."""

    since: str = ""
    """When what the officer is doing began: the last change of duty, binding or freeing."""
    cases: tuple[str, ...] = ()
    """Ids of the cases that the officer was bound to, in their order."""
    last: str = ""
    """The case that the officer was freed from last."""


def fold(told: Iterable[tuple[str, str, str, Mapping[str, Any]]]) -> dict[str, Shift]:
    """Officer id -> shift, of (officer, type, at, fields) in the order of the log."""
    shifts: dict[str, Shift] = {}
    for officer, kind, at, fields in told:
        before = shifts.get(officer, Shift())
        after = replace(before, since=at)
        if kind == "OfficerEngaged" and fields["case"] not in before.cases:
            after = replace(after, cases=(*before.cases, fields["case"]))
        if kind == "OfficerFreed":
            after = replace(after, last=fields["case"])
        shifts[officer] = after
    return shifts


@dataclass(frozen=True, slots=True)
class Roster:
    """The officers, and the cases that tell what they are doing."""

    officers: Mapping[str, Officer]
    shifts: Mapping[str, Shift]
    cases: Mapping[str, CaseRow]
    plan: Mapping[str, duty_plan.Shift] = field(default_factory=dict)
    """By officer, what is planned: the shift that is on, or the next of the coming hours."""
    now: str = ""

    def of(self, officer: str) -> Officer:
        return self.officers.get(officer, Officer(officer))

    def shift(self, officer: str) -> Shift:
        return self.shifts.get(officer, Shift())

    def doing(self, officer: str) -> str:
        """One of `ORDER`. A break behind a case of high risk is told apart: it is a rest that the case was the reason
        for, and nobody should be called back from it for want of knowing.
        """
        one = self.of(officer)
        if one.case:
            row = self.cases.get(one.case)
            return IN_STATE.get(row.state, "with_case") if row else "with_case"
        if one.duty == "break" and self.after_hard(officer):
            return "hard_break"
        return "free" if one.free else one.duty

    def expected(self, officer: str) -> bool:
        """Whether the plan has the officer on duty now, and the officer is not."""
        shift = self.plan.get(officer)
        return shift is not None and shift.begins <= self.now < shift.ends and self.of(officer).duty == "off"

    def after_hard(self, officer: str) -> bool:
        """Whether the last case of this shift had high risk."""
        row = self.cases.get(self.shift(officer).last)
        return row is not None and row.risk_level == "high"


async def look(desk: Desk, officers: Mapping[str, Officer]) -> Roster:
    """What these officers are doing now."""
    now = desk.observe().at
    since = iso(now - timedelta(hours=SHIFT_H))
    kinds = ("OfficerDutyChanged", "OfficerEngaged", "OfficerFreed")

    def query(session: Session) -> tuple[dict[str, Shift], dict[str, CaseRow]]:
        wanted = select(EventRow.stream, EventRow.type, EventRow.observed_at, EventRow.public).where(
            col(EventRow.type).in_(kinds), EventRow.observed_at >= since
        )
        rows = session.exec(wanted.order_by(col(EventRow.position)))
        shifts = fold((stream.partition("/")[2], kind, at, json.loads(raw)["data"]) for stream, kind, at, raw in rows)
        ids = {one.case for one in officers.values()} | {shift.last for shift in shifts.values()}
        cases = session.exec(select(CaseRow).where(col(CaseRow.id).in_(ids - {""})))
        return shifts, {row.id: row for row in cases}

    plan: dict[str, duty_plan.Shift] = {}
    for one in await planned(desk, now, now + timedelta(hours=SHIFT_H)):
        plan.setdefault(one.officer, one)
    return Roster(officers, *await desk.store.read(query), plan, iso(now))


PLANS = 8
"""So many of the newest are read: a duty system tells the coming weeks again and again."""


async def planned(desk: Desk, since: datetime, until: datetime) -> list[duty_plan.Shift]:
    """The shifts of which some lies in that time, the earliest first."""
    wanted = select(EventRow.public).where(EventRow.stream == duty_plan.STREAM)
    newest = wanted.order_by(col(EventRow.version).desc()).limit(PLANS)
    told = await desk.store.read(lambda session: list(session.exec(newest)))
    plans = (build("DutyPlanned", 1, json.loads(raw)["data"]) for raw in told)
    return duty_plan.planned((one for one in plans if isinstance(one, DutyPlanned)), since, until)


def rows(roster: Roster, people: Mapping[str, Person], words: Catalogue) -> list[dict[str, Any]]:
    """Every officer with duty and occupation; those who have never been on duty are off."""
    shown = []
    for person in people.values():
        if "officer" not in person.roles or person.disabled:
            continue
        officer, doing, shift = roster.of(person.id), roster.doing(person.id), roster.shift(person.id)
        case = roster.cases.get(officer.case)
        shown.append(
            {
                "id": person.id,
                "name": person.name,
                "status": officer.duty,
                "status_name": words.name("duty", officer.duty),
                "busy": bool(officer.case),
                "case": officer.case,
                "reference": case.reference if case else "",
                "doing": doing,
                "doing_name": words.name("doing", doing),
                "since": shift.since,
                "cases": len(shift.cases),
                "after_hard": roster.after_hard(person.id),
                "planned": roster.plan.get(person.id),
                "expected": roster.expected(person.id),
            }
        )
    return sorted(shown, key=lambda row: (ORDER.index(str(row["doing"])), row["cases"], row["name"]))


def to_choose(
    roster: Roster,
    people: Mapping[str, Person],
    words: Catalogue,
    wishes: Wishes = NO_WISHES,
    profiles: Mapping[str, OfficerProfile] = MappingProxyType({}),
) -> tuple[Choice, ...]:
    """Officers on duty: the free ones first, of those whoever meets most of the wishes, then the fewest cases this
    shift. A busy one is named, too: the refusal then says why.
    """
    shown = []
    for row in rows(roster, people, words):
        if row["status"] == "on":
            profile = profiles.get(people[row["id"]].username, NOBODY)
            is_met = met(wishes, profile)
            rank = (row["doing"] != "free", list(is_met.values()).count(False), row["after_hard"], row["cases"])
            shown.append((rank, row["name"], Choice(row["id"], _line(row, is_met, profile, words))))
    return tuple(choice for _, _, choice in sorted(shown, key=lambda one: one[:2]))


def _line(row: Mapping[str, Any], is_met: Mapping[str, bool], profile: OfficerProfile, words: Catalogue) -> str:
    """Name, what the officer is doing, and what speaks for or against the choice."""
    told = [str(row["doing_name"])]
    told += [words.name("wish_met" if yes else "wish_unmet", wish) for wish, yes in is_met.items()]
    told += profile.skills
    told += [words.say("page.shift_cases", count=row["cases"])] if row["cases"] else []
    told += [words.say("page.hard_last")] if row["after_hard"] else []
    return f"{row['name']} ({', '.join(told)})"
