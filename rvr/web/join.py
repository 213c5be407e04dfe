"""The victim's page, and what it may ask for. Nothing of the case goes there but the call and what is written in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast, get_args

from aiohttp import web

from rvr import joining
from rvr.attendance import Word
from rvr.core import presence
from rvr.core.commands import MakeMove
from rvr.core.errors import NotFound, Reason, Refused
from rvr.desk import Desk
from rvr.store.tables import LinkRow
from rvr.web import api, auth, by_link
from rvr.web.context import ATTENDANCE, DESK, MEDIA

Body = Mapping[str, Any]

CONSENTS = ("recording", "still")
"""Kinds of consent that the victim's page answers; all else is asked by a person."""

ANSWERS = ("given", "refused", "withdrawn")


@dataclass(frozen=True, slots=True)
class Action:
    """Something that the page asks for: the move that it is, and the move's form."""

    move: str
    form: Callable[[Body], dict[str, Any]] = lambda body: {}


def device_of(body: Body) -> dict[str, Any]:
    return {name: api.member(body, name, bool) for name in ("camera", "microphone")}


def _device(body: Body) -> dict[str, Any]:
    more = {"network": "network", "device_fault": "fault"}
    return device_of(body) | {name: api.member(body, said, str, default="") for name, said in more.items()}


def _consent(body: Body) -> dict[str, Any]:
    return {
        "consent_kind": api.one_of(body, "kind", CONSENTS),
        "consent_answer": api.one_of(body, "answer", ANSWERS),
    }


def _text(body: Body, *, name: str, said: str) -> dict[str, Any]:
    return {name: api.member(body, said, str)}


_guest = partial(_text, name="guest", said="guest")

ACTIONS: Mapping[str, Action] = {
    "device": Action("check_device", _device),
    "unsafe": Action("victim_unsafe"),
    "exit": Action("victim_exit"),
    "consent": Action("answer_consent", _consent),
    "admit": Action("admit_guest", _guest),
    "refuse": Action("refuse_guest", _guest),
    "hold": Action("hold_guest", _guest),
    "back": Action("let_guest_back", _guest),
    "message": Action("write_to_officer", partial(_text, name="message", said="text")),
    "not-alone": Action("victim_not_alone"),
    "camera": Action("answer_camera", partial(_text, name="camera_answer", said="answer")),
    "clear": Action("answer_private", partial(_text, name="private_answer", said="answer")),
}
"""What the victim's page may ask for, by the last part of its address."""


async def page(request: web.Request) -> web.StreamResponse:
    """The victim's only page: the same for everybody, and looking at it changes nothing here."""
    return by_link.page(request, "join.html")


async def enter(request: web.Request) -> web.StreamResponse:
    """Redeems a link by a tap, or finds the seat again by the cookie of the browser that redeemed it."""
    auth.check_origin(request)
    return await by_link.enter(request, await api.body_of(request), _told)


async def _told(desk: Desk, link: LinkRow) -> dict[str, Any]:
    found = await desk.case(link.case_id)
    wording = (await desk.definition_of(found)).wording
    return {**presence.victim_told(found), "wording": {kind: wording.get(kind, "") for kind in CONSENTS}}


async def action(request: web.Request) -> web.StreamResponse:
    """What the victim's page tells: how it is, what the device can do, an answer to a question, what was written, help,
    or quick exit."""
    name = request.match_info["action"]
    link = await by_link.joined(request, leaving=name == "exit")
    body = await api.body_of(request) if request.body_exists else {}
    if name == "present":
        request.app[ATTENDANCE].heard(link.case_id, cast("Word", api.one_of(body, "state", get_args(Word))))
        return web.Response(status=204)
    if name not in ACTIONS:
        raise NotFound(Reason("no-such-page"))
    asked = ACTIONS[name]
    command = MakeMove(by_link.press_of(name, body), link.case_id, asked.move, asked.form(body))
    try:
        await request.app[DESK].handle(command, joining.holder_of(link))
    except Refused:
        if name != "exit":  # leaving is never refused, whatever the case's state
            raise
    return await _left(request, link) if name == "exit" else web.Response(status=204)


async def _left(request: web.Request, link: LinkRow) -> web.Response:
    """Out of the room, and nothing is left in the browser."""
    found = await request.app[DESK].case(link.case_id)
    if found.session is not None:
        await request.app[MEDIA].leave(found.session.id, link.seat)
    response = web.Response(status=204, headers={"Clear-Site-Data": '"cache", "storage"'})
    auth.drop_cookie(response, request, by_link.COOKIES[False])
    return response
