"""A call over a bad line: the victim's browser on a machine of its own behind it, the officer's, the media plane and a
TURN server on the other side.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.media.net import turnserver
from tests.media.net.conftest import Room, Visit, room, trusting
from tests.media.net.network import Network, Place, Wire

SERVER, MEDIA, CALLER = "10.77.1.1", "10.77.1.10", "10.77.1.2"
PORT = 8080

SETTLED = 5
"""So many pictures within a second are a picture that moves; one alone may have lain in some queue since before."""


@dataclass
class Meeting:
    victim: Any
    officer: Any
    room: Room
    wire: Wire
    away: Place
    back: dict[str, float] = field(default_factory=dict)
    """The parts of the last `flows_again`."""

    async def begins(self) -> float:
        """Both join; s until each sees the other move."""
        started = time.time()
        await asyncio.gather(*(page.evaluate("call.join()") for page in (self.victim, self.officer)))
        return await self.flows_again(started)

    async def flows_again(self, since: float, within_s: float = 20, *, picture: bool = True) -> float:
        """s from then until both hear, and see, each other."""
        what = ("sound", "frames") if picture else ("sound",)
        pages = {"victim": self.victim, "officer": self.officer}
        self.back = {
            f"{one} to {who}": round(await self._first(page, one, since, within_s) - since, 2)
            for who, page in pages.items()
            for one in what
        }
        return max(self.back.values())

    async def _first(self, page: Any, what: str, since: float, within_s: float) -> float:
        deadline = time.time() + within_s
        while True:
            times = [at / 1000 for at in await page.evaluate(f"window.{what}") if at / 1000 >= since]
            for n in range(len(times) - SETTLED + 1):
                if times[n + SETTLED - 1] - times[n] <= 1.0:
                    return float(times[n])
            assert time.time() < deadline, f"no {what} within {within_s} s: {await self.told(page)}"
            await asyncio.sleep(0.1)

    async def told(self, page: Any, kind: str = "") -> list[dict[str, Any]]:
        """What the page's call has raised, in order."""
        return [one for one in await page.evaluate("window.seen") if kind in ("", one["type"])]

    async def steps(self, since: float = 0.0) -> list[dict[str, Any]]:
        """The victim's steps on the ladder."""
        return [one for one in await self.told(self.victim, "quality") if one["at"] >= since]

    async def until_step(self, step: str, within_s: float) -> dict[str, Any]:
        deadline = time.time() + within_s
        while True:
            taken = await self.steps()
            if taken and taken[-1]["after"] == step:
                return taken[-1]
            assert time.time() < deadline, (step, taken, await self.victim.evaluate("window.measure()"))
            await asyncio.sleep(0.2)

    async def joins(self) -> int:
        """How often the victim's seat was connected anew."""
        await asyncio.to_thread(self.room.drain)
        connected = [one for one in self.room.seen if (one["kind"], one["seat"]) == ("connected", "victim")]
        return sum("again" not in one for one in connected)


@asynccontextmanager
async def meeting(folder: Path, visit: Visit, transport: str = "") -> AsyncIterator[Meeting]:
    """`transport`: udp, tcp or tls to the TURN server alone; without, straight to the media plane."""
    network = Network()
    with ExitStack() as open_:
        open_.callback(network.close)
        here, away = network.place("here"), network.place("away")
        wire = network.wire((here, "wlan0", f"{SERVER}/24"), (away, "wlan0", f"{CALLER}/24"))
        here.run("ip", "address", "add", f"{MEDIA}/24", "dev", "wlan0")
        urls, more, switches = (), {}, ()
        if transport:
            server = turnserver.written(folder, SERVER, MEDIA)
            open_.enter_context(turnserver.running(here, server, folder))
            urls, more, switches = (
                (server.url(transport),),
                {"RVR_TURN_SECRET": server.secret},
                (trusting(server.cert),),
            )
        opened = open_.enter_context(room(here, f"{MEDIA}:{PORT}", *urls, **more))
        victim = await visit(away, opened.url, "victim", *switches)
        officer = await visit(here, opened.url, "officer", *switches)
        yield Meeting(victim, officer, opened, wire, away)
