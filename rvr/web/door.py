"""The listening socket, and how long a connection may be slow: in asking, in sending what it asks with, in taking the
answer. A proxy in front ends most of it; nobody should be able to hold the desk's file handles where there is none.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from rvr.core.errors import Reason, TooSlow

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEPT_S = 5.0
"""A connection whose next question is not here by then is closed; so is a new one."""

BODY_S = 12.0
"""A body must be here by then: the largest offer of a call (32 KiB) at 22 kbit/s."""

LINGERS_S = 2.0
"""How long the rest of a body that nobody wants is read, so that its sender hears the answer."""

TAKES_S = 20
"""A connection whose other end took nothing of an answer for so long is cut by the kernel (RFC 5482, tcp(7)): a program
that does not read, or a telephone that is gone. A line may be as slow as it is: what arrives is acknowledged."""


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
