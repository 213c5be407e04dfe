"""The invented population as data: every parameter with its tag and its source, and how chance is drawn from it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

SHIPPED = Path(__file__).with_name("population.toml")

TAGS = ("F", "D", "S", "M", "assumed")
"""Fact, derived, the force's own report, unverified; see the head of the file."""

_KEYS = ("value", "low", "high", "unit", "tag", "source")


class BadPopulation(Exception):
    """A file of parameters cannot be used: a sentence for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number, or a few that belong together."""

    value: Any
    unit: str
    tag: str
    source: str
    low: float | None = None
    high: float | None = None


class Population:
    """The parameters by name, and draws from them."""

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        self.parameters = parameters

    def number(self, name: str) -> float:
        return float(self.parameters[name].value)

    def table(self, name: str) -> Mapping[str, float]:
        """A parameter of several numbers."""
        return {key: float(value) for key, value in self.parameters[name].value.items()}

    def numbers(self, name: str) -> tuple[float, ...]:
        return tuple(map(float, self.parameters[name].value))

    def chance(self, name: str, dice: Random) -> bool:
        return dice.random() < self.number(name)

    def one_of(self, name: str, dice: Random) -> str:
        """One of the names of a table, by its weights."""
        weights = self.table(name)
        return dice.choices(list(weights), list(weights.values()))[0]

    def lognormal(self, name: str, dice: Random) -> float:
        """Seconds, or days, from `median_*` and `sigma`, at most `most_*`."""
        told = self.table(name)
        median = told.get("median_s", told.get("median_days", 0.0))
        drawn = median * math.exp(told["sigma"] * dice.gauss(0.0, 1.0))
        return min(drawn, told.get("most_s", math.inf))

    def mean_s(self, name: str, draws: int = 4_000) -> float:
        """The mean of such a time, its upper end cut off as it is drawn; by draws that are always the same."""
        dice = Random(name)
        return math.fsum(self.lognormal(name, dice) for _ in range(draws)) / draws

    def changed(self, **values: Any) -> Population:
        """The same with other values: a what-if."""
        parameters = dict(self.parameters)
        for name, value in values.items():
            old = parameters[name]
            parameters[name] = Parameter(value, old.unit, "assumed", f"what-if; else {old.value}: {old.source}")
        return Population(parameters)


def load(file: Path | None = None) -> Population:
    """The shipped population, with what a file of one's own says instead. Raises BadPopulation with every fault."""
    parameters = _read(SHIPPED, tomllib.loads(SHIPPED.read_text(encoding="utf-8")), {})
    if file is None:
        return Population(parameters)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as wrong:
        raise BadPopulation(f"{file} cannot be read: {wrong}") from None
    return Population({**parameters, **_read(file, table, parameters)})


def _read(file: Path, table: Mapping[str, Any], shipped: Mapping[str, Parameter]) -> dict[str, Parameter]:
    faults, found = [], {}
    for name, given in table.items():
        fault = _fault(name, given, shipped)
        if fault:
            faults.append(f"{file}: [{name}] {fault}")
        else:
            found[name] = Parameter(**given)
    if faults:
        raise BadPopulation("\n".join(faults))
    return found


def _fault(name: str, given: Any, shipped: Mapping[str, Parameter]) -> str:
    """What is wrong with one parameter; empty: nothing."""
    if shipped and name not in shipped:
        return f"is no parameter; there are {', '.join(shipped)}"
    if not isinstance(given, dict) or not {"value", "unit", "tag", "source"} <= given.keys() <= set(_KEYS):
        return f"needs value, unit, tag and source, and takes no more than {', '.join(_KEYS)}"
    if not set(str(given["tag"]).split("/")) <= set(TAGS):
        return f"has the tag {given['tag']}; tags are {', '.join(TAGS)}, joined by a stroke"
    if shipped and (told := _shape(given["value"])) != _shape(shipped[name].value):
        return f"has a value of another shape: {told} in place of {_shape(shipped[name].value)}"
    return "has a number below nought, or none" if _numbers(given["value"], name) else ""


def _shape(value: Any) -> str:
    match value:
        case dict():
            return f"a table of {', '.join(sorted(value))}"
        case list():
            return f"a list of {len(value)}"
    return "a number"


def _numbers(value: Any, name: str) -> bool:
    """Whether one of the numbers cannot be used."""
    several = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
    least = -0.99 if name == "growth_per_year" else 0.0
    return any(isinstance(one, bool) or not isinstance(one, (int, float)) or not one >= least for one in several)
