"""Takes a still of the live picture for the move that keeps it: sealed before the case's log says that it was taken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import structlog
from aiohttp import web

from rvr import exhibits
from rvr.core.case import Case
from rvr.core.commands import MakeMove, Picture
from rvr.core.errors import Reason, Refused, Unavailable
from rvr.media import MediaRefused, MediaUnavailable
from rvr.web.context import DESK, MEDIA, SETTINGS, SIGNED_IN

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def with_picture(request: web.Request, command: MakeMove, case: Case) -> AsyncIterator[MakeMove]:
    """The command on this case with the picture that its move is about: taken and sealed only when the case's rules
    allow it, and dropped again when the move is not made. Any other command is left as it is.

    Raises what the move is refused for, NotFound, Unavailable.
    """
    desk, actor = request.app[DESK], request[SIGNED_IN].actor
    move = (await desk.definition_of(case)).moves.get(command.move)
    if move is None or move.event != "StillTaken":
        yield command
        return
    if not await desk.would_record(replace(command, picture=Picture("", "", 0, 0)), actor):
        yield command  # made before: it is answered again
        return
    path, picture = await _taken(request, case)
    try:
        yield replace(command, picture=picture)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


async def _taken(request: web.Request, case: Case) -> tuple[Path, Picture]:
    desk, still_id, session = request.app[DESK], request.app[DESK].new_id(), case.session
    key = await exhibits.key_of(desk.store, case.id, still_id)
    if session is None or key is None:
        raise Refused(Reason("no-picture"))
    try:
        still = await request.app[MEDIA].still(session.id, session.victim_seat)
    except MediaRefused:
        raise Refused(Reason("no-picture")) from None
    except MediaUnavailable:
        raise Unavailable(Reason("media-unavailable")) from None
    path = exhibits.still_file(request.app[SETTINGS].recordings_path, case.id, still_id)
    try:
        return path, await asyncio.to_thread(exhibits.keep_still, path, still, key)
    except OSError as fault:
        log.warning("still_not_kept", error=type(fault).__name__)
        raise Unavailable(Reason("still-not-kept")) from None
