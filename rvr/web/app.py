"""The web application: one flat list of routes, each with who may use it and what the access log calls it.

A route that is not in this list does not exist; a route without roles is open on purpose, and says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

from aiohttp import web

from rvr.config import ROOT, Settings
from rvr.desk import Desk
from rvr.media import MediaEngine
from rvr.messages import catalogue
from rvr.web import api, auth, case_page, errors, live, openapi, pages, rendering, whip, workflow_page
from rvr.web.context import CASE_ID, DESK, MEDIA, SETTINGS, TEMPLATES, WORDS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATIC = ROOT / "static"

ANYBODY: frozenset[str] = frozenset()
"""Open: no sign-in. The handler checks for itself (a victim's cookie, an officer's seat), or shows nothing."""

DESK_ROLES = frozenset(["call_handler", "sergeant", "inspector", "officer", "resourcing", "investigator"])
STAFF = DESK_ROLES | frozenset(["control_room_specialist", "administrator"])
CASE_ROLES = DESK_ROLES | frozenset(["control_room_specialist", "advocate"])
"""Whoever opens some case: a specialist its outline, an advocate what was referred to the own organisation."""

EVERY_ROLE = STAFF | frozenset(["advocate", "interpreter", "evaluator", "auditor"])
OPENERS = frozenset({"call_handler", "sergeant", "inspector", "officer"})
"""Whoever opens cases in some workflow; in which, the workflow says."""

EVALUATOR = frozenset({"evaluator"})
ADMINISTRATOR = frozenset({"administrator"})
DUTY = frozenset({"officer", "sergeant"})


@dataclass(frozen=True, slots=True)
class Route:
    """One way in."""

    method: str
    path: str
    handler: Handler
    roles: frozenset[str]
    access: str = ""
    """Category of DPA 2018 s.62 that a successful request is logged under. Looks are logged by the handler, which
    knows the classes of fields that it shows; `self` says so."""


ROUTES: tuple[Route, ...] = (
    # Sign-in
    Route("POST", "/api/v1/session", api.sign_in, ANYBODY),
    Route("GET", "/api/v1/session", api.session, EVERY_ROLE),
    Route("DELETE", "/api/v1/session", api.sign_out, EVERY_ROLE),
    # Definitions
    Route("GET", "/api/v1/openapi.json", openapi.document, ANYBODY),
    Route("GET", "/api/v1/workflows", api.workflows, EVERY_ROLE),
    Route("GET", "/api/v1/workflows/{id}", api.workflow, EVERY_ROLE),
    # Cases
    Route("POST", "/api/v1/cases", api.open_case, OPENERS, "collection"),
    Route("GET", "/api/v1/cases/{id}", api.case, CASE_ROLES, "self"),
    Route("POST", "/api/v1/cases/{id}/moves/{move}", api.make_move, CASE_ROLES, "alteration"),
    Route("GET", "/api/v1/cases/{id}/events", api.events, DESK_ROLES, "self"),
    Route("GET", "/api/v1/board", api.board, STAFF),
    Route("POST", "/api/v1/duty", api.duty, DUTY),
    Route("GET", "/api/v1/live", live.feed, STAFF),
    # The victim's page: a link token or the join cookie decides
    Route("POST", "/api/v1/join", api.join, ANYBODY),
    Route("GET", "/api/v1/join/live", live.victim, ANYBODY),
    Route("POST", "/api/v1/join/{action}", api.join_action, ANYBODY),
    # Signalling: the seat's own person
    Route("POST", "/api/v1/media/{seat}", whip.offer, ANYBODY),
    Route("DELETE", "/api/v1/media/{seat}", whip.leave, ANYBODY),
    # Evaluation
    Route("POST", "/api/v1/exports", api.make_export, EVALUATOR, "self"),
    # Demo mode only, on this machine only
    Route("GET", "/api/v1/demo/outbox", api.demo_outbox, ANYBODY),
    # Operations
    Route("GET", "/health/live", api.live, ANYBODY),
    Route("GET", "/health/ready", api.ready, ANYBODY),
    # Pages
    Route("GET", "/", pages.home, ANYBODY),
    Route("POST", "/sign-in", pages.sign_in, ANYBODY),
    Route("POST", "/sign-out", pages.sign_out, EVERY_ROLE),
    Route("GET", "/cases/new", pages.open_case_form, OPENERS),
    Route("POST", "/cases", pages.open_case, OPENERS, "collection"),
    Route("GET", "/cases/{id}", case_page.show, CASE_ROLES, "self"),
    Route("POST", "/cases/{id}/moves/{move}", case_page.make_move, CASE_ROLES, "alteration"),
    Route("POST", "/duty", pages.set_duty, DUTY),
    Route("GET", "/live", live.fragments, STAFF | {"advocate"}),
    Route("GET", "/j", pages.join_page, ANYBODY),
    Route("GET", "/evaluation", pages.evaluation_page, EVALUATOR),
    Route("POST", "/evaluation/export", api.make_export, EVALUATOR, "self"),
    Route("GET", "/admin", pages.admin_page, ADMINISTRATOR),
    Route("GET", "/workflows", workflow_page.every, EVERY_ROLE),
    Route("GET", "/workflows/{id}", workflow_page.show, EVERY_ROLE),
    Route("GET", "/demo/outbox", pages.outbox_page, ANYBODY),
)

_route = web.RequestKey("route", Route)

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "worker-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "X-Robots-Tag": "noindex, nofollow",
    "Server": "RVR",
}
"""On every answer (OWASP ASVS 5, 3.4). Geolocation is off everywhere: the desk never asks a phone where it is."""

_CALLS = "camera=(self), microphone=(self), geolocation=(), display-capture=()"
_NO_CALLS = "camera=(), microphone=(), geolocation=(), display-capture=()"
_HSTS = "max-age=63072000; includeSubDomains"


def build(desk: Desk, media: MediaEngine, settings: Settings) -> web.Application:
    """The application; whoever starts it owns the desk and the media engine, and closes them."""
    app = web.Application(middlewares=[errors.refusals, _guard], client_max_size=settings.max_body)
    words = catalogue()
    app[DESK], app[MEDIA], app[SETTINGS], app[WORDS] = desk, media, settings, words
    app[TEMPLATES] = rendering.environment(words, settings, asset=asset)
    auth.set_up(app)
    openapi.set_up(app, ROUTES)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _with(route))
    for folder in ("css", "js", "vendor"):
        app.router.add_static(f"/static/{folder}", STATIC / folder)
    app.on_response_prepare.append(_headers)
    app.on_shutdown.append(_end_streams)
    return app


def _with(route: Route) -> Handler:
    """The route's handler behind the check of its roles: deny by default, in one place."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        auth.check_host(request)
        if route.roles:
            await auth.check(request, route.roles)
        request[_route] = route
        return await route.handler(request)

    return guarded


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """After a change of case data has succeeded, says so in the access log before the answer leaves."""
    response = await handler(request)
    route = request.get(_route)
    if route is not None and route.access in ("collection", "alteration") and response.status < 400:
        case_id = request.get(CASE_ID) or request.match_info.get("id")
        await auth.note(request, route.access, request.match_info.get("move", "open_case"), case_id=case_id)
    return response


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers[name] = value
    may_call = request.path == "/j" or request.path.startswith("/cases/")
    response.headers["Permissions-Policy"] = _CALLS if may_call else _NO_CALLS
    if request.path.startswith("/static/"):
        hashed = "v" in request.query
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
    else:
        response.headers["Cache-Control"] = "no-store"
    if request.app[SETTINGS].secure:
        response.headers["Strict-Transport-Security"] = _HSTS


async def _end_streams(app: web.Application) -> None:
    """Open feeds would hold a shutdown up for a minute."""
    app[DESK].hub.close()


@cache
def asset(path: str) -> str:
    """The address of a file under static/, with its content in the query so that it can be cached for ever."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()
    return f"/static/{path}?v={digest[:12]}"
