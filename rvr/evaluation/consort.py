"""The CONSORT flow of a trial, and what its arms came to: two pictures of the report, after disclosure control.

Both tell of the same cases, so their counts are protected as one network (`disclosure`): what the one withholds cannot
be worked out from the other. A mean is told only where the count of its cases is, and none of few who crossed over: two
means would tell of the cases by which they differ.

Arms are letters here: a report is read by people who are not to know which is which.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from rvr.evaluation import svg
from rvr.evaluation.disclosure import Cell
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

    trial: str
    contacts: int = 0
    exits: Counter[str] = field(default_factory=Counter)
    arms: Counter[str] = field(default_factory=Counter)
    """Letter -> cases of that arm."""
    strata: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(stratum, letter) -> cases."""
    first: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(letter, letter of the arm that came first, empty for none) -> cases."""
    per_protocol: Counter[str] = field(default_factory=Counter)
    overridden: Counter[str] = field(default_factory=Counter)
    completed: Counter[str] = field(default_factory=Counter)
    waits: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    """(analysis, letter) -> seconds from the opening to the first arm that was delivered, of each to whom one was."""

    def add(self, taking: Taking) -> None:
        """One case."""
        self.contacts += 1
        allocated = taking.allocated
        if allocated is None:
            self.exits[taking.exit] += 1
            return
        own, first = allocated.labels.get(allocated.arm, ""), allocated.labels.get(taking.as_treated, "")
        self.arms[own] += 1
        self.strata[allocated.stratum, own] += 1
        self.first[own, first] += 1
        self.per_protocol[own] += taking.per_protocol
        self.overridden[own] += taking.overridden is not None
        self.completed[own] += taking.completed
        if taking.waited_us is None:
            return
        counted = {"intention to treat": own, "as treated": first} | (
            {"per protocol": own} if taking.per_protocol else {}
        )
        for analysis, arm in counted.items():
            self.waits.setdefault((analysis, arm), []).append(taking.waited_us / 1e6)

    @property
    def randomised(self) -> int:
        return sum(self.arms.values())

    def received(self, arm: str, what: str) -> int:
        """Cases of the arm that had their `own` arm first, any `other`, or `none` so far."""
        own, none = self.first[arm, arm], self.first[arm, ""]
        return {"own": own, "other": self.arms[arm] - own - none, "none": none}[what]

    def crossed(self, arm: str) -> int:
        """Cases by which as treated differs from intention to treat: of this arm in another, of another in this."""
        return sum(count for (own, first), count in self.first.items() if first and (own == arm) != (first == arm))

    def cells(self) -> list[Cell]:
        """Every count of the flow, and of the analyses, as an edge between two sums: sums that anybody can do."""
        cells = [Cell("contacts", "outside", "contacts", self.contacts)]
        cells += [Cell(("exit", why), "contacts", "outside", self.exits[why]) for why in EXITS if self.exits[why]]
        cells.append(Cell("randomised", "contacts", "randomised", self.randomised))
        for arm in sorted(self.arms):
            cells += self._cells_of(arm)
        treated = Counter[str](dict.fromkeys(self.arms, 0))
        for (_, first), count in self.first.items():
            treated[first] += count
        cells += [Cell(("treated", arm), ("treated", arm), "outside", treated[arm]) for arm in sorted(treated) if arm]
        return cells

    def _cells_of(self, arm: str) -> Iterator[Cell]:
        """From an arm to the arms that its cases had first."""
        own, other, none = (self.received(arm, what) for what in _RECEIVED)
        yield Cell(("arm", arm), "randomised", ("arm", arm), self.arms[arm])
        yield Cell(("received", arm, "none"), ("arm", arm), "outside", none)
        yield Cell(("delivered", arm), ("arm", arm), ("delivered", arm), own + other)
        yield Cell(("received", arm, "own"), ("delivered", arm), ("own", arm), own)
        yield Cell(("per protocol", arm), ("own", arm), ("treated", arm), self.per_protocol[arm])
        yield Cell(("set aside", arm), ("own", arm), ("treated", arm), own - self.per_protocol[arm])
        yield Cell(("received", arm, "other"), ("delivered", arm), ("other", arm), other)
        for (of, first), count in sorted(self.first.items()):
            if of == arm and first not in (arm, ""):
                yield Cell(("crossed", arm, first), ("other", arm), ("treated", first), count)


_RECEIVED = {"own": "received it first", "other": "received another arm first", "none": "received none so far"}


Shown = Callable[[Hashable], int | None]
"""The count of a cell as it is shown; None where it is withheld."""


def exhibits(flow: Flow, guard: Guard) -> list[Exhibit]:
    """Both pictures of one trial. Their ids name it: the letters of another one's arms mean other arms."""
    dear = ("randomised", *((cell, arm) for cell in _COUNTED["intention to treat"] for arm in sorted(flow.arms)))
    shown = guard.shown(f"consort-{flow.trial}", flow.cells(), "contacts", dear)
    return [_flow(flow, shown), _analyses(flow, shown, guard.threshold)]


def _flow(flow: Flow, shown: Shown) -> Exhibit:
    rows = tuple(_rows(flow, shown))
    id_, title = f"consort-{flow.trial}", f"Who took part in the trial {flow.trial} (CONSORT)"
    said = "Boxes from the cases of the desk down to each arm, with those who left at the side. The table has the same."
    enough = shown("contacts") is not None or shown("randomised") is not None
    return Exhibit(
        id_,
        title,
        f"Cases of the workflow in which the trial {flow.trial} runs, each at the first reason for which it was not"
        " randomised. A randomised case stays in the arm of its place; what it received is the first delivery after the"
        " draw. Voided cases that were not randomised are an exit of their own.",
        told(shown("contacts")),
        _drawn(flow, shown, (id_, title, said)) if enough else "",
        ("step", "of whom", "cases"),
        rows,
    )


def _rows(flow: Flow, shown: Shown) -> Iterator[Row]:
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


def _drawn(flow: Flow, shown: Shown, names: tuple[str, str, str]) -> str:
    """The flow from top to bottom: contacts, who left, who was randomised, and a column for each arm. `names`: id,
    title, and what it shows in words."""
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
    return svg.flow(*names, top, ["Not randomised", *left], middle, columns)


_COUNTED = {
    "intention to treat": ("arm", "delivered"),
    "as treated": ("treated",) * 2,
    "per protocol": ("per protocol",) * 2,
}
"""Analysis -> the cells that count an arm's cases, and those of them to whom an arm was delivered."""


def _analyses(flow: Flow, shown: Shown, threshold: int) -> Exhibit:
    """What each arm came to, by intention to treat, as treated and per protocol."""
    few = {arm for arm in flow.arms if 0 < flow.crossed(arm) < threshold}
    rows = tuple(
        _analysed(flow, shown, analysis, arm, few=analysis == "as treated" and arm in few)
        for analysis in ANALYSES
        for arm in sorted(flow.arms)
    )
    meaning = "; ".join(f"{name}: {said}" for name, said in ANALYSES.items())
    return Exhibit(
        f"trial-{flow.trial}",
        f"What the arms of the trial {flow.trial} came to",
        f"A case counts {meaning}. The wait runs from the opening of the case to the first arm that was delivered, of"
        " those to whom one was. Arms are letters: which is which is not told here.",
        told(shown("randomised")),
        "",
        ("analysis", "arm", "cases", "had an arm delivered", "mean wait", "median wait"),
        rows,
    )


def _analysed(flow: Flow, shown: Shown, analysis: str, arm: str, *, few: bool) -> Row:
    """The waits only where both counts are told. `few`: they would tell of few cases all the same."""
    cases, delivered = ((cell, arm) for cell in _COUNTED[analysis])
    waits = flow.waits.get((analysis, arm), [])
    if few or not waits or shown(cases) is None or shown(delivered) is None:
        return (analysis, arm, told(shown(cases)), WITHHELD, WITHHELD, WITHHELD)
    of = flow.arms[arm] if analysis == "intention to treat" else len(waits)
    shares = (f"{len(waits) / of:.0%}", duration(statistics.mean(waits)), duration(statistics.median(waits)))
    return (analysis, arm, told(shown(cases)), *shares)


def balance(flow: Flow) -> Sequence[tuple[str, dict[str, int]]]:
    """Stratum -> letter -> cases, exactly: for the evaluator's own eyes."""
    strata = sorted({stratum for stratum, _ in flow.strata})
    return [(stratum, {arm: flow.strata[stratum, arm] for arm in sorted(flow.arms)}) for stratum in strata]
