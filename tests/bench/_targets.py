"""The servers that `run.py bench media` holds beside each other, each started with nothing else in it, and how two
people come into a call there."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from rvr.media import Observation, Room, Seat
from rvr.media.rooms import OnJanus, Rooms
from tests import janus
from tests.bench._leg import Leg

FLOOR_KEY = bytes(range(28))


class Person:
    """Somebody in a call: what is sent goes over one leg, what is received comes over the same or another."""

    def __init__(self, tx: Leg, rx: Leg | None = None) -> None:
        self.tx, self.rx = tx, rx or tx

    @property
    def legs(self) -> list[Leg]:
        return [self.tx] if self.tx is self.rx else [self.tx, self.rx]


class Target(Protocol):
    """One server."""

    async def start(self, folder: Path, address: str, calls: int) -> None: ...
    async def call(self, name: str) -> tuple[Person, Person]: ...
    @property
    def pids(self) -> list[int]: ...
    async def stop(self) -> None: ...


class Embedded:
    """Our forwarder, in one worker process."""

    def __init__(self, on_janus: Callable[[Path], janus.Janus] | None = None) -> None:
        self._janus = on_janus
        self._server: janus.Janus | None = None
        self.wanted: dict[str, Room] = {}
        self.engine: Rooms

    async def start(self, folder: Path, address: str, calls: int) -> None:
        async def seen(observation: Observation) -> None:
            await self.engine.acknowledge(observation.worker, observation.number)

        if self._janus is not None:
            self._server = self._janus(folder)
            self._server.start()
            self.engine = Rooms(seen, janus=OnJanus((self._server.listed(),)))
        else:
            self.engine = Rooms(seen, media_bind=address)
        await self.engine.start()

    async def call(self, name: str) -> tuple[Person, Person]:
        self.wanted[name] = Room((Seat("a"), Seat("b")))
        await self.engine.want(self.wanted)
        return await self._join(name, "a"), await self._join(name, "b")

    async def hang_up(self, name: str) -> None:
        del self.wanted[name]
        await self.engine.want(self.wanted)

    async def _join(self, room: str, seat: str) -> Person:
        leg = Leg()
        answer = await self.engine.join(room, seat, await leg.offer())
        if not self.engine.receives_apart:
            await leg.connect(answer)
            return Person(leg)
        other = Leg("recvonly")
        told = await self.engine.receive(room, seat)
        await self.engine.received(room, seat, await other.answer(told))
        await asyncio.gather(leg.connect(answer), other.connect(told))
        return Person(leg, other)

    @property
    def pids(self) -> list[int]:
        server = [self._server.process.pid] if self._server is not None and self._server.process is not None else []
        return [*self.engine.worker_pids, *server]

    async def stop(self) -> None:
        await self.engine.close()
        if self._server is not None:
            self._server.stop()


class JanusPlugin:
    """Janus by itself, as its own demos use it."""

    def __init__(self, plugin: str, general: dict[str, str] | None = None) -> None:
        self._plugin = f"janus.plugin.{plugin}"
        self._general = general or {}
        self._numbers = itertools.count(1)
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._events: dict[int, asyncio.Queue[dict[str, Any]]] = {}
        self._up: dict[int, asyncio.Event] = {}
        self._session = 0

    async def start(self, folder: Path, address: str, calls: int) -> None:
        self._server = janus.Janus(folder, general=self._general)
        self._server.start()
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(self._server.url, protocols=("janus-protocol",))
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._live())]
        self._session = (await self._ask(janus="create"))["data"]["id"]

    @property
    def pids(self) -> list[int]:
        return [self._server.process.pid] if self._server.process is not None else []

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._http.close()
        self._server.stop()

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if told["janus"] == "ack":
                continue
            waiting = self._replies.get(told.get("transaction", ""))
            if waiting is not None and not waiting.done():
                waiting.set_result(told)
            elif (sender := told.get("sender")) in self._events:
                if told["janus"] == "webrtcup":
                    self._up[sender].set()
                elif "plugindata" in told:
                    self._events[sender].put_nowait(told)

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(15)
            await self._socket.send_str(json.dumps(self._message(janus="keepalive")))

    def _message(self, **told: Any) -> dict[str, Any]:
        data = f"{int(time.time()) + 3600},janus,{self._plugin}"
        signed = hmac.new(janus.SECRET.encode(), data.encode(), hashlib.sha1).digest()
        told |= {"transaction": str(next(self._numbers)), "token": f"{data}:{base64.b64encode(signed).decode()}"}
        return told | ({"session_id": self._session} if self._session else {})

    async def _ask(self, **told: Any) -> dict[str, Any]:
        message = self._message(**told)
        reply = self._replies[message["transaction"]] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(json.dumps(message))
        answer = await asyncio.wait_for(reply, 10)
        if answer["janus"] == "error" or "error" in answer.get("plugindata", {}).get("data", {}):
            raise RuntimeError(str(answer))
        return answer

    async def _attach(self) -> int:
        handle = int((await self._ask(janus="attach", plugin=self._plugin))["data"]["id"])
        self._events[handle], self._up[handle] = asyncio.Queue(), asyncio.Event()
        return handle

    async def _say(self, handle: int, sdp: str = "", kind: str = "", **body: Any) -> tuple[dict[str, Any], str]:
        jsep = {"jsep": {"type": kind, "sdp": sdp}} if sdp else {}
        answer = await self._ask(janus="message", handle_id=handle, body=body, **jsep)
        return answer["plugindata"]["data"], answer.get("jsep", {}).get("sdp", "")


class VideoRoom(JanusPlugin):
    """Each person publishes over one connection and subscribes to the other over a second."""

    def __init__(self, general: dict[str, str] | None = None) -> None:
        super().__init__("videoroom", general)

    async def call(self, name: str) -> tuple[Person, Person]:
        control = await self._attach()
        await self._say(control, request="create", room=name, publishers=2, audiocodec="opus", videocodec="vp8")
        legs = [await self._publish(name, seat) for seat in "ab"]
        heard = [await self._subscribe(name, seat) for seat in "ba"]
        first, second = (Person(tx, rx) for tx, rx in zip(legs, heard, strict=True))
        return first, second

    async def _publish(self, room: str, seat: str) -> Leg:
        leg, handle = Leg("sendonly"), await self._attach()
        _, answer = await self._say(
            handle, await leg.offer(), "offer", request="joinandconfigure", ptype="publisher", room=room, id=seat
        )
        await leg.connect(answer)
        await asyncio.wait_for(self._up[handle].wait(), 5)
        return leg

    async def _subscribe(self, room: str, seat: str) -> Leg:
        leg, handle = Leg("recvonly"), await self._attach()
        _, offer = await self._say(handle, request="join", ptype="subscriber", room=room, streams=[{"feed": seat}])
        await self._say(handle, await leg.answer(offer), "answer", request="start")
        await leg.connect(offer)
        return leg


class VideoCall(JanusPlugin):
    """One connection a person; the one's offer is the other's."""

    def __init__(self) -> None:
        super().__init__("videocall")

    async def call(self, name: str) -> tuple[Person, Person]:
        handles = [await self._attach(), await self._attach()]
        for handle, seat in zip(handles, "ab", strict=True):
            await self._say(handle, request="register", username=f"{name}{seat}")
        caller, called = Leg(), Leg()
        await self._say(handles[0], await caller.offer(), "offer", request="call", username=f"{name}b")
        offer = await self._until(handles[1], "incomingcall")
        await self._say(handles[1], await called.answer(offer), "answer", request="accept")
        answer = await self._until(handles[0], "accepted")
        await asyncio.gather(caller.connect(answer), called.connect(offer))
        return Person(caller), Person(called)

    async def _until(self, handle: int, event: str) -> str:
        while True:
            told = await asyncio.wait_for(self._events[handle].get(), 5)
            if told["plugindata"]["data"].get("result", {}).get("event") == event and "jsep" in told:
                return str(told["jsep"]["sdp"])


class Relay:
    """aiortc's MediaRelay, with its decoders and encoders."""

    async def start(self, folder: Path, address: str, calls: int) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench._relay"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )

    async def call(self, name: str) -> tuple[Person, Person]:
        return Person(await self._join(name, "a")), Person(await self._join(name, "b"))

    async def _join(self, room: str, seat: str) -> Leg:
        leg = Leg()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = {"room": room, "seat": seat, "offer": await leg.offer()}
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        await leg.connect(json.loads(await self._process.stdout.readline())["answer"])
        return leg

    @property
    def pids(self) -> list[int]:
        return [self._process.pid]

    async def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class Floor:
    """The C program: UDP and SRTP, and nothing else."""

    async def start(self, folder: Path, address: str, calls: int) -> None:
        program = folder / "floor"
        source = Path(__file__).parent / "floor.c"
        compiler = await asyncio.create_subprocess_exec("cc", "-O2", "-o", str(program), str(source), "-lsrtp2")
        if await compiler.wait():
            raise RuntimeError("the floor cannot be compiled: gcc and libsrtp2-dev are needed")
        self._address = address
        self._process = await asyncio.create_subprocess_exec(
            str(program), address, str(2 * calls), FLOOR_KEY.hex(), stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._ports = [int(await self._process.stdout.readline()) for _ in range(2 * calls)]

    async def call(self, name: str) -> tuple[Person, Person]:
        return Person(await self._leg()), Person(await self._leg())

    async def _leg(self) -> Leg:
        leg = Leg()
        await leg.plain((self._address, self._ports.pop(0)), FLOOR_KEY)
        return leg

    @property
    def pids(self) -> list[int]:
        return [self._process.pid]

    async def stop(self) -> None:
        self._process.kill()
        await self._process.wait()


TARGETS: dict[str, Callable[[], Any]] = {
    "ours": Embedded,
    "floor": Floor,
    "videoroom": VideoRoom,
    "videoroom, event_loops=2": lambda: VideoRoom({"event_loops": "2"}),
    "videocall": VideoCall,
    "ours on janus": lambda: Embedded(janus.Janus),
    "relay": Relay,
}


def cpu_s(pids: list[int]) -> float:
    """What these processes have used so far, user and system."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pids: list[int]) -> float:
    """What these processes have in memory by themselves."""
    total_kb = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total_kb += int(line.split()[1])
    return total_kb / 1024
