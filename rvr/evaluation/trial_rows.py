"""A case's row of trial.csv, and its rows of capacity.csv: what a trial and a quasi-experiment each rest on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from rvr.core import events as e
from rvr.core.moment import iso
from rvr.evaluation.rows import Writing, case_of
from rvr.evaluation.taking_part import Taking
from rvr.evaluation.timings import seconds

_ENDS = {"HandoverAccepted": "accepted", "HandoverDeclined": "declined", "HandoverWithdrawn": "withdrawn"}


def arms(taking: Taking | None, writing: Writing) -> dict[str, str]:
    """The arm of the place and the one that was received, as this package tells them."""
    allocated = taking.allocated if taking else None
    if taking is None or allocated is None:
        return {"arm_allocated": "", "arm_received": ""}
    known = {arm: writing.arm(allocated, arm) for arm in (allocated.arm, taking.as_treated)}
    return {"arm_allocated": known[allocated.arm], "arm_received": known[taking.as_treated]}


def trial_row(log: Sequence[e.Recorded], taking: Taking, writing: Writing) -> dict[str, Any]:
    """The row of trial.csv."""
    allocated, draw = taking.allocated, taking.draw
    row: dict[str, Any] = {
        "case": case_of(writing.alias, log[0]),
        "trial": taking.design.id,
        "eligible": getattr(taking.verdict.event.fact, "eligible", "") if taking.verdict else "",
        "agreed": taking.agreed,
        "exit": taking.exit,
        **arms(taking, writing),
    }
    if taking.noted is not None:
        row |= {"on_duty": taking.noted.on_duty, "free": taking.noted.free, "queue": taking.noted.queue}
    if taking.overridden is not None:
        event = taking.overridden.event
        reason = writing.code(getattr(event.fact, "reason", ""))
        row |= {"overridden_at": iso(event.at.at), "override_reason": reason, "override_by_role": event.by_role}
    if allocated is not None and draw is not None:
        own, waited = taking.received.get(allocated.arm), taking.waited_us
        row |= {
            "randomised_at": iso(draw.event.at.at),
            "stratum": writing.code(allocated.stratum),
            "place": writing.place(allocated),
            "delivered": taking.delivered,
            "delivered_at": iso(own.event.at.at) if own else "",
            "completed": taking.completed,
            "per_protocol": taking.per_protocol,
            "waited_s": "" if waited is None else seconds(waited),
            "emergency_after": any(one.event.type == "EmergencyDispatched" for one in log[draw.version :]),
        }
    return row


def capacity_rows(log: Sequence[e.Recorded], zone: ZoneInfo, writing: Writing) -> Iterator[dict[str, Any]]:
    """The rows of capacity.csv: one for each moment at which the desk's capacity was noted. `zone`: on the force's
    wall."""
    known = {"eligible": "", "response_grade": "", "risk_level": ""}
    told: list[dict[str, Any]] = []
    for recorded in log:
        fact = recorded.event.fact
        known |= _known(fact)
        if isinstance(fact, e.CapacityNoted):
            told.append(
                _noted(recorded, fact, zone, writing) | {name: writing.code(one) for name, one in known.items()}
            )
        elif isinstance(fact, e.EligibilityDecided) and told and told[-1]["moment"] == "screening":
            told[-1]["eligible"] = known["eligible"]
        elif recorded.event.type in _ENDS:
            offered = [row for row in told if row["moment"] == "offer"]
            for row in offered[-1:]:
                row.setdefault("went_on", _ENDS[recorded.event.type])
    yield from told


def _known(fact: e.Fact) -> dict[str, str]:
    """What of it this fact changes."""
    match fact:
        case e.DeploymentRequested(response_grade=grade) | e.HandoverDiverted(response_grade=grade):
            return {"response_grade": grade}
        case e.RiskReported(risk_level=level) | e.RiskAssessed(risk_level=level) | e.GradeOverridden(after=level):
            return {"risk_level": level}
        case e.EligibilityDecided(eligible=verdict):
            return {"eligible": "true" if verdict else "false"}
    return {}


def _noted(recorded: e.Recorded, noted: e.CapacityNoted, zone: ZoneInfo, writing: Writing) -> dict[str, Any]:
    local = recorded.event.at.at.astimezone(zone)
    when = {} if writing.times.changed else {"hour": local.hour, "weekday": local.isoweekday()}
    return {
        "case": case_of(writing.alias, recorded),
        "version": recorded.version,
        "moment": writing.code(noted.moment),
        "at": iso(recorded.event.at.at),
        "on_duty": noted.on_duty,
        "free": noted.free,
        "queue": noted.queue,
        "desk_open": noted.desk_open,
        **when,
    }
