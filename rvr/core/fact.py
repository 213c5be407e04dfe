"""How a fact is declared: its fields with their meaning, and which of them may leave the case's key."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, dataclass_transform

FACTS: dict[str, type[Fact]] = {}
"""Every fact type by name."""


def public(meaning: str, *, unit: str = "", default: Any = dataclasses.MISSING) -> Any:
    """A field that evaluation may see. A default makes room for events that were stored before the field was."""
    return dataclasses.field(default=default, metadata={"meaning": meaning, "unit": unit, "sealed": False})


def public_map(meaning: str) -> Any:
    """The same for named values, none by default."""
    return dataclasses.field(default_factory=dict, metadata={"meaning": meaning, "unit": "", "sealed": False})


def sealed(meaning: str) -> Any:
    """A text that is stored under the case's key only. Empty when there was none, or when the key was destroyed."""
    return dataclasses.field(default="", metadata={"meaning": meaning, "unit": "", "sealed": True})


def sealed_map(meaning: str) -> Any:
    """The same for named values."""
    return dataclasses.field(default_factory=dict, metadata={"meaning": meaning, "unit": "", "sealed": True})


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that happened. `schema` rises when a type's fields change; older ones are upcast when read."""

    schema: ClassVar[int] = 1
    _shown: ClassVar[tuple[str, ...]] = ()
    _hidden: ClassVar[tuple[str, ...]] = ()
    """The names of the public fields, and of the sealed ones."""

    @classmethod
    def sealed_fields(cls) -> frozenset[str]:
        return frozenset(cls._hidden)

    def split(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The public fields and the sealed ones; a sealed field without a value is left out."""
        told = ((name, getattr(self, name)) for name in self._hidden)
        return (
            {name: getattr(self, name) for name in self._shown},
            {name: value for name, value in told if value not in (None, "", {}, ())},
        )


_F = TypeVar("_F", bound=Fact)


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(public, public_map, sealed, sealed_map)
)
def fact(cls: type[_F]) -> type[_F]:
    """Registers a fact type under its class name."""
    made = dataclass(frozen=True, kw_only=True)(cls)
    fields = dataclasses.fields(made)
    made._hidden = tuple(one.name for one in fields if one.metadata["sealed"])
    made._shown = tuple(one.name for one in fields if not one.metadata["sealed"])
    FACTS[cls.__name__] = made
    return made
