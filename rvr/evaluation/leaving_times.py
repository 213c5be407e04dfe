"""How times leave in a package: as they were recorded, in seconds after the opening, or moved by whole weeks.

Everything in a cell that looks like a time or a date is changed, whatever its column: a form's answer may hold one.
With the times go what would tell them again: how far a case was followed is cut to one of few lengths, since that and a
known data cut are a date; readings of a boot begin anew in each case, and so do machines; rows stand in the order of
the pseudonyms and not in that of the openings (`table_files`), without their place in a trial's list; and no steps of
clocks and no data cut leave.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from rvr.core import events as e
from rvr.core.moment import iso, parse_iso
from rvr.evaluation.columns import Column
from rvr.evaluation.desk_clock import boottime_us
from rvr.evaluation.pseudonyms import Alias
from rvr.evaluation.timings import seconds

AS_RECORDED, RELATIVE, SHIFTED = "recorded", "relative", "shifted"
WAYS = (AS_RECORDED, RELATIVE, SHIFTED)

SHIFT_WEEKS = 52
"""A victim's cases are moved by one number of whole weeks, from 1 to this, into the past: weekday, hour of UTC and all
that lies between them stay."""

FOLLOWED_DAYS = (30, 90, 180, 365, 730, 1825)
"""How far a case that is still open was followed is told as the longest of these that has passed."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?|(?<!\d)\d{4}-\d\d-\d\d(?!\d)")
_MICROSECOND = timedelta(microseconds=1)


class LeavingTimes:
    """Changes the cells of one case after the other. As recorded, it changes nothing."""

    def __init__(self, way: str, alias: Alias) -> None:
        self.way, self._alias = way, alias
        self._case = ""
        self._opened = self._censored = datetime.min.replace(tzinfo=UTC)
        self._shift = timedelta()
        self._boots: dict[str, int] = {}

    @property
    def changed(self) -> bool:
        """Whether times leave otherwise than as they were recorded."""
        return self.way != AS_RECORDED

    def begin(self, log: Sequence[e.Recorded], case: str, victim: str, cut: datetime) -> None:
        """What follows is about this case. `case`: its pseudonym; `victim`: the victim's id, as last confirmed."""
        if not self.changed:
            return
        self._case, self._opened = case, log[0].event.at.at
        self._shift = timedelta(weeks=1 + self._alias.number("shift", victim or case) % SHIFT_WEEKS)
        followed = (self._opened + timedelta(days=days) for days in FOLLOWED_DAYS)
        passed = [at for at in followed if at <= cut]
        self._censored = max(passed[-1] if passed else self._opened, max(one.event.at.at for one in log))
        self._boots = {}
        for recorded in log:
            self._boots.setdefault(recorded.event.at.boot, boottime_us(recorded))

    def machine(self, recorded: e.Recorded) -> tuple[str, int]:
        """Pseudonym of the machine that saw it, and what its clock read that never steps."""
        boot, reading = recorded.event.at.boot, boottime_us(recorded)
        if not self.changed:
            return self._alias("boot", boot), reading
        return self._alias("boot", f"{self._case}|{boot}"), reading - self._boots[boot]

    def cell(self, name: str, value: Any) -> Any:
        """The value as it leaves in the column of that name."""
        if not self.changed or not isinstance(value, str) or not value:
            return value
        if name == "censored_at":
            value = iso(self._censored)
        return _TIME.sub(self._told, value)

    def _told(self, found: re.Match[str]) -> str:
        text = found.group()
        if "T" not in text:
            day = date.fromisoformat(text)
            if self.way == RELATIVE:
                return str((day - self._opened.date()).days)
            return (day - self._shift).isoformat()
        at = parse_iso(text if text[-1] == "Z" or re.search(r"[+-]\d\d:?\d\d$", text) else f"{text}Z")
        if self.way == RELATIVE:
            return seconds((at - self._opened) // _MICROSECOND)
        return iso(at - self._shift)

    def column(self, column: Column) -> Column:
        """The column as it is described when times leave so."""
        if self.way == RELATIVE and column.type == "datetime":
            return replace(column, type="number", unit="s after received_at")
        if self.way == RELATIVE and column.type == "date":
            return replace(column, type="integer", unit="days after the day of received_at")
        return column
