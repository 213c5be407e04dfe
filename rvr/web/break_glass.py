"""A look at a case outside one's own, and the declaration of a conflict of interest: the forms, and where they lead."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from rvr.core import authority
from rvr.core.commands import BreakGlass, DeclareConflict, LiftConflict
from rvr.core.errors import Forbidden, NotFound, Reason, Refused, RvrError
from rvr.core.events import ConflictLifted, GlassBroken
from rvr.core.moment import iso
from rvr.desk import Outcome
from rvr.store.tables import CaseRow, every
from rvr.web import api, auth, form_views, rendering, views
from rvr.web.around import seen
from rvr.web.case_parts import Around
from rvr.web.context import DESK, SIGNED_IN, WORDS


async def page(request: web.Request) -> web.StreamResponse:
    """Asks for the case, by its reference, and for the reason."""
    return _form(request, request.query.get("case", "")[:64], "")


async def open_page(request: web.Request) -> web.StreamResponse:
    """Opens the case for half an hour and goes there, or says what is missing."""
    post = await auth.form_of(request)
    asked, reason = str(post.get("case", "")).strip()[:64], str(post.get("reason", ""))
    try:
        case_id = await _found(request, asked)
        await _break(request, BreakGlass(form_views.command_id(post), case_id, reason))
    except (Refused, NotFound) as error:
        return _form(request, asked, reason, error)
    return _go(f"/cases/{case_id}")


async def open_case(request: web.Request) -> web.StreamResponse:
    """The same for programs."""
    body, signed = await api.body_of(request), request[SIGNED_IN]
    case_id = await _found(request, request.match_info["id"])
    outcome = await _break(request, BreakGlass(api.command_id(body), case_id, api.member(body, "reason", str)))
    return api.answer({"case": case_id, "until": outcome.case.glass[signed.actor.id]}, 201)


async def _break(request: web.Request, command: BreakGlass) -> Outcome:
    """Whoever is refused stands in the access log, whatever the reason: no reference is tried out unseen."""
    signed = request[SIGNED_IN]
    try:
        return await request.app[DESK].handle(command, signed.actor, signin=signed.signin)
    except (Refused, Forbidden) as error:
        await auth.refused(request, command.case, error, otherwise="break-glass")
        raise


async def declare(request: web.Request) -> web.StreamResponse:
    """Closes the case to this person, who goes home."""
    post = await auth.form_of(request)
    await _declare(request, form_views.command_id(post), str(post.get("note", "")))
    return _go("/")


async def declare_conflict(request: web.Request) -> web.StreamResponse:
    """The same for programs."""
    body = await api.body_of(request)
    await _declare(request, api.command_id(body), api.member(body, "note", str, default=""))
    return web.Response(status=204)


async def _declare(request: web.Request, command_id: str, note: str) -> None:
    desk, signed, case_id = request.app[DESK], request[SIGNED_IN], request.match_info["id"]
    await seen(desk, case_id, signed.actor)
    await desk.handle(DeclareConflict(command_id, case_id, note), signed.actor, signin=signed.signin)


async def lift(request: web.Request) -> web.StreamResponse:
    """Opens the case again to somebody whose conflict of interest was declared in error."""
    post = await auth.form_of(request)
    person, reason = str(post.get("person", "")), str(post.get("reason", ""))
    await _lift(request, form_views.command_id(post), person, reason)
    return _go(f"/cases/{request.match_info['id']}")


async def lift_conflict(request: web.Request) -> web.StreamResponse:
    """The same for programs."""
    body = await api.body_of(request)
    person, reason = api.member(body, "person", str), api.member(body, "reason", str)
    await _lift(request, api.command_id(body), person, reason)
    return web.Response(status=204)


async def _lift(request: web.Request, command_id: str, person: str, reason: str) -> None:
    desk, signed, case_id = request.app[DESK], request[SIGNED_IN], request.match_info["id"]
    await seen(desk, case_id, signed.actor)
    await desk.handle(LiftConflict(command_id, case_id, person, reason), signed.actor, signin=signed.signin)


def _go(place: str) -> web.Response:
    return web.Response(status=303, headers={"Location": place})


async def _found(request: web.Request, asked: str) -> str:
    """The id of the case with this reference or id. Raises NotFound."""
    same = (CaseRow.reference == asked.upper()) | (CaseRow.id == asked)
    rows = await request.app[DESK].store.read(lambda session: every(session, CaseRow, same))
    if not rows:
        raise NotFound(Reason("no-case-of-that-reference", {}, "case"))
    return rows[0].id


def _form(request: web.Request, case: str, reason: str, error: RvrError | None = None) -> web.Response:
    words = request.app[WORDS]
    errors = {one.field or "reason": words.reason(one) for one in error.reasons} if error else {}
    html = rendering.render(
        request.app,
        "break_glass.html",
        request[SIGNED_IN],
        case=case,
        reason=reason,
        errors=errors,
        minutes=authority.GLASS_S // 60,
        longest=authority.LONGEST,
    )
    return web.Response(text=html, status=error.status if error else 200, content_type="text/html")


def told(request: web.Request, around: Around) -> dict[str, Any]:
    """What stands around a case about this: who looked at it from outside, to whom it is closed and was opened again,
    for those who answer for the desk; until when the person looks at it; whether the person may open it, declare a
    conflict or lift another's.
    """
    case, actor, now = around.case, request[SIGNED_IN].actor, iso(request.app[DESK].observe().at)
    looks = [
        {
            "who": views.person(around.people, one.event.by),
            "at": iso(one.event.at.at),
            "until": one.event.fact.until,
            "reason": one.event.fact.reason,
        }
        for one in around.log
        if isinstance(one.event.fact, GlassBroken)
    ]
    lifted = [
        {
            "who": views.person(around.people, one.event.fact.person),
            "by": views.person(around.people, one.event.by),
            "at": iso(one.event.at.at),
            "reason": one.event.fact.reason,
        }
        for one in around.log
        if isinstance(one.event.fact, ConflictLifted)
    ]
    conflicts = [views.person(around.people, one) for one in sorted(case.conflicts)]
    supervises, until = bool(actor.roles & views.SUPERVISES), case.glass.get(actor.id, "")
    only_outline = not views.classes_for(case, actor) and not views.is_partner(case, actor)
    return {
        "looks": looks if supervises else [],
        "conflicts": conflicts if supervises else [],
        "lifted": lifted if supervises else [],
        "may_lift": not actor.roles.isdisjoint(authority.LIFTS),
        "glass_until": until if case.id in actor.glass and until > now else "",
        "may_break": only_outline and not actor.roles.isdisjoint(authority.BREAKS),
        "may_declare": not actor.roles.isdisjoint(authority.DECLARES)
        and not authority.in_hand(case, around.flow, actor),
    }
