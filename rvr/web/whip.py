"""Signalling after WHIP (RFC 9725): an SDP offer by POST, the answer in the 201, DELETE to leave.

A seat belongs to one person: the officer who is assigned, or the browser that opened the link.
"""

from __future__ import annotations

import contextlib
import hmac

from aiohttp import web
from sqlalchemy import or_
from sqlmodel import col

from rvr.core.errors import BadInput, Forbidden, NotFound, NotSignedIn, Reason, RvrError, TooMany, Unavailable
from rvr.media import MediaRefused, MediaUnavailable
from rvr.store.tables import CaseRow, every
from rvr.web import api, auth
from rvr.web.context import DESK, MEDIA, SIGNED_IN


async def offer(request: web.Request) -> web.StreamResponse:
    """Takes an offer for a seat and answers it; again to rejoin."""
    seat = request.match_info["seat"]
    row = await _case_of(request, seat)
    if request.content_type != "application/sdp":
        raise BadInput(Reason("media-refused", {"detail": "application/sdp"}))
    try:
        sdp = await request.app[MEDIA].join(row.session, seat, await request.text())
    except MediaRefused as refused:
        raise _as_error(refused) from None
    except MediaUnavailable:
        raise Unavailable(Reason("media-unavailable")) from None
    if seat == row.officer_seat:  # nothing is seen or heard before the answer is there
        await auth.looked(request, {row.id: ["call"]})
    location = f"/api/v1/media/{seat}"
    return web.Response(text=sdp, status=201, content_type="application/sdp", headers={"Location": location})


async def leave(request: web.Request) -> web.StreamResponse:
    """Ends the seat's connection; the link stays good. A seat that is gone already is left, too."""
    seat = request.match_info["seat"]
    with contextlib.suppress(NotFound):
        await request.app[MEDIA].leave((await _case_of(request, seat)).session, seat)
    return web.Response(status=204)


async def _case_of(request: web.Request, seat: str) -> CaseRow:
    """The case in whose open session this seat is, if that is this person's.

    Raises NotFound for a seat that is not open, or not theirs."""
    rows = await request.app[DESK].store.read(
        lambda session: every(
            session,
            CaseRow,
            or_(col(CaseRow.victim_seat) == seat, col(CaseRow.officer_seat) == seat),
            col(CaseRow.session_open).is_(True),
        )
    )
    row = rows[0] if seat and rows else None
    if row is not None and row.victim_seat == seat and await _victim(request, seat):
        return row
    if row is not None and row.officer_seat == seat and await _officer(request, row.officer):
        return row
    raise NotFound(Reason("no-such-page"))


async def _victim(request: web.Request, seat: str) -> bool:
    try:
        link = await api.joined(request)
    except NotSignedIn:
        return False
    return hmac.compare_digest(link.seat, seat)


async def _officer(request: web.Request, officer: str) -> bool:
    signed = await auth.who(request)
    if signed is None:
        raise NotSignedIn(Reason("sign-in-first"))
    await auth.check_csrf(request, signed.csrf)
    if signed.actor.id != officer:
        raise Forbidden(Reason("not-allowed-here"))
    request[SIGNED_IN] = signed
    return True


def _as_error(refused: MediaRefused) -> RvrError:
    reason = Reason("media-refused", {"detail": refused.code})
    match refused.http_status:
        case 404:
            return NotFound(reason)
        case 429:
            return TooMany(reason, retry_after=refused.retry_after_s or 1)
    return BadInput(reason)
