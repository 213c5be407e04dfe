"""One browser's connection: negotiation, its frames, and whether anything is still heard from it.

It reports by four callbacks and decides nothing about rooms. The only module that reaches into aiortc and aioice beyond
their documented interface; each such name stands in `_Bound`, `_Verified` or `prepare`, and is checked at start.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import aiortc.rtcdtlstransport
import aiortc.rtcicetransport
from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from rvr.media import MediaRefused
from rvr.media.embedded.forwarder import AudioOut, VideoOut
from rvr.media.embedded.sdp_gate import BadSdp, admit

CONNECT_DEADLINE_S: Final = 15.0
NEGOTIATION_DEADLINE_S: Final = 4.0
CLOSE_DEADLINE_S: Final = 5.0
UDP_BUFFER_BYTES: Final = 256 * 1024

DTLS_CIPHERS: Final = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"
"""aiortc's own list also has two CBC-SHA1 suites, which no current browser needs."""

CODECS: Final = frozenset({"video/VP8", "video/rtx", "audio/opus"})
"""One codec for every leg: with VP8 on one side and H.264 on the other both sides stay black."""

STUN_FIRST_BYTES: Final = frozenset(range(4))
"""RFC 7983: 0-3 is STUN, 20-63 DTLS, 128-191 RTP and RTCP."""

log = logging.getLogger("rvr.media.peer")


@dataclass(frozen=True, slots=True)
class Address:
    """Where this process takes media, and what it tells browsers about it."""

    bind: str
    public: str
    ports: tuple[int, int] | None
    """Inclusive range of UDP ports, one a connection; None: any free port."""

    def candidates(self) -> Iterator[int]:
        """The ports to try, starting somewhere in the range so that workers rarely collide."""
        if self.ports is None:
            yield 0
            return
        low, high = self.ports
        first = random.randrange(high - low + 1)  # noqa: S311  a port is no secret: it stands in the answer
        for n in range(high - low + 1):
            yield low + (first + n) % (high - low + 1)


class _Verified(StunProtocol):
    """Takes DTLS and media only from addresses that have passed an authenticated connectivity check.

    Otherwise anyone who can reach the port could win the race to the DTLS handshake (ASVS 17.2.6).
    """

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        if (data and data[0] in STUN_FIRST_BYTES) or self._knows(addr):
            super().datagram_received(data, addr)

    def _knows(self, addr: tuple[Any, ...]) -> bool:
        # Remote candidates are stripped from every offer, so each of these was learnt from a check with our password.
        return any(c.host == addr[0] and c.port == addr[1] for c in self.receiver.remote_candidates)


class _Bound(Connection):
    """An ICE agent with one socket, on our own address, that names the public address and no other of this host."""

    address: ClassVar[Address]

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109  the base class's signature; nothing here waits
    ) -> list[Candidate]:
        protocol = await self._bind()
        port = protocol.transport.get_extra_info("sockname")[1]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", self.address.public),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=self.address.public,
            port=port,
            type="host",
        )
        self._protocols.append(protocol)
        return [protocol.local_candidate]

    async def _bind(self) -> _Verified:
        loop = asyncio.get_running_loop()
        for port in self.address.candidates():
            with suppress(OSError):
                transport, protocol = await loop.create_datagram_endpoint(
                    lambda: _Verified(self), local_addr=(self.address.bind, port)
                )
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)
                return protocol
        raise OSError("no free UDP port for media")


def prepare(address: Address) -> None:
    """Make every peer connection of this process use one bound socket and modern ciphers. Once, before the first peer.

    Raises RuntimeError when the installed aiortc or aioice lacks a name that this relies on.
    """
    if not __debug__:
        raise RuntimeError("aiortc validates by assert: never run it with -O")
    certificate = aiortc.rtcdtlstransport.RTCCertificate
    if not hasattr(aiortc.rtcicetransport, "Connection") or not hasattr(certificate, "_create_ssl_context"):
        raise RuntimeError("this aiortc is not one that RVR knows")
    if "_protocols" not in vars(Connection(ice_controlling=False)):
        raise RuntimeError("this aioice is not one that RVR knows")
    _Bound.address = address
    aiortc.rtcicetransport.Connection = _Bound
    original = certificate._create_ssl_context

    def with_modern_ciphers(self: Any, srtp_profiles: Any) -> Any:
        context = original(self, srtp_profiles)
        context.set_cipher_list(DTLS_CIPHERS)
        return context

    certificate._create_ssl_context = with_modern_ciphers  # type: ignore[method-assign]


class Peer:
    """One connection of one seat, from offer to close. Use once."""

    def __init__(
        self,
        outs: tuple[VideoOut, AudioOut],
        *,
        on_connected: Callable[[], None],
        on_video: Callable[[VideoFrame], None],
        on_audio: Callable[[AudioFrame], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._outs: dict[str, MediaStreamTrack] = {"video": outs[0], "audio": outs[1]}
        self._on_connected = on_connected
        self._on_frame: dict[str, Callable[[Any], None]] = {"video": on_video, "audio": on_audio}
        self._on_end = on_end
        self._tasks: set[asyncio.Task[None]] = set()
        self.ended = False
        self._newest_packet: object = None
        self.connected = False
        self.heard_at = time.monotonic()
        """When the last media packet was noticed (monotonic seconds), or the connection came up."""
        # An explicit empty list: with None aiortc asks a third party's STUN server, telling it when a victim joins.
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._pc.on("connectionstatechange", self._on_state)
        self._pc.on("track", self._on_track)
        for out in outs:
            # aiortc ends the track it was sending when its encoder or its way out fails.
            out.on("ended", lambda: self._end("failed"))

    async def answer(self, offer: str) -> str:
        """The SDP answer. Raises MediaRefused; then the peer is closed."""
        try:
            return await asyncio.wait_for(self._negotiate(offer), NEGOTIATION_DEADLINE_S)
        except BadSdp as fault:
            await self.close()
            raise MediaRefused(fault.code, fault.detail) from None
        except OperationError:
            await self.close()
            raise MediaRefused("codec", "no common codec: VP8 and Opus are needed") from None
        except OSError:
            await self.close()
            raise
        except Exception as fault:  # noqa: BLE001
            # The parser fails by assert, KeyError, StopIteration ... on what the gate could not foresee.
            log.warning("offer refused by the parser: %s", type(fault).__name__)
            await self.close()
            raise MediaRefused("sdp-malformed", "cannot be negotiated") from None

    async def _negotiate(self, offer: str) -> str:
        admitted = admit(offer)
        # In the offer's order: with max-bundle the first section's transport carries everything.
        for kind in dict.fromkeys(admitted.kinds):
            transceiver = self._pc.addTransceiver(self._outs[kind], direction="sendrecv")
            transceiver.setCodecPreferences(
                [c for c in RTCRtpSender.getCapabilities(kind).codecs if c.mimeType in CODECS]
            )
        await self._pc.setRemoteDescription(RTCSessionDescription(admitted.text, "offer"))
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        self._start(self._deadline())
        return self._pc.localDescription.sdp

    def notice(self) -> None:
        """Look whether packets came since the last look. Counted after decryption, so nobody else can feign life."""
        newest = max(
            (heard.timestamp for receiver in self._pc.getReceivers() for heard in receiver.getSynchronizationSources()),
            default=None,
        )
        if newest != self._newest_packet:
            self._newest_packet = newest
            self.heard_at = time.monotonic()

    async def close(self) -> None:
        """End the connection. Never raises, never takes more than a few seconds."""
        self.ended = True
        for task in self._tasks:
            task.cancel()
        try:
            await asyncio.wait_for(self._pc.close(), CLOSE_DEADLINE_S)
        except Exception as fault:  # noqa: BLE001  close() itself failed 20 times in 1,500 mutated negotiations
            log.warning("closing a connection failed: %s", type(fault).__name__)

    def _on_state(self) -> None:
        state = self._pc.connectionState
        if state == "connected" and not self.connected and not self.ended:
            self.connected = True
            self.heard_at = time.monotonic()
            self._on_connected()
        elif state in ("failed", "closed"):
            self._end("failed")

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._start(self._pump(track))

    async def _pump(self, track: MediaStreamTrack) -> None:
        deliver = self._on_frame[track.kind]
        try:
            while True:
                deliver(await track.recv())
        except MediaStreamError:  # the track has ended, which the connection's state tells
            return
        except Exception:
            log.exception("frames are no longer taken")
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
