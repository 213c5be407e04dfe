"""The workflows as a policy officer reads them: what they are and were, under which version each open case runs, and
why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from rvr.core.errors import DefinitionFault, NotFound, Reason
from rvr.core.events import Event
from rvr.core.moment import iso
from rvr.core.workflow import Move, Workflow
from rvr.desk import Desk
from rvr.store.tables import CaseRow
from rvr.web import rendering
from rvr.web.choices import span
from rvr.web.context import DESK, SIGNED_IN, WORDS
from rvr.web.diagram import draw


async def every(request: web.Request) -> web.StreamResponse:
    """All workflows in force."""
    desk = request.app[DESK]
    rows = Counter(row.workflow for row in await desk.open_cases())
    flows = [(flow, rows[flow.id]) for flow in desk.definitions.workflows.values()]
    return _page(request, "workflows.html", flows=flows)


async def show(request: web.Request) -> web.StreamResponse:
    """One workflow, complete: as it is in force, or with `?version=` as it was. Raises NotFound."""
    desk, words = request.app[DESK], request.app[WORDS]
    now = desk.definitions.workflows.get(request.match_info["id"])
    if now is None:
        raise NotFound(Reason("no-such-workflow"))
    flow = await _version(desk, request.query.get("version", now.hash))
    if flow.id != now.id:
        raise NotFound(Reason("no-such-workflow"))
    rows = [row for row in await desk.open_cases() if row.workflow == flow.id]
    counts = Counter(row.state for row in rows if flow is now or row.definition == flow.hash)
    return _page(
        request,
        "workflow.html",
        flow=flow,
        now=now,
        moves={state: _moves(flow, state) for state in flow.states},
        counts=counts,
        diagram=draw(flow, counts),
        versions=await _versions(desk, now, rows),
        span=lambda seconds: span(seconds, words),
        shown_date=lambda day: "" if day.year in (1, 9999) else day.strftime("%-d %b %Y"),
    )


async def _version(desk: Desk, digest: str) -> Workflow:
    """Raises NotFound, also for a text of a form that is not read any more."""
    try:
        return await desk.versions.find(digest)
    except DefinitionFault:
        raise NotFound(Reason("version-not-read")) from None


def _page(request: web.Request, template: str, **context: Any) -> web.Response:
    html = rendering.render(request.app, template, request[SIGNED_IN], **context)
    return web.Response(text=html, content_type="text/html")


def _moves(flow: Workflow, state: str) -> list[tuple[Move, list[str]]]:
    """The moves from here, each with where it leads."""
    open_here = {move.id: move for move in flow.open_to(state)}.values()
    return [(move, [flow.states[branch.state].name for branch in move.to if branch.state]) for move in open_here]


async def _versions(desk: Desk, now: Workflow, rows: Sequence[CaseRow]) -> list[dict[str, Any]]:
    """Every version that was ever in force here, the newest first, with the open cases that run under it."""
    kept = await desk.versions.every(now.id)
    return [_told(digest, digest == now.hash, event, rows) for digest, event in kept.items()]


def _told(digest: str, in_force: bool, event: Event, rows: Sequence[CaseRow]) -> dict[str, Any]:
    mine = [row.opened_at for row in rows if row.definition == digest]
    return {
        "hash": digest,
        "in_force": in_force,
        "since": iso(event.at.at),
        "cases": len(mine),
        "oldest": min(mine, default=""),
    }
