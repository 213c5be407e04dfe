"""Disclosure control of tables of counts: what is hidden cannot be found again from what is shown.

Hiding small cells alone is nearly useless: a table with its totals gives most of them back by subtraction. So more
cells are hidden, and then the table is attacked: for each hidden cell, between which values it must lie for anybody who
knows all that is shown and that no count is below nought. While a cell is pinned to fewer values than the threshold,
another one is hidden where that keeps it from moving; where nothing is left to hide, the whole table is withheld.

A table of counts with its totals is a network in which what flows into a node flows out of it, so the attack is exact
and takes no solver: how far a cell can rise is what can flow round the hidden cells back to where it begins.

Source of the threshold: 10, as the Office for National Statistics and the ACRO/SACRO tools take it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

THRESHOLD, ROUNDED_TO = 10, 5

Node = Hashable


@dataclass(frozen=True, slots=True)
class Cell:
    """A count as an edge: it leaves one sum and enters another."""

    key: Hashable
    """What it is the count of; the same in no two cells."""
    begins: Node
    ends: Node
    count: int


def grid(counts: Sequence[Sequence[int]]) -> list[Cell]:
    """The cells of a table with its totals, keyed by (row, column); a total has -1 in place of the number."""
    cells = [
        Cell((row, column), ("row", row), ("column", column), count)
        for row, counted in enumerate(counts)
        for column, count in enumerate(counted)
    ]
    cells += [Cell((row, -1), "rows", ("row", row), sum(counted)) for row, counted in enumerate(counts)]
    cells += [
        Cell((-1, column), ("column", column), "columns", sum(counted))
        for column, counted in enumerate(zip(*counts, strict=True))
    ]
    return [*cells, Cell((-1, -1), "columns", "rows", sum(map(sum, counts)))]


def protect(
    cells: Sequence[Cell],
    threshold: int = THRESHOLD,
    *,
    hidden: Collection[Hashable] = (),
    shown: Collection[Hashable] = (),
) -> frozenset[Hashable] | None:
    """The keys of the cells that must not be shown; None: the whole table must not. A threshold of one or less hides
    nothing by itself.

    `hidden`: keys that must not be shown in any case; `shown`: keys that are shown elsewhere, so that hiding them here
    helps nobody. None also where one of those is itself too small.
    """
    gone = {cell.key for cell in cells if cell.key in hidden or 0 < cell.count < threshold}
    if gone & set(shown):
        return None
    may_go = [cell for cell in cells if cell.key not in shown]
    while (held := next(_held(cells, gone, threshold), None)) is not None:
        loose = [cell for cell in may_go if cell.key not in gone and _frees(cell, held)]
        if not loose:
            return None
        gone.add(min(loose, key=lambda cell: (not cell.count, cell.count)).key)
    return frozenset(gone)


def protect_last(
    cells: Sequence[Cell], dear: Sequence[Hashable], threshold: int = THRESHOLD, *, hidden: Collection[Hashable] = ()
) -> frozenset[Hashable]:
    """The keys of the cells that must not be shown, where some are dearer than others: all are hidden, and then each is
    shown again that may be, the dear ones in their order and then the largest first. A cell that is too small, or is in
    `hidden`, is known to within no fewer values than the threshold; where that cannot be, nothing is shown.
    """
    needed = {cell.key for cell in cells if cell.key in hidden or 0 < cell.count < threshold}
    gone, places = {cell.key for cell in cells}, {key: place for place, key in enumerate(dear)}
    for cell in sorted(cells, key=lambda cell: (places.get(cell.key, len(places)), -cell.count)):
        if cell.key not in needed and next(_held(cells, gone - {cell.key}, threshold, needed), None) is None:
            gone.remove(cell.key)
    return frozenset(gone)


def _frees(cell: Cell, held: Collection[Node]) -> bool:
    """Whether something could flow out of these nodes, were the cell hidden."""
    return (cell.begins in held) != (cell.ends in held) and (cell.begins in held or cell.count > 0)


def _held(
    cells: Sequence[Cell], gone: Collection[Hashable], threshold: int, of: Collection[Hashable] | None = None
) -> Iterator[Collection[Node]]:
    """For each hidden cell that is known to within fewer values than the threshold, the nodes that its change reaches
    and does not get out of. `of`: the keys of those that are asked about; None: all."""
    hidden, width = [cell for cell in cells if cell.key in gone], max(threshold, 1)
    for cell in hidden:
        if of is not None and cell.key not in of:
            continue
        others = [other for other in hidden if other.key != cell.key]
        rise, reached = _flow(others, cell.ends, cell.begins, width)
        if rise < width:
            fall, _ = _flow(others, cell.begins, cell.ends, min(width, cell.count))
            if rise + fall < width:
                yield reached


def bounds(cell: Cell, hidden: Iterable[Cell], at_most: int) -> tuple[int, int]:
    """Between which counts a hidden cell must lie for whoever sees all that is not hidden. `at_most`: how far from the
    true count it is looked for; a bound at that distance may lie farther off.
    """
    others = [other for other in hidden if other.key != cell.key]
    rise, _ = _flow(others, cell.ends, cell.begins, at_most)
    fall, _ = _flow(others, cell.begins, cell.ends, min(at_most, cell.count))
    return cell.count - fall, cell.count + rise


def _flow(cells: Sequence[Cell], source: Node, target: Node, at_most: int) -> tuple[int, Collection[Node]]:
    """How much more can flow from one node to the other (Edmonds and Karp 1972): along a cell without end, against it
    no more than its count. And the nodes that are reached when no more can."""
    if source == target:
        return at_most, ()
    back = {cell.key: cell.count for cell in cells}
    ways: dict[Node, list[tuple[Node, Hashable, bool]]] = {}
    for cell in cells:
        ways.setdefault(cell.begins, []).append((cell.ends, cell.key, True))
        ways.setdefault(cell.ends, []).append((cell.begins, cell.key, False))
    total = 0
    while True:
        came = _reached(ways, back, source, target)
        if target not in came or total >= at_most:
            return total, came
        path = list(_path(came, source, target))
        step = min([at_most - total, *(back[key] for key, along in path if not along)])
        for key, along in path:
            back[key] += step if along else -step
        total += step


_Came = dict[Node, tuple[Node, Hashable, bool]]
"""Node -> the node before it, the cell between them, and whether that was taken along its direction."""


def _reached(
    ways: dict[Node, list[tuple[Node, Hashable, bool]]], back: dict[Hashable, int], source: Node, target: Node
) -> _Came:
    """Every node that something can flow to, by the shortest way; no farther than the target."""
    came: _Came = {source: (source, None, True)}
    waiting = deque([source])
    while waiting and target not in came:
        node = waiting.popleft()
        for beyond, key, along in ways.get(node, ()):
            if beyond not in came and (along or back[key]):
                came[beyond] = (node, key, along)
                waiting.append(beyond)
    return came


def _path(came: _Came, source: Node, target: Node) -> Iterator[tuple[Hashable, bool]]:
    node = target
    while node != source:
        node, key, along = came[node]
        yield key, along


def rounded(count: int, to: int = ROUNDED_TO) -> int:
    """The nearest multiple, halves up: what a shown count is shown as."""
    return (2 * count + to) // (2 * to) * to


def about(count: int, threshold: int) -> str:
    """How many they are, in words where they are too few."""
    return str(published(count, threshold)) if count >= threshold else f"fewer than {threshold}"


def published(count: int, threshold: int) -> int:
    """A count that is shown, as it is shown: exactly only where nothing is to be hidden."""
    return rounded(count) if threshold > 1 else count
