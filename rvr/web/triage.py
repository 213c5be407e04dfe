"""What was decided on the safety questions in the last day, for whoever looks over it: the verdict, and what a look at
it found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, col, select

from rvr.core.moment import iso
from rvr.core.workflow import Workflow
from rvr.desk import Desk
from rvr.store.tables import CaseRow, EventRow

RECENT_H = 24
"""A dip-check is about today's work: what was wrong yesterday can be put right today."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The last verdict of a case."""

    eligible: bool
    way_out: str
    at: str
    finding: str = ""
    """What a look at this verdict found; empty: nobody has looked since it was reached."""


async def recent(desk: Desk) -> tuple[dict[str, Verdict], list[CaseRow]]:
    """The verdicts by case, and the cases."""
    since = iso(desk.observe().at - timedelta(hours=RECENT_H))

    def query(session: Session) -> tuple[dict[str, Verdict], list[CaseRow]]:
        wanted = select(EventRow.stream, EventRow.type, EventRow.observed_at, EventRow.public).where(
            col(EventRow.type).in_(("EligibilityDecided", "TriageChecked")), EventRow.observed_at >= since
        )
        found: dict[str, Verdict] = {}
        for stream, kind, at, public in session.exec(wanted.order_by(col(EventRow.position))):
            case, data = stream.partition("/")[2], json.loads(public)["data"]
            if kind == "EligibilityDecided":
                found[case] = Verdict(data["eligible"], data["way_out"], at)
            elif case in found:
                found[case] = Verdict(found[case].eligible, found[case].way_out, found[case].at, data["finding"])
        decided = {case for case, one in found.items() if one.eligible or one.way_out}
        rows = session.exec(select(CaseRow).where(col(CaseRow.id).in_(decided)))
        return found, list(rows)

    return await desk.store.read(query)


def findings(flows: Iterable[Workflow]) -> dict[str, str]:
    """The words of each finding, where a workflow has such looks."""
    fields = [flow.fields["triage_finding"] for flow in flows if "triage_finding" in flow.fields]
    return {str(option.value): str(option.label) for field in fields for option in field.options}
