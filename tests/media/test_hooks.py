"""The private names of the libraries: that the installed versions have them, and what is made of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import aiortc.rtcdtlstransport
import pylibsrtp
import pytest
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport

from rvr.media.embedded import hooks
from rvr.media.embedded.hooks import MAX_ADDRESSES, Address, Wire, _Bound, _Once, _Verified


async def test_the_installed_libraries_have_every_name_that_is_relied_on() -> None:
    assert list(hooks.missing_names()) == []


@pytest.mark.parametrize(
    ("owner", "name"),
    [(RTCCertificate, "_create_ssl_context"), (aiortc.rtcdtlstransport, "Policy"), (RTCDtlsTransport, "_set_role")],
)
async def test_a_version_that_moved_a_name_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    monkeypatch.delattr(owner, name)
    with pytest.raises(RuntimeError, match=name):
        hooks.prepare(Address("127.0.0.1", "127.0.0.1", None))


def a_wire(*, policy: type[pylibsrtp.Policy] = _Once) -> Wire:
    """A wire whose keys are its own on both ends, so that it opens what it seals."""
    ice = RTCIceTransport(RTCIceGatherer(iceServers=[]))
    dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    for name, direction in (("_rx_srtp", "SSRC_ANY_INBOUND"), ("_tx_srtp", "SSRC_ANY_OUTBOUND")):
        one = policy(
            key=bytes(range(44)),
            ssrc_type=getattr(pylibsrtp.Policy, direction),
            srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
        )
        one.allow_repeat_tx = True
        setattr(dtls, name, pylibsrtp.Session(one))
    wire = Wire(ice, dtls)
    sent: list[bytes] = []
    pair = SimpleNamespace(
        protocol=SimpleNamespace(
            transport=SimpleNamespace(is_closing=lambda: False, sendto=lambda data, _: sent.append(data))
        ),
        remote_addr=("198.51.100.7", 4000),
    )
    ice._connection._nominated[1] = pair  # type: ignore[assignment]
    wire.sent = sent  # type: ignore[attr-defined]
    return wire


HEADER = b"\x80\x60\x00\x01" + bytes(7) + b"\x05"


async def test_what_is_sealed_is_opened_once_and_only_unchanged() -> None:
    wire = a_wire()
    assert not wire.send(HEADER + b"payload"), "nothing is sent before DTLS is done"
    wire.open()
    assert wire.send(HEADER + b"payload")
    [sealed] = wire.sent  # type: ignore[attr-defined]
    assert b"payload" not in sealed
    assert wire.opened(sealed[:-1] + bytes([sealed[-1] ^ 1])) is None
    assert wire.opened(sealed) == HEADER + b"payload"
    assert wire.opened(sealed) is None, "a second time is a replay"
    assert wire.opened(b"\x80" * 12) is None


async def test_no_packet_index_is_used_twice_under_one_key() -> None:
    wire = a_wire()
    wire.open()
    assert wire.send(HEADER + b"payload")
    assert not wire.send(HEADER + b"another"), "libsrtp itself refuses it"
    careless = a_wire(policy=pylibsrtp.Policy)
    careless.open()
    assert careless.send(HEADER + b"payload")
    assert careless.send(HEADER + b"another"), "which it would not with aiortc's own policy"


async def test_control_packets_are_sealed_too_and_nothing_is_sent_after_the_end() -> None:
    wire = a_wire()
    wire.open()
    report = b"\x80\xc9\x00\x01\x00\x00\x00\x05"
    assert wire.send_rtcp(report)
    assert wire.opened_rtcp(wire.sent[0]) == report  # type: ignore[attr-defined]
    wire.shut()
    assert not wire.send_rtcp(report)
    assert not wire.send(HEADER + b"payload")
    assert wire.opened(b"\x80" * 40) is None


async def test_a_connection_whose_consent_has_ended_sends_nothing() -> None:
    wire = a_wire()
    wire.open()
    wire._connection._nominated.clear()
    assert not wire.send(HEADER + b"payload")
    assert wire.sent == []  # type: ignore[attr-defined]


async def test_what_only_looks_like_a_check_or_a_handshake_fills_no_queue() -> None:
    connection = _Bound(ice_controlling=False)
    for _ in range(200):
        connection.data_received(b"\x00 no check", 1)
        connection.data_received(b"\x16 a record", 1)
    assert connection._queue.qsize() == hooks.MAX_WAITING


def test_checks_from_ever_more_addresses_are_not_even_read() -> None:
    asked: list[bytes] = []
    known = [SimpleNamespace(host="198.51.100.7", port=port) for port in range(MAX_ADDRESSES)]
    receiver = SimpleNamespace(remote_candidates=known, data_received=lambda data, _: asked.append(data))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        protocol = _Verified(receiver)  # type: ignore[arg-type]
        protocol.local_candidate = SimpleNamespace(component=1)  # type: ignore[assignment]
        protocol.datagram_received(b"\x00 junk", ("203.0.113.66", 4000))
        assert asked == []
        protocol.datagram_received(b"\x00 junk", ("198.51.100.7", 4))
        assert len(asked) == 1
    finally:
        asyncio.set_event_loop(None)
        loop.close()


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
        protocol.on_media = lambda data, _: taken.append(data)
        protocol.local_candidate = SimpleNamespace(component=1)  # type: ignore[assignment]
        protocol.datagram_received(b"\x16\xfe\xff hello", ("203.0.113.66", 4000))
        protocol.datagram_received(b"\x80 media", ("198.51.100.7", 4001))
        assert taken == []
        protocol.datagram_received(b"\x16\xfe\xff hello", ("198.51.100.7", 4000))
        protocol.datagram_received(b"\x80 media", ("198.51.100.7", 4000))
        protocol.datagram_received(b"\x80" + bytes(1_600), ("198.51.100.7", 4000))
        protocol.datagram_received(b"", ("198.51.100.7", 4000))
        assert taken == [b"\x16\xfe\xff hello", b"\x80 media"]
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
from rvr.media.embedded.hooks import Address, prepare
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
