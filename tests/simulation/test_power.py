"""The dry run of a trial: its numbers against the tables, its played power against what the formula promises."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from rvr import cli
from rvr.simulation.power import Design, allotted, cases_for, dry_run, needed, z_of

KENT = Design(a_month=1_000, eligible=0.24, consents=0.75, available=0.92, usual=0.16, video=0.24)


@pytest.mark.parametrize(
    ("usual", "video", "power", "each"),
    [(0.1, 0.2, 0.8, 199), (0.1, 0.2, 0.9, 266), (0.5, 0.6, 0.8, 388), (0.05, 0.1, 0.8, 435)],
)
def test_how_many_cases_as_in_the_tables(usual: float, video: float, power: float, each: int) -> None:
    """Fleiss, Levin and Paik 2003, table A.4, before its continuity correction."""
    assert needed(usual, video, power) == each
    assert needed(video, usual, power) == each


def test_a_played_trial_has_the_power_that_the_formula_promises() -> None:
    cases = cases_for(KENT, 0.8)
    one = dry_run(KENT, cases, 1_000, 1)
    assert one.power.low <= 0.82
    assert one.power.high >= 0.8
    assert one.power.value == pytest.approx(0.8, abs=0.035)


def test_a_trial_of_two_equal_arms_tells_a_difference_only_by_chance() -> None:
    """Half of five in a hundred: only those in the right direction count."""
    none = Design(1_000, 0.24, 0.75, 0.92, usual=0.2, video=0.2)
    assert dry_run(none, 600, 1_000, 1).power.value == pytest.approx(0.025, abs=0.015)
    with pytest.raises(ValueError, match="no number"):
        cases_for(none, 0.8)


def test_who_is_not_given_what_was_allotted_costs_power() -> None:
    diluted = Design(1_000, 0.24, 0.75, 0.92, usual=0.16, video=0.24, delivered=0.67)
    assert diluted.as_allotted == pytest.approx(0.16 + 0.67 * 0.08)
    assert cases_for(diluted, 0.8) > 1.9 * cases_for(KENT, 0.8)
    assert dry_run(diluted, 780, 400, 1).power.value < dry_run(KENT, 780, 400, 1).power.value - 0.2


def test_blocks_keep_the_arms_near_each_other() -> None:
    for seed in range(200):
        arms = allotted(500, Random(seed))
        assert abs(2 * sum(arms) - 500) <= 4 * 3, "three at most for each of four strata"


def test_the_months_are_those_of_the_funnel() -> None:
    one = dry_run(KENT, 497, 400, 1)
    assert KENT.allotted_a_month == pytest.approx(165.6)
    assert one.months[0] == pytest.approx(3.0, rel=0.03)
    assert one.months[1] < one.months[0] < one.months[2]
    with pytest.raises(ValueError, match="no end"):
        dry_run(Design(0, 0.24, 0.75, 0.92, 0.16, 0.24), 500, 10, 1)


def test_a_statistic_without_a_meaning_is_nought() -> None:
    assert (z_of(0, 10, 0, 10), z_of(0, 0, 3, 10)) == (0.0, 0.0)
    assert z_of(24, 100, 16, 100) == pytest.approx(1.4142, abs=1e-3)


def test_the_verb_says_power_and_length(capsys: Any) -> None:
    wanted = ["power", "--contacts", "60", "--trials", "200", "--json"]
    assert cli.main(wanted) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cases"] == 878
    assert told["power"]["low"] < 0.8 < told["power"]["high"] + 0.05
    assert 878 / told["allotted_a_month"] == pytest.approx(told["months"]["median"], rel=0.05)
    assert cli.main(["power", "--usual", "0.2", "--video", "0.2"]) == 1
    assert "No such trial" in capsys.readouterr().err
