"""Questions with answers: the safety questions and the risk tools, as a page asks them and as its boxes are read back.

A page has flat boxes. A risk tool's are named `<field>.<tool>.<question>`, with `.<row>.<column>` behind it for a
cell of a matrix and `.words` for free text. What is not asked after the other answers is left out here, before the
desk sees it: without scripts a page shows every question.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rvr.core import risk
from rvr.core.case import Case
from rvr.core.forms import CHECK_ANSWERS
from rvr.core.workflow import Criterion, Field, Workflow
from rvr.messages import Catalogue

TOOL = "risk_tool"
"""The field of the form that chooses the instrument."""

Answers = tuple[tuple[str, str], ...]
"""Codes with their labels; an empty label stands for the catalogue's."""

CHECKS: Answers = tuple((code, "") for code in CHECK_ANSWERS)

PLAIN: Answers = tuple((code, "") for code in ("yes", "no", *risk.NOT_TOLD))


@dataclass(frozen=True, slots=True)
class OnlyIf:
    """What must have been answered before this is asked."""

    when: str
    """Box -> answers, as JSON for the script that shows and hides."""
    answers: tuple[tuple[str, Answers], ...] = ()
    """Numbers of questions with these answers, for who has no script."""


@dataclass(frozen=True, slots=True)
class Cell:
    name: str
    label: str
    ticked: bool


@dataclass(frozen=True, slots=True)
class Question:
    """One question, ready to be asked."""

    name: str
    """Its box."""
    number: str
    ask: str
    value: str
    todo: bool = False
    """The form came back because of it."""
    why: str = ""
    kind: str = "yes_no"
    answers: Answers = PLAIN
    words: str = ""
    """What was typed, where it takes words of one's own."""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, tuple[Cell, ...]], ...] = ()
    critical: bool = False
    local: bool = False
    optional: bool = False
    only_if: OnlyIf | None = None

    @property
    def after_yes(self) -> OnlyIf:
        """The cells of a matrix are asked after its yes."""
        return OnlyIf(json.dumps({self.name: ["yes"]}))


@dataclass(frozen=True, slots=True)
class Block:
    """Questions that stand together, under a heading if they have a name."""

    id: str
    name: str
    questions: tuple[Question, ...]
    only_if: OnlyIf | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A risk tool, ready to be filled in."""

    id: str
    about: risk.Instrument
    blocks: tuple[Block, ...]
    only_if: OnlyIf | None
    """None: it is the only one."""


@dataclass(frozen=True, slots=True)
class Assessed:
    """An assessment as a colleague reads it."""

    tool: str
    rows: tuple[tuple[str, str, bool], ...]
    """Question, answer, whether it scores."""
    subscores: tuple[tuple[str, int], ...]
    combinations: tuple[str, ...]


# --- Asking ------------------------------------------------------------------------------------------------------


def criteria(
    asked: Iterable[Criterion], field: str, values: Mapping[str, str], *, faulty: bool
) -> tuple[Question, ...]:
    """The safety questions that are asked that day."""
    boxes = [(f"{field}.{criterion.id}", criterion) for criterion in asked]
    return tuple(
        Question(box, str(number), one.ask, values.get(box, ""), faulty and not values.get(box), one.why)
        for number, (box, one) in enumerate(boxes, 1)
    )


def checks(field: Field, values: Mapping[str, str], *, faulty: bool) -> tuple[Question, ...]:
    """The points of a list, each met, not met, or not applicable."""
    boxes = [(f"{field.id}.{option.value}", option.label) for option in field.options]
    return tuple(
        Question(box, str(number), label, values.get(box, ""), faulty and values.get(box, "no") == "no", answers=CHECKS)
        for number, (box, label) in enumerate(boxes, 1)
    )


def tools(workflow: Workflow, field: str, values: Mapping[str, str], *, faulty: bool) -> tuple[Tool, ...]:
    """Every risk tool of the workflow: which one is filled in is chosen on the page."""
    several = len(workflow.instruments) > 1
    chosen = values.get(TOOL, "")
    return tuple(
        Tool(
            id=tool.id,
            about=tool,
            blocks=tuple(_Asking(tool, field, values, faulty=faulty and tool.id == chosen).blocks()),
            only_if=OnlyIf(json.dumps({TOOL: [tool.id]})) if several else None,
        )
        for tool in workflow.instruments.values()
    )


class _Asking:
    """One tool on one page."""

    def __init__(self, tool: risk.Instrument, field: str, values: Mapping[str, str], *, faulty: bool) -> None:
        self.tool, self.field, self.values = tool, field, values
        self.numbers = _numbers(tool)
        given = answers_from(values, field, tool)
        unticked = [one.id for one in tool.every if one.kind == "matrix" and given.get(one.id) == "yes"]
        self.todo = {*risk.assess(tool, given).missing, *unticked} if faulty else set()

    def blocks(self) -> Iterator[Block]:
        """A set stands behind the last question that opens it, so that it appears below the answer."""
        run: list[risk.Question] = []
        placed: set[str] = set()
        for question in self.tool.questions:
            run.append(question)
            opened = [one for one in self.tool.sets if one.when and list(one.when)[-1] == question.id]
            if opened:
                yield self._block("", "", run)
                yield from (self._block(one.id, one.name, one.questions, one.when) for one in opened)
                placed |= {one.id for one in opened}
                run = []
        yield self._block("", "", run)
        rest = [one for one in self.tool.sets if one.id not in placed]
        yield from (self._block(one.id, one.name, one.questions, one.when) for one in rest)

    def _block(
        self, id_: str, name: str, questions: Iterable[risk.Question], when: Mapping[str, tuple[str, ...]] | None = None
    ) -> Block:
        return Block(id_, name, tuple(self._question(one) for one in questions), self._only_if(when or {}))

    def _box(self, question: str) -> str:
        return f"{self.field}.{self.tool.id}.{question}"

    def _question(self, one: risk.Question) -> Question:
        box = self._box(one.id)
        return Question(
            name=box,
            number=self.numbers[one.id],
            ask=one.topic,
            value=self.values.get(box, ""),
            todo=one.id in self.todo,
            kind=one.kind,
            answers=_answers(self.tool, one),
            words=self.values.get(f"{box}.words", ""),
            columns=tuple(column.label for column in one.columns),
            rows=tuple((row.label, tuple(self._cells(box, row, one.columns))) for row in one.rows),
            critical=one.critical,
            local=one.local,
            optional=one.optional,
            only_if=self._only_if(one.when),
        )

    def _cells(self, box: str, row: risk.Named, columns: Iterable[risk.Named]) -> Iterator[Cell]:
        for column in columns:
            name = f"{box}.{row.id}.{column.id}"
            yield Cell(name, f"{row.label}: {column.label}", bool(self.values.get(name)))

    def _only_if(self, when: Mapping[str, tuple[str, ...]]) -> OnlyIf | None:
        if not when:
            return None
        labels = {one.id: dict(_answers(self.tool, one)) for one in self.tool.every}
        told = ((self.numbers[one], tuple((code, labels[one][code]) for code in codes)) for one, codes in when.items())
        return OnlyIf(json.dumps({self._box(one): codes for one, codes in when.items()}), tuple(told))


def _answers(tool: risk.Instrument, question: risk.Question) -> Answers:
    labels = {step.id: step.label for step in tool.scale} if question.kind == "frequency" else {}
    return tuple((code, labels.get(code, "")) for code in risk.takes(question, tool.scale))


def _numbers(tool: risk.Instrument) -> dict[str, str]:
    """1, 2, 3 in the order of the page; in a set that question 8 opens: 8.1, 8.2."""
    numbers: dict[str, str] = {}
    count = 0
    for part in tool.parts:
        opener = numbers.get(list(part.when)[-1]) if part.when else None
        for place, question in enumerate(part.questions, 1):
            count += opener is None
            numbers[question.id] = f"{opener}.{place}" if opener else str(count)
    return numbers


# --- Boxes and answers -------------------------------------------------------------------------------------------


def answers_from(post: Mapping[str, Any], field: str, tool: risk.Instrument) -> dict[str, Any]:
    """The answers in a page's boxes, without those to questions that are not asked after the others."""
    read = {question.id: _read(post, f"{field}.{tool.id}.{question.id}", question) for question in tool.every}
    return {one.id: read[one.id] for one in risk.asked(tool, read) if read[one.id]}


def _read(post: Mapping[str, Any], box: str, question: risk.Question) -> str | list[str]:
    code = str(post.get(box, "")).strip()
    if question.kind == "text":
        return str(post.get(f"{box}.words", "")).strip() or code
    if question.kind == "matrix" and code in ("", "yes"):
        return [cell for cell in question.cells if post.get(f"{box}.{cell}")] or code
    return code


def boxes_of(answers: Mapping[str, Any], field: str, tool: risk.Instrument) -> dict[str, str]:
    """The boxes that hold these answers."""
    boxes: dict[str, str] = {}
    for question in tool.every:
        box, answer = f"{field}.{tool.id}.{question.id}", answers.get(question.id)
        if isinstance(answer, list):
            boxes |= {box: "yes", **{f"{box}.{cell}": "yes" for cell in answer}}
        elif answer:
            own = question.kind == "text" and answer not in risk.NOT_TOLD
            boxes[f"{box}.words" if own else box] = str(answer)
    return boxes


def noted(case: Case, workflow: Workflow) -> dict[str, str]:
    """The boxes of the risk form that is being filled in, as far as it was saved."""
    found = case.risk_noted
    tool = workflow.instruments.get(found.tool) if found else None
    return {TOOL: tool.id, **boxes_of(found.answers, risk.FIELD, tool)} if found and tool else {}


# --- Telling -----------------------------------------------------------------------------------------------------


def assessed(case: Case, workflow: Workflow, words: Catalogue) -> Assessed | None:
    """The case's assessment in words; None without one, or when the tool is none of this version's."""
    tool = workflow.instruments.get(case.risk.tool) if case.risk else None
    if case.risk is None or tool is None:
        return None
    answers, sets = case.risk.answers, {one.id: one.name for one in tool.sets}
    why = {one.id: one.why for one in tool.combinations}
    return Assessed(
        tool=tool.name,
        rows=tuple(
            (one.topic, _in_words(tool, one, answers[one.id], words), one.id in case.risk.because)
            for one in tool.every
            if one.id in answers
        ),
        subscores=tuple((sets.get(id_, id_), score) for id_, score in case.risk.subscores.items()),
        combinations=tuple(why.get(id_, id_) for id_ in case.risk.combinations),
    )


def _in_words(tool: risk.Instrument, question: risk.Question, answer: Any, words: Catalogue) -> str:
    if isinstance(answer, list):
        cells = {f"{row.id}.{column.id}": (row, column) for row in question.rows for column in question.columns}
        told = [cells[cell] for cell in question.cells if cell in answer]
        return "; ".join(f"{row.label}: {column.label}" for row, column in told)
    labels = dict(_answers(tool, question))
    return labels.get(answer) or (words.name("answer", answer) if answer in labels else str(answer))
