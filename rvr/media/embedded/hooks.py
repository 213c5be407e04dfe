"""The one module that names private members of aiortc, aioice and pylibsrtp, and what it makes of them.

An ICE agent with one socket of our own, DTLS with modern suites, and SRTP in place in the datagram callback: no queue,
no task and no copy of aiortc's stands between a packet and its forwarding. `prepare` checks every name before the first
connection; tests/media/test_hooks.py fails when a new version moves one.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, ClassVar, Final

import aiortc.rtcdtlstransport
import aiortc.rtcicetransport
import pylibsrtp
from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]

UDP_BUFFER_BYTES: Final = 512 * 1024
"""Two seconds of a seat at its most: what may wait while the loop is busy."""
MAX_DATAGRAM_BYTES: Final = 1_500
"""Nothing larger crosses the Internet in one piece; browsers stay under 1,250."""
MAX_PACKET_BYTES: Final = MAX_DATAGRAM_BYTES + 64
"""A packet may grow when it is passed on: extension, original sequence number, SRTP tag."""
MAX_ADDRESSES: Final = 32
"""From which one connection may be checked: a phone that wanders has a handful."""
MAX_WAITING: Final = 64
"""DTLS datagrams not yet looked at; a handshake has fewer than ten."""

DTLS_CIPHERS: Final = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"
"""aiortc's own list also has two CBC-SHA1 suites, which no current browser needs."""

STUN_FIRST_BYTES: Final = frozenset(range(4))
DTLS_FIRST_BYTES: Final = frozenset(range(20, 64))
"""RFC 7983: 0-3 is STUN, 20-63 DTLS, 128-191 RTP and RTCP."""


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


OnMedia = Callable[[bytes, float], None]
"""Is given a datagram and when it was read, in seconds of `time.monotonic`."""


def _nothing(_: bytes, __: float) -> None: ...


class _Verified(StunProtocol):
    """Takes DTLS and media only from addresses that have passed an authenticated connectivity check.

    Otherwise anyone who can reach the port could win the race to the DTLS handshake (ASVS 17.2.6).
    """

    receiver: _Bound

    def __init__(self, receiver: _Bound) -> None:
        super().__init__(receiver)
        self.on_media: OnMedia = _nothing
        self._known: tuple[Any, ...] | None = None
        """The one from which the last packet came, and nearly always comes the next."""

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:  # type: ignore[override]
        if not 0 < len(data) <= MAX_DATAGRAM_BYTES:
            return
        first = data[0]
        if 127 < first < 192:
            if addr == self._known or self._knows(addr):
                # Not the loop's own time, which stands still while the loop works: feedback is about microseconds.
                on_media = self.on_media
                on_media(data, monotonic())
        elif first in STUN_FIRST_BYTES:
            if self._knows(addr) or len(self.receiver.remote_candidates) < MAX_ADDRESSES:
                super().datagram_received(data, addr)
        elif first in DTLS_FIRST_BYTES and self._knows(addr):
            super().datagram_received(data, addr)

    def _knows(self, addr: tuple[Any, ...]) -> bool:
        # No candidate of an offer is used, so each of these was learnt from a check with our password.
        if any(c.host == addr[0] and c.port == addr[1] for c in self.receiver.remote_candidates):
            self._known = addr
            return True
        return False


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

    def data_received(self, data: bytes, component: int) -> None:
        # What only looks like STUN ends here too, from anyone: it must not fill the queue.
        if data[0] in DTLS_FIRST_BYTES and self._queue.qsize() < MAX_WAITING:
            super().data_received(data, component)


class _Once(pylibsrtp.Policy):
    """Never the same packet index twice under one key: with AES-GCM a second one, if it differed in a single bit, would
    give the key of the authentication away. libsrtp then refuses it itself, whatever mistake is made above."""

    @property
    def allow_repeat_tx(self) -> bool:
        return False

    @allow_repeat_tx.setter
    def allow_repeat_tx(self, _: bool) -> None:
        return


def prepare(address: Address) -> None:
    """Make every connection of this process use one bound socket, modern ciphers and no index twice. Once, at start.

    Raises RuntimeError when the installed aiortc, aioice or pylibsrtp lacks a name that this relies on.
    """
    if not __debug__:
        raise RuntimeError("aiortc validates by assert: never run it with -O")
    if missing := list(missing_names()):
        raise RuntimeError(f"these versions of aiortc, aioice and pylibsrtp are not known here: {', '.join(missing)}")
    _Bound.address = address
    aiortc.rtcicetransport.Connection = _Bound  # type: ignore[attr-defined]
    aiortc.rtcdtlstransport.Policy = _Once  # type: ignore[attr-defined]
    original = RTCCertificate._create_ssl_context

    def with_modern_ciphers(self: Any, srtp_profiles: Any) -> Any:
        context = original(self, srtp_profiles)
        context.set_cipher_list(DTLS_CIPHERS)
        return context

    RTCCertificate._create_ssl_context = with_modern_ciphers  # type: ignore[method-assign]


def missing_names() -> Iterator[str]:
    """Every name that this module relies on and the installed versions do not have."""
    gatherer = RTCIceGatherer(iceServers=[])
    ice = RTCIceTransport(gatherer)
    dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    connection = ice._connection
    session = pylibsrtp.Session()
    for owner, names in (
        (aiortc.rtcicetransport, ("Connection",)),
        (aiortc.rtcdtlstransport, ("Policy",)),
        (RTCCertificate, ("_create_ssl_context",)),
        (dtls, ("_rx_srtp", "_tx_srtp", "_setup_srtp", "_set_role")),
        (connection, ("_protocols", "_nominated", "_queue", "get_component_candidates", "data_received")),
        (connection, ("remote_candidates",)),
        (StunProtocol, ("datagram_received",)),
        (session, ("_srtp",)),
        (lib, ("srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp", "srtp_err_status_ok")),
        (ffi, ("new", "buffer")),
    ):
        yield from (
            f"{getattr(owner, '__name__', type(owner).__name__)}.{name}" for name in names if not hasattr(owner, name)
        )


_packet: Final = ffi.new("char[]", MAX_PACKET_BYTES + 144)
_bytes: Final = ffi.buffer(_packet)
_size: Final = ffi.new("int *")
"""One buffer for every packet of the process: each is opened, or sealed and sent, before the next is looked at.
144 is the most that libsrtp may append."""
_protect, _unprotect = lib.srtp_protect, lib.srtp_unprotect


def as_server(dtls: RTCDtlsTransport) -> None:
    """Take the server's part of the handshake, whose preference decides: AES-GCM, and AES-CM with SHA-1 only for an
    older browser that knows nothing else. As a client aiortc is given AES-CM by Chromium 156.
    """
    dtls._set_role("server")


class Wire:
    """One connection's encrypted way to its browser, once ICE and DTLS are up."""

    def __init__(self, ice: RTCIceTransport, dtls: RTCDtlsTransport) -> None:
        self._connection = ice._connection
        self._nominated = self._connection._nominated
        self._dtls = dtls
        self._rx: Any = None
        self._tx: Any = None
        self._keep: Any = None
        self._pair: Any = None
        self._sendto: Callable[[bytes, tuple[str, int]], None] | None = None
        self._addr: tuple[str, int] = ("", 0)

    def listen(self, on_media: OnMedia) -> None:
        """Hand every SRTP and SRTCP datagram of an address with a passed check to `on_media`."""
        for protocol in self._connection._protocols:
            protocol.on_media = on_media  # type: ignore[attr-defined]

    def open(self) -> None:
        """DTLS is done: from now on packets can be read and sent."""
        self._keep = (self._dtls._rx_srtp, self._dtls._tx_srtp)
        self._rx, self._tx = (session._srtp[0] for session in self._keep)

    def shut(self) -> None:
        """Nothing is read or sent any more."""
        self.listen(_nothing)
        self._rx = self._tx = self._pair = self._sendto = None

    def opened(self, datagram: bytes, unprotect: Any = _unprotect) -> bytes | None:
        """The RTP packet in an SRTP datagram; None when it is not authentic, or comes twice."""
        if self._rx is None:
            return None
        size = _size[0] = len(datagram)
        _bytes[0:size] = datagram
        if unprotect(self._rx, _packet, _size):
            return None
        return _bytes[0 : _size[0]]  # type: ignore[no-any-return]

    def opened_rtcp(self, datagram: bytes) -> bytes | None:
        return self.opened(datagram, lib.srtp_unprotect_rtcp)

    def send(self, packet: bytes, protect: Any = _protect) -> bool:
        """Seal an RTP packet and send it. False when it could not be."""
        size = len(packet)
        if self._tx is None or size > MAX_PACKET_BYTES:
            return False
        _bytes[0:size] = packet
        _size[0] = size
        if protect(self._tx, _packet, _size):
            return False
        pair = self._nominated.get(1)
        if pair is not self._pair:
            self._follow(pair)
        sendto = self._sendto
        if sendto is None:
            return False
        sendto(_bytes[0 : _size[0]], self._addr)
        return True

    def send_rtcp(self, packet: bytes) -> bool:
        return self.send(packet, lib.srtp_protect_rtcp)

    def _follow(self, pair: Any) -> None:
        """The browser has moved to another address, or consent has ended."""
        self._pair = pair
        self._sendto = None
        if pair is not None and not pair.protocol.transport.is_closing():
            self._sendto = pair.protocol.transport.sendto
            self._addr = pair.remote_addr
