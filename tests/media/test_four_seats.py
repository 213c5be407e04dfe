"""Real browsers with an offer of four seats: who is in which slot, who joins late, leaves, drops and comes back."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright import async_api as playwright

from rvr.media import MediaUnavailable
from rvr.media.rooms import Rooms
from tests.janus import own_address
from tests.media.conftest import ROOM, Notebook, room
from tests.media.firefox import a_firefox
from tests.media.test_browsers import CHROMIUM, SWITCHES

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

PAGE = """<!doctype html><title>call</title>
<video autoplay playsinline muted></video><video autoplay playsinline muted></video>
<video autoplay playsinline muted></video>
<script>
const videos = [...document.querySelectorAll("video")];
let pc = null;
let camera = null;
async function join(seat) {
  pc?.close();
  const wanted = { width: 640, height: 480, frameRate: 30 };
  camera ??= await navigator.mediaDevices.getUserMedia({ audio: true, video: wanted });
  pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  for (const kind of ["audio", "video"]) pc.addTransceiver(camera.getTracks().find((one) => one.kind === kind), {
    direction: "sendrecv", streams: [camera],
  });
  for (const kind of ["audio", "video", "audio", "video"]) pc.addTransceiver(kind, { direction: "recvonly" });
  pc.getTransceivers().forEach((one, n) => {
    if (n % 2) videos[(n - 1) / 2].srcObject = new MediaStream([one.receiver.track]);
  });
  await pc.setLocalDescription(await pc.createOffer());
  for (;;) {
    const response = await fetch(`/media/${seat}`, { method: "POST", body: pc.localDescription.sdp });
    if (response.status === 201) {
      await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
      return;
    }
    if (response.status !== 503) throw new Error(`${response.status} ${await response.text()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
async function slots() {
  const seen = [];
  for (const one of pc.getTransceivers().filter((_, n) => n % 2)) {
    let frames = 0;
    (await one.receiver.getStats()).forEach((entry) => {
      if (entry.type === "inbound-rtp") frames = entry.framesDecoded ?? 0;
    });
    seen.push(frames);
  }
  return seen;
}
async function heard() {
  let packets = 0;
  (await pc.getStats()).forEach((entry) => {
    if (entry.type === "inbound-rtp" && entry.kind === "audio") packets += entry.packetsReceived;
  });
  return packets;
}
async function way() {
  const told = {};
  (await pc.getStats()).forEach((entry) => {
    if (entry.type === "candidate-pair" && entry.nominated) told.estimate = entry.availableOutgoingBitrate;
    if (entry.type === "transport") told.cipher = entry.srtpCipher;
    if (entry.type === "outbound-rtp" && entry.kind === "video") {
      Object.assign(told, { sent: entry.bytesSent, width: entry.frameWidth, limited: entry.qualityLimitationReason });
    }
  });
  return told;
}
</script>"""


@pytest.fixture
async def engine(notebook: Notebook, request: pytest.FixtureRequest) -> AsyncIterator[Rooms]:
    codec = getattr(request, "param", "VP8")
    rooms = Rooms(notebook, media_bind=own_address(), video_codec=codec, lost_after_s=1.5)
    await rooms.start()
    await rooms.want({ROOM: room()})
    yield rooms
    await rooms.close()


@pytest.fixture
async def url(engine: Rooms) -> AsyncIterator[str]:
    async def join(request: web.Request) -> web.Response:
        try:
            answer = await engine.join(ROOM, request.match_info["seat"], await request.text())
        except MediaUnavailable:
            return web.Response(status=503)
        return web.Response(text=answer, content_type="application/sdp", status=201)

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_post("/media/{seat}", join)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://localhost:{runner.addresses[0][1]}/"
    await runner.cleanup()


Visit = Callable[..., Awaitable[Any]]


@pytest.fixture
async def visit(url: str) -> AsyncIterator[Visit]:
    """`await visit("victim")`: a Chromium page in that seat; `firefox=True` for the other browser, `camera=FILE`."""
    async with AsyncExitStack() as stack:
        driver = await stack.enter_async_context(playwright.async_playwright())
        browsers: dict[Path | None, playwright.Browser] = {}

        async def open_page(seat: str, *, firefox: bool = False, camera: Path | None = None) -> Any:
            page: Any
            if firefox:
                page = await stack.enter_async_context(a_firefox())
            else:
                if camera not in browsers:
                    more = [f"--use-file-for-fake-video-capture={camera}"] if camera else []
                    browsers[camera] = await driver.chromium.launch(
                        executable_path=CHROMIUM, chromium_sandbox=False, args=[*SWITCHES, *more]
                    )
                context = await browsers[camera].new_context(permissions=["camera", "microphone"])
                page = await context.new_page()
            await page.goto(url)
            await page.evaluate(f"join('{seat}')")
            return page

        yield open_page
        for browser in browsers.values():
            await browser.close()


async def sees(page: Any, *slots: int, within_s: float = 12.0) -> None:
    """New pictures are decoded in these slots, and in no other."""
    before = await page.evaluate("slots()")
    now = before
    for _ in range(int(within_s / 0.2)):
        await asyncio.sleep(0.2)
        now = await page.evaluate("slots()")
        if all(now[slot] > before[slot] + 5 for slot in slots):
            break
    else:
        raise AssertionError(f"{before} became {now}")
    others = [slot for slot in range(3) if slot not in slots]
    after = await page.evaluate("slots()")
    assert [after[slot] for slot in others] == [now[slot] for slot in others]


async def test_a_third_person_joins_late_is_seen_by_both_and_leaves(
    engine: Rooms, notebook: Notebook, visit: Visit
) -> None:
    await engine.want({ROOM: room("partner")})
    victim, officer = await visit("victim"), await visit("officer")
    await notebook.until("two_way")
    for page in (victim, officer):
        await sees(page, 0)
    partner = await visit("partner")
    for page in (victim, officer, partner):
        await sees(page, 0, 1)
    assert (await victim.evaluate("way()"))["cipher"] == "SRTP_AEAD_AES_256_GCM"
    await engine.leave(ROOM, "partner")
    await asyncio.sleep(0.5)
    for page in (victim, officer):
        await sees(page, 0)
    assert not notebook.of("lost")


async def test_who_drops_and_rejoins_is_seen_again_in_the_same_slot_by_those_who_stayed(
    engine: Rooms, notebook: Notebook, visit: Visit
) -> None:
    await engine.want({ROOM: room("partner")})
    victim, officer, partner = [await visit(seat) for seat in ("victim", "officer", "partner")]
    await notebook.until("two_way")
    for page in (victim, officer, partner):
        await sees(page, 0, 1)
    for _ in range(2):
        await victim.evaluate("join('victim')")
        await notebook.until("resumed", "victim")
        for page in (victim, officer, partner):
            await sees(page, 0, 1)
    assert len(notebook.of("two_way")) == 1


async def test_a_firefox_and_a_chromium_see_and_hear_each_other_and_a_third(
    engine: Rooms, notebook: Notebook, visit: Visit
) -> None:
    await engine.want({ROOM: room("partner")})
    victim = await visit("victim", firefox=True)
    officer = await visit("officer")
    await notebook.until("two_way", within_s=15)
    for page in (victim, officer):
        await sees(page, 0)
        packets = await page.evaluate("heard()")
        await asyncio.sleep(1)
        assert await page.evaluate("heard()") > packets + 20
    partner = await visit("partner")
    for page in (victim, officer, partner):
        await sees(page, 0, 1)
    await victim.evaluate("join('victim')")
    await notebook.until("resumed", "victim")
    for page in (victim, officer, partner):
        await sees(page, 0, 1)
    still = await engine.still(ROOM, "victim")
    assert (still.width, still.height) in ((640, 480), (320, 240)), "as it is sent: Firefox begins small"


@pytest.mark.parametrize("engine", ["H264"], indirect=True)
async def test_a_room_in_h264_is_seen_and_decoded_as_well(engine: Rooms, notebook: Notebook, visit: Visit) -> None:
    victim, officer = await visit("victim"), await visit("officer")
    two_way = await notebook.until("two_way", within_s=15)
    assert not [key for key in two_way.detail if key.startswith("picture:")]
    for page in (victim, officer):
        await sees(page, 0)
    await victim.evaluate("join('victim')")
    await notebook.until("resumed", "victim")
    for page in (victim, officer):
        await sees(page, 0)
    still = await engine.still(ROOM, "victim")
    assert (still.width, still.height) == (640, 480)
    await engine.leave(ROOM, "victim")
    told = (await notebook.until("quality", "victim")).detail
    assert told["width"] in ("640", "320")
    assert float(told["fps"]) > 3


def a_lively_picture(path: Path) -> Path:
    """640 x 480 with enough going on that an encoder spends what it may: a texture that moves."""
    dice = random.Random(20261123)
    wide = [bytes(dice.choice((40, 90, 140, 200)) for _ in range(200)) for _ in range(120)]
    rows = [b"".join(bytes([shade]) * 4 for shade in line) for line in wide]
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F30:1 Ip A1:1 C420jpeg\n")
        for n in range(30):
            luma = b"".join(rows[(y // 4 + n // 3) % 120][n * 4 : n * 4 + 640] for y in range(480))
            file.write(b"FRAME\n" + luma + bytes([128]) * (640 * 480 // 2))
    return path


async def test_the_picture_becomes_whole(notebook: Notebook, visit: Visit, tmp_path: Path) -> None:
    """640 x 480 and about 900 kbit/s, which takes feedback: without it Chromium stays near 300 for as long as it is
    asked. How soon is for `run.py bench media`: within three seconds on a machine that does nothing else.
    """
    camera = a_lively_picture(tmp_path / "camera.y4m")
    officer = await visit("officer", camera=camera)
    victim = await visit("victim", camera=camera)
    await notebook.until("two_way", within_s=15)
    told: list[dict[str, Any]] = [await victim.evaluate("way()")]
    while not _whole(told):
        assert len(told) < WHOLE_WITHIN_S, told
        await asyncio.sleep(1.0)
        told.append(await victim.evaluate("way()"))
    await sees(officer, 0)


WHOLE_WITHIN_S = 30


def _whole(told: list[dict[str, Any]]) -> bool:
    """What one second of the way says. A busy machine may make the encoder choose fewer pixels; the way may not."""
    if len(told) < 2:
        return False
    before, now = told[-2:]
    kbps = (now["sent"] - before["sent"]) * 8 / 1000
    picture = (kbps > 800 and now["width"] == 640) or now["limited"] == "cpu"
    return bool(now["estimate"] > 1_000_000 and picture)


async def test_a_killed_worker_gives_its_room_back_to_whoever_knocks(
    engine: Rooms, notebook: Notebook, visit: Visit
) -> None:
    victim, officer = await visit("victim"), await visit("officer")
    await notebook.until("two_way")
    os.kill(engine.worker_pids[0], 9)
    for page, seat in ((victim, "victim"), (officer, "officer")):
        await notebook.until("lost", seat)
        await page.evaluate(f"join('{seat}')")
    await notebook.until("resumed", within_s=15)
    for page in (victim, officer):
        await sees(page, 0)
