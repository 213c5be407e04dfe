"""Who is to be on duty when, as another system plans it. A plan moves nobody: each officer still says so at the desk,
and whoever leads the shift sees who was expected and is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rvr.core import events as e
from rvr.core.commands import IMPORTER, Actor, PlanDuty
from rvr.core.errors import Forbidden, Reason, Refused
from rvr.core.moment import Moment, iso, parse_iso
from rvr.core.workflow import Field

STREAM = "duty/plan"

WHO = (IMPORTER, "administrator")

ASKS = ("officer", "begins_at", "ends_at")

LONGEST_H = 24
"""A longer shift is a line in which a day or a month is wrong."""


@dataclass(frozen=True, slots=True, order=True)
class Shift:
    """One officer's, as planned; both times as they stand in the log."""

    begins: str
    ends: str
    officer: str


def fields_of() -> dict[str, Field]:
    """What is asked of a line."""
    told = (
        Field("officer", "officer", "text", max=100),
        Field("begins_at", "begins_at", "datetime"),
        Field("ends_at", "ends_at", "datetime"),
    )
    return {field.id: field for field in told}


def shift_of(form: Mapping[str, str], officer: str) -> Shift:
    """The shift that the line tells; `officer`: whose, by id. Raises Refused."""
    shift = Shift(form["begins_at"], form["ends_at"], officer)
    lasts_s = (parse_iso(shift.ends) - parse_iso(shift.begins)).total_seconds()
    if not 0 < lasts_s <= LONGEST_H * 3600:
        raise Refused(Reason("shift-length", {"hours": LONGEST_H}, "ends_at"))
    return shift


def decide_plan(command: PlanDuty, *, by: Actor, at: Moment) -> e.Event:
    """Raises Forbidden for a role that may not plan."""
    role = next((role for role in WHO if role in by.roles), "")
    if not role:
        raise Forbidden(Reason("not-allowed-here"))
    shifts = sorted(Shift(begins, ends, officer) for officer, begins, ends in command.shifts)
    fact = e.DutyPlanned(
        since=shifts[0].begins,
        until=max(one.ends for one in shifts),
        officers=tuple(one.officer for one in shifts),
        begins=tuple(one.begins for one in shifts),
        ends=tuple(one.ends for one in shifts),
    )
    return e.Event(fact, "", at, by.id, role)


def planned(plans: Iterable[e.DutyPlanned], since: datetime, until: datetime) -> list[Shift]:
    """The shifts of which some lies in that time, the earliest first; `plans`: the newest first. A shift that a newer
    plan covers in part is of the older one where it begins before it."""
    first, last = iso(since), iso(until)
    found, newer = list[Shift](), list[e.DutyPlanned]()
    for plan in plans:
        for one in _shifts(plan):
            covered = any(other.since <= one.begins < other.until for other in newer)
            if one.begins < last and one.ends > first and not covered:
                found.append(one)
        newer.append(plan)
    return sorted(found)


def _shifts(plan: e.DutyPlanned) -> Iterable[Shift]:
    return map(Shift, plan.begins, plan.ends, plan.officers)
