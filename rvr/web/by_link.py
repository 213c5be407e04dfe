"""Whoever came in by a link, the victim or a guest: the cookie that keeps the seat, and the token of that page."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from rvr import joining, links
from rvr.core.errors import NotSignedIn, Reason
from rvr.desk import Desk
from rvr.messages import ENGLISH, catalogue, preferred
from rvr.store.tables import LinkRow
from rvr.web import api, auth, ice, rendering
from rvr.web.context import DESK, SIGNED_IN

COOKIES = {False: "rvr_j", True: "rvr_g"}
"""By whether it is a guest's."""


def page(request: web.Request, template: str, *, guest: bool = False) -> web.Response:
    """The page that a link leads to: the victim's in the browser's language, if there is one.

    The browser gets its cookie before the first tap: if the answer to that is lost, the next tap is still its own.
    """
    words = catalogue(ENGLISH if guest else preferred(request.headers.get("Accept-Language", "")))
    html = rendering.render(request.app, template, request.get(SIGNED_IN), **rendering.spoken(words))
    response = web.Response(text=html, content_type="text/html")
    if auth.cookie_name(request, COOKIES[guest]) not in request.cookies:
        auth.set_cookie(response, request, COOKIES[guest], secrets.token_urlsafe(32))
    return response


async def enter(
    request: web.Request,
    body: Mapping[str, Any],
    told_of: Callable[[Desk, LinkRow], Awaitable[dict[str, Any]]],
    *,
    guest: bool = False,
    form: Mapping[str, Any] | None = None,
) -> web.Response:
    """Redeems the token of the body by a tap, or finds the seat again by the cookie of the browser that redeemed it.

    Raises NotSignedIn for a browser without either, and what `joining.redeem` raises.
    """
    desk, name = request.app[DESK], auth.cookie_name(request, COOKIES[guest])
    token, cookie = api.member(body, "token", str, default=""), request.cookies.get(name, "")
    browser = cookie or secrets.token_urlsafe(32)
    if token:
        link = await joining.redeem(desk, token[:200], browser, guest=guest, form=form)
    else:
        link = await _link(desk, cookie, guest=guest)
    seat = {"seat": link.seat, "csrf": csrf_of(browser), **ice.told(request, victim=True)}
    response = api.answer(seat | await told_of(desk, link))
    auth.set_cookie(response, request, COOKIES[guest], browser)
    return response


async def joined(request: web.Request, *, leaving: bool = False, guest: bool = False) -> LinkRow:
    """The link that this browser opened, the victim's or a guest's. Raises NotSignedIn for any other browser.

    Leaving needs no token: a page that was just reloaded has none yet, and the worst that a forgery does is to leave.
    """
    browser = request.cookies.get(auth.cookie_name(request, COOKIES[guest]), "")
    link = await _link(request.app[DESK], browser, guest=guest)
    if leaving:
        auth.check_origin(request)
    elif request.method not in auth.SAFE_METHODS:
        await auth.check_csrf(request, csrf_of(browser))
    return link


async def _link(desk: Desk, browser: str, *, guest: bool) -> LinkRow:
    link = await joining.seat_of(desk.store, browser, guest=guest) if browser else None
    if link is None:
        raise NotSignedIn(Reason("not-joined"))
    return link


def press_of(action: str, body: Mapping[str, Any]) -> str:
    """The command's id: of a press that the page names, so that a repeat is known as one."""
    return f"{action}:{api.command_id(body)}" if "command_id" in body else secrets.token_hex(16)


def csrf_of(browser: str) -> str:
    """The token of the page of whoever joined by a link: known only to who holds the cookie."""
    return links.hash_of(f"csrf:{browser}")
