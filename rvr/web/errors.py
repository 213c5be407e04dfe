"""Refusals over HTTP: problem+json (RFC 9457) for programs, a page for people. Nothing internal leaves."""

from __future__ import annotations

import errno
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
from aiohttp import web

from rvr.core.errors import BadInput, NotFound, Reason, RvrError, TooLarge
from rvr.messages import Catalogue
from rvr.web import confirming, rendering
from rvr.web.context import SETTINGS, SIGNED_IN, WORDS

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def told(reasons: Iterable[Reason], words: Catalogue) -> list[dict[str, Any]]:
    """Every reason with its sentence, and the field that it belongs beside."""
    return [
        {"code": reason.code, "text": words.reason(reason), **({"field": reason.field} if reason.field else {})}
        for reason in reasons
    ]


def problem(error: RvrError, words: Catalogue) -> web.Response:
    body = {
        "type": f"urn:rvr:{error.code}",
        "title": words.say(f"problem.{error.code}"),
        "status": error.status,
        "code": error.code,
        "reasons": told(error.reasons, words),
        **error.extra,
    }
    headers = {"Retry-After": str(error.extra["retry_after"])} if "retry_after" in error.extra else {}
    return web.Response(
        text=json.dumps(body, ensure_ascii=False),
        status=error.status,
        content_type="application/problem+json",
        headers=headers,
    )


def is_api(request: web.Request) -> bool:
    return request.path.startswith(("/api/", "/health/"))


def page(request: web.Request, error: RvrError) -> web.Response:
    words = request.app[WORDS]
    if any(reason.code == "confirm-first" for reason in error.reasons):
        to = confirming.asked_from(request)
        asked = rendering.render(request.app, "confirm.html", request[SIGNED_IN], to=to, error="")
        return web.Response(text=asked, status=error.status, content_type="text/html")
    html = rendering.render(
        request.app,
        "error.html",
        request.get(SIGNED_IN),
        title=words.say(f"problem.{error.code}"),
        reasons=[one["text"] for one in told(error.reasons, words)],
        status=error.status,
    )
    return web.Response(text=html, status=error.status, content_type="text/html")


def respond(request: web.Request, error: RvrError) -> web.Response:
    return problem(error, request.app[WORDS]) if is_api(request) else page(request, error)


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns every error into its answer; what nobody foresaw is logged without a value and answered as 500."""
    try:
        return await handler(request)
    except RvrError as error:
        return respond(request, error)
    except web.HTTPNotFound:
        return respond(request, NotFound(Reason("no-such-page")))
    except web.HTTPMethodNotAllowed as wrong:
        answer = respond(request, _NoSuchMethod(Reason("method", {"method": request.method})))
        answer.headers["Allow"] = wrong.headers.get("Allow", "")
        return answer
    except web.HTTPRequestEntityTooLarge:
        return respond(request, TooLarge(Reason("too-large", {"max": request.app[SETTINGS].max_body})))
    except web.HTTPException:
        raise
    except web.RequestPayloadError:
        return respond(request, BadInput(Reason("not-json")))
    except OSError as fault:
        if fault.errno == errno.ENAMETOOLONG:
            return respond(request, NotFound(Reason("no-such-page")))
        return _unforeseen(request, fault)
    except Exception as unforeseen:  # noqa: BLE001 - the last line: whatever it is, nothing internal leaves
        return _unforeseen(request, unforeseen)


def _unforeseen(request: web.Request, error: Exception) -> web.Response:
    resource = request.match_info.route.resource
    log.exception("unforeseen", route=resource.canonical if resource else "", error=type(error).__name__)
    return respond(request, RvrError(Reason("internal")))


class _NoSuchMethod(RvrError):
    status, code = 405, "no-such-method"
