"""A summary that may be shown: no small group, no figure of few cases, nothing by subtraction or from two releases."""

from __future__ import annotations

import random
import stat
from array import array
from collections.abc import Hashable
from functools import partial
from pathlib import Path

import pytest

from rvr.evaluation import timings
from rvr.evaluation.guarded import OTHERS, guarded
from rvr.evaluation.releases import Releases
from rvr.evaluation.summary import ALL, Summary, Tally
from tests.store.builders import START

TIMING = next(one for one in timings.TIMINGS if one.name == "response_s")


def a_tally(within: int = 0, beyond: int = 0, missing: int = 0, censored: int = 0, voided: int = 0) -> Tally:
    values = array("q", [1_000_000] * within + [2_000_000] * beyond)
    return Tally(len(values) + missing + censored + voided, values, missing, censored, 0, 0, voided, within, beyond)


def a_summary(**groups: Tally) -> Summary:
    total = Tally()
    for tally in groups.values():
        total.values.extend(tally.values)
        for name in ("cases", "missing", "censored", "voided", "within", "beyond"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
    return Summary((TIMING,), "lpa", "", START, total.cases, {TIMING.name: {ALL: total, **groups}}, {TIMING.name: 60})


def rows(summary: Summary, threshold: int = 10) -> dict[str, dict[str, object]]:
    return {row["group"]: row for row in guarded(summary, threshold)[0]}


def test_groups_of_few_cases_are_put_together_and_with_the_smallest_of_the_others_if_they_stay_few() -> None:
    found = rows(a_summary(coventry=a_tally(50, 50), dudley=a_tally(6, 5), walsall=a_tally(3), solihull=a_tally(4, 4)))
    assert set(found) == {ALL, "coventry", "dudley", OTHERS}
    found = rows(a_summary(coventry=a_tally(50, 50), dudley=a_tally(20, 15), walsall=a_tally(3)))
    assert set(found) == {ALL, "coventry", OTHERS}
    assert found[OTHERS]["cases"] == 40


def test_what_is_shown_is_rounded_and_voided_cases_are_in_no_count() -> None:
    found = rows(a_summary(coventry=a_tally(51, 32, voided=40)))[ALL]
    assert (found["cases"], found["n"], found["within"], found["beyond"]) == (85, 85, 50, 30)
    assert (found["share"], found["voided"]) == (0.61, None)


def test_where_nothing_is_to_be_hidden_counts_are_exact() -> None:
    found = rows(a_summary(coventry=a_tally(51, 32), dudley=a_tally(1)), threshold=1)
    assert [found[group]["n"] for group in (ALL, "coventry", "dudley")] == [84, 83, 1]


def test_a_mean_needs_the_threshold_and_a_tenth_percentile_ten_times_as_much() -> None:
    def told(n: int) -> list[bool]:
        row = rows(a_summary(coventry=a_tally(n, 0, missing=40)))[ALL]
        return [row[name] is not None for name in ("mean_s", "median_s", "p10_s", "p90_s")]

    assert told(9) == [False] * 4
    assert told(99) == [True, True, False, False]
    assert told(100) == [True] * 4


def test_a_small_part_of_one_group_takes_that_of_another_with_it() -> None:
    """Or the total of that part, which everybody knows, would give it back."""
    groups = {name: a_tally(40, 30, missing=20) for name in ("birmingham", "dudley", "walsall")}
    found = rows(a_summary(coventry=a_tally(40, 30, missing=3), **groups))
    hidden = [name for name, row in found.items() if row["n"] is None]
    assert "coventry" in hidden
    assert len(hidden) > 1
    assert ALL not in hidden
    assert all(found[name]["median_s"] is None for name in hidden)


def test_reasons_are_told_only_where_each_has_enough() -> None:
    assert rows(a_summary(coventry=a_tally(50, missing=20, censored=15)))[ALL]["missing"] == 20
    assert rows(a_summary(coventry=a_tally(50, missing=20, censored=3)))[ALL]["missing"] is None


def test_fewer_cases_than_the_threshold_show_nothing_at_all() -> None:
    (row,) = rows(a_summary(coventry=a_tally(5, 4))).values()
    assert row["withheld"]
    assert [row[name] for name in ("cases", "n", "mean_s", "within", "share")] == [None] * 5


@pytest.mark.parametrize("seed", range(40))
def test_no_part_of_a_group_below_the_threshold_is_ever_shown(seed: int) -> None:
    dice = random.Random(seed)
    sizes = (0, 1, 3, 7, 12, 30, 80)
    groups = {f"g{number}": a_tally(*(dice.choice(sizes) for _ in range(5))) for number in range(dice.randint(1, 7))}
    _, released = guarded(a_summary(**groups))
    assert [cell for cell, count in released.items() if 0 < count < 10] == []


# --- Two releases ------------------------------------------------------------------------------------------------


def released(project: Path, summary: Summary) -> dict[str, dict[str, object]]:
    register = Releases(project, 10)
    found, counts = guarded(summary, 10, partial(register.too_close, summary.by))
    register.add(summary.by, counts, START)
    return {row["group"]: row for row in found}


def test_a_release_that_differs_from_an_earlier_one_by_a_few_cases_is_withheld(tmp_path: Path) -> None:
    project = tmp_path / "project.json"
    first = released(project, a_summary(coventry=a_tally(50, 30), dudley=a_tally(50, 30)))
    assert not first["coventry"]["withheld"]
    assert released(project, a_summary(coventry=a_tally(50, 30), dudley=a_tally(50, 30))) == first
    for name, row in released(project, a_summary(coventry=a_tally(52, 30), dudley=a_tally(50, 30))).items():
        assert row["withheld"], name
        assert row["n"] is None
    much_later = released(project, a_summary(coventry=a_tally(70, 50), dudley=a_tally(90, 60)))
    assert not much_later[ALL]["withheld"]
    assert stat.S_IMODE((tmp_path / "project.releases.jsonl").stat().st_mode) == 0o600


def test_a_few_cases_that_moved_between_parts_are_withheld_though_the_totals_are_the_same(tmp_path: Path) -> None:
    project = tmp_path / "project.json"
    released(project, a_summary(coventry=a_tally(50, 30), dudley=a_tally(50, 30)))
    moved = released(project, a_summary(coventry=a_tally(52, 28), dudley=a_tally(50, 30)))
    assert moved["coventry"]["within"] is None
    assert moved["coventry"]["n"] == 80


def test_a_count_is_too_close_within_the_threshold_and_the_same_count_is_not(tmp_path: Path) -> None:
    register = Releases(tmp_path / "project.json", 10)
    cell: Hashable = ("coventry", "cases")
    register.add("lpa", {("response_s", cell): 100}, START)
    again = Releases(tmp_path / "project.json", 10)
    close = [again.too_close("lpa", "response_s", cell, count) for count in (100, 101, 109, 110, 91, 90)]
    assert close == [False, True, True, False, True, False]
    assert not again.too_close("hour", "response_s", cell, 101)
    register.add("lpa", {("response_s", (ALL, "cases")): 100}, START)
    assert Releases(tmp_path / "project.json", 10).too_close("hour", "response_s", (ALL, "cases"), 101)
