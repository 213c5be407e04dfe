"""The machines' own clocks in the package: a wall clock that was set makes no odd duration, and can be told."""

from __future__ import annotations

import asyncio
import csv
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rvr.clock_watch import ClockWatch
from rvr.core import events as e
from rvr.core.moment import iso, parse_iso
from rvr.evaluation import clock_runs, milestones, timings
from rvr.evaluation.desk_clock import DeskClock
from rvr.evaluation.package import export
from rvr.evaluation.pseudonyms import Alias
from tests.evaluation.conftest import Week
from tests.evaluation.days import Days, a_desk
from tests.evaluation.reading import disagreements, everything, table
from tests.store.builders import BOOT, START, Clock, event

ROOT = Path(__file__).parents[2]

# --- Durations ---------------------------------------------------------------------------------------------------


def recorded(clock: Clock, *facts: tuple[float, e.Fact], stated_at: str = "") -> list[e.Recorded]:
    """These facts, each so many seconds after the one before."""
    log = []
    for version, (after_s, fact) in enumerate(facts, 1):
        clock.pass_by(seconds=after_s)
        said = stated_at if isinstance(fact, e.CallAnswered) else ""
        told = event(fact, "", clock, stated_at=said)
        log.append(e.Recorded(told, "case/1", version, version, f"event-{version}", "command", "wmp", told.at.at))
    return log


OPENED = e.CaseOpened(workflow="da-desk", reference="K7Q", details={}, victim_id="v", suspect_id="s")
CONTACT = e.OfficerContactStarted(mode="video")


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_within_one_boot_a_duration_is_that_of_the_clock_that_never_steps(step_s: int) -> None:
    clock = Clock()
    log = recorded(clock, (0, OPENED))
    clock.step(seconds=step_s)
    log += [replace(one, version=2) for one in recorded(clock, (599.5, CONTACT))]
    measured = timings.durations(milestones.moments(log))
    assert measured["transfer_s"] == measured["response_s"] == 599_500_000
    assert timings.verdicts(milestones.moments(log), measured, START)["transfer_within_10_min_from_open"]


def test_across_a_restart_of_the_machine_a_duration_is_that_of_the_times() -> None:
    clock = Clock()
    log = recorded(clock, (0, OPENED))
    clock.restart()
    clock.step(seconds=5)
    log += [replace(one, version=2) for one in recorded(clock, (60, CONTACT))]
    assert timings.durations(milestones.moments(log))["transfer_s"] == 65_000_000


def test_a_stated_time_is_compared_with_the_times() -> None:
    clock = Clock()
    log = recorded(clock, (0, OPENED), (1, e.CallAnswered()), stated_at=iso(START - timedelta(seconds=30)))
    clock.step(seconds=100)
    log += recorded(clock, (59, CONTACT))
    log = [replace(one, version=version) for version, one in enumerate(log, 1)]
    assert timings.durations(milestones.moments(log))["transfer_from_answer_s"] == 190_000_000


def test_a_pause_across_which_the_clock_was_set_is_as_long_as_it_was() -> None:
    clock, log = Clock(), []
    for version, change in enumerate(("started", "paused", "resumed"), 1):
        changed = e.ClockChange("review", 1, change, iso(clock().at), 600)
        told = event(e.SubmittedForReview(), "", clock, clocks=(changed,))
        log.append(e.Recorded(told, "case/1", version, version, "event", "command", "wmp", START))
        clock.pass_by(seconds=30)
        clock.step(hours=-1)
    assert [clock_runs.clock_columns(run)["paused_s"] for run in clock_runs.clock_runs(log)] == ["30.000000"]


@pytest.mark.parametrize(("boot", "position", "stepped"), [(BOOT, 15, True), (BOOT, 25, False), ("other", 15, False)])
def test_a_step_concerns_a_case_that_it_fell_into_on_a_machine_that_saw_it(
    boot: str, position: int, stepped: bool
) -> None:
    log = [replace(one, position=one.version * 10) for one in recorded(Clock(), (0, OPENED), (60, CONTACT))]
    clock = Clock()
    clock.boot = boot
    step = e.ClockStepObserved(moved_ms=60, from_at=iso(START), to_at=iso(START), same_boot=True)
    told = replace(recorded(clock, (0, step))[0], position=position)
    assert DeskClock([told], Alias("project", bytes(32))).of(log)["clock_stepped"] is stepped


# --- The package -------------------------------------------------------------------------------------------------


async def lived(days: Days) -> dict[str, str]:
    """Three cases: before the clock was set, across it, and one with a pause on a machine that starts again."""
    clock, watch = days.clock, ClockWatch(days.desk, 1500)
    await watch.look()
    cases = {"before": await days.opens()}
    await days.does(cases["before"], "sergeant", "void", 60, void_reason="test")
    cases["across"] = await days.opens()
    await days.screens(cases["across"])
    await days.agrees(cases["across"])
    clock.step(hours=-1)
    await watch.look()
    clock.error_us = 2_000_000
    await days.offered(cases["across"])
    clock.error_us = None
    clock.pass_by(seconds=1)
    await watch.look()
    cases["restart"] = await days.opens()
    clock.restart()
    clock.error_us = 900
    clock.pass_by(seconds=90)
    await ClockWatch(days.desk, 1500).look()
    await days.does(cases["restart"], "sergeant", "void", 60, void_reason="test")
    clock.step(hours=1)
    await ClockWatch(days.desk, 1500).look()
    return cases


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stepped")

    async def run() -> None:
        async with a_desk(root) as days:
            await lived(days)
            await export(days.store, root / "out", project_key=root / "project.json")

    asyncio.run(run())
    return root / "out"


def test_every_step_and_every_change_of_health_up_to_the_last_event_is_told(stepped: Path) -> None:
    told = table(stepped, "desk_clock")
    brief = [(row["kind"], row["moved_ms"], row["health"], row["clock_error_us"]) for row in told]
    assert brief == [
        ("health", "", "synchronised", "3100"),
        ("step", "-3600000", "", "3100"),
        ("health", "", "unsynchronised", ""),
        ("health", "", "synchronised", "900"),
    ]
    assert len({row["machine"] for row in told}) == 2
    passed = timedelta(microseconds=int(told[1]["boottime_us"]) - int(told[0]["boottime_us"]))
    assert parse_iso(told[1]["from_at"]) + passed - parse_iso(told[1]["at"]) == timedelta(hours=1)
    assert [row["version"] for row in told] == ["1", "2", "3", "4"]


def test_a_boot_leaves_as_a_pseudonym(stepped: Path) -> None:
    assert BOOT.encode() not in b"".join(everything(stepped).values())
    machines = {row["machine"] for name in ("events", "desk_clock") for row in table(stepped, name)}
    assert all(len(bytes.fromhex(machine)) == 10 for machine in machines)


def test_of_each_case_it_is_told_how_good_the_clocks_were(stepped: Path) -> None:
    names = ("clock_error_max_us", "events_without_clock_error", "clock_stepped")
    before, across, restart = ([row[name] for name in names] for row in table(stepped, "cases"))
    assert before == ["3100", "0", "false"]
    assert across[:2] == ["2000000", "0"]
    assert across[2] == "true"
    assert (restart[0], restart[2]) == ("900", "false")
    assert int(restart[1]) > 0


def test_everything_is_recomputed_from_the_events_although_the_clock_was_set(stepped: Path) -> None:
    assert disagreements(stepped, table(stepped, "events")) == []
    durations = [row for name in ("cases", "clocks") for row in table(stepped, name)]
    told = [float(value) for row in durations for name, value in row.items() if name.endswith("_s") and value]
    assert told
    assert min(told) >= 0


def test_a_package_with_steps_in_it_verifies(stepped: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-I", str(stepped / "verify.py")], cwd=stepped, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout


def test_each_row_of_the_clock_has_what_its_kind_tells(stepped: Path) -> None:
    only = {"step": {"moved_ms", "from_at", "same_boot"}, "health": {"health", "limit_ms"}}
    for row in table(stepped, "desk_clock"):
        for kind, names in only.items():
            assert all(bool(row[name]) == (row["kind"] == kind) for name in names)


# --- Other time zones --------------------------------------------------------------------------------------------


def test_a_process_in_auckland_writes_the_same_bytes(week: Week, tmp_path: Path) -> None:
    told, packages = [], []
    for zone in ("UTC", "Pacific/Auckland", "Europe/London"):
        out = tmp_path / zone.replace("/", "-")
        asked = (week.place.data, week.place.key_file, week.keys / "kent.json", out)
        child = subprocess.run(
            [sys.executable, "-m", "tests.evaluation.abroad_child", *map(str, asked)],
            cwd=ROOT,
            env={**os.environ, "TZ": zone, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(child.stdout)
        packages.append(everything(out))
    assert told[0].count("\n") > 20
    assert told[0] == told[1] == told[2]
    assert packages[0] == packages[1] == packages[2]
    assert len([*csv.reader(packages[1]["data/events.csv"].decode().splitlines())]) > 100
