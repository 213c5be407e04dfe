"""RTP as it lies in a datagram (RFC 3550, 8285, 4588): headers, sequence numbers, where a key frame begins.

Pure. Whatever the bytes are, a function here answers or raises ValueError: what it reads comes from strangers.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

HEAD: Final = Struct("!BBHII")
"""Version and flags, marker and payload type, sequence number, timestamp, SSRC."""
HEAD_BYTES: Final = HEAD.size
MARKER: Final = 0x80
PADDED: Final = 0x20

_X: Final = 0x10
_USUAL: Final = 0x90
"""Version 2, extensions, neither padding nor contributing sources: so nearly every packet of a browser begins."""
_USUAL_HEAD: Final = Struct("!xBHIIIBHxBHx")
"""Behind the header the shape of the extensions, then id and value of an extension of two bytes in either of two
places: as the first (sound: transport-cc alone), or behind one of three (pictures: after abs-send-time)."""
_ONE_WORD: Final = 0xBEDE_0001
_TWO_WORDS: Final = 0xBEDE_0002
_PAIR: Final = Struct("!HH")

RTCP_TYPES: Final = range(192, 224)
"""RFC 5761: with such a second byte a packet on a shared port is RTCP."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids of the header extensions that one connection negotiated; 0 for none."""

    transport_cc: int = 0
    abs_send_time: int = 0


Packet = tuple[int | None, int, int, int, int, bytes, int]
"""Transport-wide sequence number if it has one, marker bit, sequence number, timestamp, SSRC, payload without padding,
size of the whole in bytes. A bare tuple: one is made and taken apart for each packet of every call."""


def read(plain: bytes, transport_cc: int = 0) -> Packet:
    """What there is to know of a packet; `transport_cc` is the id of that extension. Raises ValueError."""
    size = len(plain)
    if plain[0] == _USUAL and transport_cc and size >= _USUAL_HEAD.size:
        kind, seq, ts, ssrc, shape, first, number, second, later = _USUAL_HEAD.unpack_from(plain)
        mark = transport_cc << 4 | 1
        if first == mark and shape == _ONE_WORD:
            return number, kind & MARKER, seq, ts, ssrc, plain[20:], size
        if second == mark and shape == _TWO_WORDS and first & 0x0F == 2 and first < 0xF0:
            return later, kind & MARKER, seq, ts, ssrc, plain[24:], size
    _, kind, seq, ts, ssrc = HEAD.unpack_from(plain)
    found = extension(plain, transport_cc)
    told = int.from_bytes(found, "big") & 0xFFFF if found is not None else None
    return told, kind & MARKER, seq, ts, ssrc, plain[payload_start(plain) : payload_end(plain)], size


def payload_start(packet: bytes | memoryview) -> int:
    """Where the payload begins, behind contributing sources and extensions. Raises ValueError."""
    first = packet[0]
    if first >> 6 != 2:
        raise ValueError("not RTP")
    start = HEAD_BYTES + 4 * (first & 0x0F)
    if first & _X:
        if start + 4 > len(packet):
            raise ValueError("truncated extension")
        start += 4 + 4 * ((packet[start + 2] << 8) | packet[start + 3])
    if start > len(packet):
        raise ValueError("truncated header")
    return start


def payload_end(packet: bytes | memoryview) -> int:
    """Where the payload ends, before the padding. Raises ValueError."""
    if not packet[0] & PADDED:
        return len(packet)
    padding = packet[-1]
    if padding == 0 or padding > len(packet) - HEAD_BYTES:
        raise ValueError("padding")
    return len(packet) - padding


def extension(packet: bytes | memoryview, wanted: int) -> bytes | None:
    """The value of one header extension (RFC 8285, one or two bytes of header), or None. Raises ValueError."""
    if not packet[0] & _X or not wanted:
        return None
    at = HEAD_BYTES + 4 * (packet[0] & 0x0F)
    if at + 4 > len(packet):
        raise ValueError("truncated extension")
    profile, words = _PAIR.unpack_from(packet, at)
    at += 4
    end = at + 4 * words
    if end > len(packet):
        raise ValueError("truncated extension")
    if profile == 0xBEDE:
        return _short(packet, at, end, wanted)
    if profile & 0xFFF0 == 0x1000:
        return _long(packet, at, end, wanted)
    return None


def _short(packet: bytes | memoryview, at: int, end: int, wanted: int) -> bytes | None:
    while at < end:
        byte = packet[at]
        at += 1
        if byte == 0:
            continue
        found, size = byte >> 4, (byte & 0x0F) + 1
        if found == 15:  # reserved: what follows is to be ignored
            return None
        if at + size > end:
            raise ValueError("truncated extension")
        if found == wanted:
            return bytes(packet[at : at + size])
        at += size
    return None


def _long(packet: bytes | memoryview, at: int, end: int, wanted: int) -> bytes | None:
    while at < end:
        found = packet[at]
        at += 1
        if found == 0:
            continue
        if at >= end or at + 1 + packet[at] > end:
            raise ValueError("truncated extension")
        size = packet[at]
        if found == wanted:
            return bytes(packet[at + 1 : at + 1 + size])
        at += 1 + size
    return None


def unwrapped(low: int, near: int, bits: int = 16) -> int:
    """The number that ends in these `bits` and lies nearest to `near`; never below zero."""
    span = 1 << bits
    ahead = (low - near) % span
    number = near + ahead if ahead < span >> 1 else near + ahead - span
    return number if number >= 0 else number + span


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """What the first packet of a key frame says of it; 0 where the codec does not say it there."""

    width: int = 0
    height: int = 0


def vp8_key_frame(payload: bytes) -> KeyFrame | None:
    """RFC 7741: the packet that begins a key frame, or None."""
    start = vp8_header_bytes(payload)
    if start is None or not payload[0] & 0x10 or payload[0] & 0x07:
        return None
    if start >= len(payload) or payload[start] & 0x01:
        return None
    head = payload[start : start + 10]
    if len(head) < 10 or head[3:6] != b"\x9d\x01\x2a":
        return None
    return KeyFrame((head[6] | head[7] << 8) & 0x3FFF, (head[8] | head[9] << 8) & 0x3FFF)


def vp8_header_bytes(payload: bytes) -> int | None:
    """Length of the VP8 payload descriptor, or None when it is cut short."""
    if not payload:
        return None
    if not payload[0] & 0x80:
        return 1
    if len(payload) < 2:
        return None
    has = payload[1]
    at = 2
    if has & 0x80:
        if at >= len(payload):
            return None
        at += 2 if payload[at] & 0x80 else 1
    if has & 0x40:
        at += 1
    if has & 0x30:
        at += 1
    return at if at <= len(payload) else None


_SPS: Final = 7
_IDR: Final = 5
_STAP_A: Final = 24
_FU_A: Final = 28


def h264_key_frame(payload: bytes) -> KeyFrame | None:
    """RFC 6184: a packet with parameter sets or the beginning of an IDR picture, or None."""
    if not payload:
        return None
    kind = payload[0] & 0x1F
    if kind == _STAP_A and len(payload) > 3:
        kind = payload[3] & 0x1F
    elif kind == _FU_A and len(payload) > 1 and payload[1] & 0x80:
        kind = payload[1] & 0x1F
    return KeyFrame() if kind in (_SPS, _IDR) else None
