"""A served desk, from its store to its socket: the only place that wires the parts together."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web

from rvr import anchoring, calls, exhibits, people
from rvr.carriers.chosen import carrier, lacks
from rvr.clock_watch import ClockWatch
from rvr.config import Settings
from rvr.core import events as e
from rvr.core.errors import Unavailable
from rvr.desk import Desk
from rvr.loop import settle
from rvr.media import MediaEngine, Observation
from rvr.media.elsewhere import Elsewhere
from rvr.media.janus.listed import BadList, listed
from rvr.media.rooms import OnJanus, Rooms
from rvr.observing import Observing
from rvr.opening import Fault, open_desk
from rvr.outbox import Outbox
from rvr.periodic import Periodic, Shared
from rvr.recordings import LISTEN_S
from rvr.store.checkpoints import RefusesToSign
from rvr.store.store import Store
from rvr.ticker import Ticker
from rvr.writing import Writing

log = structlog.get_logger()

SHUTDOWN_S = 3.0

LOOK_S = 0.5
"""How often due clocks and the outbox are looked at: one indexed query each, about 0.1 ms."""

FEED_S = 1.0
"""How often the log is read for what another process wrote. PostgreSQL says so itself; a file does not."""

CHECKPOINT_S = 1.0
"""How often the head of the log is signed when something changed: what a later intruder could still change unseen."""

CLOCK_S = 1.0
"""How often the wall clock is looked at: a few microseconds, and so finely is it told when somebody set it."""

RECONCILE_S = 5.0
"""How often the media plane is told the whole of what is wanted, whatever was missed."""

ROOMS_CHANGE = (
    *(e.SessionPrepared, e.SessionEnded, e.VictimExited, e.RecordingStarted, e.RecordingStopped),
    *(e.GuestInvited, e.GuestArrived, e.GuestAdmitted, e.GuestRefused, e.GuestHeld, e.GuestLetBack, e.GuestRemoved),
)


async def serve(settings: Settings) -> None:
    """Runs the desk until it is told to stop."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C then ends the loop itself
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with open_desk(settings) as desk:
        password = await _accounts(desk, settings)
        opened = anchoring.opened(desk.store, settings, desk.observe)
        async with open_media(desk, settings) as media, opened as anchors, carrier(settings) as carries:
            feed, outbox = Periodic(desk.catch_up, FEED_S), Outbox(desk, carries)
            looks = (
                feed,
                Periodic(Ticker(desk).tick, LOOK_S),
                Periodic(outbox.deliver, LOOK_S),
                Periodic(Writing(desk).look, LOOK_S),
                Periodic(ClockWatch(desk, settings.clock_error_limit_ms).look, CLOCK_S),
                Periodic(partial(_sign, desk.store), CHECKPOINT_S),
                Periodic(anchors.look, anchoring.LOOK_S),
            )
            runner = await _listen(desk, media, settings, anchors)
            for look in looks:
                look.start()
            if desk.store.bell is not None:
                desk.store.bell.start(feed.soon)
            settle()
            _announce(settings, password)
            try:
                await stop.wait()
            finally:
                await runner.cleanup()
                for look in looks:
                    await look.stop()
                await outbox.close()
                with contextlib.suppress(Unavailable):  # the next start signs it
                    await _sign(desk.store)
                await anchors.last_look()


async def _sign(store: Store) -> None:
    """Signs the head of the log. A refusal is no fault of the look: the store told it, and /health/ready tells it."""
    with contextlib.suppress(RefusesToSign):
        await store.checkpoint()


async def _accounts(desk: Desk, settings: Settings) -> str:
    if not settings.demo:
        found = await people.forbid_demo(desk)
        if found:
            raise Fault(f"These demo accounts must be disabled before live use: {', '.join(found)}")
        wanted = list(lacks(settings, desk.definitions.contacts.channels))
        if not settings.turn_urls:
            wanted.append("a TURN server (turn_urls; see: python3 run.py turn --help)")
        if wanted:
            raise Fault(f"Live mode needs {', and '.join(wanted)}. Or use --demo.")
        return ""
    password = settings.demo_password or secrets.token_urlsafe(9)
    await people.seed_demo(desk, password)
    return password


async def _listen(desk: Desk, media: MediaEngine, settings: Settings, anchors: anchoring.Anchoring) -> web.AppRunner:
    from rvr.web import door
    from rvr.web.app import build

    runner = door.Runner(
        build(desk, media, settings, anchors),
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=door.KEPT_S,
        lingering_time=door.LINGERS_S,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, door.listening_socket(settings.host, settings.port), backlog=512).start()
    except OSError as error:
        await runner.cleanup()
        if error.errno == errno.EADDRINUSE:
            raise Fault(
                f"Port {settings.port} is in use by another program. Choose another: python3 run.py serve --port "
                f"{settings.port + 1}"
            ) from None
        raise Fault(f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None
    return runner


def _announce(settings: Settings, password: str) -> None:
    lines = [f"RVR is ready: {settings.base_url}", ""]
    if settings.demo:
        lines += [f"Demo accounts (password {password}):"]
        lines += [f"  {username:<12} {name}, {role.replace('_', ' ')}" for username, name, role in people.DEMO]
        lines += ["", f"Text messages appear at {settings.base_url}/demo/outbox"]
    sys.stdout.write("\n".join([*lines, "Stop with Ctrl-C; nothing is lost.", ""]))
    sys.stdout.flush()


# --- The media plane ---------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def open_media(desk: Desk, settings: Settings) -> AsyncIterator[MediaEngine]:
    """The media plane: its observations go to the desk, the desk's wanted rooms to it."""
    if not settings.media:
        yield Elsewhere()
        return
    first, _, last = settings.media_ports.partition("-")
    observing = Observing(desk)

    async def observed(seen: Observation) -> None:
        await observing.observed(seen)
        await rooms.acknowledge(seen.worker, seen.number)

    on_janus = _on_janus(settings)
    rooms = Rooms(
        observed,
        workers=settings.media_workers or (1 if on_janus else os.cpu_count() or 1),
        video_codec=settings.media_codec,
        media_bind=settings.media_bind,
        media_public_address=settings.media_public_address or None,
        media_ports=(int(first), int(last or first)) if int(first) else None,
        recordings=settings.recordings_path,
        janus=on_janus,
    )

    async def want() -> None:
        if on_janus:
            await _list_servers(rooms, Path(settings.janus_file))
        await rooms.want(await observing.recordings.onto(await calls.wanted_rooms(desk.store)))

    reconcile = Shared(want)  # one at a time, or an older reading could be wanted after a newer one

    async def recorded(events: Sequence[e.Recorded]) -> None:
        for one in events:
            if isinstance(one.event.fact, e.CaseErased):
                await exhibits.forget(settings.recordings_path, await desk.case(one.stream.removeprefix("case/")))
        await calls.give_up_seats(desk.store, rooms.leave, people.left_with(events))
        if any(isinstance(one.event.fact, ROOMS_CHANGE) for one in events):
            await reconcile()

    await calls.note_restart(desk)
    await exhibits.forget_erased(desk.store, settings.recordings_path)
    await rooms.start()
    await reconcile()
    desk.on_recorded = recorded
    again, listening = Periodic(reconcile, RECONCILE_S), Periodic(observing.recordings.look, LISTEN_S)
    again.start()
    listening.start()
    try:
        yield rooms
    finally:
        await again.stop()
        await listening.stop()
        desk.on_recorded = None
        await rooms.close()


def _on_janus(settings: Settings) -> OnJanus | None:
    if settings.media_engine != "janus":
        return None
    try:
        return OnJanus(listed(Path(settings.janus_file)), settings.janus_tap)
    except BadList as bad:
        raise Fault(str(bad)) from None


async def _list_servers(rooms: Rooms, file: Path) -> None:
    """What the operator has written there since. A list that cannot be used changes nothing, and is told."""
    try:
        rooms.use_servers(await asyncio.to_thread(listed, file))
    except BadList as bad:
        log.warning("janus_list_unusable", error=str(bad))
