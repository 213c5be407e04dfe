"""Eligibility for Rapid Video Response: every criterion is evaluated, every result is kept.

The failed criterion decides the way out. A danger is answered by emergency dispatch, never by a wait.
"""

from __future__ import annotations

from collections.abc import Mapping

from rvr.core.events import EligibilityDecided
from rvr.core.workflow import Criterion

ANSWERS = ("yes", "no", "unknown", "refused")
NOT_ASKED = "not_asked"

_URGENCY = ("emergency", "deployment", "call_back")
"""The most urgent way out of all failed criteria wins."""


def evaluate(
    criteria: Mapping[str, Criterion], answers: Mapping[str, str], *, even_unasked: bool = False
) -> EligibilityDecided | None:
    """The verdict, or None while nothing hard has failed and some hard criterion has not been asked.

    With `even_unasked` it is never None: an earlier verdict must not outlive the answer that it rested on. Then "not
    eligible, because of nothing" says that questions are left.
    """
    results = {c.id: _result(c, answers.get(c.id)) for c in criteria.values()}
    failed = [c for c in criteria.values() if c.hard and results[c.id] not in ("met", NOT_ASKED)]
    unasked = any(c.hard and results[c.id] == NOT_ASKED for c in criteria.values())
    if unasked and not failed and not even_unasked:
        return None
    return EligibilityDecided(
        eligible=not failed and not unasked,
        because=tuple(c.id for c in failed),
        way_out=min((c.way_out for c in failed), key=_URGENCY.index, default=""),
        results=results,
        concerns=tuple(c.id for c in criteria.values() if not c.hard and results[c.id] not in ("met", NOT_ASKED)),
    )


def _result(criterion: Criterion, answer: str | None) -> str:
    """Not asked, not known and refused are three answers; to a hard criterion none of them is a yes."""
    if answer is None:
        return NOT_ASKED
    if answer == criterion.met:
        return "met"
    return answer if answer in ("unknown", "refused") else "failed"
