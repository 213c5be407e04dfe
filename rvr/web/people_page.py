"""The administrator's page of one account: who it is, where it is signed in, and what ends that.

An end takes effect on every process within a second or two: the change is an event, and whoever follows the log closes
feeds and seats by it.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from rvr import people
from rvr.core import events as e
from rvr.core.commands import STAFF
from rvr.core.errors import BadInput, NotFound, Reason, Refused
from rvr.core.moment import iso
from rvr.store import Passkeys, staff
from rvr.store.staff import Person
from rvr.store.tables import AccountRow, PasskeyRow, every
from rvr.web import auth, rendering
from rvr.web.context import DESK, SIGNED_IN, WORDS


async def show(request: web.Request) -> web.StreamResponse:
    """The account as it is."""
    person, desk = await _person(request), request.app[DESK]
    now = desk.observe().at
    idle_since = auth.idle_since(request.app, now)
    seats = await desk.store.look(lambda connection: staff.sign_ins(connection, person.id, iso(now), idle_since))
    html = rendering.render(
        request.app,
        "person.html",
        request[SIGNED_IN],
        person=person,
        sign_ins=seats,
        staff=sorted(STAFF),
        units=_units(request.app),
        own=person.id == request[SIGNED_IN].actor.id,
        provided=(await _row(request)).provider_key != "",
        passkeys=len(await desk.store.read(lambda session: every(session, PasskeyRow, PasskeyRow.person == person.id))),
    )
    return web.Response(text=html, content_type="text/html")


async def end_sign_ins(request: web.Request) -> web.StreamResponse:
    """Ends every sign-in of this person, open feeds and seats in calls with them. The person may sign in again."""
    return await _change(request, "sign_ins_ended")


async def forget_passkeys(request: web.Request) -> web.StreamResponse:
    """Takes every passkey of this person away. Who is signed in stays so."""
    person = (await _row(request)).id
    fact, by = e.AccountChanged(what="passkeys_removed"), request[SIGNED_IN].actor.id
    taken = Passkeys(all_of=(person,))
    await people.change(request.app[DESK], person, fact, by=by, by_role="administrator", passkeys=taken)
    return _back(person)


async def disable(request: web.Request) -> web.StreamResponse:
    """Closes the account, and ends every sign-in. Raises Refused for the administrator's own."""
    _not_own(request)
    return await _change(request, "disabled", disabled=True)


async def enable(request: web.Request) -> web.StreamResponse:
    """Opens the account again."""
    return await _change(request, "enabled", disabled=False)


async def set_role(request: web.Request) -> web.StreamResponse:
    """Another role, with the teams and organisations that the person then belongs to. Raises BadInput, Refused for the
    administrator's own account and for one whose roles come with each sign-in from the identity provider."""
    _not_own(request)
    if (await _row(request)).provider_key:
        raise Refused(Reason("provider-gives-roles"))
    post, force = await request.post(), rendering.force_of(request.app)
    role, units = str(post.get("role", "")), sorted(set(map(str, post.getall("unit", []))))
    if role not in STAFF:
        raise BadInput(Reason("not-an-option", {"label": request.app[WORDS].say("account.role")}, "role"))
    if unknown := set(units) - {*force.teams, *force.partners}:
        raise BadInput(Reason("body-field", {"name": min(unknown)}, "unit"))
    return await _change(request, "roles", roles=[role], units=units)


async def _change(request: web.Request, what: str, **values: Any) -> web.StreamResponse:
    person, by = await _person(request), request[SIGNED_IN].actor.id
    told = {name: tuple(values[name]) for name in ("roles", "units") if name in values}
    fact = e.AccountChanged(what=what, **told)
    await people.change(request.app[DESK], person.id, fact, by=by, by_role="administrator", **values)
    return _back(person.id)


def _back(person: str) -> web.Response:
    return web.Response(status=303, headers={"Location": f"/admin/people/{person}"})


def _not_own(request: web.Request) -> None:
    """Nobody gives oneself more rights, or locks oneself out. Raises Refused."""
    if request.match_info["person"] == request[SIGNED_IN].actor.id:
        raise Refused(Reason("not-own-account"))


def _units(app: web.Application) -> dict[str, str]:
    """The names of the force's teams and partner organisations, by id."""
    force = rendering.force_of(app)
    return {**force.teams, **{id_: partner.name for id_, partner in force.partners.items()}}


async def _row(request: web.Request) -> AccountRow:
    """Raises NotFound where there is no such account."""
    same = AccountRow.id == request.match_info["person"]
    rows = await request.app[DESK].store.read(lambda session: every(session, AccountRow, same))
    if not rows:
        raise NotFound(Reason("no-such-account"))
    return rows[0]


async def _person(request: web.Request) -> Person:
    """Raises NotFound where there is no such account."""
    found = (await request.app[DESK].people()).get(request.match_info["person"])
    if found is None:
        raise NotFound(Reason("no-such-account"))
    return found
