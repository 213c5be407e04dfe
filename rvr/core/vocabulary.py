"""The words of the conditions: what a definition may ask about a case, and what a decision may rest on.

`facts_of` is the whole vocabulary; a condition that asks for anything else is a fault of the definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rvr.core import risk
from rvr.core.case import Case
from rvr.core.commands import THE_BOT, Actor
from rvr.core.roster import Capacity, Officer


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
    instruments: Mapping[str, risk.Instrument] = field(default_factory=dict)

    def noted(self) -> dict[str, Any]:
        """What the deciding event keeps of it."""
        capacity = self.capacity
        return {"position": capacity.position, "on_duty": capacity.on_duty, "free": capacity.free}


def facts_of(
    case: Case, by: Actor | None = None, basis: Basis | None = None, form: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The case as named facts: the whole vocabulary of the conditions in a definition."""
    session = case.session
    open_actions = [a for a in case.actions.values() if not a.result]
    facts: dict[str, Any] = {
        "state": case.state,
        "emergency": case.emergency,
        "attended": case.attended,
        "eligible": case.eligibility.eligible if case.eligibility else None,
        "way_out": case.eligibility.way_out if case.eligibility else None,
        "response_grade": case.response_grade,
        "officer": case.officer,
        "engaged": case.engaged,
        "sergeant": case.sergeant,
        "has_safe_number": bool(case.personal.get("safe_number")),
        "session_live": bool(session and session.link_sent_at and not session.ended_at),
        "session_flowing": bool(session and session.flowing),
        "had_two_way": bool(session and session.two_way_at and not session.ended_at),
        "link_opened": bool(session and session.link_opened_at),
        "safety.alone": case.safety.alone if case.safety else None,
        "safety.place_verified": case.safety.place_verified if case.safety else None,
        "has_address": bool(case.personal.get("address")),
        "risk_level": case.risk_level,
        "actions": len(case.actions),
        "actions_unowned": len([a for a in open_actions if not (a.owner and a.due_at)]),
        "decision": case.decision,
        "diverted": "HandoverDiverted" in case.first,
        "exited": case.exited,
    }
    facts |= {f"details.{name}": value for name, value in case.details.items()}
    facts |= {f"consent.{kind}": answer for kind, answer in case.consents.items()}
    facts |= {f"form.{name}": value for name, value in (form or {}).items()}
    if by:
        facts["by"] = by.id
    if basis:
        facts |= {"desk.free": basis.capacity.free, "desk.on_duty": basis.capacity.on_duty}
    return facts


KNOWN_FACTS = frozenset(facts_of(Case(""), THE_BOT, Basis(()))) | {
    "consent.video",
    "consent.recording",
    "consent.evaluation",
}
"""What a condition may ask for besides `details.*` and `form.*`."""
