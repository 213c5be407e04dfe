"""The desk's side of measured lines: what the media plane says of each seat every ten seconds, noted once a minute.

A process that is killed takes at most its last minute of figures with it, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import structlog

from rvr import metrics
from rvr.core.case import Case
from rvr.core.commands import THE_MEDIA, NoteQuality, Stretch
from rvr.core.moment import iso
from rvr.core.quality import FIGURES
from rvr.desk import Desk
from rvr.media import Observation
from rvr.store.tables import CaseRow, every

STRETCHES: Final = 6
"""A minute: with an event for each ten seconds a year's log would be four times as long, and its check, too."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Line:
    """One seat's, since it was last noted."""

    case: str
    side: str
    told: dict[str, Stretch] = field(default_factory=dict)
    """By the observation's own name: one that is offered again is the same."""


class Measuring:
    """Gathers, and notes when a minute is full or the connection ended."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lines: dict[tuple[str, str], _Line] = {}

    async def observed(self, seen: Observation) -> None:
        """A stretch of somebody's line. Raises Unavailable when it could not be recorded: to be offered again."""
        line = await self._line(seen.room, seen.seat or "")
        if line is None:
            log.warning("media_observation_unknown", kind=seen.kind, worker=seen.worker, number=seen.number)
            return
        line.told[f"{seen.worker}:{seen.number}"] = stretch = _stretch(seen)
        _count(line.side, stretch)
        if len(line.told) >= STRETCHES:
            await self.ended(seen.room, seen.seat or "")

    async def ended(self, room: str, seat: str) -> None:
        """The connection is gone: what was gathered of it is noted. Raises as `observed`."""
        line = self._lines.get((room, seat))
        if line is None:
            return
        if line.told:
            name = f"media:{next(reversed(line.told))}:quality"
            told = tuple(line.told.values())
            await self._desk.handle(NoteQuality(name, room, line.case, line.side, seat, told), THE_MEDIA)
        del self._lines[room, seat]

    async def _line(self, room: str, seat: str) -> _Line | None:
        if (room, seat) not in self._lines:
            rows = await self._desk.store.read(lambda session: every(session, CaseRow, CaseRow.session == room))
            case = await self._desk.case(rows[0].id) if rows else None
            side = _side(case, seat) if case else ""
            if case is None or not side:
                return None
            self._lines[room, seat] = _Line(case.id, side)
        return self._lines[room, seat]


def _count(side: str, stretch: Stretch) -> None:
    told = stretch.figures
    for way in ("up", "down"):
        if f"{way}_lost_permille" in told:
            metrics.LINE_LOSS.labels(side, way).observe(told[f"{way}_lost_permille"] / 1000)
    if "rtt_ms" in told:
        metrics.LINE_ROUND_TRIP.labels(side).observe(told["rtt_ms"] / 1000)
    metrics.FREEZES.labels(side).inc(told.get("freezes", 0))


def _side(case: Case, seat: str) -> str:
    session = case.session
    if session is None:
        return ""
    if any(guest.seat == seat for guest in session.guests.values()):
        return "guest"
    return {session.victim_seat: "victim", session.officer_seat: "officer"}.get(seat, "")


def _stretch(seen: Observation) -> Stretch:
    """The media plane's words as whole numbers: the log holds no fractions."""
    told = {name: float(figure) for name, figure in seen.detail.items()}
    seconds = told.get("seconds", 0.0)
    if "fps" in told:
        told["frames"] = told["fps"] * seconds
    for way in ("up", "down"):
        if f"{way}_loss_pct" in told:
            told[f"{way}_lost_permille"] = told[f"{way}_loss_pct"] * 10
    figures = {name: round(told[name]) for name in FIGURES if name in told}
    return Stretch(iso(seen.moment.at), round(1000 * seconds), figures)
