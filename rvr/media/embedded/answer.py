"""The answer to an offer: the room's one codec and Opus in up to three slots, over one address. Pure.

An offer has one pair of sections (sound and picture) that sends and receives, and up to two pairs that only receive.
The n-th pair is slot n: the n-th other seat in the room's order. So one exchange joins, whoever comes later.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from rvr.media import MAX_SEATS, MediaRefused, Track
from rvr.media.embedded import sdp_gate
from rvr.media.embedded.rtp import Ids

VideoCodec = Literal["VP8", "H264"]

SLOTS: Final = MAX_SEATS - 1

ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
"""No other extension is taken: without 3GPP's video orientation a phone turns the picture itself, so that what is
recorded stands upright everywhere."""

FEEDBACK: Final = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")

_ANSWERED: Final = {"sendrecv": "sendrecv", "recvonly": "sendonly", "sendonly": "recvonly", "inactive": "inactive"}


@dataclass(frozen=True, slots=True)
class Codec:
    """What one connection calls the room's codec."""

    name: str
    """`VP8`, `H264` or `opus`."""
    payload_type: int
    clock_hz: int
    rtx: int = 0
    """Payload type of retransmissions; 0 where the browser knows none."""
    parameters: str = ""
    feedback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One media section as it is answered."""

    kind: Track
    mid: str
    slot: int
    direction: str
    """As seen from here."""
    codec: Codec
    ids: Ids
    ssrc: int
    """Of what is sent here; with `rtx_ssrc` its retransmissions."""
    rtx_ssrc: int

    @property
    def sends(self) -> bool:
        return self.direction in ("sendrecv", "sendonly")

    @property
    def receives(self) -> bool:
        return self.direction in ("sendrecv", "recvonly")


@dataclass(frozen=True, slots=True)
class Transport:
    """This side's end of the connection."""

    ufrag: str
    password: str
    fingerprint: str
    """SHA-256 of its certificate."""
    host: str
    port: int


def lines(offer: sdp_gate.Offer, video: VideoCodec) -> tuple[Line, ...]:
    """What is agreed. Raises MediaRefused (`codec`) where a section lacks the room's codec."""
    seen = {"audio": 0, "video": 0}
    numbers = _ssrcs()
    agreed = []
    for section in offer.sections:
        slot = seen[section.kind]
        seen[section.kind] += 1
        if slot >= SLOTS:
            raise MediaRefused("sdp-malformed", f"more than {SLOTS} sections of one kind")
        if slot and section.direction not in ("recvonly", "inactive"):
            raise MediaRefused("sdp-malformed", "only the first sound and picture may send")
        codec = _codec(section, "opus" if section.kind == "audio" else video)
        ids = Ids(section.extensions.get(TRANSPORT_CC, 0), section.extensions.get(ABS_SEND_TIME, 0))
        if "transport-cc" not in codec.feedback:
            ids = Ids(0, ids.abs_send_time)
        if section.kind == "audio":
            ids = Ids(ids.transport_cc, 0)
        direction = _ANSWERED[section.direction]
        agreed.append(Line(section.kind, section.mid, slot, direction, codec, ids, next(numbers), next(numbers)))
    return tuple(agreed)


def _ssrcs() -> Iterator[int]:
    used: set[int] = set()
    while True:
        number = secrets.randbits(32)
        if number and number not in used:
            used.add(number)
            yield number


def _codec(section: sdp_gate.Section, name: str) -> Codec:
    fitting = [one for one in section.codecs if one.name == name.lower() and _usable(one)]
    if not fitting:
        raise MediaRefused("codec", f"{name} is needed")
    offered = min(fitting, key=_rank)
    rtx = next(
        (
            one.payload_type
            for one in section.codecs
            if one.name == "rtx" and one.parameters.get("apt") == str(offered.payload_type)
        ),
        0,
    )
    wanted = FEEDBACK if section.kind == "video" else ("transport-cc",)
    feedback = tuple(one for one in wanted if one in offered.feedback)
    return Codec(name, offered.payload_type, offered.clock_hz, rtx, _parameters(offered), feedback)


def _usable(codec: sdp_gate.Codec) -> bool:
    return codec.name != "h264" or codec.parameters.get("packetization-mode") == "1"


def _rank(codec: sdp_gate.Codec) -> int:
    # Constrained Baseline is what every phone's hardware encodes and decodes; other profiles only for want of it.
    profile = codec.parameters.get("profile-level-id", "").lower()
    return 0 if profile.startswith("42e0") else 1 if profile.startswith("42") else 2


def _parameters(codec: sdp_gate.Codec) -> str:
    match codec.name:
        case "opus":
            return "minptime=10;useinbandfec=1"
        case "h264":
            profile = codec.parameters.get("profile-level-id", "42e01f")
            return f"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile[:6]}"
    return ""


def written(agreed: tuple[Line, ...], here: Transport) -> str:
    """The answer's SDP."""
    head = [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(line.mid for line in agreed)}",
        "a=msid-semantic:WMS *",
    ]
    body = [text for line in agreed for text in _section(line, here)]
    return "".join(f"{text}\r\n" for text in head + body)


def _section(line: Line, here: Transport) -> Iterator[str]:
    codec = line.codec
    formats = f"{codec.payload_type} {codec.rtx}" if codec.rtx else str(codec.payload_type)
    yield f"m={line.kind} {here.port} UDP/TLS/RTP/SAVPF {formats}"
    yield f"c=IN {'IP6' if ':' in here.host else 'IP4'} {here.host}"
    yield "a=rtcp:9 IN IP4 0.0.0.0"
    # All sections share one transport; some take it from the first of them, aiortc from the last.
    yield f"a=candidate:1 1 udp 2130706431 {here.host} {here.port} typ host"
    yield "a=end-of-candidates"
    yield f"a=ice-ufrag:{here.ufrag}"
    yield f"a=ice-pwd:{here.password}"
    yield f"a=fingerprint:sha-256 {here.fingerprint}"
    yield "a=setup:passive"
    yield f"a=mid:{line.mid}"
    for number, uri in ((line.ids.abs_send_time, ABS_SEND_TIME), (line.ids.transport_cc, TRANSPORT_CC)):
        if number:
            yield f"a=extmap:{number} {uri}"
    yield f"a={line.direction}"
    yield "a=rtcp-mux"
    yield "a=rtcp-rsize"
    yield from _codec_lines(line)
    if line.sends:
        yield from _source_lines(line)


def _codec_lines(line: Line) -> Iterator[str]:
    codec = line.codec
    channels = "/2" if line.kind == "audio" else ""
    yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_hz}{channels}"
    for feedback in codec.feedback:
        yield f"a=rtcp-fb:{codec.payload_type} {feedback}"
    if codec.parameters:
        yield f"a=fmtp:{codec.payload_type} {codec.parameters}"
    if codec.rtx:
        yield f"a=rtpmap:{codec.rtx} rtx/{codec.clock_hz}"
        yield f"a=fmtp:{codec.rtx} apt={codec.payload_type}"


def _source_lines(line: Line) -> Iterator[str]:
    """Sound and picture of one slot are one stream of the browser's, so that it keeps them together."""
    yield f"a=msid:{cname(line.slot)} {cname(line.slot)}-{line.kind}"
    sources = (line.ssrc, line.rtx_ssrc) if line.codec.rtx else (line.ssrc,)
    if len(sources) == 2:
        yield f"a=ssrc-group:FID {line.ssrc} {line.rtx_ssrc}"
    for source in sources:
        yield f"a=ssrc:{source} cname:{cname(line.slot)}"


def cname(slot: int) -> str:
    return f"slot-{slot}"
