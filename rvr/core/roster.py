"""Officers on duty: who is there, who is free. One stream an officer, at most one live case each.

Two sergeants who reach for the last free officer are told apart by that stream's next version, not by luck.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rvr.core import events as e


@dataclass(frozen=True, slots=True)
class Officer:
    """A desk officer, at one version of the officer's stream."""

    id: str
    version: int = 0
    status: str = "off"
    """on, break or off, as last set."""
    case: str = ""
    """Id of the live case, if any."""
    closed: bool = False
    """Whether the account is disabled. It is no fact of this stream, and leaves the status as it was."""

    @property
    def duty(self) -> str:
        """on, break or off; whose account is disabled is on duty no more."""
        return "off" if self.closed else self.status

    @property
    def free(self) -> bool:
        return self.duty == "on" and not self.case


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much of the desk is there at one feed position."""

    on_duty: int
    free: int
    position: int
    officers: tuple[str, ...] = ()
    """Ids of the officers on duty, so that a decision can name what it rested on."""
    desk_open: bool = True
    """Whether the moment lies within the desk's hours."""
    queue: int = 0
    """Cases that were offered to the desk and have no officer yet."""


def fold_officer(officer_id: str, log: Iterable[e.Recorded]) -> Officer:
    """The officer that these events add up to."""
    officer = Officer(officer_id)
    for recorded in log:
        officer = apply_officer(officer, recorded.event)
    return officer


def apply_officer(officer: Officer, event: e.Event) -> Officer:
    """The officer after one more event."""
    officer = replace(officer, version=officer.version + 1)
    match event.fact:
        case e.OfficerDutyChanged(status=status):
            return replace(officer, status=status)
        case e.OfficerEngaged(case=case_id):
            return replace(officer, case=case_id)
        case e.OfficerFreed():
            return replace(officer, case="")
    return officer
