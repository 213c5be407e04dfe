"""What a desk did, gathered in one replay of its cases: the numbers behind the charts of a report, before disclosure
control.

Each case is read once and leaves a few numbers behind. Voided cases are counted and stand in nothing else; crime
reports that came without a call stand in the outcomes and the safeguarding alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rvr.core import events as e
from rvr.core.clocks import elapsed_us
from rvr.core.history import VOIDED
from rvr.core.moment import parse_iso
from rvr.evaluation import km, milestones, timings
from rvr.evaluation.codebook import CODE, WITHHELD
from rvr.evaluation.milestones import NO_OUTCOME, Moments

CALLS = "da-desk"
"""The workflow of calls; cases of another came in as reports."""

STAGES: tuple[tuple[str, str], ...] = (
    ("contacts", "received_at"),
    ("screened", "_screened"),
    ("eligible", "_eligible"),
    ("consented", "_consent"),
    ("offered", "handover_first_offered_at"),
    ("accepted", "handover_accepted_at"),
    ("assigned", "officer_assigned_at"),
    ("link_sent", "link_sent_at"),
    ("link_opened", "link_opened_at"),
    ("on_video", "two_way_video_at"),
)
"""The way to two-way video (after CONSORT): each stage with what must have happened by it. A case stands in a stage
when it stands in all before it."""

OUTCOME_DAYS = (30, 90, 180, 365)
WITHOUT_SUPPORT = "16"
"""A suspect is known, and the victim does not support further action (Home Office counting rules): the share that West
Midlands Police expect to fall."""


@dataclass(slots=True)
class Month:
    """The cases that were opened in one month, on the force's wall."""

    handovers: list[int] = field(default_factory=list)
    """Microseconds from the offer to its acceptance."""
    kept: int = 0
    """Contact by video or audio within ten minutes of the opening, of those that were offered."""
    overrun: int = 0


@dataclass(slots=True)
class Measures:
    """Numbers about a window of cases."""

    cut: datetime
    cases: int = 0
    voided: int = 0
    followed: list[km.Followed] = field(default_factory=list)
    """Of each case that was offered video: how long it was followed from its opening, and what ended that."""
    in_person: list[int] = field(default_factory=list)
    """Microseconds from the opening to attendance, of cases without an offer to which an officer was sent."""
    sent: int = 0
    """How many of those there are, attended or not."""
    stages: Counter[str] = field(default_factory=Counter)
    exits: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name, _ in STAGES})
    """Stage -> why cases went no further, by code."""
    months: dict[str, Month] = field(default_factory=dict)
    outcomes: dict[int, Counter[str]] = field(default_factory=lambda: {days: Counter() for days in OUTCOME_DAYS})
    """Days after the opening -> not_followed, none, outcome_16, other."""
    safeguarding: Counter[str] = field(default_factory=Counter)
    """Planned actions: in_time, late, overdue, not_due, declined, unsafe."""

    def add(self, log: Sequence[e.Recorded], found: Moments, zone: ZoneInfo) -> None:
        """One case. `found`: its moments; `zone`: that on the force's wall."""
        self.cases += 1
        if log[-1].event.state == VOIDED:
            self.voided += 1
            return
        self._outcome(found)
        for what in safeguarding(log, self.cut):
            self.safeguarding[what] += 1
        if getattr(found["received_at"].event.fact, "workflow", "") == CALLS:
            self._way(log, found)
            self._response(found)
            self._month(found, zone)

    def _way(self, log: Sequence[e.Recorded], found: Moments) -> None:
        reached = _stage(found)
        for name, _ in STAGES[: reached + 1]:
            self.stages[name] += 1
        if reached + 1 < len(STAGES):
            self.exits[STAGES[reached][0]][_why(STAGES[reached][0], log, found)] += 1

    def _response(self, found: Moments) -> None:
        opened = found["received_at"]
        if "handover_first_offered_at" in found:
            self.followed.append(_followed(found, self.cut))
        elif "deployment_requested_at" in found:
            self.sent += 1
            if "attended_at" in found:
                self.in_person.append(_us(opened, found["attended_at"]))

    def _month(self, found: Moments, zone: ZoneInfo) -> None:
        label = found["received_at"].event.at.at.astimezone(zone).strftime("%Y-%m")
        month = self.months.setdefault(label, Month())
        measured = timings.durations(found)
        if "handover_s" in measured:
            month.handovers.append(measured["handover_s"])
        if "handover_first_offered_at" in found:
            kept = timings.within(found, "received_at", measured.get("transfer_s"), 600, self.cut)
            month.kept += kept is True
            month.overrun += kept is False

    def _outcome(self, found: Moments) -> None:
        opened = found["received_at"].event.at.at
        first = found.get("_first_outcome")
        for days, counts in self.outcomes.items():
            until = opened + timedelta(days=days)
            if until > self.cut:
                counts["not_followed"] += 1
            elif first is None or first.event.at.at > until:
                counts["none"] += 1
            else:
                code = getattr(first.event.fact, "outcome_code", NO_OUTCOME)
                counts["outcome_16" if code == WITHOUT_SUPPORT else "other"] += 1


def _us(start: e.Recorded, end: e.Recorded) -> int:
    return elapsed_us(start.event.at, end.event.at)


def _followed(found: Moments, cut: datetime) -> km.Followed:
    opened = found["received_at"]
    ends = {km.VIDEO: found.get("two_way_video_at"), km.IN_PERSON: found.get("attended_at")}
    happened = sorted((_us(opened, end) / 1e6, what) for what, end in ends.items() if end)
    if happened:
        return happened[0]
    until = min(milestones.time_of(found, "ended_at") or cut, cut)
    return max(0.0, (until - opened.event.at.at).total_seconds()), km.CENSORED


# --- The way to video --------------------------------------------------------------------------------------------


def _stage(found: Moments) -> int:
    """The last stage that the case reached without leaving one out."""
    reached = 0
    for place, (_, milestone) in enumerate(STAGES):
        if milestone == "_eligible":
            there = getattr(found["_screened"].event.fact, "eligible", False)
        else:
            there = milestone in found
        if not there:
            break
        reached = place
    return reached


def _why(stage: str, log: Sequence[e.Recorded], found: Moments) -> str:
    """Why it went no further than this stage, by code."""
    match stage:
        case "screened":
            because = getattr(found["_screened"].event.fact, "because", ())
            return _code(because[0]) if because else "not_decided"
        case "eligible":
            return "refused" if "_refusal" in found else "not_asked"
        case "offered":
            said = [f.reason for r in log if isinstance(f := r.event.fact, e.HandoverDeclined | e.HandoverWithdrawn)]
            return _code(said[-1]) if said else _otherwise(found)
        case "link_opened" | "link_sent" | "assigned" | "accepted":
            lost = [f.reason for r in log if isinstance(f := r.event.fact, e.ContactLost | e.SessionEnded)]
            return _code(lost[-1]) if lost else _otherwise(found)
    return _otherwise(found)


def _otherwise(found: Moments) -> str:
    """Nobody gave a reason: what came instead."""
    if "attended_at" in found or "deployment_requested_at" in found or "emergency_dispatched_at" in found:
        return "officer_in_person"
    return "closed" if "ended_at" in found else "still_open"


def _code(reason: str) -> str:
    return reason if CODE.fullmatch(reason) else WITHHELD


# --- Safeguarding ------------------------------------------------------------------------------------------------


def safeguarding(log: Sequence[e.Recorded], cut: datetime) -> Iterator[str]:
    """What became of each action that was planned: by its own due time, or by the data cut."""
    due: dict[str, datetime] = {}
    became: dict[str, str] = {}
    for recorded in log:
        match recorded.event.fact:
            case e.SafeguardingPlanned(action=action, due_at=at):
                due[action] = parse_iso(at)
            case e.SafeguardingDone(action=action, result=result) if action in due:
                in_time = recorded.event.at.at <= due[action]
                became[action] = ("in_time" if in_time else "late") if result == "done" else _code(result)
    for action, until in due.items():
        yield became.get(action) or ("overdue" if until < cut else "not_due")


def months(measures: Measures) -> Mapping[str, Month]:
    """Every month from the first to the last, those without a case too."""
    told = sorted(measures.months)
    if not told:
        return {}
    found, year, month = {}, *map(int, told[0].split("-"))
    while (label := f"{year:04}-{month:02}") <= told[-1]:
        found[label] = measures.months.get(label, Month())
        year, month = (year + month // 12, month % 12 + 1)
    return found
