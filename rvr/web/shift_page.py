"""The handover of a shift: every open case on one sheet, with who has to act, what comes next and by when.

For the screen and for paper: references, states and times, and nothing that names or locates a victim.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from aiohttp import web

from rvr.store.tables import CaseRow
from rvr.web import boards, rendering, roster_view
from rvr.web.context import DESK, NIGHTS, SIGNED_IN, WORDS


async def page(request: web.Request) -> web.StreamResponse:
    """The sheet as it is now."""
    app, signed = request.app, request[SIGNED_IN]
    desk, words = app[DESK], app[WORDS]
    night = await app[NIGHTS].now()
    cases = night.cases
    rows = boards.board(app, signed, cases, night.people)
    alarms = await boards.alarms_of(desk, rows, signed.roles, words)
    says = {row.id: _say(row, desk.definitions.workflows) for row in cases}
    by_role = sorted(rows, key=lambda row: (row["owner"] or {}).get("name", ""))
    groups = [
        (name, list(theirs)) for name, theirs in groupby(by_role, lambda row: (row["owner"] or {}).get("name", ""))
    ]
    roster = roster_view.rows(night.roster, night.people, words)
    html = rendering.render(
        app,
        "shift.html",
        signed,
        groups=groups,
        count=len(rows),
        says=says,
        alarms=alarms,
        roster=[one for one in roster if one["doing"] != "off" or one["planned"]],
        capacity=night.capacity,
    )
    return web.Response(text=html, content_type="text/html")


def _say(row: CaseRow, flows: Mapping[str, Any]) -> str:
    """What the state asks for next, in its own words."""
    flow = flows.get(row.workflow)
    return flow.states[row.state].acting(row.officer)[1] if flow and row.state in flow.states else ""
