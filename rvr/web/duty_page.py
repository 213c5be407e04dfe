"""The duty plan: an administrator gives a file of the force's duty system, and reads what is planned from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from aiohttp import web

from rvr import importing
from rvr.core.errors import BadInput, Reason
from rvr.core.moment import parse_iso
from rvr.web import auth, rendering, roster_view
from rvr.web.context import DESK, SIGNED_IN, WORDS

SHOWN = timedelta(days=14)


async def show(request: web.Request) -> web.StreamResponse:
    """What is planned from now on."""
    return await _page(request)


async def give(request: web.Request) -> web.StreamResponse:
    """Takes a plan over; of one in which a line is wrong nothing lands, and it stands there to be mended."""
    text = str((await auth.form_of(request)).get("plan", ""))
    file = Path("plan.ics" if text.lstrip().upper().startswith("BEGIN:VCALENDAR") else "plan.csv")
    desk, words, by = request.app[DESK], request.app[WORDS], request[SIGNED_IN].actor
    told = list[str]()

    def refused(line: int, reasons: Sequence[Reason]) -> None:
        told.append(words.say("plan.line", line=line, why="; ".join(map(words.reason, reasons))))

    try:
        job = importing.prepare(desk, file, "duty", raw=text.strip().encode(), by=by)
    except BadInput as wrong:
        return await _page(request, [words.reason(reason) for reason in wrong.reasons], text)
    await job.run(refused, lambda done: None)
    if told:
        return await _page(request, told, text)
    return web.Response(status=303, headers={"Location": "/admin/duty"})


async def _page(request: web.Request, told: Sequence[str] = (), text: str = "") -> web.StreamResponse:
    desk = request.app[DESK]
    now, people = desk.observe().at, await desk.people()
    shifts = [one for one in await roster_view.planned(desk, now, now + SHOWN) if one.officer in people]
    zone = ZoneInfo(rendering.force_of(request.app).hours.zone)
    days = groupby(shifts, lambda one: parse_iso(one.begins).astimezone(zone).date())
    plan = [(day, [(one, people[one.officer].name) for one in theirs]) for day, theirs in days]
    html = rendering.render(request.app, "duty.html", request[SIGNED_IN], plan=plan, told=told, text=text)
    return web.Response(text=html, status=400 if told else 200, content_type="text/html")
