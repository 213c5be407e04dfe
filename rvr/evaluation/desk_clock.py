"""What the package tells of the machines' own clocks: each step of a wall clock, each change of its health, and of each
case how good the clocks were that its events were seen by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rvr.core import events as e
from rvr.core.moment import iso
from rvr.evaluation.desk_columns import CLOCK_KINDS
from rvr.evaluation.pseudonyms import Alias


class DeskClock:
    """What the stream desk/clock told up to the end of the window."""

    def __init__(self, told: Iterable[e.Recorded], alias: Alias) -> None:
        self._told, self._alias = list(told), alias
        self._steps = [one for one in self._told if isinstance(one.event.fact, e.ClockStepObserved)]

    def machine(self, recorded: e.Recorded) -> str:
        """Pseudonym of the machine that saw it, another one after each boot."""
        return self._alias("boot", recorded.event.at.boot)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of desk_clock.csv."""
        for recorded in self._told:
            event = recorded.event
            row = {
                "version": recorded.version,
                "at": iso(event.at.at),
                "recorded_at": iso(recorded.recorded_at),
                "kind": CLOCK_KINDS[event.type],
                "machine": self.machine(recorded),
                "boottime_us": boottime_us(recorded),
                "clock_error_us": event.at.error_us,
            }
            match event.fact:
                case e.ClockStepObserved() as step:
                    row |= {"moved_ms": step.moved_ms, "from_at": step.from_at, "same_boot": step.same_boot}
                case e.ClockHealthNoted() as noted:
                    row |= {"health": noted.health, "limit_ms": noted.limit_ms}
            yield row

    def of(self, log: Sequence[e.Recorded]) -> dict[str, Any]:
        """The columns of cases.csv. A step counts where it was told between the first and the last event of the case,
        in the order of the log, on a machine that saw one of its events: times are no order where a clock was set.
        """
        bounds = [one.event.at.error_us for one in log]
        known = [bound for bound in bounds if bound is not None]
        boots = {one.event.at.boot for one in log}
        first, last = log[0].position, log[-1].position
        return {
            "clock_error_max_us": max(known, default=None),
            "events_without_clock_error": len(bounds) - len(known),
            "clock_stepped": any(first < s.position < last and s.event.at.boot in boots for s in self._steps),
        }


def boottime_us(recorded: e.Recorded) -> int:
    """What the clock that never steps read, in whole microseconds."""
    return recorded.event.at.boottime_ns // 1000
