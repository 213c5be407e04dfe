"""Who is answered first when more is asked than can be answered, and where somebody asks from."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from rvr.config import SettingFault, Settings, load
from rvr.core.errors import TooMany
from rvr.web import crowd
from rvr.web.context import SETTINGS


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No turn ends by itself, however long this machine makes a test wait."""
    monkeypatch.setattr(crowd, "HELD_S", 60.0)


async def full(of: crowd.Crowd) -> list[crowd.Turn]:
    return [await of.turn("busy") for _ in range(crowd.IN_HAND)]


async def begun(*tasks: asyncio.Task[Any]) -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_of_those_who_wait_whoever_asked_least_is_answered_first(calm: None) -> None:
    here, told = crowd.Crowd(), []
    in_hand = await full(here)

    async def ask(address: str) -> None:
        turn = await here.turn(address)
        told.append(address)
        turn.end()

    asking = [asyncio.create_task(ask(address)) for address in ("busy", "busy", "flood", "flood", "flood", "rare")]
    await begun(*asking)
    assert told == []
    in_hand[0].end()
    await asyncio.gather(*asking)
    assert told[0] in ("flood", "rare"), "the first of each had asked once"
    assert told.index("rare") <= 1
    assert told[-2:] == ["busy", "busy"]
    for turn in in_hand:
        turn.end()


async def test_whoever_has_signed_in_goes_before_all_who_have_not(calm: None) -> None:
    here, told = crowd.Crowd(), []
    in_hand = await full(here)
    here.opened(b"somebody's")

    async def ask(address: str, cookie: bytes = b"") -> None:
        turn = await here.turn(address, cookie)
        told.append(address)
        turn.end()

    strangers = [asyncio.create_task(ask(f"stranger {n}", b"made up")) for n in range(3)]
    staff = asyncio.create_task(ask("busy", b"somebody's"))
    await begun(*strangers, staff)
    in_hand[0].end()
    await asyncio.gather(*strangers, staff)
    assert told[0] == "busy"
    for turn in in_hand:
        turn.end()


async def test_of_one_address_only_so_many_may_wait_and_others_still_do(calm: None) -> None:
    here = crowd.Crowd()
    in_hand = await full(here)
    waiting = [asyncio.create_task(here.turn("flood")) for _ in range(crowd.WAITING)]
    await begun(*waiting)
    with pytest.raises(TooMany):
        await here.turn("flood")
    other = asyncio.create_task(here.turn("other"))
    await begun(other)
    for turn in in_hand[:2]:  # one for the first of the flood, which had asked as little
        turn.end()
    (await other).end()
    for turn in in_hand[2:]:
        turn.end()
    for turn_given in asyncio.as_completed(waiting):
        (await turn_given).end()


async def test_who_goes_away_while_waiting_takes_nobodys_turn(calm: None) -> None:
    here = crowd.Crowd()
    in_hand = await full(here)
    gone, stays = (asyncio.create_task(here.turn(address)) for address in ("gone", "stays"))
    await begun(gone, stays)
    gone.cancel()
    late = asyncio.create_task(here.turn("late"))
    await begun(gone, late)
    late.cancel()  # in the same moment in which it is given the turn
    in_hand[0].end()
    in_hand[1].end()
    (await asyncio.wait_for(stays, 1)).end()
    for turn in in_hand[2:]:
        turn.end()
    again = [await asyncio.wait_for(here.turn("new"), 1) for _ in range(crowd.IN_HAND)]
    assert len(again) == crowd.IN_HAND, "as many as ever"
    for turn in again:
        turn.end()


async def test_what_lasts_long_keeps_nobody_waiting_longer_than_its_turn() -> None:
    here = crowd.Crowd()
    in_hand = await full(here)
    async with asyncio.timeout(crowd.HELD_S + 0.5):
        (await here.turn("somebody")).end()
    for turn in in_hand:
        turn.end()


def asked_from(remote: str, told: list[str], **settings: str) -> str:
    request = make_mocked_request(
        "GET",
        "/",
        headers=[("X-Forwarded-For", one) for one in told],  # type: ignore[arg-type]
        transport=SimpleNamespace(get_extra_info=lambda name, default=None: _told(name, remote, default)),
    )
    request.app[SETTINGS] = Settings(**settings)  # type: ignore[arg-type]
    return crowd.address_of(request)


def _told(name: str, remote: str, default: object) -> object:
    return (remote, 1) if name == "peername" else default


def test_an_address_is_believed_from_proxies_of_ours_alone_and_only_the_part_that_they_wrote() -> None:
    ours = {"trusted_proxies": "127.0.0.1 10.0.0.7"}
    assert asked_from("203.0.113.5", ["192.0.2.1"], **ours) == "203.0.113.5"
    assert asked_from("127.0.0.1", ["192.0.2.1"]) == "127.0.0.1"
    assert asked_from("127.0.0.1", ["192.0.2.1"], **ours) == "192.0.2.1"
    assert asked_from("127.0.0.1", ["198.51.100.1, 192.0.2.1, 10.0.0.7"], **ours) == "192.0.2.1"
    assert asked_from("127.0.0.1", ["198.51.100.1", "192.0.2.1"], **ours) == "192.0.2.1"
    assert asked_from("127.0.0.1", [], **ours) == "127.0.0.1"


def test_of_ipv6_a_household_counts_as_one() -> None:
    assert asked_from("2001:db8::1", []) == asked_from("2001:db8::ffff:1", []) == "2001:db8::/64"


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(SettingFault, match="trusted_proxies"):
        load({"trusted_proxies": "proxy.example"}, {})
