"""How fast the core decides, on one core of this machine: `python3 run.py bench core [--days N] [--seed N]`.

One move, decided and applied; the replay of a case of sixty events; a year of the West Midlands' contacts under a
virtual clock. Beside them the floor: what a bare trigger of `transitions` costs in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter, perf_counter_ns
from typing import Any

from rvr.core import decide
from rvr.core import events as e
from rvr.core.case import Case, fold
from rvr.core.commands import MakeMove
from rvr.core.roster import Officer
from rvr.core.workflow import Workflow
from rvr.definitions import Definitions, load
from rvr.rehearsal import Rehearsal, Universe
from rvr.rehearsal.scenarios import example

WORKFLOWS = Path(__file__).parents[2] / "workflows"

CONTACTS_A_DAY = 190
ELIGIBLE, CONSENTING, OFFICER_FREE = 0.24, 0.75, 0.92
"""Of all contacts, of those, and of those again: the rest are answered by officers in person."""

Step = tuple[float, str, str, dict[str, Any]]
"""Seconds until it, role, move, form."""


FORMS: dict[str, dict[str, object]] = {}
"""The opening form of each workflow, made once."""


def opening(flow: Workflow) -> dict[str, object]:
    if flow.hash not in FORMS:
        FORMS[flow.hash] = example(flow)
    return FORMS[flow.hash]


# --- A day's contacts --------------------------------------------------------------------------------------------


def contact(rehearsal: Rehearsal, dice: Random) -> None:
    """One contact from the call to allocation: by video where that is offered and wanted, otherwise in person."""
    flow, universe = rehearsal.workflow, rehearsal.universe
    eligible = dice.random() < ELIGIBLE
    consenting = eligible and dice.random() < CONSENTING
    free = consenting and dice.random() < OFFICER_FREE
    officers_are(universe, case="" if free else "another")
    lpa = dice.choice(list(flow.force.areas))
    form = opening(flow) | {"lpa": lpa, "address": "1 Example Street", "safe_to_text": "yes"}
    rehearsal.open_case(universe.person("call_handler"), form)
    level = dice.choices(("standard", "medium", "high"), (5, 3, 2))[0]
    steps = [*screening(flow, dice, eligible), *(agreement(consenting) if eligible else [])]
    steps += video(dice) if free else in_person(dice, offered=consenting)
    for after_s, role, move, answers in (*steps, *decision(rehearsal, lpa, level)):
        for _ in rehearsal.pass_until(universe.wall + timedelta(seconds=after_s)):
            pass
        if move == "assign_officer":
            officers_are(universe, case="")
        if move == "open_link":
            assert rehearsal.case.session is not None
            answers = {"link": rehearsal.case.session.link}
        rehearsal.make(universe.person(role), move, answers)


def officers_are(universe: Universe, case: str) -> None:
    """Two are on duty, both free or both with another case."""
    universe.officers = {id_: Officer(id_, 1, "on", case) for id_ in ("officer", "officer 2")}


def screening(flow: Workflow, dice: Random, eligible: bool) -> Iterator[Step]:
    failed = dice.choice([one for one in flow.criteria.values() if one.hard])
    answers = {one.id: one.met for one in flow.criteria.values()} | ({} if eligible else {failed.id: "no"})
    yield 90, "call_handler", "answer_criteria", {"answers": answers}
    if not eligible and failed.way_out == "emergency":
        yield 10, "call_handler", "dispatch_emergency", {}


def agreement(consenting: bool) -> Iterator[Step]:
    form = {"consent_kind": "video", "consent_answer": "given" if consenting else "refused"}
    yield 30, "call_handler", "record_consent", form


def video(dice: Random) -> Iterator[Step]:
    yield 20, "call_handler", "offer_handover", {"note": "Left by the back door"}
    yield dice.expovariate(1 / 90), "sergeant", "accept_handover", {}
    yield 20, "sergeant", "assign_officer", {"officer": "officer"}
    yield 20, "officer", "send_link", {}
    yield 30, "victim", "open_link", {}
    yield 5, "media", "victim_connected", {}
    yield 5, "media", "officer_connected", {}
    yield 1, "media", "two_way_video", {}
    if dice.random() < 0.3:
        yield 300, "media", "interrupt_video", {"side": "victim", "cause": "silent"}
        yield 20, "media", "resume_video", {}
    yield 120, "officer", "confirm_safety", {"alone": "yes", "place_verified": "yes"}
    yield 1500, "officer", "end_session", {"end_reason": "completed"}


def in_person(dice: Random, *, offered: bool) -> Iterator[Step]:
    if offered:
        yield 20, "call_handler", "offer_handover", {}
        yield 60, "sergeant", "decline_handover", {"decline_reason": "no_officer_free"}
    grade = dice.choices(("immediate", "priority", "other"), (3, 5, 2))[0]
    form = {"response_grade": grade, "deployment_reason": "prefers_in_person"}
    yield 30, "call_handler", "request_deployment", form
    yield {"immediate": 600, "priority": 2400, "other": 20_000}[grade], "resourcing", "record_attendance", {}
    yield 600, "sergeant", "assign_officer", {"officer": "officer"}


def decision(rehearsal: Rehearsal, lpa: str, level: str) -> Iterator[Step]:
    answers = {question.id: "no" for question in rehearsal.workflow.instruments["dash"].questions}
    risk = {"risk_tool": "dash", "risk_answers": answers, "risk_level": level}
    yield 300, "officer", "assess_risk", risk
    yield 60, "officer", "plan_safeguarding", {"action_kind": "safety_plan", "action_owner": "PC Example"}
    yield 300, "officer", "submit_for_review", {}
    team = "ppu" if level == "high" else f"lpa-{lpa}"
    yield 900, "sergeant", "allocate", {"team": team, "override": "Known to this team"}


def year(defined: Definitions, dice: Random, days: int) -> Iterator[Rehearsal]:
    """Each contact in turn, on its own clock."""
    flow = defined.workflows["da-desk"]
    universe = Universe(force=flow.force)
    start = universe.wall
    for number in range(days * CONTACTS_A_DAY):
        at = start + timedelta(days=number / CONTACTS_A_DAY)
        universe = Universe(wall=at, force=flow.force)
        rehearsal = Rehearsal(universe, flow, Case(str(number)))
        contact(rehearsal, dice)
        yield rehearsal


# --- What is measured --------------------------------------------------------------------------------------------


class Noted(Rehearsal):
    """Keeps what every move was decided from, so that it can be decided again under the stopwatch."""

    calls: list[Callable[[], object]]

    def make(self, who: Any, move: str, form: Any) -> Any:
        at, basis, command = self.universe.at, self.universe.basis(), MakeMove("move", self.case.id, move, form)
        self.calls.append(partial(decide.decide_move, self.case, command, self.workflow, by=who, at=at, basis=basis))
        return super().make(who, move, form)


def moves(defined: Definitions, seed: int) -> list[Callable[[], object]]:
    """The moves of two days' contacts."""
    dice, flow = Random(seed), defined.workflows["da-desk"]
    calls: list[Callable[[], object]] = []
    for _ in range(2 * CONTACTS_A_DAY):
        rehearsal = Noted(Universe(force=flow.force), flow)
        rehearsal.calls = calls
        contact(rehearsal, dice)
    return calls


def long_case(defined: Definitions, length: int) -> list[e.Recorded]:
    """A video case with as many attempts and details as make it this long."""
    flow = defined.workflows["da-desk"]
    rehearsal = Rehearsal(Universe(force=flow.force), flow)
    contact(rehearsal, Random(next(seed for seed in range(1000) if _is_video(seed))))
    events = [event for happening in rehearsal.happened for event in happening.events]
    while len(events) < length:
        form = {"attempt_result": "no_answer"}
        events += rehearsal.make(rehearsal.universe.person("sergeant"), "record_contact_attempt", form).events
    return [
        e.Recorded(event, "case/1", number, number, str(uuid.uuid4()), "c", "wmp", event.at.at)
        for number, event in enumerate(events[:length], 1)
    ]


def _is_video(seed: int) -> bool:
    dice = Random(seed)
    return all(dice.random() < share for share in (ELIGIBLE, CONSENTING, OFFICER_FREE))


def bare_trigger(flow: Workflow) -> Callable[[], object]:
    """What `transitions` itself takes for one move of a throw-away model."""
    machine = flow.table

    class Cursor:
        state: str
        trigger: Callable[[str], bool]

    def once() -> None:
        cursor = Cursor()
        machine.add_model(cursor, initial="call_taking")
        cursor.trigger("offer_handover")
        machine.remove_model(cursor)

    return once


def median_us(calls: list[Callable[[], object]], rounds: int) -> float:
    """The median of single calls, in microseconds."""
    taken = []
    for _ in range(rounds):
        for call in calls:
            start = perf_counter_ns()
            call()
            taken.append(perf_counter_ns() - start)
    return statistics.median(taken) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench core", description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    defined = load(WORKFLOWS, "wmp")
    flow = defined.workflows["da-desk"]
    calls, log = moves(defined, given.seed), long_case(defined, 60)
    floor_us = median_us([bare_trigger(flow)], 5000)
    move_us = median_us(calls, 3)
    replay_us = median_us([partial(fold, "1", log)], 500)
    tell(f"one move, decided and applied (median of {len(calls)} moves)", f"{move_us:.0f} us", "60 us")
    tell("bare trigger of transitions (median)", f"{floor_us:.0f} us", f"a move is {move_us / floor_us:.1f} times that")
    tell(f"replay of a case of {len(log)} events (median)", f"{replay_us / 1000:.2f} ms", "1 ms")
    start, cases, decided, events = perf_counter(), 0, 0, 0
    for rehearsal in year(defined, Random(given.seed), given.days):
        cases += 1
        decided += len(rehearsal.happened)
        events += sum(len(one.events) for one in rehearsal.happened)
    took_s = perf_counter() - start
    tell(f"{given.days} days of the West Midlands, on one core", f"{took_s:.1f} s", f"{60 * given.days / 365:.0f} s")
    tell(f"  {cases} contacts, {decided} decisions, {events} events", f"{took_s / decided * 1e6:.0f} us each", "")


def tell(what: str, figure: str, aim: str) -> None:
    sys.stdout.write(f"{what:<60} {figure:>12}   {aim}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
