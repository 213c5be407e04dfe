"""The feed to open screens, as server-sent events: a snapshot, then each change.

Feed ids are the log's positions. Authority is asked again for each message and each ping, and whenever an account
changes or a sign-in is ended: whoever is signed out stops hearing then. A browser holds one stream for all its tabs:
what may no longer be seen leaves it alone.
Nothing here waits for a slow screen: the hub closes it, and it comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from rvr import links
from rvr.core import presence
from rvr.core.case import Case
from rvr.core.errors import BadInput, NotFound, Reason, Unavailable
from rvr.desk import BOARD, ON_BOARD
from rvr.realtime import Listener, Message
from rvr.web import auth, boards, by_link, case_page, views
from rvr.web.context import DESK, SIGNED_IN

PING_S = 10
"""A comment this often: a screen that hears nothing for twice as long says that it is not live."""

PING = b": ping\n\n"

GATHER_S = 0.03
"""Changes that come within this time are shown together."""

TOPICS = 20
"""A stream has at most this many. A browser leaves out what is more, and says in those tabs that they are not live."""

WAITING = "waiting"
"""What waits on the board, in short, for every page that is not the board."""

TOPIC = re.compile(rf"{BOARD}|case/[0-9A-Za-z-]{{1,64}}")
"""It is the name of an event on the wire: nothing that could break a line."""

PAGES_TOPIC = re.compile(rf"{TOPIC.pattern}|{BOARD}/(?:{'|'.join(boards.ORDERS)})|{WAITING}")
"""What a page may follow beside: the board in an order of its own, and what waits on it."""

SINCE = re.compile(r"[0-9]{1,18}")
"""A position of the feed."""

GONE = "gone"
"""The one event of the pages' feed that is not named for a topic: its data is the topic."""

SNAPSHOT = "snapshot"

ON_THE_PAGE = "on the page"
"""In place of the fragment that a page brought along from its own answer."""

RESUME = 500
"""A screen that missed more events than this gets a fresh snapshot instead."""


@contextlib.asynccontextmanager
async def _stream(
    request: web.Request, topics: list[str]
) -> AsyncIterator[tuple[web.StreamResponse, AsyncIterator[list[Message]]]]:
    """An open stream with what it is to hear. A reader that goes away ends it; that is no error. So does a look that
    cannot be written down: who comes back is told why.
    """
    hub = request.app[DESK].hub
    listener = hub.listen(topics)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    try:
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
        with contextlib.suppress(
            ConnectionError, Unavailable
        ):  # who went before the first byte is found out by the first write
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


def _topics(request: web.Request, pattern: re.Pattern[str]) -> list[str]:
    topics = list(dict.fromkeys(topic for topic in request.query.get("topics", BOARD).split(",") if topic))
    if not topics or len(topics) > TOPICS or not all(pattern.fullmatch(topic) for topic in topics):
        raise BadInput(Reason("body-field", {"name": "topics"}))
    return topics


def _since(request: web.Request, topics: list[str]) -> dict[str, int]:
    """Topic -> the position at which the page that asks has shown it; 0 where it has not."""
    given = request.query.get("since", "")
    told = given.split(",") if given else ["0"] * len(topics)
    if len(told) != len(topics) or not all(SINCE.fullmatch(one) for one in told):
        raise BadInput(Reason("body-field", {"name": "since"}))
    return dict(zip(topics, map(int, told), strict=True))


async def _check_topics(request: web.Request, topics: list[str]) -> None:
    for topic in topics:
        if topic.startswith("case/"):
            found = await request.app[DESK].case(topic.removeprefix("case/"))
            if not views.may_see(found, request[SIGNED_IN].actor):
                raise NotFound(Reason("no-such-case"))


async def _still(request: web.Request) -> bool:
    """Whether this is still the person who was let in, with the same rights. If not, the stream ends; whoever comes
    back is asked at the door.
    """
    token = request.cookies.get(auth.cookie_name(request, "rvr_s"), "")
    signed = await auth.lookup(request, links.hash_of(token))
    return signed is not None and signed.actor == request[SIGNED_IN].actor


def _own(request: web.Request) -> str:
    return auth.person_topic(request[SIGNED_IN].actor.id)


# --- The pages' feed ---------------------------------------------------------------------------------------------


async def fragments(request: web.Request) -> web.StreamResponse:
    """Each topic's whole fragment in an event of the topic's name, rendered anew for this person at each change.

    The page's CSRF token says which sign-in asks: a tab that outlived its own must not hear by the next one's cookie.
    A page that was made at the position where the log still is shows all that there is: it is sent again by a change.
    """
    await auth.check_csrf(request, request[SIGNED_IN].csrf)
    topics = _topics(request, PAGES_TOPIC)
    since = _since(request, topics)
    # The board changes with the roster; a case page shows the desk's capacity, so it hears the board as well.
    async with _stream(request, [*topics, BOARD, _own(request)]) as (response, changes):
        position = await request.app[DESK].store.position()
        shown = {topic: ON_THE_PAGE if since[topic] == position else "" for topic in topics}
        first = Message(position, BOARD, SNAPSHOT)
        async for batch in _first_then(changes, first):
            if not await _still(request):
                break
            await _show(request, response, shown, batch)
            if not shown:
                break
            await response.write(PING)
    return response


async def _show(
    request: web.Request, response: web.StreamResponse, shown: dict[str, str], batch: list[Message]
) -> None:
    """What is new since `shown`, the topics that the batch is about first; `gone` for what may no longer be seen."""
    touched, begins = {one.topic for one in batch}, any(one.type == SNAPSHOT for one in batch)
    for topic in sorted(shown, key=lambda topic: topic not in touched):
        try:
            await _check_topics(request, [topic])
            same = not batch or (begins and shown[topic] == ON_THE_PAGE)
            html = shown[topic] if same else await _render(request, topic)
        except NotFound as error:
            if shown.pop(topic) in ("", ON_THE_PAGE):  # asked for, and never shown here
                await auth.refused(request, topic.removeprefix("case/"), error)
            await response.write(_frame(topic, 0, GONE))
            continue
        if html != shown[topic]:
            await response.write(_frame(html, batch[-1].position, topic))
            shown[topic] = html


async def _render(request: web.Request, topic: str) -> str:
    signed = request[SIGNED_IN]
    kind, _, which = topic.partition("/")
    if kind == BOARD:
        return await boards.fragment(request.app, signed, which or boards.URGENT)
    if kind == WAITING:
        return await boards.waiting(request.app, signed)
    return await case_page.fragment(request, which)


# --- The programs' feed, the victim's ----------------------------------------------------------------------------


async def feed(request: web.Request) -> web.StreamResponse:
    """The programs' feed: JSON messages {position, topic, type, subject}; `Last-Event-ID` resumes.

    Of the board it tells that a case changed; what happened is told to those whom the whole case concerns.
    """
    topics = _topics(request, TOPIC)
    for topic in topics:
        try:
            await _check_whole(request, [topic])
        except NotFound as error:
            await auth.refused(request, topic.removeprefix("case/"), error)
            raise
    told = {topic.removeprefix("case/"): ["log"] for topic in topics if topic != BOARD}
    await auth.looked(request, told)
    async with _stream(request, [*topics, _own(request)]) as (response, changes):
        for data, position, event in await _missed(request, topics):
            await response.write(_frame(json.dumps(data), position, event))
        async for batch in changes:
            if not await _may_hear(request, topics):
                break
            about = [one for one in batch if one.topic in topics]
            if any(one.topic != BOARD for one in about):
                await auth.looked(request, told)
            for one in about:
                await response.write(_frame(json.dumps(_told(one.topic, one.type, one.subject)), one.position))
            if not about:
                await response.write(PING)
    return response


def _told(topic: str, kind: str, subject: str) -> dict[str, str]:
    return {"topic": topic, "type": "changed" if topic == BOARD else kind, "subject": subject}


async def _check_whole(request: web.Request, topics: list[str]) -> None:
    for topic in topics:
        if topic != BOARD:
            found = await request.app[DESK].case(topic.removeprefix("case/"))
            if not views.sees_whole(found, request[SIGNED_IN].actor):
                raise NotFound(Reason("no-such-case"))


async def _may_hear(request: web.Request, topics: list[str]) -> bool:
    with contextlib.suppress(NotFound):
        await _check_whole(request, topics)
        return await _still(request)
    return False


async def _missed(request: web.Request, topics: list[str]) -> list[tuple[dict[str, Any], int, str]]:
    """What happened since `Last-Event-ID`, or a word that a fresh snapshot is needed."""
    desk = request.app[DESK]
    now, last = await desk.store.position(), request.headers.get("Last-Event-ID", "")
    known = last.isascii() and last.isdigit() and len(last) < 19 and 0 <= now - int(last) <= RESUME
    if not known:
        return [({"topics": topics}, now, "snapshot")]
    missed = await desk.store.events_after(int(last), RESUME)
    return [
        (_told(topic, one.event.type, one.stream.partition("/")[2]), one.position, "")
        for one in missed
        for topic in topics
        if topic == one.stream or (topic == BOARD and one.stream.partition("/")[0] in ON_BOARD)
    ]


async def victim(request: web.Request) -> web.StreamResponse:
    """The victim's own feed: the state of the call in one word, who is in it by role, and nothing about the case."""
    link = await by_link.joined(request)
    return await of_the_call(request, link.case_id, presence.victim_told)


async def of_the_call(
    request: web.Request, case_id: str, told_of: Callable[[Case], dict[str, Any]]
) -> web.StreamResponse:
    """What a page of the call is told, whenever that has changed; the stream ends with the call."""
    async with _stream(request, [f"case/{case_id}"]) as (response, changes):
        last: dict[str, Any] = {}
        async for _ in _first_then(changes, None):
            told = told_of(await request.app[DESK].case(case_id))
            await response.write(_frame(json.dumps({"type": "state", **told}), 0) if told != last else PING)
            last = told
            if told["state"] == "ended":
                break
    return response


async def _first_then(changes: AsyncIterator[list[Message]], first: Message | None) -> AsyncIterator[list[Message]]:
    """A batch at once, for the snapshot; then the changes."""
    yield [first] if first else []
    async for batch in changes:
        yield batch
