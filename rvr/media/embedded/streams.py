"""One track as it arrives (`Inlet`) and one track as one receiver is sent it (`Outlet`): numbers, gaps and what repairs
them. Pure: times are arguments, packets go out through the functions that are given.

A receiver sees one unbroken stream per slot, whatever becomes of its source: SSRC, payload type and extensions are its
own connection's, sequence numbers and timestamps go on where they were. Key and packet index together must never come
twice (AES-GCM), so what was sent once is sent again only as a retransmission with an index of its own (RFC 4588).
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from struct import Struct
from typing import Final

from rvr.media.embedded import rtcp
from rvr.media.embedded.answer import Codec, Line, cname
from rvr.media.embedded.asking import Asking, Say
from rvr.media.embedded.rtp import HEAD, KeyFrame, Packet, h264_key_frame, unwrapped, vp8_key_frame

HISTORY: Final = 512
"""Packets of a picture that can be sent again: four seconds at 1 Mbit/s, half a megabyte."""
MAX_JUMP: Final = 3_000
"""A step in sequence numbers that no loss explains: the source has begun anew."""
KEEPALIVE_S: Final = 0.4
"""Opus itself sends a packet this often through silence (DTX)."""
SILENCE: Final = b"\xf8\xff\xfe"
"""20 ms of Opus silence: CELT, full band, mono."""

_ONE_OF_THREE: Final = 0xBEDE_0001
_WITH_TIME: Final = Struct("!BBHIIII")
"""A header with one extension of three bytes: the absolute time of sending."""
_OSN: Final = Struct("!H")

Send = Callable[[bytes], bool]
"""Seals and sends an RTP packet; False when it could not be."""
Entry = tuple[int, int, int, bytes]
"""Extended sequence number, timestamp, marker bit, payload."""


def _vp8(payload: bytes) -> KeyFrame | None:
    # The first packet of a frame is one in ten: the rest is told apart by one byte.
    return vp8_key_frame(payload) if payload and payload[0] & 0x17 == 0x10 else None


def _none(_: bytes) -> None: ...


_KEY_FRAMES: Final = {"VP8": _vp8, "H264": h264_key_frame}


class Inlet:
    """One track of one browser, as it arrives."""

    # At most thirty attributes: with more, CPython 3.11 looks each of them up in a dictionary of the instance's own.

    def __init__(self, codec: Codec, own_ssrc: int, say: Say) -> None:
        self.codec = codec
        self.is_video = codec.name != "opus"
        self.outlets: tuple[Outlet, ...] = ()
        """Who is passed this track now."""
        self.on_key_frame: Callable[[KeyFrame], object] | None = None
        self.on_marker: Callable[[], object] | None = None
        """Called after each packet that ends a picture, as long as somebody waits for a whole one."""
        self.generation = 0
        """Grows whenever the source begins anew: numbers before and after have nothing to do with each other."""
        self.ssrc = 0
        self.highest = 0
        self.received = 0
        self.frames = 0
        self.freezes = 0
        self.key_first = self.key_last = -1
        """The newest key frame's packets, first and, once it came, last."""
        self.size = KeyFrame()
        self.octets = 0
        self.asking = Asking(own_ssrc, say, again=bool(codec.rtx))
        self._key_ts = -1
        self._find_key_frame = _KEY_FRAMES.get(codec.name, _none)
        self._history: list[Entry | None] = [None] * HISTORY if self.is_video else []
        self._first = 0
        self._told_expected = self._told_received = 0
        self._ts = -1
        self._transit = 0.0
        self._jitter = 0.0
        self._report: tuple[int, float] = (0, 0.0)
        self._frame_at = 0.0
        self._frame_gap = 0.0

    # --- arriving ---

    def take(self, packet: Packet, now: float) -> None:
        """A packet of this track."""
        _, marker, seq, ts, ssrc, payload, size = packet
        number = self.highest + 1
        if ssrc != self.ssrc or seq != number & 0xFFFF:
            number = self._out_of_turn(ssrc, seq, now)
        self.received += 1
        self.octets += size
        if number > self.highest:
            self.highest = number
            if ts != self._ts:
                self._note_transit(ts, now)
        elif self._has(number):
            return
        self._accept(number, ts, marker, payload, now)

    def _out_of_turn(self, ssrc: int, seq: int, now: float) -> int:
        """The extended number of a packet that is not the one after the highest."""
        if ssrc != self.ssrc:
            self._begin(ssrc, seq)
        number = unwrapped(seq, self.highest)
        if not -MAX_JUMP < number - self.highest < MAX_JUMP:
            self._begin(ssrc, seq)
            return self.highest + 1
        if number > self.highest + 1 and self.is_video:
            self.asking.gap(self.highest + 1, number, now)
        self.asking.came(number)
        return number

    def take_again(self, packet: Packet, now: float) -> None:
        """A retransmission (RFC 4588): what was lost, or padding that only measures the way."""
        _, marker, _, ts, _, payload, _ = packet
        if len(payload) < 2 or not self.generation:
            return
        number = unwrapped((payload[0] << 8) | payload[1], self.highest)
        self.asking.came(number)
        if self.highest - HISTORY < number < self.highest and not self._has(number):
            self._accept(number, ts, marker, payload[2:], now)

    def _has(self, number: int) -> bool:
        """Whether a packet of a picture is here already, or is too old to tell."""
        kept = self._history[number % HISTORY] if self.is_video else None
        return kept is not None and kept[0] >= number

    def _begin(self, ssrc: int, seq: int) -> None:
        self.generation += 1
        self.ssrc = ssrc
        self.highest = seq + 0x10000 - 1  # one turn up, so that an earlier packet that comes late has a number, too
        self._first = self.highest + 1
        self.received = self._told_expected = self._told_received = 0
        self.asking.begin(ssrc)
        self._history = [None] * len(self._history)
        self.key_first = self.key_last = self._key_ts = -1
        self._report = (0, 0.0)

    def _accept(self, number: int, ts: int, marker: int, payload: bytes, now: float) -> None:
        key = None
        if self.is_video:
            self._history[number % HISTORY] = (number, ts, marker, payload)
            find = self._find_key_frame
            key = find(payload)
            if key is not None and ts != self._key_ts and number > self.key_first:
                self._note_key_frame(key, number, ts)
            if marker:
                self._note_frame(number, ts, now)
        for outlet in self.outlets:
            outlet.forward(number, ts, marker, payload, key is not None, now)
        if self.on_marker is not None and self.key_last >= 0:
            self.on_marker()

    def _note_key_frame(self, key: KeyFrame, number: int, ts: int) -> None:
        self.key_first, self.key_last, self._key_ts = number, -1, ts
        if key.width:
            self.size = key
        self.asking.key_frame_came()
        if self.on_key_frame is not None:
            self.on_key_frame(key)

    def _note_frame(self, number: int, ts: int, now: float) -> None:
        if ts == self._key_ts:
            self.key_last = number
        self.frames += 1
        gap = now - self._frame_at
        if self._frame_at and self._frame_gap:
            # W3C webrtc-stats, freezeCount: three times the usual gap, and at least 150 ms more.
            if gap >= max(3 * self._frame_gap, self._frame_gap + 0.15):
                self.freezes += 1
            self._frame_gap += (min(gap, 1.0) - self._frame_gap) / 30
        elif self._frame_at:
            self._frame_gap = gap
        self._frame_at = now

    def whole_key_frame(self) -> list[bytes] | None:
        """The payloads of the newest key frame, if all have come and are kept yet."""
        if self.key_last < 0:
            return None
        kept = [self._history[n % HISTORY] for n in range(self.key_first, self.key_last + 1)]
        whole = [entry for n, entry in enumerate(kept, self.key_first) if entry is not None and entry[0] == n]
        return [entry[3] for entry in whole] if len(whole) == len(kept) else None

    def kept(self, number: int) -> Entry | None:
        entry = self._history[number % HISTORY] if self._history else None
        return entry if entry is not None and entry[0] == number else None

    # --- asking the browser ---

    def ask_key_frame(self, now: float) -> None:
        """Now, or as soon as the last request lies far enough back."""
        self.asking.key_frame(now)

    def ask_again(self, number: int, now: float) -> None:
        """A receiver lacks a packet that is not here either."""
        if self.highest - HISTORY < number < self.highest:
            self.asking.again(number, now)

    def tick(self, now: float) -> None:
        """Every tenth of a second: ask again for what has not come."""
        self.asking.tick(self.highest - HISTORY, now)

    # --- reporting to the browser ---

    def note_report(self, ntp: int, now: float) -> None:
        """The browser's sender report came."""
        self._report = (ntp >> 16 & 0xFFFFFFFF, now)

    def block(self, now: float) -> rtcp.Block | None:
        """How its packets arrive (RFC 3550, 6.4.1 and A.3), since the last such block; None before the first packet."""
        if not self.generation:
            return None
        expected = self.highest - self._first + 1
        of, got = expected - self._told_expected, self.received - self._told_received
        self._told_expected, self._told_received = expected, self.received
        lost = max(0, of - got)
        lsr, at = self._report
        return rtcp.Block(
            self.ssrc,
            min(255, lost * 256 // of) if of > 0 else 0,
            expected - self.received,
            self.highest,
            int(self._jitter),
            lsr,
            int((now - at) * 65536) if lsr else 0,
        )

    @property
    def lost(self) -> tuple[int, int]:
        """Packets expected and received of the present source so far; retransmissions do not count."""
        return (self.highest - self._first + 1, self.received) if self.generation else (0, 0)

    def _note_transit(self, ts: int, now: float) -> None:
        # Once a picture, as libwebrtc does: its later packets differ by how the sender spaces them, not by the way.
        self._ts = ts
        clock_hz = self.codec.clock_hz
        transit = now * clock_hz - ts
        change = abs(transit - self._transit)
        self._transit = transit
        if change < clock_hz:  # a timestamp that turned over, or a source that began anew
            self._jitter += (change - self._jitter) / 16


class Outlet:
    """One track as one receiver is sent it: one slot's sound or picture."""

    def __init__(self, line: Line, send: Send, say: Say) -> None:
        self.is_video = line.kind == "video"
        self.slot = line.slot
        self.ssrc = line.ssrc
        self.rtx_ssrc = line.rtx_ssrc
        self.inlet: Inlet | None = None
        self.on_key_frame_sent: Callable[[], object] | None = None
        self.packets = 0
        self.octets = 0
        self.frames = 0
        self.lost_fraction = 0.0
        self.rtt_s: float | None = None
        self._send = send
        self._say = say
        self._codec = line.codec
        self._payload_type = line.codec.payload_type
        self._time_mark = line.ids.abs_send_time << 28 | 2 << 24 if 0 < line.ids.abs_send_time < 15 else 0
        """The extension's id and length, before its three bytes; 0 for none."""
        self._generation = -1
        """Of the inlet, as long as this follows it; -1: wait for a key frame."""
        self._key_ts = -1
        self._top = secrets.randbits(15)
        """The highest sequence number sent, extended."""
        self._ts = secrets.randbits(31)
        self._sent_at = 0.0
        self._first = 0
        """The source's first number since this follows it; what lies before is not this stream's."""
        self._seq_delta = 0
        self._ts_delta = 0
        self._rtx_seq = secrets.randbits(15)
        self._reports: deque[tuple[int, float]] = deque(maxlen=5)

    def follow(self, inlet: Inlet | None, now: float) -> None:
        """From now on this track is the source; numbers go on where they are."""
        if inlet is self.inlet:
            return
        self.inlet = inlet
        self._generation = -1
        if inlet is not None and self.is_video:
            inlet.ask_key_frame(now)

    def forward(self, number: int, ts: int, marker: int, payload: bytes, key: bool, now: float) -> None:
        """Pass a packet of the source on. `number` is the source's, extended."""
        inlet = self.inlet
        if inlet is None:
            return
        if inlet.generation != self._generation:
            if self.is_video and not key:
                inlet.ask_key_frame(now)
                return
            self._join(inlet, number, ts, now)
        elif number < self._first:
            return
        seq = number + self._seq_delta
        if seq > self._top:
            self._top = seq
        self._ts = ts = (ts + self._ts_delta) & 0xFFFFFFFF
        self._sent_at = now
        send = self._send
        if send(self._header(self._payload_type | marker, seq, ts, self.ssrc, now) + payload):
            self.packets += 1
            self.octets += len(payload)
        if key:
            self._key_ts = ts
        if marker and self.is_video:
            self.frames += 1
            if ts == self._key_ts and self.on_key_frame_sent is not None:
                self.on_key_frame_sent()

    def _join(self, inlet: Inlet, number: int, ts: int, now: float) -> None:
        self._generation = inlet.generation
        self._first = number
        self._seq_delta = self._top + 1 - number
        self._ts_delta = (self._ts + self._elapsed(now) - ts) & 0xFFFFFFFF

    def _elapsed(self, now: float) -> int:
        return max(1, int((now - self._sent_at) * self._codec.clock_hz)) if self._sent_at else 1

    def _header(self, kind: int, seq: int, ts: int, ssrc: int, now: float) -> bytes:
        if self._time_mark:
            sent_at = int(now * 262_144) & 0xFFFFFF  # 6.18 fixed point: abs-send-time's seconds
            return _WITH_TIME.pack(0x90, kind, seq & 0xFFFF, ts, ssrc, _ONE_OF_THREE, self._time_mark | sent_at)
        return HEAD.pack(0x80, kind, seq & 0xFFFF, ts, ssrc)

    def keep_alive(self, now: float) -> None:
        """A little silence where there is no sound to pass on: the browser then knows that the way is good."""
        if self.is_video or now - self._sent_at < KEEPALIVE_S:
            return
        self._generation = -1
        self._top += 1
        self._ts = (self._ts + self._elapsed(now)) & 0xFFFFFFFF
        self._sent_at = now
        if self._send(HEAD.pack(0x80, self._codec.payload_type, self._top & 0xFFFF, self._ts, self.ssrc) + SILENCE):
            self.packets += 1
            self.octets += len(SILENCE)

    # --- what the receiver says ---

    def again(self, seq: int, now: float) -> bool:
        """The receiver lacks this packet: from the history, or asked of the source. True when one was sent."""
        inlet = self.inlet
        if inlet is None or inlet.generation != self._generation or not self._codec.rtx:
            return False
        number = unwrapped(seq, self._top) - self._seq_delta
        if number < self._first:
            return False
        entry = inlet.kept(number)
        if entry is None:
            inlet.ask_again(number, now)
            return False
        _, ts, marker, payload = entry
        self._rtx_seq += 1
        header = self._header(
            self._codec.rtx | marker, self._rtx_seq, (ts + self._ts_delta) & 0xFFFFFFFF, self.rtx_ssrc, now
        )
        return self._send(header + _OSN.pack(seq) + payload)

    def note_block(self, block: rtcp.Block, now: float) -> None:
        """The receiver's report on this stream."""
        self.lost_fraction = block.fraction_lost / 256
        sent = next((at for lsr, at in self._reports if lsr == block.lsr), None) if block.lsr else None
        if sent is not None:
            self.rtt_s = max(0.0, now - sent - block.dlsr / 65536)

    # --- reporting to the receiver ---

    def tell_report(self, ntp: int, rtp: int, now: float) -> None:
        """Pass the source's sender report on, in this stream's numbers: sound and picture stay in step by it."""
        inlet = self.inlet
        if inlet is None or inlet.generation != self._generation:
            return
        self._reports.append((ntp >> 16 & 0xFFFFFFFF, now))
        rtp = (rtp + self._ts_delta) & 0xFFFFFFFF
        report = rtcp.sender_report(self.ssrc, ntp, rtp, self.packets, self.octets)
        self._say(report + rtcp.source_description(self.ssrc, cname(self.slot)))
