"""A copy of what one seat sends, as Janus forwards it to a socket of ours: what the desk believes was seen.

It feeds a `Leg` as a connection of our own would, one that sends nothing. Between machines the copy is SRTP under a key
of this tap alone (RFC 3711, in the one suite that Janus's forwarders have); on one machine it is plain RTP that never
leaves it.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from pylibsrtp import Error, Policy, Session

from rvr.media.embedded import rtcp
from rvr.media.embedded.answer import Line
from rvr.media.embedded.hooks import UDP_BUFFER_BYTES
from rvr.media.embedded.leg import Leg

SRTP_SUITE: Final = 80
SRTP_KEY_BYTES: Final = 30
"""A 16-byte key and a 14-byte salt."""


class Tap(asyncio.DatagramProtocol):
    """One seat's socket, and its media. Use once."""

    def __init__(
        self, lines: tuple[Line, ...], on_packet: Callable[[], None], ask_key_frame: Callable[[], None]
    ) -> None:
        self.leg = Leg(lines, self)
        self._on_packet = on_packet
        self._ask_key_frame = ask_key_frame
        self._key = os.urandom(SRTP_KEY_BYTES)
        self._srtp: Session | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._loop = asyncio.get_running_loop()

    async def open(self, address: str) -> dict[str, Any]:
        """Listen; what Janus must be told to send its copy here. Raises OSError."""
        if not ipaddress.ip_address(address).is_loopback:
            policy = Policy(self._key, Policy.SSRC_ANY_INBOUND, srtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80)
            self._srtp = Session(policy)
        self._transport, _ = await self._loop.create_datagram_endpoint(lambda: self, local_addr=(address, 0))
        at = self._transport.get_extra_info("socket")
        at.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)
        told: dict[str, Any] = {"host": address, "port": self._transport.get_extra_info("sockname")[1]}
        if self._srtp is not None:
            told |= {"srtp_suite": SRTP_SUITE, "srtp_crypto": base64.b64encode(self._key).decode()}
        return told

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.leg.take(data, time.monotonic())
        if self.leg.heard_at:
            self._on_packet()

    # --- what the leg takes for its wire ---

    def opened(self, datagram: bytes) -> bytes | None:
        if self._srtp is None:
            return datagram
        try:
            return self._srtp.unprotect(datagram)
        except Error:
            return None

    def opened_rtcp(self, datagram: bytes) -> bytes | None:
        return None  # the reports stay between Janus and the browser

    def send(self, packet: bytes) -> bool:
        return False

    def send_rtcp(self, packet: bytes) -> bool:
        """Of what a server says to its browser only the wish for a key frame goes on; the rest is Janus's to say."""
        for one in rtcp.parse(packet):
            if isinstance(one, rtcp.KeyFrameRequest):
                self._ask_key_frame()
        return True
