"""One connection's media: its tracks as they arrive and as it is sent them, and the talk with its browser about both.

Bytes in, bytes out: no socket, no room and no clock is known here; `peer` owns the connection, `forwarder` says what
goes where. Whatever a browser sends ends here at the latest, counted as malformed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, Protocol

from aiortc.rate import RemoteBitrateEstimator

from rvr.media import Track
from rvr.media.embedded import rtcp
from rvr.media.embedded.answer import Line
from rvr.media.embedded.feedback import CEILING_BPS, Arrivals, Downlink
from rvr.media.embedded.rtp import MARKER, RTCP_TYPES, Packet, extension, read
from rvr.media.embedded.streams import Inlet, Outlet

PACKETS_PER_TICK: Final = 250
"""What one seat may send in a tenth of a second: 25 Mbit/s, ten times what a camera here sends. A flood is dropped
before it is opened, so that it slows its own call and no other."""
AGAIN_PER_TICK: Final = 60
"""Retransmissions to one browser in a tenth of a second: half of 1 Mbit/s once more."""
TICKS_PER_REPORT: Final = 10

Tap = Callable[[Track, bytes, float], object]
"""Is given each packet of a track as it came, opened, after it was passed on, with the time of its arrival."""


Take = Callable[[Packet, float], None]
"""Takes one packet of a track, with the time of its arrival."""


class Wire(Protocol):
    """What a leg needs of `hooks.Wire`."""

    def opened(self, datagram: bytes) -> bytes | None: ...
    def opened_rtcp(self, datagram: bytes) -> bytes | None: ...
    def send(self, packet: bytes) -> bool: ...
    def send_rtcp(self, packet: bytes) -> bool: ...


class Leg:
    """One connection's media, from DTLS to its end. `now` is always seconds of `time.monotonic`."""

    def __init__(self, lines: tuple[Line, ...], wire: Wire) -> None:
        self.inlets: dict[Track, Inlet] = {}
        self.outlets = [Outlet(line, wire.send, wire.send_rtcp) for line in lines if line.sends]
        self.downlink = Downlink()
        self.heard_at = 0.0
        """When the last authentic packet came. Counted after decryption, so nobody else can feign life."""
        self.cap_bps: int | None = None
        """What the receivers of this picture can take, as `forwarder` found it."""
        self.tap: Tap | None = None
        self.malformed = 0
        self._wire = wire
        self._own_ssrc = lines[0].ssrc
        self._by_ssrc = {outlet.ssrc: outlet for outlet in self.outlets}
        self._by_kind: list[tuple[Track, Take] | None] = [None] * 256
        """A packet's second byte, which is marker and payload type -> track, and what takes it."""
        self._transport_cc = 0
        self._arrivals = Arrivals()
        self._estimator: RemoteBitrateEstimator | None = None
        self._time_id = 0
        self._estimate_bps: int | None = None
        self._capped = False
        self._ticks = 0
        self._left = PACKETS_PER_TICK
        self._again_left = AGAIN_PER_TICK
        self._sent_octets = 0
        self._sent_bps = 0
        for line in lines:
            if line.receives:
                self._receive(line)

    def _receive(self, line: Line) -> None:
        inlet = self.inlets[line.kind] = Inlet(line.codec, self._own_ssrc, self._wire.send_rtcp)
        for payload_type, take in ((line.codec.payload_type, inlet.take), (line.codec.rtx, inlet.take_again)):
            if payload_type:
                self._by_kind[payload_type] = self._by_kind[payload_type | MARKER] = line.kind, take
        self._transport_cc = self._transport_cc or line.ids.transport_cc
        if line.kind == "video" and not line.ids.transport_cc and "goog-remb" in line.codec.feedback:
            self._estimator, self._time_id = RemoteBitrateEstimator(), line.ids.abs_send_time

    # --- arriving ---

    def take(self, datagram: bytes, now: float) -> None:
        """An SRTP or SRTCP datagram. Never raises."""
        self._left -= 1
        if self._left < 0:
            return
        try:
            known = self._by_kind[datagram[1]]
            if known is None:
                self._take_other(datagram, now)
                return
            plain = self._wire.opened(datagram)
            if plain is None:
                return
            self.heard_at = now
            packet = read(plain, self._transport_cc)
            number = packet[0]
            if number is not None:
                self._arrivals.note(number, now)
            elif self._estimator is not None:
                self._estimate(self._estimator, plain, now)
            track, take = known
            take(packet, now)
            if self.tap is not None:
                self.tap(track, plain, now)
        except (ValueError, IndexError, struct.error):
            self.malformed += 1

    def _take_other(self, datagram: bytes, now: float) -> None:
        """Control, or a payload type that was not agreed, which is a sign of life and no more."""
        if datagram[1] in RTCP_TYPES:
            self._take_rtcp(datagram, now)
        elif self._wire.opened(datagram) is not None:
            self.heard_at = now

    def _estimate(self, estimator: RemoteBitrateEstimator, packet: bytes, now: float) -> None:
        sent = extension(packet, self._time_id)
        if sent is None or len(sent) != 3:
            return
        ssrc = int.from_bytes(packet[8:12], "big")
        told = estimator.add(int(now * 1000), int.from_bytes(sent, "big"), len(packet), ssrc)
        if told is not None:
            self._estimate_bps = told[0]

    def _take_rtcp(self, datagram: bytes, now: float) -> None:
        plain = self._wire.opened_rtcp(datagram)
        if plain is None:
            return
        self.heard_at = now
        for packet in rtcp.parse(plain):
            match packet:
                case rtcp.SenderReport(ssrc, ntp, rtp, blocks):
                    self._take_report(ssrc, ntp, rtp, now)
                    self._take_blocks(blocks, now)
                case rtcp.ReceiverReport(blocks):
                    self._take_blocks(blocks, now)
                case rtcp.Nack(ssrc, seqs):
                    self._send_again(ssrc, seqs, now)
                case rtcp.KeyFrameRequest(ssrc):
                    outlet = self._by_ssrc.get(ssrc)
                    if outlet is not None and outlet.inlet is not None and outlet.is_video:
                        outlet.inlet.ask_key_frame(now)
                case rtcp.Remb(bitrate, _):
                    self.downlink.estimate(bitrate, self._sent_bps, now)

    def _take_report(self, ssrc: int, ntp: int, rtp: int, now: float) -> None:
        for inlet in self.inlets.values():
            if inlet.ssrc == ssrc:
                inlet.note_report(ntp, now)
                for outlet in inlet.outlets:
                    outlet.tell_report(ntp, rtp, now)

    def _take_blocks(self, blocks: tuple[rtcp.Block, ...], now: float) -> None:
        for block in blocks:
            outlet = self._by_ssrc.get(block.ssrc)
            if outlet is not None:
                outlet.note_block(block, now)
                if outlet.is_video:
                    self.downlink.loss(outlet.lost_fraction, self._sent_bps, now)

    def _send_again(self, ssrc: int, seqs: tuple[int, ...], now: float) -> None:
        outlet = self._by_ssrc.get(ssrc)
        for seq in seqs:
            if outlet is None or self._again_left <= 0:
                return
            if outlet.again(seq, now):
                self._again_left -= 1

    # --- every tenth of a second ---

    def tick(self, now: float) -> None:
        """Feedback, what must be asked for again, signs of life; once a second the reports."""
        self._left, self._again_left = PACKETS_PER_TICK, AGAIN_PER_TICK
        if (fci := self._arrivals.message()) is not None:
            self._wire.send_rtcp(rtcp.transport_feedback(self._own_ssrc, self._media_ssrc(), fci))
        for inlet in self.inlets.values():
            inlet.tick(now)
        for outlet in self.outlets:
            if outlet.slot == 0:
                outlet.keep_alive(now)
        self._ticks += 1
        if self._ticks % TICKS_PER_REPORT == 0:
            self._report(now)

    def _report(self, now: float) -> None:
        octets = sum(outlet.octets for outlet in self.outlets if outlet.is_video)
        self._sent_bps = (octets - self._sent_octets) * 8
        self._sent_octets = octets
        blocks = [block for inlet in self.inlets.values() if (block := inlet.block(now)) is not None]
        message = rtcp.receiver_report(self._own_ssrc, blocks) + rtcp.source_description(self._own_ssrc, "server")
        limits = [bps for bps in (self.cap_bps, self._estimate_bps) if bps is not None]
        if (limits or self._capped) and (video := self.inlets.get("video")) is not None and video.ssrc:
            # A cap holds until another is told, so its end is told, too.
            message += rtcp.remb(self._own_ssrc, min(limits, default=CEILING_BPS), [video.ssrc])
            self._capped = bool(limits)
        self._wire.send_rtcp(message)

    def _media_ssrc(self) -> int:
        return next((inlet.ssrc for inlet in self.inlets.values() if inlet.ssrc), 0)
