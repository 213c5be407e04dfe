"""Whose case it is: by what a case concerns somebody in a role. What a person is shown of it and which moves the person
may make both rest on this, so that a look outside one's own cases (break-glass) opens the one and not the other.
"""

from __future__ import annotations

from typing import Protocol

from rvr.core.case import Case
from rvr.core.commands import Actor
from rvr.core.guests import actor_of


class Brief(Protocol):
    """As much of a case as its row tells."""

    @property
    def state(self) -> str: ...

    @property
    def opened_by(self) -> str: ...

    @property
    def officer(self) -> str: ...

    @property
    def decision(self) -> str: ...


def concerns(case: Case | Brief, by: Actor, role: str) -> bool:
    """Whether the case is this person's in that role. Roles that answer for the desk as a whole, and those of programs,
    are concerned by every case; of a row, what only the whole case tells concerns nobody.
    """
    match role:
        case "officer":
            return case.officer == by.id
        case "call_handler":
            return case.opened_by == by.id
        case "investigator":
            return bool(case.decision) or case.state == "closed"
        case "resourcing":
            return isinstance(case, Case) and _are_sent(case)
        case "advocate":
            return isinstance(case, Case) and any(one.partner in by.units for one in case.referrals.values())
        case "guest":
            guests = case.session.live_guests if isinstance(case, Case) and case.session else []
            return any(actor_of(guest.id) == by for guest in guests)
    return True


def _are_sent(case: Case) -> bool:
    """Whether officers in person are on their way, or to be sent."""
    sent = bool(case.response_grade) and not case.attended and not case.decision
    return case.emergency or case.state == "deployment" or sent
