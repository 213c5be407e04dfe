"""Real calls over a line that is bad on purpose: what is sent then, and how a call comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.media.net.conftest import Visit
from tests.media.net.meeting import Meeting, meeting
from tests.media.net.network import GOOD, Line

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.slow]

BACK_S = 2.0
"""The issue's own limit: within two seconds of the network's return."""


@pytest.fixture
async def call(tmp_path: Path, visit: Visit) -> AsyncIterator[Meeting]:
    async with meeting(tmp_path, visit) as opened:
        opened.wire.both(Line(delay_ms=20))
        await opened.begins()
        yield opened


async def test_a_short_break_is_over_when_the_network_is_back_without_a_new_connection(call: Meeting) -> None:
    before = await call.joins()
    await asyncio.sleep(3)
    call.wire.cut()
    await asyncio.sleep(5)
    call.wire.mend()
    assert await call.flows_again(time.time()) < BACK_S, call.back
    assert await call.joins() == before
    states = [one["state"] for one in await call.told(call.victim, "state")]
    assert states[-2:] == ["reconnecting", "connected"]


async def test_after_a_long_break_the_seat_is_joined_anew_within_two_seconds(call: Meeting) -> None:
    before = await call.joins()
    call.wire.cut()
    await asyncio.sleep(25)
    call.wire.mend()
    assert await call.flows_again(time.time()) < BACK_S, call.back
    assert await call.joins() >= before


async def test_the_picture_gives_way_to_the_sound_and_comes_back_when_the_network_does(call: Meeting) -> None:
    call.wire.each(GOOD, Line(kbit_s=60))
    await call.until_step("audio", 30)
    taken = await call.steps()
    assert taken[0]["before"] == "video_480"
    assert {one["reason"] for one in taken} <= {"loss", "bandwidth", "delay"}
    for step in ("video_480", *(one["after"] for one in taken)):
        told = await asyncio.to_thread(call.room.until, "told_quality", "victim")
        assert told["after"] == step, "the desk hears of each step"
    framed = len(await call.officer.evaluate("window.frames"))
    since = time.time()
    await asyncio.sleep(3)
    assert len(await call.officer.evaluate("window.frames")) - framed < 5, "no picture goes out, late ones apart"
    assert await call.flows_again(since, picture=False) < 1, "the sound does"
    call.wire.both(GOOD)
    await call.until_step("stills", 30)
    await asyncio.sleep(1)
    framed = len(await call.officer.evaluate("window.frames"))
    await asyncio.sleep(6)
    assert 2 <= len(await call.officer.evaluate("window.frames")) - framed <= 5, "a picture every two seconds"
    await call.until_step("video_240", 30)
    assert (await call.steps())[-1]["reason"] == "recovered"


async def test_whoever_falls_silent_is_seen_to_be_away_within_three_seconds_on_the_other_screen(call: Meeting) -> None:
    await asyncio.sleep(2)
    cut = time.time()
    call.wire.cut()
    await asyncio.sleep(3)
    seen = [one for one in await call.told(call.officer, "other") if one["at"] >= cut]
    assert [one["heard"] for one in seen] == [False]
    call.wire.mend()
    await call.flows_again(time.time())
    assert [one["heard"] for one in await call.told(call.officer, "other") if one["at"] >= cut][-1] is True


async def test_another_network_under_the_call_is_taken_within_seconds(call: Meeting) -> None:
    """Wi-Fi goes, the mobile network has another address."""
    before = await call.joins()
    call.away.run("ip", "address", "add", "10.77.1.3/24", "dev", "wlan0")
    call.away.run("ip", "address", "delete", "10.77.1.2/24", "dev", "wlan0")
    call.away.run("ip", "address", "replace", "10.77.1.3/24", "dev", "wlan0")
    changed = time.time()
    assert await call.flows_again(changed + 0.5) < 5
    assert await call.joins() >= before
