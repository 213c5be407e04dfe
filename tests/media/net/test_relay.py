"""Two real browsers that reach the media plane through a real TURN server alone, over each of its transports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.media.net import turnserver
from tests.media.net.conftest import Visit, room, trusting
from tests.media.net.network import Network

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

SERVER, MEDIA, CALLER = "10.77.1.1", "10.77.1.10", "10.77.1.2"


async def until(page: Any, goal: Callable[[dict[str, Any]], bool], within_s: float = 15.0) -> dict[str, Any]:
    """What the page measures, once it is so."""
    now: dict[str, Any] = {}
    for _ in range(int(within_s / 0.2)):
        now = await page.evaluate("window.measure()")
        if goal(now):
            return now
        await asyncio.sleep(0.2)
    raise AssertionError(now)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_call_goes_through_the_turn_server_alone(tmp_path: Path, visit: Visit, transport: str) -> None:
    turnserver.program()
    network = Network()
    try:
        here, away = network.place("here"), network.place("away")
        network.wire((here, "wlan0", f"{SERVER}/24"), (away, "wlan0", f"{CALLER}/24"))
        here.run("ip", "address", "add", f"{MEDIA}/24", "dev", "wlan0")
        server = turnserver.written(tmp_path, SERVER, MEDIA)
        # Nothing but the page and the TURN server answers the browser: a call that is up went through it.
        for port in ("3478", "5349", "8080"):
            away.run("ip", "rule", "add", "dport", port, "lookup", "main", "priority", "100")
        away.run("ip", "rule", "add", "to", "10.77.1.0/24", "blackhole", "priority", "200")
        url = server.url(transport)
        with (
            turnserver.running(here, server, tmp_path),
            room(here, f"{MEDIA}:8080", url, RVR_TURN_SECRET=server.secret) as opened,
        ):
            victim = await visit(away, opened.url, "victim", trusting(server.cert))
            officer = await visit(here, opened.url, "officer", trusting(server.cert))
            for page in (victim, officer):
                await page.evaluate("call.join()")
            for page in (victim, officer):
                now = await until(page, lambda now: now["framesDecoded"] > 10 and now["videoWidth"] > 0)
                assert now["protocol"] == transport
            await asyncio.to_thread(opened.until, "two_way")
    finally:
        network.close()
