"""A workflow's table of moves as a picture: layers from the first state down, drawn as SVG on the server.

Moves by staff, media and the victim are drawn; what the workflow does by itself is dashed. A move that can be made
from many states would be a web of lines: it is listed at the state that it leads to. The picture is numbers, lines and
names; what each number stands for is told beside it, for eyes and for screen readers alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from rvr.core.commands import BOT
from rvr.core.workflow import Move, Workflow

MANY = 6
"""A move from as many states as this is drawn once, at the state that it leads to."""

WIDTH, HEIGHT = 176, 58
"""Of a state's box."""

GAP_X, GAP_Y = 44, 74
"""Between boxes, sideways and down."""

MARGIN = 60
"""Around it all: lines that go back up run here."""


@dataclass(frozen=True, slots=True)
class Box:
    """A state in its place; `x` and `y` are its upper left corner."""

    state: str
    name: str
    owner: str
    x: int
    y: int
    ended: bool
    count: int
    anywhere: tuple[str, ...]
    """Names of the moves that lead here from many states."""

    @property
    def middle(self) -> int:
        return self.x + WIDTH // 2


@dataclass(frozen=True, slots=True)
class Line:
    """All moves from one state to another."""

    number: int
    source: str
    target: str
    moves: tuple[Move, ...]
    path: str
    """Of an SVG path element."""
    x: int
    y: int
    """Where its number stands."""
    by_itself: bool


@dataclass(frozen=True, slots=True)
class Diagram:
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: int
    height: int
    box_width: int = WIDTH
    box_height: int = HEIGHT


def draw(workflow: Workflow, counts: Mapping[str, int]) -> Diagram:
    """The diagram, with how many open cases stand in each state."""
    edges, anywhere = _edges(workflow)
    layers = _layers(workflow, edges)
    widest = max(len(layer) for layer in layers)
    inner = widest * WIDTH + (widest - 1) * GAP_X
    boxes: dict[str, Box] = {}
    for depth, layer in enumerate(layers):
        left = MARGIN + (inner - len(layer) * WIDTH - (len(layer) - 1) * GAP_X) // 2
        for place, id_ in enumerate(layer):
            state = workflow.states[id_]
            boxes[id_] = Box(
                id_,
                state.name,
                state.owner,
                left + place * (WIDTH + GAP_X),
                20 + depth * (HEIGHT + GAP_Y),
                state.ended,
                counts.get(id_, 0),
                tuple(anywhere.get(id_, ())),
            )
    lines = tuple(_lines(edges, boxes, {id_: n for n, layer in enumerate(layers) for id_ in layer}))
    return Diagram(tuple(boxes.values()), lines, inner + 2 * MARGIN, 40 + len(layers) * (HEIGHT + GAP_Y) - GAP_Y)


Edges = Mapping[tuple[str, str], tuple[Move, ...]]


def _edges(workflow: Workflow) -> tuple[Edges, dict[str, list[str]]]:
    """(source, target) -> moves, and target -> names of the moves that lead there from many states."""
    edges: dict[tuple[str, str], list[Move]] = defaultdict(list)
    anywhere: dict[str, list[str]] = defaultdict(list)
    for move in workflow.moves.values():
        for target in dict.fromkeys(branch.state for branch in move.to if branch.state):
            sources = [source for source in move.sources if source != target]
            if len(sources) >= MANY:
                anywhere[target].append(move.name)
                continue
            for source in sources:
                edges[source, target].append(move)
    return {pair: tuple(moves) for pair, moves in edges.items()}, anywhere


def _layers(workflow: Workflow, edges: Edges) -> list[list[str]]:
    """States by the fewest moves that lead to them, each near the middle of those before it."""
    depth: dict[str, int] = {}
    for start in (workflow.initial, *workflow.states):  # a state that is reached from many alone begins a row below
        frontier = [] if start in depth else [start]
        depth |= dict.fromkeys(frontier, 1 if depth else 0)
        while frontier:
            reached = (target for source in frontier for one, target in edges if one == source and target not in depth)
            below = 1 + max(depth[source] for source in frontier)
            frontier = list(dict.fromkeys(reached))
            depth |= dict.fromkeys(frontier, below)
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for state, row in depth.items():
        layers[row].append(state)
    for above, layer in pairwise(layers):
        sources = {state: [one for one, target in edges if target == state and one in above] for state in layer}
        layer.sort(key={state: _mean(map(above.index, ones)) for state, ones in sources.items()}.__getitem__)
    return layers


def _mean(places: Iterable[int]) -> float:
    told = list(places)
    return sum(told) / len(told) if told else 0.0


def _lines(edges: Edges, boxes: Mapping[str, Box], layer: Mapping[str, int]) -> Iterable[Line]:
    """A step down is a curve from box to box; a step back, or over a layer, swings out to the side."""
    taken: set[tuple[int, int]] = set()
    for number, ((source, target), moves) in enumerate(edges.items(), 1):
        start, end = boxes[source], boxes[target]
        shift = (number % 5 - 2) * 12
        if layer[target] == layer[source] + 1:
            x1, y1, x2, y2 = start.middle + shift, start.y + HEIGHT, end.middle + shift, end.y
            path = f"M {x1} {y1} C {x1} {y1 + 40}, {x2} {y2 - 40}, {x2} {y2 - 2}"
            x, y = (x1 + x2) // 2, (y1 + y2) // 2
        elif layer[target] == layer[source]:
            right = end.x > start.x
            x1, x2 = (start.x + WIDTH, end.x - 2) if right else (start.x, end.x + WIDTH + 2)
            y1, y2 = start.y + 18 + shift // 2, end.y + 18 + shift // 2
            sway = 0 if abs(x2 - x1) < WIDTH else -110
            path = f"M {x1} {y1} Q {(x1 + x2) // 2} {y1 + sway}, {x2} {y2}"
            x, y = (x1 + x2) // 2, (y1 + y2 + sway) // 2
        else:
            back = layer[target] < layer[source]
            x1 = start.x if back else start.x + WIDTH
            x2 = end.x - 2 if back else end.x + WIDTH + 2
            y1, y2 = start.y + HEIGHT // 2 + shift, end.y + HEIGHT // 2 + shift
            far = min(x1, x2) - 34 + shift if back else max(x1, x2) + 34 + shift
            path = f"M {x1} {y1} C {far} {y1}, {far} {y2}, {x2} {y2}"
            x, y = (x1 + x2 + 6 * far) // 8, (y1 + y2) // 2
        while any(abs(x - a) < 20 and abs(y - b) < 18 for a, b in taken):
            y += 19
        taken.add((x, y))
        by_itself = all(move.who == (BOT,) for move in moves)
        yield Line(number, source, target, moves, path, x, y, by_itself)
