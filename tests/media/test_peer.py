"""One connection before and after its media: whom it asks, what it gives up, what a refusal leaves behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiortc.rtcicetransport
import pytest
from aiortc import RTCIceGatherer

from rvr.media import MediaRefused
from rvr.media.embedded import hooks
from rvr.media.embedded import peer as peer_module
from rvr.media.embedded.peer import Peer

OFFER = (Path(__file__).parent / "chromium-156-offer.sdp").read_bytes().decode("ascii")


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """One socket on loopback, as in a worker."""
    monkeypatch.setattr(hooks._Bound, "address", hooks.Address("127.0.0.1", "127.0.0.1", None), raising=False)
    monkeypatch.setattr(aiortc.rtcicetransport, "Connection", hooks._Bound)


class Ends(list[str]):
    """The causes with which a peer ended."""


def a_peer(ends: Ends) -> Peer:
    return Peer(video="VP8", on_connected=lambda: None, on_end=ends.append)


async def test_no_third_partys_stun_server_is_asked_and_who_never_connects_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("aiortc fell back to its public STUN server")

    monkeypatch.setattr(RTCIceGatherer, "getDefaultIceServers", asked)
    monkeypatch.setattr(peer_module, "CONNECT_DEADLINE_S", 0.1)
    ends = Ends()
    peer = a_peer(ends)
    assert "VP8" in await peer.answer(OFFER)
    await asyncio.sleep(0.3)
    assert ends == ["deadline"]
    await peer.close()


async def test_a_refused_offer_leaves_nothing_open() -> None:
    tasks = len(asyncio.all_tasks())
    for _ in range(3):
        with pytest.raises(MediaRefused):
            await a_peer(Ends()).answer(OFFER.replace("VP8/90000", "VP7/90000"))
    await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) == tasks
