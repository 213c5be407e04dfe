"""The page of one's own account, with its passkeys; and signing in by one."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from rvr import passkeys
from rvr.core.errors import NotSignedIn, Reason
from rvr.core.moment import iso
from rvr.passkeys import PasskeyRefused
from rvr.store.engine import Connection
from rvr.store.statements import put
from rvr.store.tables import AccountRow, PasskeyRow, every
from rvr.web import api, auth, rendering
from rvr.web.context import DESK, SETTINGS, SIGNED_IN

NAME = 40
"""Characters of what its owner calls it."""


async def page(request: web.Request) -> web.StreamResponse:
    """Who one is here, and one's passkeys."""
    html = rendering.render(request.app, "account.html", request[SIGNED_IN], passkeys=await _own(request))
    return web.Response(text=html, content_type="text/html")


async def to_register(request: web.Request) -> web.StreamResponse:
    """What the browser needs to make a passkey."""
    await _asks_nothing(request)
    actor, settings = request[SIGNED_IN].actor, request.app[SETTINGS]
    have = await _own(request)
    options = passkeys.to_register(request.app[DESK], settings, actor.id, request[SIGNED_IN].username, actor.name, have)
    return web.Response(text=options, content_type="application/json")


async def register(request: web.Request) -> web.StreamResponse:
    """Keeps the public half of the passkey that the browser made."""
    body, desk = await api.body_of(request), request.app[DESK]
    name = " ".join(api.member(body, "name", str, default="").split())[:NAME]
    try:
        told = passkeys.registered(
            desk, request.app[SETTINGS], request[SIGNED_IN].actor.id, name, api.member(body, "credential", dict)
        )
    except PasskeyRefused:
        raise NotSignedIn(Reason("passkey-refused")) from None
    row = PasskeyRow(**told, created_at=iso(desk.observe().at))
    await desk.store.write(lambda connection: put(connection, row))
    return web.Response(status=204)


async def remove(request: web.Request) -> web.StreamResponse:
    """Forgets one of one's own passkeys."""
    post, person = await auth.form_of(request), request[SIGNED_IN].actor.id
    told = {"id": str(post.get("id", "")), "person": person}

    def forget(connection: Connection) -> None:
        connection.execute("DELETE FROM passkey WHERE id = :id AND person = :person", told)

    await request.app[DESK].store.write(forget)
    return web.Response(status=303, headers={"Location": "/account"})


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
    person = rows[0].person
    (account,) = await desk.store.read(lambda session: every(session, AccountRow, AccountRow.id == person))
    try:
        await passkeys.used(desk, settings, rows[0], answer)
    except PasskeyRefused:
        raise NotSignedIn(Reason("passkey-refused")) from None
    if account.disabled:
        raise NotSignedIn(Reason("passkey-refused"))
    return account


async def _own(request: web.Request) -> list[PasskeyRow]:
    person = request[SIGNED_IN].actor.id
    return await request.app[DESK].store.read(lambda session: every(session, PasskeyRow, PasskeyRow.person == person))
