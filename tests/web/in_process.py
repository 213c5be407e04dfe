"""A desk served in this process, whose clock can be moved, and people with browsers' manners. The media workers run."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, CookieJar, web
from aiohttp.test_utils import TestServer
from argon2 import PasswordHasher

from rvr import people, timekeeping
from rvr.anchoring import Anchoring
from rvr.config import Settings
from rvr.core.moment import Moment
from rvr.desk import Desk
from rvr.opening import open_desk
from rvr.serving import open_media
from rvr.store.tables import AccessRow, every
from rvr.web.app import build
from tests.serving import OPENING, PASSWORD, free_port

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SHIFT_S = 12 * 3600


@dataclass
class House:
    """The desk, and how far its clock is ahead."""

    desk: Desk
    url: str
    ahead: timedelta = timedelta()
    people: list[Someone] = field(default_factory=list)
    app: web.Application = field(default_factory=web.Application)

    def now(self) -> Moment:
        now = timekeeping.observe()
        ahead_ns = self.ahead // timedelta(microseconds=1) * 1000
        return dataclasses.replace(now, at=now.at + self.ahead, boottime_ns=now.boottime_ns + ahead_ns)

    def pass_by(self, **time: float) -> None:
        self.ahead += timedelta(**time)

    async def rows(self, after: int = 0) -> list[AccessRow]:
        """The rows of the access log behind this number."""
        return await self.desk.store.read(lambda session: every(session, AccessRow, AccessRow.seq > after))

    async def sign_in(self, username: str = "") -> Someone:
        """Somebody new at the door: a sign-in of its own."""
        someone = Someone(ClientSession(self.url, cookie_jar=CookieJar(unsafe=True)))
        self.people.append(someone)
        if username:
            answer = await someone.call("POST", "/api/v1/session", {"username": username, "password": PASSWORD})
            someone.me = answer.body
        return someone


@dataclass
class Answer:
    status: int
    body: Any
    """JSON, or text."""


@dataclass
class Someone:
    session: ClientSession
    me: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.me["id"])

    def _headers(self) -> dict[str, str]:
        return {"X-CSRF-Token": self.me["csrf"]} if self.me else {}

    async def call(self, method: str, path: str, body: Any = None, **sent: Any) -> Answer:
        headers = {**self._headers(), **sent.pop("headers", {})}
        sent |= {"json": body} if body is not None else {}
        async with self.session.request(method, path, headers=headers, allow_redirects=False, **sent) as got:
            if "json" in got.content_type:
                return Answer(got.status, await got.json(content_type=None))
            return Answer(got.status, (await got.read()).decode("utf-8", "replace"))

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def move(self, case: str, move: str, form: dict[str, Any] | None = None, **more: Any) -> Answer:
        body = {"command_id": str(uuid.uuid4()), "form": form or {}, **more}
        return await self.call("POST", f"/api/v1/cases/{case}/moves/{move}", body)

    async def open_case(self, **form: Any) -> str:
        body = {"command_id": str(uuid.uuid4()), "form": {**OPENING, **form}}
        return str((await self.call("POST", "/api/v1/cases", body)).body["id"])

    @contextlib.asynccontextmanager
    async def listening(self, path: str) -> AsyncIterator[Any]:
        """The open stream; `anext` gives its next event, without the comments."""
        async with self.session.get(path, headers=self._headers()) as got:
            yield _events(got.content) if got.status == 200 else _none(got.status)


async def _events(content: Any) -> AsyncIterator[str]:
    told = ""
    async for line in content:
        told += line.decode()
        if line == b"\n":
            if "data:" in told:
                yield told
            told = ""


async def _none(status: int) -> AsyncIterator[str]:
    yield f"refused {status}"


@contextlib.asynccontextmanager
async def in_process(data: Path, *, port: int = 0, **more: Any) -> AsyncIterator[House]:
    """A desk with the demo accounts, and with `more` settings."""
    port = port or free_port()
    settings = Settings(data=str(data), port=port, media_workers=1, signin_idle_s=SHIFT_S, **more)
    async with open_desk(settings) as desk, open_media(desk, settings) as media:
        await people.seed_demo(desk, PASSWORD, HASHER)
        house = House(desk, f"http://127.0.0.1:{port}")
        desk.observe = house.now
        anchors = Anchoring(desk.store, (), observe=desk.observe)
        house.app = build(desk, media, settings, anchors)
        server = TestServer(house.app, port=port)
        await server.start_server()
        try:
            yield house
        finally:
            for one in house.people:
                await one.session.close()
            await server.close()
