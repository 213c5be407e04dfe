"""What calls somebody to the screen: for which cases a desk screen rings, counts and shows a notice, and for whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rvr.core.commands import Actor

LEADS = frozenset({"sergeant", "inspector"})
"""Who answers for the desk as a whole: every victim who waits and every report to decide is theirs to see."""


def calls(row: Mapping[str, Any], alarms: Iterable[Mapping[str, str]], actor: Actor) -> list[str]:
    """The kinds of call that a row of a board is to this person: handover, report, emergency, waiting, assigned,
    deployment, alarm.

    A new one rings, once. An alarm carries what it is about and its time, so that its repetition is a new one.
    """
    leads = bool(actor.roles & LEADS)
    mine = (row["officer"] or {}).get("id") == actor.id
    found = {
        "handover": bool(row["accept"]),
        "report": leads and row["state"] == "review",
        "emergency": bool(row["emergency"]),
        "waiting": (leads or mine) and row["presence"] == "waiting",
        "assigned": mine and row["state"] == "accepted",
        "deployment": "resourcing" in actor.roles and row["state"] == "deployment",
    }
    return [kind for kind, is_one in found.items() if is_one] + [f"alarm-{one['about']}-{one['at']}" for one in alarms]
