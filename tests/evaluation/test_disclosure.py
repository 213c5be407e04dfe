"""Tables of counts are attacked by other means than the program's own: nothing that is hidden can be found again."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from rvr.evaluation.disclosure import THRESHOLD, Cell, bounds, grid, protect, rounded

TABLES = 10_000


def a_table(dice: random.Random) -> list[list[int]]:
    """Three to five groups by two to five kinds, with counts as they are at a desk: many small, some nought."""
    width = dice.randint(2, 5)
    counts = (0, 0, 1, 2, 3, 5, 8, 12, 20, 45, 90, 200)
    return [[dice.choice(counts) for _ in range(width)] for _ in range(dice.randint(3, 5))]


def equations(cells: Sequence[Cell], gone: frozenset[Hashable]) -> tuple[numpy.ndarray, numpy.ndarray, list[Cell]]:
    """What somebody with the published table can write down: sums of unknowns, and what each comes to."""
    unknown = [cell for cell in cells if cell.key in gone]
    nodes = list({node: None for cell in cells for node in (cell.begins, cell.ends)})
    left, right = numpy.zeros((len(nodes), len(unknown))), numpy.zeros(len(nodes))
    place = {cell.key: number for number, cell in enumerate(unknown)}
    for cell in cells:
        for node, sign in ((cell.begins, 1), (cell.ends, -1)):
            if cell.key in place:
                left[nodes.index(node), place[cell.key]] += sign
            else:
                right[nodes.index(node)] -= sign * cell.count
    return left, right, unknown


def solvable(left: numpy.ndarray) -> list[int]:
    """Unknowns that subtraction alone gives: those in which no solution of the equations differs from another."""
    _, sizes, axes = numpy.linalg.svd(left)
    free = axes[int((sizes > 1e-9).sum()) :]
    return [number for number in range(left.shape[1]) if numpy.abs(free[:, number]).max(initial=0) < 1e-9]


def lowest_and_highest(left: numpy.ndarray, right: numpy.ndarray, number: int) -> tuple[float, float]:
    """By linear programming: what the unknown can be when no count is below nought."""
    aim = numpy.zeros(left.shape[1])
    aim[number] = 1
    low = linprog(aim, A_eq=left, b_eq=right, bounds=(0, None))
    high = linprog(-aim, A_eq=left, b_eq=right, bounds=(0, 100_000))
    return low.fun, -high.fun


def test_ten_thousand_tables_give_back_no_hidden_cell_by_subtraction() -> None:
    dice, withheld, hid = random.Random(2022), 0, 0
    for _ in range(TABLES):
        cells = grid(a_table(dice))
        gone = protect(cells)
        if gone is None:
            withheld += 1
            continue
        assert {cell.key for cell in cells if 0 < cell.count < THRESHOLD} <= gone
        if gone:
            hid += 1
            left, _, _ = equations(cells, gone)
            assert solvable(left) == []
    assert hid > TABLES / 2
    assert withheld < TABLES / 5


def test_no_hidden_cell_is_pinned_to_fewer_values_than_the_threshold() -> None:
    dice = random.Random(1972)
    for _ in range(60):
        cells = grid(a_table(dice))
        gone = protect(cells)
        if gone:
            left, right, unknown = equations(cells, gone)
            for number in range(len(unknown)):
                low, high = lowest_and_highest(left, right, number)
                assert high - low > THRESHOLD - 1e-6, (cells, gone)


def test_hiding_small_cells_alone_is_found_out_by_the_same_attack() -> None:
    """The attack can succeed: without more cells hidden it does so in most tables."""
    dice, found = random.Random(7), 0
    for _ in range(200):
        cells = grid(a_table(dice))
        small = frozenset(cell.key for cell in cells if 0 < cell.count < THRESHOLD)
        if small and solvable(equations(cells, small)[0]):
            found += 1
    assert found > 60


@given(st.lists(st.lists(st.integers(0, 30), min_size=2, max_size=4), min_size=2, max_size=4))
def test_the_bounds_are_those_of_linear_programming(counts: list[list[int]]) -> None:
    width = min(map(len, counts))
    cells = grid([row[:width] for row in counts])
    gone = frozenset(cell.key for cell in cells if cell.count < 12)
    left, right, unknown = equations(cells, gone)
    for number, cell in enumerate(unknown[:2]):
        low, high = bounds(cell, unknown, at_most=1_000)
        told = lowest_and_highest(left, right, number)
        assert low == pytest.approx(told[0], abs=1e-6)
        assert min(high, 900) == pytest.approx(min(told[1], 900), abs=1e-6)


def test_a_table_of_large_counts_is_shown_whole_and_of_one_of_a_few_cases_nothing_but_what_is_nought() -> None:
    assert protect(grid([[20, 30], [40, 50]])) == frozenset()
    few = grid([[1, 0], [2, 3]])
    gone = protect(few)
    assert gone is not None
    assert {cell.count for cell in few if cell.key not in gone} <= {0}


def test_a_total_that_is_shown_elsewhere_is_never_what_hides_another() -> None:
    counts = [[3, 40, 50], [60, 70, 80], [30, 20, 90]]
    totals = {(-1, column) for column in (-1, 0, 1, 2)}
    gone = protect(grid(counts), shown=totals)
    assert gone is not None
    assert (0, 0) in gone
    assert not gone & totals
    assert protect(grid([[3, 1], [0, 1]]), shown={(-1, 1)}) is None


def test_two_small_cells_of_one_group_do_not_hide_each_other_when_their_sum_is_small() -> None:
    """A sum of three in two hidden cells would tell that there were three."""
    gone = protect(grid([[1, 2, 40], [50, 60, 70], [50, 60, 70]]))
    assert gone is not None
    assert gone & {(0, 2), (0, -1)}


def test_what_must_not_be_shown_for_another_reason_is_not_found_again_either() -> None:
    cells = grid([[20, 30], [40, 50]])
    gone = protect(cells, hidden={(0, 0)})
    assert gone is not None
    assert (0, 0) in gone
    assert solvable(equations(cells, gone)[0]) == []


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (2, 0), (3, 5), (12, 10), (13, 15), (99, 100)])
def test_what_is_shown_is_rounded_to_five(count: int, shown: int) -> None:
    assert rounded(count) == shown
