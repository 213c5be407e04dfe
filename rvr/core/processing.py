"""What the law calls an event: the kind of processing that it is, after the Data Protection Act 2018, s.62(1).

One table, by the type of the fact. Who wants another kind of a move to be told apart adds a row here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rvr.core import events as e
from rvr.core.commands import (
    BreakGlass,
    Command,
    ConfirmErasure,
    DeclareConflict,
    LiftConflict,
    MakeMove,
    OpenCase,
    ProposeErasure,
    RegisterTrial,
    StopTrial,
)


@dataclass(frozen=True, slots=True)
class Processing:
    """One kind of processing, with whom data were passed on to."""

    category: str
    recipient: str = ""


ALTERATION = Processing("alteration")

CATEGORY: Mapping[type[e.Fact], str] = {
    e.CaseOpened: "collection",
    e.PersonMatched: "combination",
    e.ReferralMade: "disclosure",
    e.GuestInvited: "disclosure",
    e.RecordingStarted: "collection",
    e.StillTaken: "collection",
    e.ErasureProposed: "erasure",
    e.CaseErased: "erasure",
    e.GlassBroken: "consultation",
}
"""Everything else alters a case. A match lets two records count as one person's; a referral opens the case to an
organisation outside the force, and whoever is asked into a call hears what is said there. What is passed on by other
ways than this system (to the MARAC, under the Disclosure Scheme) alters what is known here, and no more."""


def processing(facts: Iterable[e.Fact]) -> Processing:
    """What a command did that led to these facts: the first of them that is more than an alteration says so."""
    for fact in facts:
        if type(fact) in CATEGORY:
            return Processing(CATEGORY[type(fact)], _recipient(fact))
    return ALTERATION


def _recipient(fact: e.Fact) -> str:
    match fact:
        case e.ReferralMade():
            return fact.partner
        case e.GuestInvited():
            return fact.partner or fact.contact or fact.guest_role
    return ""


def what(command: Command) -> str:
    """The code of what was asked for: a move, or a command that is none."""
    match command:
        case MakeMove():
            return command.move
        case OpenCase():
            return "open_case"
        case ProposeErasure():
            return "erase.propose"
        case ConfirmErasure():
            return "erase.confirm"
        case RegisterTrial():
            return "trial.register"
        case StopTrial():
            return "trial.stop"
        case BreakGlass():
            return "break_glass"
        case DeclareConflict():
            return "declare_conflict"
        case LiftConflict():
            return "lift_conflict"
    return type(command).__name__


def why(command: Command, person: str) -> str:
    """The code of the reason. An erasure is done at the terminal: whose password was given stands with the second."""
    match command:
        case ProposeErasure() | StopTrial():
            return command.reason
        case ConfirmErasure():
            return person
    return ""
