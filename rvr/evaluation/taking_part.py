"""How a case stands in a trial: why it is not in it, or its arm, what it received, and in which analysis it counts.

Reads the public part of a case's log and the design that it ran under, and nothing else. What was received is told from
the events that the design names (`delivered`, `completed`), never from somebody's word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rvr.core import events as e
from rvr.core.clocks import elapsed_us
from rvr.core.history import VOIDED
from rvr.core.trial import Design
from rvr.core.triggers import any_match

EXITS = (
    *("not_running", "voided", "not_screened", "not_eligible", "declined", "set_aside", "not_asked"),
    *("no_capacity", "no_stratum", "not_drawn"),
)
"""Why a case was not randomised: the first of these that holds."""


@dataclass(frozen=True, slots=True)
class Taking:
    """One case in a trial."""

    design: Design
    opened: e.Recorded
    verdict: e.Recorded | None
    """The verdict on eligibility before the draw; without a draw the last."""
    agreed: str
    """given, declined, or empty while not all that the trial asks for was asked."""
    noted: e.CapacityNoted | None
    """Who was free at the draw."""
    draw: e.Recorded | None
    """The event of the draw, whatever came of it."""
    overridden: e.Recorded | None
    exit: str
    """One of EXITS; empty for a randomised case."""
    received: Mapping[str, e.Recorded] = field(default_factory=dict)
    """Arm -> the first event after the draw that delivered it."""
    completed: bool = False
    """The allocated arm was received to its end."""

    @property
    def allocated(self) -> e.ArmAllocated | None:
        fact = self.draw.event.fact if self.draw else None
        return fact if isinstance(fact, e.ArmAllocated) else None

    @property
    def as_treated(self) -> str:
        """The arm that was delivered first; empty: none has been."""
        return min(self.received, key=lambda arm: self.received[arm].version, default="")

    @property
    def delivered(self) -> bool:
        """Whether the allocated arm was."""
        return self.allocated is not None and self.allocated.arm in self.received

    @property
    def per_protocol(self) -> bool:
        """The own arm was the first that was received, and nobody set the trial aside."""
        return self.allocated is not None and self.as_treated == self.allocated.arm and self.overridden is None

    @property
    def waited_us(self) -> int | None:
        """From the opening of the case to the first arm that was delivered."""
        first = self.received.get(self.as_treated)
        return elapsed_us(self.opened.event.at, first.event.at) if first else None


def taking_part(log: Sequence[e.Recorded], design: Design, ran: Callable[[e.Recorded], bool]) -> Taking:
    """The case in the trial of its workflow. `log`: its events, oldest first; `ran`: whether arms were drawn when an
    event was recorded."""
    draw = next((one for one in log if isinstance(one.event.fact, e.ArmAllocated | e.NotRandomised)), None)
    before = log[: draw.version - 1] if draw else log
    verdict = _last(before, e.EligibilityDecided)
    overridden = _last(log, e.ArmOverridden)
    agreed = _agreed(before, design)
    noted = next((one.event.fact for one in reversed(before) if _is_of_draw(one.event.fact)), None) if draw else None
    drawn = draw.event.fact if draw else None
    told: dict[str, Any] = {}
    if draw is not None and isinstance(drawn, e.ArmAllocated):
        after = log[draw.version :]
        received = {arm.id: one for arm in design.arms.values() if (one := _pulled(after, arm.delivered))}
        own = design.arms.get(drawn.arm)
        ended = bool(own and own.id in received and (not own.completed or _pulled(after, own.completed)))
        told = {"received": received, "completed": ended}
    return Taking(
        design,
        log[0],
        verdict,
        agreed,
        noted if isinstance(noted, e.CapacityNoted) else None,
        draw,
        overridden,
        _exit(log, verdict, agreed, drawn, ran, set_aside=overridden is not None),
        **told,
    )


def _is_of_draw(fact: e.Fact) -> bool:
    return isinstance(fact, e.CapacityNoted) and fact.moment == "allocation"


def _last(log: Sequence[e.Recorded], kind: type[e.Fact]) -> e.Recorded | None:
    return next((one for one in reversed(log) if isinstance(one.event.fact, kind)), None)


def _pulled(log: Sequence[e.Recorded], triggers: Any) -> e.Recorded | None:
    return next((one for one in log if any_match(triggers, one.event.fact)), None)


def _agreed(log: Sequence[e.Recorded], design: Design) -> str:
    answers = dict[str, str]()
    for recorded in log:
        match recorded.event.fact:
            case e.ConsentGiven(kind=kind, whose=""):
                answers[kind] = "given"
            case e.ConsentRefused(kind=kind) | e.ConsentWithdrawn(kind=kind):
                answers[kind] = "declined"
    wanted = [answers.get(kind, "") for kind in design.consents]
    return "declined" if "declined" in wanted else ("" if "" in wanted else "given")


def _exit(
    log: Sequence[e.Recorded],
    verdict: e.Recorded | None,
    agreed: str,
    drawn: e.Fact | None,
    ran: Callable[[e.Recorded], bool],
    *,
    set_aside: bool,
) -> str:
    if isinstance(drawn, e.ArmAllocated):
        return ""
    if drawn is None and not ran(log[0]):
        return "not_running"
    if log[-1].event.state == VOIDED:
        return "voided"
    if isinstance(drawn, e.NotRandomised):
        return drawn.reason if drawn.reason in EXITS else "not_drawn"
    eligible = verdict.event.fact.eligible if verdict and isinstance(verdict.event.fact, e.EligibilityDecided) else None
    if eligible is not True:
        return "not_screened" if eligible is None else "not_eligible"
    if agreed == "declined" or set_aside:
        return "declined" if agreed == "declined" else "set_aside"
    if agreed != "given":
        return "not_asked"
    ready = next(one for one in reversed(log) if isinstance(one.event.fact, e.EligibilityDecided | e.ConsentGiven))
    return "not_drawn" if ran(ready) else "not_running"
