"""Reads the risk instruments of `risk/`, each with a force's licensed wording over it where there is one.

A wording lies in `risk/wording/<instrument>.toml`, which is never shipped: `licence`, `version`, `[topics]` (question
-> text) and `[labels]` (set, step of the scale, row or column -> text). It changes what is read, never what is asked
or counted, and is a part of the instrument's version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from rvr.core import risk
from rvr.definitions.reading import Reading, digest

_ID = re.compile(r"[a-z][a-z0-9_]*")
WORDINGS = "risk/wording/"


def read_instruments(reading: Reading, names: list[str]) -> dict[str, risk.Instrument]:
    """The named instruments, by id."""
    found = {name: tool for name in names if (tool := _Reader(reading, f"risk/{name}.toml").instrument()) is not None}
    for file in reading.files:
        name = file.removeprefix(WORDINGS).removesuffix(".toml")
        if file.startswith(WORDINGS) and f"risk/{name}.toml" not in reading.files:
            reading.fault(file, "", f"there is no instrument `{name}`")
    return {name: _worded(reading, tool, f"{WORDINGS}{name}.toml") for name, tool in found.items()}


class _Reader:
    """One instrument, read once."""

    def __init__(self, reading: Reading, file: str) -> None:
        self.reading, self.file = reading, file
        self.scale: tuple[risk.Step, ...] = ()
        self.seen: dict[str, tuple[str, ...]] = {}
        """The questions so far, each with the answers that a condition may ask for."""

    def instrument(self) -> risk.Instrument | None:
        optional = "about source help critical_suggests scale set combination"
        table = self._keys("", self.reading.toml(self.file), "id name bands question", optional)
        if table is None:
            return None
        self.scale = tuple(self._scale(table.get("scale", [])))
        questions = tuple(self._questions("question", table["question"]))
        sets = tuple(self._sets(table.get("set", [])))
        if table["id"] != self.file.removeprefix("risk/").removesuffix(".toml"):
            self._fault("id", f"`{table['id']}` is not the name of the file")
        critical_suggests = table.get("critical_suggests", "medium")
        self._level("critical_suggests", critical_suggests)
        return risk.Instrument(
            id=table["id"],
            name=table["name"],
            hash=digest({self.file: self.reading.files[self.file]}),
            about=table.get("about", ""),
            source=table.get("source", ""),
            questions=questions,
            bands=tuple(self._bands("bands", table["bands"])),
            critical_suggests=critical_suggests,
            sets=sets,
            scale=self.scale,
            combinations=tuple(self._combinations(table.get("combination", []))),
            help=table.get("help", ""),
        )

    # --- Its parts, each with its faults -------------------------------------------------------------------------

    def _scale(self, steps: list[Any]) -> Iterator[risk.Step]:
        for number, step in enumerate(steps, 1):
            if isinstance(step, list) and [type(one) for one in step] == [str, str, int] and step[2] >= 0:
                self._id(f"scale {number}", step[0])
                yield risk.Step(*step)
            else:
                self._fault(f"scale {number}", "a step is [id, label, points from 0]")

    def _questions(self, place: str, tables: list[Any]) -> Iterator[risk.Question]:
        optional = "kind critical when rows columns optional local"
        for number, table in enumerate(tables, 1):
            where = self._place(place, number, table)
            if self._keys(where, table, "id topic", optional) is None:
                continue
            question = risk.Question(
                **{
                    **table,
                    "when": self._when(where, table.get("when", {})),
                    "rows": tuple(self._named(where, "rows", table.get("rows", []))),
                    "columns": tuple(self._named(where, "columns", table.get("columns", []))),
                }
            )
            self._id(where, question.id)
            if question.id in self.seen:
                self._fault(where, "stands here twice")
            self._sound(where, question)
            self.seen[question.id] = risk.takes(question, self.scale)
            yield question

    def _sound(self, where: str, question: risk.Question) -> None:
        """A question has what its kind needs, and nothing that its kind knows nothing of."""
        if question.kind not in risk.KINDS:
            self._fault(where, f"unknown kind `{question.kind}` (known: {', '.join(risk.KINDS)})")
        if question.kind == "frequency" and not self.scale:
            self._fault(where, "a frequency needs the instrument's `scale`")
        if question.kind == "matrix" and not question.cells:
            self._fault(where, "a matrix needs `rows` and `columns`")
        if question.kind != "matrix" and (question.rows or question.columns):
            self._fault(where, "only a matrix has `rows` and `columns`")
        if question.kind == "text" and question.critical:
            self._fault(where, "words are never scored: they cannot be `critical`")

    def _sets(self, tables: list[Any]) -> Iterator[risk.QuestionSet]:
        for number, table in enumerate(tables, 1):
            where = self._place("set", number, table)
            if self._keys(where, table, "id name question", "when score bands") is None:
                continue
            self._id(where, table["id"])
            score = table.get("score", risk.NONE)
            if score not in risk.SCORES:
                self._fault(where, f"unknown score `{score}` (known: {', '.join(risk.SCORES)})")
            if table.get("bands") and score != risk.OWN:
                self._fault(where, '`bands` need `score = "own"`')
            yield risk.QuestionSet(
                id=table["id"],
                name=table["name"],
                when=self._when(where, table.get("when", {})),
                questions=tuple(self._questions(f"{where}: question", table["question"])),
                score=score,
                bands=tuple(self._bands(f"{where}: bands", table.get("bands", []))),
            )

    def _when(self, where: str, when: Any) -> dict[str, tuple[str, ...]]:
        """Only earlier questions can open a later one: then no two can wait for each other."""
        if not isinstance(when, Mapping) or not all(isinstance(answers, list) for answers in when.values()):
            self._fault(where, "`when` is { question = [answers] }")
            return {}
        for question, answers in when.items():
            if question not in self.seen:
                self._fault(where, f"`when` asks for `{question}`, which is no earlier question")
            for answer in answers:
                if answer not in self.seen.get(question, (answer,)):
                    self._fault(where, f"`when` asks for `{answer}`, which is no answer of `{question}`")
        return {question: tuple(answers) for question, answers in when.items()}

    def _named(self, where: str, key: str, pairs: list[Any]) -> Iterator[risk.Named]:
        for pair in pairs:
            if isinstance(pair, list) and [type(one) for one in pair] == [str, str]:
                self._id(where, pair[0])
                yield risk.Named(*pair)
            else:
                self._fault(where, f"`{key}` takes [id, label]")

    def _bands(self, where: str, tables: list[Any]) -> Iterator[risk.Band]:
        before = -1
        for table in tables:
            if self._keys(where, table, "level at_least") is None:
                continue
            self._level(where, table["level"])
            if table["at_least"] <= before:
                self._fault(where, "stand from the lowest to the highest")
            before = table["at_least"]
            yield risk.Band(**table)

    def _combinations(self, tables: list[Any]) -> Iterator[risk.Combination]:
        for number, table in enumerate(tables, 1):
            where = self._place("combination", number, table)
            if self._keys(where, table, "id suggests together why") is None:
                continue
            self._level(where, table["suggests"])
            for question in table["together"]:
                if str(question) not in self.seen:
                    self._fault(where, f"unknown question `{question}`")
            yield risk.Combination(table["id"], table["suggests"], tuple(table["together"]), table["why"])

    # --- Telling -------------------------------------------------------------------------------------------------

    def _fault(self, place: str, what: str) -> None:
        self.reading.fault(self.file, place, what)

    def _keys(self, place: str, table: Any, needed: str, allowed: str = "") -> dict[str, Any] | None:
        return self.reading.keys(self.file, place, table, needed, allowed)

    def _place(self, kind: str, number: int, table: Any) -> str:
        id_ = table.get("id") if isinstance(table, dict) else None
        return f"{kind} {id_ if isinstance(id_, str) else number}"

    def _id(self, place: str, id_: str) -> None:
        if not _ID.fullmatch(id_) or id_ in risk.NOT_TOLD:
            self._fault(place, f"`{id_}` is no id: small letters, digits and _, but not {' or '.join(risk.NOT_TOLD)}")

    def _level(self, place: str, level: Any) -> None:
        if level not in risk.LEVELS:
            self._fault(place, f"unknown level `{level}` (known: {', '.join(risk.LEVELS)})")


# --- The wording -----------------------------------------------------------------------------------------------------


def _worded(reading: Reading, tool: risk.Instrument, file: str) -> risk.Instrument:
    """The instrument in the words of this file, if it is there."""
    if file not in reading.files:
        return tool
    table = reading.keys(file, "", reading.toml(file), "licence version", "topics labels")
    if table is None:
        return tool
    topics = _texts(reading, file, "topics", table, {question.id for question in tool.every})
    labels = _texts(reading, file, "labels", table, _labelled(tool))
    questions = _reworded(tool.questions, topics, labels)
    sets = tuple(
        replace(one, name=labels.get(one.id, one.name), questions=_reworded(one.questions, topics, labels))
        for one in tool.sets
    )
    scale = tuple(replace(step, label=labels.get(step.id, step.label)) for step in tool.scale)
    texts = {name: reading.files[name] for name in (f"risk/{tool.id}.toml", file)}
    wording = f"{table['version']}, {table['licence']}"
    return replace(tool, questions=questions, sets=sets, scale=scale, hash=digest(texts), wording=wording)


def _texts(reading: Reading, file: str, key: str, table: Mapping[str, Any], known: set[str]) -> dict[str, str]:
    texts = table.get(key, {})
    for id_, text in texts.items():
        if id_ not in known:
            reading.fault(file, key, f"the instrument has no `{id_}`")
        if not isinstance(text, str):
            reading.fault(file, key, f"`{id_}` must be text")
    return dict(texts)


def _labelled(tool: risk.Instrument) -> set[str]:
    """Everything but the questions that has a text of its own."""
    cells = {one.id for question in tool.every for one in (*question.rows, *question.columns)}
    return cells | {one.id for one in tool.sets} | {step.id for step in tool.scale}


def _reworded(
    questions: tuple[risk.Question, ...], topics: Mapping[str, str], labels: Mapping[str, str]
) -> tuple[risk.Question, ...]:
    def named(pairs: tuple[risk.Named, ...]) -> tuple[risk.Named, ...]:
        return tuple(replace(one, label=labels.get(one.id, one.label)) for one in pairs)

    return tuple(
        replace(one, topic=topics.get(one.id, one.topic), rows=named(one.rows), columns=named(one.columns))
        for one in questions
    )
