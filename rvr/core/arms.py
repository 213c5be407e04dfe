"""What a trial means for a case: when its arm may be drawn, and which moves its arm holds back.

The arm is drawn in one press once eligibility and consent stand in the log; the officers who are free are noted in the
same step, and only then is the arm known. An arm can hold back an offer and nothing else: `check` refuses a design in
which it would close the way to help, and an override for safety opens every move.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rvr.core import clocks
from rvr.core import events as e
from rvr.core.asked import Asked
from rvr.core.case import Case
from rvr.core.errors import Reason
from rvr.core.force import Hours
from rvr.core.moment import parse_iso
from rvr.core.trial import Design, Stop, TrialNow, arm_at, commitment, labels
from rvr.core.vocabulary import Facts
from rvr.core.workflow import Move, Workflow

MAY_HOLD_BACK = ("HandoverOffered", "AppointmentMade")
"""What an arm may keep for itself: an offer. Never an officer, an emergency, or anything that protects."""


def reasons(workflow: Workflow, move: Move, facts: Facts) -> tuple[Reason, ...]:
    """Why the trial keeps this move from being made; nothing where no trial runs."""
    design = workflow.trial
    if design is None:
        return ()
    if move.event == "ArmAllocated":
        return tuple(_against_draw(workflow, design, facts))
    if move.event == "ArmOverridden":
        return (Reason("trial-overridden"),) if facts.case.arm_overridden else ()
    if move.id not in design.opened or _opens(design, move, facts):
        return ()
    return tuple(_held_back(workflow, design, facts))


def _opens(design: Design, move: Move, facts: Facts) -> bool:
    """Whether this case's arm, or its being set aside, opens the move."""
    case = facts.case
    arm = design.arms.get(case.draw.arm) if isinstance(case.draw, e.ArmAllocated) else None
    return bool(case.arm_overridden) or (arm is not None and move.id in arm.opens)


def _held_back(workflow: Workflow, design: Design, facts: Facts) -> Iterator[Reason]:
    """Nothing once somebody has stopped the trial. When its number is reached, only whoever has an arm keeps to it."""
    case, now = facts.case, facts.basis.trial if facts.basis else None
    if now is None or not now.commitment or now.stopped:
        return
    if isinstance(case.draw, e.ArmAllocated):
        arm = design.arms.get(case.draw.arm)
        yield Reason("trial-other-arm", {"arm": arm.name if arm else case.draw.arm})
    elif runs(workflow, facts):
        if case.draw is None and not declined(design, case):
            yield Reason("trial-draw-first")
        elif not design.outside:
            yield Reason("trial-outside")


def declined(design: Design, case: Case) -> bool:
    """Whether one of the consents that the trial asks for was refused or taken back."""
    return any(case.consents.get(kind) in ("refused", "withdrawn") for kind in design.consents)


def runs(workflow: Workflow, facts: Facts) -> bool:
    """Whether arms are drawn at this moment. Where they are not, the desk works as it does without a trial."""
    return next(_standstill(workflow, facts), None) is None


def _standstill(workflow: Workflow, facts: Facts) -> Iterator[Reason]:
    """Why no arm can be drawn in this trial, whatever the case is."""
    design, now = workflow.trial, facts.basis.trial if facts.basis else None
    at = facts.basis.now if facts.basis else ""
    if design is None or now is None or not now.commitment:
        yield Reason("trial-not-registered")
        return
    if now.design != design.digest:
        yield Reason("trial-changed")
    if now.secret is None or commitment(now.secret) != now.commitment:
        yield Reason("trial-no-secret")
    if now.stopped or any(reached(stop, now, at, workflow.force.hours) for stop in design.stops):
        yield Reason("trial-over")


def reached(stop: Stop, now: TrialNow, at: str, hours: Hours) -> bool:
    """Whether a rule that closes the draw by itself has come about at this UTC time."""
    if stop.after is not None and at and hours.local(parse_iso(at)).date() > stop.after:
        return True
    return bool(stop.randomised) and now.randomised >= stop.randomised


def _lot_ahead(workflow: Workflow, facts: Facts) -> bool:
    """Whether the lot may yet decide for this case. Only then is it true what the trial has read out."""
    design, case = workflow.trial, facts.case
    if design is None or case.draw is not None or case.arm_overridden or case.state not in design.states:
        return False
    return (case.eligibility is None or case.eligibility.eligible) and runs(workflow, facts)


def read_out(workflow: Workflow, facts: Facts) -> Mapping[str, str]:
    """Consent kind -> what is read out for it, as the case stands."""
    design = workflow.trial
    if design is None or not design.read_for or not _lot_ahead(workflow, facts):
        return workflow.wording
    return {**workflow.wording, design.read_for: design.wording}


def wording_of(workflow: Workflow, facts: Facts, kind: str) -> str:
    """The version of what is read out for this kind of consent."""
    design = workflow.trial
    if design is None or kind != design.read_for or not _lot_ahead(workflow, facts):
        return workflow.consent_wording
    return design.wording_version


def _against_draw(workflow: Workflow, design: Design, facts: Facts) -> Iterator[Reason]:
    case = facts.case
    if case.draw is not None or case.arm_overridden:
        yield Reason("trial-drawn")
        return
    still = tuple(_standstill(workflow, facts))
    yield from still
    if case.eligibility is None or not case.eligibility.eligible:
        yield Reason("trial-not-eligible")
    kinds = {option.value: option.label for option in workflow.fields["consent_kind"].options}
    for kind in design.consents:
        if case.consents.get(kind) != "given":
            yield Reason("trial-no-consent", {"kind": kinds.get(kind, kind)})
        elif not still and kind == design.read_for and case.wordings.get(kind) != design.wording_version:
            yield Reason("trial-not-read", {"kind": kinds.get(kind, kind)})
    for name in design.unknown_for_stratum(facts):
        field = workflow.fields.get(name.removeprefix("details."))
        yield Reason("trial-unknown", {"label": field.label if field else name})


def _draw(asked: Asked) -> list[e.Fact]:
    """Notes who is free, and then the arm: or that there is nobody, which puts the case outside the trial."""
    design, now = asked.workflow.trial, asked.basis.trial
    assert design is not None  # noqa: S101 - `reasons` has refused the move otherwise
    assert now is not None  # noqa: S101 - likewise
    assert now.secret is not None  # noqa: S101 - likewise
    noted = capacity(asked, "allocation")
    stratum = design.stratum_of(asked.facts)
    if stratum is None:
        return [noted, e.NotRandomised(trial=design.id, reason="no_stratum")]
    if noted.free - (noted.queue or 0) < design.capacity:  # those who are free and whom nobody waits for already
        return [noted, e.NotRandomised(trial=design.id, reason="no_capacity")]
    place = now.places.get(stratum.id, 0) + 1
    arm, letters = arm_at(design, now.secret, stratum.id, place), labels(design, now.secret)
    return [noted, e.ArmAllocated(trial=design.id, stratum=stratum.id, place=place, arm=arm, labels=letters)]


def capacity(asked: Asked, moment: str) -> e.CapacityNoted:
    """Kent lost 8 % of those who consented for want of an officer: the denominator has to be in the log."""
    known = asked.basis.capacity
    is_open = clocks.is_open(asked.workflow.force.hours, asked.at)
    return e.CapacityNoted(moment=moment, on_duty=known.on_duty, free=known.free, desk_open=is_open, queue=known.queue)


def stream_of(trial: str, stratum: str = "") -> str:
    """The trial's stream, or that of one of its strata."""
    return f"trial/{trial}/{stratum}" if stratum else f"trial/{trial}"


MAKERS = {"ArmAllocated": _draw}
