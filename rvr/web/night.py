"""What every board is made of, looked up once for each position of the log: five hundred screens that are told of one
change ask the store once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rvr.core.roster import Capacity
from rvr.desk import Desk
from rvr.store.staff import Person
from rvr.store.tables import CaseRow
from rvr.web import roster_view
from rvr.web.roster_view import Roster

FRESH_S = 60.0
"""What an officer did this shift changes by time alone: it is looked up again after this long, also where nothing
happened."""


@dataclass(frozen=True, slots=True)
class Night:
    """The desk as it stood at one position."""

    people: Mapping[str, Person]
    roster: Roster
    cases: Sequence[CaseRow]
    """The open ones, the oldest first."""
    capacity: Capacity


class Nights:
    """The newest look. For one thread, that of the loop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._position, self._at = -1, 0.0
        self._look: asyncio.Task[Night] | None = None

    async def now(self) -> Night:
        """The desk at the log's position of this moment."""
        position, at = await self._desk.store.position(), asyncio.get_running_loop().time()
        look = self._look
        failed = look is not None and look.done() and (look.cancelled() or look.exception() is not None)
        if look is None or failed or position != self._position or at - self._at > FRESH_S:
            self._position, self._at = position, at
            self._look = look = asyncio.ensure_future(self._gather())
        return await asyncio.shield(look)  # others wait for it, too

    async def _gather(self) -> Night:
        desk = self._desk
        people, roster = await desk.people(), await roster_view.look(desk, await desk.roster())
        return Night(people, roster, await desk.open_cases(), await desk.capacity())
