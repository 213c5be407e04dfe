"""What is made of a recording plays, holds every frame that came whole, and is the same bytes each time."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import av
import pytest
from aiortc.rtp import RtpPacket, wrap_rtx

from rvr.media.blocks import CODECS, KINDS, Packet, Sealing
from rvr.media.playable import Report, derive, frames
from tests.media import packets as rtp

KEY = bytes(range(32))


def a_file(path: Path, sent: Iterable[rtp.Sent], video: str = "VP8") -> Path:
    """A sealed file of these packets, a block a second."""
    sealing = Sealing(KEY, bytes(32), {"seat": "s", "part": 1})
    told = [Packet(CODECS, 0, rtp.codecs_json(video)), *(Packet(KINDS[one.kind], one.at_ns, one.rtp) for one in sent)]
    made = [sealing.header]
    made += [sealing.block(told[n : n + 90], last=n + 90 >= len(told)) for n in range(0, len(told), 90)]
    path.write_bytes(b"".join(made))
    return path


def played(made: bytes) -> tuple[dict[str, int], float]:
    """How many frames of each kind decode, and how long it lasts."""
    counts, last = {"video": 0, "audio": 0}, 0.0
    with av.open(io.BytesIO(made)) as container:
        for frame in container.decode():
            counts["video" if isinstance(frame, av.VideoFrame) else "audio"] += 1
            last = max(last, frame.time or 0.0)
    return counts, last


def made_of(files: list[Path]) -> tuple[bytes, Report]:
    out = io.BytesIO()
    report = derive(files, KEY, out)
    return out.getvalue(), report


def test_every_frame_of_a_whole_recording_plays(tmp_path: Path) -> None:
    made, report = made_of([a_file(tmp_path / "a", rtp.a_call(4))])
    counts, last = played(made)
    assert counts["video"] == report.frames == 120
    assert abs(counts["audio"] - 200) <= 1  # the decoder may keep the last one
    assert (report.left_out, report.lost, report.faults) == (0, 0, [])
    assert 3.9 < last < 4.1
    with av.open(io.BytesIO(made)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (320, 240)


def test_the_same_blocks_give_the_same_bytes(tmp_path: Path) -> None:
    files = [a_file(tmp_path / "a", rtp.a_call(2))]
    assert sha256(made_of(files)[0]).digest() == sha256(made_of(files)[0]).digest()


def test_packets_that_overtook_each_other_are_put_in_order(tmp_path: Path) -> None:
    sent = list(rtp.a_call(3))
    dice = random.Random(3)
    late = sorted(sent, key=lambda one: one.at_ns + dice.randrange(300_000_000))
    shuffled = [rtp.Sent(at.at_ns, one.kind, one.rtp) for at, one in zip(sent, late, strict=True)]
    made, report = made_of([a_file(tmp_path / "a", shuffled)])
    assert (report.frames, report.left_out, report.lost, report.sounds) == (90, 0, 0, 150)
    assert played(made)[0]["video"] == 90


@pytest.mark.parametrize(
    ("frame", "which", "left_out", "played_"),
    [(20, 0, 9, 50), (15, 1, 15, 45)],
    ids=["a frame that is one packet", "the second packet of a key frame"],
)
def test_a_lost_packet_leaves_a_gap_until_the_next_key_frame(
    tmp_path: Path, frame: int, which: int, left_out: int, played_: int
) -> None:
    """The picture hangs together from key frame to key frame, which come every fifteen."""
    video = [one for one in rtp.a_call(2) if one.kind == "video"]
    of = [one for one in video if (RtpPacket.parse(one.rtp).timestamp - 4_294_900_000) % 2**32 == frame * 3000]
    made, report = made_of([a_file(tmp_path / "a", (one for one in rtp.a_call(2) if one != of[which]))])
    assert (report.lost, report.left_out, report.frames) == (1, left_out, played_)
    assert played(made)[0]["video"] == played_


def test_a_packet_that_was_sent_again_mends_its_frame(tmp_path: Path) -> None:
    sent = list(rtp.a_call(2))
    which = next(n for n, one in enumerate(sent) if one.kind == "video" and one.at_ns > 600_000_000)
    lost = RtpPacket.parse(sent[which].rtp)
    again = wrap_rtx(lost, payload_type=rtp.RTX, sequence_number=7, ssrc=3333)
    sent[which] = rtp.Sent(sent[which].at_ns, "video", again.serialize())
    later = sent.pop(which)
    sent.insert(which + 15, rtp.Sent(sent[which + 14].at_ns, "video", later.rtp))
    _, report = made_of([a_file(tmp_path / "a", sent)])
    assert (report.lost, report.left_out, report.frames) == (0, 0, 60)


def test_whoever_joins_anew_goes_on_in_the_same_file(tmp_path: Path) -> None:
    """Another sender with numbers and a clock of its own, five seconds later, in a second part."""
    first = a_file(tmp_path / "a", rtp.a_call(1))
    second = a_file(tmp_path / "b", rtp.a_call(1, since_ns=6_000_000_000, ssrc=50, first=9))
    made, report = made_of([first, second])
    assert (report.frames, report.left_out, report.lost) == (60, 0, 0)
    assert 6.9 < played(made)[1] < 7.1


def test_a_damaged_block_is_named_and_the_rest_plays(tmp_path: Path) -> None:
    path = a_file(tmp_path / "a", rtp.a_call(3))
    file = bytearray(path.read_bytes())
    file[len(file) // 2] ^= 1
    path.write_bytes(file)
    made, report = made_of([path])
    assert len(report.faults) == 1
    assert "altered" in report.faults[0]
    assert report.lost
    assert 30 < played(made)[0]["video"] < 90


def test_strangers_packets_break_nothing() -> None:
    dice = random.Random(1)
    recorded = [Packet(CODECS, 0, rtp.codecs_json())]
    for n, one in enumerate(rtp.a_call(1)):
        data = bytearray(one.rtp)
        if n % 3 == 0:
            data = data[: dice.randrange(len(data))]
        for _ in range(dice.randrange(4)):
            if data:
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        recorded.append(Packet(KINDS[one.kind], one.at_ns, bytes(data)))
    report = Report()
    assert len(list(frames(iter(recorded), report))) == report.frames + report.sounds


def test_the_process_writes_to_its_output_alone(tmp_path: Path) -> None:
    path = a_file(tmp_path / "a", rtp.a_call(2))
    asked = json.dumps({"files": [str(path)], "key": KEY.hex(), "since_ns": None}) + "\n"
    done = subprocess.run(
        [sys.executable, "-m", "rvr.media.playable"],
        input=asked.encode(),
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout == made_of([path])[0]
    assert json.loads(done.stderr.splitlines()[-1])["frames"] == 60
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_another_key_makes_nothing(tmp_path: Path) -> None:
    path = a_file(tmp_path / "a", rtp.a_call(1))
    out = io.BytesIO()
    report = derive([path], bytes(32), out)
    assert out.getvalue() == b""
    assert report.faults


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_one_track_alone_is_a_file_too(tmp_path: Path, kind: str) -> None:
    made, _ = made_of([a_file(tmp_path / "a", (one for one in rtp.a_call(2) if one.kind == kind))])
    counts, _ = played(made)
    assert counts[kind] > 50
    assert sum(counts.values()) == counts[kind]


def test_h264_is_put_together_as_well(tmp_path: Path) -> None:
    made, report = made_of([a_file(tmp_path / "a", rtp.a_call_in_h264(60), "H264")])
    assert b"matroska" in made[:64]
    assert (report.frames, report.left_out) == (60, 0)
    assert played(made)[0]["video"] == 60
    with av.open(io.BytesIO(made)) as container:
        assert container.streams.video[0].width == 320
