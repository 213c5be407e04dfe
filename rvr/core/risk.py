"""Risk instruments as data: which questions are asked, what the answers add up to, what that suggests.

The tool suggests, a person grades. Officers' grades from a checklist predict serious harm little better than chance
(Turner, Medina and Brown 2019), so the count never decides: it can be exceeded with a word and never undercut without
one.

An answer is a text or, for a matrix, a list of ticked cells (`row.column`). `unknown` and `refused` answer any
question and count neither way; a question without an answer is a third thing: it is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rvr.core.errors import Reason

LEVELS = ("standard", "medium", "high")
KINDS = ("yes_no", "frequency", "matrix", "text")
NOT_TOLD = ("unknown", "refused")
"""What any question may be answered, besides what its kind takes."""

TOTAL, OWN, NONE = SCORES = ("total", "own", "none")
"""Where the points of a set go: into the instrument's score, into one of its own, nowhere."""

FIELD = "risk_answers"
"""The form's field beside which every reason belongs."""


@dataclass(frozen=True, slots=True)
class Named:
    """A row or a column of a matrix."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Step:
    """One answer of the frequency scale."""

    id: str
    label: str
    points: int


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    topic: str
    kind: str = "yes_no"
    critical: bool = False
    """Known to go with serious harm: one yes suggests the instrument's `critical_suggests`."""
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Asked only if each of these earlier questions has one of these answers; a matrix with a tick counts as yes."""
    rows: tuple[Named, ...] = ()
    columns: tuple[Named, ...] = ()
    optional: bool = False
    """May be left without an answer."""
    local: bool = False
    """Added here: it is no part of the published instrument."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Every cell of a matrix, as it is named in an answer."""
        return tuple(f"{row.id}.{column.id}" for row in self.rows for column in self.columns)


@dataclass(frozen=True, slots=True)
class Band:
    level: str
    at_least: int


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions that stand together, and may be asked only after certain answers."""

    id: str
    name: str
    questions: tuple[Question, ...]
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    score: str = NONE
    bands: tuple[Band, ...] = ()
    """Of its own score, from the lowest to the highest."""


@dataclass(frozen=True, slots=True)
class Combination:
    """Questions that suggest a level when each of them scores."""

    id: str
    suggests: str
    together: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Instrument:
    id: str
    name: str
    hash: str
    about: str
    source: str
    questions: tuple[Question, ...]
    bands: tuple[Band, ...]
    """From the lowest to the highest."""
    critical_suggests: str = "medium"
    sets: tuple[QuestionSet, ...] = ()
    scale: tuple[Step, ...] = ()
    """The answers of its frequency questions."""
    combinations: tuple[Combination, ...] = ()
    help: str = ""
    """What whoever grades should know of the instrument, with its sources."""
    wording: str = ""
    """Whose texts these are, where a force has laid licensed ones over ours."""

    @property
    def parts(self) -> tuple[QuestionSet, ...]:
        """The questions that stand alone, as a set that is always asked, and the sets."""
        return (QuestionSet("", "", self.questions, score=TOTAL, bands=self.bands), *self.sets)

    @property
    def every(self) -> tuple[Question, ...]:
        """All questions in their order, whether they are asked or not."""
        return tuple(question for part in self.parts for question in part.questions)


@dataclass(frozen=True, slots=True)
class RiskResult:
    """A score with its parts, so that a supervisor can argue with it."""

    score: int
    suggested: str
    missing: tuple[str, ...]
    because: tuple[str, ...]
    """Questions that were answered so that they score, or would if their set did."""
    parts: Mapping[str, int]
    """Question -> points, of all that count in the score or in a score of a set's own."""
    subscores: Mapping[str, int]
    """Set -> points, of the opened sets with a score of their own."""
    combinations: tuple[str, ...]
    """Ids of those that were met."""


def assess(instrument: Instrument, answers: Mapping[str, Any]) -> RiskResult:
    """What the instrument makes of these answers. Answers to what is not asked count for nothing."""
    opened = tuple(_opened(instrument, answers))
    points = {
        question.id: points_of(question, answers[question.id], instrument.scale)
        for _, questions in opened
        for question in questions
        if question.id in answers
    }
    sums = {part.id: sum(points.get(question.id, 0) for question in questions) for part, questions in opened}
    score = sum(sums[part.id] for part, _ in opened if part.score == TOTAL)
    own = [part for part, _ in opened if part.score == OWN]
    met = [one for one in instrument.combinations if all(points.get(question) for question in one.together)]
    suggested = [LEVELS[0], *_reached(instrument.bands, score), *(one.suggests for one in met)]
    for part in own:
        suggested += _reached(part.bands, sums[part.id])
    if any(question.critical and points.get(question.id) for _, questions in opened for question in questions):
        suggested.append(instrument.critical_suggests)
    return RiskResult(
        score=score,
        suggested=max(suggested, key=LEVELS.index),
        missing=tuple(q.id for _, questions in opened for q in questions if q.id not in answers and not q.optional),
        because=tuple(name for name, scored in points.items() if scored),
        parts={q.id: points[q.id] for p, qs in opened for q in qs if p.score != NONE and points.get(q.id)},
        subscores={part.id: sums[part.id] for part in own},
        combinations=tuple(one.id for one in met),
    )


def _reached(bands: tuple[Band, ...], score: int) -> list[str]:
    return [band.level for band in bands if score >= band.at_least]


def asked(instrument: Instrument, answers: Mapping[str, Any]) -> tuple[Question, ...]:
    """The questions that are asked after these answers, in their order. One that is not asked opens nothing."""
    return tuple(question for _, questions in _opened(instrument, answers) for question in questions)


def _opened(instrument: Instrument, answers: Mapping[str, Any]) -> Iterator[tuple[QuestionSet, list[Question]]]:
    told: dict[str, str] = {}
    for part in instrument.parts:
        if not _holds(part.when, told):
            continue
        questions = []
        for question in part.questions:
            if _holds(question.when, told):
                questions.append(question)
                told[question.id] = _told(answers.get(question.id))
        yield part, questions


def _holds(when: Mapping[str, tuple[str, ...]], told: Mapping[str, str]) -> bool:
    return not when or all(told.get(question) in wanted for question, wanted in when.items())


def _told(answer: Any) -> str:
    """An answer in one word: a matrix with a tick is a yes."""
    return "yes" if isinstance(answer, list) and answer else str(answer or "")


def points_of(question: Question, answer: Any, scale: tuple[Step, ...]) -> int:
    """What this answer adds: one for a yes and for a matrix with any tick, the step's own on the scale."""
    if question.kind == "frequency":
        return next((step.points for step in scale if step.id == answer), 0)
    return int(question.kind != "text" and _told(answer) == "yes")


def takes(question: Question, scale: tuple[Step, ...]) -> tuple[str, ...]:
    """The one-word answers of a question, as a condition may ask for them; words of one's own are taken besides."""
    match question.kind:
        case "frequency":
            return (*(step.id for step in scale), *NOT_TOLD)
        case "text":
            return NOT_TOLD
    return ("yes", "no", *NOT_TOLD)


def faults_of(instrument: Instrument, answers: Mapping[str, Any]) -> tuple[Reason, ...]:
    """Why these answers cannot be taken, all at once. What is missing is no fault here: `assess` tells it."""
    known = {question.id: question for question in instrument.every}
    open_now = {question.id for question in asked(instrument, answers)}
    reasons = []
    for name, answer in answers.items():
        if name not in known:
            reasons.append(Reason("unknown-question", {"question": name}, FIELD))
        elif name not in open_now:
            reasons.append(Reason("question-not-asked", {"question": known[name].topic}, FIELD))
        elif code := _wrong(known[name], answer, instrument.scale):
            reasons.append(Reason(code, {"question": known[name].topic}, FIELD))
    return tuple(reasons)


def _wrong(question: Question, answer: Any, scale: tuple[Step, ...]) -> str:
    """The code of what is wrong with an answer of this kind; empty: nothing."""
    if question.kind == "matrix":
        if answer == "yes":
            return "nothing-ticked"
        if isinstance(answer, list):
            return "" if answer and set(answer) <= set(question.cells) else "not-its-answer"
    taken = isinstance(answer, str) and (question.kind == "text" or answer in takes(question, scale))
    return "" if taken else "not-its-answer"


def rank(level: str) -> int:
    """Where a level stands, from the lowest; below all of them where there is none."""
    return LEVELS.index(level) if level in LEVELS else -1


def below(level: str, other: str) -> bool:
    """Whether the first level is lower than the second; nothing is lower than no level."""
    return rank(level) < rank(other)
