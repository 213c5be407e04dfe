"""Why a cell of cases.csv is empty: the rows of missing.csv.

Each column has one rule, by what it is made of. A cell that is empty for a reason that an analysis must not mix up with
another (not asked, refused, not yet, never) is told as that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rvr.evaluation import timings
from rvr.evaluation.codebook import WITHHELD
from rvr.evaluation.columns import CASES, REASONS
from rvr.evaluation.milestones import MILESTONES, Moments

_MOMENTS = frozenset(one.name for one in MILESTONES)
_INTERVALS = {one.name: one for one in timings.INTERVALS}
_LIMITS = {one.name: _INTERVALS[one.interval] for one in timings.LIMITS}

_OF_MOMENT = {
    "call_answered_source": "call_answered_at",
    "desk_capacity_at_offer": "handover_offered_at",
    "officer": "officer_assigned_at",
    "first_contact_mode": "first_contact_at",
    "risk_tool": "risk_assessed_at",
    "risk_level_first": "risk_assessed_at",
    "risk_level_last": "_risk",
    "grade": "_risk",
    "response_grade_first": "deployment_requested_at",
    "response_grade_last": "_deployment",
    "arrival_source": "attended_at",
    "decision": "decided_at",
    "allocated_to": "decided_at",
    "outcome_code": "_outcome",
    "appointment_at": "_appointment",
    "support_last": "_support",
    "charged_on": "charged_at",
    "first_hearing_on": "charged_at",
}
"""Columns that tell something of a moment, and go without it."""

_ALWAYS_ENTERED = ("call_answered_at", "call_answered_source", "risk_level_reported")
"""Whether there was one is nobody's guess: it was entered, or not."""
_ASKED = ("eligible", "consented")
_NOT_APPLICABLE = ("escalations", "censored_at", "ineligible_because", "clock_error_max_us", "pair", "suspect")
_TRIAL = ("arm_allocated", "arm_received")

ORDER = tuple(column.name for column in CASES)


def missing_row(row: Mapping[str, Any], found: Moments) -> dict[str, str]:
    """The row of missing.csv for a row of cases.csv: each reason with the columns that are empty for it."""
    told: dict[str, list[str]] = {reason: [] for reason in REASONS}
    for name in ORDER:
        value = row.get(name)
        if value is None or value == "":
            in_trial = name == "arm_received" and bool(row.get("arm_allocated"))
            told[_open_or_not(found) if in_trial else _reason(name, found)].append(name)
        elif value == WITHHELD:
            told["withheld"].append(name)
    return {"case": str(row["case"]), **{reason: ";".join(names) for reason, names in told.items()}}


def _reason(name: str, found: Moments) -> str:
    if name in _INTERVALS:
        return _of_interval(_INTERVALS[name], found)
    if name in _LIMITS:
        return "undecided" if _LIMITS[name].start in found else "no_start"
    for names, reason in ((_TRIAL, "no_trial"), (_ASKED, "not_asked"), (_NOT_APPLICABLE, "not_applicable")):
        if name in names:
            return reason
    if name == "ended_at":
        return "not_yet"
    of = _OF_MOMENT.get(name, name)
    if name in _ALWAYS_ENTERED or (of not in _MOMENTS) or of in found:
        return "not_recorded"
    return _open_or_not(found)


def _of_interval(interval: timings.Interval, found: Moments) -> str:
    return _open_or_not(found) if interval.start in found else "no_start"


def _open_or_not(found: Moments) -> str:
    return "never" if "ended_at" in found else "not_yet"
