"""The catalogue: every sentence that a person reads, by key, in `rvr/locale/<language>.toml`.

Rules carry codes with parameters; here they become words. What a force writes itself (names of moves, questions,
reasons why a guard is unmet) stands in the workflow and arrives as a parameter.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rvr.core.errors import Reason

LOCALE = Path(__file__).parent / "locale"


class Catalogue:
    """One language."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language, self._texts = language, texts

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def say(self, key: str, **params: Any) -> str:
        """The sentence. Raises KeyError for one that the catalogue lacks: a test asks for every key in the code."""
        return self._texts[key].format(**params) if params else self._texts[key]

    def name(self, kind: str, code: str) -> str:
        """The name of a code, such as `event.CaseOpened`; the code itself where the catalogue has none."""
        return self._texts.get(f"{kind}.{code}", code)

    def reason(self, reason: Reason) -> str:
        """Why something was refused, and what would make it possible."""
        return self.say(f"reason.{reason.code}", **reason.params)


@cache
def catalogue(language: str = "en") -> Catalogue:
    return Catalogue(language, dict(_flat(tomllib.loads((LOCALE / f"{language}.toml").read_text()))))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
