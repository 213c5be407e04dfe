"""Which officers meet what a victim asks for."""

from __future__ import annotations

from rvr.core.assigning import NOBODY, Wishes, met, wishes_of
from rvr.core.force import OfficerProfile

URDU = OfficerProfile(languages=("urdu",), gender="woman")


def test_a_wish_is_what_the_case_says_and_no_wish_is_none() -> None:
    assert wishes_of({}) == wishes_of({"victim_language": "english", "officer_wish": "any"}) == Wishes()
    assert wishes_of({"victim_language": "urdu", "officer_wish": "woman"}) == Wishes("urdu", "woman")


def test_what_an_officer_has_not_stated_meets_nothing() -> None:
    asked = Wishes("urdu", "woman")
    assert met(asked, URDU) == {"language": True, "gender": True}
    assert met(asked, NOBODY) == {"language": False, "gender": False}
    assert met(Wishes(language="polish"), URDU) == {"language": False}


def test_without_a_wish_nothing_of_the_officer_is_looked_at() -> None:
    assert met(Wishes(), URDU) == {}
