"""The words of the conditions: what a definition may ask about a case, and what a decision may rest on.

`Facts` is the whole vocabulary; a condition that asks for anything else is a fault of the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rvr.core.case import Case
from rvr.core.commands import Actor
from rvr.core.force import GuestContact
from rvr.core.history import PastCase
from rvr.core.identity import Candidate
from rvr.core.moment import seconds_between
from rvr.core.orders import Order
from rvr.core.roster import Capacity, Officer
from rvr.core.session import PLACES, Session, seat_of
from rvr.core.trial import TrialNow


@dataclass(frozen=True, slots=True)
class Basis:
    """Everything from outside the case that a decision may rest on, gathered before it is made."""

    ids: tuple[str, ...]
    """Fresh random ids, enough for any one command."""
    reference: str = ""
    """A fresh short reference, for an opening."""
    capacity: Capacity = field(default_factory=lambda: Capacity(0, 0, 0))
    officers: Mapping[str, Officer] = field(default_factory=dict)
    """The officers that the command may bind or free, by id."""
    history: tuple[PastCase, ...] = ()
    """Earlier cases of this victim or this suspect, the oldest first."""
    candidates: tuple[Candidate, ...] = ()
    """People in other cases who may be this victim or suspect, the likeliest first."""
    orders: tuple[Order, ...] = ()
    """Live civil orders that may concern this victim or suspect, the likeliest first."""

    contacts: Mapping[str, GuestContact] = field(default_factory=dict)
    """Whom an officer can ask into a call without typing a number, by id."""

    now: str = ""
    """UTC time of the decision."""

    trial: TrialNow | None = None
    """The trial of the case's workflow, with its secret; None where none runs, or none is registered."""

    def noted(self) -> dict[str, Any]:
        """What the deciding event keeps of it."""
        capacity = self.capacity
        return {"position": capacity.position, "on_duty": capacity.on_duty, "free": capacity.free}


OF_CASE: Mapping[str, Callable[[Case], Any]] = {
    "state": lambda case: case.state,
    "emergency": lambda case: case.emergency,
    "attended": lambda case: case.attended,
    "eligible": lambda case: case.eligibility.eligible if case.eligibility else None,
    "way_out": lambda case: case.eligibility.way_out if case.eligibility else None,
    "response_grade": lambda case: case.response_grade,
    "officer": lambda case: case.officer,
    "engaged": lambda case: case.engaged,
    "officer_live": lambda case: bool(case.contacts) or case.attended,
    "sergeant": lambda case: case.sergeant,
    "diverted": lambda case: "HandoverDiverted" in case.first,
    "exited": lambda case: case.exited,
    "has_safe_number": lambda case: bool(case.personal.get("safe_number")),
    "has_address": lambda case: bool(case.personal.get("address")),
    "session_live": lambda case: _open(case.session) and bool(case.session and case.session.link_sent_at),
    "session_flowing": lambda case: bool(case.session and case.session.flowing),
    "voice": lambda case: case.session.voice if case.session else None,
    "had_two_way": lambda case: _open(case.session) and bool(case.session and case.session.two_way_at),
    "without_picture": lambda case: case.session.beside.without if case.session else None,
    "victim_media": lambda case: case.session.victim if case.session else None,
    "officer_media": lambda case: case.session.officer if case.session else None,
    "asked_alone": lambda case: bool(case.session and case.session.beside.private == "asked"),
    "overlooked": lambda case: bool(case.session and case.session.beside.overlooked),
    "link_opened": lambda case: bool(case.session and case.session.link_opened_at),
    "guests": lambda case: len(case.session.live_guests) if case.session and _open(case.session) else 0,
    "guest_places": lambda case: PLACES - len(case.session.live_guests) if case.session else 0,
    "recording": lambda case: case.exhibits.running is not None,
    "safety.alone": lambda case: case.safety.alone if case.safety else None,
    "safety.place_verified": lambda case: case.safety.place_verified if case.safety else None,
    "order_breached": lambda case: "yes" in case.orders.values(),
    "risk_level": lambda case: case.risk_level,
    "risk_highest": lambda case: case.risk_highest,
    "risk_tool": lambda case: case.risk.tool if case.risk else None,
    "risk_score": lambda case: case.risk.score if case.risk else None,
    "actions": lambda case: len(case.actions),
    "actions_unowned": lambda case: _count(
        action for action in case.actions.values() if not (action.result or (action.owner and action.due_at))
    ),
    "referrals_unreceived": lambda case: _count(
        referral for referral in case.referrals.values() if not referral.received_at and not referral.result
    ),
    "referrals_unclosed": lambda case: _count(r for r in case.referrals.values() if not r.result),
    "escalated.specialist": lambda case: "specialist" in case.escalations.values(),
    "escalated.marac": lambda case: "marac" in case.escalations.values(),
    "evidence_led": lambda case: case.evidence_led,
    "endorsed_by": lambda case: case.endorsed_by,
    "decision": lambda case: case.decision,
    "team": lambda case: case.team,
    "accepted_by": lambda case: case.accepted_by,
    "investigator_contact": lambda case: case.investigator_contact,
    "suspects_outstanding": lambda case: case.outstanding,
    "last_attempt": lambda case: case.last_attempt,
    "suspects_not_arrested": lambda case: _count(s for s in case.suspects.values() if s.status != "arrested"),
    "support": lambda case: case.support,
    "disclosure": lambda case: case.disclosure,
    "entitlement": lambda case: case.entitlement,
    "feedback": lambda case: case.feedback,
}
"""What a condition may ask of the case."""

OF_DESK: Mapping[str, Callable[[Capacity], Any]] = {
    "desk.free": lambda capacity: capacity.free,
    "desk.on_duty": lambda capacity: capacity.on_duty,
    "desk.open": lambda capacity: capacity.desk_open,
}
"""What a condition may ask of the desk, where the decision is told of it."""

KNOWN_FACTS = frozenset(
    {
        *OF_CASE,
        *OF_DESK,
        "by",
        "my_seat",
        "appointment_in_s",
        "consent.video",
        "consent.recording",
        "consent.still",
        "consent.evaluation",
        "consent.feedback",
    }
)
"""What a condition may ask for besides `details.*` and `form.*`."""


@dataclass(slots=True)
class Facts:
    """The case as named facts, each looked up when a condition asks for it.

    Not frozen: it is made several times for each move, and freezing would cost more than the look-ups.
    """

    case: Case
    by: Actor | None = None
    basis: Basis | None = None
    form: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """The fact of that name; None where there is none."""
        of_case = OF_CASE.get(name)
        if of_case is not None:
            return of_case(self.case)
        if name == "by":
            return self.by.id if self.by else None
        if name == "my_seat":
            return seat_of(self.case.session, self.by) if self.by else None
        if name == "appointment_in_s":
            return self._appointment_in_s()
        room, _, rest = name.partition(".")
        match room:
            case "details":
                return self.case.details.get(rest)
            case "consent":
                return self.case.consents.get(rest)
            case "form":
                return self.form.get(rest)
            case "desk" if self.basis is not None:
                return OF_DESK[name](self.basis.capacity)
        return None

    def _appointment_in_s(self) -> int | None:
        """Whole seconds until the agreed time; None without one."""
        if self.case.appointment is None or self.basis is None or not self.basis.now:
            return None
        return seconds_between(self.basis.now, self.case.appointment.starts_at)


def _open(session: Session | None) -> bool:
    return session is not None and not session.ended_at


def _count(found: Iterable[object]) -> int:
    return sum(1 for _ in found)
