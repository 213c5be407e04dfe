"""Where rooms are: the Janus servers, the least loaded of them for a new room, and one room's place on one of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from rvr.media import MAX_SEATS, Track
from rvr.media.embedded.answer import VideoCodec
from rvr.media.janus.client import Janus, JanusFault, JanusGone
from rvr.media.janus.sources import TRACKS, Source

BITRATE_BPS: Final = 1_500_000
"""What Janus tells senders to stay below (REMB): 640 x 480 is at its best near one million."""
ROOM_EXISTS: Final = 427

log = logging.getLogger("rvr.media.janus")


@dataclass(frozen=True, slots=True)
class Placed:
    """A room that is open on a server."""

    server: Janus
    room: str
    control: int
    """The handle by which it is asked about the room."""
    nobody: Mapping[Track, Source]
    """The streams of the room's empty publisher, which a place shows that has nobody."""
    tap: str
    video: VideoCodec

    async def copy(self, feed: str, mids: Sequence[str], where: Mapping[str, Any]) -> None:
        """Have what this feed sends copied there, as `Tap.open` told."""
        more = {name: value for name, value in where.items() if name not in ("host", "port")}
        await self.server.ask(
            self.control,
            request="rtp_forward",
            room=self.room,
            publisher_id=feed,
            host=where["host"],
            streams=[{"mid": mid, "host": where["host"], "port": where["port"]} for mid in mids],
            **more,
        )

    async def close(self) -> None:
        self.server.rooms -= 1
        with suppress(JanusGone, JanusFault):
            await self.server.ask(self.control, request="destroy", room=self.room)
        await self.server.detach(self.control)


class Servers:
    """All servers that rooms may be placed on."""

    def __init__(self, tap: str, video: VideoCodec) -> None:
        """`tap`: our own address, to which they send their copies."""
        self._servers: dict[str, Janus] = {}
        self._unlisted: set[str] = set()
        self._tap = tap
        self._video = video

    @property
    def all(self) -> tuple[Janus, ...]:
        return tuple(self._servers.values())

    def use(self, listed: Iterable[Mapping[str, Any]]) -> None:
        """What the operator lists now. One that is not listed any more is kept until its last room has ended."""
        told = {one["url"]: one for one in listed}
        for url, one in told.items():
            if url not in self._servers:
                self._servers[url] = Janus(url)
                self._servers[url].start()
            self._servers[url].secret = one["secret"]
            self._servers[url].draining = one["draining"]
        self._unlisted = self._servers.keys() - told.keys()
        for url in self._unlisted:
            self._servers[url].draining = True
        self._let_go()

    def _let_go(self) -> None:
        for url in [url for url in self._unlisted if self._servers[url].rooms == 0]:
            self._unlisted.discard(url)
            self._servers.pop(url).stop()

    def least_loaded(self) -> Janus:
        """Raises JanusGone when none takes a room."""
        able = [one for one in self.all if one.ready.is_set() and not one.draining]
        if not able:
            raise JanusGone("no Janus server takes a room")
        return min(able, key=lambda one: one.rooms)

    async def place(self, room: str) -> Placed:
        """Open the room on the server that has the fewest. Raises JanusGone or JanusFault."""
        self._let_go()
        server = self.least_loaded()
        server.rooms += 1  # before anything is waited for, so that rooms opened at once are spread
        try:
            control = await server.attach(lambda _: None)
            nobody = await self._opened(server, control, room)
        except BaseException:
            server.rooms -= 1
            raise
        return Placed(server, room, control, nobody, self._tap, self._video)

    async def _opened(self, server: Janus, control: int, room: str) -> Mapping[Track, Source]:
        try:
            await self._create(server, control, room)
        except JanusFault as fault:
            if fault.code != ROOM_EXISTS:
                raise
            # Left behind by an earlier process of ours: whoever was in it has lost it, and joins anew.
            await server.ask(control, request="destroy", room=room)
            await self._create(server, control, room)
        found, _ = await server.ask(control, request="listparticipants", room=room)
        [nobody] = [one["id"] for one in found["participants"] if one.get("dummy")]
        return {track: Source(nobody, str(n)) for n, track in enumerate(TRACKS)}

    async def _create(self, server: Janus, control: int, room: str) -> None:
        await server.ask(
            control,
            request="create",
            room=room,
            is_private=True,
            publishers=2 * MAX_SEATS,  # a seat that joins anew is there twice for a moment
            audiocodec="opus",
            videocodec=self._video.lower(),
            opus_fec=True,
            bitrate=BITRATE_BPS,
            notify_joining=False,
            dummy_publisher=True,
            dummy_streams=[{"codec": "opus"}, {"codec": self._video.lower()}],
        )
