"""What an operator's programs read: the figures of `/metrics`.

They tell how much goes on at a desk, and when. So they are open to this machine alone, or to whoever has the token of
the settings; never under the victims' address, and never through a proxy without the token.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

import rvr
from rvr import metrics
from rvr.config import Settings, read_secret
from rvr.core.errors import NotFound, NotSignedIn, Reason, Unavailable
from rvr.core.moment import Moment, iso, parse_iso
from rvr.core.roster import Capacity
from rvr.desk import Desk
from rvr.store import staff
from rvr.store.engine import Connection
from rvr.web import auth, rendering
from rvr.web.context import ANCHORING, DESK, MEDIA, SETTINGS

KIND = "text/plain; version=0.0.4; charset=utf-8"

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
"""What a proxy adds: a request with one of these was made elsewhere."""

LOOP_LOOK_S = 0.5

_token: web.AppKey[str] = web.AppKey("metrics token", str)

Reading = tuple[str, tuple[str, ...], float]
"""A gauge of `metrics.NOW`, the values of its labels, its value."""


def set_up(app: web.Application, settings: Settings) -> None:
    """Raises SettingFault where the token cannot be read."""
    file = settings.metrics_token_file
    app[_token] = read_secret("metrics_token_file", Path(file)) if file else ""
    app.cleanup_ctx.append(_watching)


async def scrape(request: web.Request) -> web.StreamResponse:
    """Figures for Prometheus, in its text format."""
    _check_reader(request)
    now = CollectorRegistry()
    now.register(_Families(await _readings(request.app)))
    return web.Response(body=generate_latest(metrics.REGISTRY) + generate_latest(now), headers={"Content-Type": KIND})


def _check_reader(request: web.Request) -> None:
    """Raises NotFound under the victims' address or for whoever asks from elsewhere without a token to be had."""
    settings, token = request.app[SETTINGS], request.app[_token]
    staff, victims = (urlsplit(url).netloc for url in (settings.base_url, settings.victim_url))
    if request.host == victims != staff:
        raise NotFound(Reason("no-such-page"))
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise NotSignedIn(Reason("sign-in-first"))
    elif not _from_here(request):
        raise NotFound(Reason("no-such-page"))


def _from_here(request: web.Request) -> bool:
    """Whether a program of this machine asks by itself: what a proxy hands on comes from this machine, too."""
    named = urlsplit(f"//{request.host}").hostname or ""
    return (
        not any(header in request.headers for header in FORWARDED)
        and (named == "localhost" or _loopback(named))
        and _loopback(request.remote or "")
    )


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class _Families:
    """The readings as Prometheus' client takes them."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = tuple(readings)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for name, labels, value in self._readings:
            told, names = metrics.NOW[name]
            families.setdefault(name, GaugeMetricFamily(name, told, labels=names)).add_metric(labels, value)
        return families.values()


# --- What is looked up -------------------------------------------------------------------------------------------


async def _readings(app: web.Application) -> list[Reading]:
    desk = app[DESK]
    now = desk.observe()
    found = [*_of_the_process(app, now)]
    try:
        found += await desk.store.look(
            lambda connection: _of_the_rows(connection, now, auth.idle_since(app, now.at), _open_states(desk))
        )
        found += _of_officers(await desk.capacity())
    except Unavailable:  # what cannot be looked up is left out: an old figure would be taken for a new one
        pass
    return found


def _of_the_process(app: web.Application, now: Moment) -> Iterable[Reading]:
    desk, media, anchoring, settings = app[DESK], app[MEDIA], app[ANCHORING], app[SETTINGS]
    store = desk.store
    yield "rvr_build_info", (rvr.__version__,), 1
    yield "rvr_log_writable", (), not store.fault
    if store.fault:
        yield "rvr_log_fault", (store.fault,), 1
    if store.refusal:
        yield "rvr_log_refused", (store.refusal.code,), 1
    yield "rvr_anchor_troubles", (), len(anchoring.troubles)
    yield "rvr_anchor_alarm", (), bool(anchoring.alarm)
    yield "rvr_writer_waiting", (), store.waits
    yield "rvr_looks_held", (), store.holds
    answer, wanted = media.workers
    yield "rvr_media_workers", (), answer
    yield "rvr_media_workers_wanted", (), wanted
    yield "rvr_streams_open", (), len(desk.hub)
    yield "rvr_wall_clock", (rendering.health_of(app, now),), 1
    if now.error_us is not None:
        yield "rvr_wall_clock_error_seconds", (), now.error_us / 1e6
    disk = shutil.disk_usage(settings.data_path)
    yield "rvr_disk_free_bytes", (), disk.free
    yield "rvr_disk_bytes", (), disk.total


def _open_states(desk: Desk) -> list[str]:
    """Of the definitions in force: an index finds the cases in these, however many are closed."""
    flows = desk.definitions.workflows.values()
    return sorted({state.id for flow in flows for state in flow.states.values() if state.open})


def _of_the_rows(connection: Connection, now: Moment, idle_since: str, states: list[str]) -> list[Reading]:
    at, named = now.at, {f"state{number}": state for number, state in enumerate(states)}

    def rows(query: str, **told: Any) -> list[Any]:
        return connection.execute(query, told).fetchall()

    def age(since: str | None) -> float:
        return max(0.0, (at - parse_iso(since)).total_seconds()) if since else 0.0

    (position,) = rows("SELECT COALESCE(MAX(position), 0) FROM event")[0]
    (signed,) = rows("SELECT COALESCE(MAX(size), 0) FROM checkpoint")[0]
    (unsigned,) = rows("SELECT MIN(recorded_at) FROM event WHERE position > :signed", signed=signed)[0]
    count, oldest = rows("SELECT COUNT(*), MIN(due_at) FROM clock_row WHERE due_at <= :now", now=iso(at))[0]
    waiting = rows("SELECT kind, COUNT(*), MIN(created_at) FROM message WHERE status = 'queued' GROUP BY kind")
    calls = rows("SELECT presence, COUNT(*) FROM case_row WHERE session_open = :open GROUP BY presence", open=True)
    among = ", ".join(f":{name}" for name in named)
    by_state = f"SELECT workflow, state, COUNT(*) FROM case_row WHERE state IN ({among}) GROUP BY workflow, state"  # noqa: S608
    cases = rows(by_state, **named)
    return [
        ("rvr_log_position", (), position),
        ("rvr_log_unsigned_seconds", (), age(unsigned)),
        ("rvr_clocks_overdue", (), count),
        ("rvr_clock_overdue_seconds", (), age(oldest)),
        ("rvr_sign_ins_open", (), staff.live_sign_ins(connection, iso(at), idle_since)),
        ("rvr_outbox_oldest_seconds", (), max((age(since) for _, _, since in waiting), default=0.0)),
        *(("rvr_outbox_waiting", (kind,), number) for kind, number, _ in waiting),
        *(("rvr_calls_open", (presence,), number) for presence, number in calls),
        *(("rvr_cases_open", (flow, state), number) for flow, state, number in cases),
    ]


def _of_officers(capacity: Capacity) -> list[Reading]:
    return [
        ("rvr_officers", ("free",), capacity.free),
        ("rvr_officers", ("busy",), capacity.on_duty - capacity.free),
    ]


async def _watching(app: web.Application) -> AsyncIterator[None]:
    """Asks the event loop to run something, again and again, and notes how late it did."""
    loop = asyncio.get_running_loop()

    async def watch() -> None:
        while True:
            due = loop.time() + LOOP_LOOK_S
            await asyncio.sleep(LOOP_LOOK_S)
            metrics.LOOP_LATE_SECONDS.observe(max(0.0, loop.time() - due))

    watching = asyncio.create_task(watch())
    yield
    watching.cancel()
