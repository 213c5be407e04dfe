"""Timings summed up: every case is counted once, the spreads are exact, and another version's targets restate them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import statistics
from array import array
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvr import cli
from rvr.core import events as e
from rvr.definitions import load
from rvr.evaluation import summary, timings
from rvr.evaluation.milestones import moments
from rvr.evaluation.spread import spread
from rvr.evaluation.stored_text import clock_targets
from rvr.evaluation.summary import ALL, Summary
from rvr.evaluation.window import Window, window_of
from rvr.store import Store
from tests.evaluation.conftest import Week
from tests.evaluation.days import WORKFLOWS, Days, a_desk
from tests.evaluation.reading import table
from tests.evaluation.test_timings import a_log
from tests.store.builders import START

COUNTS = ("n", "missing", "censored", "never", "reversed", "voided")


def summed(week: Week, *wanted: timings.Timing, **how: str) -> Summary:
    async def read(store: Store) -> Summary:
        return summary.summarise(store, await window_of(store), wanted or timings.TIMINGS, **how)

    return week.on_store(read)


def every_pair() -> list[timings.Timing]:
    seen = [point.id for point in timings.POINTS if point.milestone]
    pairs = (timings.between(start, end) for start in seen for end in seen if start != end)
    return [timings.Timing(pair.name, pair) for pair in pairs]


# --- Spread ------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**12), min_size=2))
def test_quantiles_are_those_that_the_standard_library_calls_inclusive(values: list[int]) -> None:
    of, tenths = spread(array("q", values)), statistics.quantiles(values, n=10, method="inclusive")
    assert (of.p10, of.median, of.p90) == pytest.approx((tenths[0], tenths[4], tenths[8]), abs=1)
    assert of.mean == pytest.approx(statistics.fmean(values), abs=1)


def test_one_value_is_its_own_spread_and_none_has_none() -> None:
    assert spread(array("q", [7])) == summary.Spread(1, 7, 7, 7, 7)
    assert spread(array("q")) == summary.Spread(0, None, None, None, None)


# --- Points ------------------------------------------------------------------------------------------------------


def test_every_point_of_the_literature_is_seen_by_a_milestone_or_says_why_not() -> None:
    names = [*(f"T{number}" for number in range(19)), "B1", "B2", "B3"]
    assert [point.id for point in timings.POINTS] == names
    assert [point.id for point in timings.POINTS if not point.milestone] == ["B1", "B2"]
    assert all(point.milestone or point.note for point in timings.POINTS)


@pytest.mark.parametrize(("start", "end"), [("T0", "B1"), ("T0", "T19"), ("T5", "")])
def test_a_point_that_nothing_here_sees_is_refused_with_its_reason(start: str, end: str) -> None:
    with pytest.raises(ValueError, match=r"not recorded here|none of the points"):
        timings.between(start, end)


# --- Summing up --------------------------------------------------------------------------------------------------


def test_every_case_is_counted_once_for_every_pair_of_points_and_in_every_group(week: Week) -> None:
    for by in ("", *summary.BY):
        found = summed(week, *timings.TIMINGS, *every_pair(), by=by)
        rows = summary.told(found)
        assert all(row["cases"] == sum(row[name] for name in COUNTS) for row in rows)
        for name, tallies in found.tallies.items():
            groups = [tally.cases for group, tally in tallies.items() if group != ALL]
            assert not by or sum(groups) == tallies[ALL].cases, name


def test_the_desks_own_intervals_sum_up_what_the_package_says_of_each_case(week: Week, package: Path) -> None:
    cases = [row for row in table(package, "cases") if row["final_state"] != "voided"]
    found = summed(week)
    for interval in timings.INTERVALS:
        values = [float(row[interval.name]) for row in cases if row[interval.name]]
        tally = found.tallies[interval.name][ALL]
        told = [value / 1e6 for value in (tally.spread.mean or 0, tally.spread.median or 0)]
        assert told == pytest.approx([statistics.fmean(values), statistics.median(values)]), interval.name
        assert sorted(value / 1e6 for value in tally.values) == sorted(values)
    for limit in timings.LIMITS:
        judged = Counter(row[limit.name] for row in cases)
        tally = found.tallies[limit.interval][ALL]
        assert (tally.within, tally.beyond) == (judged["true"], judged["false"]), limit.name


def test_the_clocks_of_the_literature_differ_in_start_population_and_limit(week: Week, package: Path) -> None:
    cases = [row for row in table(package, "cases") if row["final_state"] != "voided"]
    rows = {row["timing"]: row for row in summary.told(summed(week)) if row["source"]}
    offered = [row for row in cases if row["handover_first_offered_at"]]
    sent = [row for row in cases if row["deployment_requested_at"] and not row["handover_first_offered_at"]]
    assert {row["cases"] - row["voided"] for name, row in rows.items() if "attendance" in name} == {len(sent)}
    assert {row["cases"] - row["voided"] for name, row in rows.items() if "video" in name} == {len(offered)}
    assert len(offered) > len(sent) > 0
    by_video = [row for row in offered if row["two_way_video_at"]]
    assert rows["college_video"]["n"] == len(by_video)
    assert rows["kent_video"]["n"] == len([row for row in by_video if row["call_answered_at"]]) < len(by_video)
    assert rows["kent_video"]["missing"] == len([row for row in offered if not row["call_answered_at"]])
    limits = [rows[name]["limit_s"] for name in ("kent_video", "college_video", "wmp_video", "wmp_attendance")]
    assert limits == [None, 3_600, 600, 86_400]


def test_an_end_before_its_start_is_counted_and_in_no_spread() -> None:
    log = a_log((1, e.CallAnswered()), stated={"CallAnswered": 50})
    pair = timings.between("T0", "T1")
    summing = summary.Summing(Window(None, None, 1, START, 1), {}, [timings.Timing(pair.name, pair)])
    summing.add(log, moments(log))
    tally = summing.summary().tallies["T0_T1"][ALL]
    assert (tally.reversed, list(tally.values), tally.cases) == (1, [], 1)


def test_a_month_is_that_on_the_forces_wall(week: Week) -> None:
    months = set(summed(week, by="month").tallies["response_s"]) - {ALL}
    assert months <= {"2026-11", "2026-12"}
    assert months


async def test_another_versions_targets_restate_the_shares_and_leave_the_spreads(tmp_path: Path) -> None:
    """The same offer, accepted after 45 s, under a promise of three minutes and under one of half a minute."""
    stricter = tmp_path / "workflows"
    shutil.copytree(WORKFLOWS, stricter)
    clocks = stricter / "da-desk" / "clocks.toml"
    text = clocks.read_text()
    clocks.write_text(re.sub(r"(\[handover\][^\[]*?target_s = )180", r"\g<1>30", text, flags=re.DOTALL))
    assert clocks.read_text() != text
    async with a_desk(tmp_path / "desk") as days:
        case = await days.opens()
        await days.screens(case)
        await days.agrees(case)
        await days.offered(case)
        await days.does(case, "sergeant", "accept_handover", 45)
        await Days(days.store, days.clock, load(stricter, "wmp")).desk.start()
        window = await window_of(days.store)

        def under(target_s: int) -> Summary:
            stored = window.definitions(days.store)
            (version,) = (v for v, one in stored.items() if clock_targets(one).get("handover") == target_s)
            return summary.summarise(days.store, window, under=version[:12])

        kept, broken = [await asyncio.to_thread(under, target_s) for target_s in (180, 30)]
        unknown = asyncio.to_thread(summary.summarise, days.store, window, under="no such version")
        with pytest.raises(ValueError, match="0 versions"):
            await unknown
    tallies = [one.tallies["handover_s"][ALL] for one in (kept, broken)]
    assert [(tally.within, tally.beyond) for tally in tallies] == [(1, 0), (0, 1)]
    assert tallies[0].values == tallies[1].values == array("q", [45_000_000])
    assert [one.limits["handover_s"] for one in (kept, broken)] == [180, 30]


# --- The verb ----------------------------------------------------------------------------------------------------


def test_the_verb_prints_a_line_for_each_timing_and_each_group_and_notes_the_look(
    week: Week, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--data", str(week.place.data), "--key-file", str(week.keys / "keys.json")]
    assert cli.main(["timings", *store, "--by", "lpa", "--disclosure-k", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["response_s", "dudley"] for line in lines)
    assert cli.main(["timings", *store, "--by", "lpa"]) == 0
    told = capsys.readouterr().out
    assert "dudley" not in told
    assert "withheld" in told
    assert cli.main(["timings", *store, "--json", "--interval", "t5-t11"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert [row["timing"] for row in read["timings"]] == ["T5_T11"]
    connection = week.place.connection()
    try:
        looks = connection.execute("SELECT category, what FROM access WHERE what = 'timings'").fetchall()
    finally:
        connection.close()
    assert looks == [("consultation", "timings")] * 3


def test_a_pair_that_is_none_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["timings", "--interval", "T5-B2"])
    assert ended.value.code == 2
    assert "not recorded here" in capsys.readouterr().err
