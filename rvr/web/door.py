"""The listening socket, and how long a connection may be slow: in asking, in sending what it asks with, in taking the
answer. A proxy in front ends most of it; nobody should be able to hold the desk's file handles where there is none.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict

from rvr.core.errors import Reason, TooSlow

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "worker-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = CIMultiDict(
    {
        "Content-Security-Policy": CSP,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "X-Robots-Tag": "noindex, nofollow",
        "Server": "RVR",
    }
)
"""On every answer (OWASP ASVS 5, 3.4). Geolocation is off everywhere: the desk never asks a phone where it is."""

KEPT_S = 5.0
"""A connection whose next question is not here by then is closed; so is a new one."""

BODY_S = 12.0
"""A body must be here by then: the largest offer of a call (32 KiB) at 22 kbit/s."""

LINGERS_S = 2.0
"""How long the rest of a body that nobody wants is read, so that its sender hears the answer."""

TAKES_S = 20
"""A connection whose other end took nothing of an answer for so long is cut by the kernel (RFC 5482, tcp(7)): a program
that does not read, or a telephone that is gone. A line may be as slow as it is: what arrives is acknowledged."""


class Connection(RequestHandler):
    """Answers what is no HTTP with its number alone: aiohttp would quote it, and say what runs here."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        answer = super().handle_error(request, status, exc, HTTPStatus(status).phrase)
        answer.headers.update(HEADERS)
        return answer


class Server(web.Server):
    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        made.__class__ = Server  # aiohttp has no way to be told which kind
        return made


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket for the server. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted connections have it from here
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TAKES_S * 1000)
    return listening


@web.middleware
async def in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Has the body here before anything is done with it. Raises TooSlow."""
    if request.body_exists:
        try:
            async with asyncio.timeout(BODY_S):
                await request.read()
        except TimeoutError:
            raise TooSlow(Reason("too-slow")) from None
    return await handler(request)
