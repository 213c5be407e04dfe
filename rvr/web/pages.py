"""The screens around the case: signing in, homes, the opening form, administration.

Every page works without script as ordinary forms and links. A page asks the desk, never the log; what somebody may be
shown is decided in `views`, and what was shown is in the access log before it leaves.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web
from markupsafe import Markup

from rvr.core.commands import Actor, OpenCase, SetDuty
from rvr.core.errors import Forbidden, NotFound, NotSignedIn, Reason, Refused, RvrError, TooMany
from rvr.core.moment import iso
from rvr.core.workflow import Group, Workflow
from rvr.store import messages
from rvr.web import auth, boards, case_page, confirming, form_views, rendering
from rvr.web.choices import Choices
from rvr.web.context import ANCHORING, DESK, SETTINGS, SIGNED_IN, WORDS

SECRETS = frozenset({"demo_password", "key_file", "database"})
"""Settings that no screen shows."""


def _page(request: web.Request, template: str, *, status: int = 200, **context: Any) -> web.Response:
    html = rendering.render(request.app, template, request.get(SIGNED_IN), **context)
    return web.Response(text=html, status=status, content_type="text/html")


def _see_other(place: str) -> web.Response:
    return web.Response(status=303, headers={"Location": place})


# --- Signing in, homes -------------------------------------------------------------------------------------------


async def home(request: web.Request) -> web.StreamResponse:
    """The sign-in page, or the person's own home."""
    signed = await auth.who(request)
    if signed is None:
        return _page(request, "sign_in.html", error="", username="")
    request[SIGNED_IN] = signed
    role = rendering.home_of(signed)
    match role:
        case "evaluator":
            return _see_other("/evaluation")
        case "auditor":
            return _see_other("/audit")
        case "administrator":
            return _see_other("/admin")
        case "plain":
            return _page(request, "plain.html")
    opens = opened_by(request.app[DESK].definitions.workflows.values(), signed.actor)
    order = request.query.get("order", "")
    order = order if order in boards.ORDERS else boards.URGENT
    position = await request.app[
        DESK
    ].store.position()  # before the board: what comes between is shown twice, not never
    board = Markup(await boards.fragment(request.app, signed, order))  # noqa: S704 - made by our own template
    wall = "wall" in request.query
    orders = list(boards.ORDERS)
    return _page(
        request, "home.html", board=board, position=position, opens=opens, order=order, orders=orders, wall=wall
    )


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Signs in, or says beside the form why not."""
    auth.check_origin(request)
    post = await auth.form_of(request)
    username, password = str(post.get("username", "")).strip(), str(post.get("password", ""))
    try:
        _, token = await auth.sign_in(request, username, password, str(post.get("code", "")))
    except RvrError as error:
        told = " ".join(request.app[WORDS].reason(reason) for reason in error.reasons)
        return _page(request, "sign_in.html", status=error.status, error=told, username=username)
    response = _see_other("/")
    auth.remember(response, request, token)
    return response


async def sign_out(request: web.Request) -> web.StreamResponse:
    """Ends the sign-in."""
    response = _see_other("/")
    await auth.sign_out(request, response)
    return response


async def confirm_page(request: web.Request) -> web.StreamResponse:
    """Asks whoever is signed in to prove it anew."""
    return _page(request, "confirm.html", to=confirming.place(request.query.get("to", "")), error="")


async def confirm(request: web.Request) -> web.StreamResponse:
    """Back to where that was asked for, or why not."""
    post = await auth.form_of(request)
    to = confirming.place(str(post.get("to", "")))
    try:
        await auth.confirm(request, str(post.get("password", "")), str(post.get("code", "")))
    except (NotSignedIn, TooMany) as error:
        told = " ".join(request.app[WORDS].reason(reason) for reason in error.reasons)
        return _page(request, "confirm.html", status=error.status, to=to, error=told)
    return _see_other(to)


async def set_duty(request: web.Request) -> web.StreamResponse:
    """An officer's duty."""
    post, actor = await auth.form_of(request), request[SIGNED_IN].actor
    officer, status = str(post.get("officer", "")) or actor.id, str(post.get("status", ""))
    command = SetDuty(form_views.command_id(post), officer, status)
    try:
        await request.app[DESK].handle(command, actor)
    except Refused as refused:
        if not any(reason.code == "duty-already" for reason in refused.reasons):
            raise
    return _see_other("/")


# --- Opening a case ----------------------------------------------------------------------------------------------


async def open_case_form(request: web.Request) -> web.StreamResponse:
    """The empty opening form of a workflow: of the one that is named, or of the first that this person may open."""
    flow = _to_open(request, request.query.get("workflow", ""))
    return await _opening(request, flow, {}, {}, ())


def _to_open(request: web.Request, wanted: str) -> Workflow:
    """Raises NotFound where there is no such workflow; whether this person may open it, the core says."""
    flows = request.app[DESK].definitions.workflows
    if wanted and wanted not in flows:
        raise NotFound(Reason("no-such-workflow"))
    return flows[wanted] if wanted else opened_by(flows.values(), request[SIGNED_IN].actor)[0]


def opened_by(flows: Iterable[Workflow], actor: Actor) -> list[Workflow]:
    """The workflows in which this person may open a case."""
    return [flow for flow in flows if not actor.roles.isdisjoint(flow.opens_who)]


async def open_case(request: web.Request) -> web.StreamResponse:
    """Opens a case, or shows the form again with every fault beside its field."""
    desk, post = request.app[DESK], await auth.form_of(request)
    flow = _to_open(request, str(post.get("workflow", "")))
    names = (*flow.opens_asks, *flow.opens_may_ask)
    form = form_views.form_from(post, flow, names, desk.observe().at)
    command, signed = OpenCase(form_views.command_id(post), form, flow.id), request[SIGNED_IN]
    try:
        outcome = await desk.handle(command, signed.actor, signin=signed.signin)
    except Refused as refused:
        values = {name: str(value) for name, value in post.items()}
        errors = form_views.errors_of(refused, request.app[WORDS])
        return await _opening(request, flow, values, errors, _general(refused, request))
    return case_page.leave(request, outcome.case.id)


async def _opening(
    request: web.Request,
    flow: Workflow,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    general: tuple[str, ...],
) -> web.Response:
    choices = Choices(flow, request.app[WORDS], request.app[DESK].observe())
    fields = form_views.fields_view(choices, flow.opens_asks, flow.opens_may_ask, "open", values, errors)
    by_name = {one.name: one for one in fields}
    groups = [(group, [by_name.pop(name) for name in group.fields]) for group in flow.opens_groups]
    if by_name:
        groups.insert(0, (Group("", ()), list(by_name.values())))
    command_id = str(values.get("command_id") or uuid.uuid4())
    return _page(
        request,
        "open_case.html",
        status=422 if errors or general else 200,
        workflow=flow,
        groups=groups,
        general=general,
        fields=fields,
        command_id=command_id,
    )


def _general(error: RvrError, request: web.Request) -> tuple[str, ...]:
    """The faults that belong beside no field."""
    return tuple(request.app[WORDS].reason(reason) for reason in error.reasons if not reason.field)


# --- The demo's outbox ------------------------------------------------------------------------------------------


async def outbox_page(request: web.Request) -> web.StreamResponse:
    """Demo: the messages as a phone would show them."""
    if not request.app[SETTINGS].demo:
        raise Forbidden(Reason("not-allowed-here"))
    store = request.app[DESK].store
    latest = await store.read(lambda session: messages.latest(session, store.sealer))
    shown = [
        {
            "to": delivery.message.recipient,
            "body": delivery.message.body,
            "status": delivery.status,
            "at": delivery.created_at,
        }
        for delivery in latest
    ]
    signed = await auth.who(request)
    if signed:
        request[SIGNED_IN] = signed
    return _page(request, "outbox.html", messages=shown)


# --- Administration ----------------------------------------------------------------------------------------------


async def admin_page(request: web.Request) -> web.StreamResponse:
    """What the desk runs on. No secret is shown."""
    desk, settings = request.app[DESK], request.app[SETTINGS]
    shown = [
        {
            "name": one.name,
            "value": getattr(settings, one.name),
            "unit": one.metadata["unit"],
            "help": one.metadata["help"],
            "changed": getattr(settings, one.name) != one.default,
        }
        for one in dataclasses.fields(settings)
        if one.name not in SECRETS
    ]
    people = sorted((await desk.people()).values(), key=lambda row: row.username)
    return _page(
        request,
        "admin.html",
        settings=shown,
        flows=list(desk.definitions.workflows.values()),
        instruments=list(desk.definitions.instruments.values()),
        people=people,
        position=await desk.store.position(),
        database=desk.store.place.where if desk.store.place.url else "",
        clock=_clock(request),
        open_cases=len(await desk.open_cases()),
        listeners=len(desk.hub),
        troubles=[
            {"say": f"anchor.{one.code}", "name": one.carrier.name, "since": iso(one.since)}
            for one in request.app[ANCHORING].troubles
        ],
    )


def _clock(request: web.Request) -> str:
    """How far the wall clock of this machine can be trusted, with the figures."""
    now, limit_ms = request.app[DESK].observe(), request.app[SETTINGS].clock_error_limit_ms
    figures = {"error_ms": -(-(now.error_us or 0) // 1000), "limit_ms": limit_ms}
    return request.app[WORDS].say(f"clock_health.{rendering.health_of(request.app, now)}", **figures)
