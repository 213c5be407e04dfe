"""RTCP (RFC 3550, 4585, 5104; REMB after draft-alvestrand-rmcat-remb): read and written, no more than forwarding needs.

Pure. `parse` answers or raises ValueError, whatever the bytes are. Padding and unknown packets are skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

SR: Final = 200
RR: Final = 201
SDES: Final = 202
RTPFB: Final = 205
PSFB: Final = 206

NACK: Final = 1
TRANSPORT_CC: Final = 15
PLI: Final = 1
FIR: Final = 4
APPLICATION: Final = 15
"""Formats within RTPFB and PSFB."""

MAX_PACKETS: Final = 32
"""In one compound packet; browsers send two to four."""

_HEAD: Final = Struct("!BBH")
_SR: Final = Struct("!IQIII")
_BLOCK: Final = Struct("!IIIIII")
_TWO: Final = Struct("!II")
_LONG: Final = Struct("!I")
_PAIR: Final = Struct("!HH")
_REMB: Final = Struct("!4sBBH")


@dataclass(frozen=True, slots=True)
class Block:
    """One report block: how one stream is received."""

    ssrc: int
    fraction_lost: int
    """Of 256, since the report before."""
    lost: int
    """In all; may be negative where packets came twice."""
    highest: int
    """Extended highest sequence number."""
    jitter: int
    lsr: int
    """Middle 32 bits of the NTP time of the last sender report; 0 for none."""
    dlsr: int
    """Since then, in 1/65536 s."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    ssrc: int
    ntp: int
    rtp: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Nack:
    ssrc: int
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyFrameRequest:
    """A PLI, or a FIR."""

    ssrc: int


@dataclass(frozen=True, slots=True)
class Remb:
    bitrate_bps: int
    ssrcs: tuple[int, ...]


Packet = SenderReport | ReceiverReport | Nack | KeyFrameRequest | Remb


def parse(data: bytes) -> list[Packet]:
    """What of a compound packet matters here. Raises ValueError."""
    found: list[Packet] = []
    for count, kind, body in _split(data):
        if kind == SR:
            found.append(_sender_report(count, body))
        elif kind == RR:
            found.append(ReceiverReport(_blocks(body, 4, count)))
        elif kind == RTPFB and count == NACK:
            found.append(_nack(body))
        elif kind == PSFB:
            found.extend(_payload_feedback(count, body))
    return found


def _split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    for _ in range(MAX_PACKETS):
        if at == len(data):
            return
        if at + 4 > len(data):
            raise ValueError("truncated RTCP")
        first, kind, words = _HEAD.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > len(data):
            raise ValueError("not RTCP")
        yield first & 0x1F, kind, data[at + 4 : end]
        at = end
    raise ValueError("too many RTCP packets")


def _sender_report(count: int, body: bytes) -> SenderReport:
    if len(body) < _SR.size:
        raise ValueError("truncated sender report")
    ssrc, ntp, rtp, _packets, _octets = _SR.unpack_from(body)
    return SenderReport(ssrc, ntp, rtp, _blocks(body, _SR.size, count))


def _blocks(body: bytes, at: int, count: int) -> tuple[Block, ...]:
    if len(body) < at + count * _BLOCK.size:
        raise ValueError("truncated report blocks")
    return tuple(_block(*_BLOCK.unpack_from(body, at + n * _BLOCK.size)) for n in range(count))


def _block(ssrc: int, loss: int, highest: int, jitter: int, lsr: int, dlsr: int) -> Block:
    lost = loss & 0xFFFFFF
    return Block(ssrc, loss >> 24, lost - (1 << 24) if lost & 0x800000 else lost, highest, jitter, lsr, dlsr)


def _nack(body: bytes) -> Nack:
    if len(body) < 8:
        raise ValueError("truncated NACK")
    seqs: list[int] = []
    for at in range(8, len(body) - 3, 4):
        first, more = _PAIR.unpack_from(body, at)
        seqs.append(first)
        seqs.extend((first + 1 + bit) & 0xFFFF for bit in range(16) if more >> bit & 1)
    return Nack(_LONG.unpack_from(body, 4)[0], tuple(seqs))


def _payload_feedback(kind: int, body: bytes) -> Iterator[Packet]:
    if len(body) < 8:
        raise ValueError("truncated feedback")
    if kind == PLI:
        yield KeyFrameRequest(_LONG.unpack_from(body, 4)[0])
    elif kind == FIR:
        for at in range(8, len(body) - 7, 8):
            yield KeyFrameRequest(_LONG.unpack_from(body, at)[0])
    elif kind == APPLICATION and body[8:12] == b"REMB" and len(body) >= 16:
        _name, count, high, low = _REMB.unpack_from(body, 8)
        if len(body) < 16 + 4 * count:
            raise ValueError("truncated REMB")
        ssrcs = tuple(_LONG.unpack_from(body, 16 + 4 * n)[0] for n in range(count))
        yield Remb(((high & 0x03) << 16 | low) << (high >> 2), ssrcs)


# --- written ---


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body


def sender_report(ssrc: int, ntp: int, rtp: int, packets: int, octets: int, blocks: Sequence[Block] = ()) -> bytes:
    body = _SR.pack(ssrc, ntp, rtp, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    return _packet(len(blocks), SR, body + _written(blocks))


def receiver_report(ssrc: int, blocks: Sequence[Block]) -> bytes:
    return _packet(len(blocks), RR, _LONG.pack(ssrc) + _written(blocks))


def _written(blocks: Iterable[Block]) -> bytes:
    return b"".join(
        _BLOCK.pack(
            one.ssrc,
            one.fraction_lost << 24 | max(-(1 << 23), min(one.lost, (1 << 23) - 1)) & 0xFFFFFF,
            one.highest & 0xFFFFFFFF,
            one.jitter & 0xFFFFFFFF,
            one.lsr,
            one.dlsr & 0xFFFFFFFF,
        )
        for one in blocks
    )


def source_description(ssrc: int, cname: str) -> bytes:
    item = b"\x01" + bytes([len(cname)]) + cname.encode("ascii")
    chunk = _LONG.pack(ssrc) + item
    return _packet(1, SDES, chunk + bytes(4 - len(chunk) % 4))


def nack(sender: int, ssrc: int, seqs: Iterable[int]) -> bytes:
    """Asks for these packets again; each pair of the message holds a number and the sixteen after it."""
    pairs: list[list[int]] = []
    for seq in seqs:
        ahead = (seq - pairs[-1][0] - 1) & 0xFFFF if pairs else 16
        if ahead < 16:
            pairs[-1][1] |= 1 << ahead
        else:
            pairs.append([seq & 0xFFFF, 0])
    return _packet(NACK, RTPFB, _TWO.pack(sender, ssrc) + b"".join(_PAIR.pack(*pair) for pair in pairs))


def picture_loss(sender: int, ssrc: int) -> bytes:
    return _packet(PLI, PSFB, _TWO.pack(sender, ssrc))


def transport_feedback(sender: int, ssrc: int, fci: bytes) -> bytes:
    return _packet(TRANSPORT_CC, RTPFB, _TWO.pack(sender, ssrc) + fci + bytes(-len(fci) % 4))


def remb(sender: int, bitrate_bps: int, ssrcs: Sequence[int]) -> bytes:
    exponent = max(0, bitrate_bps.bit_length() - 18)
    mantissa = bitrate_bps >> exponent
    fci = _REMB.pack(b"REMB", len(ssrcs), exponent << 2 | mantissa >> 16, mantissa & 0xFFFF)
    return _packet(APPLICATION, PSFB, _TWO.pack(sender, 0) + fci + b"".join(map(_LONG.pack, ssrcs)))
