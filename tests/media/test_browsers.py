"""Two real browsers in one call through the embedded engine, with the page's own module."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright import async_api as playwright

from rvr.media import MediaRefused, MediaUnavailable
from rvr.media.rooms import Rooms

pytestmark = pytest.mark.e2e

STATIC = Path(__file__).parents[2] / "static" / "js"
CHROMIUM = os.environ.get("RVR_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
SWITCHES = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
PAGE = """<!doctype html><title>call</title><video id="other" autoplay playsinline></video>
<script type="module" src="/page.js"></script>"""
SCRIPT = """
import { Call } from "/js/call.js";
const seat = location.hash.slice(1);
const other = document.getElementById("other");
const call = new Call({ url: `/media/${seat}`, csrf: "token" });
window.call = call;
window.states = [];
call.addEventListener("state", (event) => window.states.push(event.detail.state));
call.addEventListener("remotestream", (event) => { other.srcObject = event.detail.stream; });
window.heard = [];
for (const type of ["audioonly", "deviceerror"]) {
  call.addEventListener(type, (event) => window.heard.push([type, event.detail.code]));
}
window.measure = async () => ({ ...(await call.stats()), videoWidth: other.videoWidth, state: call.state });
"""


def desk(engine: Rooms, offers: list[str]) -> web.Application:
    """The least that a browser needs: a page, the module, and signalling."""

    async def join(request: web.Request) -> web.Response:
        assert request.headers["X-CSRF-Token"] == "token"
        assert request.content_type == "application/sdp"
        offers.append(await request.text())
        try:
            answer = await engine.join("room-1", request.match_info["seat"], offers[-1])
        except MediaRefused as refusal:
            return web.json_response({"code": refusal.code}, status=refusal.http_status)
        except MediaUnavailable:
            return web.Response(status=503)
        headers = {"Location": request.path}
        return web.Response(text=answer, content_type="application/sdp", status=201, headers=headers)

    async def leave(request: web.Request) -> web.Response:
        await engine.leave("room-1", request.match_info["seat"])
        return web.Response(status=204)

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def script(_: web.Request) -> web.Response:
        return web.Response(text=SCRIPT, content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/page.js", script)
    app.router.add_static("/js", STATIC)
    app.router.add_post("/media/{seat}", join)
    app.router.add_delete("/media/{seat}", leave)
    return app


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

    await victim.evaluate("call.leave()")
    gone = await notebook.until("gone", "victim", within_s=2)
    assert gone.detail["cause"] == "left"
    assert await victim.evaluate("states.at(-1)") == "ended"

    await officer.close(run_before_unload=False)
    gone = await notebook.until("gone", "officer", within_s=2)
    assert gone.detail["cause"] == "left", "closing the page tells the other side at once"


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
