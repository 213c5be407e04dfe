"""The screens: plain HTML, filled from `views`, and the fragments that the live feed sends.

Every page works without script as ordinary forms and links. A page asks the desk, never the log; what somebody may be
shown is decided in `views`, and what was shown is in the access log before it leaves.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from markupsafe import Markup
from sqlmodel import col

from rvr.core import forms
from rvr.core.case import Case
from rvr.core.commands import Actor, MakeMove, OpenCase, SetDuty
from rvr.core.errors import Forbidden, NotFound, Reason, Refused, RvrError, Stale, Unavailable
from rvr.core.events import Recorded
from rvr.core.moment import iso
from rvr.core.workflow import Group, Workflow
from rvr.desk import Desk
from rvr.messages import Catalogue
from rvr.store import messages
from rvr.store.tables import AccountRow, CaseRow, OfficerRow, every
from rvr.web import auth, form_views, rendering, views
from rvr.web.context import CASE_ID, DESK, MEDIA, SETTINGS, SIGNED_IN, WORDS, SignedIn

FRAGMENT = "X-RVR-Fragment"
"""A form that is sent by script asks with this header for the case's fragment in place of a redirect: during a call
the page must not be left."""

LIVE_HOMES = frozenset({"sergeant", "call_handler", "officer", "resourcing", "investigator"})

SECRETS = frozenset({"demo_password", "key_file"})
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
    if role in LIVE_HOMES:
        return _page(request, "home.html", board=Markup(await board_fragment(request.app, signed)))  # noqa: S704
    if role in ("evaluator", "administrator"):
        return _see_other("/evaluation" if role == "evaluator" else "/admin")
    return _page(request, "plain.html")


async def sign_in(request: web.Request) -> web.StreamResponse:
    """Signs in, or says beside the form why not."""
    auth.check_origin(request)
    post = await auth.form_of(request)
    username, password = str(post.get("username", "")).strip(), str(post.get("password", ""))
    try:
        _, token = await auth.sign_in(request, username, password)
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


async def set_duty(request: web.Request) -> web.StreamResponse:
    """An officer's duty."""
    post, actor = await auth.form_of(request), request[SIGNED_IN].actor
    command = SetDuty(_command_id(post), str(post.get("officer", "")) or actor.id, str(post.get("status", "")))
    try:
        await request.app[DESK].handle(command, actor)
    except Refused as refused:
        if not any(reason.code == "duty-already" for reason in refused.reasons):
            raise
    return _see_other("/")


def _command_id(post: Mapping[str, Any]) -> str:
    given = str(post.get("command_id", ""))
    return given if 8 <= len(given) <= 64 else str(uuid.uuid4())


# --- Boards ------------------------------------------------------------------------------------------------------


async def board_fragment(app: web.Application, signed: SignedIn) -> str:
    """What this person's home shows now: references and clocks, no names of victims."""
    desk, words = app[DESK], app[WORDS]
    people, roster = await desk.people(), await desk.roster()
    flows = desk.definitions.workflows
    role = rendering.home_of(signed)
    cases = await (_decided(desk) if role == "investigator" else desk.open_cases())
    rows = [
        views.board_row(row, flows[row.workflow], people, words) | {"linked": _linked_for(row, signed)}
        for row in cases
        if row.workflow in flows and _on_board(row, signed, role)
    ]
    rows.sort(key=views.board_order)
    flow = next(iter(flows.values()))
    context = {
        "rows": rows,
        "mine": [row for row in rows if row["officer"] and row["officer"]["id"] == signed.actor.id],
        "roster": views.roster_rows(roster, people, words),
        "capacity": await desk.capacity(),
        "desk_open": views.desk_is_open(flow, desk.observe()),
        "me": signed.actor.id,
    }
    return rendering.render(app, "_board.html", signed, **context)


async def _decided(desk: Desk) -> list[CaseRow]:
    return await desk.store.read(
        lambda session: every(session, CaseRow, col(CaseRow.state).in_(("allocated", "filed", "closed")))
    )


def _on_board(row: CaseRow, signed: SignedIn, role: str) -> bool:
    match role:
        case "call_handler":
            return row.opened_by == signed.actor.id
        case "resourcing":
            running = {clock["clock"] for clock in row.clocks}
            return row.emergency or row.state == "deployment" or bool(running & {"attendance", "emergency_attendance"})
    return True


def _linked_for(row: CaseRow, signed: SignedIn) -> bool:
    """Whether the board links to the case: an officer's colleagues are shown the outline only."""
    return "officer" not in signed.roles or len(signed.roles) > 1 or row.officer == signed.actor.id


# --- Opening a case ----------------------------------------------------------------------------------------------


async def open_case_form(request: web.Request) -> web.StreamResponse:
    """The empty opening form."""
    return await _opening(request, {}, {}, ())


async def open_case(request: web.Request) -> web.StreamResponse:
    """Opens a case, or shows the form again with every fault beside its field."""
    desk, post = request.app[DESK], await auth.form_of(request)
    flow = next(iter(desk.definitions.workflows.values()))
    names = (*flow.opens_asks, *flow.opens_may_ask)
    form = form_views.form_from(post, flow, names, desk.observe().at)
    try:
        outcome = await desk.handle(OpenCase(_command_id(post), form, flow.id), request[SIGNED_IN].actor)
    except Refused as refused:
        values = {name: str(value) for name, value in post.items()}
        return await _opening(request, values, _errors(refused, request.app[WORDS]), _general(refused, request))
    request[CASE_ID] = outcome.case.id
    return _see_other(f"/cases/{outcome.case.id}")


async def _opening(
    request: web.Request, values: Mapping[str, str], errors: Mapping[str, str], general: tuple[str, ...]
) -> web.Response:
    flow = next(iter(request.app[DESK].definitions.workflows.values()))
    fields = form_views.fields_view(
        flow, flow.opens_asks, flow.opens_may_ask, "open", form_views.Choices(), values, errors
    )
    by_name = {one.name: one for one in fields}
    groups = [(group, [by_name.pop(name) for name in group.fields]) for group in flow.opens_groups]
    if by_name:
        groups.insert(0, (Group("", ()), list(by_name.values())))
    command_id = str(values.get("command_id") or uuid.uuid4())
    return _page(
        request,
        "open_case.html",
        status=422 if errors or general else 200,
        groups=groups,
        general=general,
        fields=fields,
        command_id=command_id,
    )


def _errors(error: RvrError, words: Catalogue) -> dict[str, str]:
    """Each field's faults, as one text."""
    told: dict[str, list[str]] = {}
    for reason in error.reasons:
        if reason.field:
            told.setdefault(reason.field, []).append(words.reason(reason))
    return {name: " ".join(texts) for name, texts in told.items()}


def _general(error: RvrError, request: web.Request) -> tuple[str, ...]:
    """The faults that belong beside no field."""
    return tuple(request.app[WORDS].reason(reason) for reason in error.reasons if not reason.field)


# --- The case ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trouble:
    """A move that was not made: its form is shown again as it was filled in."""

    move: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    general: tuple[str, ...] = ()
    status: int = 200
    stale: bool = False


NO_TROUBLE = Trouble()


async def case_page(request: web.Request) -> web.StreamResponse:
    """The case, as this person may see it."""
    return await _case_response(request, await _visible(request), NO_TROUBLE)


async def _visible(request: web.Request) -> Case:
    case = await request.app[DESK].case(request.match_info["id"])
    if not views.may_see(case, request[SIGNED_IN].actor):
        raise NotFound(Reason("no-such-case"))
    return case


async def make_move(request: web.Request) -> web.StreamResponse:
    """Makes a move: back to the case, or the form again with the reasons beside it."""
    desk, actor, post = request.app[DESK], request[SIGNED_IN].actor, await auth.form_of(request)
    case = await _visible(request)
    flow, _ = await desk.definition_of(case)
    move = flow.moves.get(request.match_info["move"])
    if move is None:
        raise NotFound(Reason("unknown-move", {"move": request.match_info["move"]}))
    form = form_views.form_from(post, flow, move.fields, desk.observe().at)
    command = MakeMove(_command_id(post), case.id, move.id, form, _version(post))
    try:
        await desk.handle(command, actor)
    except (Refused, Stale, Forbidden, Unavailable) as error:
        return await _case_response(request, await desk.case(case.id), _trouble(request, move.id, post, error))
    after = await desk.case(case.id)
    place = f"/cases/{case.id}" if views.may_see(after, actor) else "/"
    if FRAGMENT not in request.headers:
        return _see_other(place)
    if place == "/":
        return web.Response(status=200, headers={"X-RVR-Go": "/"})
    return await _case_response(request, after, NO_TROUBLE)


def _version(post: Mapping[str, Any]) -> int | None:
    given = str(post.get("expected_version", ""))
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


def _trouble(request: web.Request, move: str, post: Mapping[str, Any], error: RvrError) -> Trouble:
    words = request.app[WORDS]
    return Trouble(
        move=move,
        values={name: str(value) for name, value in post.items()},
        errors=_errors(error, words),
        general=tuple(_said(reason, words) for reason in error.reasons if not reason.field),
        status=error.status,
        stale=isinstance(error, Stale),
    )


def _said(reason: Reason, words: Catalogue) -> str:
    """A stale form is told what happened by the event's name as people read it."""
    if reason.code == "stale":
        what = words.name("event", str(reason.params["what"]))
        return words.say("page.stale", what=what, who=reason.params["who"] or words.say("page.the_desk"))
    return words.reason(reason)


async def _case_response(request: web.Request, case: Case, trouble: Trouble) -> web.Response:
    signed = request[SIGNED_IN]
    flow, _ = await request.app[DESK].definition_of(case)
    await auth.looked(request, case, views.shown_classes(case, flow, signed.actor))
    inner = await _case_inner(request.app, signed, case, trouble)
    if FRAGMENT in request.headers:
        return web.Response(text=inner, status=trouble.status, content_type="text/html")
    return _page(
        request,
        "case.html",
        status=trouble.status,
        case_id=case.id,
        reference=case.reference,
        inner=Markup(inner),  # noqa: S704 - made by our own template
        may_call="officer" in signed.roles,
        ice=json.dumps([server.for_browser() for server in request.app[MEDIA].ice_servers]),
    )


async def case_fragment(request: web.Request, case_id: str) -> str:
    """The case as it is now, for an open page. Raises NotFound for somebody who may no longer see it."""
    desk, signed = request.app[DESK], request[SIGNED_IN]
    case = await desk.case(case_id)
    if not views.may_see(case, signed.actor):
        raise NotFound(Reason("no-such-case"))
    flow, _ = await desk.definition_of(case)
    await auth.looked(request, case, views.shown_classes(case, flow, signed.actor))
    return await _case_inner(request.app, signed, case, NO_TROUBLE)


async def _case_inner(app: web.Application, signed: SignedIn, case: Case, trouble: Trouble) -> str:
    desk, words, actor = app[DESK], app[WORDS], signed.actor
    flow, instruments = await desk.definition_of(case)
    people, roster = await desk.people(), await desk.roster()
    moves = [view for view in await desk.moves(case, actor) if views.sees_whole(case, actor) or not view.move.asks]
    choices = _choices(case, flow, roster, people, words, instruments)
    made = _forms(case, flow, moves, choices, words, signed, trouble)
    context = {
        "case": views.case_json(case, flow, moves, actor, words, people),
        "whole": views.sees_whole(case, actor),
        "facts": views.facts_shown(case, flow, actor),
        "seat": views.live_seat(case, actor),
        "presence": views.presence_of(case),
        "forms": made,
        "next": [made[name] for name in flow.states[case.state].next if name in made],
        "other": _other(made, flow, case),
        "roles": actor.roles,
        "turn": _turn(case, flow, words, actor),
        "capacity": await desk.capacity(),
        "desk_open": views.desk_is_open(flow, desk.observe()),
        "wording": flow.wording,
        "trouble": trouble,
        "instrument": next((instruments[n] for n in flow.instruments if n in instruments), None),
        "criteria": flow.criteria,
        "labels": _labels(flow),
        "history": _history(await desk.log(case.id), people, words) if views.sees_whole(case, actor) else [],
    }
    return rendering.render(app, "_case.html", signed, **context)


def _turn(case: Case, flow: Workflow, words: Catalogue, actor: Actor) -> dict[str, Any] | None:
    """Whose step it is and what it is, in the state's words."""
    role, say = flow.states[case.state].acting(case.officer)
    if not role or not say:
        return None
    mine = role in actor.roles and (role != "officer" or case.officer == actor.id)
    return {"mine": mine, "who": words.name("role", role), "say": say}


def _choices(
    case: Case,
    flow: Workflow,
    roster: list[OfficerRow],
    people: Mapping[str, AccountRow],
    words: Catalogue,
    instruments: Mapping[str, Any],
) -> form_views.Choices:
    kinds = dict(_labels(flow)["action_kind"])
    still_open = tuple((a.id, kinds.get(a.kind, a.kind)) for a in case.actions.values() if not a.result)
    return form_views.Choices(form_views.officers_to_choose(roster, people, words), still_open, instruments)


def _labels(flow: Workflow) -> dict[str, dict[str, str]]:
    """The words of each field's options."""
    return {
        one.id: {str(option.value): str(option.label) for option in forms.options_of(flow, one)}
        for one in flow.fields.values()
    }


def _forms(
    case: Case,
    flow: Workflow,
    moves: list[Any],
    choices: form_views.Choices,
    words: Catalogue,
    signed: SignedIn,
    trouble: Trouble,
) -> dict[str, form_views.FormView]:
    known = form_views.known_values(case, flow, signed.actor)
    if trouble.move and trouble.move not in [view.move.id for view in moves]:
        trouble = NO_TROUBLE
    made = {}
    for view in moves:
        troubled = view.move.id == trouble.move
        values, errors = (trouble.values, trouble.errors) if troubled else (known if view.move.corrects else {}, {})
        made[view.move.id] = form_views.form_view(view, case, flow, words, choices, values, errors)
    return made


def _other(made: Mapping[str, form_views.FormView], flow: Workflow, case: Case) -> list[form_views.FormView]:
    """Moves that stand apart: those that can be made first."""
    apart = {*flow.states[case.state].next, "dispatch_emergency"}
    rest = [form for name, form in made.items() if name not in apart and form.allowed]
    return sorted(rest, key=lambda form: form.tone == "warning")


def _history(log: list[Recorded], people: Mapping[str, AccountRow], words: Catalogue) -> list[dict[str, Any]]:
    """What happened, newest first, in words; the same thing many times in a row by one person is one line."""
    told: list[dict[str, Any]] = []
    for recorded in reversed(log):
        event = recorded.event
        if told and (told[-1]["type"], told[-1]["by"]) == (event.type, event.by):
            told[-1]["times"] += 1
            continue
        who = people.get(event.by)
        told.append(
            {
                "version": recorded.version,
                "type": event.type,
                "by": event.by,
                "times": 1,
                "what": words.name("event", event.type),
                "who": who.name if who else words.name("role", event.by_role),
                "at": iso(event.at.at),
                "stated": event.stated_at,
            }
        )
    return told


# --- The victim's page, the demo's outbox ------------------------------------------------------------------------


async def join_page(request: web.Request) -> web.StreamResponse:
    """The victim's only page: the same for everybody, and looking at it changes nothing here.

    The browser gets its cookie before the first tap: if the answer to that is lost, the next tap is still its own.
    """
    response = _page(request, "join.html")
    if auth.cookie_name(request, "rvr_j") not in request.cookies:
        auth.set_cookie(response, request, "rvr_j", secrets.token_urlsafe(32))
    return response


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


# --- Evaluation, administration, workflows -----------------------------------------------------------------------


async def evaluation_page(request: web.Request) -> web.StreamResponse:
    """Where the data package is downloaded."""
    flows = request.app[DESK].definitions.workflows.values()
    return _page(request, "evaluation.html", flows=list(flows), position=await request.app[DESK].store.position())


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
        open_cases=len(await desk.open_cases()),
        listeners=len(desk.hub),
    )


async def workflow_page(request: web.Request) -> web.StreamResponse:
    """One workflow as people read it: its table of moves, its clocks, its questions."""
    flow = request.app[DESK].definitions.workflows.get(request.match_info["id"])
    if flow is None:
        raise NotFound(Reason("no-such-workflow"))
    moves = {state: [(move, _targets(move, flow)) for move in flow.open_to(state)] for state in flow.states}
    return _page(request, "workflow.html", flow=flow, moves=moves)


def _targets(move: Any, flow: Workflow) -> list[str]:
    return [flow.states[branch.state].name for branch in move.to if branch.state]
