"""Invented callers before the real desk: the same seed, the same log; the short reckoning waits as the desk does."""

from __future__ import annotations

import asyncio
import csv
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rvr import cli, simulating
from rvr.config import Settings
from rvr.evaluation.package import export
from rvr.opening import place_of
from rvr.simulation.agenda import VirtualClock
from rvr.simulation.callers import callers
from rvr.simulation.play import Ids, Tally
from rvr.simulation.population import load
from rvr.simulation.queue import Queue, Shift
from rvr.simulation.stages import NoSuchWay, stages_of
from rvr.store.store import Store
from tests.builders import da_desk

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
SHIFTS = (Shift(time(7), time(15), 1), Shift(time(15), time(23), 2))


def plan(days: float = 1.0, contacts: float = 60, seed: int = 1, arm: str = "video") -> simulating.Plan:
    population = load().changed(contacts_per_day=contacts, eligible=0.6, interrupted=0.5)
    return simulating.Plan(MONDAY, days, seed, arm, SHIFTS, population)


async def played(folder: Path, what: simulating.Plan, force: str = "wmp") -> tuple[Tally, list[Any]]:
    """What was played, and every event of the log."""
    settings = Settings(data=str(folder))
    clock, ids = VirtualClock(what.start, "simulation"), Ids(what.seed)
    store = Store(place_of(settings), force=force, observe=clock)
    await store.start()
    try:
        desk = simulating.desk_on(store, settings, force, clock, ids)
        tally = await simulating.played(desk, clock, da_desk(force), ids, what)
        await export(store, folder.parent / f"{folder.name}-export", project_key=folder.parent / "project.json")
        return tally, [(one.stream, one.version, one.recorded_at, one.event) for one in store.iterate()]
    finally:
        await store.close()


@cache
def two_runs(folder: Path) -> tuple[tuple[Tally, list[Any]], ...]:
    return tuple(asyncio.run(played(folder / name, plan())) for name in ("one", "two"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[tuple[Tally, list[Any]], ...]]:
    folder = tmp_path_factory.getbasetemp()
    return folder, two_runs(folder)


def test_the_same_seed_gives_the_same_log_with_all_its_times(runs: Any) -> None:
    (_, one), (_, two) = runs[1]
    assert len(one) > 500
    assert one == two


def test_the_desk_takes_every_step_that_a_story_makes(runs: Any) -> None:
    (tally, log), _ = runs[1]
    assert tally.refused == {}
    assert {"video", "drop"} <= tally.ended.keys()
    types = {event.type for _, _, _, event in log}
    assert {"TwoWayVideoStarted", "MediaResumed", "CaseAllocated", "DeploymentRequested", "ClockRanOut"} <= types


def test_the_short_reckoning_waits_exactly_as_the_real_desk_does(runs: Any) -> None:
    """Caller by caller, the same dice: how long each waited for an officer, and how the waiting ended."""
    (tally, _), _ = runs[1]
    what, flow = plan(), da_desk()
    everybody = list(callers(what.population, what.start, what.days, flow.force.hours.zone, what.seed, what.arm))
    seen = list(Queue(stages_of(flow), flow.force.hours, SHIFTS).run(everybody, what.start, what.end))
    waited = {one.number: one.waited_s for one in seen}
    assert sum(value > 60 for value in waited.values()) > 3, "a desk at which nobody waits shows nothing"
    assert waited == pytest.approx(tally.waited_s, abs=1e-3)
    ended = {what: sum(one.ended == what for one in seen) for what in {one.ended for one in seen}}
    assert ended == dict(tally.ended)


def test_a_desk_that_never_closes_has_its_officers_once(tmp_path: Path) -> None:
    """A shift of a whole day follows on itself: whom a call holds at midnight is not there a second time, and whoever
    waits then waits on."""
    whole_day = (Shift(time(0), time(0), 2),)
    what, flow = replace(plan(1.15, 90, seed=6), shifts=whole_day), da_desk()
    tally, _ = asyncio.run(played(tmp_path / "always", what))
    everybody = callers(what.population, what.start, what.days, flow.force.hours.zone, what.seed, what.arm)
    seen = list(Queue(stages_of(flow), flow.force.hours, whole_day).run(everybody, what.start, what.end))
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    busy = [(one.offered_at, timedelta(seconds=one.waited_s + one.held_s)) for one in seen if one.held_s]
    held = [offered for offered, bound in busy if offered < midnight < offered + bound]
    assert len(held) == 2, "with somebody free at midnight nothing is shown"
    assert {one.number: one.waited_s for one in seen} == pytest.approx(tally.waited_s, abs=1e-3)
    assert tally.ended["closed"] == 0
    assert tally.refused == {}


def test_the_package_of_a_played_desk_tells_its_times(runs: Any) -> None:
    folder, ((tally, _), _) = runs
    with (folder / "one-export" / "data" / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == tally.contacts
    on_video = [row for row in rows if row["two_way_video_at"]]
    assert len(on_video) == sum(tally.ended[one] for one in ("video", "drop")) - sum(
        row["link_sent_at"] != "" and row["two_way_video_at"] == "" for row in rows
    )
    assert all(0 < float(row["transfer_s"]) < 4_000 for row in on_video)
    assert all(row["call_answered_at"] < row["received_at"] for row in rows)
    assert {row["arm_allocated"] for row in rows} == {""}, "a simulation allots nobody in the log: that is a trial's"


def test_a_usual_arm_is_sent_officers_and_no_link(tmp_path: Path) -> None:
    tally, log = asyncio.run(played(tmp_path / "usual", plan(0.5, 40, arm="usual")))
    types = [event.type for _, _, _, event in log]
    assert tally.refused == {}
    assert "HandoverOffered" not in types
    assert types.count("DeploymentRequested") > 5


def test_a_force_whose_officers_take_the_callers_themselves_waits_as_the_reckoning_says(tmp_path: Path) -> None:
    kent, what = da_desk("kent-like"), plan(0.8, 60)
    tally, _ = asyncio.run(played(tmp_path / "kent", what, "kent-like"))
    everybody = callers(what.population, what.start, what.days, kent.force.hours.zone, what.seed, what.arm)
    seen = Queue(stages_of(kent), kent.force.hours, SHIFTS).run(everybody, what.start, what.end)
    assert tally.refused == {}
    assert tally.ended["video"] > 3
    assert {one.number: one.waited_s for one in seen} == pytest.approx(tally.waited_s, abs=1e-3)


def test_the_numbers_of_the_queue_are_those_of_the_workflow() -> None:
    flow = da_desk()
    told = stages_of(flow)
    assert (told.gives_up_s, told.link_lost_s, told.promise_s, told.wraps_up) == (1800, 1200, 600, True)
    clock = flow.clocks["handover"]
    sooner = [replace(one, after_s=1200) if one.do == "time_out_handover" else one for one in clock.thresholds]
    changed = replace(flow, clocks={**flow.clocks, "handover": replace(clock, thresholds=tuple(sooner))})
    assert stages_of(changed).gives_up_s == 1200
    state = replace(flow.states["assessment"], keeps_officer=False)
    assert not stages_of(replace(flow, states={**flow.states, "assessment": state})).wraps_up
    with pytest.raises(NoSuchWay, match="send_link"):
        stages_of(replace(flow, moves={name: one for name, one in flow.moves.items() if name != "send_link"}))


def test_the_verb_begins_a_new_store_and_never_writes_into_one(tmp_path: Path, capsys: Any) -> None:
    wanted = ["simulate", "--out", str(tmp_path / "d"), "--days", "0.3", "--contacts", "30", "--officers", "2"]
    assert cli.main(wanted) == 0
    said = capsys.readouterr().out
    assert "contacts in 0.3 days from 2026-11-23, seed 1, arm both" in said
    assert "cases a second" in said
    assert cli.main(wanted) == 1
    assert "begins a new one" in capsys.readouterr().err
    assert cli.main(["timings", "--data", str(tmp_path / "d"), "--disclosure-k", "1"]) == 0
    assert cli.main(["verify", "--data", str(tmp_path / "d")]) == 0
    assert cli.main(["export", "--data", str(tmp_path / "d"), "--out", str(tmp_path / "package")]) == 0
    with (tmp_path / "package" / "data" / "cases.csv").open(encoding="utf-8", newline="") as file:
        assert {row["force"] for row in csv.DictReader(file)} == {"wmp-simulated"}
    assert "rvr/wmp-simulated/" in (tmp_path / "package" / "checkpoint.txt").read_text()
