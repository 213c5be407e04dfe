"""One unbroken stream for each receiver, whatever becomes of its source; what was lost is asked for and sent again."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from aiortc import rtp as aiortc_rtp
from hypothesis import given, settings
from hypothesis import strategies as st

from rvr.media.embedded import rtcp
from rvr.media.embedded.answer import Codec, Line
from rvr.media.embedded.asking import KEY_FRAME_EVERY_S, MAX_GAP
from rvr.media.embedded.rtp import Ids, KeyFrame, read
from rvr.media.embedded.streams import HISTORY, KEEPALIVE_S, SILENCE, Inlet, Outlet

VP8 = Codec("VP8", 96, 90_000, rtx=97)
OPUS = Codec("opus", 111, 48_000)
KEY = b"\x10\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 640, 480)
DELTA = b"\x10\x01delta"
LATER = b"\x00later"


@dataclass
class Browser:
    """One end: what it was sent, taken apart by aiortc's parser, and what it was told."""

    ids: Ids = field(default_factory=lambda: Ids(abs_send_time=4))
    got: list[aiortc_rtp.RtpPacket] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    told: list[rtcp.Packet] = field(default_factory=list)

    def send(self, packet: bytes) -> bool:
        self.raw.append(packet)
        self.got.append(aiortc_rtp.RtpPacket.parse(packet))
        return True

    def say(self, packet: bytes) -> None:
        self.told += rtcp.parse(packet)

    def outlet(self, kind: str = "video", codec: Codec | None = None) -> Outlet:
        video = kind == "video"
        codec = codec or (Codec("VP8", 120, 90_000, rtx=124) if video else Codec("opus", 109, 48_000))
        ids = self.ids if video else Ids()
        line = Line(kind, "0", 0, "sendrecv", codec, ids, 5_000 + video, 6_000 + video)  # type: ignore[arg-type]
        return Outlet(line, self.send, self.say)

    @property
    def seqs(self) -> list[int]:
        return [packet.sequence_number for packet in self.got]


class Source:
    """A browser's track that the test plays."""

    def __init__(self, codec: Codec = VP8, ssrc: int = 1, seq: int = 100, ts: int = 9_000) -> None:
        self.asked = Browser()
        self.inlet = Inlet(codec, 77, self.asked.say)
        self.codec, self.ssrc, self.seq, self.ts = codec, ssrc, seq, ts
        self.now = 10.0

    def packet(self, payload: bytes, *, seq: int | None = None, marker: bool = True, kind: int = 0) -> bytes:
        kind = kind or self.codec.payload_type
        seq = self.seq if seq is None else seq
        first = struct.pack("!BBHII", 0x80, kind | marker << 7, seq & 0xFFFF, self.ts & 0xFFFFFFFF, self.ssrc)
        return first + payload

    def sends(self, payload: bytes = DELTA, *, marker: bool = True, lost: bool = False) -> None:
        if not lost:
            self.inlet.take(read(self.packet(payload, marker=marker)), self.now)
        self.seq += 1
        self.now += 0.033
        self.ts += 2_970

    def sends_again(self, seq: int, payload: bytes) -> None:
        rtx = struct.pack("!BBHII", 0x80, self.codec.rtx, 5, self.ts & 0xFFFFFFFF, self.ssrc + 1)
        self.inlet.take_again(read(rtx + struct.pack("!H", seq & 0xFFFF) + payload), self.now)

    def nacks(self) -> list[int]:
        return [seq for told in self.asked.told if isinstance(told, rtcp.Nack) for seq in told.seqs]

    def plis(self) -> int:
        return sum(isinstance(told, rtcp.KeyFrameRequest) for told in self.asked.told)


def joined(source: Source, outlet: Outlet) -> None:
    outlet.follow(source.inlet, source.now)
    source.inlet.outlets = (*source.inlet.outlets, outlet)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def browser() -> Browser:
    return Browser()


def test_a_packet_is_passed_on_with_the_receivers_own_numbers_and_an_unchanged_payload(
    source: Source, browser: Browser
) -> None:
    joined(source, browser.outlet())
    source.sends(KEY)
    source.sends(LATER, marker=False)
    first, second = browser.got
    assert (first.payload_type, first.ssrc, first.payload, first.marker) == (120, 5_001, KEY, 1)
    assert (second.payload, second.marker) == (LATER, 0)
    assert second.sequence_number == (first.sequence_number + 1) & 0xFFFF
    assert second.timestamp == (first.timestamp + 2_970) & 0xFFFFFFFF
    assert browser.raw[0][12:20] == b"\xbe\xde\x00\x01\x42\x28\x00\x00", "one extension: when it was sent, from here"


def test_a_receiver_without_that_extension_is_sent_none(source: Source) -> None:
    plain = Browser(ids=Ids())
    joined(source, plain.outlet())
    source.sends(KEY)
    assert plain.raw[0][0] == 0x80
    assert plain.raw[0][12:] == KEY


def test_a_picture_begins_with_a_key_frame_which_is_asked_for(source: Source, browser: Browser) -> None:
    source.sends(KEY)
    joined(source, browser.outlet())
    assert source.plis() == 1
    source.sends(DELTA)
    assert browser.got == []
    source.sends(KEY)
    source.sends(DELTA)
    assert [packet.payload for packet in browser.got] == [KEY, DELTA]


def test_what_each_packet_passes_keeps_its_attributes_where_cpython_looks_first(
    source: Source, browser: Browser
) -> None:
    """With more than thirty each object has a dictionary of its own, and a packet costs a twentieth more."""
    assert max(len(vars(one)) for one in (source.inlet, browser.outlet())) <= 30


def test_sound_begins_at_once(browser: Browser) -> None:
    sound = Source(OPUS)
    joined(sound, browser.outlet("audio"))
    sound.sends(b"opus")
    assert [packet.payload for packet in browser.got] == [b"opus"]
    assert browser.raw[0][0] == 0x80


def test_those_who_ask_for_a_key_frame_together_share_one(source: Source) -> None:
    source.sends(KEY)
    for n in range(20):
        source.inlet.ask_key_frame(source.now + n * 0.01)
    assert source.plis() == 1
    source.inlet.tick(source.now + 0.3)
    assert source.plis() == 1
    source.inlet.tick(source.now + KEY_FRAME_EVERY_S + 0.01)
    assert source.plis() == 2, "who asked too early is not forgotten"
    source.inlet.tick(source.now + 2)
    assert source.plis() == 2


def test_a_key_frame_that_begins_answers_those_who_wait(source: Source) -> None:
    source.sends(KEY)
    source.inlet.ask_key_frame(source.now)
    source.inlet.ask_key_frame(source.now)
    source.sends(KEY)
    source.inlet.tick(source.now + 5)
    assert source.plis() == 1


# --- loss ---


def test_what_is_missing_is_asked_for_at_once_and_again_and_then_given_up(source: Source) -> None:
    source.sends(KEY)
    source.sends(lost=True)
    source.sends(lost=True)
    source.sends()
    assert source.nacks() == [101, 102]
    for n in range(100):
        source.inlet.tick(source.now + n * 0.1)
    assert source.nacks().count(101) == 8
    source.inlet.tick(source.now + 20)
    assert source.nacks().count(101) == 8


def test_what_comes_again_is_passed_on_in_its_place_once(source: Source, browser: Browser) -> None:
    joined(source, browser.outlet())
    source.sends(KEY)
    source.sends(lost=True)
    source.sends()
    source.sends_again(101, b"\x00lost")
    source.sends_again(101, b"\x00lost")
    source.sends_again(102, DELTA)
    seqs = browser.seqs
    assert [packet.payload for packet in browser.got] == [KEY, DELTA, b"\x00lost"]
    assert seqs == [seqs[0], (seqs[0] + 2) & 0xFFFF, (seqs[0] + 1) & 0xFFFF]
    source.inlet.tick(source.now + 5)
    assert source.nacks() == [101]


def test_a_gap_too_wide_for_asking_is_answered_by_a_key_frame(source: Source) -> None:
    source.sends(KEY)
    for _ in range(MAX_GAP + 1):
        source.sends(lost=True)
    source.sends()
    assert source.nacks() == []
    assert source.plis() == 1


def test_a_browser_without_retransmission_is_not_asked(browser: Browser) -> None:
    source = Source(Codec("VP8", 96, 90_000))
    source.sends(KEY)
    source.sends(lost=True)
    source.sends()
    assert source.nacks() == []


def test_a_receivers_loss_is_mended_from_the_history_by_a_retransmission_of_its_own(
    source: Source, browser: Browser
) -> None:
    outlet = browser.outlet()
    joined(source, outlet)
    for payload in (KEY, DELTA, LATER):
        source.sends(payload)
    lost = browser.got[1]
    assert outlet.again(lost.sequence_number, source.now)
    again = browser.got[-1]
    assert (again.payload_type, again.ssrc, again.timestamp) == (124, 6_001, lost.timestamp)
    assert again.payload == struct.pack("!H", lost.sequence_number) + DELTA
    assert outlet.again(lost.sequence_number, source.now)
    assert browser.got[-1].sequence_number == (again.sequence_number + 1) & 0xFFFF
    assert source.nacks() == []


def test_what_is_not_here_either_is_asked_of_the_source_once_for_all(source: Source) -> None:
    browsers = [Browser(), Browser()]
    outlets = [browser.outlet() for browser in browsers]
    for outlet in outlets:
        joined(source, outlet)
    source.sends(KEY)
    source.sends(lost=True)
    source.sends()
    assert source.nacks() == [101]
    source.now += 0.5
    for browser, outlet in zip(browsers, outlets, strict=True):
        assert not outlet.again((browser.seqs[0] + 1) & 0xFFFF, source.now)
    assert source.nacks() == [101, 101]
    source.sends_again(101, LATER)
    assert all(browser.got[-1].payload == LATER for browser in browsers)


def test_what_was_never_sent_or_lies_too_far_back_is_not_sent_again(source: Source, browser: Browser) -> None:
    outlet = browser.outlet()
    joined(source, outlet)
    source.sends(KEY)
    first = browser.seqs[0]
    for _ in range(HISTORY + 5):
        source.sends()
    sent = len(browser.got)
    for seq in (first, first - 1, first - 40, first + HISTORY + 200):
        assert not outlet.again(seq & 0xFFFF, source.now)
    assert len(browser.got) == sent
    assert source.nacks() == []


# --- another source ---


def seamless(browser: Browser) -> None:
    """Every packet has a number and a time of its own, each after the one before."""
    for before, after in zip(browser.got, browser.got[1:], strict=False):
        assert (after.sequence_number - before.sequence_number) & 0xFFFF == 1
        assert 0 < (after.timestamp - before.timestamp) & 0xFFFFFFFF < 900_000


def test_another_source_goes_on_where_the_first_one_was(source: Source, browser: Browser) -> None:
    outlet = browser.outlet()
    joined(source, outlet)
    source.sends(KEY)
    source.sends()
    rejoined = Source(ssrc=9, seq=60_000, ts=4_000_000_000)
    rejoined.now = source.now + 2.0
    joined(rejoined, outlet)
    for payload in (KEY, DELTA, DELTA):
        rejoined.sends(payload)
    assert len(browser.got) == 5
    seamless(browser)
    assert (browser.got[2].timestamp - browser.got[1].timestamp) & 0xFFFFFFFF == pytest.approx(180_000 + 2_970, abs=9)
    # What is asked for again is the new source's; the old one's packets are gone with it.
    assert outlet.again(browser.seqs[3], rejoined.now)
    assert not outlet.again(browser.seqs[1], rejoined.now)


def test_a_browser_that_begins_anew_under_another_ssrc_is_another_source(source: Source, browser: Browser) -> None:
    joined(source, browser.outlet())
    source.sends(KEY)
    source.sends()
    source.ssrc, source.seq = 99, 7
    source.sends(DELTA)
    assert len(browser.got) == 2, "it begins with a key frame"
    source.sends(KEY)
    source.sends()
    seamless(browser)
    assert len(browser.got) == 4


def test_what_comes_late_from_before_a_stream_was_joined_is_not_passed_on(source: Source, browser: Browser) -> None:
    """It would be given the number of a packet of the source before."""
    outlet = browser.outlet()
    joined(source, outlet)
    source.sends(KEY)
    source.sends()
    source.ssrc, source.seq = 99, 500
    source.sends(KEY)
    source.inlet.take(read(source.packet(DELTA, seq=499)), source.now)
    source.sends_again(498, DELTA)
    assert len(browser.got) == 3
    seamless(browser)


def test_numbers_and_times_turn_over_without_a_seam(browser: Browser) -> None:
    source = Source(seq=65_530, ts=0xFFFFFFFF - 9_000)
    outlet = browser.outlet()
    joined(source, outlet)
    source.sends(KEY)
    for _ in range(70_000 // 50):
        source.sends()
    seamless(browser)
    assert outlet.again(browser.seqs[-100], source.now)


def test_held_and_let_in_again_a_stream_goes_on_and_shows_nothing_of_between(source: Source, browser: Browser) -> None:
    outlet = browser.outlet()
    joined(source, outlet)
    source.sends(KEY)
    outlet.follow(None, source.now)
    source.sends(b"\x10\x01secret")
    source.now += 1
    outlet.follow(source.inlet, source.now)
    source.sends(b"\x10\x01secret")
    source.sends(KEY)
    assert [packet.payload for packet in browser.got] == [KEY, KEY]
    seamless(browser)
    assert not outlet.again((browser.seqs[1] - 1) & 0xFFFF, source.now), "nor by asking for it"


@settings(deadline=None, max_examples=400)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["send", "lose", "late", "rtx", "ssrc", "jump", "follow", "nack"]),
            st.integers(0, 12) | st.integers(0, 65_535),
        ),
        max_size=120,
    )
)
def test_whatever_a_source_does_no_number_is_ever_used_twice_for_one_stream(  # noqa: C901
    course: list[tuple[str, int]],
) -> None:
    """Two packets under one index and key would give AES-GCM's authentication key away."""
    source, browser = Source(), Browser()
    outlet = browser.outlet()
    joined(source, outlet)
    received: set[tuple[int, int]] = set()  # libsrtp lets no packet of a source in twice

    def take(packet: bytes) -> None:
        name = struct.unpack_from("!H4xI", packet, 2)
        if name not in received:
            received.add(name)
            source.inlet.take(read(packet), source.now)

    for act, number in course:
        match act:
            case "send":
                take(source.packet(KEY if number % 3 == 0 else DELTA))
                source.seq = (source.seq + 1) & 0xFFFF
            case "lose":
                source.seq = (source.seq + number % 40) & 0xFFFF
            case "late":
                take(source.packet(DELTA, seq=source.seq - number % 700))
            case "rtx":
                source.sends_again(source.seq - number % 700, DELTA)
            case "ssrc":
                source.ssrc = number % 3 + 1
            case "jump":
                source.seq = number
            case "follow":
                outlet.follow(None if number % 2 else source.inlet, source.now)
            case "nack":
                outlet.again(number, source.now)
        source.now += 0.01
    for ssrc in (outlet.ssrc, outlet.rtx_ssrc):
        used = [packet.sequence_number for packet in browser.got if packet.ssrc == ssrc]
        assert len(used) == len(set(used))


# --- reports ---


def test_the_report_on_a_source_counts_what_was_lost_and_how_uneven_it_came(source: Source) -> None:
    assert source.inlet.block(1.0) is None
    source.sends(KEY)
    for n in range(99):
        source.sends(lost=n % 10 == 0)
    source.inlet.note_report(0x0001_0203_0405_0006, source.now)
    block = source.inlet.block(source.now + 0.5)
    assert block is not None
    assert (block.ssrc, block.lost, block.fraction_lost) == (1, 10, 10 * 256 // 100)
    assert (block.lsr, block.dlsr) == (0x0203_0405, 32_768)
    assert block.highest & 0xFFFF == 199
    assert block.jitter < 90
    assert source.inlet.block(source.now + 0.6).fraction_lost == 0  # type: ignore[union-attr]


def test_what_was_mended_still_counts_as_lost(source: Source) -> None:
    source.sends(KEY)
    source.sends(lost=True)
    source.sends()
    source.sends_again(101, LATER)
    block = source.inlet.block(source.now)
    assert block is not None
    assert block.lost == 1


def test_a_senders_report_is_passed_on_in_the_receivers_numbers_and_measures_its_way(
    source: Source, browser: Browser
) -> None:
    outlet = browser.outlet()
    outlet.tell_report(1 << 32, 1, 0.0)
    assert browser.told == [], "nothing to report on yet"
    joined(source, outlet)
    source.sends(KEY)
    outlet.tell_report(0x0001_0203_0405_0006, 9_000, 20.0)
    [report] = browser.told
    assert isinstance(report, rtcp.SenderReport)
    assert (report.ssrc, report.ntp, report.rtp) == (outlet.ssrc, 0x0001_0203_0405_0006, browser.got[0].timestamp)
    outlet.note_block(rtcp.Block(outlet.ssrc, 128, 0, 0, 0, 0x0203_0405, 65_536), 21.25)
    assert outlet.rtt_s == pytest.approx(0.25)
    assert outlet.lost_fraction == 0.5
    outlet.note_block(rtcp.Block(outlet.ssrc, 0, 0, 0, 0, 999, 65_536), 29.0)
    assert outlet.rtt_s == pytest.approx(0.25), "an answer to no report of ours measures nothing"


def test_a_stream_without_sound_is_given_a_little_silence_and_goes_on_without_a_seam(browser: Browser) -> None:
    outlet = browser.outlet("audio")
    for n in range(30):
        outlet.keep_alive(100 + n * 0.1)
    assert 6 <= len(browser.got) <= 8
    assert {packet.payload for packet in browser.got} == {SILENCE}
    sound = Source(OPUS)
    sound.now = 103.5
    joined(sound, outlet)
    sound.sends(b"opus")
    outlet.keep_alive(sound.now)
    assert [packet.payload for packet in browser.got][-1] == b"opus"
    seamless(browser)
    assert browser.got[1].timestamp - browser.got[0].timestamp == pytest.approx(48_000 * KEEPALIVE_S, abs=4_900)
    Browser().outlet().keep_alive(100.0)  # a picture has no such thing


# --- pictures ---


def frames(source: Source, *payloads: tuple[bytes, bool]) -> Iterator[list[bytes] | None]:
    for payload, marker in payloads:
        source.inlet.take(read(source.packet(payload, marker=marker)), source.now)
        source.seq += 1
        yield source.inlet.whole_key_frame()


def test_a_key_frame_is_whole_when_all_of_its_packets_are_there(source: Source) -> None:
    seen = []
    source.inlet.on_key_frame = seen.append
    assert list(frames(source, (KEY, False), (LATER, False), (LATER, True))) == [None, None, [KEY, LATER, LATER]]
    assert seen == [KeyFrame(640, 480)]
    source.ts += 3_000
    list(frames(source, (KEY, False)))
    source.seq += 1
    assert list(frames(source, (LATER, True))) == [None]
    source.sends_again(source.seq - 2, b"\x00mid")
    assert source.inlet.whole_key_frame() == [KEY, b"\x00mid", LATER]


def test_whoever_waits_is_told_when_a_key_frame_has_gone_out_whole(source: Source, browser: Browser) -> None:
    told = []
    outlet = browser.outlet()
    outlet.on_key_frame_sent = lambda: told.append(len(browser.got))
    joined(source, outlet)
    list(frames(source, (KEY, False), (LATER, True)))
    source.ts += 3_000
    list(frames(source, (DELTA, True)))
    assert told == [2]


def test_a_picture_that_stands_still_is_counted_as_frozen(source: Source) -> None:
    source.sends(KEY)
    for _ in range(60):
        source.sends()
    assert source.inlet.freezes == 0
    source.now += 0.4
    source.sends()
    source.sends()
    assert source.inlet.freezes == 1
