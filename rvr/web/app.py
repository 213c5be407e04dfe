"""The web application: one flat list of routes, each with who may use it and what the access log calls it.

A route that is not in this list does not exist; a route without roles is open on purpose, and says why; a route without
a category of access says why not.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache

from aiohttp import web

from rvr import sign_on, turn
from rvr.anchoring import Anchoring
from rvr.attendance import LOOK_S, Attendance
from rvr.config import ROOT, Settings
from rvr.core import authority
from rvr.core.errors import RvrError
from rvr.desk import Desk
from rvr.media import MediaEngine
from rvr.messages import catalogue
from rvr.periodic import Periodic
from rvr.web import (
    answering,
    api,
    attention,
    audit,
    auth,
    break_glass,
    case_page,
    crowd,
    deliveries_page,
    door,
    duty_page,
    errors,
    evidence,
    exports,
    feedback,
    figures,
    guest,
    join,
    live,
    openapi,
    operations,
    pages,
    passkey_pages,
    people_page,
    rendering,
    shift_page,
    sign_on_pages,
    views,
    whip,
    workflow_page,
)
from rvr.web.board_rows import BoardRows
from rvr.web.context import (
    ANCHORING,
    ATTENDANCE,
    BOARD_ROWS,
    DESK,
    MEDIA,
    NIGHTS,
    PAGES,
    SETTINGS,
    SIGN_ON,
    TEMPLATES,
    TURN,
    WORDS,
)
from rvr.web.night import Nights

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

GLASS_BREAKERS = frozenset(authority.BREAKS)
CASE_DECLARERS = frozenset(authority.DECLARES)
CASE_LIFTERS = frozenset(authority.LIFTS)
WATCHES = views.WATCHES
EVALUATOR = frozenset({"evaluator"})
ADMINISTRATOR = frozenset({"administrator"})
AUDITOR = frozenset({"auditor"})
DUTY = frozenset({"officer", "sergeant"})


LOOK = ("consultation",)
OPENING = ("collection", "consultation")
MOVE = ("alteration", "combination", "disclosure", "consultation")
"""Which of the first three a move is, `core.processing` says; the answer shows the case."""

EXPORT = ("disclosure",)

APART: Mapping[str, str] = {
    "board": "References, states, clocks and levels, and the names of staff: nothing that names or locates a victim",
    "demo": "Invented cases only: live mode has no such page",
    "no_case_data": "Holds nothing about a case",
    "own_data": "The victim's own page, or a guest's: no look by staff, and what it tells us is in the timing log",
    "sign_in": "Signing in and out is in the operator's log: s.62 names no such processing",
    "staff": "About members of staff as such; in the timing log",
}
"""Why a way in has no category of access."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way in."""

    method: str
    path: str
    handler: Handler
    roles: frozenset[str]
    access: tuple[str, ...]
    """What a request may be in the access log: categories of DPA 2018 s.62(1), or why it is none (`APART`). A row of a
    command is written with its events, a look by the handler, which knows the classes of fields that it shows."""
    fresh: bool = False
    """Whether the person must have proved within the last minutes who it is."""


STATIC_FOLDERS = {"css": "no_case_data", "js": "no_case_data", "vendor": "no_case_data"}
"""Folders under /static/ that are served, each with the reason why it has no category of access."""

ROUTES: tuple[Route, ...] = (
    # Sign-in
    Route("POST", "/api/v1/session", api.sign_in, ANYBODY, ("sign_in",)),
    Route("GET", "/api/v1/session", api.session, EVERY_ROLE, ("sign_in",)),
    Route("DELETE", "/api/v1/session", api.sign_out, EVERY_ROLE, ("sign_in",)),
    Route("POST", "/api/v1/session/passkey/options", passkey_pages.to_sign_in, ANYBODY, ("sign_in",)),
    Route("POST", "/api/v1/session/passkey", passkey_pages.sign_in, ANYBODY, ("sign_in",)),
    Route("POST", "/api/v1/passkeys/options", passkey_pages.to_register, EVERY_ROLE, ("sign_in",), fresh=True),
    Route("POST", "/api/v1/passkeys", passkey_pages.register, EVERY_ROLE, ("sign_in",), fresh=True),
    Route("POST", "/api/v1/session/confirm", api.confirm, EVERY_ROLE, ("sign_in",)),
    # Definitions
    Route("GET", "/api/v1/openapi.json", openapi.document, ANYBODY, ("no_case_data",)),
    Route("GET", "/api/v1/workflows", api.workflows, EVERY_ROLE, ("no_case_data",)),
    Route("GET", "/api/v1/workflows/{id}", api.workflow, EVERY_ROLE, ("no_case_data",)),
    # Cases
    Route("POST", "/api/v1/cases", api.open_case, OPENERS, OPENING),
    Route("GET", "/api/v1/cases/{id}", api.case, CASE_ROLES, LOOK),
    Route("POST", "/api/v1/cases/{id}/moves/{move}", api.make_move, CASE_ROLES, MOVE),
    Route("GET", "/api/v1/cases/{id}/events", api.events, DESK_ROLES, LOOK),
    Route("POST", "/api/v1/cases/{id}/exhibits/{exhibit}/looks", evidence.look, WATCHES, LOOK),
    Route("GET", "/api/v1/cases/{id}/exhibits/{exhibit}/{side}", evidence.fetch, WATCHES, LOOK),
    Route("POST", "/api/v1/cases/{id}/exhibits/{exhibit}/copies", evidence.give, WATCHES, EXPORT, fresh=True),
    Route("POST", "/api/v1/cases/{id}/break-glass", break_glass.open_case, GLASS_BREAKERS, LOOK, fresh=True),
    Route("POST", "/api/v1/cases/{id}/conflict", break_glass.declare_conflict, CASE_DECLARERS, MOVE),
    Route("POST", "/api/v1/cases/{id}/conflict/lift", break_glass.lift_conflict, CASE_LIFTERS, MOVE, fresh=True),
    Route("GET", "/api/v1/board", api.board, STAFF, ("board",)),
    Route("POST", "/api/v1/duty", api.duty, DUTY, ("staff",)),
    Route("GET", "/api/v1/live", live.feed, STAFF, LOOK),
    # The victim's page: a link token or the join cookie decides
    Route("POST", "/api/v1/join", join.enter, ANYBODY, ("own_data",)),
    Route("GET", "/api/v1/join/live", live.victim, ANYBODY, ("own_data",)),
    Route("POST", "/api/v1/join/{action}", join.action, ANYBODY, ("own_data",)),
    # A few questions afterwards: the link's token decides
    Route("POST", "/api/v1/feedback", feedback.answer, ANYBODY, ("own_data",)),
    # A guest's page, likewise
    Route("POST", "/api/v1/guest", guest.enter, ANYBODY, ("own_data",)),
    Route("GET", "/api/v1/guest/live", guest.feed, ANYBODY, ("own_data",)),
    Route("POST", "/api/v1/guest/{action}", guest.action, ANYBODY, ("own_data",)),
    # Signalling: the seat's own person
    Route("GET", "/api/v1/media/{seat}", whip.way, ANYBODY, ("no_case_data",)),
    Route("POST", "/api/v1/media/{seat}", whip.offer, ANYBODY, LOOK),
    Route("POST", "/api/v1/media/{seat}/receive", whip.receive, ANYBODY, LOOK),
    Route("PATCH", "/api/v1/media/{seat}/receive", whip.received, ANYBODY, ("no_case_data",)),
    Route("POST", "/api/v1/media/{seat}/{what}", whip.tell, ANYBODY, ("no_case_data",)),
    Route("DELETE", "/api/v1/media/{seat}", whip.leave, ANYBODY, ("no_case_data",)),
    # Evaluation
    Route("GET", "/api/v1/timings", figures.summed_up, EVALUATOR, LOOK),
    Route("GET", "/api/v1/measures", figures.measured, EVALUATOR, LOOK),
    Route("POST", "/api/v1/exports", exports.make_export, EVALUATOR, EXPORT, fresh=True),
    # The access log
    Route("GET", "/api/v1/access", audit.found, AUDITOR, LOOK),
    # Demo mode only, on this machine only
    Route("GET", "/api/v1/demo/outbox", api.demo_outbox, ANYBODY, ("demo",)),
    # Operations
    Route("GET", "/health/live", api.live, ANYBODY, ("no_case_data",)),
    Route("GET", "/health/ready", api.ready, ANYBODY, ("no_case_data",)),
    Route("GET", "/metrics", operations.scrape, ANYBODY, ("no_case_data",)),
    # Pages
    Route("GET", "/", pages.home, ANYBODY, ("board",)),
    Route("POST", "/sign-in", pages.sign_in, ANYBODY, ("sign_in",)),
    Route("GET", "/sign-in/provider", sign_on_pages.begin, ANYBODY, ("sign_in",)),
    Route("GET", "/sign-in/back", sign_on_pages.back, ANYBODY, ("sign_in",)),
    Route("GET", "/sign-in/finish", sign_on_pages.finish, ANYBODY, ("sign_in",)),
    Route("POST", "/sign-out", pages.sign_out, EVERY_ROLE, ("sign_in",)),
    Route("GET", "/account", passkey_pages.page, EVERY_ROLE, ("sign_in",)),
    Route("POST", "/account/passkeys/remove", passkey_pages.remove, EVERY_ROLE, ("sign_in",), fresh=True),
    Route("GET", "/confirm", pages.confirm_page, EVERY_ROLE, ("sign_in",)),
    Route("POST", "/confirm", pages.confirm, EVERY_ROLE, ("sign_in",)),
    Route("GET", "/cases/new", pages.open_case_form, OPENERS, ("no_case_data",)),
    Route("POST", "/cases", pages.open_case, OPENERS, ("collection",)),
    Route("GET", "/cases/{id}", case_page.show, CASE_ROLES, LOOK),
    Route("POST", "/cases/{id}/moves/{move}", case_page.make_move, CASE_ROLES, MOVE),
    Route("POST", "/cases/{id}/exhibits/{exhibit}", evidence.look, WATCHES, LOOK),
    Route("GET", "/cases/{id}/exhibits/{exhibit}", evidence.page, WATCHES, LOOK),
    Route("POST", "/cases/{id}/exhibits/{exhibit}/copies", evidence.give, WATCHES, EXPORT, fresh=True),
    Route("POST", "/cases/{id}/conflict", break_glass.declare, CASE_DECLARERS, MOVE),
    Route("POST", "/cases/{id}/conflict/lift", break_glass.lift, CASE_LIFTERS, MOVE, fresh=True),
    Route("GET", "/break-glass", break_glass.page, GLASS_BREAKERS, ("no_case_data",), fresh=True),
    Route("POST", "/break-glass", break_glass.open_page, GLASS_BREAKERS, LOOK, fresh=True),
    Route("GET", "/shift", shift_page.page, attention.LEADS, ("board",)),
    Route("POST", "/duty", pages.set_duty, DUTY, ("staff",)),
    Route("GET", "/live", live.fragments, STAFF | {"advocate"}, LOOK),
    Route("GET", "/j", join.page, ANYBODY, ("own_data",)),
    Route("GET", "/g", guest.page, ANYBODY, ("own_data",)),
    Route("GET", "/f", feedback.page, ANYBODY, ("own_data",)),
    Route("GET", "/evaluation", figures.page, EVALUATOR, LOOK),
    Route("POST", "/evaluation/report", figures.download, EVALUATOR, EXPORT, fresh=True),
    Route("POST", "/evaluation/export", exports.make_export, EVALUATOR, EXPORT, fresh=True),
    Route("GET", "/audit", audit.page, AUDITOR, LOOK),
    Route("POST", "/audit/rows.csv", audit.download, AUDITOR, EXPORT, fresh=True),
    Route("GET", "/admin", pages.admin_page, ADMINISTRATOR, ("staff",)),
    Route("GET", "/admin/duty", duty_page.show, ADMINISTRATOR, ("staff",)),
    Route("POST", "/admin/duty", duty_page.give, ADMINISTRATOR, ("staff",)),
    Route("GET", "/admin/deliveries", deliveries_page.show, ADMINISTRATOR, ("no_case_data",)),
    Route("GET", "/admin/people/{person}", people_page.show, ADMINISTRATOR, ("staff",)),
    Route("POST", "/admin/people/{person}/end", people_page.end_sign_ins, ADMINISTRATOR, ("staff",)),
    Route("POST", "/admin/people/{person}/passkeys", people_page.forget_passkeys, ADMINISTRATOR, ("staff",)),
    Route("POST", "/admin/people/{person}/disable", people_page.disable, ADMINISTRATOR, ("staff",)),
    Route("POST", "/admin/people/{person}/enable", people_page.enable, ADMINISTRATOR, ("staff",), fresh=True),
    Route("POST", "/admin/people/{person}/role", people_page.set_role, ADMINISTRATOR, ("staff",), fresh=True),
    Route("GET", "/workflows", workflow_page.every, EVERY_ROLE, ("no_case_data",)),
    Route("GET", "/workflows/{id}", workflow_page.show, EVERY_ROLE, ("no_case_data",)),
    Route("GET", "/demo/outbox", pages.outbox_page, ANYBODY, ("demo",)),
)

_CALLS = "camera=(self), microphone=(self), geolocation=(), display-capture=()"
_NO_CALLS = "camera=(), microphone=(), geolocation=(), display-capture=()"
_HSTS = "max-age=63072000; includeSubDomains"


def build(desk: Desk, media: MediaEngine, settings: Settings, anchoring: Anchoring) -> web.Application:
    """The application; whoever starts it owns the desk and the media engine, and closes them."""
    around = (answering.counted, errors.refusals, door.in_time, crowd.in_turn, _guard)
    app = web.Application(middlewares=around, client_max_size=settings.max_body)
    words = catalogue()
    app[DESK], app[MEDIA], app[SETTINGS], app[WORDS] = desk, media, settings, words
    app[ANCHORING], app[ATTENDANCE], app[TURN] = anchoring, Attendance(desk), turn.of(settings)
    app[SIGN_ON] = sign_on.provider(settings)
    app[TEMPLATES] = rendering.environment(words, settings, asset=asset)
    app[NIGHTS] = Nights(desk)
    app[BOARD_ROWS] = BoardRows(app[TEMPLATES], rendering.force_of(app).hours.zone)
    app[PAGES] = {}
    auth.set_up(app)
    crowd.set_up(app)
    figures.set_up(app)
    openapi.set_up(app, ROUTES)
    operations.set_up(app, settings)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _with(route))
    for folder in STATIC_FOLDERS:
        app.router.add_static(f"/static/{folder}", STATIC / folder)
    if settings.media:  # there the victims' pages are served, too
        app.cleanup_ctx.append(_attending)
    app.on_response_prepare.append(_headers)
    app.on_shutdown.append(_end_streams)
    return app


def _with(route: Route) -> Handler:
    """The route's handler behind the check of its roles: deny by default, in one place."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        auth.check_host(request)
        if route.roles:
            await auth.check(request, route.roles)
        if route.fresh:
            auth.check_fresh(request)
        return await route.handler(request)

    return guarded


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """When somebody is not shown a case, the access log hears of it before the answer leaves."""
    try:
        return await handler(request)
    except RvrError as error:
        if (
            request.match_info.route.resource is not None
            and "/cases/{id}" in request.match_info.route.resource.canonical
        ):
            await auth.refused(request, request.match_info["id"], error)
        raise


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(door.HEADERS)
    response.headers["X-Request-Id"] = request[answering.REQUEST_ID]
    may_call = request.path in ("/j", "/g") or request.path.startswith("/cases/")
    response.headers["Permissions-Policy"] = _CALLS if may_call else _NO_CALLS
    if request.path.startswith("/static/"):
        hashed = "v" in request.query
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
    else:
        response.headers["Cache-Control"] = "no-store"
    if response.content_type.startswith("text/") and response.charset is None:
        response.charset = "utf-8"  # of files; a browser that had to guess could be led to another one
    if request.app[SETTINGS].secure:
        response.headers["Strict-Transport-Security"] = _HSTS


async def _attending(app: web.Application) -> AsyncIterator[None]:
    looks = Periodic(app[ATTENDANCE].look, LOOK_S)
    looks.start()
    yield
    await looks.stop()


async def _end_streams(app: web.Application) -> None:
    """Open feeds would hold a shutdown up for a minute."""
    app[DESK].hub.close()


@cache
def asset(path: str) -> str:
    """The address of a file under static/, with its content in the query so that it can be cached for ever."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()
    return f"/static/{path}?v={digest[:12]}"
