"""The auditor's page: rows of the access log by person, case, kind of processing, period and recipient.

The newest come first, fifty at a time. Each answer is a row of the same log, committed before it leaves; so is each
download, which is a disclosure. References of cases and names of staff are shown, and nothing of a case itself.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web
from sqlmodel import col, or_

from rvr.core.errors import BadInput, Reason
from rvr.core.moment import iso, parse_iso
from rvr.messages import Catalogue
from rvr.store import access
from rvr.store.access import PAGE, TERMINAL, Wanted
from rvr.store.staff import Person
from rvr.store.tables import AccessRow, CaseRow, every
from rvr.web import api, auth, rendering
from rvr.web.choices import partner_name
from rvr.web.context import DESK, SIGNED_IN, WORDS

WHAT = "access-log"

PURPOSES = ("lawfulness", "self_monitoring", "security", "proceedings")
"""For which alone these logs may be used (s.62(4))."""

KINDS = ("collection", "alteration", "consultation", "disclosure", "combination", "erasure")
"""In the order of the Act."""

CRITERIA = ("person", "case", "category", "from", "to", "recipient", "purpose")
CHUNK = 1_000
"""Rows that a download reads at once, so that its memory stays flat."""

LONGEST = 100
COLUMNS = ("number", "at", "person", "name", "role", "category", "what", "case", "reference", "reason", "recipient")
"""Of a download."""


@dataclass(frozen=True, slots=True)
class Search:
    """What an auditor asked for."""

    given: Mapping[str, str]
    """The criteria as they were sent, those that are empty left out."""
    wanted: Wanted = field(default_factory=Wanted)
    before: int = 0
    """Show what is older than the row of this number."""

    @property
    def purpose(self) -> str:
        return self.given.get("purpose", "")

    def older(self, rows: Sequence[AccessRow]) -> str:
        """The query that goes on behind these rows."""
        return urlencode({**self.given, "before": str(rows[-1].seq)})


async def page(request: web.Request) -> web.StreamResponse:
    """The search over the access log. Without a question it shows the form, and no row."""
    people = await request.app[DESK].people()
    context: dict[str, Any] = {"rows": None, "older": "", "errors": {}, "given": dict(request.query)}
    status = 200
    if request.query:
        try:
            search = await _search(request, request.query, people)
        except BadInput as error:
            words = request.app[WORDS]
            faults = sorted(error.reasons, key=lambda reason: (*CRITERIA, "before").index(reason.field))
            context["errors"] = {reason.field: words.reason(reason) for reason in faults}
            status = error.status
        else:
            rows, more = await _page_of(request, search)
            context |= {"rows": await _told(request, rows, people), "older": search.older(rows) if more else ""}
            context["first"] = not search.before
    staff = sorted(people.values(), key=lambda row: row.name)
    signed = request[SIGNED_IN]
    html = rendering.render(
        request.app, "audit.html", signed, people=staff, kinds=KINDS, purposes=PURPOSES, terminal=TERMINAL, **context
    )
    return web.Response(text=html, status=status, content_type="text/html")


async def found(request: web.Request) -> web.StreamResponse:
    """Rows of the access log that the query asks for, the newest first, fifty at a time; `next` leads on."""
    people = await request.app[DESK].people()
    search = await _search(request, request.query, people)
    rows, more = await _page_of(request, search)
    following = f"/api/v1/access?{search.older(rows)}" if more else None
    return api.answer({"rows": await _told(request, rows, people), "next": following})


async def download(request: web.Request) -> web.StreamResponse:
    """The rows that were found, as CSV with UTC times. A disclosure: written into the access log before it leaves."""
    people = await request.app[DESK].people()
    search = await _search(request, await auth.form_of(request), people)
    to = request[SIGNED_IN].username
    await auth.note(request, "disclosure", WHAT, case_id=search.wanted.case_id or None, to=to, why=search.purpose)
    response = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="access-log.csv"'})
    response.content_type, response.charset = "text/csv", "utf-8"
    await response.prepare(request)
    await response.write(_csv([COLUMNS]))
    async for rows in _all(request, search):
        await response.write(_csv(map(_cells, await _told(request, rows, people))))
    await response.write_eof()
    return response


# --- The question ------------------------------------------------------------------------------------------------


async def _search(request: web.Request, sent: Mapping[str, Any], people: Mapping[str, Person]) -> Search:
    """Raises BadInput with every fault."""
    given = {name: told for name in CRITERIA if (told := str(sent.get(name, "")).strip()[:LONGEST])}
    zone, faults = ZoneInfo(rendering.force_of(request.app).hours.zone), list(_not_offered(given, people))
    times = {}
    for name, last in (("from", False), ("to", True)):
        try:
            times[name] = _time(given.get(name, ""), zone, last=last)
        except ValueError:
            faults.append(Reason("not-a-date", {"label": request.app[WORDS].say(f"page.{name}")}, name))
    before = str(sent.get("before", "") or "0")
    if not (before.isascii() and before.isdigit() and len(before) < 19):
        faults.append(Reason("body-field", {"name": "before"}, "before"))
    case_id = await _case_id(request, given["case"]) if "case" in given else ""
    if case_id is None:
        faults.append(Reason("no-case-of-that-name", {}, "case"))
    if faults:
        raise BadInput(*faults)
    wanted = Wanted(
        person=given.get("person", ""),
        case_id=case_id or "",
        category=given.get("category", ""),
        since=times["from"],
        until=times["to"],
        recipient=given.get("recipient", ""),
    )
    return Search(given, wanted, int(before))


def _not_offered(given: Mapping[str, str], people: Mapping[str, Person]) -> Iterable[Reason]:
    for name, known in (("person", {*people, TERMINAL}), ("category", KINDS), ("purpose", PURPOSES)):
        if name in given and given[name] not in known:
            yield Reason("body-field", {"name": name}, name)


def _time(told: str, zone: ZoneInfo, *, last: bool) -> str:
    """A day of the force, its last one included; or a time with its zone. In UTC, as the log has it."""
    if not told or "T" in told:
        return iso(parse_iso(told)) if told else ""
    day = date.fromisoformat(told) + timedelta(days=last)
    return iso(datetime.combine(day, time(), zone))


async def _case_id(request: web.Request, told: str) -> str | None:
    named = or_(col(CaseRow.id) == told, col(CaseRow.reference) == told.upper())
    rows = await request.app[DESK].store.read(lambda session: every(session, CaseRow, named))
    return rows[0].id if rows else None


# --- The answer --------------------------------------------------------------------------------------------------


async def _page_of(request: web.Request, search: Search) -> tuple[list[AccessRow], bool]:
    """The rows, and whether there are more. That they were looked at stands in the log first: it is among them."""
    case_id = search.wanted.case_id or None
    await auth.note(request, "consultation", WHAT, case_id=case_id, why=search.purpose)
    find = partial(access.find, wanted=search.wanted, before=search.before, limit=PAGE + 1)
    rows = await request.app[DESK].store.read(find)
    return rows[:PAGE], len(rows) > PAGE


async def _all(request: web.Request, search: Search) -> AsyncIterator[list[AccessRow]]:
    store, before = request.app[DESK].store, 0
    while rows := await store.read(partial(access.find, wanted=search.wanted, before=before, limit=CHUNK)):
        yield rows
        before = rows[-1].seq or 0


async def _told(request: web.Request, rows: Sequence[AccessRow], people: Mapping[str, Person]) -> list[dict[str, Any]]:
    """The rows in words."""
    desk, words = request.app[DESK], request.app[WORDS]
    ids = {row.case_id for row in rows if row.case_id}
    cases = await desk.store.read(lambda session: every(session, CaseRow, col(CaseRow.id).in_(ids)))
    references = {case.id: case.reference for case in cases}
    flow = next(iter(desk.definitions.workflows.values()))
    moves = {move.id: move.name for one in desk.definitions.workflows.values() for move in one.moves.values()}
    names = {row.id: row.name for row in people.values()}
    reasons = {**desk.definitions.retention.reasons, **names}
    return [
        {
            "number": row.seq,
            "at": row.at,
            "person": {"id": row.person, "name": names.get(row.person, row.person)},
            "role": {"id": row.role, "name": words.name("role", row.role)},
            "category": {"id": row.category, "name": words.name("access_category", row.category)},
            "what": {"id": row.what, "name": _what(row.what, moves, words)},
            "case": {"id": row.case_id, "reference": references.get(row.case_id)} if row.case_id else None,
            "reason": {"id": row.reason, "name": _reason(row.reason, reasons, words)} if row.reason else None,
            "recipient": partner_name(row.recipient, flow) if row.recipient else None,
        }
        for row in rows
    ]


def _what(code: str, moves: Mapping[str, str], words: Catalogue) -> str:
    """A class of fields, a verb or a refusal from the catalogue; a move by the name that its workflow gives it."""
    known = code if f"access_what.{code}" in words else code.partition(":")[0]  # behind it: which one
    return moves.get(code) or words.name("access_what", known)


def _reason(code: str, known: Mapping[str, str], words: Catalogue) -> str:
    part = "look_reason" if f"look_reason.{code}" in words else "access_purpose"
    return known.get(code) or words.name(part, code)


def _cells(row: Mapping[str, Any]) -> list[str]:
    case, reason = row["case"] or {}, row["reason"] or {}
    cells = (
        *(row["number"], row["at"], row["person"]["id"], row["person"]["name"], row["role"]["id"]),
        *(row["category"]["id"], row["what"]["id"], case.get("id"), case.get("reference"), reason.get("id")),
        row["recipient"],
    )
    return [_harmless(str(cell)) if cell is not None else "" for cell in cells]


def _harmless(cell: str) -> str:
    """A cell that a spreadsheet would take for a formula begins with an apostrophe (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
