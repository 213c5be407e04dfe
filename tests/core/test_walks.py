"""Random walks through the desk: whoever presses whatever, whenever, these things hold.

A walk is a list of numbers; each seeds one step: a move that is offered, one that is not, or time that passes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvr.core import events as e
from rvr.core.case import Case, Suspect, apply, names_people
from rvr.core.commands import Actor
from rvr.core.errors import Forbidden, Refused
from rvr.core.forms import options_of
from rvr.core.guests import actor_of
from rvr.core.history import PastCase
from rvr.core.identity import Candidate
from rvr.core.moment import iso, parse_iso
from rvr.core.orders import Order
from rvr.core.running import moves_clocks
from rvr.core.session import Guest
from rvr.core.workflow import Move, Workflow
from tests.builders import (
    ADVOCATE,
    EVERYBODY,
    SERGEANT,
    START,
    THE_VICTIM,
    Story,
    Universe,
    a_case,
    crime_report,
    da_desk,
    risk,
    then,
    through_the_store,
)

FLOWS = {"da-desk": da_desk(), "crime-report": crime_report(), "kent-like": da_desk("kent-like")}
PAUSES_S = (0, 1, 10, 59, 61, 125, 130, 301, 605, 905, 1801, 7300, 90_000)
WEIGHTS = dict.fromkeys(("request_deployment", "lose_contact", "void", "end_session", "close"), 0.2) | dict.fromkeys(
    ("correct_details", "record_contact_attempt", "plan_safeguarding", "answer_criteria", "refuse_link"), 0.5
)
"""What would end each walk in the same few states, or stay where it is, is pressed less often."""
BESIDE = 0.3
"""So is what is open everywhere and leads nowhere: who was told what, which suspect stands where."""


EDGES = {
    flow.hash: {(source, b.state or source) for move in flow.moves.values() for source in move.sources for b in move.to}
    for flow in FLOWS.values()
}


def edges(flow: Workflow) -> set[tuple[str, str]]:
    return EDGES[flow.hash]


def a_form(story: Story, who: Actor, move: Move, dice: Random) -> dict[str, Any] | None:
    """Answers that this move takes just now; None where there are none (no free officer, no open action)."""
    form: dict[str, Any] = {}
    optional = [name for name in move.may_ask if name in ALWAYS or dice.random() < 0.5]
    for name in (*move.asks, *optional):
        value = a_guest(story, who, move, dice) if name == "guest" else an_answer(story, move, name, dice)
        if value is None and name in move.asks:
            return None
        if value is not None:
            form |= value if isinstance(value, dict) and name == "risk_tool" else {name: value}
    return {name: value for name, value in form.items() if name in (*move.asks, *move.may_ask)}


ALWAYS = ("suspect", "override", "note", "marac_reason", "victim_supports", "evidence_led_done", "outcome_rationale")
ALWAYS += ("guest_role", "guest_to")
"""Optional answers that some other answer may ask for."""


def an_answer(story: Story, move: Move, name: str, dice: Random) -> Any:
    flow, case = story.workflow, story.case
    field = flow.fields[name]
    if name in OWN_ANSWERS:
        return OWN_ANSWERS[name](story, dice)
    if name == "risk_level" and move.id == "raise_level":
        return "medium" if case.risk_level == "high" else "high"
    if field.kind == "checks":
        return {option.value: dice.choice(["yes", "not_applicable"]) for option in field.options}
    options = list(options_of(flow, field))
    return dice.choice(options).value if options else BY_KIND.get(field.kind, "text")


def a_choice(dice: Random, among: Iterable[str]) -> str | None:
    found = list(among)
    return dice.choice(found) if found else None


def at_large(story: Story) -> list[Suspect]:
    return [suspect for suspect in story.case.suspects.values() if suspect.status != "arrested"]


def a_suspects_next(story: Story, dice: Random) -> str | None:
    """A step that every suspect may take who may be chosen here."""
    statuses = {suspect.status for suspect in at_large(story)}
    steps = [set(story.workflow.suspect_states[status].to) - {"arrested"} for status in statuses]
    return a_choice(dice, sorted(set.intersection(*steps))) if steps else None


def an_open_referral(story: Story, dice: Random) -> str | None:
    """One that everybody may answer to whom the move is offered: the advocate's own, where there is one."""
    made = story.case.referrals.values()
    theirs = [one for one in made if one.partner in ADVOCATE.units]
    return a_choice(dice, (one.id for one in theirs or made if not one.result and not one.received_at))


def a_guest(story: Story, who: Actor, move: Move, dice: Random) -> str | None:
    """Whom this move may be about when this person makes it."""
    side = "victim" if who is THE_VICTIM else "officer"
    fit: dict[str, Callable[[Guest], Any]] = {
        "admit_guest": lambda guest: guest.arrived_at,
        "refuse_guest": lambda guest: guest.arrived_at and not guest.admitted_at,
        "let_guest_back": lambda guest: not guest.held_by or side in guest.held_by,
    }
    guests = story.case.session.live_guests if story.case.session else []
    return a_choice(dice, (guest.id for guest in guests if fit.get(move.id, bool)(guest)))


def a_partner(story: Story, dice: Random) -> str | None:
    return a_choice(dice, (p.id for p in story.workflow.force.partners_for(story.case.details.get("lpa", ""))))


def a_candidate(story: Story, dice: Random) -> str | None:
    case = story.case
    known = {case.victim_id, case.suspect_id, *case.not_the_same}
    return a_choice(dice, (f"{c.role}:{c.person_id}" for c in story.universe.candidates if c.person_id not in known))


def some_answers(story: Story, dice: Random) -> dict[str, str]:
    criteria = story.workflow.criteria
    if dice.random() < 0.8:
        return {criterion.id: criterion.met for criterion in criteria.values()}
    return {dice.choice(list(criteria)): dice.choice(["no", "unknown", "refused"])}


OWN_ANSWERS: dict[str, Callable[[Story, Random], Any]] = {
    "risk_tool": lambda story, dice: risk(
        "high", "Why", **dice.choice([{}, {"weapons": "yes"}, {"weapons": "refused"}])
    ),
    "risk_answers": lambda story, dice: risk("high")["risk_answers"],
    "officer": lambda story, dice: a_choice(
        dice, (o.id for o in story.universe.officers.values() if o.free and o.id not in story.case.conflicts)
    ),
    "link": lambda story, dice: (story.case.session and story.case.session.link) or None,
    "consent_answer": lambda story, dice: dice.choice(["given", "given", "given", "refused"]),
    "answers": lambda story, dice: dice.choice(
        [{c.id: c.met for c in story.workflow.criteria.values()}] * 4
        + [{dice.choice(list(story.workflow.criteria)): "no"}]
    ),
    "action": lambda story, dice: a_choice(dice, (a.id for a in story.case.actions.values() if not a.result)),
    "due_at": lambda story, dice: iso(story.universe.wall + timedelta(days=1)),
    "outcome_on": lambda story, dice: story.universe.wall.date().isoformat(),
    "appointment_at": lambda story, dice: iso(story.universe.wall + timedelta(minutes=dice.choice([5, 50, 500]))),
    "hand_back_reason": lambda story, dice: dice.choice(
        ["no_officer_free", "own_conflict", *(["officer_conflict"] if story.case.engaged else [])]
    ),
    "response_grade": lambda story, dice: dice.choice(list(story.workflow.force.response_grades)[:2]),
    "candidate": a_candidate,
    "live_order": lambda story, dice: a_choice(dice, (order.id for order in story.universe.orders)),
    "partner": a_partner,
    "referral": an_open_referral,
    "suspect": lambda story, dice: a_choice(
        dice, (s.id for s in story.case.suspects.values() if s.status != "arrested")
    ),
    "suspect_status": a_suspects_next,
    "guest_contact": lambda story, dice: None,
    "away_since": lambda story, dice: iso(story.universe.wall),
}
AT = "2026-11-22T21:18:04Z"
BY_KIND: dict[str, Any] = {
    "phone": "07700 900123",
    "reach": "07700 900111",
    "date": "1990-01-31",
    "datetime": AT,
    "flag": True,
}


def weight(flow: Workflow, move: str) -> float:
    beside = len(flow.moves[move].sources) > len(flow.states) // 2 and not any(b.state for b in flow.moves[move].to)
    return WEIGHTS.get(move, BESIDE if beside else 3)


def everybody(story: Story) -> list[Actor]:
    """Guests by link act, too: those who were asked in, whether they have a seat or not."""
    guests = story.case.session.guests if story.case.session else {}
    return [*EVERYBODY, *map(actor_of, guests)]


def press_what_is_offered(story: Story, dice: Random) -> None:
    """What a screen offers the door accepts, with any valid form."""
    offered = [(who, move) for who in everybody(story) for move in sorted(story.may(who))]
    who, move_id = dice.choices(offered, [weight(story.workflow, move) for _, move in offered])[0]
    move = story.workflow.moves[move_id]
    form = a_form(story, who, move, dice)
    if form is None:
        return
    before = story.case.state
    story.does(who, move_id, **form)
    assert (before, story.case.state) in edges(story.workflow)
    assert all(event.by == who.id and event.by_role in move.who for event in story.last)


def press_anything(story: Story, dice: Random) -> None:
    """What a screen does not offer the door refuses, and says why."""
    who, move = dice.choice(everybody(story)), dice.choice(list(story.workflow.moves.values()))
    if move.id in story.may(who):
        return
    with pytest.raises((Refused, Forbidden)) as refused:
        story.does(who, move.id, **(a_form(story, who, move, dice) or {}))
    assert refused.value.reasons
    theirs = who.roles & set(move.who) and refused.value.reasons[0].code not in ("not-your-case", "conflict-declared")
    assert isinstance(refused.value, Forbidden) == (not theirs)


def let_time_pass(story: Story, dice: Random) -> None:
    before = story.case.state
    story.waits(dice.choice(PAUSES_S))
    states = [before, *(event.state for event in story.last)]
    assert {pair for pair in itertools.pairwise(states) if pair[0] != pair[1]} <= edges(story.workflow)
    assert all(event.by_role == "bot" for event in story.last)


def holds(story: Story, emergency_before: bool) -> None:
    case, flow = story.case, story.workflow
    state = flow.states[case.state]
    if state.open:
        assert state.owner
        assert any(flow.clocks[clock].thresholds for clock in case.clocks), f"nothing watches {case.state}"
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
    case = Case(story.case.id)
    for event in story.log:
        before, case = case, apply(case, event)
        assert names_people(event) or recognised_by(case) == recognised_by(before), f"{event.type} names somebody"
        assert moves_clocks(event) or case.clocks == before.clocks, f"{event.type} moves a clock"
    danger = emergency = False
    for event in story.log:
        if isinstance(event.fact, e.EligibilityDecided):
            danger = event.fact.way_out == "emergency"
        if event.type in ("EmergencyDispatched", "EmergencyStoodDown", "OfficerAttended"):
            emergency = event.type == "EmergencyDispatched"
        waits = event.type == "DeploymentRequested" and event.by_role != "bot"
        assert not (danger and not emergency and waits), "a wait for danger"
    assert through_the_store(story.log) == story.log


def recognised_by(case: Case) -> tuple[Any, ...]:
    """What the blind index of people is made of."""
    return case.details, case.personal, case.victim_id, case.suspect_id


STEPS = (press_what_is_offered,) * 6 + (press_anything, let_time_pass)


def a_universe() -> Universe:
    """With people who were seen before: twice as this pair, and the suspect once with another victim."""
    seen = iso(START - timedelta(days=30))
    past = [PastCase(f"past-{n}", f"PA-{n}", seen, "vera", "sid", "medium", "closed") for n in (1, 2)]
    past.append(PastCase("past-3", "PA-3", seen, "vanda", "sid", "high", "allocated"))
    candidates = (Candidate("victim", "vera", ("phone",), ()), Candidate("suspect", "sid", ("name_dob",), ()))
    return Universe(history=tuple(past), candidates=candidates, orders=(Order("order-1", kind="dvpn"),))


def walk(story: Story, seeds: list[int]) -> None:
    for seed in seeds:
        dice, emergency = Random(seed), story.case.emergency
        dice.choice(STEPS)(story, dice)
        holds(story, emergency)
        if not any(story.may(who) for who in EVERYBODY):
            break
    held_at_the_end(story)


SEEDS = st.lists(st.integers(0, 2**32 - 1), min_size=50, max_size=50)
STARTS = [state.id for state in FLOWS["da-desk"].states.values() if not state.ended]


@pytest.mark.timeout(600)
@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(seeds=SEEDS, start=st.sampled_from(STARTS))
def test_no_walk_leaves_the_table_and_every_open_case_is_owned_and_watched(seeds: list[int], start: str) -> None:
    walk(a_case(start, a_universe()), seeds)


@pytest.mark.timeout(300)
@settings(max_examples=200, deadline=None)
@given(seeds=SEEDS)
def test_nor_does_a_crime_report(seeds: list[int]) -> None:
    walk(Story(a_universe(), FLOWS["crime-report"]).opens(SERGEANT), seeds)


@pytest.mark.timeout(300)
@settings(max_examples=200, deadline=None)
@given(seeds=SEEDS)
def test_nor_a_case_of_another_force(seeds: list[int]) -> None:
    walk(Story(a_universe(), FLOWS["kent-like"]).opens(lpa="north"), seeds)


@pytest.mark.parametrize("state", list(FLOWS["da-desk"].states))
def test_what_is_offered_and_what_is_accepted_are_the_same_in_every_state(state: str) -> None:
    """Everybody tries every move, with a form that it takes."""
    usual = a_case(state, a_universe())
    for who in EVERYBODY:
        allowed = usual.may(who)
        for move in usual.workflow.moves.values():
            story = usual.branch()
            form = a_form(story, who, move, Random(1))
            if move.id not in allowed:
                with pytest.raises((Refused, Forbidden)):
                    story.does(who, move.id, **(form or {}))
            elif form is not None:
                story.does(who, move.id, **form)
