"""An administrator ends somebody's sign-ins or account: feeds close and the seat in the call is given up, within five
seconds, on whichever process they are (ASVS 5, 7.4; scorecard S20).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlencode

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from tests import postgres
from tests.serving import Client, Served, ready_for_handover, served

WITHIN_S = 5.0
SDP = {"Content_Type": "application/sdp"}


@dataclass
class Story:
    """Officer and administrator at one process, the call at another or the same."""

    admin: Client
    officer: Client
    sergeant: Client
    at_media: Client
    """The officer as the process with the calls knows that person: the same cookies."""
    case: str
    seat: str


def story(near: Served, media: Served) -> Story:
    handler, sergeant, officer = (near.client(name) for name in ("handler", "sergeant", "officer"))
    case = ready_for_handover(handler)
    for who, move, form in (
        (handler, "offer_handover", {"note": "x"}),
        (sergeant, "accept_handover", {}),
        (sergeant, "assign_officer", {"officer": officer.me["id"]}),
        (officer, "send_link", {}),
    ):
        made = who.move(case, move, form)
        assert made.status == 200, made.body
    at_media = Client(media.url)
    at_media.cookies, at_media.csrf = officer.cookies, officer.csrf
    return Story(near.client("admin"), officer, sergeant, at_media, case, made.body["session"]["officer_seat"])


class Feed:
    """An open feed; when it ended."""

    def __init__(self, client: Client, path: str) -> None:
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        self._line = HTTPConnection(client.url.removeprefix("http://"), timeout=30)
        self._line.request("GET", path, headers={"Cookie": cookies, "X-CSRF-Token": client.csrf})
        self._socket = self._line.sock
        self._response = self._line.getresponse()
        assert self._response.status == 200
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, HTTPException):
            while self._response.readline():
                pass
        self._response.close()
        self._line.close()
        self.ended.set()

    def close(self) -> None:
        """Also while somebody reads."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        assert self.ended.wait(WITHIN_S)


@contextlib.asynccontextmanager
async def in_the_call(told: Story) -> AsyncIterator[None]:
    """The officer's browser, played by aiortc, once the media plane has it."""
    line = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    line.addTrack(AudioStreamTrack())
    line.addTrack(VideoStreamTrack())
    for kind in ("audio", "video", "audio", "video"):
        line.addTransceiver(kind, direction="recvonly")
    try:  # an open line would keep the whole run from ending
        await line.setLocalDescription(await line.createOffer())
        offer = line.localDescription.sdp.encode()
        answer = await asyncio.to_thread(lambda: told.at_media.call("POST", f"media/{told.seat}", raw=offer, **SDP))
        assert answer.status == 201, answer.body
        await line.setRemoteDescription(RTCSessionDescription(answer.body.decode(), "answer"))
        await until(lambda: sits(told), 40)
        yield
    finally:
        await line.close()


def sits(told: Story) -> bool:
    session = told.sergeant.call("GET", f"cases/{told.case}").body["session"]
    return bool(session["officer"] == "connected")


async def until(true: Callable[[], bool], within_s: float = 15.0) -> None:
    start = time.monotonic()
    while not await asyncio.to_thread(true):
        assert time.monotonic() - start < within_s
        await asyncio.sleep(0.1)


def press(client: Client, path: str, **more: str) -> int:
    form = urlencode({"csrf": client.csrf, **more}).encode()
    return client.call("POST", path, raw=form, Content_Type="application/x-www-form-urlencoded").status


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Story]:
    with served(tmp_path / "data") as desk:
        yield story(desk, desk)


@pytest.fixture
def two(tmp_path: Path, server: postgres.Server) -> Iterator[Story]:
    """Everybody at the second process, which has no calls."""
    told = {"RVR_DATABASE": server.database(), "RVR_KEY_FILE": str(tmp_path / "keys" / "keys.json")}
    with served(tmp_path / "a", **told) as a, served(tmp_path / "b", RVR_MEDIA="no", **told) as b:
        yield story(b, a)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["alone", "two"])
@pytest.mark.parametrize("deed", ["end", "disable"])
async def test_what_an_administrator_ends_is_over_within_five_seconds(
    request: pytest.FixtureRequest, place: str, deed: str
) -> None:
    told: Story = request.getfixturevalue(place)
    person = told.officer.me["id"]
    async with in_the_call(told):
        feeds = [Feed(told.officer, f"/api/v1/live?topics=case/{told.case}"), Feed(told.officer, "/live?topics=board")]
        bystander = Feed(told.sergeant, "/live?topics=board")
        request.addfinalizer(bystander.close)
        pressed = time.monotonic()
        assert press(told.admin, f"/admin/people/{person}/{deed}") == 200
        for feed in feeds:
            assert await asyncio.to_thread(feed.ended.wait, WITHIN_S)
        await until(lambda: not sits(told), WITHIN_S)
        assert time.monotonic() - pressed < WITHIN_S
        assert not bystander.ended.is_set()
    for client in (told.officer, told.at_media):
        assert client.call("GET", "session").status == 401
    rejoin = told.at_media.call("POST", f"media/{told.seat}", raw=b"v=0", **SDP)
    assert rejoin.status == 401
    back = Client(told.officer.url)
    assert back.sign_in("officer").status == (201 if deed == "end" else 401)
    roster = {one["id"]: one["status"] for one in told.sergeant.call("GET", "board").body["roster"]}
    assert roster[person] == ("on" if deed == "end" else "off")
    page = told.admin.call("GET", f"/admin/people/{person}").body.decode()
    assert ("Enable the account" in page) == (deed == "disable")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["alone", "two"])
async def test_who_is_no_officer_any_more_is_out_of_the_call_within_five_seconds(
    request: pytest.FixtureRequest, place: str
) -> None:
    """The sign-in stays. Another team, and the same role, cuts nobody's call."""
    told: Story = request.getfixturevalue(place)
    path = f"/admin/people/{told.officer.me['id']}/role"
    async with in_the_call(told):
        assert press(told.admin, path, role="officer", unit="lpa-coventry") == 200
        await asyncio.sleep(2)
        assert sits(told)
        assert press(told.admin, path, role="investigator") == 200
        await until(lambda: not sits(told), WITHIN_S)
    assert told.at_media.call("POST", f"media/{told.seat}", raw=b"v=0", **SDP).status == 403
    assert told.officer.call("GET", "session").status == 200


def test_nobody_else_ends_a_sign_in_and_nobody_closes_the_own_account(tmp_path: Path) -> None:
    with served(tmp_path / "data") as desk:
        admin, sergeant = desk.client("admin"), desk.client("sergeant")
        assert press(sergeant, f"/admin/people/{admin.me['id']}/end") == 403
        assert press(admin, f"/admin/people/{admin.me['id']}/disable") == 422
        assert press(admin, "/admin/people/nobody/end") == 404
        assert admin.call("GET", "session").status == 200


def test_a_quiet_feed_ends_as_well(tmp_path: Path) -> None:
    """Nothing else happens at the desk that would make it look."""
    with served(tmp_path / "data") as desk:
        admin, handler = desk.client("admin"), desk.client("handler")
        feeds = [Feed(handler, path) for path in ("/api/v1/live?topics=board", "/live?topics=board")]
        time.sleep(1)
        assert press(admin, f"/admin/people/{handler.me['id']}/end") == 200
        assert [feed.ended.wait(WITHIN_S) for feed in feeds] == [True, True]
