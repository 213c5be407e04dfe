"""One browser's connection: ICE, DTLS and, once both are up, its media (`leg`). Use once.

It reports by two callbacks and decides nothing about rooms.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
)

from rvr.media import MediaRefused
from rvr.media.embedded import answer as answers
from rvr.media.embedded.hooks import Wire, as_server
from rvr.media.embedded.leg import Leg
from rvr.media.embedded.sdp_gate import BadSdp, Offer, admit

CONNECT_DEADLINE_S: Final = 15.0
CLOSE_DEADLINE_S: Final = 5.0

log = logging.getLogger("rvr.media.peer")


class Peer:
    """One connection of one seat, from offer to close."""

    def __init__(
        self,
        *,
        video: answers.VideoCodec,
        on_connected: Callable[[], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._video = video
        self._on_connected = on_connected
        self._on_end = on_end
        # An explicit empty list: with None aiortc asks a third party's STUN server, telling it when a victim joins.
        self._gatherer = RTCIceGatherer(iceServers=[])
        self._ice = RTCIceTransport(self._gatherer)
        self._certificate = RTCCertificate.generateCertificate()
        self._dtls = RTCDtlsTransport(self._ice, [self._certificate])
        as_server(self._dtls)
        self._wire = Wire(self._ice, self._dtls)
        self._leg: Leg | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.connected = False
        self.ended = False

    @property
    def leg(self) -> Leg:
        """Its media; once `answer` was given."""
        if self._leg is None:
            raise RuntimeError("no offer was answered")
        return self._leg

    async def answer(self, offer: str) -> str:
        """The SDP answer. Raises MediaRefused, or OSError without a free port; then the peer is closed."""
        try:
            admitted = admit(offer)
            agreed = answers.lines(admitted, self._video)
            await self._gatherer.gather()
        except BadSdp as fault:
            await self.close()
            raise MediaRefused(fault.code, fault.detail) from None
        except (MediaRefused, OSError):
            await self.close()
            raise
        self._leg = Leg(agreed, self._wire)
        for transport in (self._ice, self._dtls):
            transport.on("statechange", self._on_state)
        self._start(self._connect(admitted))
        self._start(self._deadline())
        return answers.written(agreed, self._here())

    def _here(self) -> answers.Transport:
        parameters = self._gatherer.getLocalParameters()
        [candidate] = self._gatherer.getLocalCandidates()
        prints = {one.algorithm: one.value for one in self._certificate.getFingerprints()}
        return answers.Transport(
            parameters.usernameFragment or "",
            parameters.password or "",
            prints["sha-256"],
            candidate.ip,
            candidate.port,
        )

    async def _connect(self, offer: Offer) -> None:
        prints = [RTCDtlsFingerprint(algorithm, value) for algorithm, value in offer.fingerprints]
        try:
            await self._ice.start(RTCIceParameters(usernameFragment=offer.ufrag, password=offer.password))
            if self._ice.state != "completed":
                return
            await self._dtls.start(RTCDtlsParameters(fingerprints=prints))
        except Exception as fault:  # noqa: BLE001  the libraries fail in many ways on what a stranger sends
            log.warning("a connection failed: %s", type(fault).__name__)
            self._end("failed")
            return
        # A certificate that is not the one of the offer has left the state "failed" (ASVS 17.2.8).
        if self._dtls.state == "connected" and not self.ended:
            self._wire.open()
            self._wire.listen(self.leg.take)
            self.connected = True
            self.leg.heard_at = time.monotonic()
            self._on_connected()

    async def close(self) -> None:
        """End the connection. Never raises, never takes more than a few seconds."""
        self.ended = True
        self._wire.shut()
        for task in self._tasks:
            task.cancel()
        for stop in (self._dtls.stop, self._ice.stop):
            try:
                await asyncio.wait_for(stop(), CLOSE_DEADLINE_S)
            except Exception as fault:  # noqa: BLE001  aiortc's own close failed 20 times in 1,500 mutated negotiations
                log.warning("closing a connection failed: %s", type(fault).__name__)
        with suppress(AttributeError):
            self._dtls.remove_all_listeners()

    def _on_state(self) -> None:
        if "failed" in (self._ice.state, self._dtls.state) or "closed" in (self._ice.state, self._dtls.state):
            self._end("failed")

    async def _deadline(self) -> None:
        await asyncio.sleep(CONNECT_DEADLINE_S)
        if not self.connected:
            self._end("deadline")

    def _end(self, cause: str) -> None:
        if not self.ended:
            self.ended = True
            self._on_end(cause)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
