"""A wall clock that nobody can rely on: administrators are told on every screen, others work on; health says it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar, web
from sqlmodel import col

from rvr.anchoring import Anchoring
from rvr.config import Settings
from rvr.core.commands import OpenCase
from rvr.core.moment import Moment
from rvr.desk import Desk
from rvr.media.rooms import Rooms
from rvr.people import HASHER, seed_demo
from rvr.realtime import Hub
from rvr.store import Store
from rvr.store.statements import put
from rvr.store.tables import AccountRow, every
from rvr.web.app import build
from tests.builders import HANDLER, OPENING, Universe, shipped
from tests.serving import PASSWORD, free_port
from tests.store.builders import Place

SAID = {
    "inaccurate": "may be wrong by more than the limit",
    "unsynchronised": "Nothing synchronises the clock of this machine",
    "unknown": "the call adjtimex is denied",
}


@dataclass
class Machine(Universe):
    """A universe whose kernel may refuse to tell how accurate its clock is."""

    untold: bool = False

    def __call__(self) -> Moment:
        return replace(self.at, untold=self.untold)

    def is_(self, health: str) -> None:
        self.error_us = {"synchronised": 3100, "inaccurate": 2_000_001}.get(health)
        self.untold = health == "unknown"


@dataclass
class At:
    """A desk that is served by this process, on a machine whose clock is the test's."""

    machine: Machine
    desk: Desk
    url: str

    async def page(self, username: str, path: str) -> str:
        async with ClientSession(self.url, cookie_jar=CookieJar(unsafe=True)) as browser:
            form = {"username": username, "password": PASSWORD}
            assert (await browser.post("/sign-in", data=form, headers={"Origin": self.url})).status == 200
            answer = await browser.get(path)
            assert answer.status == 200
            return await answer.text()

    async def ready(self) -> dict[str, object]:
        async with ClientSession(self.url) as anybody, anybody.get("/health/ready") as answer:
            assert answer.status == 200
            told: dict[str, object] = await answer.json()
            return told

    async def also_administrates(self, username: str) -> None:
        (row,) = await self.desk.store.read(
            lambda session: every(session, AccountRow, col(AccountRow.username) == username)
        )
        row.roles = [*row.roles, "administrator"]
        await self.desk.store.write(lambda connection: put(connection, row))


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[At]:
    machine, place, settings = Machine(), Place(tmp_path / "data", tmp_path / "keys.json"), Settings(port=free_port())
    store = Store(place, force="wmp", observe=machine)
    await store.start()
    desk = Desk(store, shipped(), Hub(), observe=machine, join_url="", link_text="{link}", new_id=machine.new_id)
    await desk.start()
    await seed_demo(desk, PASSWORD, HASHER)

    async def seen(*_: object) -> None: ...

    runner = web.AppRunner(build(desk, Rooms(seen, workers=1), settings, Anchoring(store, (), observe=machine)))
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.port).start()
    yield At(machine, desk, settings.base_url)
    await runner.cleanup()
    await store.close()


@pytest.mark.parametrize("health", SAID)
async def test_administrators_are_told_what_is_wrong_with_the_clock_and_nobody_else_is(at: At, health: str) -> None:
    at.machine.is_(health)
    for path in ("/admin", "/workflows"):
        assert (await at.page("admin", path)).count(SAID[health]) == 1
    board = await at.page("sergeant", "/")
    assert not any(text in board for text in SAID.values())
    at.machine.is_("synchronised")
    page = await at.page("admin", "/admin")
    assert not any(text in page for text in SAID.values())
    assert "Synchronised: wrong by 4 ms at most (limit 1500 ms)" in page


async def test_who_administrates_besides_other_work_is_told_there(at: At) -> None:
    at.machine.is_("unsynchronised")
    await at.also_administrates("sergeant")
    case = (await at.desk.handle(OpenCase("c", OPENING), HANDLER)).case.id
    for path in ("/", f"/cases/{case}", "/admin"):
        assert (await at.page("sergeant", path)).count(SAID["unsynchronised"]) == 1, path


async def test_a_clock_that_is_not_synchronised_is_a_warning_and_keeps_nobody_from_working(at: At) -> None:
    assert "warnings" not in await at.ready()
    for health in SAID:
        at.machine.is_(health)
        told = await at.ready()
        assert (told["status"], told["warnings"]) == ("ready", [f"clock-{health}"])


async def test_the_administration_shows_the_figures(at: At) -> None:
    at.machine.is_("inaccurate")
    assert "Inaccurate: may be wrong by 2001 ms (limit 1500 ms)" in await at.page("admin", "/admin")
