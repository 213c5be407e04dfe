"""Survival curves, held against lifelines (an implementation of other people's) and against what they mean."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from pathlib import Path

import lifelines
import numpy
import pytest

from rvr.evaluation import km
from rvr.evaluation.km import CENSORED, IN_PERSON, VIDEO, Followed
from tests.evaluation.conftest import Week
from tests.evaluation.reading import table


def some_cases(seed: int, count: int, *, ties: bool) -> list[Followed]:
    dice = random.Random(seed)
    time = (lambda: float(dice.randint(1, 40))) if ties else (lambda: dice.expovariate(1 / 600))
    return [(time(), dice.choice((VIDEO, VIDEO, IN_PERSON, CENSORED))) for _ in range(count)]


@pytest.mark.parametrize(("seed", "count", "ties"), [(1, 500, False), (2, 500, True), (3, 12, True), (4, 2, False)])
def test_curve_and_interval_are_those_of_lifelines(seed: int, count: int, ties: bool) -> None:
    cases = some_cases(seed, count, ties=ties)
    fitter = lifelines.KaplanMeierFitter().fit([time for time, _ in cases], [what == VIDEO for _, what in cases])
    steps = km.kaplan_meier(cases)
    assert len(steps) == len(fitter.survival_function_) - 1
    bounds = fitter.confidence_interval_survival_function_
    for step in steps:
        assert step.survival == pytest.approx(float(fitter.predict(step.time)), abs=1e-12)
        if 0 < step.survival < 1:
            assert (step.low, step.high) == pytest.approx(tuple(bounds.loc[step.time]), abs=1e-12)
    half = km.median(steps)
    assert (math.inf if half is None else half) == float(fitter.median_survival_time_)


def test_cumulative_incidence_is_that_of_lifelines() -> None:
    cases = some_cases(5, 400, ties=False)
    codes = {CENSORED: 0, VIDEO: 1, IN_PERSON: 2}
    for event in (VIDEO, IN_PERSON):
        fitter = lifelines.AalenJohansenFitter(calculate_variance=False)
        fitter.fit(numpy.array([time for time, _ in cases]), [codes[what] for _, what in cases], codes[event])
        curve = fitter.cumulative_density_.iloc[:, 0]
        for time, share in km.cumulative_incidence(cases, event):
            assert share == pytest.approx(float(curve.loc[time]), abs=1e-12)


def test_what_competes_and_what_is_waited_for_share_all_cases_between_them() -> None:
    cases = [one for one in some_cases(6, 200, ties=True) if one[1] != CENSORED]
    ends = [km.cumulative_incidence(cases, event)[-1][1] for event in (VIDEO, IN_PERSON)]
    assert sum(ends) == pytest.approx(1)
    assert ends[0] == pytest.approx(sum(what == VIDEO for _, what in cases) / len(cases))


def test_an_officer_who_came_first_makes_video_rarer_and_not_only_unseen() -> None:
    cases: list[Followed] = [(10.0, IN_PERSON), (20.0, VIDEO)]
    assert 1 - km.kaplan_meier(cases)[-1].survival == 1
    assert km.cumulative_incidence(cases)[-1][1] == 0.5


def test_the_case_that_leaves_at_the_time_of_an_event_was_at_risk_then() -> None:
    (step,) = km.kaplan_meier([(5.0, VIDEO), (5.0, CENSORED)])
    assert (step.at_risk, step.survival) == (2, 0.5)


def test_a_share_at_a_time_is_that_of_the_last_step_before_it() -> None:
    steps = km.kaplan_meier([(5.0, VIDEO), (9.0, VIDEO), (11.0, CENSORED)])
    assert km.at(steps, 4.9) is None
    found = km.at(steps, 8.0)
    assert found is not None
    assert found.time == 5.0


def test_the_script_in_the_package_runs_alone_and_gives_the_same_for_relative_times(
    week: Week, package: Path, tmp_path: Path
) -> None:
    week.exports(tmp_path / "relative", times="relative")

    def run(folder: Path) -> str:
        script = [sys.executable, "-I", str(folder / "scripts" / "km.py")]
        return subprocess.run(script, capture_output=True, text=True, check=True, env={}, cwd=tmp_path).stdout

    told = run(package)
    rows = [row for row in table(package, "cases") if row["workflow"] == "da-desk" and row["final_state"] != "voided"]
    assert f"{len(rows)} cases; median" in told
    assert told.count(" to ") == len({row["two_way_video_at"] for row in rows if row["two_way_video_at"]})
    moments = [line.split()[:4] for line in told.splitlines()[1:-1]]
    assert moments == [line.split()[:4] for line in run(tmp_path / "relative").splitlines()[1:-1]]
