"""The victim's way in: a tap on the link binds it to that browser, and lets the same browser in again.

A GET never comes here. Another browser is refused and written into the case's log; closing a page revokes nothing.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from rvr import links
from rvr.core.commands import UNKNOWN_BROWSER, VICTIM, Actor, MakeMove
from rvr.core.errors import NotFound, Reason, Refused, RvrError, Stale
from rvr.core.moment import iso
from rvr.desk import TRIES, Desk
from rvr.store import LinkRow, Store
from rvr.store.tables import every


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A link that was opened: the seat, and the case that it belongs to."""

    case: str
    seat: str
    link: str
    again: bool
    """The same browser came back."""


async def redeem(desk: Desk, token: str, browser: str) -> Redeemed:
    """A tap on Join. `browser` is the value of the join cookie that the browser has, or is about to be given.

    Raises NotFound for a token that nobody was given, Refused when it expired, was replaced, or belongs to another
    browser.
    """
    hashed, browser_hash = links.hash_of(token), links.hash_of(browser)
    for _ in range(TRIES):
        found = await desk.store.read(lambda session: every(session, LinkRow, LinkRow.token_hash == hashed))
        if not found:
            raise NotFound(Reason("link-unknown"))
        link, victim = found[0], the_victim(found[0].case_id)
        verdict = links.redeem(link, browser_hash, desk.observe().at).result
        if verdict == "bound" and not await _bind(desk, link, victim, browser_hash):
            continue
        if verdict in ("bound", "again"):
            return Redeemed(link.case_id, link.seat, link.id, again=verdict == "again")
        await _note_refused(desk, link, verdict)
        raise Refused(Reason(f"link-{verdict.replace('_', '-')}"))
    raise Stale(Reason("busy"))


def the_victim(case_id: str) -> Actor:
    """The victim of a case, as the log knows whoever holds the link."""
    return Actor(f"victim:{case_id}", frozenset({VICTIM}))


async def _bind(desk: Desk, link: LinkRow, victim: Actor, browser_hash: str) -> bool:
    """Binds the link in the transaction that records its opening: of a thousand taps at once, one binds it.

    False when another tap was first: what stands then decides.
    """
    at = desk.observe()
    bound = LinkRow(**{**link.model_dump(), "browser_hash": browser_hash, "bound_at": iso(at.at)})
    command = MakeMove(f"open:{link.id}", link.case_id, "open_link", {"link": link.id}, at=at)
    try:
        return not (await desk.handle(command, victim, links=(bound,))).repeated
    except Refused:  # why the case takes it no more is not for whoever holds the link to read
        raise Refused(Reason("link-revoked")) from None


async def _note_refused(desk: Desk, link: LinkRow, verdict: str) -> None:
    """Once for each link and reason: who holds a dead link may tap it a thousand times, and the log says so once."""
    somebody = Actor(UNKNOWN_BROWSER, frozenset({UNKNOWN_BROWSER}))
    form = {"link": link.id, "link_reason": verdict}
    with contextlib.suppress(RvrError):  # after the session it is no fact of the case any more
        await desk.handle(MakeMove(f"refused:{link.id}:{verdict}", link.case_id, "refuse_link", form), somebody)


async def seat_of(store: Store, browser: str) -> LinkRow | None:
    """The link that this browser's join cookie is bound to, while it lives."""
    hashed = links.hash_of(browser)
    rows = await store.read(
        lambda session: every(session, LinkRow, LinkRow.browser_hash == hashed, LinkRow.revoked_at == "")
    )
    return rows[-1] if rows else None
