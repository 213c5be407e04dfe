"""One Janus server over its websocket API: a session that is kept alive, handles, requests and what it tells unasked.

Every request carries a token of its own making (Janus's signed-token mode, `token_auth_secret`), good for one plugin;
Janus's Admin API is not used. A connection that breaks is made again and its session claimed; where Janus has ended the
session meanwhile, every handle is gone, and whoever holds one is told.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp

PLUGIN: Final = "janus.plugin.videoroom"
TOKEN_S: Final = 3600
"""A token's life: longer than two machines' clocks ever differ, and it is used once."""
KEEPALIVE_S: Final = 5.0
"""Janus ends a session that is silent for a minute (`session_timeout`)."""
ASK_DEADLINE_S: Final = 3.0
RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
LINE_LIMIT_BYTES: Final = 1 << 20

log = logging.getLogger("rvr.media.janus")

Event = Mapping[str, Any]
Jsep = Mapping[str, str]


class JanusGone(OSError):
    """The server cannot be asked: it is away, or does not answer."""


class JanusFault(OSError):
    """The server refused a request. `code`: its own number (`janus/apierror.h`, `janus_videoroom.c`)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


class Janus:
    """A server. Every method belongs to one event loop."""

    def __init__(self, url: str) -> None:
        """`url`: ws:// or wss://."""
        self.url = url
        self.secret = ""
        """The server's `token_auth_secret`."""
        self.draining = False
        """It takes no new rooms."""
        self.rooms = 0
        """How many rooms of ours have somebody there."""
        self.ready = asyncio.Event()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._session = 0
        self._failures = 0
        self._numbers = itertools.count(1)
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._alive = "0"
        """The newest keepalive: the one request whose answer is a mere `ack`."""
        self._listeners: dict[int, Callable[[Event], None]] = {}
        self._lost: dict[object, Callable[[], None]] = {}

    def start(self) -> None:
        """Keep the server connected from now on."""
        self._keeper = asyncio.create_task(self._keep())

    def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()

    async def _keep(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=ASK_DEADLINE_S)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while True:
                try:
                    await self._live(http)
                except (aiohttp.ClientError, OSError) as fault:
                    log.warning("a Janus server is away: %s", type(fault).__name__)
                self._failures += 1
                if self._session and self._failures > 1:  # it was not there at the first try to come back either
                    self._bury()
                await asyncio.sleep(RETRY_S[min(self._failures, len(RETRY_S)) - 1])

    async def attach(self, listener: Callable[[Event], None]) -> int:
        """A new handle of the plugin. Raises JanusGone or JanusFault, as every request does."""
        handle = int((await self._request(janus="attach", plugin=PLUGIN))["data"]["id"])
        self._listeners[handle] = listener
        return handle

    async def detach(self, handle: int) -> None:
        """Ends the handle and its connection. One that is gone already is left, too."""
        self._listeners.pop(handle, None)
        with contextlib.suppress(JanusGone, JanusFault):
            await self._request(janus="detach", handle_id=handle)

    async def ask(self, handle: int, jsep: Jsep | None = None, **body: Any) -> tuple[Event, Jsep | None]:
        """What the plugin answers, with its session description if there is one."""
        more = {"jsep": jsep} if jsep is not None else {}
        answer = await self._request(janus="message", handle_id=handle, body=body, **more)
        data = answer["plugindata"]["data"]
        if "error_code" in data:
            raise JanusFault(data["error_code"], data.get("error", ""))
        return data, answer.get("jsep")

    def on_lost(self, key: object, call: Callable[[], None] | None) -> None:
        """Have this called when every handle is gone, or (None) no longer."""
        if call is None:
            self._lost.pop(key, None)
        else:
            self._lost[key] = call

    async def _live(self, http: aiohttp.ClientSession) -> None:
        """One connection, from start to end."""
        async with http.ws_connect(
            self.url, protocols=("janus-protocol",), heartbeat=KEEPALIVE_S, max_msg_size=LINE_LIMIT_BYTES
        ) as socket:
            self._socket = socket
            reader = asyncio.create_task(self._read(socket))
            try:
                await self._take_session()
                self._failures = 0
                self.ready.set()
                while not reader.done():
                    await asyncio.wait([reader], timeout=KEEPALIVE_S)
                    if not reader.done():
                        await self._request(janus="keepalive")
            finally:
                self.ready.clear()
                self._socket = None
                reader.cancel()
                for waiting in self._replies.values():
                    if not waiting.done():
                        waiting.set_exception(JanusGone("the connection broke"))

    async def _take_session(self) -> None:
        if self._session:
            with contextlib.suppress(JanusFault):  # it has ended meanwhile, as it does unless Janus is told to wait
                await self._request(janus="claim")
                return
            self._bury()
        self._session = int((await self._request(janus="create"))["data"]["id"])

    def _bury(self) -> None:
        """The session is over, and with it every handle."""
        self._session = 0
        self._listeners.clear()
        for call in list(self._lost.values()):
            call()

    async def _request(self, **message: Any) -> dict[str, Any]:
        if self._socket is None or (not self.ready.is_set() and message["janus"] not in ("create", "claim")):
            raise JanusGone("no connection")
        number = str(next(self._numbers))
        if message["janus"] == "keepalive":
            self._alive = number
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        message |= {"transaction": number, "token": self._token()}
        if self._session:
            message["session_id"] = self._session
        try:
            await self._socket.send_str(json.dumps(message))
            answer = await asyncio.wait_for(reply, ASK_DEADLINE_S)
        except (TimeoutError, ConnectionError) as fault:
            raise JanusGone("no answer") from fault
        finally:
            del self._replies[number]
        if answer["janus"] == "error":
            raise JanusFault(answer["error"]["code"], answer["error"]["reason"])
        return dict(answer)

    def _token(self) -> str:
        data = f"{int(time.time()) + TOKEN_S},janus,{PLUGIN}"
        # SHA-1 is what Janus checks (auth.c); as an HMAC it holds.
        signed = hmac.new(self.secret.encode(), data.encode(), hashlib.sha1).digest()
        return f"{data}:{base64.b64encode(signed).decode()}"

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            told = json.loads(message.data)
            if told["janus"] == "timeout":  # this loop stood still for a minute, and Janus ended the session
                break
            self._take(told)

    def _take(self, message: dict[str, Any]) -> None:
        number = message.get("transaction", "")
        if message["janus"] == "ack" and number != self._alive:
            return  # the plugin's own answer follows as an event
        waiting = self._replies.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
        elif (listener := self._listeners.get(message.get("sender", 0))) is not None:
            listener(message)
