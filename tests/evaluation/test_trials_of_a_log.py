"""Trials one after the other in one log, and what lies before, between and after them."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rvr.core import events as e
from rvr.core.commands import SetDuty, StopTrial
from rvr.core.history import VOIDED
from rvr.definitions import Definitions
from rvr.evaluation.package import export
from rvr.evaluation.report import csv_tables, made
from rvr.evaluation.taking_part import EXITS, taking_part
from rvr.evaluation.trial_columns import WHY
from rvr.evaluation.window import window_of
from tests.builders import INSPECTOR
from tests.evaluation.reading import table
from tests.evaluation.test_consort import design, row
from tests.evaluation.test_timings import a_log
from tests.store.builders import Place
from tests.test_trials import Running, desks, on_duty
from tests.trials import SECRET, trial_on

OTHER = bytes(range(33, 65))
"""By this one's letters A is the arm that is B by the first."""
PILOT = trial_on("wmp", 'id = "pilot"')


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "data", tmp_path / "keys" / "keys.json")


OFFICERS = 8
"""More than are drawn in any of these."""


@contextlib.asynccontextmanager
async def a_desk(place: Place, definitions: Definitions, secret: bytes = SECRET) -> AsyncIterator[Running]:
    """For as long as its force has these definitions."""
    async with desks(place, 1, secret=secret, definitions=definitions, officers=OFFICERS) as (one,):
        yield one
        for officer in on_duty(OFFICERS):
            await one.desk.handle(SetDuty(str(uuid.uuid4()), officer.id, "off"), officer)


async def test_two_trials_are_never_added_into_one_flow(place: Place) -> None:
    async with a_desk(place, PILOT, OTHER) as one:
        await one.registered(OTHER, "pilot")
        first = [await one.draw(await one.a_case()) for _ in range(2)]
    async with a_desk(place, trial_on()) as one:
        await one.registered()
        later = [await one.draw(await one.a_case()) for _ in range(5)]
        told = made(one.store, await window_of(one.store), threshold=1)
    assert first[0].labels != later[0].labels, "a letter means another arm in each"
    pictures = {exhibit.id: exhibit for exhibit in told.exhibits}
    assert row(pictures["consort-pilot"], "randomised")[-1] == "2"
    assert row(pictures["consort-rapid-video"], "randomised")[-1] == "5"
    assert [pictures[f"trial-{trial}"].n for trial in ("pilot", "rapid-video")] == ["2", "5"]
    assert {"consort-pilot", "trial-pilot", "consort-rapid-video", "trial-rapid-video"} <= set(csv_tables(told))


@pytest.mark.parametrize(("times", "told"), [("recorded", {"1", "2", "3"}), ("relative", {""}), ("shifted", {""})])
async def test_a_place_tells_no_order_where_times_are_not_to_tell_one(
    place: Place, tmp_path: Path, times: str, told: set[str]
) -> None:
    out = tmp_path / "package"
    async with a_desk(place, trial_on()) as one:
        await one.registered()
        for _ in range(3):
            await one.draw(await one.a_case())
        await export(one.store, out, project_key=tmp_path / "keys" / "project.json", times=times)
    assert {row["place"] for row in table(out, "trial")} == told
    assert {row["place"] for row in table(out, "events") if row["type"] == "ArmAllocated"} == told
    readme = (out / "README.md").read_text().replace("\n  ", " ")
    assert ("`place` in a trial's list is empty" in readme) == (times != "recorded")


SCREENED = e.EligibilityDecided(eligible=True, because=(), way_out="", results={}, concerns=())
AGREED, REFUSED = e.ConsentGiven(kind="video", wording="1"), e.ConsentRefused(kind="evaluation", wording="1")
SET_ASIDE = e.ArmOverridden(reason="cannot_wait", note="")


@pytest.mark.parametrize(
    ("told", "exit_", "also"),
    [
        ([SCREENED], "not_asked", []),
        ([SCREENED, AGREED], "not_asked", []),
        ([SCREENED, REFUSED], "declined", ["not_asked"]),
        ([SCREENED, SET_ASIDE], "set_aside", ["not_asked"]),
        ([SCREENED, REFUSED, SET_ASIDE], "declined", ["set_aside", "not_asked"]),
        ([SCREENED, REFUSED, e.CaseVoided(reason="test")], "voided", ["declined", "not_asked"]),
        ([SET_ASIDE], "not_screened", ["set_aside", "not_asked"]),
    ],
)
def test_of_several_reasons_the_first_is_told(told: list[e.Fact], exit_: str, also: list[str]) -> None:
    """Whether the video or the evaluation was asked first, and whether all was."""
    log = a_log(*((number, fact) for number, fact in enumerate(told, 1)))
    if exit_ == "voided":
        log[-1] = replace(log[-1], event=replace(log[-1].event, state=VOIDED))
    assert taking_part(log, design(), lambda recorded: True).exit == exit_
    assert [one for one in also if EXITS.index(one) < EXITS.index(exit_)] == [], "the codebook has them in that order"


# --- When a trial runs -------------------------------------------------------------------------------------------


async def exits(place: Place, out: Path, one: Running) -> list[tuple[str, str]]:
    """(exit, arm or nothing) of each case, in the order of the openings."""
    await export(one.store, out, project_key=place.key_file.with_name("project.json"))
    return [(row["exit"], row["arm_allocated"] and "arm") for row in table(out, "trial")]


async def stopped(one: Running) -> None:
    await one.desk.handle(StopTrial(str(uuid.uuid4()), "rapid-video", "harm"), INSPECTOR)


async def test_cases_before_and_after_a_trial_were_not_left_undrawn_by_anybody(place: Place, tmp_path: Path) -> None:
    async with a_desk(place, trial_on()) as one:
        await one.a_case()
        await one.registered()
        await one.draw(await one.a_case())
        await one.a_case()
        late = await one.opened()
        await stopped(one)
        await one.ready(late)
        await one.a_case()
        assert await exits(place, tmp_path / "package", one) == [
            ("not_running", ""),
            ("", "arm"),
            ("not_drawn", ""),
            ("not_running", ""),
            ("not_running", ""),
        ]
        told = made(one.store, await window_of(one.store), threshold=1)
    pictures = {exhibit.id: exhibit for exhibit in told.exhibits}
    assert row(pictures["consort-rapid-video"], "not randomised", WHY["not_running"])[-1] == "3"
    assert row(pictures["consort-rapid-video"], "not randomised", WHY["not_drawn"])[-1] == "1"


async def test_a_trial_runs_no_more_when_its_number_is_reached(place: Place, tmp_path: Path) -> None:
    number = trial_on("wmp", 'stop = [{ id = "sample", say = "Enough.", randomised = 2 }]')
    async with a_desk(place, number) as one:
        await one.registered()
        for _ in range(2):
            await one.draw(await one.a_case())
        await one.a_case()
        assert await exits(place, tmp_path / "package", one) == [("", "arm"), ("", "arm"), ("not_running", "")]


async def test_a_trial_runs_to_the_end_of_its_last_day_on_the_forces_wall(place: Place, tmp_path: Path) -> None:
    """The cases are opened on 22 November, in the evening."""
    for day, exit_ in (("2026-11-22", "not_drawn"), ("2026-11-21", "not_running")):
        here = Place(tmp_path / day, tmp_path / f"{day}-keys" / "keys.json")
        last = trial_on("wmp", f'stop = [{{ id = "end", say = "Over.", after = {day} }}]')
        async with a_desk(here, last) as one:
            await one.registered()
            await one.a_case()
            assert await exits(here, tmp_path / f"{day}-package", one) == [(exit_, "")]


async def test_by_another_design_than_the_registered_one_nothing_ran(place: Place, tmp_path: Path) -> None:
    async with a_desk(place, trial_on()) as one:
        await one.registered()
    async with a_desk(place, trial_on("wmp", "capacity = 2")) as one:
        await one.a_case()
        assert await exits(place, tmp_path / "package", one) == [("not_running", "")]
