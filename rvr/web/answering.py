"""Around every answer: its id, its line in the operator's log, its count.

The line has the route and never the address, which may hold a reference or a name that somebody typed. The id is of our
own making: one that came with the request could be anything, and stand in another's lines.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from rvr import metrics
from rvr.web.context import SETTINGS

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID = web.RequestKey("request_id", str)

METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
"""Any other is told as OTHER: a stranger must not be able to make labels."""

STREAM = "text/event-stream"

GONE = 499
"""Whoever asked went away before the answer, or the desk stopped: the number that nginx gives it."""

QUIET = ("/static", "/health", "/metrics")
"""Counted only: a line each time that a monitor looks would bury the others."""


@web.middleware
async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives the request its id, and tells of its answer."""
    request[REQUEST_ID] = secrets.token_hex(8)
    route, started, status, kind = _route(request), time.perf_counter(), GONE, ""
    with structlog.contextvars.bound_contextvars(request=request[REQUEST_ID], **_case(request)):
        try:
            response = await handler(request)
            status, kind = response.status, response.content_type
            return response
        finally:
            seconds = time.perf_counter() - started
            method = request.method if request.method in METHODS else "OTHER"
            metrics.REQUESTS.labels(method, route, str(status)).inc()
            if status != GONE and kind != STREAM:
                metrics.REQUEST_SECONDS.labels(route).observe(seconds)
            if request.app[SETTINGS].log_answers and not route.startswith(QUIET):
                log.info("answered", method=method, route=route, status=status, ms=round(1000 * seconds, 1))


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


def _case(request: web.Request) -> dict[str, str]:
    """The case that the address names, if it is an id: whatever else stands there was typed by somebody."""
    if "/cases/{id}" not in _route(request):
        return {}
    try:
        return {"case": str(uuid.UUID(request.match_info["id"]))}
    except ValueError:
        return {}
