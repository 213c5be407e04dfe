"""Whether texts, e-mails and messages to programs go out: counts and attempts, nothing of what is in them."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from rvr.core.moment import iso
from rvr.store import messages
from rvr.store.engine import Connection
from rvr.store.messages import Fared, Undelivered
from rvr.web import rendering
from rvr.web.context import DESK, SIGNED_IN

SPAN = timedelta(days=1)


async def show(request: web.Request) -> web.StreamResponse:
    """How the messages of the last 24 hours fared, and which have not gone out."""
    desk = request.app[DESK]
    since = iso(desk.observe().at - SPAN)

    def look(connection: Connection) -> tuple[list[Fared], list[Undelivered]]:
        return messages.fared(connection, since), messages.undelivered(connection, since)

    fared, undelivered = await desk.store.look_through(look)
    html = rendering.render(
        request.app, "deliveries.html", request[SIGNED_IN], fared=fared, undelivered=undelivered, since=since
    )
    return web.Response(text=html, content_type="text/html")
