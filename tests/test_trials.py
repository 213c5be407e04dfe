"""A trial at the one door: who registers it, and that no two cases take one place, on either engine."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rvr.core import events as e
from rvr.core import trial as t
from rvr.core.commands import Actor, MakeMove, OpenCase, RegisterTrial, SetDuty, StopTrial
from rvr.core.errors import Forbidden, NotFound, Refused
from rvr.definitions import Definitions
from rvr.desk import Desk, Outcome
from rvr.realtime import Hub
from rvr.store import Store
from rvr.store.statements import put
from rvr.store.tables import AccountRow
from tests.builders import HANDLER, INSPECTOR, OFFICER, OPENING, SERGEANT, all_met, person, shipped
from tests.places import empty_place
from tests.store.builders import Clock, Place
from tests.trials import SECRET, trial_on

EVALUATOR = person("eve", "evaluator")
TRIAL = "rapid-video"
STRATA = ("female-ipv", "male-other")


@dataclass
class Running:
    """A desk with a trial, as one of several on its store."""

    store: Store
    desk: Desk

    async def does(self, who: Actor, case: str, move: str, **form: Any) -> Outcome:
        return await self.desk.handle(MakeMove(str(uuid.uuid4()), case, move, form), who)

    async def a_case(self, sex: str = "female", relationship: str = "partner") -> str:
        """Eligible, and agreed."""
        case = await self.opened(sex, relationship)
        await self.ready(case)
        return case

    async def opened(self, sex: str = "female", relationship: str = "partner") -> str:
        form = dict(OPENING) | {"victim_sex": sex, "relationship": relationship}
        return (await self.desk.handle(OpenCase(str(uuid.uuid4()), form), HANDLER)).case.id

    async def ready(self, case: str) -> None:
        await self.does(HANDLER, case, "answer_criteria", **all_met())
        for kind in ("video", "evaluation"):
            await self.does(HANDLER, case, "record_consent", consent_kind=kind, consent_answer="given")

    async def registered(self, secret: bytes = SECRET, trial: str = TRIAL) -> None:
        await self.desk.handle(RegisterTrial(str(uuid.uuid4()), trial, t.commitment(secret)), EVALUATOR)

    async def draw(self, case: str) -> e.ArmAllocated:
        drawn = (await self.does(HANDLER, case, "draw_arm")).case.draw
        assert isinstance(drawn, e.ArmAllocated)
        return drawn


def on_duty(officers: int) -> list[Actor]:
    """So many officers: one for each case that is drawn, for whom an arm may offer is not free for the next."""
    return [OFFICER, *(person(f"olu{n}", "officer") for n in range(1, officers))]


@contextlib.asynccontextmanager
async def desks(
    place: Place,
    how_many: int,
    *,
    secret: bytes | None = SECRET,
    definitions: Definitions | None = None,
    officers: int = 1,
) -> AsyncIterator[Sequence[Running]]:
    """So many desks on one store, as so many processes have them, and so many officers on duty. `definitions`: with
    the shipped trial on."""
    clock = Clock()
    async with contextlib.AsyncExitStack() as opened:
        running = []
        for _ in range(how_many):
            store = place.store(clock)
            await store.start()
            opened.push_async_callback(store.close)
            desk = Desk(
                store,
                definitions or trial_on(),
                Hub(),
                observe=clock,
                join_url="https://j.test",
                link_text="{link}",
                new_id=lambda: str(uuid.uuid4()),
                trial_secret=secret,
            )
            await desk.start()
            running.append(Running(store, desk))
        for officer in on_duty(officers):
            row = AccountRow(id=officer.id, username=officer.id, name="Olu", roles=["officer"], password_hash="")
            await running[0].store.write(lambda connection, row=row: put(connection, row))
            await running[0].desk.handle(SetDuty(str(uuid.uuid4()), officer.id, "on"), officer)
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return empty_place(request, tmp_path)


async def test_two_desks_that_draw_at_once_never_take_the_same_place(place: Place) -> None:
    """Twelve cases of two strata, all drawn in the same moment, half of them at each of two desks."""
    async with desks(place, 2, officers=12) as (one, other):
        await one.registered()
        cases = [await one.a_case(*of) for of in (("female", "partner"), ("male", "relative")) for _ in range(6)]
        drawn = await asyncio.gather(*((one, other)[n % 2].draw(case) for n, case in enumerate(cases)))
        design = trial_on().workflows["da-desk"].trial
        assert design is not None
        for stratum in STRATA:
            places = sorted(arm.place for arm in drawn if arm.stratum == stratum)
            assert places == [1, 2, 3, 4, 5, 6]
            taken = await one.store.load(f"trial/{TRIAL}/{stratum}")
            by_case = dict(zip(cases, drawn, strict=True))
            for recorded in taken:
                assert isinstance(recorded.event.fact, e.PlaceTaken)
                assert by_case[recorded.event.fact.case].place == recorded.version
        assert all(arm.arm == t.arm_at(design, SECRET, arm.stratum, arm.place) for arm in drawn)
        assert await one.store.verify() == []


async def test_an_officer_who_is_free_is_counted_for_one_draw(place: Place) -> None:
    """From its draw on a case with the arm of video needs the officer who was free for it, until that is settled."""
    async with desks(place, 1) as (one,):
        await one.registered()
        first, arm = "", ""
        while arm != "video":
            first = await one.a_case()
            arm = (await one.draw(first)).arm  # the other arm needs no officer: the next case is drawn likewise
        second, third, fourth = [await one.a_case() for _ in range(3)]
        noted, outside = (await one.does(HANDLER, second, "draw_arm")).recorded
        assert isinstance(noted.event.fact, e.CapacityNoted)
        assert (noted.event.fact.free, noted.event.fact.queue) == (1, 1)
        assert outside.event.fact == e.NotRandomised(trial=TRIAL, reason="no_capacity")
        await one.does(HANDLER, first, "offer_handover")
        assert (await one.does(HANDLER, third, "draw_arm")).case.draw == outside.event.fact, "it is offered now"
        await one.does(HANDLER, first, "withdraw_handover", withdraw_reason="prefers_in_person")
        assert isinstance((await one.does(HANDLER, fourth, "draw_arm")).case.draw, e.ArmAllocated)


@pytest.mark.parametrize(
    ("move", "form"),
    [
        ("override_arm", {"override_reason": "danger"}),
        ("request_deployment", {"response_grade": "priority", "deployment_reason": "prefers_in_person"}),
    ],
)
async def test_whom_the_trial_lets_go_waits_for_no_officer(tmp_path: Path, move: str, form: dict[str, str]) -> None:
    async with desks(Place(tmp_path / "data", tmp_path / "keys" / "keys.json"), 1) as (one,):
        await one.registered()
        case = await one.a_case()
        while (await one.draw(case)).arm != "video":
            case = await one.a_case()
        await one.does(HANDLER, case, move, **form)
        assert isinstance(await one.draw(await one.a_case()), e.ArmAllocated)


async def test_the_same_draw_sent_again_takes_no_second_place(place: Place) -> None:
    async with desks(place, 1) as (one,):
        await one.registered()
        case = await one.a_case()
        command = MakeMove(str(uuid.uuid4()), case, "draw_arm", {})
        first = await one.desk.handle(command, HANDLER)
        again = await one.desk.handle(command, HANDLER)
        assert again.repeated
        assert again.case.draw == first.case.draw
        assert len(await one.store.load(f"trial/{TRIAL}/female-ipv")) == 1


async def test_the_evaluator_registers_it_once_and_nobody_else_can(tmp_path: Path) -> None:
    place = Place(tmp_path / "data", tmp_path / "keys" / "keys.json")
    async with desks(place, 1) as (one,):
        case = await one.a_case()
        with pytest.raises(Refused) as refused:
            await one.draw(case)
        assert [reason.code for reason in refused.value.reasons] == ["trial-not-registered"]
        with pytest.raises(Forbidden):
            await one.desk.handle(RegisterTrial(str(uuid.uuid4()), TRIAL, "0" * 64), SERGEANT)
        with pytest.raises(Refused, match="trial-commitment"):
            await one.desk.handle(RegisterTrial(str(uuid.uuid4()), TRIAL, "not a hash"), EVALUATOR)
        with pytest.raises(NotFound):
            await one.desk.handle(RegisterTrial(str(uuid.uuid4()), "another", "0" * 64), EVALUATOR)
        await one.registered()
        with pytest.raises(Refused, match="trial-registered"):
            await one.registered(bytes(32))
        (told,) = [recorded.event.fact for recorded in await one.store.load(f"trial/{TRIAL}")]
        assert isinstance(told, e.TrialRegistered)
        assert told.commitment == t.commitment(SECRET)
        with pytest.raises(Refused, match="trial-not-read"):  # what the victim agreed to before told of no lot
            await one.draw(case)
        await one.does(HANDLER, case, "record_consent", consent_kind="evaluation", consent_answer="given")
        await one.draw(case)


async def test_a_stopped_trial_draws_no_more_and_the_desk_goes_on(tmp_path: Path) -> None:
    place = Place(tmp_path / "data", tmp_path / "keys" / "keys.json")
    async with desks(place, 1) as (one,):
        await one.registered()
        case = await one.a_case()
        with pytest.raises(Refused, match="trial-stop-reason"):
            await one.desk.handle(StopTrial(str(uuid.uuid4()), TRIAL, "bored"), INSPECTOR)
        with pytest.raises(Forbidden):
            await one.desk.handle(StopTrial(str(uuid.uuid4()), TRIAL, "harm"), HANDLER)
        await one.desk.handle(StopTrial(str(uuid.uuid4()), TRIAL, "harm"), INSPECTOR)
        with pytest.raises(Refused, match="trial-over"):
            await one.draw(case)
        assert (await one.does(HANDLER, case, "offer_handover")).case.state == "handover"


@pytest.mark.parametrize("secret", [None, bytes(32)])
async def test_without_the_registered_secret_nothing_is_drawn_and_the_desk_goes_on(
    tmp_path: Path, secret: bytes | None
) -> None:
    place = Place(tmp_path / "data", tmp_path / "keys" / "keys.json")
    async with desks(place, 1, secret=secret) as (one,):
        await one.registered()
        case = await one.a_case()
        with pytest.raises(Refused, match="trial-no-secret"):
            await one.draw(case)
        assert (await one.does(HANDLER, case, "offer_handover")).case.state == "handover"


async def test_neither_the_log_nor_the_database_holds_the_secret(tmp_path: Path) -> None:
    place = Place(tmp_path / "data", tmp_path / "keys" / "keys.json")
    async with desks(place, 1) as (one,):
        await one.registered()
        await one.draw(await one.a_case())
    connection = place.connection()
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    told = "".join(str(row) for name in tables for row in connection.execute(f"SELECT * FROM {name}").fetchall())  # noqa: S608
    connection.close()
    assert t.commitment(SECRET) in told
    assert SECRET.hex() not in told
    assert str(SECRET) not in told


def test_shipped_forces_have_no_trial() -> None:
    for force in ("wmp", "kent-like"):
        assert all(flow.trial is None for flow in shipped(force).workflows.values())
