"""A guest's page: who was asked into a call by a link, and sees nothing of the case but the call.

No name, no number, no reference goes there: the guest's own role and state, and who is in the call by role.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import web

from rvr import joining
from rvr.core import presence
from rvr.core.commands import MakeMove
from rvr.core.errors import NotFound, Reason
from rvr.desk import Desk
from rvr.store.tables import LinkRow
from rvr.web import api, auth, by_link, live
from rvr.web.context import DESK
from rvr.web.join import device_of


async def page(request: web.Request) -> web.StreamResponse:
    """A guest's only page: the same for everybody, and looking at it changes nothing here."""
    return by_link.page(request, "guest.html", guest=True)


async def enter(request: web.Request) -> web.StreamResponse:
    """Redeems a guest's link by a tap, with the guest's name and word; or finds the seat again by the cookie."""
    auth.check_origin(request)
    body = await api.body_of(request)
    form = {
        "guest_name": api.member(body, "name", str, default=""),
        "declared": api.member(body, "declared", bool, default=False),
    }
    return await by_link.enter(request, body, _told, guest=True, form=form)


async def _told(desk: Desk, link: LinkRow) -> dict[str, Any]:
    return presence.guest_told(await desk.case(link.case_id), link.guest)


async def feed(request: web.Request) -> web.StreamResponse:
    """The guest's own feed: the guest's state in one word, and who is in the call by role."""
    link = await by_link.joined(request, guest=True)
    return await live.of_the_call(request, link.case_id, partial(presence.guest_told, guest=link.guest))


async def action(request: web.Request) -> web.StreamResponse:
    """What the guest's page tells: the device was checked."""
    link = await by_link.joined(request, guest=True)
    if request.match_info["action"] != "device":
        raise NotFound(Reason("no-such-page"))
    body = await api.body_of(request)
    command = MakeMove(by_link.press_of("device", body), link.case_id, "check_guest_device", device_of(body))
    await request.app[DESK].handle(command, joining.holder_of(link))
    return web.Response(status=204)
