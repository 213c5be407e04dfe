"""Random walks through the desk: whoever presses whatever, whenever, these things hold.

A walk is a list of numbers; each seeds one step: a move that is offered, one that is not, or time that passes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvr.core import events as e
from rvr.core.errors import Forbidden, Refused
from rvr.core.moment import iso, parse_iso
from rvr.core.workflow import Move
from tests.builders import EVERYBODY, Story, Universe, a_case, all_met, da_desk, risk, then, through_the_store

FLOW = da_desk()
EDGES = {
    (source, branch.state or source) for move in FLOW.moves.values() for source in move.sources for branch in move.to
}
PAUSES_S = (0, 1, 10, 59, 61, 125, 130, 301, 605, 905, 1801, 7300, 90_000)
STARTS = [state for state in FLOW.states if not FLOW.states[state].ended]
WEIGHTS = dict.fromkeys(("request_deployment", "lose_contact", "void", "end_session", "close"), 0.2) | dict.fromkeys(
    ("correct_details", "record_contact_attempt", "plan_safeguarding", "answer_criteria", "refuse_link"), 0.5
)
"""What would end each walk in the same few states, or stay where it is, is pressed less often."""


def a_form(story: Story, move: Move, dice: Random) -> dict[str, Any] | None:
    """Answers that this move takes just now; None where there are none (no free officer, no open action)."""
    form: dict[str, Any] = {}
    optional = [name for name in move.may_ask if name == "override" or dice.random() < 0.5]
    for name in (*move.asks, *optional):
        value = an_answer(story, move, name, dice)
        if value is None:
            return None
        form |= value if isinstance(value, dict) and name == "risk_tool" else {name: value}
    return form


def an_answer(story: Story, move: Move, name: str, dice: Random) -> Any:
    field, case = FLOW.fields[name], story.case
    if name in OWN_ANSWERS:
        return OWN_ANSWERS[name](story, dice)
    if name == "risk_level" and move.id == "raise_level":
        return "medium" if case.risk_level == "high" else "high"
    if field.options:
        return dice.choice(field.options).value
    return BY_KIND.get(field.kind, "text")


def a_choice(dice: Random, among: list[str]) -> str | None:
    return dice.choice(among) if among else None


OWN_ANSWERS: dict[str, Callable[[Story, Random], Any]] = {
    "risk_tool": lambda story, dice: risk(
        "high", "Why", **dice.choice([{}, {"weapons": "yes"}, {"weapons": "refused"}])
    ),
    "risk_answers": lambda story, dice: risk("high")["risk_answers"],
    "officer": lambda story, dice: a_choice(dice, [o.id for o in story.universe.officers.values() if o.free]),
    "link": lambda story, dice: (story.case.session and story.case.session.link) or None,
    "consent_answer": lambda story, dice: dice.choice(["given", "given", "given", "refused"]),
    "answers": lambda story, dice: dice.choice([all_met()["answers"]] * 4 + [{dice.choice(list(FLOW.criteria)): "no"}]),
    "action": lambda story, dice: a_choice(dice, [a.id for a in story.case.actions.values() if not a.result]),
    "due_at": lambda story, dice: iso(story.universe.wall + timedelta(days=1)),
    "team": lambda story, dice: dice.choice(list(FLOW.force.teams)),
}
BY_KIND: dict[str, Any] = {"phone": "07700 900123", "date": "1990-01-31", "flag": True, "area": "dudley"}


def press_what_is_offered(story: Story, dice: Random) -> None:
    """What a screen offers the door accepts, with any valid form."""
    offered = [(who, move) for who in EVERYBODY for move in sorted(story.may(who))]
    who, move_id = dice.choices(offered, [WEIGHTS.get(move, 3) for _, move in offered])[0]
    move = FLOW.moves[move_id]
    form = a_form(story, move, dice)
    if form is None:
        return
    before = story.case.state
    story.does(who, move_id, **form)
    assert (before, story.case.state) in EDGES
    assert all(event.by == who.id and event.by_role in move.who for event in story.last)


def press_anything(story: Story, dice: Random) -> None:
    """What a screen does not offer the door refuses, and says why."""
    who, move = dice.choice(EVERYBODY), dice.choice(list(FLOW.moves.values()))
    if move.id in story.may(who):
        return
    with pytest.raises((Refused, Forbidden)) as refused:
        story.does(who, move.id, **(a_form(story, move, dice) or {}))
    assert refused.value.reasons
    theirs = who.roles & set(move.who) and refused.value.reasons[0].code != "not-your-case"
    assert isinstance(refused.value, Forbidden) == (not theirs)


def let_time_pass(story: Story, dice: Random) -> None:
    before = story.case.state
    story.waits(dice.choice(PAUSES_S))
    states = [before, *(event.state for event in story.last)]
    assert {pair for pair in itertools.pairwise(states) if pair[0] != pair[1]} <= EDGES
    assert all(event.by_role == "bot" for event in story.last)


def holds(story: Story, emergency_before: bool) -> None:
    case, state = story.case, FLOW.states[story.case.state]
    if state.open:
        assert state.owner
        assert any(FLOW.clocks[clock].thresholds for clock in case.clocks), f"nothing watches {case.state}"
    if state.ended:
        assert not case.clocks
    if not state.session:
        then(story).has_no_session()
    bound = [officer.id for officer in story.universe.officers.values() if officer.case]
    assert bound == ([case.officer] if case.engaged else [])
    assert not case.engaged or state.keeps_officer
    if emergency_before and not case.emergency:
        assert {"EmergencyStoodDown", "OfficerAttended"} & set(story.types), "an emergency ended without a word"
    assert all(running.run == case.runs[running.clock] for running in case.clocks.values())


def held_at_the_end(story: Story) -> None:
    fired = [event for event in story.log if isinstance(event.fact, e.ClockRanOut)]
    runs = [(event.fact.clock, event.fact.run, event.fact.after_s) for event in fired]  # type: ignore[attr-defined]
    assert len(runs) == len(set(runs)), "a clock fired twice"
    assert all(event.at.at >= parse_iso(event.fact.due_at) for event in fired), "a clock fired early"  # type: ignore[attr-defined]
    modes = [event.fact.mode for event in story.said("OfficerContactStarted")]  # type: ignore[attr-defined]
    assert len(modes) == len(set(modes)), "contact started twice in the same mode"
    danger = emergency = False
    for event in story.log:
        if isinstance(event.fact, e.EligibilityDecided):
            danger = event.fact.way_out == "emergency"
        if event.type in ("EmergencyDispatched", "EmergencyStoodDown", "OfficerAttended"):
            emergency = event.type == "EmergencyDispatched"
        waits = event.type == "DeploymentRequested" and event.by_role != "bot"
        assert not (danger and not emergency and waits), "a wait for danger"
    assert through_the_store(story.log) == story.log


STEPS = (press_what_is_offered,) * 6 + (press_anything, let_time_pass)


@settings(max_examples=150, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 2**32 - 1), min_size=40, max_size=40),
    start=st.sampled_from(STARTS),
)
def test_no_walk_leaves_the_table_and_every_open_case_is_owned_and_watched(seeds: list[int], start: str) -> None:
    story = a_case(start, Universe())
    for seed in seeds:
        dice, emergency = Random(seed), story.case.emergency
        dice.choice(STEPS)(story, dice)
        holds(story, emergency)
        if not any(story.may(who) for who in EVERYBODY):
            break
    held_at_the_end(story)


@pytest.mark.parametrize("state", list(FLOW.states))
def test_what_is_offered_and_what_is_accepted_are_the_same_in_every_state(state: str) -> None:
    """Everybody tries every move, with a form that it takes."""
    usual = a_case(state)
    for who in EVERYBODY:
        allowed = usual.may(who)
        for move in FLOW.moves.values():
            story = usual.branch()
            form = a_form(story, move, Random(1))
            if move.id not in allowed:
                with pytest.raises((Refused, Forbidden)):
                    story.does(who, move.id, **(form or {}))
            elif form is not None:
                story.does(who, move.id, **form)
