"""The victim's way in, and a guest's: a tap on the link binds it to that browser, and lets the same browser in again.

A link of the one is none for the other. A GET never comes here. Another browser is refused and written into the case's
log; closing a page revokes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from rvr import links
from rvr.core import guests
from rvr.core.commands import UNKNOWN_BROWSER, VICTIM, Actor, MakeMove
from rvr.core.errors import NotFound, Reason, Refused, RvrError, Stale
from rvr.core.moment import iso
from rvr.desk import TRIES, Desk
from rvr.store import LinkRow, Store
from rvr.store.tables import every


async def redeem(
    desk: Desk, token: str, browser: str, *, guest: bool = False, form: Mapping[str, Any] | None = None
) -> LinkRow:
    """A tap on Join: the link, which is this browser's from now on.

    `browser`: the value of the join cookie that it has, or is about to be given.

    `form`: what a guest says of oneself.

    Raises NotFound for a token that nobody was given, or that is the other kind's; Refused when it expired, was
    replaced, or belongs to another browser, and with each fault of the form.
    """
    hashed, browser_hash = links.hash_of(token), links.hash_of(browser)
    for _ in range(TRIES):
        found = await desk.store.read(lambda session: every(session, LinkRow, LinkRow.token_hash == hashed))
        if not found or bool(found[0].guest) != guest or found[0].purpose:
            raise NotFound(Reason("link-unknown"))
        link = found[0]
        verdict = links.redeem(link, browser_hash, desk.observe().at).result
        if verdict == "bound" and not await _bind(desk, link, browser_hash, form or {}):
            continue
        if verdict in ("bound", "again"):
            return link
        await _note_refused(desk, link, verdict)
        raise Refused(Reason(f"link-{verdict.replace('_', '-')}"))
    raise Stale(Reason("busy"))


async def answer(desk: Desk, token: str, press: str, form: Mapping[str, Any]) -> None:
    """Answers the questions that a link leads to, once.

    Raises NotFound for a token that leads to none; Refused when it expired or was answered, and with each fault of the
    form.
    """
    hashed = links.hash_of(token)
    found = await desk.store.read(
        lambda session: every(session, LinkRow, LinkRow.token_hash == hashed, LinkRow.purpose == links.FEEDBACK)
    )
    if not found:
        raise NotFound(Reason("link-unknown"))
    (link,) = found
    command = MakeMove(f"feedback:{link.id}:{press}", link.case_id, "give_feedback", form)
    repeated = await desk.store.command(the_victim(link.case_id).id, command.command_id)
    verdict = links.redeem(link, "", desk.observe().at).result
    if verdict != "bound" and not repeated:
        raise Refused(Reason("link-expired") if verdict == "expired" else Reason("link-used"))
    try:
        await desk.handle(command, the_victim(link.case_id))
    except Refused as refused:
        about_the_form = [reason for reason in refused.reasons if reason.field in form or reason.code == EMPTY]
        raise Refused(*(about_the_form or [Reason("link-used")])) from None


EMPTY = "feedback-empty"


def the_victim(case_id: str) -> Actor:
    """The victim of a case, as the log knows whoever holds the link."""
    return Actor(f"victim:{case_id}", frozenset({VICTIM}))


def holder_of(link: LinkRow) -> Actor:
    """Whoever holds this link."""
    return guests.actor_of(link.guest) if link.guest else the_victim(link.case_id)


async def _bind(desk: Desk, link: LinkRow, browser_hash: str, form: Mapping[str, Any]) -> bool:
    """Binds the link in the transaction that records its opening: of a thousand taps at once, one binds it.

    False when another tap was first: what stands then decides.
    """
    at = desk.observe()
    bound = LinkRow(**{**link.model_dump(), "browser_hash": browser_hash, "bound_at": iso(at.at)})
    move, told = ("guest_arrive", form) if link.guest else ("open_link", {"link": link.id})
    press = f"open:{link.id}:{browser_hash[:16]}" if link.guest else f"open:{link.id}"
    command = MakeMove(press, link.case_id, move, told, at=at)
    try:
        return not (await desk.handle(command, holder_of(link), links=(bound,))).repeated
    except Refused as refused:
        about_the_form = [reason for reason in refused.reasons if reason.field in form]
        if about_the_form:
            raise Refused(*about_the_form) from None
        # why the case takes it no more is not for whoever holds the link to read
        raise Refused(Reason("link-revoked")) from None


async def _note_refused(desk: Desk, link: LinkRow, verdict: str) -> None:
    """Once for each link and reason: who holds a dead link may tap it a thousand times, and the log says so once."""
    somebody = Actor(UNKNOWN_BROWSER, frozenset({UNKNOWN_BROWSER}))
    form = {"link": link.id, "link_reason": verdict}
    with contextlib.suppress(RvrError):  # after the session it is no fact of the case any more
        await desk.handle(MakeMove(f"refused:{link.id}:{verdict}", link.case_id, "refuse_link", form), somebody)


async def seat_of(store: Store, browser: str, *, guest: bool = False) -> LinkRow | None:
    """The link of this kind that this browser's join cookie is bound to, while it lives."""
    hashed = links.hash_of(browser)
    rows = await store.read(
        lambda session: every(session, LinkRow, LinkRow.browser_hash == hashed, LinkRow.revoked_at == "")
    )
    return next((row for row in reversed(rows) if bool(row.guest) == guest), None)
