"""A room of the media plane in a process of its own, for a network namespace: `room.py ADDRESS:PORT [TURN-URL ...]`.

With TURN addresses the secret is read from RVR_TURN_SECRET. What the engine observed is printed, a line each, and so is
what the browsers told the desk.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from rvr.media import Observation, Room, Seat
from rvr.media.rooms import Rooms
from rvr.turn import Turn
from tests.media import page

ROOM, SEATS = "room-1", (Seat("officer"), Seat("victim"))


def say(**what: Any) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


async def main(address: str, *urls: str) -> None:
    async def observed(seen: Observation) -> None:
        say(**seen.detail, kind=seen.kind, seat=seen.seat, at=seen.moment.at.timestamp())
        await engine.acknowledge(seen.worker, seen.number)

    host, _, port = address.rpartition(":")
    engine = Rooms(observed, media_bind=host)
    await engine.start()
    await engine.want({ROOM: Room(SEATS)})

    def ice() -> dict[str, Any]:
        if not urls:
            return dict(page.NO_ICE)
        turn = Turn(tuple(urls), os.environ["RVR_TURN_SECRET"], int(os.environ.get("RVR_TURN_LIFETIME_S", "600")))
        server = turn.server(datetime.now(UTC), secrets.token_urlsafe(9))
        return {"ice_servers": [server.for_browser()], "ice_policy": "relay", "ice_lifetime_s": 600}

    def told(seat: str, what: str, body: Mapping[str, Any]) -> None:
        say(
            kind=f"told_{what}",
            seat=seat,
            at=time.time(),
            **{name: body[name] for name in body if name != "command_id"},
        )

    runner = web.AppRunner(page.desk(engine, [], ice, told))
    await runner.setup()
    await web.TCPSite(runner, host, int(port)).start()
    say(kind="ready", seat=None)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
