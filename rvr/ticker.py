"""Hands every clock that is due to the desk.

Due clocks are rows that outlive restarts; what fell due meanwhile fires at once and says how late it is.
"""

from __future__ import annotations

import structlog
from sqlmodel import Session, and_, col, or_, select

from rvr import metrics
from rvr.core.commands import THE_BOT, RunOut
from rvr.core.errors import RvrError
from rvr.core.moment import iso, parse_iso
from rvr.desk import Desk
from rvr.store.tables import ClockRow

log = structlog.get_logger()


class Ticker:
    """Looks when it is asked to; `Periodic` asks."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def tick(self) -> int:
        """Fires everything that is due now; returns how many thresholds that was."""
        fired = 0
        for row in await self._desk.store.read(self._due):
            command = RunOut(
                f"clock:{row.case_id}:{row.clock}:{row.run}:{row.after_s}",
                row.case_id,
                row.clock,
                row.run,
                row.after_s,
            )
            try:
                recorded = (await self._desk.handle(command, THE_BOT)).recorded
                if recorded:
                    late = self._desk.observe().at - parse_iso(row.due_at)
                    metrics.CLOCK_LATE_SECONDS.labels(row.clock).observe(max(0.0, late.total_seconds()))
                fired += bool(recorded)
            except RvrError as error:
                log.warning("clock_not_recorded", case=row.case_id, clock=row.clock, error=error.code)
            except Exception:  # one case that cannot be read must not silence the clocks of all that fall due later
                log.exception("clock_failed", case=row.case_id, clock=row.clock)
        return fired

    def _due(self, session: Session) -> list[ClockRow]:
        """Due by the wall clock or, should that have been set back, by the clock of this boot; the core judges each."""
        now = self._desk.observe()
        by_boot = and_(
            col(ClockRow.boot) == now.boot,
            col(ClockRow.boottime_ns) + col(ClockRow.after_s) * 1_000_000_000 <= now.boottime_ns,
        )
        due = or_(col(ClockRow.due_at) <= iso(now.at), by_boot)
        return list(session.exec(select(ClockRow).where(due).order_by(col(ClockRow.due_at))))
