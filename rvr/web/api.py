"""The JSON API, `/api/v1`. Reads requests, asks the desk, writes answers; decides nothing."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import orjson
import structlog
from aiohttp import web

from rvr.core.commands import Actor, MakeMove, OpenCase, SetDuty
from rvr.core.errors import BadInput, Forbidden, NotFound, Reason
from rvr.core.moment import iso
from rvr.store import messages
from rvr.web import auth, rendering, stills, views, workflow_views
from rvr.web.around import after, gather, seen
from rvr.web.case_parts import Around
from rvr.web.context import ANCHORING, DESK, SETTINGS, SIGNED_IN, WORDS

log = structlog.get_logger()

DEPTH = 8
"""Nesting of a request body; a form has three levels."""


def answer(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", charset="utf-8")


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises BadInput for anything else."""
    try:
        body = orjson.loads(await request.text())  # half a surrogate pair is no text to it, NaN no number
    except (ValueError, LookupError):
        raise BadInput(Reason("not-json")) from None
    if not isinstance(body, dict):
        raise BadInput(Reason("not-an-object"))
    if _depth(body) > DEPTH:
        raise BadInput(Reason("too-deep"))
    return body


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def member(body: Mapping[str, Any], name: str, kind: type, *, default: Any = ...) -> Any:
    """A member of the body, of the right kind. Raises BadInput."""
    value = body.get(name, default)
    right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    if (value is not default and not right) or value is ...:
        raise BadInput(Reason("body-field", {"name": name}, name))
    return value


def command_id(body: Mapping[str, Any]) -> str:
    given = member(body, "command_id", str)
    if not 8 <= len(given) <= 64:
        raise BadInput(Reason("body-field", {"name": "command_id"}, "command_id"))
    return str(given)


def one_of(body: Mapping[str, Any], name: str, known: Container[str]) -> str:
    """A member of the body that is one of these. Raises BadInput."""
    given = member(body, name, str)
    if given not in known:
        raise BadInput(Reason("body-field", {"name": name}, name))
    return str(given)


# --- Sign-in -----------------------------------------------------------------------------------------------------


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Starts a sign-in and sets its cookie."""
    auth.check_origin(request)
    body = await body_of(request)
    username, password = member(body, "username", str), member(body, "password", str)
    signed, token = await auth.sign_in(request, username, password, member(body, "code", str, default=""))
    response = answer(_session(signed.username, signed.actor, signed.csrf), 201)
    auth.remember(response, request, token)
    return response


async def session(request: web.Request) -> web.StreamResponse:
    """Who is signed in, with the token that unsafe requests must carry."""
    signed = request[SIGNED_IN]
    return answer(_session(signed.username, signed.actor, signed.csrf))


def _session(username: str, actor: Actor, csrf: str) -> dict[str, Any]:
    return {"id": actor.id, "username": username, "name": actor.name, "roles": sorted(actor.roles), "csrf": csrf}


async def sign_out(request: web.Request) -> web.StreamResponse:
    """Ends the sign-in."""
    response = web.Response(status=204)
    await auth.sign_out(request, response)
    return response


async def confirm(request: web.Request) -> web.StreamResponse:
    """Whoever is signed in proves anew who it is, for what wants that (`confirm-first`)."""
    body = await body_of(request)
    await auth.confirm(request, member(body, "password", str), member(body, "code", str, default=""))
    return web.Response(status=204)


# --- Definitions -------------------------------------------------------------------------------------------------


async def workflows(request: web.Request) -> web.StreamResponse:
    """The workflows that new cases run under."""
    flows = request.app[DESK].definitions.workflows.values()
    return answer({"workflows": [{"id": flow.id, "name": flow.name, "version": flow.hash} for flow in flows]})


async def workflow(request: web.Request) -> web.StreamResponse:
    """One workflow, complete; `?format=mermaid` gives its diagram."""
    flow = request.app[DESK].definitions.workflows.get(request.match_info["id"])
    if flow is None:
        raise NotFound(Reason("no-such-workflow"))
    if request.query.get("format") == "mermaid":
        return web.Response(text=flow.mermaid(), content_type="text/plain")
    return answer(workflow_views.workflow_json(flow))


# --- Cases -------------------------------------------------------------------------------------------------------


async def open_case(request: web.Request) -> web.StreamResponse:
    """Opens a case."""
    body = await body_of(request)
    command = OpenCase(command_id(body), member(body, "form", dict), member(body, "workflow", str, default="da-desk"))
    desk, actor = request.app[DESK], request[SIGNED_IN].actor
    outcome = await desk.handle(command, actor, signin=request[SIGNED_IN].signin)
    return await _case(request, await gather(desk, outcome.case.id, actor), 201)


async def case(request: web.Request) -> web.StreamResponse:
    """The case as this role may see it, with its moves, each allowed or with its reasons."""
    return await _case(request, await visible(request))


async def visible(request: web.Request) -> Around:
    """The case of this address, if it is this person's to see. Others learn nothing, not even that it exists."""
    return await gather(request.app[DESK], request.match_info["id"], request[SIGNED_IN].actor)


async def _case(request: web.Request, around: Around, status: int = 200) -> web.Response:
    actor = request[SIGNED_IN].actor
    await auth.looked(request, views.shown(around, actor))
    return answer(views.case_json(around, around.moves, actor, request.app[WORDS]), status)


async def make_move(request: web.Request) -> web.StreamResponse:
    """Makes a move: 409 when the case moved on, 422 with every reason when it is refused."""
    body = await body_of(request)
    desk, actor = request.app[DESK], request[SIGNED_IN].actor
    case = await seen(desk, request.match_info["id"], actor)
    command = MakeMove(
        command_id(body),
        request.match_info["id"],
        request.match_info["move"],
        member(body, "form", dict, default={}),
        member(body, "expected_version", int, default=None),
    )
    async with stills.with_picture(request, command, case) as whole:
        outcome = await desk.handle(whole, actor, signin=request[SIGNED_IN].signin)
    if outcome.repeated:  # an old answer shows what this person might see then; what they may see now decides
        now = await visible(request)
        if not views.sees_whole(now.case, actor):
            return await _case(request, now)
    return await _case(request, await after(desk, outcome, actor))


async def events(request: web.Request) -> web.StreamResponse:
    """The public side of the case's timing log, oldest first, for those whom the whole case concerns."""
    around = await visible(request)
    case, actor, words = around.case, request[SIGNED_IN].actor, request.app[WORDS]
    if not views.sees_whole(case, actor):
        raise Forbidden(Reason("not-allowed-here"))
    await auth.looked(request, {case.id: ["log"]})
    return answer({"events": [views.event_json(one, case, actor, words) for one in around.log]})


async def board(request: web.Request) -> web.StreamResponse:
    """Open cases with owner and clocks, the roster, the desk's capacity. References and clocks, no names of victims."""
    desk, words = request.app[DESK], request.app[WORDS]
    people, officers = await desk.people(), await desk.roster()
    capacity, flows = await desk.capacity(), desk.definitions.workflows
    rows = [row for row in await desk.open_cases() if row.workflow in flows]
    return answer(
        {
            "cases": [views.board_row(row, flows[row.workflow], people, words) for row in rows],
            "roster": [
                {"id": o.id, "name": people[o.id].name, "status": o.duty, "free": o.free}
                for o in officers.values()
                if o.id in people
            ],
            "capacity": {"on_duty": capacity.on_duty, "free": capacity.free},
            "position": capacity.position,
        }
    )


async def duty(request: web.Request) -> web.StreamResponse:
    """An officer comes on duty, takes a break or goes off."""
    body, actor = await body_of(request), request[SIGNED_IN].actor
    officer = member(body, "officer", str, default=actor.id)
    await request.app[DESK].handle(SetDuty(command_id(body), officer, member(body, "status", str)), actor)
    return web.Response(status=204)


# --- Demo, health ------------------------------------------------------------------------------------------------


async def demo_outbox(request: web.Request) -> web.StreamResponse:
    """Demo mode: the messages that would have been sent, with their links."""
    if not request.app[SETTINGS].demo:
        raise Forbidden(Reason("not-allowed-here"))
    store = request.app[DESK].store
    latest = await store.read(lambda session: messages.latest(session, store.sealer))
    return answer(
        {
            "messages": [
                {
                    "id": d.message.id,
                    "kind": d.message.kind,
                    "to": d.message.recipient,
                    "body": d.message.body,
                    "status": d.status,
                    "created_at": d.created_at,
                }
                for d in latest
            ]
        }
    )


async def live(request: web.Request) -> web.StreamResponse:
    """The process answers."""
    return answer({"status": "alive"})


async def ready(request: web.Request) -> web.StreamResponse:
    """The log can be written and read. Degraded: it is not what was signed before, and its head is signed no more; or
    a witness has seen another. What else cannot be anchored is told without its name: anybody may read this. Warnings
    keep nobody from working: `clock-` and what is wrong with the wall clock."""
    desk, anchoring = request.app[DESK], request.app[ANCHORING]
    await desk.store.probe()
    told: dict[str, object] = {"status": "ready", "position": await desk.store.position()}
    if desk.store.refusal:
        told |= {"status": "degraded", "reason": f"log-{desk.store.refusal.code}"}
    elif anchoring.alarm:
        told |= {"status": "degraded", "reason": anchoring.alarm}
    if anchoring.troubles:
        told["anchors"] = [{"code": one.code, "since": iso(one.since)} for one in anchoring.troubles]
    health = rendering.health_of(request.app, desk.observe())
    if health != "synchronised":
        told["warnings"] = [f"clock-{health}"]
    return answer(told)
