"""A simulated Kent trial has Kent's figures in its package, by a script that shares no code with the product."""

from __future__ import annotations

import ast
import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from rvr.core.trial import labels
from rvr.evaluation import trial_check
from rvr.evaluation.consort import ANALYSES
from rvr.evaluation.exhibits import Exhibit
from rvr.evaluation.package import export
from rvr.evaluation.report import Report, html, made
from rvr.evaluation.window import window_of
from tests.evaluation import kent, trial_figures
from tests.evaluation.kent import STRATA
from tests.store.builders import Clock, Place
from tests.trials import SECRET, trial_on

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # some fifty seconds of a core, lived once for all of them

DESIGN = trial_on("kent-like", kent.CHANGES).workflows["da-desk"].trial
SHOWS = {"video": "TwoWayVideoStarted", "usual": "OfficerAttended"}
COMPLETES = {"video": ("SessionEnded", "completed")}


@dataclass(frozen=True)
class Exported:
    unblinded: Path
    blinded: Path
    faults: tuple[int, list[str]]
    lived: kent.Kent
    report: Report
    exact: Report


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    root = tmp_path_factory.mktemp("kent")

    async def run() -> Exported:
        clock, place = Clock(), Place(root / "data", root / "keys" / "keys.json")
        store = place.store(clock)
        await store.start()
        try:
            lived = await kent.the_trial(store, clock)
            out, key = (root / "open", root / "blind"), root / "keys" / "project.json"
            for folder, unblinded in zip(out, (True, False), strict=True):
                await export(store, folder, project_key=key, unblinded=unblinded)
            assert DESIGN is not None
            checked = await asyncio.to_thread(trial_check.faults, store, DESIGN, SECRET)
            window = await window_of(store)
            reports = [await asyncio.to_thread(made, store, window, threshold=k) for k in (10, 1)]
        finally:
            await store.close()
        return Exported(*out, checked, lived, *reports)

    return asyncio.run(run())


def test_the_script_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(trial_figures.__file__).read_text())
    imported = {one.module for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)}
    imported |= {name.name for one in ast.walk(tree) if isinstance(one, ast.Import) for name in one.names}
    assert imported <= {"collections", "csv", "datetime", "json", "pathlib", "statistics", "sys"}


def test_the_package_of_the_trial_has_kents_figures(exported: Exported) -> None:
    script = [sys.executable, "-I", trial_figures.__file__, str(exported.unblinded)]
    told = json.loads(subprocess.run(script, capture_output=True, text=True, check=True).stdout)
    assert (told["eligible"], told["consented"], told["randomised"]) == (749, 560, 517)
    assert told["strata"] == STRATA
    assert told["exits"] == {"not_eligible": kent.INELIGIBLE, "declined": 749 - 560, "no_capacity": 560 - 517}
    video, usual = told["arms"]["video"], told["arms"]["usual"]
    assert round(100 * video["delivered"] / video["randomised"]) == 94
    assert round(100 * usual["delivered"] / usual["randomised"]) == 67
    assert video["mean_wait_min"] == pytest.approx(3, abs=1e-6)
    assert usual["mean_wait_min"] == pytest.approx(1969, abs=1e-6)


def test_the_script_finds_the_same_in_the_events_alone(exported: Exported) -> None:
    from_rows, from_events = (
        trial_figures.from_trial(exported.unblinded),
        trial_figures.from_events(exported.unblinded, SHOWS, COMPLETES),
    )
    assert from_rows == from_events
    assert from_rows["screened"] == 749 + kent.INELIGIBLE


def test_each_arm_is_as_the_desk_revealed_it_and_as_the_secret_has_it(exported: Exported) -> None:
    assert exported.faults == (517, [])
    told = trial_figures.from_trial(exported.unblinded)["arms"]
    assert {arm: one["randomised"] for arm, one in told.items()} == dict(exported.lived.drawn)
    assert not any(exported.lived.waits.values()), "every wait of the population was lived"
    assert abs(told["video"]["randomised"] - told["usual"]["randomised"]) <= len(STRATA) * 3


def test_whoever_crossed_over_stays_in_the_own_arm_and_leaves_the_others(exported: Exported) -> None:
    told = trial_figures.from_trial(exported.unblinded)["arms"]
    assert told["video"]["per_protocol"] == told["video"]["delivered"] == kent.DELIVERED["video"]
    crossed = [row for row in trial_figures.read(exported.unblinded, "trial") if row["override_reason"]]
    assert crossed
    assert all(row["per_protocol"] == "false" and row["arm_allocated"] for row in crossed)
    assert {row["arm_received"] for row in crossed if row["arm_allocated"] == "usual"} == {"video"}
    assert {row["arm_received"] for row in crossed if row["arm_allocated"] == "video"} == {"usual"}


def test_a_blinded_package_has_letters_in_every_file_and_the_same_figures(exported: Exported) -> None:
    assert DESIGN is not None
    letters = labels(DESIGN, SECRET)
    blind, known = (trial_figures.from_trial(one) for one in (exported.blinded, exported.unblinded))
    assert blind["arms"] == {letters[arm]: one for arm, one in known["arms"].items()}
    rows: list[dict[str, Any]] = trial_figures.read(exported.blinded, "events")
    assert {row["arm"] for row in rows if row["type"] == "ArmAllocated"} == {"A", "B"}
    assert {row["labels"] for row in rows} == {""}
    told = trial_figures.read(exported.blinded, "cases")
    assert {row["arm_allocated"] for row in told} == {"A", "B", ""} == {row["arm_received"] for row in told}


def test_the_moment_of_each_offer_has_capacity_queue_hour_and_grade(exported: Exported) -> None:
    rows = trial_figures.read(exported.unblinded, "capacity")
    moments = {row["moment"] for row in rows}
    assert moments == {"screening", "offer", "acceptance", "allocation"}
    assert all(row["queue"].isdigit() and row["free"].isdigit() and row["hour"].isdigit() for row in rows)
    drawn = [row for row in rows if row["moment"] == "allocation"]
    assert len(drawn) == 560
    assert sum(row["free"] == "0" for row in drawn) == 560 - 517
    assert {row["eligible"] for row in rows if row["moment"] == "screening"} == {"true", "false"}
    assert {row["went_on"] for row in rows if row["moment"] == "offer"} == {"accepted"}


# --- The report --------------------------------------------------------------------------------------------------


def picture(report: Report, name: str) -> Exhibit:
    return next(one for one in report.exhibits if one.id == name)


def test_the_flow_of_consort_has_every_case_and_can_be_read_without_being_seen(exported: Exported) -> None:
    flow = picture(exported.exact, "consort-rapid-video")
    told = {(step, whom): count for step, whom, count in flow.rows}
    assert (told["contacts", ""], told["randomised", ""]) == ("785", "517")
    assert told["not randomised", "no officer was free"] == "43"
    assert told["not randomised", "a consent was refused or taken back before the draw"] == "189"
    assert told["not randomised", "a hard criterion was not met"] == str(kent.INELIGIBLE)
    for arm in "AB":
        of_arm = [int(count) for step, whom, count in flow.rows if step == f"allocated to {arm}" and whom]
        assert sum(of_arm) == int(told[f"allocated to {arm}", ""])
    svg = ElementTree.fromstring(flow.svg)  # noqa: S314 - our own
    assert svg.get("role") == "img"
    names = {one.get("id"): one.text for one in svg if one.get("id")}
    assert set(str(svg.get("aria-labelledby")).split()) == set(names)
    assert all(names.values())
    assert "no officer was free: 43" in flow.svg


def test_the_published_flow_tells_of_no_few_and_no_arm_by_its_name(exported: Exported) -> None:
    flow, arms = picture(exported.report, "consort-rapid-video"), picture(exported.report, "trial-rapid-video")
    counts = [count for *_, count in flow.rows]
    assert "withheld" in counts
    assert all(count == "withheld" or int(count) >= 10 for count in counts)
    assert "515" in counts, "rounded to five"
    assert {(analysis, arm) for analysis, arm, *_ in arms.rows} == {(a, arm) for a in ANALYSES for arm in "AB"}
    shown = html(exported.report)
    assert "Who took part in the trial rapid-video (CONSORT)" in shown
    assert "Video now" not in shown


def test_per_protocol_and_as_treated_tell_the_waits_of_their_own_cases(exported: Exported) -> None:
    arms = picture(exported.exact, "trial-rapid-video")
    assert DESIGN is not None
    letter = labels(DESIGN, SECRET)
    waits = {(analysis, arm): wait for analysis, arm, _, _, wait, _ in arms.rows}
    assert waits["per protocol", letter["video"]] == "180 s"
    assert waits["per protocol", letter["usual"]] == "33 h"


def test_the_published_waits_tell_nothing_of_the_few_who_crossed_over(exported: Exported) -> None:
    """Of the arm without video five spoke by video, of the other eight had an officer and eight nobody."""
    waits = {
        (analysis, arm): wait for analysis, arm, _, _, wait, _ in picture(exported.report, "trial-rapid-video").rows
    }
    assert DESIGN is not None
    letter = labels(DESIGN, SECRET)
    assert waits["intention to treat", letter["usual"]] != "withheld" == waits["per protocol", letter["usual"]]
    assert waits["intention to treat", letter["video"]] == "withheld"
