"""What a definition waits for: a fact of a type, where its fields have one of the named values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Trigger:
    """A type of fact, where its fields have one of the named values."""

    event: str
    where: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def any_match(triggers: Iterable[Trigger], fact: object) -> bool:
    """Whether this fact pulls one of the triggers."""
    name = type(fact).__name__
    for trigger in triggers:  # asked a dozen times an event: a generator would cost more than the question
        if trigger.event == name and all(getattr(fact, field) in values for field, values in trigger.where.items()):
            return True
    return False
