"""The least that a browser needs to sit in a room: a page with the product's own module, and signalling for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from rvr.media import MediaEngine, MediaRefused, MediaUnavailable

STATIC = Path(__file__).parents[2] / "static" / "js"
PAGE = """<!doctype html><title>call</title><video id="other" autoplay playsinline></video>
<script type="module" src="/page.js"></script>"""
SCRIPT = """
import { Call } from "/js/call.js";
const seat = location.hash.slice(1);
const other = document.getElementById("other");
const call = new Call({ url: `/media/${seat}`, csrf: "token", others: 2 });
window.call = call;
window.states = [];
call.addEventListener("state", (event) => window.states.push(event.detail.state));
call.addEventListener("remotestream", (event) => { other.srcObject = event.detail.stream; });
window.heard = [];
for (const type of ["audioonly", "deviceerror"]) {
  call.addEventListener(type, (event) => window.heard.push([type, event.detail.code]));
}
window.seen = [];
for (const type of ["state", "quality", "microphone", "other"]) {
  call.addEventListener(type, (event) => window.seen.push({ type, at: Date.now() / 1000, ...event.detail }));
}
// When pictures are shown and sound arrives, on the machine's clock (ms): for tests that measure breaks.
window.frames = [];
const shown = () => { window.frames.push(Date.now()); other.requestVideoFrameCallback(shown); };
other.requestVideoFrameCallback(shown);
window.sound = [];
let packets = 0;
setInterval(async () => {
  const { heardOther } = await call.stats();
  if (heardOther < packets || heardOther - packets >= 3) window.sound.push(Date.now());
  packets = heardOther;
}, 100);
window.measure = async () => ({ ...(await call.stats()), videoWidth: other.videoWidth, state: call.state });
"""


NO_ICE: Mapping[str, Any] = {"ice_servers": [], "ice_policy": "all", "ice_lifetime_s": 0}


Ice = Callable[[], Mapping[str, Any]]
Tell = Callable[[str, str, Mapping[str, Any]], None]


def ignored(seat: str, what: str, body: Mapping[str, Any]) -> None:
    """What the browsers tell, for a test that is about something else."""


def desk(engine: MediaEngine, offers: list[str], ice: Ice = lambda: NO_ICE, told: Tell = ignored) -> web.Application:
    """The page, the module, and the signalling, as the desk has it (`rvr.web.whip`). `ice`: the servers, for each join.

    `told`: gets what the browsers tell besides, as seat, kind and body.
    """

    async def way(_: web.Request) -> web.Response:
        return web.json_response(ice())

    async def tell(request: web.Request) -> web.Response:
        told(request.match_info["seat"], request.match_info["what"], await request.json())
        return web.Response(status=204)

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
        if engine.receives_apart:
            headers["Link"] = f'<{request.path}/receive>; rel="receive"'
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
    app.router.add_get("/media/{seat}", way)
    _add_receiving(app, engine)
    app.router.add_post("/media/{seat}/{what}", tell)
    app.router.add_get("/page.js", script)
    app.router.add_static("/js", STATIC)
    app.router.add_post("/media/{seat}", join)
    app.router.add_delete("/media/{seat}", leave)
    return app


def _add_receiving(app: web.Application, engine: MediaEngine) -> None:
    """The second exchange, where what is received comes over a connection of its own."""

    async def receive(request: web.Request) -> web.Response:
        offer = await engine.receive("room-1", request.match_info["seat"])
        return web.Response(text=offer, content_type="application/sdp", status=201)

    async def received(request: web.Request) -> web.Response:
        await engine.received("room-1", request.match_info["seat"], await request.text())
        return web.Response(status=204)

    app.router.add_post("/media/{seat}/receive", receive)
    app.router.add_patch("/media/{seat}/receive", received)
