"""Single pictures: a whole key frame is waited for, decoded, and looked at or made a JPEG of. Nothing else decodes.

Decoding and encoding run in a thread (`decoded`, `jpeg`); the rest belongs to the loop.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import cast

from aiortc.codecs.h264 import h264_depayload
from av import CodecContext, Packet, VideoFrame
from av.video.codeccontext import VideoCodecContext

from rvr.media.embedded.rtp import vp8_header_bytes
from rvr.media.embedded.streams import Inlet

_DECODERS = {"VP8": "vp8", "H264": "h264"}
JPEG_QUANTISER = 3
"""Of 1-31, small is fine: about 90 % in other programs' scale."""
BLANK_SPREAD = 8
"""Of 256: between the darkest and the brightest point looked at. A covered lens has noise of 2 to 5."""


class NotDecodable(Exception):
    """The frame is whole, and no picture."""


class KeyFrames:
    """Whole key frames of one track, for those who wait."""

    def __init__(self, inlet: Inlet) -> None:
        self._inlet = inlet
        self._waiting: list[tuple[tuple[int, int], asyncio.Future[list[bytes]]]] = []

    async def first(self) -> list[bytes]:
        """The payloads of the first one that is here."""
        return await self._next((-1, -1))

    async def fresh(self, now: float) -> list[bytes]:
        """The payloads of one that begins after this call; it is asked for."""
        inlet = self._inlet
        inlet.ask_key_frame(now)
        return await self._next((inlet.generation, inlet.key_first))

    async def _next(self, after: tuple[int, int]) -> list[bytes]:
        future: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        self._waiting.append((after, future))
        self._inlet.on_marker = self._look
        self._look()
        try:
            return await future
        finally:
            self._waiting = [one for one in self._waiting if one[1] is not future]
            if not self._waiting:
                self._inlet.on_marker = None

    def _look(self) -> None:
        inlet = self._inlet
        newest = (inlet.generation, inlet.key_first)
        due = [future for after, future in self._waiting if after != newest and not future.done()]
        if due and (whole := inlet.whole_key_frame()) is not None:
            for future in due:
                future.set_result(whole)


def decoded(codec: str, payloads: list[bytes]) -> VideoFrame:
    """The picture of a key frame, from its packets' payloads. Raises NotDecodable."""
    try:
        decoder = cast(VideoCodecContext, CodecContext.create(_DECODERS[codec], "r"))
        decoder.thread_count = 1
        frames = [*decoder.decode(Packet(_joined(codec, payloads))), *decoder.decode(None)]
    except Exception as fault:  # noqa: BLE001  whatever the decoder raises: a stranger made these bytes
        raise NotDecodable(type(fault).__name__) from None
    if not frames:
        raise NotDecodable("no frame")
    return frames[0]


def _joined(codec: str, payloads: list[bytes]) -> bytes:
    if codec == "VP8":
        return b"".join(payload[vp8_header_bytes(payload) or len(payload) :] for payload in payloads)
    return b"".join(h264_depayload(payload) for payload in payloads)


def is_blank(frame: VideoFrame) -> bool:
    """Whether the picture is one even tone: a covered lens, a camera that is not open yet, a page that sends black."""
    luma = frame.planes[0]
    row = luma.line_size
    seen = memoryview(luma)
    points = [seen[y * row + x] for y in range(0, frame.height, 16) for x in range(0, frame.width, 16)]
    return max(points) - min(points) <= BLANK_SPREAD


def jpeg(frame: VideoFrame) -> bytes:
    """The picture as a JPEG file of the same size."""
    frame = frame.reformat(format="yuvj420p")
    frame.pts, frame.time_base = 0, Fraction(1, 1)
    encoder = CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.qmin = encoder.qmax = JPEG_QUANTISER
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
