"""Makes a file that people can play from one person's sealed blocks: WebM (VP8, Opus) or Matroska (H.264, Opus).

Nothing is decoded or encoded again: frames are put together from the packets as they came. The same blocks give the
same bytes, so that the hash of what was given away can be found again. What was lost on the way stays a gap: a frame
that is not whole is left out, and those after it up to the next key frame, and how many is told.

A process of its own (`python -m rvr.media.playable`), for it parses what strangers sent. Its first line on stdin is
JSON: `files`, `key` (hex), `since_ns` (shared zero of several people's files, or null). The playable file goes to
stdout, and a last line of JSON, what was made, to stderr. Nothing is written anywhere else.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final

import av
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import VpxPayloadDescriptor, vp8_depayload
from aiortc.rtp import RtpPacket, unwrap_rtx
from av.stream import Stream

from rvr.core.moment import parse_iso
from rvr.media import blocks
from rvr.media.blocks import AUDIO, CODECS, VIDEO

LATE_NS: Final = 1_000_000_000
"""How long a packet may be behind those sent after it: longer than any retransmission that still helps."""
JUMP_S: Final = 1.0
"""A sender's clock that runs this far from the packets' arrival has been set anew."""
START: Final = b"\x00\x00\x00\x01"
TIME_BASE: Final = Fraction(1, 1000)
_SEQUENCES: Final = 1 << 16
_TIMESTAMPS: Final = 1 << 32


@dataclass(slots=True)
class Report:
    """What was made of the packets."""

    frames: int = 0
    """Of the picture."""
    left_out: int = 0
    """Frames that were not whole, or hung on one that was not."""
    sounds: int = 0
    lost: int = 0
    """Packets that never came."""
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    """Blocks that are not as they were written, by file: what was in them is missing."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoded frame of picture or sound."""

    kind: int
    at_ns: int
    data: bytes
    key: bool = True


class Track:
    """One kind of packets of one person, in the order in which they were sent."""

    def __init__(self, kind: int, report: Report) -> None:
        self.kind, self._report = kind, report
        self._source: tuple[int, int] | None = None
        self._waiting: dict[int, tuple[int, RtpPacket]] = {}
        self._newest = 0
        self._due: int | None = None
        self._zero: tuple[int, int] = (0, 0)
        """(arrival, timestamp) that times are counted from."""
        self._last_timestamp = 0
        self._clock_rate = 48_000 if kind == AUDIO else 90_000
        self._h264 = False
        self._parts: list[RtpPacket] = []
        self._whole = False
        self._needs_key = True

    def codec(self, told: Mapping[str, Any]) -> None:
        self._clock_rate = int(told.get("clock_rate", self._clock_rate))
        self._h264 = str(told.get("codec", "")).upper() == "H264"

    @property
    def ssrc(self) -> int:
        """The sender's own; 0 before its first packet."""
        return self._source[0] if self._source else 0

    def push(self, packet: RtpPacket, at_ns: int) -> Iterator[Frame]:
        """Whatever is ready now that this one has come."""
        source = (packet.ssrc, packet.payload_type)
        if source != self._source:  # joined anew: another sender, with numbers and a clock of its own
            yield from self.flush()
            self._source, self._newest, self._due = source, packet.sequence_number, None
            self._zero, self._last_timestamp = (at_ns, packet.timestamp), packet.timestamp
            self._needs_key = True
        number = self._extended(packet.sequence_number)
        if self._due is None or number >= self._due:
            self._waiting[number] = (at_ns, packet)
        yield from self._release(at_ns - LATE_NS)

    def flush(self) -> Iterator[Frame]:
        yield from self._release(None)
        yield from self._finished()

    def _extended(self, number: int) -> int:
        step = (number - self._newest) % _SEQUENCES
        extended = self._newest + (step if step < _SEQUENCES // 2 else step - _SEQUENCES)
        self._newest = max(self._newest, extended)
        return extended

    def _release(self, until_ns: int | None) -> Iterator[Frame]:
        while self._waiting:
            first = min(self._waiting)
            at_ns, packet = self._waiting[first]
            if self._due is not None and first != self._due and until_ns is not None and at_ns > until_ns:
                return  # what is missing may still come
            if self._due is None and until_ns is not None and at_ns > until_ns:
                return  # nor is it known yet which is the first
            lost = 0 if self._due is None else first - self._due
            self._report.lost += lost
            del self._waiting[first]
            self._due = first + 1
            yield from self._take(packet, at_ns, lost > 0)

    def _take(self, packet: RtpPacket, at_ns: int, after_a_gap: bool) -> Iterator[Frame]:
        if not packet.payload:  # padding, by which a sender probes the line
            return
        if self.kind == AUDIO:
            self._report.sounds += 1
            yield Frame(AUDIO, self._time(packet.timestamp, at_ns), packet.payload)
            return
        if self._parts and (packet.timestamp != self._parts[0].timestamp):
            yield from self._finished()
        if not self._parts:
            self._whole = self._begins(packet.payload)
            self._at_ns = self._time(packet.timestamp, at_ns)
        if after_a_gap:
            self._whole = self._whole and len(self._parts) == 0 and self._begins(packet.payload)
            self._needs_key = True
        self._parts.append(packet)
        if packet.marker:
            yield from self._finished()

    def _begins(self, payload: bytes) -> bool:
        if self._h264:
            return True
        descriptor, _ = VpxPayloadDescriptor.parse(payload)
        return bool(descriptor.partition_start and descriptor.partition_id == 0)

    def _finished(self) -> Iterator[Frame]:
        """The frame whose packets have come, if it is whole and all that it hangs on was."""
        parts, self._parts = self._parts, []
        if not parts:
            return
        whole = self._whole and parts[-1].marker == 1
        data = b""
        if whole:
            try:
                data = b"".join((h264_depayload if self._h264 else vp8_depayload)(part.payload) for part in parts)
            except ValueError:
                whole = False
        key = whole and bool(data) and self._is_key(data)
        if key:
            self._needs_key = False
        if not whole or self._needs_key:
            self._needs_key = True
            self._report.left_out += 1
            return
        self._report.frames += 1
        yield Frame(VIDEO, self._at_ns, data, key)

    def _is_key(self, data: bytes) -> bool:
        if not self._h264:
            return data[0] & 1 == 0
        return any(unit[0] & 0x1F == 5 for unit in data.split(START) if unit)

    def _time(self, timestamp: int, at_ns: int) -> int:
        """When it was sent, on the clock of the arrivals: evenly, as the sender's own clock has it."""
        began, zero = self._zero
        step = (timestamp - self._last_timestamp) % _TIMESTAMPS
        self._last_timestamp += step if step < _TIMESTAMPS // 2 else step - _TIMESTAMPS
        sent = began + (self._last_timestamp - zero) * 1_000_000_000 // self._clock_rate
        if abs(sent - at_ns) > JUMP_S * 1e9:
            self._zero, sent = (at_ns, self._last_timestamp), at_ns
        return sent


def frames(recorded: Iterator[blocks.Packet], report: Report) -> Iterator[Frame]:
    """The encoded frames of one person's packets. Packets that make no sense are left out."""
    tracks = {AUDIO: Track(AUDIO, report), VIDEO: Track(VIDEO, report)}
    rtx: dict[int, int] = {}
    """Payload type of retransmissions -> that of what they repeat."""
    for packet in recorded:
        if packet.kind == CODECS:
            told = json.loads(packet.data)
            for kind, name in ((AUDIO, "audio"), (VIDEO, "video")):
                yield from tracks[kind].flush()
                tracks[kind].codec(told.get(name, {}))
            video = told.get("video", {})
            rtx = {video["rtx"]: video["payload_type"]} if video.get("rtx") else {}
            continue
        try:
            parsed = RtpPacket.parse(packet.data)
            if parsed.payload_type in rtx:
                if len(parsed.payload) <= 2 or not tracks[packet.kind].ssrc:  # a probe of the line, with nothing in it
                    continue
                parsed = unwrap_rtx(parsed, rtx[parsed.payload_type], tracks[packet.kind].ssrc)
        except ValueError:
            report.lost += 1
            continue
        try:
            yield from tracks[packet.kind].push(parsed, packet.at_ns)
        except ValueError:  # a descriptor that cannot be read: the frame is not whole
            report.left_out += 1
    for track in tracks.values():
        yield from track.flush()


def write(recorded: Callable[[], Iterator[blocks.Packet]], out: BinaryIO, report: Report, since_ns: int | None) -> None:
    """Muxes what was recorded to `out`, which need not be seekable. `recorded` is called twice: first to see what
    there is, for a file says at its beginning what is in it.
    """
    first = _survey(frames(recorded(), Report()))
    if not first:
        return
    zero = since_ns if since_ns is not None else min(frame.at_ns for frame in first.values())
    h264 = VIDEO in first and first[VIDEO].data.startswith(START)
    options = {"live": "1", "cluster_time_limit": "1000", "fflags": "+bitexact"}
    with av.open(_Sink(out), "w", format="matroska" if h264 else "webm", options=options) as container:
        streams = {kind: _stream(container, frame, h264=h264) for kind, frame in sorted(first.items(), reverse=True)}
        last = dict.fromkeys(streams, -1)
        for frame in frames(recorded(), report):
            pts = max(last[frame.kind] + 1, (frame.at_ns - zero) // 1_000_000)
            last[frame.kind] = pts
            packet = av.Packet(frame.data)
            packet.stream = streams[frame.kind]
            packet.time_base = TIME_BASE
            packet.pts = packet.dts = pts
            packet.is_keyframe = frame.key
            container.mux(packet)
        report.seconds = max(last.values()) / 1000


def _survey(found: Iterator[Frame]) -> dict[int, Frame]:
    """The first frame of each kind."""
    first: dict[int, Frame] = {}
    for frame in found:
        first.setdefault(frame.kind, frame)
        if len(first) == 2:
            break
    return first


def _stream(container: av.container.OutputContainer, frame: Frame, *, h264: bool) -> Stream:
    if frame.kind == AUDIO:
        # An encoder that is given nothing to encode: it only says what players want to know (RFC 7845, 5.1).
        return container.add_stream("libopus", rate=48_000)
    width, height = _h264_size(frame.data) if h264 else _vp8_size(frame.data)
    return container.add_mux_stream("h264" if h264 else "vp8", width=width, height=height, time_base=TIME_BASE)


def _h264_size(key_frame: bytes) -> tuple[int, int]:
    """By decoding it: the size lies deep in its parameter sets. None that can be told: 640 x 480."""
    decoder = av.CodecContext.create("h264", "r")
    with contextlib.suppress(av.FFmpegError):
        for picture in (*decoder.decode(av.Packet(key_frame)), *decoder.decode(None)):
            return picture.width, picture.height
    return 640, 480


def _vp8_size(key_frame: bytes) -> tuple[int, int]:
    """RFC 6386, 9.1: fourteen bits each behind the start code of a key frame."""
    width, height = (int.from_bytes(key_frame[n : n + 2], "little") & 0x3FFF for n in (6, 8))
    return width, height


class _Sink:
    """Takes what the muxer writes, and cannot go back."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, data: bytes) -> int:
        self._out.write(data)
        return len(data)


def derive(files: Sequence[Path], key: bytes, out: BinaryIO, since_ns: int | None = None) -> Report:
    """The playable file of one person's parts, in their order. Raises OSError, and ValueError for another key."""
    report = Report()
    opened = []
    for path in files:
        with path.open("rb") as handle:
            mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        examined = blocks.examine(mapped, key)
        report.faults += [f"{path.name}: {fault}" for fault in examined.faults]
        opened.append((mapped, examined))

    def recorded() -> Iterator[blocks.Packet]:
        for mapped, examined in opened:
            if examined.facts:
                later_ns = _after_a_boot(opened[0][1].facts, examined.facts)
                for packet in blocks.packets(mapped, examined, key):
                    yield replace(packet, at_ns=packet.at_ns + later_ns) if later_ns else packet

    write(recorded, out, report, since_ns)
    return report


def _after_a_boot(first: Mapping[str, Any], this: Mapping[str, Any]) -> int:
    """What a part's times lack on the first one's clock: the machine was booted meanwhile, and its clock began anew."""
    if not first or first.get("boot") == this.get("boot"):
        return 0
    apart_us = (parse_iso(this["at"]) - parse_iso(first["at"])) // timedelta(microseconds=1)
    return int(apart_us * 1000 - (this["monotonic_ns"] - first["monotonic_ns"]))


def main() -> int:
    asked = json.loads(sys.stdin.buffer.readline())
    out = sys.stdout.buffer
    report = derive([Path(name) for name in asked["files"]], bytes.fromhex(asked["key"]), out, asked["since_ns"])
    out.flush()
    sys.stderr.write(json.dumps(asdict(report)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
