"""What every load-generating person sends: ten seconds of picture and sound, encoded once and kept.

VP8, 640 x 480, 30 frames a second, about 1 Mbit/s, one key frame at the beginning; Opus, 20 ms a packet, about
31 kbit/s: what a browser sends at its best here.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from aiortc.codecs.vpx import VpxPayloadDescriptor
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext

WIDTH, HEIGHT, FPS, SECONDS = 640, 480, 30, 10
VIDEO_BPS, AUDIO_BPS = 950_000, 31_000
MOST_PAYLOAD: Final = 1_150
"""Bytes a packet; a browser's have up to 1,200 with their header."""


@dataclass(frozen=True)
class Clip:
    video: list[list[bytes]]
    """The payloads of each frame; the first frame is the key frame."""
    audio: list[bytes]

    @property
    def packets_per_s(self) -> float:
        return sum(len(frame) for frame in self.video) / SECONDS + len(self.audio) / SECONDS

    @property
    def bits_per_s(self) -> float:
        return 8 * (sum(len(p) for frame in self.video for p in frame) + sum(map(len, self.audio))) / SECONDS


def clip(kept: Path) -> Clip:
    """The clip in this file, made where it is not there yet (half a minute of one core)."""
    if not kept.exists():
        made = pickle.dumps(Clip([_packets(frame, n) for n, frame in enumerate(_video())], _audio()))
        fresh = kept.with_suffix(".new")
        fresh.write_bytes(made)
        fresh.replace(kept)
    found: Clip = pickle.loads(kept.read_bytes())  # noqa: S301  our own, made above
    return found


def frames(count: int) -> Iterator[av.VideoFrame]:
    """Moving, detailed and with noise: a plain test picture would never reach the bitrate."""
    source = f"mandelbrot=size={WIDTH}x{HEIGHT}:rate={FPS},noise=alls=12:allf=t"
    with av.open(source, format="lavfi") as film:
        yield from itertools.islice(film.decode(video=0), count)


def _video() -> list[bytes]:
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.bit_rate, encoder.time_base, encoder.framerate = VIDEO_BPS, Fraction(1, FPS), Fraction(FPS)
    encoder.gop_size = 100_000
    encoder.options = {
        "deadline": "realtime",
        "cpu-used": "6",
        "lag-in-frames": "0",
        "error-resilient": "1",
        "minrate": str(VIDEO_BPS),
        "maxrate": str(VIDEO_BPS),
        "bufsize": str(VIDEO_BPS),
    }
    packets: list[bytes] = []
    for n, frame in enumerate(frames(FPS * SECONDS)):
        plain = frame.reformat(format="yuv420p")
        plain.pts, plain.time_base = n, encoder.time_base
        packets += map(bytes, encoder.encode(plain))
    packets += map(bytes, encoder.encode(None))
    return packets


def _packets(frame: bytes, number: int) -> list[bytes]:
    found = []
    for start in range(0, len(frame), MOST_PAYLOAD):
        descriptor = VpxPayloadDescriptor(partition_start=int(start == 0), partition_id=0, picture_id=number)
        found.append(bytes(descriptor) + frame[start : start + MOST_PAYLOAD])
    return found


def _audio() -> list[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "s16"
    encoder.bit_rate, encoder.time_base = AUDIO_BPS, Fraction(1, 48_000)
    packets: list[bytes] = []
    with av.open("anoisesrc=r=48000:color=pink:amplitude=0.3", format="lavfi") as noise:
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=48_000, frame_size=960)
        for frame in noise.decode(audio=0):
            for piece in resampler.resample(frame):
                packets += map(bytes, encoder.encode(piece))
            if len(packets) >= 50 * SECONDS:
                break
    return packets[: 50 * SECONDS]
