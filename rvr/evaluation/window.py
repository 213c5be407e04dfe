"""Which cases an evaluation is about, and up to which moment: the one way in which it reads the log.

Each case is read once, whole, in the order in which the cases were opened; memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, takewhile

from sqlmodel import Session, col, func, select

from rvr.core import events as e
from rvr.core.errors import Reason, Refused
from rvr.core.moment import iso, parse_iso
from rvr.store.store import Store
from rvr.store.tables import EventRow


@dataclass(frozen=True, slots=True)
class Window:
    """Which cases: opened from `start` on and before `end`, with what was recorded before `followed`."""

    start: datetime | None
    end: datetime | None
    until: int
    """Feed position at which the log was when the reading began."""
    cut: datetime | None
    """When the last of these events was recorded."""
    last: int
    """Position of the last of these events; nought when there are none."""
    followed: datetime | None = None
    """Up to when its cases are followed; None: to the end of the log."""
    events: int = 0
    """How many they are."""

    def of(self, log: Iterable[e.Recorded]) -> list[e.Recorded]:
        """What the window shows of a case; nothing for a case that it leaves out."""
        end, followed = self.end, self.followed
        seen = list(takewhile(lambda r: followed is None or r.recorded_at < followed, log))
        if not seen:
            return []
        opened = seen[0].event.at.at
        early = self.start is not None and opened < self.start
        return [] if early or (end is not None and opened >= end) else seen

    def cases(self, store: Store) -> Iterator[list[e.Recorded]]:
        """The log of each case, in the order in which they were opened. For a thread of the caller's own."""
        for _, streamed in groupby(store.iterate(until=self.until), key=lambda r: r.stream):
            log = self.of(streamed)
            if log:
                yield log

    def definitions(self, store: Store) -> dict[str, e.DefinitionStored]:
        """Every workflow that was stored by then, by its content hash."""
        told = store.iterate(kind="definition/", until=self.until)
        stored = {recorded.stream.removeprefix("definition/"): recorded.event.fact for recorded in told}
        return {version: fact for version, fact in stored.items() if isinstance(fact, e.DefinitionStored)}


async def window_of(
    store: Store, from_: datetime | None = None, to: datetime | None = None, followed: datetime | None = None
) -> Window:
    """The window from one moment to another, as the log stands now. `followed`: up to when its cases are; without it to
    the end of the window. Raises Refused for one that ends before it begins."""
    start, end, followed = (at.astimezone(UTC) if at else None for at in (from_, to, followed or to))
    if start and end and start >= end:
        raise Refused(Reason("export-window"))
    until = await store.position()
    cut, last, events = await store.read(lambda session: _cut(session, (start, end, followed), until))
    return Window(start, end, until, parse_iso(cut) if cut else None, last, followed, events)


def _cut(session: Session, moments: Sequence[datetime | None], until: int) -> tuple[str, int, int]:
    """When the last event of the window was recorded, its position, and how many there are; nought for an empty one.
    `moments`: its start, its end, and up to when its cases are followed."""
    start, end, followed = moments
    low, high = iso(start) if start else "", iso(end) if end else "9999"
    opened = select(EventRow.stream).where(
        EventRow.version == 1,
        col(EventRow.stream).startswith("case/"),
        col(EventRow.observed_at) >= low,
        col(EventRow.observed_at) < high,
    )
    wanted = select(func.max(EventRow.recorded_at), func.max(EventRow.position), func.count()).where(
        col(EventRow.position) <= until,
        col(EventRow.recorded_at) < (iso(followed) if followed else "9999"),
        col(EventRow.stream).in_(opened),
    )
    cut, last, events = session.exec(wanted).one()
    return cut or "", last or 0, events
