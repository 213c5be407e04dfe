"""Trials one after the other in one log, and what lies before, between and after them."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rvr.core.commands import SetDuty
from rvr.definitions import Definitions
from rvr.evaluation.package import export
from rvr.evaluation.report import csv_tables, made
from rvr.evaluation.window import window_of
from tests.builders import OFFICER
from tests.evaluation.reading import table
from tests.evaluation.test_consort import row
from tests.store.builders import Place
from tests.test_trials import Running, desks
from tests.trials import SECRET, trial_on

OTHER = bytes(range(33, 65))
"""By this one's letters A is the arm that is B by the first."""
PILOT = trial_on("wmp", 'id = "pilot"')


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "data", tmp_path / "keys" / "keys.json")


@contextlib.asynccontextmanager
async def a_desk(place: Place, definitions: Definitions, secret: bytes = SECRET) -> AsyncIterator[Running]:
    """For as long as its force has these definitions."""
    async with desks(place, 1, secret=secret, definitions=definitions) as (one,):
        yield one
        await one.desk.handle(SetDuty(str(uuid.uuid4()), OFFICER.id, "off"), OFFICER)


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
