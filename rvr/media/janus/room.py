"""One room on a Janus server: the embedded room's rules, with connections that are elsewhere.

What the desk is told, stills and measurements come of the copies that `peer` listens to, as they would of connections
of our own. Who sees whom is not a table here but what each viewer's places at Janus show: compared, and changed,
whenever something has changed.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import Final

from rvr.media import Room as Wanted
from rvr.media.embedded import room as embedded
from rvr.media.embedded.room import Carrier, Saw, Terms, Visit
from rvr.media.embedded.rtp import KeyFrame
from rvr.media.janus.client import JanusFault, JanusGone
from rvr.media.janus.peer import Peer
from rvr.media.janus.place import Placed, Servers
from rvr.media.janus.sources import wanted_sources

AGAIN_S: Final = 0.25
"""A place that could not be changed, for its source has just come or gone, is compared again after this."""
NO_SUCH_FEED: Final = 428

UNSEEN: Final = frozenset({"down_kbps", "down_loss_pct", "rtt_ms", "nacks"})
"""Figures that a copy of what a seat sends does not show."""

log = logging.getLogger("rvr.media.janus")


class Room(embedded.Room):
    """All methods run in the worker's one event loop."""

    def __init__(
        self,
        name: str,
        wanted: Wanted,
        saw: Saw,
        terms: Terms,
        *,
        servers: Servers,
        had_two_way: bool = False,
        away: Collection[str] = (),
    ) -> None:
        super().__init__(name, wanted, saw, terms, had_two_way=had_two_way, away=away)
        self._servers = servers
        self._place: Placed | None = None
        self._placing = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._peers: dict[str, Peer] = {}
        """By feed, also of those that are no longer in a seat but not yet gone."""
        self._changed = asyncio.Event()
        self._showing = asyncio.create_task(self._show_always())

    async def receive(self, seat: str) -> str:
        """What Janus offers to send this seat. Raises JanusGone before it has joined."""
        return await self._peer(seat).receive()

    async def received(self, seat: str, answer: str) -> None:
        """The browser's answer to that."""
        await self._peer(seat).received(answer)

    def _peer(self, seat: str) -> Peer:
        visit = self._visits.get(seat)
        if visit is None or not isinstance(visit.peer, Peer):
            raise JanusGone("not joined")
        return visit.peer

    async def closed(self, cause: str) -> None:
        self._showing.cancel()
        await super().closed(cause)
        if self._place is not None:
            await self._place.close()

    def connection(self, visit: Visit) -> Carrier:
        return Peer(
            f"{visit.seat}.{next(self._numbers)}",
            self._placed,
            on_connected=lambda: self.on_connected(visit),
            on_end=visit.ended,
            on_change=self._changed.set,
        )

    async def _placed(self) -> Placed:
        """The room's place at a server; one is chosen where it has none, or lost it."""
        async with self._placing:
            if self._place is None:
                place = await self._servers.place(self._name)
                place.server.on_lost(self, self._unplace)
                self._place = place
            return self._place

    def _unplace(self) -> None:
        if self._place is not None:
            self._place.server.rooms -= 1
            self._place.server.on_lost(self, None)
            self._place = None

    def _measured(self, visit: Visit, now: float) -> Mapping[str, str] | None:
        figures = super()._measured(visit, now)
        return figures and {name: figure for name, figure in figures.items() if name not in UNSEEN}

    # --- who sees whom ---

    def _pass_on(self) -> None:
        for seat, leg in self._legs().items():
            if (video := leg.inlets.get("video")) is not None:
                video.on_key_frame = partial(self._on_key_frame, seat)
        self._changed.set()

    def _on_key_frame(self, seat: str, _: KeyFrame) -> None:
        """It is being passed on to whoever Janus was told to show it."""
        partner = self._sight.partner(seat)
        if partner in self._visits and self._peer(partner).shows(self._peer(seat).sources.get("video")):
            self._sight.handed_on(seat)

    async def _show_always(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._changed.wait()
            self._changed.clear()
            for seat in list(self._visits):
                try:
                    await self._show(seat)
                except (JanusGone, JanusFault) as fault:
                    if not isinstance(fault, JanusFault) or fault.code != NO_SUCH_FEED:
                        log.warning("a place could not be changed: %s", fault)
                    loop.call_later(AGAIN_S, self._changed.set)

    async def _show(self, seat: str) -> None:
        sending = {one: self._peer(one).sources for one in self._visits}
        peer = self._peer(seat)
        wanted = wanted_sources(self._wanted.seats, seat, sending)
        if await peer.show(wanted) or peer.sees:
            self._ask_key_frames(time.monotonic())
