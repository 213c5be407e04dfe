"""Conditions of workflow definitions: a closed list of operators over named facts of a case.

There is no language inside the data. A fact that is absent or empty meets nothing: an unanswered question counts as
unmet, except under `none`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

OPERATORS = ("is", "is_not", "in", "at_least", "known", "same_as")
GROUPS = ("all", "any", "none")


class Facts(Protocol):
    """Whatever can be asked for facts by name: `vocabulary.Facts`, or a mapping."""

    def get(self, name: str, /) -> Any:
        """The fact of that name; None where there is none."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a fact, or a group of conditions."""

    op: str
    fact: str = ""
    value: Any = None
    parts: tuple[Condition, ...] = ()

    def holds(self, facts: Facts) -> bool:
        """Whether these facts meet it."""
        match self.op:
            case "all":
                return all(part.holds(facts) for part in self.parts)
            case "any":
                return any(part.holds(facts) for part in self.parts)
            case "none":
                return not any(part.holds(facts) for part in self.parts)
        return _compare(self.op, facts.get(self.fact), self.value, facts)

    def facts(self) -> Iterator[str]:
        """Every fact that it asks for."""
        if self.fact:
            yield self.fact
        if self.op == "same_as":
            yield str(self.value)
        for part in self.parts:
            yield from part.facts()


def _compare(op: str, actual: Any, wanted: Any, facts: Facts) -> bool:
    known = actual is not None and actual != ""
    match op:
        case "known":
            return known is wanted
        case "is":
            return known and actual == wanted
        case "is_not":
            return known and actual != wanted
        case "in":
            return known and actual in wanted
        case "at_least":
            return known and actual >= wanted
        case "same_as":
            return known and actual == facts.get(wanted)
    raise AssertionError(op)


def parse(data: Mapping[str, Any]) -> Condition:
    """A condition from its TOML table.

    Raises ValueError with a sentence that says what is wrong with the table.
    """
    for group in GROUPS:
        if group in data:
            if len(data) != 1 or not isinstance(data[group], list):
                raise ValueError(f"`{group}` takes a list of conditions and stands alone")
            return Condition(group, parts=tuple(parse(part) for part in data[group]))
    fact = data.get("fact")
    operators = [key for key in data if key != "fact"]
    if not isinstance(fact, str) or len(operators) != 1 or operators[0] not in OPERATORS:
        raise ValueError(f"a condition is a `fact` with one of {', '.join(OPERATORS)}; found {sorted(data)}")
    operator, value = operators[0], data[operators[0]]
    wanted = {"in": list, "known": bool, "same_as": str, "at_least": int}.get(operator)
    if wanted is not None and type(value) is not wanted:
        raise ValueError(f"`{operator}` takes a {wanted.__name__}; found {value!r}")
    return Condition(operator, fact, value)
