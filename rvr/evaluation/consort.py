"""The CONSORT flow of a trial, and what its arms came to: two pictures of the report, after disclosure control.

Arms are letters here: a report is read by people who are not to know which is which.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from rvr.evaluation import svg
from rvr.evaluation.disclosure import Cell, published
from rvr.evaluation.exhibits import WITHHELD, Exhibit, Guard, Row, duration, told
from rvr.evaluation.taking_part import EXITS, Taking
from rvr.evaluation.trial_columns import WHY

ANALYSES = {
    "intention to treat": "in the arm of its place, whatever came of it",
    "as treated": "in the arm that was delivered first after the draw",
    "per protocol": "in the arm of its place, where that came first and nobody set the trial aside",
}


@dataclass(slots=True)
class Flow:
    """What the cases of a window came to in one trial."""

    trial: str = ""
    name: str = ""
    contacts: int = 0
    exits: Counter[str] = field(default_factory=Counter)
    arms: Counter[str] = field(default_factory=Counter)
    """Letter -> cases of that arm."""
    strata: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(stratum, letter) -> cases."""
    received: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(letter, own, other or none) -> cases, by the arm that came first."""
    overridden: Counter[str] = field(default_factory=Counter)
    completed: Counter[str] = field(default_factory=Counter)
    waits: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """(analysis, letter) -> seconds from the opening to the first arm that was delivered."""
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(analysis, letter) -> cases, with an end of the wait or without."""

    def add(self, taking: Taking) -> None:
        """One case."""
        self.trial, self.name = taking.design.id, taking.design.name
        self.contacts += 1
        allocated = taking.allocated
        if allocated is None:
            self.exits[taking.exit] += 1
            return
        own, first = allocated.labels.get(allocated.arm, ""), taking.as_treated
        self.arms[own] += 1
        self.strata[allocated.stratum, own] += 1
        self.received[own, "none" if not first else "own" if first == allocated.arm else "other"] += 1
        self.overridden[own] += taking.overridden is not None
        self.completed[own] += taking.completed
        self._count("intention to treat", own, taking)
        if first:
            self._count("as treated", allocated.labels.get(first, ""), taking)
        if taking.per_protocol:
            self._count("per protocol", own, taking)

    def _count(self, analysis: str, arm: str, taking: Taking) -> None:
        self.counted[analysis, arm] += 1
        if taking.waited_us is not None:
            self.waits.setdefault((analysis, arm), []).append(taking.waited_us / 1e6)

    @property
    def randomised(self) -> int:
        return sum(self.arms.values())

    def cells(self) -> list[Cell]:
        """Every count of the flow as an edge between two sums: sums that anybody can do."""
        cells = [Cell("contacts", "outside", "contacts", self.contacts)]
        cells += [Cell(("exit", why), "contacts", "outside", self.exits[why]) for why in EXITS if self.exits[why]]
        cells.append(Cell("randomised", "contacts", "randomised", self.randomised))
        for arm in sorted(self.arms):
            cells.append(Cell(("arm", arm), "randomised", ("arm", arm), self.arms[arm]))
            cells += [
                Cell(("received", arm, what), ("arm", arm), "outside", self.received[arm, what]) for what in _RECEIVED
            ]
        return cells


_RECEIVED = {"own": "received it first", "other": "received another arm first", "none": "received none so far"}


def exhibits(flow: Flow, guard: Guard) -> list[Exhibit]:
    """Both pictures; none where no case was in a trial."""
    return [_flow(flow, guard), _analyses(flow, guard)] if flow.contacts else []


def _flow(flow: Flow, guard: Guard) -> Exhibit:
    shown = guard.shown("consort", flow.cells(), "contacts")
    rows = tuple(_rows(flow, shown))
    title = "Who took part in the trial (CONSORT)"
    said = "Boxes from the cases of the desk down to each arm, with those who left at the side. The table has the same."
    enough = shown("contacts") is not None
    return Exhibit(
        "consort",
        title,
        f"Cases of the workflow in which the trial {flow.trial} runs, each at the first reason for which it was not"
        " randomised. A randomised case stays in the arm of its place; what it received is the first delivery after the"
        " draw. Voided cases that were not randomised are an exit of their own.",
        told(shown("contacts")),
        _drawn(flow, shown, title, said) if enough else "",
        ("step", "of whom", "cases"),
        rows,
    )


def _rows(flow: Flow, shown: Callable[[Hashable], int | None]) -> Iterator[Row]:
    yield ("contacts", "", told(shown("contacts")))
    counts = {why: shown(("exit", why)) for why in EXITS if flow.exits[why]}
    yield from (("not randomised", WHY[why], told(count)) for why, count in counts.items() if count is not None)
    if None in counts.values():  # that there is a case of a reason would be told by naming it
        yield ("not randomised", "other reasons", WITHHELD)
    yield ("randomised", "", told(shown("randomised")))
    for arm in sorted(flow.arms):
        yield (f"allocated to {arm}", "", told(shown(("arm", arm))))
        yield from (
            (f"allocated to {arm}", said, told(shown(("received", arm, what)))) for what, said in _RECEIVED.items()
        )
        yield (f"analysed in {arm}", "by intention to treat: all of them", told(shown(("arm", arm))))


def _drawn(flow: Flow, shown: Callable[[Hashable], int | None], title: str, said: str) -> str:
    """The flow from top to bottom: contacts, who left, who was randomised, and a column for each arm."""
    counts = [(WHY[why], shown(("exit", why))) for why in EXITS if flow.exits[why]]
    left = [f"{said}: {count}" for said, count in counts if count is not None]
    left += ["other reasons: withheld"] if any(count is None for _, count in counts) else []
    arms = sorted(flow.arms)
    columns = [
        [
            [f"Allocated to {arm}", f"n = {told(shown(('arm', arm)))}"],
            [f"{said}: {told(shown(('received', arm, what)))}" for what, said in _RECEIVED.items()],
            ["Analysed by intention to treat", f"n = {told(shown(('arm', arm)))}"],
        ]
        for arm in arms
    ]
    top = ["Contacts of the desk", f"n = {told(shown('contacts'))}"]
    middle = ["Randomised", f"n = {told(shown('randomised'))}"]
    return svg.flow("consort", title, said, top, ["Not randomised", *left], middle, columns)


def _analyses(flow: Flow, guard: Guard) -> Exhibit:
    """What each arm came to, by intention to treat, as treated and per protocol."""
    rows: list[Row] = []
    for analysis in ANALYSES:
        for arm in sorted(flow.arms):
            n, waits = flow.counted[analysis, arm], flow.waits.get((analysis, arm), [])
            name = f"trial/{analysis}/{arm}"
            enough, timed = guard.enough(name, n), len(waits) == n or guard.enough(f"{name}/none", n - len(waits))
            if not enough or not timed or not guard.enough(f"{name}/waits", len(waits)):
                rows.append((analysis, arm, WITHHELD, WITHHELD, WITHHELD, WITHHELD))
                continue
            shares = (f"{len(waits) / n:.0%}", duration(statistics.mean(waits)), duration(statistics.median(waits)))
            rows.append((analysis, arm, str(published(n, guard.threshold)), *shares))
    meaning = "; ".join(f"{name}: {said}" for name, said in ANALYSES.items())
    return Exhibit(
        "trial",
        "What the arms of the trial came to",
        f"A case counts {meaning}. The wait runs from the opening of the case to the first arm that was delivered, of"
        " those to whom one was. Arms are letters: which is which is not told here.",
        told(published(flow.randomised, guard.threshold) if flow.randomised >= guard.threshold else None),
        "",
        ("analysis", "arm", "cases", "had an arm delivered", "mean wait", "median wait"),
        tuple(rows),
    )


def balance(flow: Flow) -> Sequence[tuple[str, dict[str, int]]]:
    """Stratum -> letter -> cases, exactly: for the evaluator's own eyes."""
    strata = sorted({stratum for stratum, _ in flow.strata})
    return [(stratum, {arm: flow.strata[stratum, arm] for arm in sorted(flow.arms)}) for stratum in strata]
