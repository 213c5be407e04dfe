"""What an invented caller says and is asked: forms, made up from the caller's number. No real person is meant.

Telephone numbers are Ofcom's for drama (07700 900000 to 900999).
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from rvr.core.moment import iso
from rvr.core.risk import Instrument, assess, takes
from rvr.core.workflow import Workflow
from rvr.simulation.callers import Caller

_FIRST = (
    "Ada",
    "Bela",
    "Cem",
    "Dee",
    "Eli",
    "Fay",
    "Gus",
    "Hana",
    "Ivo",
    "Jo",
    "Kit",
    "Lea",
    "Max",
    "Nia",
    "Ola",
    "Pat",
)
_LAST = ("Invented", "Example", "Sample", "Specimen", "Pattern", "Nobody", "Someone", "Testcase")


def opening(caller: Caller, workflow: Workflow) -> dict[str, Any]:
    """The opening form."""
    dice = Random(f"{caller.person}:details")
    last = f"{dice.choice(_LAST)} {caller.person % 10_000:04}"
    return {
        "source": caller.source,
        "incident_number": f"SIM-{caller.number:07}",
        "victim_name": f"{dice.choice(_FIRST)} {last}",
        "suspect_name": f"{dice.choice(_FIRST)} Other {last}",
        "safe_number": f"07700 900{dice.randrange(1000):03}",
        "safe_to_text": "yes",
        "lpa": dice.choice(list(workflow.force.areas)),
        "address": f"{dice.randint(1, 200)} Invented Street",
        "victim_sex": "female" if caller.female else "male",
        "relationship": dice.choice(("partner", "ex_partner")) if caller.intimate else "relative",
        "call_answered_at": iso(caller.at),
    }


def answers(caller: Caller, workflow: Workflow) -> dict[str, str]:
    """Every safety question, answered as it must be but for the one that this caller does not meet."""
    told = {one.id: one.met for one in workflow.criteria_on(caller.at.date()).values()}
    if caller.fails in told:
        told[caller.fails] = "no" if told[caller.fails] == "yes" else "yes"
    return told


def risk(caller: Caller, workflow: Workflow) -> dict[str, Any]:
    """The first risk tool with the mildest answers, and the level that the officer judges: never below them."""
    tool = next(iter(workflow.instruments.values()))
    return {"risk_tool": tool.id, "risk_answers": mildest(tool), "risk_level": caller.level}


def mildest(tool: Instrument) -> Mapping[str, Any]:
    """Every question that is asked, answered with the mildest of its kind."""
    questions, told = {question.id: question for question in tool.every}, dict[str, Any]()
    while missing := assess(tool, told).missing:
        for name in missing:
            codes = takes(questions[name], tool.scale)
            told[name] = "no" if "no" in codes else codes[0]
    return told


def team(workflow: Workflow, lpa: str) -> str:
    """Who gets the case: the area's own team, where the force has one."""
    teams = list(workflow.force.teams)
    return next((one for one in teams if one.endswith(lpa)), teams[0])
