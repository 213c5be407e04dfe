"""One connection's talk with its browser, and one room's switchboard, without a socket."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiortc import rtp as aiortc_rtp
from hypothesis import given, settings
from hypothesis import strategies as st

from rvr.media import MediaRefused, Room, Seat, Track
from rvr.media.embedded import answer, forwarder, rtcp
from rvr.media.embedded.answer import Transport
from rvr.media.embedded.feedback import CEILING_BPS
from rvr.media.embedded.leg import AGAIN_PER_TICK, PACKETS_PER_TICK, Leg
from rvr.media.embedded.quality import Meter
from rvr.media.embedded.sdp_gate import admit

OFFER, FOUR_SEATS, FIREFOX = (
    (Path(__file__).parent / f"{name}-offer.sdp").read_bytes().decode("ascii")
    for name in ("chromium-156", "chromium-156-four-seats", "firefox-153-four-seats")
)
"""As the browsers made them: a pair of sections that sends and receives, and with four seats two more to receive."""
KEY = b"\x10\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 640, 480)
DELTA = b"\x10\x01delta"


@dataclass
class Wire:
    """A wire without a lock: what is sent can be read."""

    got: list[aiortc_rtp.RtpPacket] = field(default_factory=list)
    told: list[bytes] = field(default_factory=list)
    genuine: bool = True

    def opened(self, datagram: bytes) -> bytes | None:
        return datagram if self.genuine else None

    def opened_rtcp(self, datagram: bytes) -> bytes | None:
        return datagram if self.genuine else None

    def send(self, packet: bytes) -> bool:
        self.got.append(aiortc_rtp.RtpPacket.parse(packet))
        return True

    def send_rtcp(self, packet: bytes) -> bool:
        self.told.append(packet)
        return True

    def feedback(self) -> list[bytes]:
        """What the transport-wide feedback messages say."""
        return [told[12:] for told in self.told if told[:2] == b"\x8f\xcd"]

    def read(self) -> list[rtcp.Packet]:
        return [one for told in self.told for one in rtcp.parse(told)]

    def caps(self) -> list[int]:
        return [one.bitrate_bps for one in self.read() if isinstance(one, rtcp.Remb)]


class End:
    """A browser in a seat: its leg, and what it plays."""

    def __init__(self, offer: str = OFFER, number: int = 1) -> None:
        self.wire = Wire()
        self.lines = answer.lines(admit(offer), "VP8")
        self.leg = Leg(self.lines, self.wire)
        self.number = number
        self.seq = 0
        self.now = 100.0

    def line(self, kind: Track, slot: int = 0) -> answer.Line:
        return next(line for line in self.lines if line.kind == kind and line.slot == slot)

    def sends(self, kind: Track = "video", payload: bytes = KEY, *, marker: bool = True) -> None:
        line = self.line(kind)
        self.seq += 1
        self.now += 0.005
        twcc = struct.pack("!HHBHx", 0xBEDE, 1, line.ids.transport_cc << 4 | 1, self.seq & 0xFFFF)
        first = struct.pack(
            "!BBHII",
            0x90,
            line.codec.payload_type | marker << 7,
            self.seq & 0xFFFF,
            self.seq * 3_000,
            self.number * 10 + (kind == "video"),
        )
        self.leg.take(first + twcc + payload, self.now)

    def says(self, packet: bytes) -> None:
        self.leg.take(packet, self.now)

    def ticks(self, count: int = 1) -> None:
        for _ in range(count):
            self.now += 0.1
            self.leg.tick(self.now)

    def pictures(self, slot: int = 0) -> list[bytes]:
        ssrc = self.line("video", slot).ssrc
        return [packet.payload for packet in self.wire.got if packet.ssrc == ssrc]

    def sounds(self, slot: int = 0) -> list[bytes]:
        ssrc = self.line("audio", slot).ssrc
        return [packet.payload for packet in self.wire.got if packet.ssrc == ssrc]


# --- what is agreed ---

HERE = Transport("ufrag", "password", "A1:B2", "203.0.113.5", 40_000)


def test_an_answer_speaks_the_rooms_codec_and_opus_and_nothing_else() -> None:
    text = answer.written(answer.lines(admit(OFFER), "VP8"), HERE)
    mapped = [line.split(" ")[1].split("/")[0] for line in text.splitlines() if line.startswith("a=rtpmap:")]
    assert mapped == ["opus", "VP8", "rtx"]
    assert "a=rtcp-fb:96 transport-cc" in text
    assert "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" in text
    assert "video-orientation" not in text


def test_a_room_may_speak_h264_in_the_profile_that_every_phone_has() -> None:
    [_, video] = answer.lines(admit(OFFER), "H264")
    assert (video.codec.payload_type, video.codec.rtx) == (108, 109)
    text = answer.written((video,), HERE)
    assert "a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f" in text


@pytest.mark.parametrize(
    ("offer", "code"),
    [
        (OFFER.replace("VP8/90000", "VP7/90000"), "codec"),
        (OFFER.replace("opus/48000", "speex/48000"), "codec"),
        (FOUR_SEATS.replace("a=recvonly", "a=sendrecv"), "sdp-malformed"),
    ],
)
def test_what_does_not_fit_a_seat_is_refused(offer: str, code: str) -> None:
    with pytest.raises(MediaRefused) as refused:
        answer.lines(admit(offer), "VP8")
    assert refused.value.code == code


@pytest.mark.parametrize("offer", [FOUR_SEATS, FIREFOX], ids=["chromium", "firefox"])
def test_an_offer_of_four_seats_is_answered_in_three_slots_none_of_which_shares_a_source(offer: str) -> None:
    lines = answer.lines(admit(offer), "VP8")
    assert all(line.codec.rtx and line.ids.transport_cc for line in lines if line.kind == "video")
    assert [(line.kind, line.slot, line.direction) for line in lines] == [
        ("audio", 0, "sendrecv"),
        ("video", 0, "sendrecv"),
        ("audio", 1, "sendonly"),
        ("video", 1, "sendonly"),
        ("audio", 2, "sendonly"),
        ("video", 2, "sendonly"),
    ]
    sources = [source for line in lines for source in (line.ssrc, line.rtx_ssrc)]
    assert len(set(sources)) == len(sources)
    text = answer.written(lines, HERE)
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", text)) == {"203.0.113.5", "0.0.0.0"}  # noqa: S104  what "no address" looks like
    assert [f"slot-{n}" in text for n in range(4)] == [True, True, True, False]


# --- what comes up ---


def test_every_packet_that_came_is_told_ten_times_a_second() -> None:
    end = End()
    end.ticks()
    assert end.wire.feedback() == []
    for _ in range(5):
        end.sends()
    end.sends("audio", b"opus")
    end.ticks()
    [message] = end.wire.feedback()
    assert struct.unpack_from("!HH", message) == (1, 6)
    end.ticks()
    assert len(end.wire.feedback()) == 1


def test_reports_go_out_every_second_also_while_nobody_else_is_there() -> None:
    end = End()
    end.sends()
    end.sends("audio", b"opus")
    end.ticks(10)
    [report] = [one for one in end.wire.read() if isinstance(one, rtcp.ReceiverReport)]
    assert {block.ssrc for block in report.blocks} == {10, 11}


def test_a_browser_that_knows_no_transport_feedback_is_told_an_estimate() -> None:
    end = End(OFFER.replace(" transport-cc", " x-other"))
    time_id = end.line("video").ids.abs_send_time
    assert end.line("video").ids.transport_cc == 0
    for n in range(600):  # the estimator takes three seconds to make up its mind
        end.now += 0.01
        stamp = struct.pack("!HHI", 0xBEDE, 1, (time_id << 4 | 2) << 24 | int(end.now * 262_144) & 0xFFFFFF)
        end.leg.take(struct.pack("!BBHII", 0x90, 96, n, n, 11) + stamp + bytes(1_000), end.now)
        if n % 10 == 0:
            end.leg.tick(end.now)
    assert end.wire.feedback() == []
    assert end.wire.caps()[0] > 100_000


def test_a_cap_is_told_every_second_and_lifted_when_it_ends() -> None:
    end = End()
    end.sends()
    end.ticks(10)
    end.leg.cap_bps = 300_000
    end.ticks(20)
    end.leg.cap_bps = None
    end.ticks(30)
    assert end.wire.caps() == [pytest.approx(300_000, rel=0.001)] * 2 + [pytest.approx(CEILING_BPS, rel=0.001)]


def test_only_what_is_genuine_counts_as_a_sign_of_life() -> None:
    end = End()
    end.wire.genuine = False
    end.sends()
    end.says(rtcp.receiver_report(1, []) + bytes(20))
    assert end.leg.heard_at == 0.0
    end.wire.genuine = True
    end.says(rtcp.receiver_report(1, []) + rtcp.source_description(1, "x"))
    assert end.leg.heard_at == end.now


def test_a_flood_is_dropped_before_it_is_opened() -> None:
    end = End()
    for _ in range(PACKETS_PER_TICK * 4):
        end.sends()
    assert end.leg.inlets["video"].received == PACKETS_PER_TICK
    end.ticks()
    end.sends()
    assert end.leg.inlets["video"].received == PACKETS_PER_TICK + 1


@settings(deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from([0x80, 0x90, 0xA0, 0xB1]),
    st.sampled_from([96, 97, 111, 200, 201, 205, 206]),
)
def test_nothing_that_a_browser_sends_raises_anything(body: bytes, first: int, second: int) -> None:
    end = End()
    end.sends()
    other = End(number=2)
    room = Room((Seat("a"), Seat("b")))
    forwarder.arrange(room, {"a": end.leg, "b": other.leg}, lambda _: None, 100.0)
    end.leg.take(bytes([first, second]) + body, 101.0)
    end.leg.take(bytes([first, second]), 101.0)
    end.ticks()


def test_what_is_malformed_is_counted() -> None:
    end = End()
    end.leg.take(b"\x90\x60" + bytes(12), 1.0)
    end.leg.take(b"\x80\xc9\x00\x09" + bytes(12), 1.0)
    assert end.leg.malformed == 2


# --- who gets what ---


class Table:
    """A room of legs, arranged as it is wanted."""

    def __init__(self, *seats: Seat) -> None:
        self.ends = {seat.id: End(FOUR_SEATS, number) for number, seat in enumerate(seats, 1)}
        self.handed: list[str] = []
        self.want(*seats)

    def want(self, *seats: Seat) -> None:
        self.room = Room(seats)
        legs = {name: end.leg for name, end in self.ends.items()}
        forwarder.arrange(self.room, legs, self.handed.append, 100.0)

    def all_play(self) -> None:
        for name, end in self.ends.items():
            end.sends("audio", b"sound of " + name.encode())
            end.sends("video", KEY + name.encode())

    def sees(self, name: str) -> list[list[str]]:
        """Whose pictures came, by slot."""
        return [[one.removeprefix(KEY).decode() for one in self.ends[name].pictures(slot)] for slot in range(3)]

    def hears(self, name: str) -> list[list[str]]:
        return [[one.removeprefix(b"sound of ").decode() for one in self.ends[name].sounds(slot)] for slot in range(3)]


def test_everybody_sees_and_hears_the_others_in_the_rooms_order() -> None:
    table = Table(Seat("a"), Seat("b"), Seat("c"), Seat("d"))
    table.all_play()
    for seen in (table.sees, table.hears):
        assert seen("a") == [["b"], ["c"], ["d"]]
        assert seen("b") == [["a"], ["c"], ["d"]]
        assert seen("c") == [["a"], ["b"], ["d"]]
        assert seen("d") == [["a"], ["b"], ["c"]]
    assert sorted(table.handed) == ["a", "b"], "of the principal two"


def test_who_is_held_neither_sees_nor_is_seen() -> None:
    table = Table(Seat("a"), Seat("b"), Seat("c", admitted=False))
    table.all_play()
    for seen in (table.sees, table.hears):
        assert seen("a") == [["b"], [], []]
        assert seen("c") == [[], [], []]
    table.want(Seat("a"), Seat("b"), Seat("c"))
    assert rtcp.KeyFrameRequest(31) in table.ends["c"].wire.read(), "whoever is let in is asked for a whole picture"
    table.all_play()
    assert table.sees("a") == [["b", "b"], ["c"], []]
    assert table.sees("c") == [["a"], ["b"], []]
    table.want(Seat("a"), Seat("b"), Seat("c", admitted=False))
    table.all_play()
    assert table.sees("a")[1] == ["c"]
    assert table.sees("c") == [["a"], ["b"], []]


def test_a_muted_track_is_not_passed_on_whatever_is_sent() -> None:
    table = Table(Seat("a", muted=frozenset({"audio"})), Seat("b", muted=frozenset({"video"})))
    table.all_play()
    assert (table.sees("b")[0], table.hears("b")[0]) == (["a"], [])
    assert (table.sees("a")[0], table.hears("a")[0]) == ([], ["b"])


def test_who_has_gone_is_shown_no_more() -> None:
    table = Table(Seat("a"), Seat("b"))
    gone = table.ends.pop("b")
    table.want(Seat("a"), Seat("b"))
    gone.sends("video", KEY + b"b")
    assert table.sees("a") == [[], [], []]


def test_a_request_for_a_key_frame_reaches_the_one_whose_picture_it_is() -> None:
    table = Table(Seat("a"), Seat("b"), Seat("c"))
    table.all_play()
    for end in table.ends.values():
        end.wire.told.clear()
        end.now += 1
    a = table.ends["a"]
    a.now = 200.0
    a.says(rtcp.picture_loss(1, a.line("video", 1).ssrc))
    a.says(rtcp.picture_loss(1, a.line("audio", 1).ssrc))
    a.says(rtcp.picture_loss(1, 999))
    assert table.ends["c"].wire.read() == [rtcp.KeyFrameRequest(31)]
    assert table.ends["b"].wire.read() == []


def test_one_message_cannot_have_more_sent_again_than_a_browser_ever_needs() -> None:
    table = Table(Seat("a"), Seat("b"))
    for _ in range(200):
        table.ends["a"].sends()
    b = table.ends["b"]
    seqs = [packet.sequence_number for packet in b.wire.got]
    asked = rtcp.nack(1, b.line("video").ssrc, seqs)
    b.says(asked)
    b.says(asked)
    assert len(b.wire.got) == 200 + AGAIN_PER_TICK
    b.ticks()
    b.says(asked)
    assert len([one for one in b.wire.got if one.payload_type == 97]) == 2 * AGAIN_PER_TICK


def test_a_narrow_way_down_caps_the_one_who_sends() -> None:
    table = Table(Seat("a"), Seat("b"))
    a, b = table.ends["a"], table.ends["b"]
    for _ in range(100):
        a.sends("video", KEY + bytes(1_000))
    b.ticks(10)
    b.says(rtcp.remb(1, 200_000, []))
    forwarder.cap({"a": a.leg, "b": b.leg})
    assert (a.leg.cap_bps, b.leg.cap_bps) == (pytest.approx(200_000, rel=0.001), None)
    b.leg.downlink.limit_bps = None
    forwarder.cap({"a": a.leg, "b": b.leg})
    assert a.leg.cap_bps is None


def test_a_way_down_is_shared_by_the_pictures_on_it() -> None:
    table = Table(Seat("a"), Seat("b"), Seat("c"))
    table.ends["a"].leg.downlink.limit_bps = 600_000
    table.ends["c"].leg.downlink.limit_bps = 500_000
    forwarder.cap({name: end.leg for name, end in table.ends.items()})
    assert [table.ends[name].leg.cap_bps for name in "abc"] == [250_000, 250_000, 300_000]


def test_reports_of_both_sides_are_passed_on_and_none_of_their_goodbyes() -> None:
    table = Table(Seat("a"), Seat("b"))
    table.all_play()
    a, b = table.ends["a"], table.ends["b"]
    b.wire.told.clear()
    goodbye = struct.pack("!BBHI", 0x81, 203, 1, 11)
    a.says(rtcp.sender_report(11, 5 << 32, 6_000, 1, 1) + rtcp.source_description(11, "secret") + goodbye)
    [packet] = b.wire.told
    report, description = aiortc_rtp.RtcpPacket.parse(packet)
    assert report.ssrc == b.line("video").ssrc
    assert description.chunks[0].items == [(1, b"slot-0")]


# --- how it fared ---


def test_quality_is_measured_from_one_look_to_the_next() -> None:
    table = Table(Seat("a"), Seat("b"))
    a = table.ends["a"]
    meter = Meter(a.leg, 100.0)
    for _ in range(100):
        a.sends("video", KEY + bytes(1_000))
    a.seq += 25
    a.sends("video", DELTA)
    table.ends["b"].sends("video", KEY + bytes(2_000))
    a.says(rtcp.receiver_report(1, [rtcp.Block(a.line("video").ssrc, 64, 0, 0, 0, 0, 0)]))
    assert not meter.due(109.0)
    assert meter.due(110.0)
    told = meter.read(110.0)
    assert told == {
        "up_kbps": "83",
        "down_kbps": "2",
        "up_loss_pct": "19.8",
        "down_loss_pct": "25.0",
        "width": "640",
        "height": "480",
        "fps": "10.1",
        "freezes": "0",
        "nacks": "25",
        "plis": "0",
        "seconds": "10.0",
    }
    assert meter.read(110.5) is None
    later = meter.read(112.0)
    assert later is not None
    assert (later["up_kbps"], later["nacks"], later["seconds"]) == ("0", "0", "2.0")
