"""Charts as SVG that can be read without seeing colours, and without seeing: lines differ by their dashes, points by
their shape, and each chart has a title and a description; its numbers stand in a table beside it.

No script and no styles of its own, so that a page with a strict policy shows it as a file does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 62, 150, 16, 46
INK, QUIET, GRID = "#0b0c0c", "#505a5f", "#dcdfe1"
COLOURS = ("#1d70b8", "#d4351c", "#00703c", "#4c2c92")
"""Each has a contrast of 4.5 to 1 and more on white (WCAG 2.2, 1.4.11 asks for 3)."""
DASHES = ("", "7 4", "2 3", "9 3 2 3")


@dataclass(frozen=True, slots=True)
class Axis:
    """One side of a chart. `log`: equal ways are equal factors; then every value is above nought."""

    label: str
    ticks: tuple[tuple[float, str], ...]
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where the value lies, from 0 to 1; what lies outside is put on the edge."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low) if high > low else 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """Values in order of x. `steps`: each holds until the next. `marked`: places of points that are drawn large."""

    name: str
    points: tuple[tuple[float, float], ...]
    steps: bool = False
    dots: bool = False
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Band:
    """What lies between two bounds, of the line of that number."""

    points: tuple[tuple[float, float, float], ...]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the chart at one value, with a word to it. `across`: x or y, the axis of the value."""

    at: float
    label: str
    across: str = "x"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of lines."""

    id: str
    title: str
    described: str
    """What it shows, for whoever does not see it."""
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    bands: tuple[Band, ...] = ()
    rules: tuple[Rule, ...] = ()


def drawn(chart: Chart) -> str:
    """The chart as an SVG element."""
    parts = [*_frame(chart), *_bands(chart), *_rules(chart)]
    for number, line in enumerate(chart.lines):
        parts += _line(chart, number, line)
    parts += _names(chart)
    return _svg(chart.id, chart.title, chart.described, HEIGHT, parts)


def bars(id_: str, title: str, described: str, rows: Sequence[tuple[str, int | None, str]]) -> str:
    """Horizontal bars: (name, count or None where it is withheld, what stands beside it), the longest across."""
    height, most = 30, max((count or 0 for _, count, _ in rows), default=0) or 1
    parts = []
    for number, (name, count, beside) in enumerate(rows):
        y, length = TOP + number * height, (WIDTH - 330) * (count or 0) / most
        parts.append(_text(150, y + 15, name, anchor="end"))
        if count is None:
            parts.append(
                f'<rect x="158" y="{y}" width="90" height="20" fill="none" stroke="{QUIET}" stroke-dasharray="3 3"/>'
            )
        else:
            parts.append(f'<rect x="158" y="{y}" width="{length:.1f}" height="20" fill="{COLOURS[0]}"/>')
        parts.append(_text(166 + (90 if count is None else length), y + 15, beside))
    return _svg(id_, title, described, 2 * TOP + height * len(rows), parts)


def flow(
    id_: str,
    title: str,
    described: str,
    top: Sequence[str],
    aside: Sequence[str],
    middle: Sequence[str],
    columns: Sequence[Sequence[Sequence[str]]],
) -> str:
    """Boxes of lines of text, joined by arrows: the first, what leaves it to the side, the second, and below it columns
    of boxes, as high as each other in a row."""
    centre, wide, gap, aside_wide = 120.0, 216.0, 26.0, 430.0
    side = WIDTH - 12 - aside_wide / 2
    parts = [*_box(centre, TOP, wide, top)]
    y = TOP + _high(top)
    beside = y + gap / 2
    parts += _box(side, beside, aside_wide, aside)
    parts.append(_arrow(centre, y, centre, beside + _high(aside) + gap / 2))
    parts.append(_arrow(centre, beside + 18, side - aside_wide / 2, beside + 18))
    y = beside + _high(aside) + gap / 2
    parts += _box(centre, y, wide, middle)
    above, y = y + _high(middle), y + _high(middle) + gap
    places = [WIDTH * (2 * number + 1) / (2 * len(columns)) for number in range(len(columns))]
    if places:
        parts.append(_segment(centre, above, centre, above + gap / 2, INK))
        parts.append(_segment(min(centre, *places), above + gap / 2, max(centre, *places), above + gap / 2, INK))
        above += gap / 2
    for row in range(max((len(column) for column in columns), default=0)):
        boxes = [column[row] for column in columns]
        for place, lines in zip(places, boxes, strict=True):
            parts.append(_arrow(place, above, place, y))
            parts += _box(place, y, WIDTH / len(columns) - 24, lines)
        above, y = y + max(map(_high, boxes)), y + max(map(_high, boxes)) + gap
    return _svg(id_, title, described, y, parts)


def _high(lines: Sequence[str]) -> float:
    return 16.0 + 17 * len(lines)


def _box(centre: float, y: float, wide: float, lines: Sequence[str]) -> Iterator[str]:
    x = centre - wide / 2
    yield (f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{_high(lines):.1f}" fill="none" stroke="{INK}"/>')
    yield from (_text(x + 10, y + 22 + 17 * number, line) for number, line in enumerate(lines))


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    across = abs(x2 - x1) > abs(y2 - y1)
    head = f"M{x2:.1f} {y2:.1f}l-7 -4v8z" if across else f"M{x2:.1f} {y2:.1f}l-4 -7h8z"
    return _segment(x1, y1, x2, y2, INK) + f'<path d="{head}" fill="{INK}"/>'


def _svg(id_: str, title: str, described: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" width="100%"'
        f' aria-labelledby="{id_}-title {id_}-desc" font-family="sans-serif" font-size="13">'
        f'<title id="{id_}-title">{escape(title)}</title><desc id="{id_}-desc">{escape(described)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def _at(chart: Chart, x: float, y: float) -> tuple[float, float]:
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return LEFT + chart.x.place(x) * wide, TOP + (1 - chart.y.place(y)) * high


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _segment(x1: float, y1: float, x2: float, y2: float, stroke: str, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"{dashed}/>'


def _frame(chart: Chart) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value, label in chart.y.ticks:
        _, y = _at(chart, chart.x.low, value)
        yield _segment(LEFT, y, right, y, GRID)
        yield _text(LEFT - 8, y + 4, label, anchor="end", colour=QUIET)
    for value, label in chart.x.ticks:
        x, _ = _at(chart, value, chart.y.low)
        yield _segment(x, bottom, x, bottom + 5, QUIET)
        yield _text(x, bottom + 19, label, anchor="middle", colour=QUIET)
    yield _segment(LEFT, bottom, right, bottom, QUIET)
    yield _text((LEFT + right) / 2, HEIGHT - 6, chart.x.label, anchor="middle")
    yield (
        f'<text x="0" y="0" text-anchor="middle" fill="{INK}"'
        f' transform="translate(14 {(TOP + bottom) / 2:.1f}) rotate(-90)">{escape(chart.y.label)}</text>'
    )


def _bands(chart: Chart) -> Iterator[str]:
    for band in chart.bands:
        up = [_at(chart, x, high) for x, _, high in band.points]
        down = [_at(chart, x, low) for x, low, _ in reversed(band.points)]
        if up:
            way = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*up, *down))
            yield f'<polygon points="{way}" fill="{COLOURS[band.line % 4]}" fill-opacity="0.15"/>'


def _rules(chart: Chart) -> Iterator[str]:
    for rule in chart.rules:
        if rule.across == "x":
            x, _ = _at(chart, rule.at, chart.y.low)
            yield _segment(x, TOP, x, HEIGHT - BOTTOM, INK, "4 3")
            yield _text(x + 4, TOP + 12, rule.label)
        else:
            _, y = _at(chart, chart.x.low, rule.at)
            yield _segment(LEFT, y, WIDTH - RIGHT, y, INK, "4 3")
            yield _text(WIDTH - RIGHT + 6, y + 4, rule.label, colour=QUIET)


def _line(chart: Chart, number: int, line: Line) -> Iterator[str]:
    if not line.points:
        return
    colour, dashes = COLOURS[number % 4], DASHES[number % 4]
    places = [_at(chart, x, y) for x, y in line.points]
    way = f"M{places[0][0]:.1f} {places[0][1]:.1f}"
    for x, y in places[1:]:
        way += f"H{x:.1f}V{y:.1f}" if line.steps else f"L{x:.1f} {y:.1f}"
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    yield f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>'
    for place, (x, y) in enumerate(places):
        if place in line.marked:
            yield f'<path d="M{x - 6:.1f} {y + 5:.1f}h12l-6 -11z" fill="{COLOURS[1]}" stroke="{INK}"/>'
        elif line.dots:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'


def _names(chart: Chart) -> Iterator[str]:
    """The lines' names at their ends, pushed apart where they would lie on each other."""
    ends = [
        (_at(chart, *line.points[-1])[1], line.name, COLOURS[number % 4])
        for number, line in enumerate(chart.lines)
        if line.points
    ]
    lowest = 0.0
    for y, name, colour in sorted(ends):
        lowest = max(y + 4, lowest + 15)
        yield _text(WIDTH - RIGHT + 6, lowest, name, colour=colour)


def round_ticks(most: float, count: int = 5) -> list[float]:
    """Nought and about so many multiples of 1, 2 or 5 times a power of ten, the last at or above the value."""
    size = 10.0 ** math.floor(math.log10(most / count))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor * count >= most)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]
