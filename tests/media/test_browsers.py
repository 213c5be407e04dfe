"""Two real browsers in one call through either engine, with the page's own module."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from playwright import async_api as playwright

from rvr.media import Room, Seat
from rvr.media.rooms import Rooms
from tests.media.firefox import a_firefox
from tests.media.page import desk

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

CHROMIUM = os.environ.get("RVR_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
SWITCHES = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture
def offers() -> list[str]:
    return []


@pytest.fixture
async def url(engine: Rooms, offers: list[str]) -> AsyncIterator[str]:
    runner = web.AppRunner(desk(engine, offers))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def visit(url: str) -> AsyncIterator[Callable[[str], Awaitable[Any]]]:
    """`await visit("victim")`: a page of its own browser context, sitting in that seat."""
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=False, args=SWITCHES)

        async def open_page(seat: str) -> Any:
            context = await browser.new_context(permissions=["camera", "microphone"])
            page = await context.new_page()
            await page.add_init_script(KEEP_CONNECTIONS)
            await page.goto(f"{url}/#{seat}")
            await page.wait_for_function("window.call")
            return page

        yield open_page
        await browser.close()


async def measured(page: Any, goal: Callable[[dict[str, Any]], bool], within_s: float = 10.0) -> dict[str, Any]:
    """Measure until the goal is met."""
    now: dict[str, Any] = {}
    for _ in range(int(within_s / 0.2)):
        now = await page.evaluate("window.measure()")
        if goal(now):
            return now
        await asyncio.sleep(0.2)
    raise AssertionError(now)


async def test_two_browsers_see_and_hear_each_other_and_find_back_after_a_crash(
    engine: Rooms, notebook: Any, visit: Callable[[str], Awaitable[Any]], offers: list[str]
) -> None:
    victim, officer = await visit("victim"), await visit("officer")
    await victim.evaluate("call.preview()")
    await victim.evaluate("call.join()")
    await notebook.until("first_frame", "victim")
    await officer.evaluate("call.join()")
    await notebook.until("two_way")

    for page in (victim, officer):
        first = await measured(page, lambda now: now["framesDecoded"] > 0 and now["videoWidth"] > 0)
        await measured(page, lambda now, first=first: now["framesDecoded"] > first["framesDecoded"] + 10)
        # The fake microphone beeps once a second.
        await measured(page, lambda now: now["audioLevel"] > 0.01)

    # No address of a browser is in what it signals.
    assert not [offer for offer in offers if re.search(r"a=candidate|\.local|192\.168\.|\b10\.\d", offer)]

    os.kill(engine.worker_pids[0], 9)
    await notebook.until("lost", "victim")
    await notebook.until("resumed", within_s=15)
    for page in (victim, officer):
        await measured(page, lambda now: now["state"] == "connected" and now["framesDecoded"] > 0)
    assert "reconnecting" in await victim.evaluate("states")

    again = len(notebook.of("gone", "victim"))  # a browser that comes back may need a second attempt
    await victim.evaluate("call.leave()")
    gone = await notebook.until("gone", "victim", times=again + 1, within_s=2)
    assert gone.detail["cause"] == "left"
    assert await victim.evaluate("call.state") == "ended"

    await officer.close(run_before_unload=False)
    gone = await notebook.until("gone", "officer", within_s=2)
    assert gone.detail["cause"] == "left", "closing the page tells the other side at once"


@pytest.mark.parametrize("media_bind", ["own"], indirect=True)  # Firefox makes no call over loopback
async def test_a_firefox_and_a_chromium_see_and_hear_each_other_and_one_finds_back(
    engine: Rooms, notebook: Any, visit: Callable[[str], Awaitable[Any]], url: str
) -> None:
    officer = await visit("officer")
    await officer.evaluate("call.join()")
    async with a_firefox() as victim:
        for again in range(2):
            await victim.goto(f"{url}/?{again}#victim")
            await victim.evaluate(ONCE_LOADED)
            await victim.evaluate("call.join().then(() => 0)")
            await notebook.until("resumed" if again else "two_way", within_s=20)
            for page in (victim, officer):
                first = await measured(page, lambda now: now["framesDecoded"] > 0 and now["videoWidth"] > 0)
                goal = partial(_goes_on, first)
                await measured(page, goal)
            assert (await engine.still("room-1", "victim")).width in (320, 640), "Firefox begins small"
        await victim.evaluate("call.leave()")
        await notebook.until("gone", "victim", times=2)


ONCE_LOADED = "(async () => { while (!window.call) await new Promise((go) => setTimeout(go, 50)); })()"


def _goes_on(first: dict[str, Any], now: dict[str, Any]) -> bool:
    return bool(now["framesDecoded"] > first["framesDecoded"] + 10 and now["heardOther"] > first["heardOther"] + 50)


WITHOUT = """([video, audio]) => {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const name = (wanted.video && video) || (wanted.audio && audio);
    if (name) throw new DOMException("", name);
    return real(wanted);
  };
}"""
"""Makes a device fail with this error name; an empty one lets it work."""

CODE = "(work) => eval(work).then(() => null, (error) => error.code)"


async def test_a_browser_without_a_camera_joins_with_sound_and_sees_the_other(
    notebook: Any, visit: Callable[[str], Awaitable[Any]]
) -> None:
    victim, officer = await visit("victim"), await visit("officer")
    await victim.evaluate(WITHOUT, ["NotFoundError", ""])
    await victim.evaluate("call.join()")
    await officer.evaluate("call.join()")
    assert await victim.evaluate("heard") == [["audioonly", "notfound"]]
    await measured(victim, lambda now: now["framesDecoded"] > 5 and now["videoWidth"] > 0)
    await measured(officer, lambda now: now["audioLevel"] > 0.01)
    assert not notebook.of("first_frame", "victim")


async def test_what_stands_in_the_way_of_a_call_is_told_by_a_code(visit: Callable[[str], Awaitable[Any]]) -> None:
    page = await visit("stranger")
    assert await page.evaluate(CODE, "call.join()") == "seat-unknown"
    assert await page.evaluate("states") == ["preview", "joining", "failed"]

    page = await visit("victim")
    await page.evaluate(WITHOUT, ["NotReadableError", "NotAllowedError"])
    assert await page.evaluate(CODE, "call.preview()") == "denied"
    await page.evaluate("call.leave()")
    assert await page.evaluate(CODE, "call.join()") == "ended"


BY_PLACE = """async () => {
  const found = {};
  for (const pc of window.connections.filter((one) => one.connectionState === "connected")) {
    const report = [...(await pc.getStats()).values()];
    for (const entry of report.filter(({ type }) => type === "inbound-rtp")) {
      found[entry.kind + entry.mid] = entry.kind === "video" ? entry.framesDecoded ?? 0 : entry.packetsReceived;
    }
  }
  return found;
}"""
"""What each section has received so far: frames decoded, or packets of sound."""

KEEP_CONNECTIONS = """
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); window.connections.push(this); }
};
"""


async def moving(page: Any) -> set[str]:
    """The sections on which something comes now."""
    before = await page.evaluate(BY_PLACE)
    await asyncio.sleep(1.0)
    return {section for section, count in (await page.evaluate(BY_PLACE)).items() if count > before.get(section, 0) + 3}


async def until_moving(page: Any, wanted: set[str], within_s: float = 8.0) -> None:
    end = asyncio.get_running_loop().time() + within_s
    while (now := await moving(page)) != wanted:
        assert asyncio.get_running_loop().time() < end, f"{sorted(now)} instead of {sorted(wanted)}"


FIRST, SECOND = {"audio0", "video1"}, {"audio2", "video3"}
"""The sections of the first and the second place."""


async def test_a_third_is_seen_when_let_in_put_on_hold_and_muted_as_the_desk_wants(
    engine: Rooms, notebook: Any, visit: Callable[[str], Awaitable[Any]]
) -> None:
    async def want(guest: Seat, victim: Seat) -> None:
        await engine.want({"room-1": Room((Seat("officer"), victim, guest))})

    free = Seat("victim")
    await want(Seat("guest", admitted=False), free)
    pages = {}
    for seat in ("victim", "officer", "guest"):
        pages[seat] = await visit(seat)
        await pages[seat].evaluate("call.join()")
    await notebook.until("two_way")
    await until_moving(pages["officer"], FIRST)
    assert await moving(pages["guest"]) == set()

    await want(Seat("guest"), free)
    for page in pages.values():
        await until_moving(page, FIRST | SECOND)
    still = await engine.still("room-1", "guest")
    assert (still.width, still.height) == (640, 480)
    assert still.jpeg.startswith(b"\xff\xd8")

    await want(Seat("guest"), Seat("victim", muted=frozenset({"video"})))
    await until_moving(pages["officer"], {"audio0"} | SECOND)
    await want(Seat("guest"), Seat("victim", muted=frozenset({"audio"})))
    await until_moving(pages["officer"], {"video1"} | SECOND)
    await until_moving(pages["guest"], FIRST | {"video3"})

    await want(Seat("guest", admitted=False), free)
    await until_moving(pages["officer"], FIRST)
    await until_moving(pages["guest"], set())

    await want(Seat("guest"), free)
    await pages["victim"].close()  # and whoever is behind keeps the place
    await until_moving(pages["officer"], SECOND)
    pages["victim"] = await visit("victim")
    await pages["victim"].evaluate("call.join()")
    await until_moving(pages["officer"], FIRST | SECOND)
    assert (await notebook.until("resumed")).seat == "victim"
