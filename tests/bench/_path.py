"""A packet's way through our forwarder without a socket: `run.py bench media path`.

Calls of two people in this process. Each end is fed the clip, sealed, as the loop would feed it, and ticks ten times in
a second of it; what is sent is dropped. Only the loop and the kernel are left out.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import aiortc.rtcicetransport
from aioice import Candidate
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from pylibsrtp import Policy, Session

from rvr.media import Room, Seat
from rvr.media.embedded import forwarder, hooks
from rvr.media.embedded.answer import Codec, Line
from rvr.media.embedded.feedback import EVERY_S
from rvr.media.embedded.leg import Leg
from rvr.media.embedded.rtp import Ids
from tests.bench._clip import FPS, Clip

OPUS, VP8 = Codec("opus", 111, 48_000), Codec("VP8", 96, 90_000, 97, "", ("transport-cc", "nack"))
LINES: Final = (
    Line("audio", "0", 0, "sendrecv", OPUS, Ids(3, 0), 1, 0),
    Line("video", "1", 0, "sendrecv", VP8, Ids(3, 2), 2, 3),
)
BROWSER: Final = ("127.0.0.1", 5_000)
KEY: Final = os.urandom(28)


def _session(ssrcs: int) -> Session:
    return Session(Policy(KEY, ssrcs, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM))


def _sealed(film: Clip) -> list[bytes]:
    """What a browser sends of the clip, with the extensions that Chromium sends."""
    sender = _session(Policy.SSRC_ANY_OUTBOUND)
    sealed: list[bytes] = []
    sounds = 0
    for n, frame in enumerate(film.video):
        for k, payload in enumerate(frame):
            kind = VP8.payload_type | (0x80 if k == len(frame) - 1 else 0)
            seq = len(sealed) & 0xFFFF
            head = (0x90, kind, (len(sealed) - sounds) & 0xFFFF, n * 90_000 // FPS, 77)
            extensions = (0xBEDE, 2, 2 << 28 | 2 << 24, 3 << 4 | 1, seq)
            sealed.append(sender.protect(struct.pack("!BBHIIHHIBHx", *head, *extensions) + payload))
        while sounds < min(len(film.audio), (n + 1) * 50 // FPS):
            head = (0x90, OPUS.payload_type, sounds & 0xFFFF, sounds * 960, 78)
            extensions = (0xBEDE, 1, 3 << 4 | 1, len(sealed) & 0xFFFF)
            sealed.append(sender.protect(struct.pack("!BBHIIHHBHx", *head, *extensions) + film.audio[sounds]))
            sounds += 1
    return sealed


class _End:
    """One connection after its handshake, between nobody and nobody."""

    def __init__(self, certificate: RTCCertificate) -> None:
        ice = RTCIceTransport(RTCIceGatherer(iceServers=[]))
        dtls = RTCDtlsTransport(ice, [certificate])
        dtls._rx_srtp, dtls._tx_srtp = _session(Policy.SSRC_ANY_INBOUND), _session(Policy.SSRC_ANY_OUTBOUND)
        connection: Any = ice._connection
        protocol = hooks._Verified(connection)
        connection._protocols.append(protocol)
        connection._remote_candidates.append(Candidate("1", 1, "udp", 1, *BROWSER, "host"))
        transport = SimpleNamespace(sendto=lambda *_: None, is_closing=lambda: False)
        connection._nominated[1] = SimpleNamespace(protocol=SimpleNamespace(transport=transport), remote_addr=BROWSER)
        wire = hooks.Wire(ice, dtls)
        wire.open()
        self.leg = Leg(LINES, wire)
        wire.listen(self.leg.take)
        self.received: Callable[[bytes, tuple[str, int]], None] = protocol.datagram_received


def _call(certificate: RTCCertificate) -> list[_End]:
    ends = {name: _End(certificate) for name in ("a", "b")}
    legs = {name: end.leg for name, end in ends.items()}
    forwarder.arrange(Room((Seat("a"), Seat("b"))), legs, lambda _: None, time.monotonic())
    return list(ends.values())


async def cpu_us(film: Clip, calls: int) -> float:
    """Processor time of one packet, its share of the ticks included, in microseconds. Needs a running loop."""
    aiortc.rtcicetransport.Connection = hooks._Bound  # type: ignore[attr-defined]
    certificate = RTCCertificate.generateCertificate()
    sealed = _sealed(film)
    ends = [end for _ in range(calls) for end in _call(certificate)]
    per_tick = round(film.packets_per_s * EVERY_S)
    began = time.process_time()
    for n, datagram in enumerate(sealed):
        for end in ends:
            end.received(datagram, BROWSER)
        if n % per_tick == per_tick - 1:
            for end in ends:
                end.leg.tick(time.monotonic())
    spent = time.process_time() - began
    passed = sum(outlet.packets for end in ends for outlet in end.leg.outlets)
    came = len(sealed) * len(ends)
    if passed < came:
        raise RuntimeError(f"only {passed} of {came} packets were passed on")
    return spent / came * 1e6
