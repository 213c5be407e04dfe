"""The catalogue: every sentence that a person reads, by key, in `rvr/locale/<language>.toml`.

Rules carry codes with parameters; here they become words. What a force writes itself (names of moves, questions,
reasons why a guard is unmet) stands in the workflow and arrives as a parameter.

English is whole. Of another language's file the part that the victim's page says is asked for (`OF_THE_VICTIM`): the
page offers a language as soon as nothing of that is missing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rvr.core.errors import Reason

LOCALE = Path(__file__).parent / "locale"
ENGLISH = "en"
OF_THE_VICTIM = ("join.", "feedback.", "people.", "language.", "reason.link-")


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
def catalogue(language: str = ENGLISH) -> Catalogue:
    return Catalogue(language, dict(_flat(tomllib.loads((LOCALE / f"{language}.toml").read_text()))))


def languages() -> list[str]:
    """Every language of which there is a file, English first."""
    codes = {file.stem for file in LOCALE.glob("*.toml")} - {ENGLISH}
    return [ENGLISH, *sorted(codes)]


@cache
def missing(language: str) -> tuple[str, ...]:
    """The keys of the victim's page that this language's file lacks."""
    wanted = [key for key in catalogue() if key.startswith(OF_THE_VICTIM)]
    return tuple(key for key in wanted if key not in catalogue(language))


@cache
def offered() -> tuple[str, ...]:
    """The languages that the victim's page has, English first."""
    return tuple(one for one in languages() if not missing(one))


def preferred(header: str) -> str:
    """The language to answer in, by the reader's Accept-Language (RFC 9110, 12.5.4): English, if none is offered."""
    wanted = []
    for part in header.split(","):
        code, _, weight = part.partition(";")
        try:
            wanted.append((float(weight.strip().removeprefix("q=") or 1), code.strip().lower().partition("-")[0]))
        except ValueError:
            continue
    ranked = sorted(wanted, key=lambda one: -one[0])
    return next((code for weight, code in ranked if weight > 0 and code in offered()), ENGLISH)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
