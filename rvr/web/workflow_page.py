"""The workflows as a policy officer reads them: what they are, under which version each open case runs, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from rvr.core.errors import NotFound, Reason
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
    """One workflow, complete."""
    desk, words = request.app[DESK], request.app[WORDS]
    flow = desk.definitions.workflows.get(request.match_info["id"])
    if flow is None:
        raise NotFound(Reason("no-such-workflow"))
    rows = [row for row in await desk.open_cases() if row.workflow == flow.id]
    counts = Counter(row.state for row in rows)
    return _page(
        request,
        "workflow.html",
        flow=flow,
        moves={state: _moves(flow, state) for state in flow.states},
        counts=counts,
        diagram=draw(flow, counts),
        versions=[await _version(desk, flow, digest, rows) for digest in _digests(flow, rows)],
        span=lambda seconds: span(seconds, words),
        shown_date=lambda day: "" if day.year in (1, 9999) else day.strftime("%-d %b %Y"),
    )


def _page(request: web.Request, template: str, **context: Any) -> web.Response:
    html = rendering.render(request.app, template, request[SIGNED_IN], **context)
    return web.Response(text=html, content_type="text/html")


def _moves(flow: Workflow, state: str) -> list[tuple[Move, list[str]]]:
    """The moves from here, each with where it leads."""
    open_here = {move.id: move for move in flow.open_to(state)}.values()
    return [(move, [flow.states[branch.state].name for branch in move.to if branch.state]) for move in open_here]


def _digests(flow: Workflow, rows: Iterable[CaseRow]) -> list[str]:
    """The version in force, and every other that an open case runs under."""
    return list(dict.fromkeys((flow.hash, *(row.definition for row in rows))))


async def _version(desk: Desk, flow: Workflow, digest: str, rows: Iterable[CaseRow]) -> dict[str, Any]:
    stored = await desk.store.load(f"definition/{digest}")
    mine = [row for row in rows if row.definition == digest]
    return {
        "hash": digest,
        "in_force": digest == flow.hash,
        "since": iso(stored[0].event.at.at) if stored else "",
        "cases": len(mine),
        "oldest": min((row.opened_at for row in mine), default=""),
    }
