"""Signalling after WHIP (RFC 9725): an SDP offer by POST, the answer in the 201, DELETE to leave.

Where the media engine offers what a seat receives, the answer has `Link: <...>; rel="receive"`: POST there gives the
offer, PATCH takes the answer.

A seat belongs to one person: the officer who is assigned, the member of staff who took it, or the browser that opened
the link. A guest whom the victim has not let in may connect, and is held.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from sqlmodel import col

from rvr import calls
from rvr.calls import Held
from rvr.core.commands import THE_MEDIA, MakeMove
from rvr.core.errors import (
    BadInput,
    Forbidden,
    NotFound,
    NotSignedIn,
    Reason,
    RvrError,
    TakenOver,
    TooMany,
    Unavailable,
)
from rvr.media import MediaRefused, MediaUnavailable
from rvr.store.tables import CaseRow, every
from rvr.web import api, auth, by_link, ice
from rvr.web.context import DESK, MEDIA, PAGES, SIGNED_IN

AGAIN: Final = "X-RVR-Again"


@dataclass(frozen=True, slots=True)
class Told:
    """A fact that a browser tells: the move, and which of the body's members fills which field of its form."""

    move: str
    fields: Mapping[str, str]


TOLD: Final[Mapping[str, Told]] = {
    "quality": Told("step_quality", {"after": "step", "reason": "step_reason"}),
    "microphone": Told("tell_microphone", {"cause": "microphone_cause"}),
}


async def way(request: web.Request) -> web.StreamResponse:
    """The servers through which this seat's browser reaches the media plane, with a credential of its own."""
    await _case_of(request, request.match_info["seat"])
    return api.answer(ice.told(request, victim=SIGNED_IN not in request))


async def offer(request: web.Request) -> web.StreamResponse:
    """Takes an offer for a seat and answers it; again to rejoin.

    A page that comes back by itself (`X-RVR-Again`) does not take the seat from one that a person opened since: two
    tabs would otherwise throw each other out for ever.
    """
    seat = request.match_info["seat"]
    row = await _case_of(request, seat)
    sdp = await _sdp(request)
    page, pages = _page(request), request.app[PAGES]
    if AGAIN in request.headers and pages.get(seat, page) != page:
        raise TakenOver(Reason("taken-over"))
    media = request.app[MEDIA]
    with _refusals():
        answer = await _joined(request, row, seat, sdp)
    pages[seat] = page
    if SIGNED_IN in request:  # nothing is seen or heard before the answer is there
        await auth.looked(request, {row.id: ["call"]})
    headers = {"Location": f"/api/v1/media/{seat}"}
    if media.receives_apart:
        headers["Link"] = f'</api/v1/media/{seat}/receive>; rel="receive"'
    return web.Response(text=answer, status=201, content_type="application/sdp", headers=headers)


async def _joined(request: web.Request, row: CaseRow, seat: str, sdp: str) -> str:
    """The media plane's answer. A seat that another desk on the database opened this moment is not known to it yet: a
    404 would be the last word for a browser. Raises MediaRefused or MediaUnavailable."""
    media = request.app[MEDIA]
    for reads_on in (True, False):
        try:
            return await media.join(row.session, seat, sdp)
        except MediaRefused as refused:
            if refused.http_status != 404:
                raise
        if reads_on:
            await request.app[DESK].catch_up()
    raise MediaUnavailable("the seat is not open here yet")


async def receive(request: web.Request) -> web.StreamResponse:
    """Offers what a joined seat receives, where that is a connection of its own: the answer to the join says so."""
    seat = request.match_info["seat"]
    row = await _case_of(request, seat)
    media = request.app[MEDIA]
    if not media.receives_apart:
        raise NotFound(Reason("no-such-page"))
    with _refusals():
        sdp = await media.receive(row.session, seat)
    if SIGNED_IN in request:  # the row of the join may have failed, and nothing would have been shown yet
        await auth.looked(request, {row.id: ["call"]})
    return web.Response(text=sdp, status=201, content_type="application/sdp")


async def received(request: web.Request) -> web.StreamResponse:
    """Takes the answer to that offer."""
    seat = request.match_info["seat"]
    row = await _case_of(request, seat)
    sdp = await _sdp(request)
    media = request.app[MEDIA]
    if not media.receives_apart:
        raise NotFound(Reason("no-such-page"))
    with _refusals():
        await media.received(row.session, seat, sdp)
    return web.Response(status=204)


async def tell(request: web.Request) -> web.StreamResponse:
    """What only this seat's browser can see: how much it sends (`quality`), whether its microphone brings sound."""
    seat, what = request.match_info["seat"], request.match_info["what"]
    if what not in TOLD:
        raise NotFound(Reason("no-such-page"))
    row = await _case_of(request, seat)
    if seat not in (row.victim_seat, row.officer_seat):  # a guest's own line is for the guest's page alone
        return web.Response(status=204)
    body = await api.body_of(request)
    form = {field: api.member(body, name, str) for name, field in TOLD[what].fields.items()}
    form["side"] = "victim" if seat == row.victim_seat else "officer"
    press = f"{what}:{hashlib.sha256(f'{seat}:{api.command_id(body)}'.encode()).hexdigest()[:32]}"
    await request.app[DESK].handle(MakeMove(press, row.id, TOLD[what].move, form), THE_MEDIA)
    return web.Response(status=204)


async def leave(request: web.Request) -> web.StreamResponse:
    """Ends the seat's connection; the link stays good. A seat that is gone already is left, too; one that another page
    of the same person has taken stays with that."""
    seat, pages = request.match_info["seat"], request.app[PAGES]
    with contextlib.suppress(NotFound):
        row = await _case_of(request, seat)
        if pages.get(seat, _page(request)) == _page(request):
            pages.pop(seat, None)
            await request.app[MEDIA].leave(row.session, seat)
    return web.Response(status=204)


def _page(request: web.Request) -> str:
    return request.headers.get("X-RVR-Page", "")[:64]


async def _sdp(request: web.Request) -> str:
    if request.content_type != "application/sdp":
        raise BadInput(Reason("media-refused", {"detail": "application/sdp"}))
    return await request.text()


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What the media plane refuses, in the desk's words."""
    try:
        yield
    except MediaRefused as refused:
        raise _as_error(refused) from None
    except MediaUnavailable:
        raise Unavailable(Reason("media-unavailable")) from None


async def _case_of(request: web.Request, seat: str) -> CaseRow:
    """The case in whose open session this seat is, if that is this person's.

    Raises NotFound for a seat that is not open, or not theirs."""
    rows = await request.app[DESK].store.read(
        lambda session: every(session, CaseRow, col(CaseRow.session_open).is_(True))
    )
    row = next((row for row in rows if any(seat == taken for taken, _ in row.seats)), None)
    if row is not None and await _is_theirs(request, row, seat):
        return row
    raise NotFound(Reason("no-such-page"))


async def _is_theirs(request: web.Request, row: CaseRow, seat: str) -> bool:
    held = next((one for one in calls.held(row) if one.seat == seat), None)
    if held is not None:
        return await _staff(request, held)
    return await _by_link(request, seat, guest=any(one["seat"] == seat for one in row.guests))


async def _by_link(request: web.Request, seat: str, *, guest: bool) -> bool:
    try:
        link = await by_link.joined(request, guest=guest)
    except NotSignedIn:
        return False
    return hmac.compare_digest(link.seat, seat)


async def _staff(request: web.Request, held: Held) -> bool:
    """Raises NotSignedIn, and Forbidden for somebody else or without the role that the seat takes by now."""
    signed = await auth.who(request)
    if signed is None:
        raise NotSignedIn(Reason("sign-in-first"))
    await auth.check_csrf(request, signed.csrf)
    if not held.suits(signed.actor):
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
