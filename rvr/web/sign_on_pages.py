"""The way to the force's identity provider and back: to sign in, or to prove anew who one is.

The browser keeps one secret in a cookie of ten minutes; all that the provider is told, and all that has to come back,
is derived from it, so that nothing is kept here for strangers. The provider's redirect comes from another site, and
our sign-in's cookie does not come along: a page of ours takes one step more, which is of this site again.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlencode

import structlog
from aiohttp import web

from rvr import links, people, sign_on
from rvr.core import events as e
from rvr.core.errors import Forbidden, NotFound, NotSignedIn, Reason, Unavailable
from rvr.sign_on import Provider, SignOnRefused, SignOnUnreachable, Somebody
from rvr.store.tables import AccountRow, every
from rvr.web import auth, confirming, rendering
from rvr.web.context import DESK, SIGN_ON, SIGNED_IN

log = structlog.get_logger()

COOKIE = "rvr_o"
COOKIE_S = 600
BY = "provider"
"""Who registers people and changes their roles, as their streams name it."""


async def begin(request: web.Request) -> web.StreamResponse:
    """To the provider. With `to`: to prove anew who is signed in, and then there."""
    to = confirming.place(request.query.get("to", "")) if "to" in request.query else ""
    secret = links.new_token()
    try:
        address = await _provider(request).begin(secret, again=bool(to))
    except SignOnUnreachable:
        raise Unavailable(Reason("sign-on-unreachable")) from None
    except SignOnRefused as refused:
        raise _refusal(refused) from None
    response = web.Response(status=303, headers={"Location": address})
    auth.set_cookie(response, request, COOKIE, f"{secret}|{to}", max_age=COOKIE_S)
    return response


async def back(request: web.Request) -> web.StreamResponse:
    """The provider's redirect: one step more, from a page of ours."""
    told = {name: request.query.get(name, "")[:4000] for name in ("code", "state", "error")}
    html = rendering.render(request.app, "sign_on_back.html", None, to=f"/sign-in/finish?{urlencode(told)}")
    return web.Response(text=html, content_type="text/html")


async def finish(request: web.Request) -> web.StreamResponse:
    """Lets in whomever the provider vouches for, or notes the proof; to the start page, or where it was asked for."""
    secret, _, to = request.cookies.get(auth.cookie_name(request, COOKIE), "").partition("|")
    state = request.query.get("state", "")
    if not secret or not hmac.compare_digest(state.encode(), sign_on.derived(secret, "state").encode()):
        raise NotSignedIn(Reason("sign-on-again"))
    if request.query.get("error"):
        raise _refusal(SignOnRefused("provider-said-no"))
    try:
        somebody = await _provider(request).finish(request.query.get("code", ""), secret, again=bool(to))
    except SignOnUnreachable:
        raise Unavailable(Reason("sign-on-unreachable")) from None
    except SignOnRefused as refused:
        raise _refusal(refused) from None
    person = await _account(request, somebody)
    response = web.Response(status=303, headers={"Location": confirming.place(to)})
    if to:
        await _proven(request, person)
    else:
        _, token = await auth.start(request, person, "provider")
        auth.remember(response, request, token)
    auth.drop_cookie(response, request, COOKIE)
    return response


async def _proven(request: web.Request, person: str) -> None:
    """Raises NotSignedIn where somebody else proved something than is signed in."""
    signed = await auth.who(request)
    if signed is None or signed.actor.id != person:
        raise NotSignedIn(Reason("sign-on-somebody-else"))
    request[SIGNED_IN] = signed
    await auth.note_proof(request)


async def _account(request: web.Request, somebody: Somebody) -> str:
    """The account of this person, new or with the roles that the provider gives now. Raises Forbidden where it is
    disabled."""
    desk = request.app[DESK]
    rows = await desk.store.read(lambda session: every(session, AccountRow, AccountRow.provider_key == somebody.key))
    if not rows:
        row = await people.register(
            desk,
            await _free(request, somebody),
            somebody.name,
            somebody.roles,
            "",
            somebody.units,
            by=BY,
            provider_key=somebody.key,
        )
        return row.id
    row = rows[0]
    if row.disabled:
        raise Forbidden(Reason("sign-on-disabled"))
    if (tuple(row.roles), tuple(row.units)) != (somebody.roles, somebody.units):
        fact = e.AccountChanged(what="roles", roles=somebody.roles, units=somebody.units)
        await people.change(desk, row.id, fact, by=BY, roles=list(somebody.roles), units=list(somebody.units))
    return row.id


async def _free(request: web.Request, somebody: Somebody) -> str:
    """The user name, or one told apart from another account's. It is for people to read, nothing rests on it."""
    same = AccountRow.username == somebody.username
    taken = await request.app[DESK].store.read(lambda session: every(session, AccountRow, same))
    return f"{somebody.username} {links.hash_of(somebody.key)[:6]}" if taken else somebody.username


def _provider(request: web.Request) -> Provider:
    """Raises NotFound where the desk has none."""
    found = request.app[SIGN_ON]
    if found is None:
        raise NotFound(Reason("no-such-page"))
    return found


def _refusal(refused: SignOnRefused) -> Forbidden:
    log.warning("sign_on_refused", code=refused.code)
    if refused.code == "no-role":
        return Forbidden(Reason("sign-on-no-role"))
    return Forbidden(Reason("sign-on-refused", {"code": refused.code}))
