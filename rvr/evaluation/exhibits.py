"""The pictures of a report, each with its numbers, its definition and its N, after disclosure control.

A curve is told at few points only, between which enough cases lie: its steps would be the times of single cases.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rvr.evaluation import control_charts, km, svg
from rvr.evaluation.control_charts import Period, Point
from rvr.evaluation.disclosure import THRESHOLD, Cell, about, protect, protect_last, published
from rvr.evaluation.measures import OUTCOME_DAYS, STAGES, Measures, months

Row = tuple[str, ...]
WITHHELD = "withheld"
TEN_MINUTES, A_DAY = 600, 86_400


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One picture. `svg`: empty where there is too little to show."""

    id: str
    title: str
    definition: str
    n: str
    svg: str
    head: Row
    rows: tuple[Row, ...]


@dataclass(slots=True)
class Guard:
    """Decides what of a report may be shown, and remembers it for the register of releases."""

    threshold: int = THRESHOLD
    too_close: Callable[[str, Hashable, int], bool] = lambda name, cell, count: False
    released: dict[tuple[str, Hashable], int] = field(default_factory=dict)

    def enough(self, name: str, count: int) -> bool:
        """Whether so many cases are enough to tell anything of them, and far enough from what was released before."""
        if count < self.threshold or self.too_close(name, "n", count):
            return False
        self.released[name, "n"] = count
        return True

    def shown(
        self, name: str, cells: Sequence[Cell], total: Hashable = "total", dear: Sequence[Hashable] = ()
    ) -> Callable[[Hashable], int | None]:
        """The rounded count of a cell, or None where it is withheld. `total`: the key of the sum of them all; while
        that is too small nothing is shown, for noughts would tell where the few are. `dear`: keys that are
        hidden for another one's sake only where hiding others will not do, the dearest first.
        """
        if 0 < next(cell.count for cell in cells if cell.key == total) < self.threshold:
            return lambda key: None
        close = [cell.key for cell in cells if self.too_close(name, cell.key, cell.count)]
        if dear:
            gone: frozenset[Hashable] | None = protect_last(cells, dear, self.threshold, hidden=close)
        else:
            gone = protect(cells, self.threshold, hidden=close)
        counts = {cell.key: cell.count for cell in cells if gone is not None and cell.key not in gone}
        self.released |= {(name, key): count for key, count in counts.items()}
        return lambda key: published(counts[key], self.threshold) if key in counts else None


def exhibits(measures: Measures, guard: Guard, bases: Collection[str] = ()) -> list[Exhibit]:
    """Every picture of the report. `bases`: months at which new baselines begin."""
    return [
        distribution(measures, guard),
        survival(measures, guard),
        funnel(measures, guard),
        handover_chart(measures, guard, bases),
        share_chart(measures, guard, bases),
        outcomes(measures, guard),
        safeguarding(measures, guard),
    ]


def told(count: int | None) -> str:
    """A count, or that it is withheld."""
    return WITHHELD if count is None else str(count)


def duration(seconds: float) -> str:
    """As people say it."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and (seconds % size == 0 or seconds >= 10 * size):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def percent(share: float) -> str:
    return f"{share:.0%}"


# --- How long the response took ----------------------------------------------------------------------------------

_EDGES = (60, 120, 180, 300, TEN_MINUTES, 900, 1800, 3600, 7200, 14_400, 28_800, A_DAY, 172_800)
_TIME = svg.Axis(
    "time since the case was opened (equal ways are equal factors)",
    ((30, "30 s"), (60, "1 min"), (180, "3 min"), (600, "10 min"), (3600, "1 h"), (14_400, "4 h"), (A_DAY, "24 h")),
    30,
    172_800,
    log=True,
)
_SHARE = svg.Axis("share of cases", tuple((tenth / 5, f"{tenth * 20} %") for tenth in range(6)), 0, 1)
_PROMISES = (svg.Rule(TEN_MINUTES, "10 min"), svg.Rule(A_DAY, "24 h"))


def distribution(measures: Measures, guard: Guard) -> Exhibit:
    """How many had their response by when, by video and in person."""
    video = [time for time, what in measures.followed if what == km.VIDEO]
    person = [us / 1e6 for us in measures.in_person]
    curves = {
        name: _curve(times, guard, f"distribution/{name}") for name, times in (("video", video), ("in person", person))
    }
    rows = [(name, duration(at), percent(share)) for name, points in curves.items() for at, share in points]
    chart = svg.Chart(
        "distribution",
        "How long the response took",
        "Share of the cases with a response that had it by each time, by video and in person, against ten minutes and "
        "24 hours. The table has the values.",
        _TIME,
        _SHARE,
        tuple(svg.Line(name, tuple(points), dots=True) for name, points in curves.items() if points),
        rules=_PROMISES,
    )
    return Exhibit(
        "distribution",
        "How long the response took, against ten minutes and 24 hours",
        "By video: from the opening of the case to the first two-way video, of cases in which a handover was offered "
        "and video came about before an officer. In person: from the opening to attendance, of cases without an offer "
        "to which an officer was sent. 24 hours are a promise, not what a comparison group had.",
        f"by video {about(len(video), guard.threshold)}, in person {about(len(person), guard.threshold)}",
        svg.drawn(chart) if chart.lines else "",
        ("response", "by", "share of those with one"),
        tuple(rows),
    )


def _curve(times: list[float], guard: Guard, name: str) -> list[tuple[float, float]]:
    """(time, share that had it by then), where enough lie between one point and the next, and behind the last."""
    if not guard.enough(name, len(times)):
        return []
    ordered, points, before = sorted(times), list[tuple[float, float]](), 0
    for edge in _EDGES:
        by = bisect_right(ordered, edge)
        rest = len(ordered) - by
        if by - before >= guard.threshold and (rest == 0 or rest >= guard.threshold):
            points.append((float(edge), by / len(ordered)))
            before = by
    return points


# --- Survival ----------------------------------------------------------------------------------------------------

_GRID = (30, 60, 90, 120, 180, 240, 300, 420, TEN_MINUTES, 900, 1200, 1800, 3600, 7200, 14_400, 28_800, A_DAY)


def survival(measures: Measures, guard: Guard) -> Exhibit:
    """Kaplan-Meier of the time to two-way video, and what competes with it."""
    ordered = sorted(measures.followed)
    told = guard.enough("survival", len(ordered))
    curve = list(_survival_points(ordered, guard)) if told else []
    incidence = {
        name: list(_incidence_points(ordered, what, guard)) if told else []
        for name, what in (("video, of all", km.VIDEO), ("in person, of all", km.IN_PERSON))
    }
    chart = svg.Chart(
        "survival",
        "Time to two-way video",
        "Share on video by each time, by Kaplan and Meier with its 95 per cent interval, and by cumulative incidence "
        "with an officer in person as a competing event. The table has the values.",
        _TIME,
        _SHARE,
        (
            svg.Line("video, KM", tuple((at, 1 - step.survival) for at, step in curve), dots=True),
            *(svg.Line(name, tuple(points), dots=True) for name, points in incidence.items()),
        ),
        (svg.Band(tuple((at, 1 - step.high, 1 - step.low) for at, step in curve if step.low == step.low)),),
        rules=_PROMISES,
    )
    rows = [
        (
            "video, Kaplan-Meier",
            duration(at),
            percent(1 - step.survival),
            f"{percent(1 - step.high)} to {percent(1 - step.low)}" if step.low == step.low else "",
        )
        for at, step in curve
    ]
    rows += [(name, duration(at), percent(share), "") for name, points in incidence.items() for at, share in points]
    return Exhibit(
        "survival",
        "Time to two-way video, with an officer in person as a competing event",
        "Of cases in which a handover was offered, from the opening. A case that had neither is followed until it was "
        "closed or to the data cut, and counts as censored then. Kaplan-Meier (interval: Greenwood, log-log) tells how "
        "long video takes where it comes about; cumulative incidence (Aalen-Johansen) in how many of all cases it did.",
        about(len(ordered), guard.threshold),
        svg.drawn(chart) if curve else "",
        ("curve", "by", "share", "95 % interval"),
        tuple(rows),
    )


def _survival_points(ordered: Sequence[km.Followed], guard: Guard) -> Iterator[tuple[float, km.Step]]:
    """(time, step in force)."""
    steps = km.kaplan_meier(ordered)
    times = [step.time for step in steps]
    for at in _enough_between(ordered, km.VIDEO, guard):
        yield at, steps[bisect_right(times, at) - 1]


def _incidence_points(ordered: Sequence[km.Followed], what: str, guard: Guard) -> Iterator[tuple[float, float]]:
    """(time, share of all that had it by then)."""
    steps = km.cumulative_incidence(ordered, what)
    times = [time for time, _ in steps]
    for at in _enough_between(ordered, what, guard):
        yield at, steps[bisect_right(times, at) - 1][1]


def _enough_between(ordered: Sequence[km.Followed], what: str, guard: Guard) -> Iterator[float]:
    """Times between which enough cases ended so, and after the last of which enough do or none."""
    had, before = [time for time, why in ordered if why == what], 0
    for at in _GRID:
        by = bisect_right(had, at)
        rest = len(had) - by
        if by - before >= guard.threshold and (rest == 0 or rest >= guard.threshold):
            yield float(at)
            before = by


# --- The way to video --------------------------------------------------------------------------------------------

_NAMES = {
    "contacts": "contacts",
    "screened": "screened",
    "eligible": "eligible",
    "consented": "agreed to video",
    "offered": "handover offered",
    "accepted": "accepted",
    "assigned": "officer assigned",
    "link_sent": "link sent",
    "link_opened": "link opened",
    "on_video": "on video",
}


def funnel(measures: Measures, guard: Guard) -> Exhibit:
    """How many reached each stage, and why the others did not."""
    shown = guard.shown("funnel", _funnel_cells(measures), ("stage", "contacts"))
    rows: list[Row] = []
    drawn: list[tuple[str, int | None, str]] = []
    for stage, _ in STAGES:
        count = shown(("stage", stage))
        rows.append((_NAMES[stage], "", told(count)))
        drawn.append((_NAMES[stage], count, told(count)))
        reasons = {why: shown(("exit", stage, why)) for why in sorted(measures.exits[stage])}
        rows += [("", why, told(count)) for why, count in reasons.items() if count is not None]
        if None in reasons.values():  # that there is a case of a reason would be told by naming it
            rows.append(("", "other reasons", WITHHELD))
    enough = any(count for _, count, _ in drawn)
    said = "Bars of how many contacts reached each stage on the way to two-way video. The table has the reasons."
    return Exhibit(
        "funnel",
        "From the contact to two-way video, with the reason at each exit",
        "Contacts of the desk that were not voided, at the last stage that they reached without leaving one out. The "
        "reason is the first hard criterion that was not met, the answer about video, the code of the last refusal, "
        "withdrawal or lost contact; without one, what came instead.",
        told(shown(("stage", "contacts"))),
        svg.bars("funnel", "From the contact to two-way video", said, drawn) if enough else "",
        ("stage", "left for", "cases"),
        tuple(rows),
    )


def _funnel_cells(measures: Measures) -> list[Cell]:
    """What reaches a stage leaves it by a reason or for the next: sums that anybody can do."""
    cells, names = list[Cell](), [name for name, _ in STAGES]
    for place, name in enumerate(names):
        begins = names[place - 1] if place else "outside"
        last = place == len(names) - 1
        cells.append(Cell(("stage", name), begins, "outside" if last else name, measures.stages[name]))
        cells += [
            Cell(("exit", name, why), name, "outside", count) for why, count in sorted(measures.exits[name].items())
        ]
    return cells


# --- Control charts ----------------------------------------------------------------------------------------------

_RULES = (
    "Limits are those of the first twelve months of a baseline and stay; a new baseline begins only where somebody "
    "decided so. A triangle is a signal: outside the limits, a jump beyond those of month to month, eight in a row on "
    "one side, six that rise or fall. A month of too few cases has no point."
)


def handover_chart(measures: Measures, guard: Guard, bases: Collection[str]) -> Exhibit:
    """Median handover by month, as individual values."""
    periods = []
    for label, month in months(measures).items():
        n = len(month.handovers)
        enough = guard.enough(f"handover/{label}", n)
        periods.append(Period(label, statistics.median(month.handovers) / 1e6 if enough else None, n))
    points = control_charts.xmr(periods, bases, least=0.0)
    return _control(
        "handover",
        "Median handover by month (XmR)",
        "Seconds from the offer that was accepted to its acceptance; months are those of the opening. " + _RULES,
        points,
        [period.n for period in periods],
        guard,
        lambda value: f"{value:.0f} s",
        "seconds",
    )


def share_chart(measures: Measures, guard: Guard, bases: Collection[str]) -> Exhibit:
    """Share on video or audio within ten minutes, by month."""
    periods = []
    for label, month in months(measures).items():
        n = month.kept + month.overrun
        parts = [part for part in (month.kept, month.overrun) if part]
        enough = bool(parts) and min(parts) >= guard.threshold and guard.enough(f"share/{label}", n)
        periods.append(Period(label, month.kept / n if enough else None, n))
    return _control(
        "share",
        "Contact within ten minutes of the opening, by month (p chart)",
        "Of cases in which a handover was offered: contact by video or audio within 600 s of the opening. " + _RULES,
        control_charts.p_chart(periods, bases),
        [period.n for period in periods],
        guard,
        percent,
        "share",
    )


def _control(
    id_: str,
    title: str,
    definition: str,
    points: Sequence[Point],
    counts: Sequence[int],
    guard: Guard,
    said: Callable[[float], str],
    unit: str,
) -> Exhibit:
    drawn = svg.drawn(_control_chart(id_, title, points, said, unit)) if any(_known(points)) else ""
    rows = tuple(
        (
            point.label + (" (new baseline)" if point.rebased else ""),
            about(n, guard.threshold),
            WITHHELD if point.value is None else said(point.value),
            "" if point.centre is None else said(point.centre),
            "" if point.low is None or point.high is None else f"{said(point.low)} to {said(point.high)}",
            ", ".join(point.signals),
        )
        for point, n in zip(points, counts, strict=True)
    )
    return Exhibit(id_, title, definition, f"{len(points)} months", drawn, _CONTROL_HEAD, rows)


_CONTROL_HEAD = ("month", "cases", "value", "centre", "limits", "signal")


def _known(points: Sequence[Point]) -> list[tuple[int, Point]]:
    return [(place, point) for place, point in enumerate(points) if point.value is not None]


def _control_chart(id_: str, title: str, points: Sequence[Point], said: Callable[[float], str], unit: str) -> svg.Chart:
    known = _known(points)
    limited = [(place, point) for place, point in known if point.centre is not None]
    most = max((max(point.value or 0.0, point.high or 0.0) for _, point in known), default=0.0) or 1.0
    every, ticks = max(1, -(-len(points) // 6)), svg.round_ticks(most)
    marked = frozenset(number for number, (_, point) in enumerate(known) if point.signals)
    lines = [svg.Line("value", tuple((float(p), one.value or 0.0) for p, one in known), dots=True, marked=marked)]
    for name, of in (("upper", "high"), ("centre", "centre"), ("lower", "low")):
        lines.append(svg.Line(name, tuple((float(p), float(getattr(one, of))) for p, one in limited)))
    return svg.Chart(
        id_,
        title,
        f"{len(known)} months with their value, the centre and the limits; {len(marked)} with a signal. The table has "
        "the values.",
        svg.Axis(
            "month of the opening",
            tuple((float(place), points[place].label) for place in range(0, len(points), every)),
            0,
            max(1.0, len(points) - 1.0),
        ),
        svg.Axis(unit, tuple((value, said(value)) for value in ticks), 0, ticks[-1]),
        tuple(lines),
    )


# --- Outcomes, safeguarding --------------------------------------------------------------------------------------

_OUTCOMES = {"none": "no outcome yet", "outcome_16": "outcome 16", "other": "another outcome"}


def outcomes(measures: Measures, guard: Guard) -> Exhibit:
    """First outcomes by how long the case was followed."""
    rows: list[Row] = []
    drawn: list[tuple[str, int | None, str]] = []
    earlier: list[Mapping[str, int]] = []
    for days in OUTCOME_DAYS:
        counts = {name: measures.outcomes[days][name] for name in _OUTCOMES}
        close = any(0 < abs(counts[name] - one[name]) < guard.threshold for one in earlier for name in _OUTCOMES)
        cells = _one_row(counts)
        shown = guard.shown(f"outcomes/{days}", cells) if not close else lambda key: None
        followed = shown("total")
        parts = [shown(name) for name in _OUTCOMES]
        whole = sum(counts.values())
        shares = [
            percent(counts[name] / whole) if part is not None and followed else told(part)
            for name, part in zip(_OUTCOMES, parts, strict=True)
        ]
        rows.append((f"{days} days", told(followed), *shares))
        drawn.append((f"{days} days", parts[1], f"outcome 16: {shares[1]}"))
        if followed is not None:
            earlier.append(counts)
    said = "Bars of how many cases had outcome 16 within each time. The table has the shares."
    enough = any(count for _, count, _ in drawn)
    return Exhibit(
        "outcomes",
        "First outcome by time since the opening",
        "Of cases that were followed for so long, by the first outcome that was assigned by then. A case that was "
        "opened later stands in no share. Outcome 16: a suspect is known, the victim does not support further action.",
        f"{told(_about_or_none(measures.cases - measures.voided, guard))} cases",
        svg.bars("outcomes", "Outcome 16 by time since the opening", said, drawn) if enough else "",
        ("within", "followed so long", *_OUTCOMES.values()),
        tuple(rows),
    )


def _about_or_none(count: int, guard: Guard) -> int | None:
    return published(count, guard.threshold) if count >= guard.threshold else None


def _one_row(counts: Mapping[str, int]) -> list[Cell]:
    parts = [Cell(name, "all", "parts", count) for name, count in counts.items()]
    return [*parts, Cell("total", "parts", "all", sum(counts.values()))]


_ACTIONS = {
    "in_time": "done in time",
    "late": "done late",
    "overdue": "not done, and overdue",
    "not_due": "not due yet",
    "declined": "declined by the victim",
    "unsafe": "found unsafe",
    "other": "other",
}


def safeguarding(measures: Measures, guard: Guard) -> Exhibit:
    """What became of the actions that were planned."""
    counts = {name: measures.safeguarding[name] for name in _ACTIONS}
    counts["other"] += sum(count for name, count in measures.safeguarding.items() if name not in _ACTIONS)
    shown = guard.shown("safeguarding", _one_row(counts))
    drawn = [(said, shown(name), told(shown(name))) for name, said in _ACTIONS.items()]
    enough = any(count for _, count, _ in drawn)
    described = "Bars of what became of planned safeguarding actions. The table has the counts."
    return Exhibit(
        "safeguarding",
        "Safeguarding done in time",
        "Every action that was planned in a case that was not voided, by its own due time; what is not done counts as "
        "overdue when that time had passed by the data cut.",
        f"{told(shown('total'))} actions",
        svg.bars("safeguarding", "Safeguarding done in time", described, drawn) if enough else "",
        ("what became of it", "actions"),
        tuple((said, count) for said, _, count in drawn),
    )
