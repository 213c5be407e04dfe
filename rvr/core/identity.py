"""By what a person may be recognised across cases. Keys propose; only a person confirms that two are the same.

`keys_of` makes texts that are equal for two spellings of one person. They are personal data: the store keeps their
blind index (HMAC) and never the texts. Names are compared without accents, punctuation, case, titles and order.
What this does not find: a name misheard in every part, a nickname (Liz, Elizabeth), a name in another script, a date
of birth that nobody knows. What it finds wrongly: two people of one name born on one day, and a shared telephone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

VICTIM, SUSPECT, CASE = "victim", "suspect", "case"

STRENGTH = {"name_dob": "strong", "phone": "strong", "part_dob": "weak", "name_year": "weak"}
"""Kinds of key, the strongest first.

name_dob: the whole name and the date of birth. phone: the victim's own number. part_dob: one part of the name and the
date of birth (a name changed by marriage, a middle name left out). name_year: the whole name and the year of birth
(day and month misheard or swapped). A name alone is none: too many people share it.
"""

_TITLES = frozenset({"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "rev", "sir"})
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"} | dict.fromkeys("'’‘`´ʼʹ", "")
)
"""Letters that Unicode does not take apart into a plain one and a mark; and apostrophes, which part no name."""

_UNKNOWN_UNTIL = 1900
"""Police systems write 1 January 1900 for a date of birth that nobody knows."""


@dataclass(frozen=True, slots=True)
class IdentityKey:
    """One text by which a person may be recognised."""

    role: str
    """victim or suspect; case for a key of the case itself."""
    kind: str
    text: str
    """Personal data: nothing but its keyed hash is ever stored."""

    @property
    def strength(self) -> str:
        return STRENGTH[self.kind]


@dataclass(frozen=True, slots=True)
class KnownCase:
    """A case in which a candidate is named."""

    id: str
    reference: str
    opened_at: str
    state: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody in other cases who may be this case's victim or suspect."""

    role: str
    person_id: str
    kinds: tuple[str, ...]
    """The kinds of key that are the same, the strongest first."""
    cases: tuple[KnownCase, ...]
    """The newest first."""

    @property
    def strength(self) -> str:
        return STRENGTH[self.kinds[0]]


def keys_of(details: Mapping[str, Any], personal: Mapping[str, Any]) -> tuple[IdentityKey, ...]:
    """The keys of the victim and the suspect whom these answers of the opening form describe, the strongest first."""
    told = {**details, **personal}
    keys = [
        IdentityKey(role, kind, text)
        for role in (VICTIM, SUSPECT)
        for kind, text in _of_person(told.get(f"{role}_name"), told.get(f"{role}_dob"))
    ]
    if number := _number(told.get("safe_number")):
        keys.append(IdentityKey(VICTIM, "phone", number))
    return tuple(sorted(keys, key=lambda key: rank(key.kind)))


def case_keys_of(personal: Mapping[str, Any]) -> tuple[IdentityKey, ...]:
    """By what the case itself can be found: its crime reference. It says nothing of who anybody is."""
    return tuple([by_crime_reference(told)] if (told := str(personal.get("crime_reference", ""))) else [])


def by_crime_reference(told: str) -> IdentityKey:
    return IdentityKey(CASE, "crime_reference", reference_text(told))


def reference_text(told: str) -> str:
    """A reference of another system in one spelling: without spaces, whatever the case."""
    return "".join(unicodedata.normalize("NFKC", told).casefold().split())


def rank(kind: str) -> int:
    """0 for the strongest kind."""
    return list(STRENGTH).index(kind)


def _of_person(name: Any, born: Any) -> Iterator[tuple[str, str]]:
    parts, day = name_parts(str(name or "")), _birthday(born)
    if not parts or day is None:
        return
    if len(parts) > 1:
        yield "name_dob", f"{' '.join(parts)}|{day.isoformat()}"
        yield "name_year", f"{' '.join(parts)}|{day.year}"
    for part in sorted(set(parts)):
        if len(part) > 1:
            yield "part_dob", f"{part}|{day.isoformat()}"


def name_parts(name: str) -> tuple[str, ...]:
    """The parts of a name in one spelling, sorted: `Dr. Zoë O'Neill-Smith` is oneill, smith, zoe."""
    text = unicodedata.normalize("NFKD", name.translate(_PLAIN)).casefold()
    text = unicodedata.normalize("NFKD", text).translate(_PLAIN)
    text = "".join(sign for sign in text if not unicodedata.combining(sign))
    words = "".join(sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in text).split()
    return tuple(sorted(word for word in words if word not in _TITLES))


def _birthday(born: Any) -> date | None:
    try:
        day = date.fromisoformat(str(born or ""))
    except ValueError:
        return None
    return day if day.year > _UNKNOWN_UNTIL else None


def _number(number: Any) -> str:
    """The number in E.164, as the forms store it; anything else is no key."""
    text = re.sub(r"[\s().-]", "", str(number or ""))
    return text if re.fullmatch(r"\+[1-9]\d{7,14}", text) else ""
