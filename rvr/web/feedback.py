"""The page of a few questions afterwards: neutral, in the reader's language, and all that it knows is its link."""

from __future__ import annotations

from aiohttp import web

from rvr import joining
from rvr.core.feedback import QUESTIONS
from rvr.messages import catalogue, preferred
from rvr.web import api, auth, rendering
from rvr.web.context import DESK

ANSWERS = ("yes", "partly", "no")


async def page(request: web.Request) -> web.StreamResponse:
    """The same for everybody; looking at it changes nothing here, and it gives no cookie."""
    words = catalogue(preferred(request.headers.get("Accept-Language", "")))
    told = {"questions": QUESTIONS, "answers": ANSWERS, **rendering.spoken(words)}
    return web.Response(text=rendering.render(request.app, "feedback.html", None, **told), content_type="text/html")


async def answer(request: web.Request) -> web.StreamResponse:
    """Takes the answers, once. The token is all the right that there is, and nothing of the case is told for it."""
    auth.check_origin(request)
    body = await api.body_of(request)
    given = api.member(body, "answers", dict, default={})
    form = {f"fb_{name}": api.one_of(given, name, ANSWERS) for name in QUESTIONS if name in given}
    await joining.answer(request.app[DESK], api.member(body, "token", str)[:200], api.command_id(body), form)
    return web.Response(status=204)
