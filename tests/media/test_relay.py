"""The relay's parts by themselves: who sees whom, which frames pass, and what a connection does when nobody comes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc import RTCIceGatherer
from av import AudioFrame, VideoFrame

from rvr.media import MediaRefused
from rvr.media.embedded import peer as peer_module
from rvr.media.embedded.forwarder import MAX_FPS, AudioOut, Forwarder, Pace, Sight, VideoOut, fitted
from rvr.media.embedded.peer import Address, Peer, _Verified

OFFER = (Path(__file__).parent / "chromium-156-offer.sdp").read_bytes().decode("ascii")


class Seen(list[tuple[str, str | None]]):
    """What a room emitted, as (kind, seat)."""

    details: list[Mapping[str, str]]

    def __call__(self, kind: str, seat: str | None, detail: Mapping[str, str]) -> None:
        self.append((kind, seat))
        self.details = [*getattr(self, "details", []), detail]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def both_ways(sight: Sight) -> None:
    for seat in ("a", "b"):
        sight.handed_on(seat)


def test_two_way_is_told_once_and_only_when_both_are_seen(seen: Seen) -> None:
    sight = Sight(("a", "b"), seen)
    sight.connected("a")
    both_ways(sight)
    assert seen == [("connected", "a")], "nothing counts while one seat is empty"
    sight.connected("b")
    sight.handed_on("a")
    sight.handed_on("a")
    assert ("two_way", None) not in seen
    sight.handed_on("b")
    both_ways(sight)
    assert seen[-1] == ("two_way", None)
    assert seen.count(("two_way", None)) == 1


@pytest.mark.parametrize("end", ["lost", "gone"])
def test_resumed_needs_fresh_pictures_both_ways_after_a_break(seen: Seen, end: str) -> None:
    sight = Sight(("a", "b"), seen)
    sight.connected("a")
    sight.connected("b")
    both_ways(sight)
    getattr(sight, end)("b", "why")
    both_ways(sight)
    assert seen[-1] == (end, "b"), "pictures still on their way do not count"
    sight.connected("b")
    sight.handed_on("a")
    assert seen[-1] == ("connected", "b")
    sight.handed_on("b")
    assert seen[-1] == ("resumed", "b")
    assert seen.details[-1] == {"partner": "a"}


def test_a_room_that_was_two_way_in_an_earlier_process_resumes(seen: Seen) -> None:
    sight = Sight(("a", "b"), seen, had_two_way=True)
    sight.connected("a")
    sight.connected("b")
    both_ways(sight)
    assert seen[-1] == ("resumed", "b")


def test_only_who_was_there_can_be_lost_and_only_once(seen: Seen) -> None:
    sight = Sight(("a", "b"), seen)
    sight.lost("a", "failed")
    assert seen == []
    sight.connected("a")
    sight.lost("a", "silent")
    sight.lost("a", "failed")
    assert seen == [("connected", "a"), ("lost", "a")]


def test_one_seat_alone_is_never_two_way(seen: Seen) -> None:
    sight = Sight(("a",), seen)
    sight.connected("a")
    sight.handed_on("a")
    assert seen == [("connected", "a")]


@pytest.mark.parametrize(
    ("size", "result"),
    [
        ((640, 480), (640, 480)),
        ((320, 240), (320, 240)),
        ((1280, 720), (640, 360)),
        ((720, 1280), (360, 640)),
        ((1281, 721), (640, 360)),
        ((4000, 3), (640, 2)),
    ],
)
def test_a_picture_is_made_to_fit_either_way_up_and_never_enlarged(
    size: tuple[int, int], result: tuple[int, int]
) -> None:
    assert fitted(*size) == result


@pytest.mark.parametrize("fps", [10, 15, 20, 24, 30, 60])
def test_a_camera_of_any_speed_is_passed_on_at_fifteen_frames_a_second_or_its_own(fps: int) -> None:
    pace = Pace(MAX_FPS)
    passed = sum(pace.admits(n / fps) for n in range(fps * 4))
    assert abs(passed / 4 - min(fps, MAX_FPS)) <= 1


def test_a_clock_that_jumps_back_does_not_stop_the_picture() -> None:
    pace = Pace(MAX_FPS)
    assert pace.admits(100.0)
    assert pace.admits(0.0)


def picture(width: int = 64, height: int = 48) -> VideoFrame:
    return VideoFrame(width=width, height=height, format="yuv420p")


async def test_late_pictures_are_dropped_and_the_newest_is_sent() -> None:
    counted = []
    out = VideoOut(lambda: counted.append(1))
    newest = picture()
    for frame in (picture(), picture(), newest):
        out.put(frame)
    assert await out.recv() is newest
    assert len(counted) == 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(out.recv(), 0.05)


async def test_picture_times_rise_whatever_the_sender_says() -> None:
    out = VideoOut(lambda: None)
    times = []
    for pts in (90_000, 5, 5):
        frame = picture(1280, 720)
        frame.pts = pts
        out.put(frame)
        sent = await out.recv()
        times.append(sent.pts)
        assert (sent.width, sent.height) == (640, 360)
    assert times == sorted(set(times))


def sound(value: int = 1) -> AudioFrame:
    frame = AudioFrame(format="s16", layout="stereo", samples=960)
    frame.planes[0].update(bytes([value]) * frame.planes[0].buffer_size)
    frame.sample_rate = 48_000
    return frame


async def test_silence_is_sent_at_the_pace_of_sound_while_nobody_speaks() -> None:
    out = AudioOut()
    before = time.monotonic()
    frames = [await out.recv() for _ in range(10)]
    assert 0.15 < time.monotonic() - before < 0.5
    assert not any(any(bytes(frame.planes[0])) for frame in frames)
    steps = {b.pts - a.pts for a, b in pairwise(frames)}
    assert min(steps) >= 960


async def test_sound_is_sent_at_once_and_never_waits_longer_than_a_tenth_of_a_second() -> None:
    out = AudioOut()
    for n in range(1, 21):
        out.put(sound(n))
    first = await out.recv()
    assert bytes(first.planes[0])[0] == 16, "of twenty waiting frames the oldest fifteen are dropped"
    assert first.pts is not None


async def test_a_frame_goes_to_the_partner_and_nowhere_else(seen: Seen) -> None:
    sight = Sight(("a", "b"), seen)
    forwarder = Forwarder(sight)
    outs = {seat: forwarder.open(seat) for seat in ("a", "b")}
    forwarder.switch("a", outs["a"])
    frame = picture()
    frame.pts, frame.time_base = 0, Fraction(1, 90_000)
    forwarder.video("a", frame)
    forwarder.audio("a", sound())
    forwarder.switch("b", outs["b"])
    forwarder.video("a", frame)
    assert await asyncio.wait_for(outs["b"][0].recv(), 1) is frame
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(outs["a"][0].recv(), 0.05)


class Ends(list[str]):
    """The causes with which a peer ended."""


def a_peer(ends: Ends) -> Peer:
    outs = (VideoOut(lambda: None), AudioOut())

    def nothing(*_: Any) -> None: ...

    return Peer(outs, on_connected=nothing, on_video=nothing, on_audio=nothing, on_end=ends.append)


async def test_no_third_partys_stun_server_is_asked_and_who_never_connects_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(*_: Any) -> None:
        raise AssertionError("aiortc fell back to its public STUN server")

    monkeypatch.setattr(RTCIceGatherer, "getDefaultIceServers", asked)
    monkeypatch.setattr(peer_module, "CONNECT_DEADLINE_S", 0.1)
    ends = Ends()
    peer = a_peer(ends)
    assert "VP8" in await peer.answer(OFFER)
    await asyncio.sleep(0.3)
    assert ends == ["deadline"]
    await peer.close()


async def test_the_answer_speaks_vp8_and_opus_and_nothing_else() -> None:
    peer = a_peer(Ends())
    answer = await peer.answer(OFFER)
    await peer.close()
    mapped = [line.split(" ")[1].split("/")[0] for line in answer.splitlines() if line.startswith("a=rtpmap:")]
    assert mapped == ["opus", "VP8", "rtx"]


async def test_a_refused_offer_leaves_nothing_open() -> None:
    tasks = len(asyncio.all_tasks())
    for _ in range(3):
        with pytest.raises(MediaRefused):
            await a_peer(Ends()).answer(OFFER.replace("VP8/90000", "VP7/90000"))
    await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) == tasks


def test_only_an_address_that_passed_a_check_may_send_anything_but_a_check() -> None:
    taken: list[bytes] = []
    receiver = SimpleNamespace(
        remote_candidates=[SimpleNamespace(host="198.51.100.7", port=4000)],
        data_received=lambda data, _: taken.append(data),
    )
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        protocol = _Verified(receiver)  # type: ignore[arg-type]
        protocol.local_candidate = SimpleNamespace(component=1)  # type: ignore[assignment]
        protocol.datagram_received(b"\x16\xfe\xff hello", ("203.0.113.66", 4000))
        protocol.datagram_received(b"\x80 media", ("198.51.100.7", 4001))
        assert taken == []
        protocol.datagram_received(b"\x16\xfe\xff hello", ("198.51.100.7", 4000))
        assert len(taken) == 1
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_the_ports_of_a_range_are_all_tried_once() -> None:
    ports = list(Address("127.0.0.1", "127.0.0.1", (42000, 42009)).candidates())
    assert sorted(ports) == list(range(42000, 42010))
    assert list(Address("127.0.0.1", "127.0.0.1", None).candidates()) == [0]


PREPARED = """
from OpenSSL import SSL
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate
from rvr.media.embedded.peer import Address, prepare
prepare(Address("127.0.0.1", "127.0.0.1", None))
context = RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)
print(*SSL.Connection(context).get_cipher_list())
"""


def in_a_fresh_process(*flags: str) -> subprocess.CompletedProcess[str]:
    """`prepare` changes the whole process, so it is tried in one of its own."""
    command = [sys.executable, *flags, "-c", PREPARED]
    return subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)


def test_a_worker_offers_only_authenticated_ciphers() -> None:
    ciphers = in_a_fresh_process().stdout.split()
    assert len(ciphers) >= 3
    assert all("GCM" in cipher or "POLY1305" in cipher for cipher in ciphers)


def test_a_worker_refuses_to_run_optimised() -> None:
    done = in_a_fresh_process("-O")
    assert done.returncode != 0
    assert "never run it with -O" in done.stderr
