"""RTP and RTCP as bytes: read back by somebody else's parser, and never trusted."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from aiortc import rtp as aiortc_rtp
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from rvr.media.embedded import rtcp, rtp

MEDIA = struct.pack("!BBHII", 0x90, 0xE0, 7, 9, 11)


def with_extensions(profile: int, *elements: bytes) -> bytes:
    body = b"".join(elements)
    body += bytes(-len(body) % 4)
    return MEDIA + struct.pack("!HH", profile, len(body) // 4) + body + b"payload"


SHORT = with_extensions(0xBEDE, b"\x22abc", b"\x00", b"\x31\x12\x34")
LONG = with_extensions(0x1000, b"\x02\x03abc", b"\x00", b"\x14\x02\x12\x34")


@pytest.mark.parametrize(("packet", "wanted"), [(SHORT, 3), (LONG, 20)], ids=["one byte", "two bytes"])
def test_an_extension_is_found_whatever_stands_before_it(packet: bytes, wanted: int) -> None:
    assert rtp.extension(packet, wanted) == b"\x12\x34"
    assert rtp.extension(packet, 2) == b"abc"
    assert rtp.extension(packet, 9) is None
    assert rtp.extension(packet, 0) is None
    assert packet[rtp.payload_start(packet) :] == b"payload"


@pytest.mark.parametrize(
    "packet",
    [
        SHORT[:14],
        MEDIA + struct.pack("!HH", 0xBEDE, 9) + b"\x22abc",
        with_extensions(0xBEDE, b"\x2fabc"),
        with_extensions(0x1000, b"\x02\x09abc"),
    ],
)
def test_an_extension_that_runs_over_its_end_is_malformed(packet: bytes) -> None:
    with pytest.raises(ValueError, match="truncated"):
        rtp.extension(packet, 3)


@settings(deadline=None)
@given(
    st.dictionaries(st.integers(1, 4), st.binary(min_size=1, max_size=4), max_size=3),
    st.sampled_from([0, 0, 0, 1, 4]),
    st.integers(0, 4),
    st.binary(max_size=30),
)
def test_one_look_at_a_packet_tells_what_its_parts_tell(
    elements: dict[int, bytes], zeros: int, wanted: int, payload: bytes
) -> None:
    written = [bytes([number << 4 | len(value) - 1]) + value for number, value in elements.items()]
    packet = with_extensions(0xBEDE, bytes(zeros), *written)[: -len(b"payload")] + payload
    found = elements.get(wanted)
    number = int.from_bytes(found[-2:], "big") if found is not None else None
    assert rtp.read(packet, wanted) == (number, 0x80, 7, 9, 11, payload, len(packet))


@pytest.mark.parametrize("ids", [(3,), (2, 3)], ids=["sound", "picture"])
def test_the_transport_wide_number_is_found_where_browsers_write_it(ids: tuple[int, ...]) -> None:
    values = {2: b"\x22abc", 3: b"\x31\x12\x34"}
    packet = with_extensions(0xBEDE, *(values[one] for one in ids))
    assert rtp.read(packet, 3) == (0x1234, 0x80, 7, 9, 11, b"payload", len(packet))
    assert rtp.read(packet, 5)[0] is None
    assert rtp.read(packet)[0] is None
    assert rtp.read(packet[:-7], 3)[5] == b""
    with pytest.raises(ValueError, match="truncated"):
        rtp.read(packet[:-8], 3)


@pytest.mark.parametrize(
    ("elements", "wanted", "number"),
    [
        ([b"\x31\x12\x34", b"\x22abc"], 3, 0x1234),
        ([b"\x13abc\x31", b"\x21de"], 3, None),
        ([b"\xf2abc", b"\x31\x12\x34"], 3, None),
        ([b"\x01\x12\x34"], 0, None),
    ],
    ids=["the other way round", "within another's value", "behind the reserved id", "not agreed"],
)
def test_no_number_is_read_where_none_stands(elements: list[bytes], wanted: int, number: int | None) -> None:
    packet = with_extensions(0xBEDE, *elements)
    assert rtp.read(packet, wanted) == (number, 0x80, 7, 9, 11, b"payload", len(packet))


def test_padding_is_no_payload() -> None:
    packet = b"\xa0" + MEDIA[1:] + b"payload" + b"\x00\x00\x03"
    assert packet[rtp.payload_start(packet) : rtp.payload_end(packet)] == b"payload"
    for count in (0, 60):
        with pytest.raises(ValueError, match="padding"):
            rtp.payload_end(packet[:-1] + bytes([count]))


@pytest.mark.parametrize(
    ("low", "near", "number"),
    [(5, 65_530, 65_541), (65_530, 65_541, 65_530), (100, 65_636, 65_636), (0, 0, 0), (65_535, 0, 65_535)],
)
def test_a_number_goes_on_where_it_turned_over(low: int, near: int, number: int) -> None:
    assert rtp.unwrapped(low, near) == number


KEY = b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 640, 480)


def test_the_beginning_of_a_vp8_key_frame_tells_its_size() -> None:
    for descriptor in (
        VpxPayloadDescriptor(partition_start=1, partition_id=0),
        VpxPayloadDescriptor(partition_start=1, partition_id=0, picture_id=300, tl0picidx=1, tid=(0, 0), keyidx=2),
    ):
        assert rtp.vp8_key_frame(bytes(descriptor) + KEY) == rtp.KeyFrame(640, 480)
        assert rtp.vp8_key_frame(bytes(descriptor) + b"\x01" + KEY) is None, "an ordinary frame"
        assert rtp.vp8_key_frame(bytes(descriptor)) is None
    later = VpxPayloadDescriptor(partition_start=0, partition_id=0)
    assert rtp.vp8_key_frame(bytes(later) + KEY) is None, "not its first packet"
    # Eight bits of picture id, as some encoders write it.
    assert rtp.vp8_key_frame(b"\x90\x80\x11" + KEY) == rtp.KeyFrame(640, 480)


@pytest.mark.parametrize(
    ("payload", "is_key"),
    [
        (b"\x67\x42\xe0\x1f", True),
        (b"\x65idr", True),
        (b"\x41slice", False),
        (b"\x78\x00\x04\x67\x42\xe0\x1f", True),
        (b"\x78\x00\x04\x41\x42\xe0\x1f", False),
        (b"\x7c\x85", True),
        (b"\x7c\x05", False),
        (b"\x7c\x81", False),
        (b"", False),
        (b"\x78", False),
    ],
)
def test_the_beginning_of_an_h264_key_frame_is_known(payload: bytes, is_key: bool) -> None:
    assert (rtp.h264_key_frame(payload) is not None) == is_key


@settings(deadline=None)
@given(st.binary(min_size=12, max_size=80), st.integers(0, 20))
def test_whatever_bytes_come_they_are_read_or_refused(packet: bytes, wanted: int) -> None:
    for read in (rtp.payload_start, rtp.payload_end, rtcp.parse, rtp.vp8_key_frame, rtp.h264_key_frame):
        with suppress(ValueError):
            read(packet)
    with suppress(ValueError):
        rtp.read(packet, wanted)
    with suppress(ValueError):
        rtp.extension(packet, wanted)


@settings(deadline=None)
@given(st.integers(0, 31), st.sampled_from([200, 201, 202, 203, 204, 205, 206, 207]), st.binary(max_size=60))
def test_whatever_stands_in_a_control_packet_it_is_read_or_refused(count: int, kind: int, body: bytes) -> None:
    body += bytes(-len(body) % 4)
    packet = struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body
    with suppress(ValueError):
        rtcp.parse(packet * 3)


def test_a_compound_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="too many"):
        rtcp.parse(b"\x80\xc9\x00\x01\x00\x00\x00\x01" * 100)


BLOCK = rtcp.Block(5, 64, -3, 70_000, 12, 0x01020304, 65_536)


def test_reports_are_read_by_another_parser_as_they_were_meant() -> None:
    report = rtcp.sender_report(1, 0x0102030405060708, 99, 2**32 + 3, 4, [BLOCK])
    description = rtcp.source_description(1, "slot-0")
    receiver = rtcp.receiver_report(2, [BLOCK])
    sr, sdes, rr = aiortc_rtp.RtcpPacket.parse(report + description + receiver)
    assert (sr.sender_info.ntp_timestamp, sr.sender_info.rtp_timestamp) == (0x0102030405060708, 99)
    assert (sr.sender_info.packet_count, sr.sender_info.octet_count) == (3, 4)
    assert sdes.chunks[0].items == [(1, b"slot-0")]
    for one in (sr.reports[0], rr.reports[0]):
        assert (one.ssrc, one.fraction_lost, one.packets_lost, one.highest_sequence) == (5, 64, -3, 70_000)
        assert (one.jitter, one.lsr, one.dlsr) == (12, 0x01020304, 65_536)
    assert rtcp.parse(report + description + receiver) == [
        rtcp.SenderReport(1, 0x0102030405060708, 99, (BLOCK,)),
        rtcp.ReceiverReport((BLOCK,)),
    ]


@settings(deadline=None)
@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=60, unique=True))
def test_what_is_asked_for_again_is_read_by_another_parser(seqs: list[int]) -> None:
    [asked] = aiortc_rtp.RtcpPacket.parse(rtcp.nack(1, 2, sorted(seqs)))
    assert (asked.fmt, asked.ssrc, asked.media_ssrc) == (1, 1, 2)
    assert sorted(asked.lost) == sorted(seqs)
    [own] = rtcp.parse(rtcp.nack(1, 2, sorted(seqs)))
    assert isinstance(own, rtcp.Nack)
    assert sorted(own.seqs) == sorted(seqs)


@settings(deadline=None)
@given(st.integers(0, 2**40), st.lists(st.integers(0, 2**32 - 1), max_size=4))
def test_a_cap_is_read_by_another_parser_to_its_eighteen_bits(bitrate: int, ssrcs: list[int]) -> None:
    [packet] = aiortc_rtp.RtcpPacket.parse(rtcp.remb(1, bitrate, ssrcs))
    told, named = aiortc_rtp.unpack_remb_fci(packet.fci)
    assert named == ssrcs
    assert told <= bitrate < told + max(1, bitrate >> 16)
    assert rtcp.parse(rtcp.remb(1, bitrate, ssrcs)) == [rtcp.Remb(told, tuple(ssrcs))]


def test_both_ways_of_asking_for_a_key_frame_are_understood() -> None:
    fir = struct.pack("!BBHIIIBxxx", 0x84, 206, 4, 1, 0, 77, 3)
    assert rtcp.parse(rtcp.picture_loss(1, 2) + fir) == [rtcp.KeyFrameRequest(2), rtcp.KeyFrameRequest(77)]
