"""What each role's home shows now: open cases with their clocks, referrals, alarms. References, no names of victims."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from sqlmodel import Session, col, select

from rvr.core.commands import Actor
from rvr.core.moment import iso
from rvr.core.workflow import Workflow
from rvr.desk import Desk
from rvr.messages import Catalogue
from rvr.store.staff import Person
from rvr.store.tables import CaseRow, EventRow
from rvr.web import attention, case_parts, rendering, roster_view, triage, views
from rvr.web.board_rows import filled
from rvr.web.context import BOARD_ROWS, DESK, NIGHTS, WORDS, SignedIn
from rvr.web.triage import Verdict

ALARMS_H = 12
"""How long an alarm stays on the board of the role that it was for: a shift."""

REFERRALS_D = 90
"""How far back an advocate's home looks for referrals."""

WAITS = {"handover": "handovers", "report": "reports", "emergency": "emergencies"}
"""What is counted beside every other page, each with its name in the catalogue."""

DECIDED = ("allocated", "filed", "closed")

DONE = ("filed", "closed")
"""Nobody waits for these any more."""

NEWEST = 200
"""Of those, so many of each state on one board: more are looked for by their reference, not by reading on."""


URGENT = "urgent"

ORDERS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    URGENT: views.board_order,
    "oldest": lambda row: row["opened_at"],
    "officer": lambda row: (row["officer"] is None, (row["officer"] or {}).get("name", ""), views.board_order(row)),
    "area": lambda row: (row["area"], views.board_order(row)),
}
"""How the rows of a table may be ordered, each with its code in the catalogue."""


async def fragment(app: web.Application, signed: SignedIn, order: str = URGENT) -> str:
    """This person's home, without the page around it."""
    desk, words = app[DESK], app[WORDS]
    home = rendering.home_of(signed)
    if home == "advocate":
        return rendering.render(app, "_referrals.html", signed, referrals=await _referrals(desk, signed.actor, words))
    night = await app[NIGHTS].now()
    verdicts, judged = await triage.recent(desk) if home == "control_room_specialist" else ({}, [])
    cases = await decided(desk) if home == "investigator" else night.cases
    known = {row.id for row in cases}
    rows = board(app, signed, [*cases, *(row for row in judged if row.id not in known)], night.people, order)
    names = triage.findings(desk.definitions.workflows.values())
    rows = [row | _judgement(verdicts.get(row["id"]), names) for row in rows]
    alarms = await alarms_of(desk, rows, signed.roles, words)
    context = {
        "calls": _calls(rows, alarms, signed.actor),
        "rows": rows,
        "sections": list(_sections(rows, home, signed.actor)),
        "alarms": alarms,
        "roster": roster_view.rows(night.roster, night.people, words),
        "capacity": night.capacity,
        "desk_open": views.desk_is_open(rendering.force_of(app), desk.observe()),
        "me": signed.actor.id,
        "board_row": app[BOARD_ROWS].row,
    }
    html = rendering.render(app, "_board.html", signed, **context)
    return filled(html, now=iso(desk.observe().at), token=signed.csrf)


async def waiting(app: web.Application, signed: SignedIn) -> str:
    """What calls a sergeant or inspector to the board, for the other pages. The same while nothing of it changes."""
    desk, leads = app[DESK], bool(signed.roles & attention.LEADS)
    night = await app[NIGHTS].now()
    rows = board(app, signed, night.cases, night.people) if leads else []
    calls = _calls(rows, await alarms_of(desk, rows, signed.roles, app[WORDS]), signed.actor)
    kinds = [kind for of_row in calls.values() for kind in of_row]
    counts = [(f"waits_{name}", kinds.count(kind)) for kind, name in WAITS.items() if kind in kinds]
    return rendering.render(app, "_waiting.html", signed, rows=rows, calls=calls, counts=counts)


def _calls(rows: Iterable[Mapping[str, Any]], alarms: Mapping[str, Any], actor: Actor) -> dict[str, list[str]]:
    return {row["id"]: attention.calls(row, alarms.get(row["id"], ()), actor) for row in rows}


def board(
    app: web.Application,
    signed: SignedIn,
    cases: Iterable[CaseRow],
    people: Mapping[str, Person],
    order: str = URGENT,
) -> list[dict[str, Any]]:
    """The rows that are on this person's board, the most urgent first or in another of `ORDERS`."""
    desk, words, home = app[DESK], app[WORDS], rendering.home_of(signed)
    flows = desk.definitions.workflows
    rows = [
        views.board_row(row, flows[row.workflow], people, words)
        | {
            "linked": _linked(row, signed.actor, home),
            "accept": _accept(row, flows[row.workflow], signed.actor),
        }
        for row in cases
        if row.workflow in flows and _on_board(row, signed, home)
    ]
    return sorted(rows, key=ORDERS[order])


def _on_board(row: CaseRow, signed: SignedIn, home: str) -> bool:
    match home:
        case "call_handler":
            return row.opened_by == signed.actor.id
        case "resourcing":
            running = {clock["clock"] for clock in row.clocks}
            return row.emergency or row.state == "deployment" or bool(running & {"attendance", "emergency_attendance"})
    return True


def _linked(row: CaseRow, actor: Actor, home: str) -> bool:
    """Whether the reference leads somewhere: not where the person has a conflict of interest."""
    outlined = home in ("resourcing", "control_room_specialist") and actor.id not in row.conflicts
    return outlined or views.may_read(row, actor)


def _accept(row: CaseRow, flow: Workflow, actor: Actor) -> str:
    """The move by which this person takes an offered case, where the workflow lets the person's role."""
    if actor.id in row.conflicts:
        return ""
    moves = flow.open_to(row.state) if row.state in flow.states else ()
    return next((m.id for m in moves if m.event == "HandoverAccepted" and actor.roles & set(m.who)), "")


Fits = Callable[[Mapping[str, Any], Actor], bool]


def _to_accept(row: Mapping[str, Any], actor: Actor) -> bool:
    waits = any(clock["id"] == "acceptance" for clock in row["clocks"])
    return waits and row["team"] in actor.units


def _judgement(verdict: Verdict | None, names: Mapping[str, str]) -> dict[str, Any]:
    return {"verdict": verdict, "found": names.get(verdict.finding, verdict.finding) if verdict else ""}


def _judged(row: Mapping[str, Any]) -> bool:
    verdict: Verdict | None = row["verdict"]
    return verdict is not None and (verdict.eligible or bool(verdict.way_out))


@dataclass(frozen=True, slots=True)
class Section:
    """One table of a board."""

    caption: str
    """Its code in the catalogue; `no_...` is said while it is empty."""
    fits: Fits
    quiet: bool = False
    """Left out while it is empty."""


OFFERED = Section("handovers", lambda row, actor: bool(row["accept"]))
REPORTS = Section("to_review", lambda row, actor: row["state"] == "review")
MINE = Section("my_cases", lambda row, actor: (row["officer"] or {}).get("id") == actor.id)


def _all(caption: str) -> Section:
    return Section(caption, lambda row, actor: True)


SECTIONS: Mapping[str, tuple[Section, ...]] = {
    "sergeant": (OFFERED, REPORTS, _all("board")),
    "inspector": (OFFERED, REPORTS, _all("board")),
    "officer": (MINE, replace(OFFERED, quiet=True), _all("board")),
    "call_handler": (_all("my_calls"),),
    "resourcing": (_all("deployments"),),
    "investigator": (Section("to_accept", _to_accept, quiet=True), _all("decided")),
    "control_room_specialist": (
        Section("triage_new", lambda row, actor: _judged(row) and not row["verdict"].finding),
        Section("triage_done", lambda row, actor: _judged(row), quiet=True),
        _all("board"),
    ),
}
"""The tables of each role's board. A case stands in the first that it fits."""


def _sections(rows: list[dict[str, Any]], home: str, actor: Actor) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for section in SECTIONS[home]:
        here = [row for row in rows if section.fits(row, actor)]
        rows = [row for row in rows if row not in here]
        if here or not section.quiet:
            yield section.caption, here


async def decided(desk: Desk) -> list[CaseRow]:
    """Every allocated case, since the one that nobody touches is the one to see; of those filed and closed the ones in
    which something happened last."""

    def query(session: Session) -> list[CaseRow]:
        of_state = {
            state: select(CaseRow).where(CaseRow.state == state).order_by(col(CaseRow.updated_position).desc())
            for state in DECIDED
        }
        found = (of_state[state].limit(NEWEST if state in DONE else None) for state in DECIDED)
        return [row for rows in found for row in session.exec(rows)]

    return await desk.store.read(query)


# --- Alarms ------------------------------------------------------------------------------------------------------


async def alarms_of(
    desk: Desk, rows: Iterable[Mapping[str, Any]], roles: Iterable[str], words: Catalogue
) -> dict[str, list[dict[str, str]]]:
    """Alarms of the last hours that were for one of these roles, by case, each kind once with its last time."""
    since = iso(desk.observe().at - timedelta(hours=ALARMS_H))
    streams = [f"case/{row['id']}" for row in rows]

    def query(session: Session) -> list[tuple[str, str, bytes]]:
        told = col(EventRow.type).in_(("AlarmRaised", "HandoverEscalated"))
        wanted = select(EventRow.stream, EventRow.observed_at, EventRow.public).where(
            col(EventRow.stream).in_(streams), told, EventRow.observed_at >= since
        )
        return list(session.exec(wanted.order_by(col(EventRow.position))))

    found: dict[str, dict[str, str]] = {}
    for stream, at, public in await desk.store.read(query):
        data = json.loads(public)["data"]
        if data["to_role"] in roles:
            found.setdefault(stream.removeprefix("case/"), {})[str(data.get("about", "handover_waits"))] = at
    return {
        case: [{"about": about, "say": words.name("alarm", about), "at": at} for about, at in alarms.items()]
        for case, alarms in found.items()
    }


# --- An advocate's referrals -------------------------------------------------------------------------------------


async def _referrals(desk: Desk, actor: Actor, words: Catalogue) -> list[dict[str, Any]]:
    """The referrals made to this person's organisations, those first that nobody has received or answered."""
    shown = []
    for case_id in await _referred(desk, actor.units, desk.observe().at - timedelta(days=REFERRALS_D)):
        case = await desk.case(case_id)
        flow = await desk.definition_of(case)
        shown += [
            {**one, "case": case.id, "reference": case.reference, "risk_level": case.risk_level}
            for one in case_parts.referrals(case, flow, actor.units)
            if not flow.states[case.state].ended
        ]
    order = ("sent", "received")
    return sorted(shown, key=lambda one: (order.index(one["state"]) if one["state"] in order else 2, one["made_at"]))


async def _referred(desk: Desk, partners: frozenset[str], since: datetime) -> list[str]:
    """Ids of the cases that were referred to one of these partners since then."""

    def query(session: Session) -> list[tuple[str, bytes]]:
        wanted = select(EventRow.stream, EventRow.public).where(
            EventRow.type == "ReferralMade", EventRow.observed_at >= iso(since)
        )
        return list(session.exec(wanted))

    made = await desk.store.read(query)
    theirs = (stream for stream, public in made if json.loads(public)["data"]["partner"] in partners)
    return [stream.removeprefix("case/") for stream in dict.fromkeys(theirs)]
