"""Single pictures: waited for whole, decoded once, looked at, and made a file of."""

from __future__ import annotations

import asyncio
import io
import struct
import time
from fractions import Fraction

import av
import pytest
from aiortc.codecs import get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av import VideoFrame

from rvr.media.embedded import picture
from rvr.media.embedded.answer import Codec
from rvr.media.embedded.picture import KeyFrames, NotDecodable
from rvr.media.embedded.rtp import read
from rvr.media.embedded.streams import Inlet


def a_picture(width: int = 640, height: int = 480) -> VideoFrame:
    """A slope of grey: no two columns alike."""
    frame = VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        row = bytes(x * 255 // plane.line_size for x in range(plane.line_size))
        plane.update(row * plane.height)
    frame.pts, frame.time_base = 0, Fraction(1, 90_000)
    return frame


def encoded(codec: str, frame: VideoFrame) -> list[bytes]:
    """A key frame's RTP payloads."""
    payloads, _ = get_encoder(RTCRtpCodecParameters(f"video/{codec}", 90_000)).encode(frame)
    return payloads


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_a_key_frame_is_decoded_from_its_packets_and_becomes_a_file_of_the_same_size(codec: str) -> None:
    payloads = encoded(codec, a_picture(640, 360))
    frame = picture.decoded(codec, payloads)
    assert (frame.width, frame.height) == (640, 360)
    assert not picture.is_blank(frame)
    jpeg = picture.jpeg(frame)
    with av.open(io.BytesIO(jpeg), format="mjpeg") as file:
        seen = next(file.decode(video=0))
    assert (seen.width, seen.height) == (640, 360)
    shades = bytes(seen.reformat(format="gray").planes[0])
    assert shades[600] - shades[20] > 150


def test_a_still_costs_little() -> None:
    payloads = encoded("VP8", a_picture())
    costs = []
    for _ in range(5):
        before = time.thread_time()
        picture.jpeg(picture.decoded("VP8", payloads))
        costs.append(time.thread_time() - before)
    assert min(costs) < 0.015


@pytest.mark.parametrize("shade", [0, 16, 200])
def test_a_picture_of_one_tone_is_told_apart(shade: int) -> None:
    frame = VideoFrame(320, 240, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes([shade]) * plane.buffer_size)
    assert picture.is_blank(frame)
    noisy = bytearray(bytes(frame.planes[0]))
    noisy[::7] = bytes([shade + 4]) * len(noisy[::7])
    frame.planes[0].update(bytes(noisy))
    assert picture.is_blank(frame), "a covered lens has noise"


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@pytest.mark.parametrize(
    "payloads", [[], [b""], [b"\x10\x00\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01"], [b"\x7c"], [b"\x90\xff"]]
)
def test_what_is_no_picture_is_told_apart(codec: str, payloads: list[bytes]) -> None:
    with pytest.raises(NotDecodable):
        picture.decoded(codec, payloads)


class Track:
    """A picture that the test plays, one packet a frame."""

    def __init__(self) -> None:
        self.inlet = Inlet(Codec("VP8", 96, 90_000), 1, lambda _: None)
        self.seq = 0

    def sends(self, name: bytes, *, key: bool = True, marker: bool = True) -> bytes:
        self.seq += 1
        payload = b"\x10" + (b"\x00\x00\x00\x9d\x01\x2a" if key else b"\x01" * 6) + struct.pack("<HH", 8, 8) + name
        header = struct.pack("!BBHII", 0x80, 96 | marker << 7, self.seq, self.seq * 3_000, 5)
        self.inlet.take(read(header + payload), self.seq / 30)
        return payload


async def test_the_first_key_frame_is_given_whether_it_came_before_or_after() -> None:
    track = Track()
    early = asyncio.ensure_future(KeyFrames(track.inlet).first())
    await asyncio.sleep(0)
    track.sends(b"before", key=False)
    first = track.sends(b"first")
    assert await asyncio.wait_for(early, 1) == [first]
    assert await asyncio.wait_for(KeyFrames(track.inlet).first(), 1) == [first]
    assert track.inlet.on_marker is None, "nobody waits: nothing is looked at any more"


async def test_a_fresh_one_begins_after_it_was_asked_for() -> None:
    track = Track()
    track.sends(b"old")
    frames = KeyFrames(track.inlet)
    waiting = [asyncio.ensure_future(frames.fresh(9.0)) for _ in range(2)]
    await asyncio.sleep(0)
    track.sends(b"ordinary", key=False)
    assert not any(one.done() for one in waiting)
    fresh = track.sends(b"fresh")
    assert await asyncio.gather(*waiting) == [[fresh], [fresh]]


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    track = Track()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await KeyFrames(track.inlet).first()
    assert track.inlet.on_marker is None
