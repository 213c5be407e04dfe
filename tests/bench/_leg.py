"""One connection of a load-generating person: ICE and DTLS as a browser has them, then packets as fast as Python goes.

What a browser would say back is said back: sender and receiver reports, REMB, transport-wide feedback where that was
agreed, and a fresh key frame when one is asked for. Nothing is decoded and nothing lost is asked for again, so that
what a server loses counts as lost.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import aioice.ice
import aiortc.rtcdtlstransport
from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
)
from aiortc.rtp import (
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    pack_remb_fci,
)
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

AUDIO, VIDEO, RTX = 111, 96, 97
ABS, TWCC = 2, 3
"""Ids of the header extensions, as we offer them."""
ABS_NAME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TWCC_NAME = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
MARK = b"RVRbench"
"""Before the time of sending, at the end of the last packet of each frame but key frames."""
REMB_BPS: Final = 3_000_000
KEY_FRAME_AGAIN_S: Final = 0.3

_room = ffi.new("char[]", 4096)
_bytes = ffi.buffer(_room)
_size = ffi.new("int *")


def prepare(address: str) -> None:
    """Everybody on this one address, and on one SRTP suite: what is measured is forwarding, not the choice of it."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [address]
    profiles = aiortc.rtcdtlstransport.SRTP_PROFILES
    profiles[:] = [one for one in profiles if one.openssl_profile == b"SRTP_AEAD_AES_128_GCM"]
    assert profiles


@dataclass(slots=True)
class Received:
    """One stream, by its sequence numbers."""

    ssrc: int
    first: int
    highest: int
    packets: int = 1

    def note(self, seq: int) -> None:
        self.packets += 1
        step = (seq - self.highest) & 0xFFFF
        if step < 0x8000:
            self.highest += step

    @property
    def expected(self) -> int:
        return self.highest - self.first + 1


@dataclass(frozen=True)
class Section:
    kind: str
    mid: str
    types: tuple[int, ...]
    ids: dict[str, int]
    direction: str
    ssrc: int


@dataclass
class Told:
    """The other end's session description, as far as it is needed."""

    ufrag: str
    password: str
    fingerprint: str
    setup: str
    candidates: list[str]
    sections: list[Section]


def parse(sdp: str) -> Told:
    def first(name: str) -> str:
        found = re.search(rf"^a={name}:(.*?)\r?$", sdp, re.MULTILINE)
        return found[1] if found else ""

    sections = []
    for text in re.split(r"\r?\n(?=m=)", sdp)[1:]:
        lines = text.splitlines()
        head = lines[0].split()
        ids = {name: int(n) for n, name in re.findall(r"^a=extmap:(\d+)(?:/\w+)? (\S+)", text, re.MULTILINE)}
        mid = re.search(r"^a=mid:(\S+)", text, re.MULTILINE)
        direction = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", text, re.MULTILINE)
        ssrc = re.search(r"^a=ssrc:(\d+)", text, re.MULTILINE)
        sections.append(
            Section(
                head[0][2:],
                mid[1] if mid else "",
                tuple(map(int, head[3:])),
                ids,
                direction[1] if direction else "sendrecv",
                int(ssrc[1]) if ssrc else 0,
            )
        )
    prints = re.findall(r"^a=fingerprint:sha-256 (\S+)", sdp, re.MULTILINE)
    candidates = list(dict.fromkeys(re.findall(r"^a=candidate:(.*?)\r?$", sdp, re.MULTILINE)))
    return Told(first("ice-ufrag"), first("ice-pwd"), prints[0], first("setup"), candidates, sections)


class Leg:
    """Use once. `sendto` and `received` carry datagrams; `connect` fills them in, or the floor's plain socket does."""

    def __init__(self, direction: str = "sendrecv") -> None:
        self.direction = direction
        self.ssrcs = {AUDIO: secrets.randbits(31) | 1, VIDEO: secrets.randbits(31) | 1, RTX: secrets.randbits(31) | 1}
        self.types = {AUDIO: AUDIO, VIDEO: VIDEO}
        """What the packets that we send are called; those we receive are called as `heard_types` says."""
        self.heard_types = {AUDIO: AUDIO, VIDEO: VIDEO}
        self.ids: dict[int, dict[str, int]] = {AUDIO: {}, VIDEO: {}}
        self.streams: dict[int, Received] = {}
        self.on_sample: Callable[[float], None] = lambda _: None
        self.on_key_frame_wanted: Callable[[], None] = lambda: None
        self.seqs = {AUDIO: secrets.randbits(15), VIDEO: secrets.randbits(15)}
        self.sent = {AUDIO: 0, VIDEO: 0}
        self.octets = {AUDIO: 0, VIDEO: 0}
        self.times = {AUDIO: 0, VIDEO: 0}
        self.sendto: Callable[[bytes], None] = lambda _: None
        self.marks_sound = False
        """Every packet of sound has a mark, too: the probe's."""
        self._feedback = Arrivals()
        self._wide = 0
        self._key_frame_at = 0.0
        self._rx: Any = None
        self._tx: Any = None
        self._keep: tuple[Any, ...] = ()
        self._ice: RTCIceTransport | None = None
        self._dtls: RTCDtlsTransport | None = None
        self._certificate: RTCCertificate | None = None

    # --- coming up ---

    async def gather(self, *, controlling: bool) -> None:
        gatherer = RTCIceGatherer(iceServers=[])
        gatherer._connection.ice_controlling = controlling
        self._ice = RTCIceTransport(gatherer)
        await gatherer.gather()
        self._certificate = RTCCertificate.generateCertificate()
        self._dtls = RTCDtlsTransport(self._ice, [self._certificate])

    async def offer(self) -> str:
        await self.gather(controlling=True)
        return self._written(
            [("audio", "0", [AUDIO], self._direct("audio")), ("video", "1", [VIDEO, RTX], self._direct("video"))],
            "actpass",
        )

    def _direct(self, kind: str) -> str:
        return self.direction

    async def answer(self, offer: str) -> str:
        """Our answer to a server's offer, by the names that it uses; `connect(offer)` follows."""
        await self.gather(controlling=False)
        told = parse(offer)
        turned = {"sendonly": "recvonly", "recvonly": "sendonly", "sendrecv": "sendrecv", "inactive": "inactive"}
        return self._written(
            [(one.kind, one.mid, list(one.types), turned[one.direction]) for one in told.sections],
            "active",
            ids={one.mid: one.ids for one in told.sections},
        )

    def _written(
        self,
        sections: list[tuple[str, str, list[int], str]],
        setup: str,
        ids: dict[str, dict[str, int]] | None = None,
    ) -> str:
        assert self._ice is not None
        assert self._certificate is not None
        here = self._ice.iceGatherer.getLocalParameters()
        [print_] = [one.value for one in self._certificate.getFingerprints() if one.algorithm == "sha-256"]
        lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"]
        lines += [f"a=group:BUNDLE {' '.join(mid for _, mid, _, _ in sections)}", "a=msid-semantic: WMS"]
        for kind, mid, types, direction in sections:
            lines += [f"m={kind} 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, types))}", "c=IN IP4 0.0.0.0"]
            lines += ["a=rtcp:9 IN IP4 0.0.0.0", f"a=ice-ufrag:{here.usernameFragment}", f"a=ice-pwd:{here.password}"]
            lines += [f"a=fingerprint:sha-256 {print_}", f"a=setup:{setup}", f"a=mid:{mid}"]
            named = (ids or {}).get(mid)
            for name, own in ((ABS_NAME, ABS), (TWCC_NAME, TWCC)):
                if name != ABS_NAME or kind == "video":
                    number = own if named is None else named.get(name)
                    lines += [f"a=extmap:{number} {name}"] if number else []
            lines += [f"a={direction}", "a=rtcp-mux", "a=rtcp-rsize"]
            lines += list(_codecs(kind, types))
            if direction.startswith("send"):
                first = self.ssrcs[AUDIO if kind == "audio" else VIDEO]
                lines += [f"a=msid:stream {kind}"]
                if kind == "video" and len(types) > 1:
                    lines += [f"a=ssrc-group:FID {first} {self.ssrcs[RTX]}"]
                lines += [f"a=ssrc:{first} cname:load"]
                if kind == "video" and len(types) > 1:
                    lines += [f"a=ssrc:{self.ssrcs[RTX]} cname:load"]
        return "".join(f"{line}\r\n" for line in lines)

    async def connect(self, sdp: str) -> None:
        """Come up with the other end of this description; returns when SRTP is ready."""
        told = parse(sdp)
        assert self._ice is not None
        assert self._dtls is not None
        for section in told.sections:
            if section.direction == "inactive" or not section.types:
                continue
            name = AUDIO if section.kind == "audio" else VIDEO
            if section.types[0] not in self.heard_types.values() or name not in self.streams:
                self.types[name] = self.heard_types[name] = section.types[0]
                self.ids[name] = section.ids
        connection = self._ice._connection
        for candidate in told.candidates:
            await connection.add_remote_candidate(aioice.Candidate.from_sdp(candidate))
        await connection.add_remote_candidate(None)
        self._ice.iceGatherer._remote_candidates_end = True
        self._dtls._set_role("server" if told.setup == "active" else "client")
        await self._ice.start(RTCIceParameters(usernameFragment=told.ufrag, password=told.password))
        await self._dtls.start(RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint("sha-256", told.fingerprint)]))
        if self._dtls.state != "connected":
            raise ConnectionError(f"ICE {self._ice.state}, DTLS {self._dtls.state}")
        self._keep = (self._dtls._rx_srtp, self._dtls._tx_srtp)
        self._rx, self._tx = (session._srtp[0] for session in self._keep)
        pair = connection._nominated[1]
        transport, address = pair.protocol.transport, pair.remote_addr
        self.sendto = lambda data: transport.sendto(data, address)
        for protocol in connection._protocols:
            self._listen(protocol)

    def _listen(self, protocol: Any) -> None:
        other = protocol.datagram_received

        def received(data: bytes, addr: Any) -> None:
            if 127 < data[0] < 192:
                self.received(data)
            else:
                other(data, addr)

        protocol.datagram_received = received

    async def plain(self, address: tuple[str, int], key: bytes) -> None:
        """To the floor: SRTP under a key that both have, and nothing else."""
        profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
        self._keep = (
            Session(Policy(key, Policy.SSRC_ANY_INBOUND, srtp_profile=profile)),
            Session(Policy(key, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)),
        )
        self._rx, self._tx = (session._srtp[0] for session in self._keep)

        class Socket(asyncio.DatagramProtocol):
            def datagram_received(_, data: bytes, addr: Any) -> None:  # noqa: N805
                self.received(data)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Socket, remote_addr=address)
        self.sendto = transport.sendto

    async def close(self) -> None:
        self.sendto = lambda _: None
        if self._dtls is not None and self._ice is not None:
            await self._dtls.stop()
            await self._ice.stop()

    # --- media ---

    def send(self, kind: int, timestamp: int, payload: bytes, *, last: bool, marked: bool) -> None:
        seq = self.seqs[kind] = (self.seqs[kind] + 1) & 0xFFFF
        ids = self.ids[kind]
        extension = b""
        if ids:
            if (number := ids.get(ABS_NAME, 0)) and kind == VIDEO:
                extension += bytes([number << 4 | 2]) + (int(time.monotonic() * 262144) & 0xFFFFFF).to_bytes(3, "big")
            if number := ids.get(TWCC_NAME, 0):
                self._wide = (self._wide + 1) & 0xFFFF
                extension += bytes([number << 4 | 1]) + self._wide.to_bytes(2, "big")
            extension += bytes(-len(extension) % 4)
        first = 0x90 if extension else 0x80
        type_ = self.types[kind] | (0x80 if last else 0)
        head = struct.pack("!BBHII", first, type_, seq, timestamp, self.ssrcs[kind])
        if extension:
            head += struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
        if marked:
            payload += MARK + struct.pack("!Q", time.monotonic_ns())
        size = len(head) + len(payload)
        _bytes[0:size] = head + payload
        _size[0] = size
        if lib.srtp_protect(self._tx, _room, _size):
            return
        self.sent[kind] += 1
        self.octets[kind] += len(payload)
        self.times[kind] = timestamp
        self.sendto(_bytes[0 : _size[0]])

    def received(self, data: bytes) -> None:
        if 191 < data[1] < 224:
            self._take_rtcp(data)
            return
        type_ = data[1] & 0x7F
        seq = data[2] << 8 | data[3]
        stream = self.streams.get(type_)
        ssrc = int.from_bytes(data[8:12], "big")
        if stream is None or stream.ssrc != ssrc:
            self.streams[type_] = Received(ssrc, seq, seq)
        else:
            stream.note(seq)
        if data[0] & 0x10:
            self._note_wide(data)
        if data[1] & 0x80 or (self.marks_sound and type_ == self.heard_types[AUDIO]):
            now = time.monotonic_ns()
            size = len(data)
            _bytes[0:size] = data
            _size[0] = size
            if lib.srtp_unprotect(self._rx, _room, _size) == 0:
                end = _size[0]
                if _bytes[end - 16 : end - 8] == MARK:
                    self.on_sample((now - int.from_bytes(_bytes[end - 8 : end], "big")) / 1e6)

    def _note_wide(self, data: bytes) -> None:
        """The server's own transport-wide number, for its feedback (TWCC_NAME has the draft)."""
        number = self.ids[VIDEO].get(TWCC_NAME, 0)
        start = 12 + 4 * (data[0] & 15)
        if not number or data[start : start + 2] != b"\xbe\xde":
            return
        at, end = start + 4, start + 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        while at < end:
            if data[at] == 0:
                at += 1
                continue
            if data[at] >> 4 == number:
                self._feedback.note(int.from_bytes(data[at + 1 : at + 3], "big"), time.monotonic_ns() // 1000)
                return
            at += 2 + (data[at] & 15)

    def _take_rtcp(self, data: bytes) -> None:
        size = len(data)
        _bytes[0:size] = data
        _size[0] = size
        if lib.srtp_unprotect_rtcp(self._rx, _room, _size):
            return
        plain = _bytes[0 : _size[0]]
        at = 0
        while at + 8 <= len(plain):
            count, kind = plain[at] & 31, plain[at + 1]
            if kind == 206 and count in (1, 4) and time.monotonic() - self._key_frame_at > KEY_FRAME_AGAIN_S:
                self._key_frame_at = time.monotonic()
                self.on_key_frame_wanted()
            at += 4 + 4 * int.from_bytes(plain[at + 2 : at + 4], "big")

    def send_rtcp(self, packet: bytes) -> None:
        size = len(packet)
        _bytes[0:size] = packet
        _size[0] = size
        if self._tx is not None and lib.srtp_protect_rtcp(self._tx, _room, _size) == 0:
            self.sendto(_bytes[0 : _size[0]])

    def report(self) -> None:
        """Once a second: how what we send and what we receive is doing."""
        blocks = [
            RtcpReceiverInfo(one.ssrc, 0, max(0, one.expected - one.packets), one.highest & 0xFFFFFFFF, 0, 0, 0)
            for type_, one in self.streams.items()
            if type_ in self.heard_types.values()
        ]
        own = self.ssrcs[VIDEO]
        now = time.time() + 2_208_988_800
        ntp = int(now) << 32 | int(now % 1 * 2**32)
        message = b""
        for kind in (AUDIO, VIDEO):
            if self.sent[kind]:
                facts = RtcpSenderInfo(ntp, self.times[kind], self.sent[kind], self.octets[kind] & 0xFFFFFFFF)
                message += bytes(RtcpSrPacket(self.ssrcs[kind], facts, blocks if kind == VIDEO else []))
        if not message:
            message = bytes(RtcpRrPacket(own, blocks))
        if heard := self.streams.get(self.heard_types[VIDEO]):
            message += bytes(RtcpPsfbPacket(fmt=15, ssrc=own, media_ssrc=0, fci=pack_remb_fci(REMB_BPS, [heard.ssrc])))
        self.send_rtcp(message)

    def wide_report(self) -> None:
        """Ten times a second, where it was agreed: what came when."""
        fci = self._feedback.message()
        heard = self.streams.get(self.heard_types[VIDEO])
        if fci is not None and heard is not None:
            words = (8 + len(fci)) // 4
            head = struct.pack("!BBHII", 0x80 | 15, 205, words, self.ssrcs[VIDEO], heard.ssrc)
            self.send_rtcp(head + fci)


def _codecs(kind: str, types: list[int]) -> Iterator[str]:
    if kind == "audio":
        yield from (f"a=rtpmap:{types[0]} opus/48000/2", f"a=rtcp-fb:{types[0]} transport-cc")
        yield f"a=fmtp:{types[0]} minptime=10;useinbandfec=1"
        return
    yield f"a=rtpmap:{types[0]} VP8/90000"
    yield from (f"a=rtcp-fb:{types[0]} {one}" for one in ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"))
    if len(types) > 1:
        yield from (f"a=rtpmap:{types[1]} rtx/90000", f"a=fmtp:{types[1]} apt={types[0]}")


@dataclass
class Arrivals:
    """Transport-wide numbers and their times since the last message."""

    seen: dict[int, int] = field(default_factory=dict)
    count: int = 0

    def note(self, number: int, at_us: int) -> None:
        self.seen[number] = at_us

    def message(self) -> bytes | None:
        if not self.seen:
            return None
        base = next(iter(self.seen))
        order = sorted((number - base) & 0xFFFF for number in self.seen)
        order = [step for step in order if step < 0x8000]
        times = [self.seen[(base + step) & 0xFFFF] for step in order]
        self.seen = {}
        reference = times[0] // 64_000
        before, symbols, deltas, last = reference * 64_000, [], b"", -1
        for step, at in zip(order, times, strict=True):
            symbols += [0] * (step - last - 1)
            last = step
            delta = (at - before) // 250
            before += delta * 250
            symbols.append(1 if 0 <= delta < 256 else 2)
            deltas += (
                struct.pack("!B", delta) if 0 <= delta < 256 else struct.pack("!h", max(-32768, min(32767, delta)))
            )
        chunks = b""
        at = 0
        while at < len(symbols):
            run = next((n for n in range(at, len(symbols)) if symbols[n] != symbols[at]), len(symbols)) - at
            run = min(run, 8191)
            chunks += struct.pack("!H", symbols[at] << 13 | run)
            at += run
        head = struct.pack("!HHI", base, len(symbols), (reference & 0xFFFFFF) << 8 | (self.count & 0xFF))
        self.count += 1
        body = head + chunks + deltas
        return body + bytes(-len(body) % 4)
