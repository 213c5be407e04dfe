"""Recordings and stills on the web: looking at what is kept, giving a copy away.

Nobody sees or hears any of it before saying why, and that is in the access log before the first byte leaves. A look
lasts as long as any other: then it is asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web
from sqlmodel import col

from rvr import exhibits
from rvr.core.commands import DeriveRecording
from rvr.core.errors import BadInput, Forbidden, NotFound, Reason
from rvr.core.exhibits import Kept, Taped
from rvr.core.moment import iso
from rvr.store.access import AGAIN_AFTER
from rvr.store.tables import AccessRow, every
from rvr.web import api, auth, case_parts, rendering, views
from rvr.web.around import gather
from rvr.web.case_parts import Around
from rvr.web.context import DESK, SETTINGS, SIGNED_IN

REASONS: Final = ("investigation", "charging", "unused_material", "complaint", "quality")
"""Codes of why somebody looks: the catalogue's [look_reason]."""

MATROSKA: Final = "video/x-matroska"
WEBM: Final = "video/webm"
RECIPIENT_MAX: Final = 200

log = structlog.get_logger()


# --- Looking -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A recording or a still that this person may see."""

    around: Around
    of: Taped | Kept
    key: bytes | None

    @property
    def what(self) -> str:
        """As the access log calls it."""
        kind = "recording" if isinstance(self.of, Taped) else "still.intimate" if self.of.intimate else "still"
        return f"{kind}:{self.of.id}"


async def _exhibit(request: web.Request) -> Exhibit:
    """Raises NotFound for what there is not, Forbidden for whom it does not concern."""
    desk = request.app[DESK]
    around = await gather(desk, request.match_info["id"], request[SIGNED_IN].actor)
    if not views.may_watch(around.case, request[SIGNED_IN].actor):
        raise Forbidden(Reason("not-allowed-here"))
    name, kept = request.match_info["exhibit"], around.case.exhibits
    found = kept.tapes.get(name) or kept.stills.get(name)
    if found is None:
        raise NotFound(Reason("no-such-page"))
    return Exhibit(around, found, await exhibits.key_of(desk.store, around.case.id, name))


async def _asked(request: web.Request) -> Mapping[str, Any]:
    return await api.body_of(request) if request.content_type == "application/json" else await auth.form_of(request)


def _reason(asked: Mapping[str, Any]) -> str:
    reason = asked.get("reason")
    if reason not in REASONS:
        raise BadInput(Reason("recording-no-reason", {}, "reason"))
    return str(reason)


async def look(request: web.Request) -> web.StreamResponse:
    """Says why somebody looks at a recording or a still; from then on it can be fetched for a quarter of an hour."""
    exhibit = await _exhibit(request)
    case_id, reason = exhibit.around.case.id, _reason(await _asked(request))
    await auth.note(request, "consultation", exhibit.what, case_id=case_id, why=reason)
    if request.path.startswith("/api/"):
        return api.answer({"exhibit": exhibit.of.id, "files": _addresses(exhibit)}, 201)
    return web.Response(status=303, headers={"Location": f"/cases/{case_id}/exhibits/{exhibit.of.id}"})


def _addresses(exhibit: Exhibit) -> dict[str, str]:
    """What can be fetched -> where: the sides of a recording, or the still."""
    base = f"/api/v1/cases/{exhibit.around.case.id}/exhibits/{exhibit.of.id}"
    return {side: f"{base}/{side}" for side in (exhibit.of.seats if isinstance(exhibit.of, Taped) else ("still",))}


async def page(request: web.Request) -> web.StreamResponse:
    """A recording or a still to look at, once it was said why."""
    exhibit = await _exhibit(request)
    await _looked(request, exhibit)
    reel = await exhibits.reel_of(request.app[DESK].store, exhibit.of.id)
    html = rendering.render(
        request.app,
        "exhibit.html",
        request[SIGNED_IN],
        case_id=exhibit.around.case.id,
        reference=exhibit.around.case.reference,
        exhibit=case_parts.exhibit(exhibit.around, exhibit.of),
        files=_addresses(exhibit),
        heads={side: [(file.part, file.sha256, file.closed) for file in reel.of(side)] for side, _ in reel.files},
        derived=[(one.side, one.sha256) for one in reel.derived],
        look_reasons=REASONS,
    )
    return web.Response(text=html, content_type="text/html")


async def _looked(request: web.Request, exhibit: Exhibit) -> None:
    """Raises Forbidden unless this sign-in has said why, within the last quarter of an hour."""
    since = iso(request.app[DESK].observe().at - AGAIN_AFTER)
    found = await request.app[DESK].store.read(
        lambda session: every(
            session,
            AccessRow,
            col(AccessRow.signin) == request[SIGNED_IN].signin.id,
            col(AccessRow.case_id) == exhibit.around.case.id,
            col(AccessRow.what) == exhibit.what,
            col(AccessRow.at) > since,
        )
    )
    if not any(row.category == "consultation" for row in found):
        raise Forbidden(Reason("look-first"))


async def fetch(request: web.Request) -> web.StreamResponse:
    """One side of a recording to play, or a still; made of what is sealed while it is sent, and kept nowhere."""
    exhibit = await _exhibit(request)
    await _looked(request, exhibit)
    return await _sent(request, exhibit, request.match_info["side"], {})


async def give(request: web.Request) -> web.StreamResponse:
    """A copy for somebody outside: a disclosure, with its recipient. That a playable file was made of a recording, and
    its hash beside that of the original, is in the log before it leaves.
    """
    exhibit = await _exhibit(request)
    asked, case = await _asked(request), exhibit.around.case
    reason, side = _reason(asked), str(asked.get("side", ""))
    recipient = str(asked.get("recipient", "")).strip()
    if not 0 < len(recipient) <= RECIPIENT_MAX:
        raise BadInput(Reason("recording-no-recipient", {}, "recipient"))
    digest = await _digest(request, exhibit, side)
    await auth.note(request, "disclosure", exhibit.what, case_id=case.id, to=recipient, why=reason)
    if isinstance(exhibit.of, Taped):
        reel = await exhibits.reel_of(request.app[DESK].store, exhibit.of.id)
        original = tuple(file.sha256 for file in reel.of(side))
        id_ = request.app[DESK].new_id()
        command = DeriveRecording(id_, exhibit.of.id, case.id, side, original, digest, reason)
        await request.app[DESK].handle(command, request[SIGNED_IN].actor)
    name = f"{case.reference}-{side or 'still'}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Repr-Digest": f"sha-256=:{b64encode(bytes.fromhex(digest)).decode()}:",  # RFC 9530
    }
    return await _sent(request, exhibit, side or "still", headers)


async def _digest(request: web.Request, exhibit: Exhibit, side: str) -> str:
    if isinstance(exhibit.of, Kept):
        return exhibit.of.sha256
    files, key, zero = await _files(request, exhibit, side)
    try:
        return await exhibits.hash_of(files, key, zero)
    except exhibits.NotPlayable:
        raise NotFound(Reason("recording-not-there")) from None


async def _files(request: web.Request, exhibit: Exhibit, side: str) -> tuple[list[Path], bytes, int | None]:
    assert isinstance(exhibit.of, Taped)  # noqa: S101 - the callers have looked
    folder, tape = request.app[SETTINGS].recordings_path, exhibit.of
    files = await asyncio.to_thread(exhibits.files_of, folder, tape, side)
    if not files or exhibit.key is None:
        raise NotFound(Reason("recording-not-there"))
    return files, exhibit.key, await asyncio.to_thread(exhibits.zero_of, folder, tape)


async def _sent(request: web.Request, exhibit: Exhibit, side: str, headers: Mapping[str, str]) -> web.StreamResponse:
    if isinstance(exhibit.of, Kept):
        return await _still(request, exhibit, exhibit.of, headers)
    files, key, zero = await _files(request, exhibit, side)
    pieces = exhibits.playable(files, key, zero)
    try:
        first = await anext(pieces, b"")
        if not first:
            raise NotFound(Reason("recording-not-there"))
        kind = WEBM if b"webm" in first[:64] else MATROSKA
        response = web.StreamResponse(headers=_named(headers, kind))
        with contextlib.suppress(ConnectionError):  # whoever goes away has seen enough
            await response.prepare(request)
            await response.write(first)
            async for piece in pieces:
                await response.write(piece)
            await response.write_eof()
    except exhibits.NotPlayable:
        raise NotFound(Reason("recording-not-there")) from None
    finally:
        await pieces.aclose()
    return response


async def _still(request: web.Request, exhibit: Exhibit, still: Kept, headers: Mapping[str, str]) -> web.StreamResponse:
    path = exhibits.still_file(request.app[SETTINGS].recordings_path, exhibit.around.case.id, still.id)
    if exhibit.key is None:
        raise NotFound(Reason("recording-not-there"))
    try:
        jpeg = await asyncio.to_thread(exhibits.open_still, path, exhibit.key, still.sha256)
    except (OSError, ValueError) as fault:
        log.warning("still_not_shown", error=type(fault).__name__)
        raise NotFound(Reason("recording-not-there")) from None
    return web.Response(body=jpeg, headers=_named(headers, "image/jpeg"))


_ENDINGS: Final = {WEBM: ".webm", MATROSKA: ".mkv", "image/jpeg": ".jpg"}


def _named(headers: Mapping[str, str], kind: str) -> dict[str, str]:
    """The headers with the kind of file, which the name of a copy ends in."""
    told = {**headers, "Content-Type": kind}
    if "Content-Disposition" in told:
        told["Content-Disposition"] = told["Content-Disposition"].removesuffix('"') + f'{_ENDINGS[kind]}"'
    return told
