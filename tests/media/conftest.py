"""What the media tests share: an engine with real worker processes, a notebook for what it reports, and a client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.jitterbuffer import JitterBuffer
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, VideoStreamTrack
from av import VideoFrame

from rvr.media import Observation, Recording, Room, Seat
from rvr.media.rooms import OnJanus, Rooms
from tests import janus

ROOM = "room-1"
SEATS = ["officer", "victim"]


def room(*guests: str, recording: Recording | None = None) -> Room:
    """The two principal seats, and these."""
    return Room(tuple(Seat(one) for one in (*SEATS, *guests)), recording)


class Notebook:
    """Takes the engine's observations as the desk would, and lets a test wait for one."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self.calls = 0
        self.refuse_next = 0
        self._changed = asyncio.Event()

    async def __call__(self, observation: Observation) -> None:
        self.calls += 1
        if self.refuse_next:
            self.refuse_next -= 1
            raise RuntimeError("the store is not there")
        self.seen.append(observation)
        self._changed.set()

    def kinds(self) -> list[tuple[str, str | None]]:
        """The course of events; measurements and recordings are not part of it."""
        return [(seen.kind, seen.seat) for seen in self.seen if seen.kind not in ("quality", "recording")]

    def of(self, kind: str, seat: str | None = None) -> list[Observation]:
        return [seen for seen in self.seen if seen.kind == kind and (seat is None or seen.seat == seat)]

    async def until(self, kind: str, seat: str | None = None, *, times: int = 1, within_s: float = 8.0) -> Observation:
        end = time.monotonic() + within_s
        while len(found := self.of(kind, seat)) < times:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), end - time.monotonic())
            except TimeoutError:
                raise AssertionError(f"no {kind} of {seat} within {within_s} s, only {self.kinds()}") from None
        return found[times - 1]


class SmallVideo(VideoStreamTrack):
    """A 160 x 120 picture, 15 times a second: enough to be decoded, cheap enough for a busy machine."""

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(0.03)
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(width=160, height=120)
        for plane in frame.planes:
            plane.update(bytes([pts // 3000 % 256]) * plane.buffer_size)
        frame.pts = pts
        frame.time_base = time_base
        return frame


class Client:
    """A browser's part, played by aiortc: joins a seat with picture and sound, counts what it receives."""

    def __init__(self, engine: Rooms, seat: str, room: str = ROOM) -> None:
        self.engine = engine
        self.seat = seat
        self.room = room
        self.frames = {"video": 0, "audio": 0}
        self.slots: dict[str, list[int]] = {"video": [], "audio": []}
        """Frames by slot."""
        self.answer = ""
        self._pumps: list[asyncio.Task[None]] = []
        self._pc = self._connection()
        self._receiving: RTCPeerConnection | None = None

    async def join(self) -> Client:
        self._pc.addTrack(AudioStreamTrack())
        self._pc.addTrack(SmallVideo())
        for _ in range(2):
            self._pc.addTransceiver("audio", direction="recvonly")
            self._pc.addTransceiver("video", direction="recvonly")
        await self._pc.setLocalDescription(await self._pc.createOffer())
        self.answer = await self.engine.join(self.room, self.seat, self._pc.localDescription.sdp)
        await self._pc.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        if self.engine.receives_apart:
            await self._receive()
        return self

    async def _receive(self) -> None:
        self._receiving = self._connection()
        offer = await self.engine.receive(self.room, self.seat)
        await self._receiving.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        for carrier in self._receiving.getTransceivers():
            if carrier.kind == "video":
                # What Janus did not pass on for a while is missing in its numbers. A browser goes on at the next key
                # frame; aiortc waits for a thousand packets first.
                carrier.receiver._RTCRtpReceiver__jitter_buffer = JitterBuffer(capacity=32, is_video=True)
        await self._receiving.setLocalDescription(await self._receiving.createAnswer())
        await self.engine.received(self.room, self.seat, self._receiving.localDescription.sdp)

    def _connection(self) -> RTCPeerConnection:
        made = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        made.on("track", lambda track: self._pumps.append(asyncio.ensure_future(self._pump(track))))
        return made

    async def _pump(self, track: Any) -> None:
        slots = self.slots[track.kind]
        slot = len(slots)
        slots.append(0)
        with suppress(MediaStreamError):
            while True:
                await track.recv()
                self.frames[track.kind] += 1
                slots[slot] += 1

    async def receives(self, kind: str, more: int = 3, within_s: float = 8.0) -> None:
        goal = self.frames[kind] + more
        end = time.monotonic() + within_s
        while self.frames[kind] < goal:
            assert time.monotonic() < end, f"{self.seat} received {self.frames}"
            await asyncio.sleep(0.02)

    async def sees(self, *slots: int, within_s: float = 8.0) -> None:
        """New pictures come in these slots and in no other."""
        await asyncio.sleep(0.3)  # what was on its way
        before = list(self.slots["video"])
        end = time.monotonic() + within_s
        while not all(self.slots["video"][slot] > before[slot] + 3 for slot in slots):
            assert time.monotonic() < end, f"{self.seat} sees {self.slots['video']}, before {before}"
            await asyncio.sleep(0.02)
        others = [slot for slot in range(3) if slot not in slots]
        assert all(self.slots["video"][slot] == before[slot] for slot in others), f"{self.seat}: {self.slots}"

    async def fall_silent(self) -> None:
        """Send nothing more and say nothing: what a dead battery looks like from the other end."""
        for transport in self.sockets():
            transport.sendto = lambda *_: None

    async def speak_again(self) -> None:
        for transport in self.sockets():
            del transport.sendto

    def sockets(self) -> set[Any]:
        connections = [self._pc] if self._receiving is None else [self._pc, self._receiving]
        carriers = [carrier for connection in connections for carrier in connection.getTransceivers()]
        ices = [transceiver.receiver.transport.transport for transceiver in carriers]
        return {protocol.transport for ice in ices for protocol in ice._connection._protocols}

    async def close(self) -> None:
        for connection in filter(None, (self._pc, self._receiving)):
            with suppress(Exception):
                await asyncio.wait_for(connection.close(), 5)
        for pump in self._pumps:  # a track on which nothing ever came does not end with its connection
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


ENGINES = ("embedded", pytest.param("janus", marks=pytest.mark.skipif(bool(janus.missing()), reason=janus.missing())))
"""What holds for every engine is shown on both."""


@pytest.fixture(params=ENGINES)
def on_janus(request: pytest.FixtureRequest) -> OnJanus | None:
    """Where the engine has its rooms: None for this machine."""
    if request.param == "embedded":
        return None
    server = request.getfixturevalue("janus_server")
    return OnJanus((server.listed(),))


@pytest.fixture
def media_bind(request: pytest.FixtureRequest) -> str:
    """Where the engine of this machine takes media: loopback, or with the parameter `own` an address beside it."""
    return janus.own_address() if getattr(request, "param", "") == "own" else "127.0.0.1"


@pytest.fixture
async def engine(notebook: Notebook, on_janus: OnJanus | None, media_bind: str, tmp_path: Path) -> AsyncIterator[Rooms]:
    recordings = tmp_path / "recordings"
    rooms = Rooms(notebook, media_bind=media_bind, lost_after_s=1.5, recordings=recordings, janus=on_janus)
    await rooms.start()
    await rooms.want({ROOM: room()})
    yield rooms
    await rooms.close()


@pytest.fixture
async def client(engine: Rooms) -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """`await client("officer")`: a client that has joined that seat; closed at the end."""
    made: list[Client] = []

    async def join(seat: str, room: str = ROOM) -> Client:
        made.append(Client(engine, seat, room))
        return await made[-1].join()

    yield join
    await asyncio.gather(*(one.close() for one in made))
