"""What a report tells of a trial, on arms of a few hundred cases that are made by hand."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from rvr.core import events as e
from rvr.core.trial import Design
from rvr.evaluation.consort import Flow, exhibits
from rvr.evaluation.exhibits import WITHHELD, Exhibit, Guard, Row
from rvr.evaluation.taking_part import taking_part
from tests.evaluation.test_disclosure import equations, lowest_and_highest
from tests.evaluation.test_timings import Happened, a_log
from tests.trials import trial_desk

LETTERS = {"video": "A", "usual": "B"}
SHOWS = {"video": e.TwoWayVideoStarted(session="s"), "usual": e.OfficerAttended(arrival_source="click")}


def design() -> Design:
    told = trial_desk().trial
    assert told is not None
    return told


@dataclass(frozen=True)
class Cases:
    """So many cases of an arm that went the same way."""

    count: int
    arm: str = ""
    first: str = ""
    after_s: float = 0
    set_aside: bool = False


def lived(cases: Cases) -> list[e.Recorded]:
    """The log of one of them; without an arm it was opened in error."""
    if not cases.arm:
        return a_log((5, e.CaseVoided(reason="test")))
    drawn = e.ArmAllocated(trial=design().id, stratum="female-ipv", place=1, arm=cases.arm, labels=LETTERS)
    happened: list[Happened] = [(60, drawn)]
    happened += [(61, e.ArmOverridden(reason="cannot_wait", note=""))] if cases.set_aside else []
    happened += [(cases.after_s, SHOWS[cases.first])] if cases.first else []
    return a_log(*happened)


def flow_of(*many: Cases) -> Flow:
    flow = Flow(design().id)
    for cases in many:
        taking = taking_part(lived(cases), design(), lambda recorded: True)
        for _ in range(cases.count):
            flow.add(taking)
    return flow


OWN = [Cases(150, "video", "video", 180), Cases(47, "video"), Cases(130, "usual", "usual", 7200), Cases(70, "usual")]


def told(flow: Flow, threshold: int = 10) -> tuple[Exhibit, Exhibit]:
    one, other = exhibits(flow, Guard(threshold))
    return one, other


def row(exhibit: Exhibit, *begins: str) -> Row:
    (found,) = (one for one in exhibit.rows if one[: len(begins)] == begins)
    return found


def test_no_few_cases_of_a_trial_are_known_to_within_fewer_values_than_the_threshold() -> None:
    """Whatever is shown is taken for exact, and whoever attacks it has linear programming."""
    dice, shown = random.Random(2022), 0
    for _ in range(40):
        ways = [(arm, first) for arm in LETTERS for first in (*LETTERS, "")]
        some = [Cases(dice.choice((0, 2, 4, 8, 13, 60, 200)), *way, 60, dice.random() < 0.3) for way in ways]
        flow = flow_of(*some, *OWN, Cases(dice.choice((0, 4, 30))))
        guard, cells = Guard(10), flow.cells()
        exhibits(flow, guard)
        gone = frozenset(cell.key for cell in cells if (f"consort-{flow.trial}", cell.key) not in guard.released)
        left, right, unknown = equations(cells, gone)
        for number, cell in enumerate(unknown):
            if 0 < cell.count < 10:
                low, high = lowest_and_highest(left, right, number)
                assert high - low > 10 - 1e-6, (cells, gone)
        assert not {cell.key for cell in cells if 0 < cell.count < 10} - gone
        shown += ("delivered", "A") not in gone
    assert shown > 20, "what the trial is for is told in most"


def test_what_the_flow_withholds_is_not_told_by_the_share_that_had_an_arm() -> None:
    consort, trial = told(flow_of(*OWN, Cases(3, "video", "usual", 7200)))
    assert row(consort, "allocated to A", "received another arm first")[-1] == WITHHELD
    own = row(consort, "allocated to A", "received it first")[-1]
    none, share = row(consort, "allocated to A", "received none so far")[-1], row(trial, "intention to treat", "A")[3]
    assert WITHHELD in (own, none), "200 less own and none are the three"
    assert WITHHELD in (own, share), "the share of 200 less own are the three"


def test_two_means_never_differ_by_the_waits_of_a_few() -> None:
    """Three who crossed over waited two hours, all others of their arm three minutes."""
    _, trial = told(flow_of(*OWN, Cases(3, "video", "usual", 7200)))
    means = {arm: {one[0]: one[4] for one in trial.rows if one[1] == arm} for arm in "AB"}
    assert means["A"] == {"intention to treat": "318 s", "as treated": WITHHELD, "per protocol": WITHHELD}
    assert means["B"] == {"intention to treat": "2 h", "as treated": WITHHELD, "per protocol": "2 h"}


def test_few_who_crossed_over_both_ways_are_not_told_by_two_sums() -> None:
    """152 as treated are 153 less three and two more."""
    crossed = (Cases(3, "video", "usual", 7200), Cases(2, "usual", "video", 240, set_aside=True))
    _, trial = told(flow_of(*OWN, *crossed))
    assert row(trial, "intention to treat", "A")[4] == "318 s"
    assert row(trial, "as treated", "A")[3:] == (WITHHELD,) * 3


def test_of_whom_it_was_set_aside_nothing_is_told_by_what_is_left_of_the_arm() -> None:
    consort, trial = told(flow_of(*OWN, Cases(4, "video", "video", 7200, set_aside=True)))
    own, kept = row(consort, "allocated to A", "received it first")[-1], row(trial, "per protocol", "A")
    assert WITHHELD in (own, kept[2]), "they differ by the four"
    assert WITHHELD in (row(trial, "intention to treat", "A")[4], kept[4])
    assert WITHHELD in (row(trial, "as treated", "A")[4], kept[4])


def test_the_number_of_those_who_were_randomised_stands_nowhere_where_it_is_withheld() -> None:
    flow = flow_of(Cases(500, "video", "video", 180), Cases(495, "usual", "usual", 7200), Cases(5))
    guard = Guard(10, lambda name, cell, count: cell == "randomised")
    consort, trial = exhibits(flow, guard)
    assert row(consort, "randomised")[-1] == trial.n == WITHHELD


def test_a_few_who_left_cost_the_number_of_contacts_and_none_of_the_arms() -> None:
    consort, trial = told(flow_of(Cases(500, "video", "video", 180), Cases(495, "usual", "usual", 7200), Cases(5)))
    assert row(consort, "not randomised") == ("not randomised", "other reasons", WITHHELD)
    assert (row(consort, "contacts")[-1], row(consort, "randomised")[-1], trial.n) == (WITHHELD, "995", "995")
    assert "n = 995" in consort.svg
    assert WITHHELD not in {cell for one in trial.rows for cell in one}


@pytest.mark.parametrize("analysis", ["intention to treat", "as treated", "per protocol"])
def test_where_nothing_is_hidden_everything_is_told_exactly(analysis: str) -> None:
    crossed = (Cases(3, "video", "usual", 7200), Cases(2, "usual", "video", 240, set_aside=True))
    consort, trial = told(flow_of(*OWN, *crossed), 1)
    assert row(consort, "allocated to A", "received another arm first")[-1] == "3"
    assert {one[1]: one[2:] for one in trial.rows if one[0] == analysis} == {
        "intention to treat": {
            "A": ("200", "76%", "318 s", "3 min"),
            "B": ("202", "65%", "118 min", "2 h"),
        },
        "as treated": {"A": ("152", "100%", "181 s", "3 min"), "B": ("133", "100%", "2 h", "2 h")},
        "per protocol": {"A": ("150", "100%", "3 min", "3 min"), "B": ("130", "100%", "2 h", "2 h")},
    }[analysis]


def test_arms_that_differ_by_many_are_told_in_every_analysis() -> None:
    _, trial = told(flow_of(*OWN, Cases(40, "video", "usual", 7200), Cases(30, "usual", "video", 240)))
    assert WITHHELD not in {cell for one in trial.rows for cell in one}
