"""One seat's two connections with Janus: one that the browser offers and sends on, one that Janus offers and sends on.

It stands in the room where the embedded engine has a connection of its own; its media are a copy of what Janus receives
(`tap`). It reports by the same two callbacks and decides nothing about rooms.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from rvr.media import MediaRefused, Track
from rvr.media.embedded.leg import Leg
from rvr.media.embedded.peer import CONNECT_DEADLINE_S
from rvr.media.janus import sdp
from rvr.media.janus.client import Event, JanusFault, JanusGone
from rvr.media.janus.place import Placed
from rvr.media.janus.sources import PLACES, TRACKS, Place, Source
from rvr.media.janus.tap import Tap

PROOF_S: Final = 0.3
"""Janus's word that a connection ended counts when nothing has arrived for this long after it."""

log = logging.getLogger("rvr.media.janus")


class Peer:
    """From offer to close. Use once."""

    def __init__(
        self,
        feed: str,
        placed: Callable[[], Coroutine[Any, Any, Placed]],
        *,
        on_connected: Callable[[], None],
        on_end: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        """`placed` gives the room's place; `on_change` is called when this becomes, or ceases to be, a source or a
        viewer."""
        self.feed = feed
        self._placed = placed
        self._on_connected = on_connected
        self._on_end = on_end
        self._on_change = on_change
        self._place: Placed | None = None
        self._publisher = self._viewer = 0
        self._mids: dict[Track, str] = {}
        self._tap: Tap | None = None
        self._answer = ""
        self._shown: dict[Place, Source | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._up = False
        self.sees = False
        """Its second connection is up."""
        self.connected = False
        self.ended = False

    @property
    def leg(self) -> Leg:
        if self._tap is None:
            raise RuntimeError("no offer was answered")
        return self._tap.leg

    @property
    def sources(self) -> Mapping[Track, Source]:
        """What can be shown of it now."""
        return {track: Source(self.feed, mid) for track, mid in self._mids.items()} if self._up else {}

    def shows(self, source: Source | None) -> bool:
        """Whether this seat is sent that now."""
        return self.sees and source is not None and source in self._shown.values()

    # --- what the browser sends ---

    async def answer(self, offer: str) -> str:
        """Janus's answer. Raises MediaRefused, JanusGone or JanusFault; then the peer is closed."""
        try:
            return await self._published(offer)
        except BaseException:
            await self.close()
            raise

    async def _published(self, offer: str) -> str:
        place = self._place = await self._placed()
        text = sdp.checked_offer(offer, place.video)
        place.server.on_lost(self, lambda: self._end("worker_lost"))
        self._publisher = await place.server.attach(self._on_publisher)
        joined, jsep = await place.server.ask(
            self._publisher,
            {"type": "offer", "sdp": text},
            request="joinandconfigure",
            ptype="publisher",
            room=place.room,
            id=self.feed,
        )
        if jsep is None:
            raise JanusGone("no answer")
        # Of several sections the first one sends; the others only receive, and are answered as inactive.
        self._mids = {one["type"]: one["mid"] for one in reversed(joined["streams"]) if not one.get("disabled")}
        self._tap = Tap(sdp.sent_lines(jsep["sdp"], self._mids), self._on_packet, self._ask_key_frame)
        await place.copy(self.feed, list(self._mids.values()), await self._tap.open(place.tap))
        self._start(self._deadline())
        return jsep["sdp"]

    def _on_publisher(self, event: Event) -> None:
        if event["janus"] == "webrtcup":
            self._up = True
            self._on_change()
        elif event["janus"] in ("hangup", "detached") and not self.ended:
            self._up = False
            self._on_change()
            self._start(self._doubt())

    async def _doubt(self) -> None:
        """Janus says that the connection has ended: it has, when nothing more arrives of it."""
        await asyncio.sleep(PROOF_S)
        if time.monotonic() - self.leg.heard_at >= PROOF_S:
            self._end("failed")

    def _on_packet(self) -> None:
        if not self.connected and not self.ended:
            self.connected = True
            self._on_connected()

    def _ask_key_frame(self) -> None:
        self._start(self._key_frame())

    async def _key_frame(self) -> None:
        if self._place is not None and self._publisher:
            with suppress(JanusGone, JanusFault):
                await self._place.server.ask(self._publisher, request="configure", keyframe=True)

    # --- what it receives ---

    async def receive(self) -> str:
        """Janus's offer: three places that show nobody yet."""
        place = self._place
        if place is None or self.ended:
            raise JanusGone("not joined")
        if self._viewer:
            await place.server.detach(self._viewer)
            self.sees, self._shown = False, {}
        self._viewer = await place.server.attach(self._on_viewer)
        streams = [
            {"feed": source.feed, "mid": source.mid, "crossrefid": f"{number}-{track}"}
            for number in range(PLACES)
            for track, source in place.nobody.items()
        ]
        _, jsep = await place.server.ask(
            self._viewer, request="join", ptype="subscriber", room=place.room, autoupdate=False, streams=streams
        )
        if jsep is None:
            raise JanusGone("no offer")
        return jsep["sdp"]

    async def received(self, answer: str) -> None:
        """The browser's answer to that. Raises MediaRefused."""
        place = self._place
        if place is None or not self._viewer:
            raise MediaRefused("sdp-malformed", "an answer to no offer")
        self._answer = sdp.checked_answer(answer)
        await self._accept(place)
        self._shown = {(number, track): None for number in range(PLACES) for track in TRACKS}
        self._on_change()

    async def show(self, wanted: Mapping[Place, Source | None]) -> bool:
        """Have Janus send this instead of what it sends. False: that is so already, or nobody can see it yet."""
        changes = {at: source for at, source in wanted.items() if at in self._shown and self._shown[at] != source}
        if not changes or self._place is None or self.ended:
            return False
        streams: list[Mapping[str, str]] = []
        for (number, track), source in changes.items():
            shown = source or self._place.nobody[track]
            sub_mid = str(number * len(TRACKS) + TRACKS.index(track))
            streams.append({"feed": shown.feed, "mid": shown.mid, "sub_mid": sub_mid})
        told, jsep = await self._place.server.ask(self._viewer, request="switch", streams=streams)
        self._note(told["streams"], self._place)
        if jsep is not None:
            # A source that ended while it was shown left the section inactive, and Janus wants it agreed anew. For the
            # browser nothing has changed, so its answer is the one that it gave.
            await self._accept(self._place)
        return True

    def _note(self, streams: Sequence[Mapping[str, Any]], place: Placed) -> None:
        """What Janus says that it sends: a source that went meanwhile is passed over without an error."""
        for stream in streams:
            number, track = divmod(int(stream["mid"]), len(TRACKS))
            source = Source(str(stream.get("feed_id", "")), str(stream.get("feed_mid", "")))
            self._shown[number, TRACKS[track]] = None if source == place.nobody[TRACKS[track]] else source

    async def _accept(self, place: Placed) -> None:
        await place.server.ask(self._viewer, {"type": "answer", "sdp": self._answer}, request="start")

    def _on_viewer(self, event: Event) -> None:
        if event["janus"] == "webrtcup":
            self.sees = True
            self._on_change()
        elif event["janus"] in ("hangup", "detached"):
            self.sees = False

    # --- the end ---

    async def _deadline(self) -> None:
        await asyncio.sleep(CONNECT_DEADLINE_S)
        if not self.connected:
            self._end("deadline")

    def _end(self, cause: str) -> None:
        if not self.ended:
            self.ended = True
            self._on_end(cause)

    async def close(self) -> None:
        """End both connections. Never raises."""
        self.ended = True
        self._up = False
        if self._tap is not None:
            self._tap.close()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        if self._place is not None:
            self._place.server.on_lost(self, None)
            for handle in filter(None, (self._publisher, self._viewer)):
                await self._place.server.detach(handle)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
