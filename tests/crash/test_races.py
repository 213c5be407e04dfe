"""Many at once: one command has one effect, one version one winner, and every history could have been told in turn."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import asdict
from typing import Any, NamedTuple

import pytest

from tests.builders import HANDLER
from tests.builders import OPENING as FORM
from tests.crash import children
from tests.crash.children import Asked, at_work, carry_out, opens
from tests.crash.soundness import is_sound
from tests.serving import OPENING, Answer, Client, Served, served
from tests.store.builders import Place

MANY = 64
PROCESSES = 3
STARTING_S = 5.0
"""How long three processes may take until all of them are ready."""


# --- Over HTTP, at one desk --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("races") / "data") as running:
        yield running


def at_once(client: Client, path: str, bodies: list[dict[str, Any]]) -> list[Answer]:
    """All of these posted together, each by a client of its own with the same sign-in."""
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: copy(client).call("POST", path, body), bodies))


def test_many_that_send_the_same_command_get_the_same_answer_and_it_has_one_effect(desk: Served) -> None:
    handler = desk.client("handler")
    answers = at_once(handler, "cases", [{"command_id": str(uuid.uuid4()), "form": OPENING}] * MANY)
    assert {answer.status for answer in answers} == {201}
    assert all(answer.body == answers[0].body for answer in answers)
    case = answers[0].body["id"]
    moved = {"command_id": str(uuid.uuid4()), "form": {"address": "2 Example Street, Birmingham"}}
    answers = at_once(handler, f"cases/{case}/moves/correct_details", [moved] * MANY)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["version"] for answer in answers}) == 1
    events = handler.call("GET", f"cases/{case}/events").body["events"]
    assert [event["type"] for event in events] == ["CaseOpened", "DetailsRecorded"]


def test_of_many_who_saw_the_same_version_one_wins_and_the_others_are_told(desk: Served) -> None:
    handler = desk.client("handler")
    opened = handler.open_case().body
    bodies = [
        {"command_id": str(uuid.uuid4()), "expected_version": opened["version"], "form": {"address": f"{n} Example St"}}
        for n in range(MANY)
    ]
    answers = at_once(handler, f"cases/{opened['id']}/moves/correct_details", bodies)
    assert Counter(answer.status for answer in answers) == {200: 1, 409: MANY - 1}
    assert {answer.body["version"] for answer in answers} == {opened["version"] + 1}
    assert {answer.body["reasons"][0]["code"] for answer in answers if answer.status == 409} == {"stale"}


# --- In several processes on one store ---------------------------------------------------------------------------


async def a_case(place: Place) -> tuple[str, int]:
    """A case, and its version."""
    async with at_work(place) as desk:
        case = (await carry_out(desk, opens(str(uuid.uuid4())))).case
        return case.id, case.version


def in_processes(work: str, place: Place, told: Iterable[dict[str, Any]]) -> list[list[Any]]:
    """Lets one process for each of these work, all from one moment on; what they said."""
    begins = time.monotonic() + STARTING_S
    with contextlib.ExitStack() as stack:
        alive = [stack.enter_context(children.at(work, place, begins=begins, **one)) for one in told]
        assert [child.ends() for child in alive] == [0] * len(alive)
    return [line for child in alive for line in child.said]


def race(place: Place, asked: list[Asked]) -> list[list[Any]]:
    """The answers to all of these, sent by several processes at once."""
    told = ({"asked": [asdict(one) for one in asked[number::PROCESSES]]} for number in range(PROCESSES))
    answers = [line for line in in_processes("together", place, told) if line[0] != "asked"]
    assert len(answers) == len(asked)
    return answers


def test_the_same_command_through_several_processes_has_one_effect_and_one_answer(place: Place) -> None:
    asyncio.run(a_case(place))  # the store is made
    answers = race(place, [opens("the same")] * MANY)
    assert len({tuple(answer) for answer in answers}) == 1
    assert answers[0][0] == "done"
    asyncio.run(is_sound(place, ["the same"]))


def test_the_same_version_in_several_processes_has_one_winner(place: Place) -> None:
    case, version = asyncio.run(a_case(place))
    forms = [{"address": f"{number} Example Street"} for number in range(MANY)]
    asked = [Asked(form["address"], HANDLER.id, "correct_details", case, form, version) for form in forms]
    answers = race(place, asked)
    assert Counter((answer[0], answer[2] if answer[0] == "refused" else "") for answer in answers) == {
        ("done", ""): 1,
        ("refused", "stale"): MANY - 1,
    }
    asyncio.run(is_sound(place, [answer[1] for answer in answers if answer[0] == "done"]))


# --- Histories ---------------------------------------------------------------------------------------------------


class Act(NamedTuple):
    """What a client did to a case, and what it saw: when by a clock that all processes share."""

    case: str
    what: str
    began: int
    ended: int
    version: int
    """After a write; at a look; as a refusal told it."""
    expected: int | None
    address: str


def faults_of(acts: list[Act], start: int) -> list[str]:
    """Why the acts on one case cannot have happened one after the other; empty when they can.

    The version says in which order: each write behind the one before, each look behind the write that it saw. What is
    left to check is that every act did what it must at its place, and that none stands before one that had ended when
    it began.
    """
    writes = sorted((act for act in acts if act.what == "wrote"), key=lambda act: act.version)
    before = dict(zip([act.version for act in writes], [start, *(act.version for act in writes)], strict=False))
    address = {start: FORM["address"]} | {act.version: act.address for act in writes}
    faults = []
    if len(before) < len(writes):
        faults.append("two writes made one version")
    for act in acts:
        if act.what == "wrote" and act.expected not in (None, before[act.version]):
            faults.append(f"a write on {act.expected} came behind {before[act.version]}: {act}")
        if act.what == "looked" and address.get(act.version) != act.address:
            faults.append(f"nobody wrote what was seen: {act}")
        if act.what == "stale" and (act.version == act.expected or act.version not in address):
            faults.append(f"refused without need: {act}")
    ended, latest = sorted(acts, key=lambda act: act.ended), start
    for act in sorted(acts, key=lambda act: act.began):
        while ended and ended[0].ended < act.began:
            latest = max(latest, ended.pop(0).version)
        if act.version < latest or (act.what == "wrote" and act.version == latest):
            faults.append(f"{latest} was there before: {act}")
    return faults


def test_a_history_that_cannot_be_told_in_turn_is_found() -> None:
    def act(what: str, began: int, ended: int, version: int, address: str = "", expected: int | None = None) -> Act:
        return Act("", what, began, ended, version, expected, address)

    fine = [act("wrote", 0, 5, 2, "x"), act("looked", 1, 3, 1, FORM["address"]), act("looked", 2, 4, 2, "x")]
    assert faults_of([*fine, act("wrote", 3, 8, 3, "y", 2), act("stale", 6, 9, 3, expected=2)], 1) == []
    for wrong in (
        act("looked", 6, 7, 1, FORM["address"]),  # an old value after a new one was acknowledged
        act("looked", 3, 7, 2, "y"),  # what nobody wrote
        act("wrote", 3, 7, 3, "y", 1),  # over a version that was gone
        act("wrote", 3, 7, 2, "y"),  # a version for the second time
        act("stale", 3, 7, 2, expected=2),  # refused though it was right
    ):
        assert faults_of([*fine, wrong], 1) != [], wrong


def histories(place: Place, *, cases: int, clients: int, times: int) -> dict[str, Any]:
    """Random clients in several processes on few cases; every fault of what they saw."""
    made = dict(asyncio.run(a_case(place)) for _ in range(cases))
    told = ({"name": f"p{n}", "cases": list(made), "clients": clients, "times": times} for n in range(PROCESSES))
    by_case: dict[str, list[Act]] = defaultdict(list)
    for _, *line in in_processes("history", place, told):
        by_case[line[0]].append(Act(*line))
    acts = [act for of_case in by_case.values() for act in of_case]
    faults = [fault for case, of_case in by_case.items() for fault in faults_of(of_case, made[case])]
    asyncio.run(is_sound(place, [act.address for act in acts if act.what == "wrote"]))
    return {
        "processes": PROCESSES,
        "clients": clients * PROCESSES,
        "acts": dict(Counter(act.what for act in acts)),
        "faults": faults,
    }


@pytest.mark.slow
def test_every_history_of_a_case_could_have_been_told_one_act_after_the_other(place: Place) -> None:
    told = histories(place, cases=3, clients=8, times=25)
    assert told["faults"] == []
    assert all(told["acts"][what] > 50 for what in ("looked", "wrote", "stale"))
