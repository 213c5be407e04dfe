"""The media worker process whose rooms are on Janus servers. Its line protocol is that of `embedded.worker`, and more:

<- {"receive": [room, seat], "id": n}                       -> {"reply": n, "offer": sdp}
<- {"received": [room, seat], "answer": sdp, "id": n}       -> {"reply": n}
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, cast

from rvr.media import MediaRefused
from rvr.media import Room as Wanted
from rvr.media.embedded.worker import Link, main, terms
from rvr.media.embedded.worker import Worker as EmbeddedWorker
from rvr.media.janus.place import Servers
from rvr.media.janus.room import Room

FIRST_WORD_S = 5.0
"""How long the start waits for a first server; without one this process serves all the same, and says 503."""

log = logging.getLogger("rvr.media.janus")


class Worker(EmbeddedWorker):
    """As the embedded one, with rooms that are elsewhere."""

    def __init__(self, link: Link, settings: Mapping[str, Any]) -> None:
        super().__init__(link, terms(settings))
        self._servers = Servers(settings["tap"], settings["video"])
        self._first = settings["servers"]

    async def run(self, inbox: asyncio.Queue[dict[str, Any] | None]) -> None:
        self._servers.use(self._first)
        waits = [asyncio.create_task(server.ready.wait()) for server in self._servers.all]
        await asyncio.wait(waits, timeout=FIRST_WORD_S, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await super().run(inbox)

    def _opened(self, name: str, wanted: Wanted, **earlier: Any) -> Room:
        return Room(name, wanted, self._ledger.saw, self._terms, servers=self._servers, **earlier)

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"servers": servers}:
                self._servers.use(servers)
            case {"receive": [room, seat], "id": number}:
                self._start(self._reply(number, self._receive(room, seat)))
            case {"received": [room, seat], "answer": answer, "id": number}:
                self._start(self._reply(number, self._received(room, seat, answer)))
            case _:
                super()._take(message)

    async def _receive(self, room: str, seat: str) -> dict[str, Any]:
        return {"offer": await self._at(room).receive(seat)}

    async def _received(self, room: str, seat: str, answer: str) -> dict[str, Any]:
        await self._at(room).received(seat, answer)
        return {}

    def _at(self, name: str) -> Room:
        return cast(Room, self._room(name))

    async def _reply(self, number: int, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
        try:
            self._link.send(reply=number, **await work)
        except MediaRefused as refusal:
            self._link.send(reply=number, refused=[refusal.code, refusal.detail])
        except OSError as fault:
            log.warning("Janus could not be asked: %s", fault)
            self._link.send(reply=number, unavailable=True)
        except Exception:
            log.exception("a message could not be answered")
            self._link.send(reply=number, unavailable=True)


if __name__ == "__main__":
    main(Worker)
