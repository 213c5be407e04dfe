"""Who is answered first when more is asked than can be answered: whoever has asked least.

A fixed number of requests is in hand at once; the others wait. The turn goes to whoever has signed in or joined before
all others, and among equals to the address that asked the least of late. So a hundred strangers that flood wait for
each other; nobody is refused for being quick while there is room. An address is where somebody asks from, as far as
that can be known. A cookie counts only once it has opened something: any other could be made anew with each request.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import ipaddress
import itertools
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from rvr.config import Settings
from rvr.core.errors import Reason, TooMany
from rvr.web.context import SETTINGS, SIGNED_IN

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

IN_HAND = 8
"""Requests that are worked on at once: one command in two waits for its commit, four threads have the long reads."""

HELD_S = 0.25
"""So long at most one of them counts: what lasts longer (an export, an offer of a call) waits for something else."""

WAITING = 256
"""Of one address so many wait at most. A browser has six connections, but a whole desk may come through one proxy, and
what is refused here may be an emergency."""

HALF_LIFE_S = 5.0
"""What somebody asked so long ago counts half."""

REMEMBERED = 20_000
"""Addresses: beyond it those that count least are forgotten."""


@dataclass(slots=True)
class _Asked:
    """How much an address asked, and when that was reckoned."""

    much: float = 0.0
    at: float = 0.0
    waiting: int = 0


@dataclass(order=True, slots=True)
class _Waiting:
    strange: bool
    much: float
    number: int
    turn: asyncio.Future[None] = field(compare=False)
    asked: _Asked = field(compare=False)


class Crowd:
    """Gives turns. Belongs to one event loop."""

    def __init__(self) -> None:
        self._in_hand = 0
        self._asked: dict[str, _Asked] = {}
        self._known: dict[bytes, None] = {}
        """Digests of cookies that opened something, the newest last."""
        self._line: list[_Waiting] = []
        self._numbers = itertools.count()

    def opened(self, cookie: bytes) -> None:
        """This cookie is somebody's."""
        self._known.pop(cookie, None)
        self._known[cookie] = None
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    async def turn(self, address: str, cookie: bytes = b"") -> Turn:
        """Returns when it is this address' turn. Raises TooMany where too many of it wait already."""
        asked = self._count(address)
        if self._in_hand >= IN_HAND:
            if asked.waiting >= WAITING:
                raise TooMany(Reason("too-much-asked"), retry_after=1)
            await self._wait(asked, strange=cookie not in self._known)
        else:
            self._in_hand += 1
        return Turn(self)

    def over(self) -> None:
        """A turn is over: the next in line has it."""
        while self._line:
            turn = heapq.heappop(self._line).turn
            if not turn.done():  # who went away meanwhile wants none
                turn.set_result(None)
                return
        self._in_hand -= 1

    async def _wait(self, asked: _Asked, *, strange: bool) -> None:
        waiting = _Waiting(strange, asked.much, next(self._numbers), asyncio.get_running_loop().create_future(), asked)
        heapq.heappush(self._line, waiting)
        asked.waiting += 1
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if waiting.turn.done() and not waiting.turn.cancelled():  # it had just been given the turn
                self.over()
            raise
        finally:
            asked.waiting -= 1

    def _count(self, address: str) -> _Asked:
        now = time.monotonic()
        if len(self._asked) > REMEMBERED:
            self._forget(now)
        asked = self._asked.setdefault(address, _Asked(at=now))
        asked.much = asked.much * _left(now - asked.at) + 1.0
        asked.at = now
        return asked

    def _forget(self, now: float) -> None:
        def counts(asked: _Asked) -> float:
            return asked.much * _left(now - asked.at)

        kept = sorted(self._asked.items(), key=lambda one: counts(one[1]), reverse=True)[: REMEMBERED // 2]
        waiting = [one for one in self._asked.items() if one[1].waiting]
        self._asked = dict([*kept, *waiting])


def _left(after_s: float) -> float:
    return math.pow(0.5, after_s / HALF_LIFE_S)


class Turn:
    """One request's. It ends with its answer, or after HELD_S."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._over = False
        self._timer = asyncio.get_running_loop().call_later(HELD_S, self.end)

    def end(self) -> None:
        """Again does nothing."""
        if not self._over:
            self._over = True
            self._timer.cancel()
            self._crowd.over()


COOKIES = frozenset({"rvr_s", "rvr_j", "rvr_g"})
BY_LINK = ("/api/v1/join", "/api/v1/guest", "/api/v1/media")
"""Whoever is answered well there has joined by a link, or is signed in."""

CROWD = web.AppKey("crowd", Crowd)
TURN_OF = web.RequestKey("turn", Turn)


def set_up(app: web.Application) -> None:
    app[CROWD] = Crowd()
    app.on_response_prepare.append(_answered)


async def _answered(request: web.Request, response: web.StreamResponse) -> None:
    """A stream begins here, and lasts as long as somebody listens."""
    if TURN_OF in request:
        request[TURN_OF].end()


@web.middleware
async def in_turn(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Waits for the request's turn. Raises TooMany."""
    here, cookie = request.app[CROWD], _cookie(request)
    turn = request[TURN_OF] = await here.turn(address_of(request), cookie)
    try:
        response = await handler(request)
        if cookie and response.status < 400 and (SIGNED_IN in request or request.path.startswith(BY_LINK)):
            here.opened(cookie)
        return response
    finally:
        turn.end()


def _cookie(request: web.Request) -> bytes:
    """A digest of what the browser shows: nothing that opens anything is kept in memory for this."""
    shown = [value for name, value in request.cookies.items() if name.removeprefix("__Host-") in COOKIES]
    return hashlib.blake2b("\n".join(shown).encode(), digest_size=16).digest() if shown else b""


def address_of(request: web.Request) -> str:
    """Where the request comes from: through proxies of ours the last address that none of them is; of IPv6 the network
    of 64 bits, for that is what one household has."""
    settings, address = request.app[SETTINGS], request.remote or ""
    told = [one.strip() for header in request.headers.getall("X-Forwarded-For", []) for one in header.split(",")]
    while told and address in proxies(settings):
        address = told.pop()
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(ipaddress.ip_network((read, 64), strict=False)) if read.version == 6 else str(read)


def proxies(settings: Settings) -> frozenset[str]:
    return frozenset(settings.trusted_proxies.split())
