"""A guest's page: who was asked into a call by a link, and sees nothing of the case but the call.

No name, no number, no reference goes there: the guest's own role and state, and who is in the call by role.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from aiohttp import web

from rvr import joining
from rvr.core import presence
from rvr.core.commands import MakeMove
from rvr.core.errors import NotFound, NotSignedIn, Reason
from rvr.web import api, auth, ice, live, rendering
from rvr.web.context import DESK, SIGNED_IN


async def page(request: web.Request) -> web.StreamResponse:
    """A guest's only page: the same for everybody, and looking at it changes nothing here."""
    html = rendering.render(request.app, "guest.html", request.get(SIGNED_IN))
    response = web.Response(text=html, content_type="text/html")
    if auth.cookie_name(request, "rvr_g") not in request.cookies:  # a lost answer to the first tap leaves it the same
        auth.set_cookie(response, request, "rvr_g", secrets.token_urlsafe(32))
    return response


async def join(request: web.Request) -> web.StreamResponse:
    """Redeems a guest's link by a tap, with the guest's name and word; or finds the seat again by the cookie."""
    auth.check_origin(request)
    body, desk = await api.body_of(request), request.app[DESK]
    token = api.member(body, "token", str, default="")
    cookie = request.cookies.get(auth.cookie_name(request, "rvr_g"), "")
    browser = cookie or secrets.token_urlsafe(32)
    if token:
        form = {
            "guest_name": api.member(body, "name", str, default=""),
            "declared": api.member(body, "declared", bool, default=False),
        }
        redeemed = await joining.redeem(desk, token[:200], browser, guest=True, form=form)
        case_id, seat, guest = redeemed.case, redeemed.seat, redeemed.guest
    else:
        link = await joining.seat_of(desk.store, cookie, guest=True) if cookie else None
        if link is None:
            raise NotSignedIn(Reason("not-joined"))
        case_id, seat, guest = link.case_id, link.seat, link.guest
    told = presence.guest_told(await desk.case(case_id), guest)
    response = api.answer({"seat": seat, "csrf": api.join_csrf(browser), **told, **ice.told(request, victim=True)})
    auth.set_cookie(response, request, "rvr_g", browser)
    return response


async def feed(request: web.Request) -> web.StreamResponse:
    """The guest's own feed: the guest's state in one word, and who is in the call by role."""
    link = await api.joined(request, guest=True)
    return await live.of_the_call(request, link.case_id, partial(presence.guest_told, guest=link.guest))


async def action(request: web.Request) -> web.StreamResponse:
    """What the guest's page tells: the device was checked."""
    link = await api.joined(request, guest=True)
    if request.match_info["action"] != "device":
        raise NotFound(Reason("no-such-page"))
    body: dict[str, Any] = await api.body_of(request)
    command = MakeMove(api.press_of("device", body), link.case_id, "check_guest_device", api.device_of(body))
    await request.app[DESK].handle(command, joining.holder_of(link))
    return web.Response(status=204)
