"""From the tap to the first frame on both sides, in two Chromium through our forwarder on this machine, and how good
the picture is that follows. Part of `run.py bench media`.

A frame counts when the browser has put it on the screen (`requestVideoFrameCallback`). The camera is a film of its own,
with more in it than Chromium's test picture, which never needs half of the rate.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from aiohttp import web
from av.video.codeccontext import VideoCodecContext
from playwright import async_api as playwright

from rvr.media import Observation, Room, Seat
from rvr.media.rooms import Rooms
from tests.bench._clip import FPS, HEIGHT, SECONDS, WIDTH, frames
from tests.media.page import desk

CHROMIUM = os.environ.get("RVR_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
SWITCHES = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
WATCH = """
window.firstFrame = () => new Promise((resolve) => {
  const other = document.getElementById("other");
  other.requestVideoFrameCallback(() => resolve(performance.timeOrigin + performance.now()));
});
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); window.connections.push(this); }
};
window.shown = async () => {
  const report = [...(await window.connections.at(-1).getStats()).values()];
  const video = report.find(({ type, kind }) => type === "inbound-rtp" && kind === "video") ?? {};
  return [video.frameWidth ?? 0, video.frameHeight ?? 0, video.bytesReceived ?? 0, performance.now()];
};
"""
AIM_KBIT: Final = 900
LONGEST_S: Final = 20

BOTH: Final = Room((Seat("officer"), Seat("victim")))
HELD: Final = Room((Seat("officer", admitted=False), Seat("victim")))


def film(file: Path) -> Path:
    """The camera of both."""
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH, HEIGHT, "yuvj420p", Fraction(1, FPS)
    encoder.bit_rate = 20_000_000
    with file.open("wb") as out:
        for n, frame in enumerate(frames(FPS * SECONDS)):
            whole = frame.reformat(format="yuvj420p")
            whole.pts, whole.time_base = n, encoder.time_base
            out.writelines(bytes(packet) for packet in encoder.encode(whole))
    return file


class Stage:
    """An engine, the page, and a browser with the camera."""

    def __init__(self, engine: Rooms, url: str, browser: playwright.Browser) -> None:
        self.engine, self._url, self._browser = engine, url, browser

    async def sit(self, seat: str) -> Any:
        context = await self._browser.new_context(permissions=["camera", "microphone"])
        page = await context.new_page()
        await page.add_init_script(WATCH)
        await page.goto(f"{self._url}/#{seat}")
        await page.wait_for_function("window.call")
        return page


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    async def seen(observation: Observation) -> None:
        await engine.acknowledge(observation.worker, observation.number)

    engine = Rooms(seen)
    await engine.start()
    runner = web.AppRunner(desk(engine, []))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    camera = f"--use-file-for-fake-video-capture={film(folder / 'camera.mjpeg')}"
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=CHROMIUM, chromium_sandbox=False, args=[*SWITCHES, camera]
        )
        try:
            yield Stage(engine, f"http://127.0.0.1:{runner.addresses[0][1]}", browser)
        finally:
            await browser.close()
            await runner.cleanup()
            await engine.close()


Tap = Callable[[Stage, Any], Awaitable[float]]
"""What the officer does; gives when, in ms since 1970."""


async def _join(stage: Stage, officer: Any) -> float:
    return float(
        await officer.evaluate(
            "() => { const at = performance.timeOrigin + performance.now(); call.join(); return at; }"
        )
    )


async def _let_in(stage: Stage, officer: Any) -> float:
    at = time.time() * 1000
    await stage.engine.want({"room-1": BOTH})
    return at


async def _cold(stage: Stage, officer: Any) -> Tap:
    return _join


async def _camera_open(stage: Stage, officer: Any) -> Tap:
    await officer.evaluate("call.preview().then(() => 0)")
    await asyncio.sleep(0.5)
    return _join


async def _connected(stage: Stage, officer: Any) -> Tap:
    await officer.evaluate("call.join().then(() => 0)")
    await officer.wait_for_function("call.state === 'connected'")
    await asyncio.sleep(1.0)
    return _let_in


WAYS: dict[str, tuple[Room, Callable[[Stage, Any], Awaitable[Tap]], int]] = {
    "connected beforehand, let in by the desk": (HELD, _connected, 80),
    "camera open": (BOTH, _camera_open, 200),
    "cold": (BOTH, _cold, 400),
}


async def taken(stage: Stage, way: str) -> float:
    """Milliseconds from the tap until both have seen the other."""
    room, prepared, _ = WAYS[way]
    await stage.engine.want({"room-1": room})
    victim, officer = await stage.sit("victim"), await stage.sit("officer")
    await victim.evaluate("call.join().then(() => 0)")
    await victim.wait_for_function("call.state === 'connected'")
    await asyncio.sleep(0.3)
    tap = await prepared(stage, officer)
    seen = [asyncio.ensure_future(page.evaluate("firstFrame()")) for page in (victim, officer)]
    await asyncio.sleep(0.05)
    at = await tap(stage, officer)
    both = await asyncio.wait_for(asyncio.gather(*seen), LONGEST_S)
    for page in (officer, victim):
        await page.evaluate("call.leave()")
        await page.context.close()
    await stage.engine.want({})
    return float(max(both)) - at


async def picture(stage: Stage) -> tuple[float, list[float]]:
    """When after the first frame it was whole and 900 kbit/s at both (s), and kbit/s in each second after three."""
    await stage.engine.want({"room-1": BOTH})
    victim, officer = await stage.sit("victim"), await stage.sit("officer")
    for page in (victim, officer):
        await page.evaluate("call.join().then(() => 0)")
    await asyncio.gather(*(page.evaluate("firstFrame()") for page in (victim, officer)))
    start = time.monotonic()
    whole, kept = float("inf"), []
    before = [await page.evaluate("shown()") for page in (victim, officer)]
    while time.monotonic() - start < 13:
        await asyncio.sleep(1.0)
        now = [await page.evaluate("shown()") for page in (victim, officer)]
        rates = [(b[2] - a[2]) * 8 / (b[3] - a[3]) for a, b in zip(before, now, strict=True)]
        sizes = all(tuple(one[:2]) == (WIDTH, HEIGHT) for one in now)
        if sizes and min(rates) >= AIM_KBIT and whole == float("inf"):
            whole = time.monotonic() - start
        if time.monotonic() - start > 3:
            kept.append(min(rates) if sizes else 0.0)
        before = now
    for page in (officer, victim):
        await page.context.close()
    await stage.engine.want({})
    return whole, kept


async def measured(folder: Path, times: int, ways: list[str]) -> AsyncIterator[tuple[str, str, str]]:
    """Lines of what, figure and aim."""
    async with staged(folder) as stage:
        await taken(stage, "cold")  # what a browser does once only is no part of it
        for way in ways:
            found = sorted([await taken(stage, way) for _ in range(times)])
            late = found[min(len(found) - 1, int(len(found) * 0.9))]
            figure = f"median {statistics.median(found):.0f}, p90 {late:.0f}, most {found[-1]:.0f} ms of {times}"
            yield f"tap to the first frame on both sides, {way}", figure, f"{WAYS[way][2]} ms"
        whole, kept = await picture(stage)
        yield "first frame to 640x480 and 900 kbit/s at both", f"{whole:.1f} s", "3 s"
        yield (
            "  kept for ten seconds: least, median of the worse side",
            (f"{min(kept):.0f}, {statistics.median(kept):.0f} kbit/s"),
            "900 kbit/s",
        )
