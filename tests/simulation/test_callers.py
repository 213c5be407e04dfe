"""The invented population: its parameters are told with tags and sources, and its callers are those of the seed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, median

import pytest

from rvr.simulation.callers import Caller, callers
from rvr.simulation.population import BadPopulation, Population, load

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
ZONE = "Europe/London"


def some(
    population: Population, days: float, seed: int = 1, start: datetime = MONDAY, arm: str = "both"
) -> list[Caller]:
    return list(callers(population, start, days, ZONE, seed, arm))


def test_every_parameter_says_where_it_comes_from_and_lies_where_it_may() -> None:
    for name, one in load().parameters.items():
        assert one.source, name
        assert one.unit, name
        if one.low is not None and one.high is not None:
            assert one.low <= one.value <= one.high, name


def test_a_file_of_ones_own_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[eligible]\nvalue = 0.5\nunit = "share"\ntag = "F"\nsource = "our own log"\n')
    own, shipped = load(file), load()
    assert (own.number("eligible"), own.parameters["eligible"].source) == (0.5, "our own log")
    assert own.number("consents") == shipped.number("consents")


def test_every_fault_of_such_a_file_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    rest = 'unit = "u"\ntag = "F"\nsource = "s"\n'
    file.write_text(
        f"[elegible]\nvalue = 1\n{rest}[consents]\nvalue = 1\n[session]\nvalue = 7\n{rest}"
        f'[weekend]\nvalue = -1\n{rest}[female]\nvalue = 0.5\nunit = "u"\ntag = "guess"\nsource = "s"\n'
    )
    with pytest.raises(BadPopulation) as caught:
        load(file)
    lines = str(caught.value).splitlines()
    assert [line.split("[")[1].split("]")[0] for line in lines] == [
        "elegible",
        "consents",
        "session",
        "weekend",
        "female",
    ]
    assert "of another shape" in lines[2]
    with pytest.raises(BadPopulation, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_the_same_seed_gives_the_same_callers_and_another_seed_others() -> None:
    population = load()
    assert some(population, 1) == some(population, 1)
    assert some(population, 1) != some(population, 1, seed=2)


def test_contacts_and_shares_are_those_of_the_population() -> None:
    people = some(load(), 56)
    assert fmean([len(people) / 56]) == pytest.approx(190, rel=0.03)
    assert fmean([not one.fails for one in people]) == pytest.approx(0.24, abs=0.01)
    assert fmean([one.consents for one in people]) == pytest.approx(0.75, abs=0.01)
    assert fmean([one.arm == "video" for one in people]) == pytest.approx(0.5, abs=0.015)
    assert median(sum(one.stages.values()) for one in people) == pytest.approx(360, rel=0.03)
    assert fmean([sum(one.stages.values()) > 600 for one in people]) == pytest.approx(0.10, abs=0.01)
    assert median(one.session_s for one in people) == pytest.approx(2700, rel=0.04)
    assert fmean([bool(one.drop) for one in people]) == pytest.approx(0.06, abs=0.006)


def test_a_weekend_christmas_and_growth_bring_more() -> None:
    population = load()
    year = some(population, 365)
    of_day = dict.fromkeys(range(7), 0)
    for one in year:
        of_day[one.at.weekday()] += 1
    assert (of_day[5] + of_day[6]) / 2 / (sum(of_day[day] for day in range(5)) / 5) == pytest.approx(1.15, abs=0.04)
    christmas = sum(one.at.month == 12 and 24 <= one.at.day <= 28 for one in year) / 5
    assert christmas == pytest.approx(190 * 1.6, rel=0.12)
    grown = some(population.changed(growth_per_year=0.5), 365)
    assert len(grown) / len(year) == pytest.approx((1.5 - 1) / 0.405465, rel=0.02)


def test_an_arm_is_by_chance_or_the_same_for_all() -> None:
    population = load()
    assert {one.arm for one in some(population, 1)} == {"video", "usual"}
    assert {one.arm for one in some(population, 1, arm="usual")} == {"usual"}
    assert not any(one.wants_video for one in some(population, 1, arm="usual"))
