"""The page of one's own account, with its passkeys; and signing in by one."""

from __future__ import annotations

from typing import Any

import structlog
from aiohttp import web

from rvr import passkeys, people
from rvr.core import events as e
from rvr.core.errors import Forbidden, NotSignedIn, Reason
from rvr.core.moment import iso
from rvr.passkeys import PasskeyRefused
from rvr.store import Passkeys, PasskeyTaken
from rvr.store.tables import AccountRow, PasskeyRow, every
from rvr.web import api, auth, rendering
from rvr.web.context import DESK, SETTINGS, SIGNED_IN

log = structlog.get_logger()

NAME = 40
"""Characters of what its owner calls it."""


async def page(request: web.Request) -> web.StreamResponse:
    """Who one is here, and one's passkeys."""
    provided = (await _account(request, request[SIGNED_IN].actor.id)).provider_key != ""
    html = rendering.render(
        request.app, "account.html", request[SIGNED_IN], passkeys=await _own(request), provided=provided
    )
    return web.Response(text=html, content_type="text/html")


async def to_register(request: web.Request) -> web.StreamResponse:
    """What the browser needs to make a passkey. Raises Forbidden where the identity provider proves who it is."""
    await _asks_nothing(request)
    await _check_local(request)
    actor, settings = request[SIGNED_IN].actor, request.app[SETTINGS]
    have = await _own(request)
    options = passkeys.to_register(request.app[DESK], settings, actor.id, request[SIGNED_IN].username, actor.name, have)
    return web.Response(text=options, content_type="application/json")


async def register(request: web.Request) -> web.StreamResponse:
    """Keeps the public half of the passkey that the browser made. Raises Forbidden likewise, and NotSignedIn for one
    that is not right or that somebody has."""
    await _check_local(request)
    body, desk = await api.body_of(request), request.app[DESK]
    name = " ".join(api.member(body, "name", str, default="").split())[:NAME]
    try:
        told = passkeys.registered(
            desk, request.app[SETTINGS], request[SIGNED_IN].actor.id, name, api.member(body, "credential", dict)
        )
    except PasskeyRefused:
        raise NotSignedIn(Reason("passkey-refused")) from None
    row = {**told, "created_at": iso(desk.observe().at), "used_at": ""}
    try:
        await _change(request, "passkey_added", Passkeys(new=(row,)))
    except PasskeyTaken:
        raise NotSignedIn(Reason("passkey-refused")) from None
    return web.Response(status=204)


async def remove(request: web.Request) -> web.StreamResponse:
    """Forgets one of one's own passkeys."""
    told = str((await auth.form_of(request)).get("id", ""))
    if any(one.id == told for one in await _own(request)):
        await _change(request, "passkey_removed", Passkeys(gone=(told,)))
    return web.Response(status=303, headers={"Location": "/account"})


async def _change(request: web.Request, what: str, passkeys: Passkeys) -> None:
    """Of one's own account; in the person's stream and in the operator's log."""
    signin = request[SIGNED_IN].signin
    fact = e.AccountChanged(what=what)
    await people.change(
        request.app[DESK], signin.person, fact, by=signin.person, by_role=signin.role, passkeys=passkeys
    )
    log.info(what, person=signin.person)


async def _check_local(request: web.Request) -> None:
    """An account of the identity provider's is closed there: a passkey of ours would outlive that. Raises Forbidden."""
    if (await _account(request, request[SIGNED_IN].actor.id)).provider_key:
        raise Forbidden(Reason("provider-proves"))


async def _asks_nothing(request: web.Request) -> None:
    """There is nothing to choose: an object, or no body at all. Raises BadInput for anything else."""
    if request.body_exists:
        await api.body_of(request)


async def to_sign_in(request: web.Request) -> web.StreamResponse:
    """What the browser needs to use one."""
    auth.check_origin(request)
    await _asks_nothing(request)
    options = passkeys.to_sign_in(request.app[DESK], request.app[SETTINGS])
    return web.Response(text=options, content_type="application/json")


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Signs in whoever used the passkey, or notes the proof of whoever is signed in."""
    auth.check_origin(request)
    answer = api.member(await api.body_of(request), "credential", dict)
    account = await _proven(request, answer)
    signed = await auth.who(request)
    if signed is not None:
        if signed.actor.id != account.id:
            raise NotSignedIn(Reason("sign-on-somebody-else"))
        await auth.check_csrf(request, signed.csrf)
        request[SIGNED_IN] = signed
        await auth.note_proof(request)
        return web.Response(status=204)
    _, token = await auth.start(request, account.id, "passkey")
    response = web.Response(status=204)
    auth.remember(response, request, token)
    return response


async def _proven(request: web.Request, answer: dict[str, Any]) -> AccountRow:
    """The account whose passkey was used here and now. Raises NotSignedIn."""
    desk, settings = request.app[DESK], request.app[SETTINGS]
    told = str(answer.get("id", ""))
    rows = await desk.store.read(lambda session: every(session, PasskeyRow, PasskeyRow.id == told))
    if not rows or not settings.local_accounts:
        raise NotSignedIn(Reason("passkey-refused"))
    account = await _account(request, rows[0].person)
    try:
        await passkeys.used(desk, settings, rows[0], answer)
    except PasskeyRefused:
        raise NotSignedIn(Reason("passkey-refused")) from None
    if account.disabled or account.provider_key:
        raise NotSignedIn(Reason("passkey-refused"))
    return account


async def _account(request: web.Request, person: str) -> AccountRow:
    desk = request.app[DESK]
    (account,) = await desk.store.read(lambda session: every(session, AccountRow, AccountRow.id == person))
    return account


async def _own(request: web.Request) -> list[PasskeyRow]:
    person = request[SIGNED_IN].actor.id
    return await request.app[DESK].store.read(lambda session: every(session, PasskeyRow, PasskeyRow.person == person))
