"""A page brings its own fragment along: the feed begins with what has changed since."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.in_process import House, Someone, in_process


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with in_process(tmp_path / "data") as house:
        yield house


async def position_of(someone: Someone, path: str) -> str:
    """Where the log was when this page was made, as the page says."""
    page = (await someone.get(path)).body
    found = re.search(r'data-live="[^"]+" data-position="(\d+)"', page)
    assert found, path
    return found[1]


async def nothing_comes(feed: Any) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(feed), 0.5)


async def test_a_page_that_shows_everything_is_sent_nothing_until_something_changes(house: House) -> None:
    sergeant, handler = await house.sign_in("sergeant"), await house.sign_in("handler")
    case = await handler.open_case()
    at = await position_of(sergeant, "/")
    async with sergeant.listening(f"/live?since={at}&topics=board") as feed:
        first = asyncio.ensure_future(anext(feed))
        await asyncio.sleep(0.5)
        assert not first.done()
        await handler.open_case(lpa="coventry")
        told = await asyncio.wait_for(first, 5)
        assert "event: board" in told
        assert told.count("data-case=") == 2
    at = await position_of(handler, f"/cases/{case}")
    async with handler.listening(f"/live?since={at}&topics=case/{case}") as feed:
        await nothing_comes(feed)


async def test_a_page_that_is_behind_is_sent_what_it_lacks_at_once(house: House) -> None:
    sergeant, handler = await house.sign_in("sergeant"), await house.sign_in("handler")
    at = await position_of(sergeant, "/")
    await handler.open_case()
    for since in (f"since={at}&", "since=0&", ""):
        async with sergeant.listening(f"/live?{since}topics=board") as feed:
            assert "event: board" in await asyncio.wait_for(anext(feed), 5), since


async def test_of_two_topics_only_the_one_that_was_not_shown_comes_at_once(house: House) -> None:
    sergeant, handler = await house.sign_in("sergeant"), await house.sign_in("handler")
    await handler.open_case()
    at = await position_of(sergeant, "/")
    async with sergeant.listening(f"/live?since={at},0&topics=board,waiting") as feed:
        assert "event: waiting" in await asyncio.wait_for(anext(feed), 5)
        await nothing_comes(feed)


@pytest.mark.parametrize("since", ["x", "-1", "1,2", "1" * 19])
async def test_what_is_no_position_is_refused(house: House, since: str) -> None:
    sergeant = await house.sign_in("sergeant")
    assert (await sergeant.get(f"/live?since={since}&topics=board")).status == 400


async def test_a_case_that_may_not_be_seen_is_gone_whatever_the_page_says_it_has_shown(house: House) -> None:
    handler, other = await house.sign_in("handler"), await house.sign_in("handler2")
    case = await handler.open_case()
    at = await house.desk.store.position()
    async with other.listening(f"/live?since={at}&topics=case/{case}") as feed:
        assert "event: gone" in await asyncio.wait_for(anext(feed), 5)
    refused = [row for row in await house.rows() if row.what.startswith("refused:")]
    assert [row.case_id for row in refused] == [case]
