"""Whether somebody looks at the victim's page: what the page tells every few seconds, and what its silence means.

A page that is hidden, closed or silent is noted in the case once, and once more when it is back: changes, never each
word. Nobody loses a seat by it. The times are kept in memory: after a restart a page has as long to be heard of again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlmodel import col

from rvr.core.commands import THE_MEDIA, MakeMove
from rvr.core.errors import NotFound, Refused, Stale, Unavailable
from rvr.core.moment import iso
from rvr.desk import Desk
from rvr.joining import the_victim
from rvr.store.tables import CaseRow, every

Word = Literal["here", "hidden", "closed"]

LOOK_S = 1.0

EVERY_S = 10
"""How often a page says that it is there (static/js/attending.js)."""

SILENT_S = 2.5 * EVERY_S
"""Two words may be lost on a bad line. A phone that sleeps says nothing at all."""

HIDDEN_S = 5
"""Whoever reads a message for a moment has not gone. A page that is reloaded is closed for less."""

OFTEN, OFTEN_S = 10, 60
"""After so many times within a session, only absences of a minute are noted: a page that flickers fills no log."""


@dataclass(slots=True)
class _Page:
    """What is known of one page since this process began, or the session."""

    heard_at: datetime
    looked_at: datetime
    """When somebody last looked at it, as far as it told."""
    word: Word | None = None
    """None: nothing was heard of it yet."""
    away: bool | None = None
    """What was noted last; None: what the log says has to be found out."""
    times: int = 0


@dataclass
class Attendance:
    """Looks when it is asked to; `Periodic` asks."""

    desk: Desk
    _pages: dict[str, _Page] = field(default_factory=dict)

    def heard(self, case_id: str, word: Word) -> None:
        """The victim's page says how it is."""
        now = self.desk.observe().at
        page = self._pages.setdefault(case_id, _Page(now, now))
        page.heard_at, page.word = now, word
        if word == "here":
            page.looked_at = now

    async def look(self) -> None:
        """Notes who went and who came back since the last time."""
        rows = await self.desk.store.read(lambda session: every(session, CaseRow, col(CaseRow.session_open).is_(True)))
        open_now, now = {row.id for row in rows}, self.desk.observe().at
        self._pages = {case: self._pages.get(case) or _Page(now, now) for case in open_now}
        for case_id, page in self._pages.items():
            because = _absent(page, now)
            if because is not None and bool(because) != page.away:
                await self._note(case_id, page, because)

    async def _note(self, case_id: str, page: _Page, because: str) -> None:
        """The case's own rules drop what it knows already, and what it has no use for."""
        name = f"page:{self.desk.new_id()}"
        away = MakeMove(name, case_id, "victim_away", {"away_because": because, "away_since": iso(page.looked_at)})
        back = MakeMove(name, case_id, "victim_back")
        try:
            await self.desk.handle(away if because else back, THE_MEDIA if because else the_victim(case_id))
        except (Stale, Unavailable):  # the next look tries again
            return
        except (Refused, NotFound):  # no link was opened yet, or the session is over
            pass
        page.away = bool(because)
        page.times += page.away


def _absent(page: _Page, now: datetime) -> str | None:
    """Why nobody looks at the page, if that has lasted long enough; empty while somebody does, None: not known."""
    if now - page.heard_at >= timedelta(seconds=SILENT_S):
        return "closed" if page.word == "closed" else "silent"
    if page.word == "here":
        return ""
    lasts_s = OFTEN_S if page.times >= OFTEN else HIDDEN_S
    return page.word if page.away or now - page.looked_at >= timedelta(seconds=lasts_s) else None
