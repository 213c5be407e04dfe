"""RTP packets as a browser sends them: VP8 and Opus, encoded for real, with numbers, times and markers of their own."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtp import RtpPacket
from av import AudioFrame, VideoFrame

VP8, RTX, H264, OPUS = 96, 97, 102, 111
_SNOW = random.Random(2).randbytes(1 << 20)
CODECS = {
    "audio": {"codec": "opus", "payload_type": OPUS, "clock_rate": 48_000, "ssrc": 1111},
    "video": {"codec": "VP8", "payload_type": VP8, "clock_rate": 90_000, "ssrc": 2222, "rtx": RTX},
}


@dataclass(frozen=True, slots=True)
class Sent:
    """One packet, with when it arrives."""

    at_ns: int
    kind: str
    rtp: bytes


@cache
def pictures(count: int, *, width: int = 320, height: int = 240, every: int = 15) -> tuple[tuple[bytes, ...], ...]:
    """The payloads of so many frames; each `every`th is a key frame of several packets. A bar wanders over snow."""
    encoder = Vp8Encoder()
    made = (encoder.encode(a_picture(n, width, height), force_keyframe=n % every == 0)[0] for n in range(count))
    return tuple(map(tuple, made))


def a_picture(n: int, width: int, height: int) -> VideoFrame:
    """Snow, with a bar that has wandered so far."""
    frame = VideoFrame(width=width, height=height, format="yuv420p")
    for plane in frame.planes:
        plane.update(bytes([128]) * plane.buffer_size)
    line = frame.planes[0].line_size
    picture = bytearray(_SNOW[: frame.planes[0].buffer_size])
    picture[n % width :: line] = b"\xff" * len(picture[n % width :: line])
    frame.planes[0].update(bytes(picture))
    frame.pts, frame.time_base = n * 3000, Fraction(1, 90_000)
    return frame


def a_call_in_h264(frames: int, *, every: int = 15) -> Iterator[Sent]:
    """The same picture as H.264 sends it, without sound."""
    encoder, number = H264Encoder(), 65_500
    for n in range(frames):
        payloads, _ = encoder.encode(a_picture(n, 320, 240), force_keyframe=n % every == 0)
        for i, payload in enumerate(payloads):
            packet = RtpPacket(H264, int(i == len(payloads) - 1), number % 65_536, n * 3000)
            packet.ssrc, packet.payload = 2222, payload
            yield Sent(n * 33_333_333, "video", packet.serialize())
            number += 1


@cache
def sounds(count: int) -> tuple[bytes, ...]:
    """So many Opus packets of 20 ms: a tone."""
    encoder, made = OpusEncoder(), []
    n = 0
    while len(made) < count:
        frame = AudioFrame(format="s16", layout="stereo", samples=960)
        wave = b"".join(
            int(8000 * math.sin(2 * math.pi * 440 * (n * 960 + i) / 48_000)).to_bytes(2, "little", signed=True) * 2
            for i in range(960)
        )
        frame.planes[0].update(wave)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, n * 960, Fraction(1, 48_000)
        made += encoder.encode(frame)[0]
        n += 1
    return tuple(made[:count])


def a_call(seconds: float, *, since_ns: int = 0, ssrc: int = 0, first: int = 65_500) -> Iterator[Sent]:
    """Picture at 30 frames and sound at 50 packets a second, in the order of arrival. Numbers roll over early on."""
    frames, number = pictures(int(seconds * 30)), first
    sent: list[Sent] = []
    for n, payloads in enumerate(frames):
        for i, payload in enumerate(payloads):
            packet = RtpPacket(VP8, i == len(payloads) - 1, number % 65_536, (n * 3000 + 4_294_900_000) % 2**32)
            packet.ssrc, packet.payload = 2222 + ssrc, payload
            sent.append(Sent(since_ns + n * 33_333_333 + i * 100_000, "video", packet.serialize()))
            number += 1
    for n, payload in enumerate(sounds(int(seconds * 50))):
        packet = RtpPacket(OPUS, 0, n, n * 960)
        packet.ssrc, packet.payload = 1111 + ssrc, payload
        sent.append(Sent(since_ns + n * 20_000_000, "audio", packet.serialize()))
    yield from sorted(sent, key=lambda one: one.at_ns)


def codecs_json(video: str = "VP8") -> bytes:
    h264 = {"codec": "H264", "payload_type": H264, "clock_rate": 90_000, "rtx": 0}
    return json.dumps(CODECS if video == "VP8" else {**CODECS, "video": h264}).encode()
