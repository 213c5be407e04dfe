"""What a victim asks of the officer, and which officers meet it. It ranks; a sergeant chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rvr.core.force import OfficerProfile

NO_WISH = "any"
ENGLISH = "english"
NOBODY = OfficerProfile()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the case says that the officer should bring; empty: nothing."""

    language: str = ""
    gender: str = ""


def wishes_of(details: Mapping[str, Any]) -> Wishes:
    """From the case's answers `victim_language` and `officer_wish`."""
    language, gender = (str(details.get(name, "")) for name in ("victim_language", "officer_wish"))
    return Wishes("" if language == ENGLISH else language, "" if gender == NO_WISH else gender)


def met(wishes: Wishes, officer: OfficerProfile) -> dict[str, bool]:
    """Each wish that there is -> whether this officer meets it. What an officer has not stated meets nothing."""
    asked = {
        "language": (wishes.language, wishes.language in officer.languages),
        "gender": (wishes.gender, wishes.gender == officer.gender),
    }
    return {name: is_met for name, (wish, is_met) in asked.items() if wish}
