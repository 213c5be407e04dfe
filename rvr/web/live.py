"""The feed to open screens, as server-sent events: a snapshot, then each change.

Feed ids are the log's positions. Authority is asked again for each message, so that a person who is signed out stops
hearing within one message. Nothing here waits for a slow screen: the hub closes it, and it comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from rvr import links
from rvr.core import presence
from rvr.core.errors import BadInput, NotFound, Reason, RvrError
from rvr.desk import BOARD
from rvr.realtime import Listener, Message
from rvr.web import api, auth, pages, views
from rvr.web.context import DESK, SIGNED_IN, SignedIn

PING_S = 10
"""A comment this often: a screen that hears nothing for twice as long says that it is not live."""

PING = b": ping\n\n"

GATHER_S = 0.03
"""Changes that come within this time are shown together."""

RESUME = 500
"""A screen that missed more events than this gets a fresh snapshot instead."""


@contextlib.asynccontextmanager
async def _stream(
    request: web.Request, topics: list[str]
) -> AsyncIterator[tuple[web.StreamResponse, AsyncIterator[list[Message]]]]:
    """An open stream with what it is to hear. A reader that goes away ends it; that is no error."""
    hub = request.app[DESK].hub
    listener = hub.listen(topics)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    try:
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            yield response, _changes(listener)
    finally:
        hub.drop(listener)


def _frame(data: str, position: int, event: str = "") -> bytes:
    lines = [f"id: {position}", *([f"event: {event}"] if event else [])]
    lines += [f"data: {line}" for line in data.splitlines() or [""]]
    return ("\n".join(lines) + "\n\n").encode()


async def _changes(listener: Listener) -> AsyncIterator[list[Message]]:
    """Batches of messages; an empty one where nothing happened for a while. Ends when the hub closes the listener."""
    messages = listener.messages()
    pending: asyncio.Task[Message] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(messages))
            done, _ = await asyncio.wait({pending}, timeout=PING_S)
            if not done:
                yield []
                continue
            try:
                batch = [pending.result()]
            except StopAsyncIteration:
                return
            pending = None
            await asyncio.sleep(GATHER_S)
            while not listener.queue.empty() and not listener.closed:
                batch.append(listener.queue.get_nowait())
            yield batch
    finally:
        if pending is not None:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await pending


def _topics(request: web.Request) -> list[str]:
    topics = [topic for topic in request.query.get("topics", BOARD).split(",") if topic]
    if not topics or len(topics) > 10 or any(t != BOARD and not t.startswith("case/") for t in topics):
        raise BadInput(Reason("body-field", {"name": "topics"}))
    return topics


async def _check_topics(request: web.Request, signed: SignedIn, topics: list[str]) -> None:
    for topic in topics:
        if topic.startswith("case/"):
            found = await request.app[DESK].case(topic.removeprefix("case/"))
            if not views.may_see(found, signed.actor):
                raise NotFound(Reason("no-such-case"))


async def _still(request: web.Request, topics: list[str]) -> bool:
    """Whether this person may still hear these topics."""
    token = request.cookies.get(auth.cookie_name(request, "rvr_s"), "")
    signed = await auth.lookup(request, links.hash_of(token))
    if signed is None:
        return False
    try:
        await _check_topics(request, signed, topics)
    except RvrError:
        return False
    return True


async def fragments(request: web.Request) -> web.StreamResponse:
    """The pages' feed: the whole fragment of one topic, rendered anew for this person at each change."""
    signed, (topic, *_) = request[SIGNED_IN], _topics(request)
    await _check_topics(request, signed, [topic])

    async def render() -> str:
        if topic == BOARD:
            return await pages.board_fragment(request.app, signed)
        return await pages.case_fragment(request, topic.removeprefix("case/"))

    # The board changes with the roster; a case page shows the desk's capacity, so it hears the board as well.
    async with _stream(request, [topic, BOARD]) as (response, changes):
        last = await render()
        await response.write(_frame(last, await request.app[DESK].store.position()))
        async for batch in changes:
            if not await _still(request, [topic]):
                await response.write(_frame("", 0, "signed-out"))
                break
            html = await render() if batch else last
            await response.write(_frame(html, batch[-1].position) if html != last else PING)
            last = html
    return response


async def feed(request: web.Request) -> web.StreamResponse:
    """The programs' feed: JSON messages {position, topic, type, subject}; `Last-Event-ID` resumes."""
    signed, topics = request[SIGNED_IN], _topics(request)
    await _check_topics(request, signed, topics)
    async with _stream(request, topics) as (response, changes):
        for data, position, event in await _missed(request, topics):
            await response.write(_frame(json.dumps(data), position, event))
        async for batch in changes:
            if batch and not await _still(request, topics):
                break
            for one in batch:
                data = {"topic": one.topic, "type": one.type, "subject": one.subject}
                await response.write(_frame(json.dumps(data), one.position))
            if not batch:
                await response.write(PING)
    return response


async def _missed(request: web.Request, topics: list[str]) -> list[tuple[dict[str, Any], int, str]]:
    """What happened since `Last-Event-ID`, or a word that a fresh snapshot is needed."""
    desk = request.app[DESK]
    now, last = await desk.store.position(), request.headers.get("Last-Event-ID", "")
    if not last.isdigit() or now - int(last) > RESUME:
        return [({"topics": topics}, now, "snapshot")]
    missed = await desk.store.events_after(int(last), RESUME)
    return [
        ({"topic": topic, "type": one.event.type, "subject": one.stream.partition("/")[2]}, one.position, "")
        for one in missed
        for topic in topics
        if topic == one.stream or (topic == BOARD and one.stream.startswith(("case/", "officer/")))
    ]


async def victim(request: web.Request) -> web.StreamResponse:
    """The victim's own feed: the state of the call in one word, and nothing about the case."""
    link = await api.joined(request)
    async with _stream(request, [f"case/{link.case_id}"]) as (response, changes):
        last = ""
        async for _ in _first_then(changes):
            state = presence.victim_sees(await request.app[DESK].case(link.case_id))
            told = _frame(json.dumps({"type": "state", "state": state}), 0)
            await response.write(told if state != last else PING)
            last = state
            if state == "ended":
                break
    return response


async def _first_then(changes: AsyncIterator[list[Message]]) -> AsyncIterator[list[Message]]:
    """An empty batch at once, for the snapshot; then the changes."""
    yield []
    async for batch in changes:
        yield batch
