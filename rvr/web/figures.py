"""The evaluator's page and its figures: computed from the timing log when somebody asks, after disclosure control.

Windows that differ by an hour could tell of the case between them, so each look is a row of the access log. One replay
runs at a time: it takes a thread and reads every case of the window, and calls go on beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from rvr.core.errors import BadInput, Reason
from rvr.core.moment import iso
from rvr.evaluation import report, summary, timings
from rvr.evaluation.disclosure import THRESHOLD
from rvr.evaluation.formats import available
from rvr.evaluation.guarded import guarded
from rvr.evaluation.leaving_times import WAYS
from rvr.evaluation.releases import Releases
from rvr.evaluation.window import Window, window_of
from rvr.web import api, auth, rendering
from rvr.web.context import DESK, SETTINGS, SIGNED_IN
from rvr.web.exports import time_of

_ONE = web.AppKey("one_replay", asyncio.Lock)


def set_up(app: web.Application) -> None:
    """Replays take turns."""
    app[_ONE] = asyncio.Lock()


@asynccontextmanager
async def _replaying(request: web.Request, category: str, what: str, given: Mapping[str, Any]) -> AsyncIterator[Window]:
    """The window that is asked for, when it is this one's turn and the look is written down."""
    desk, (start, end) = request.app[DESK], (time_of(given, name) for name in ("from", "to"))
    window = await window_of(desk.store, start, end)
    to = request[SIGNED_IN].username if category == "disclosure" else ""
    await auth.note(request, category, what, to=to)
    async with request.app[_ONE]:
        yield window


async def page(request: web.Request) -> web.StreamResponse:
    """Where figures are looked at and the package and the report are downloaded. Without a question it shows none."""
    desk, found = request.app[DESK], None
    if "show" in request.query:
        async with _replaying(request, "consultation", "figures", request.query) as window:
            found = await asyncio.to_thread(report.made, desk.store, window)
    html = rendering.render(
        request.app,
        "evaluation.html",
        request[SIGNED_IN],
        flows=list(desk.definitions.workflows.values()),
        position=await desk.store.position(),
        report=found,
        tables=report.tables(found) if found else {},
        given=request.query,
        formats=available(),
        ways=WAYS,
        k=THRESHOLD,
    )
    return web.Response(text=html, content_type="text/html")


async def summed_up(request: web.Request) -> web.StreamResponse:
    """How long everything took: every interval, in all cases and `by` group; `interval` T5-T11 takes a pair of points,
    `under` another workflow's targets.
    """
    query = request.query
    by, wanted = query.get("by", ""), [_interval(one) for one in query.getall("interval", [])] or timings.TIMINGS
    if by and by not in summary.BY:
        raise BadInput(Reason("body-field", {"name": "by"}, "by"))
    store = request.app[DESK].store
    async with _replaying(request, "consultation", "figures", query) as window:
        try:
            found = await asyncio.to_thread(
                summary.summarise, store, window, wanted, by=by, under=query.get("under", "")
            )
        except ValueError:
            raise BadInput(Reason("body-field", {"name": "under"}, "under")) from None
    rows, _ = guarded(found)
    cut = iso(window.cut) if window.cut else None
    return api.answer({"data_cut": cut, "under": found.under or None, "disclosure_k": THRESHOLD, "timings": rows})


def _interval(text: str) -> timings.Timing:
    start, _, end = text.partition("-")
    try:
        one = timings.between(start, end)
    except ValueError:
        raise BadInput(Reason("body-field", {"name": "interval"}, "interval")) from None
    return timings.Timing(one.name, one)


async def measured(request: web.Request) -> web.StreamResponse:
    """What the charts of the report are drawn from: each with its definition, its N and its table."""
    async with _replaying(request, "consultation", "figures", request.query) as window:
        found = await asyncio.to_thread(report.made, request.app[DESK].store, window)
    told = [
        {"id": one.id, "title": one.title, "definition": one.definition, "n": one.n}
        | {"rows": [dict(zip(one.head, row, strict=True)) for row in one.rows]}
        for one in found.exhibits
    ]
    cut = iso(window.cut) if window.cut else None
    return api.answer({"data_cut": cut, "disclosure_k": found.threshold, "measures": told})


async def download(request: web.Request) -> web.StreamResponse:
    """The report as one HTML file. A disclosure: in the access log and in the register of releases before it leaves."""
    given = dict(await auth.form_of(request))
    async with _replaying(request, "disclosure", "report", given) as window:
        releases = Releases(request.app[SETTINGS].project_key_path, THRESHOLD)  # as the one before left it
        store = request.app[DESK].store
        found = await asyncio.to_thread(report.made, store, window, releases=releases)
        text = await asyncio.to_thread(report.html, found)
    headers = {"Content-Disposition": 'attachment; filename="rvr-report.html"'}
    return web.Response(text=text, content_type="text/html", headers=headers)
