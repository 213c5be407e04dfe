"""Officers' duty."""

from __future__ import annotations

import pytest

from rvr.core.commands import Actor, SetDuty
from rvr.core.decide import decide_duty
from rvr.core.errors import Forbidden, Refused
from rvr.core.roster import Officer, apply_officer
from tests.builders import HANDLER, OFFICER, OFFICER_2, SERGEANT, Universe


def ask(status: str, by: Actor = OFFICER, officer: Officer | None = None) -> Officer:
    officer = officer or Officer(OFFICER.id, 1, "off")
    event = decide_duty(officer, SetDuty("c", OFFICER.id, status), by=by, at=Universe().at)
    return apply_officer(officer, event)


def test_an_officer_comes_on_duty_by_themselves_or_by_a_sergeant() -> None:
    assert ask("on").free
    assert ask("on", SERGEANT).version == 2


@pytest.mark.parametrize("who", [OFFICER_2, HANDLER, Actor(OFFICER.id, frozenset({"evaluator"}))])
def test_nobody_else_changes_an_officers_duty(who: Actor) -> None:
    with pytest.raises(Forbidden):
        ask("on", who)


def test_an_officer_with_a_live_case_stays_on_duty() -> None:
    for status in ("break", "off"):
        with pytest.raises(Refused, match="officer-has-a-case"):
            ask(status, officer=Officer(OFFICER.id, 3, "on", "1"))


def test_a_duty_that_is_so_already_or_does_not_exist_is_refused() -> None:
    for status, code in [("off", "duty-already"), ("asleep", "not-an-option")]:
        with pytest.raises(Refused, match=code):
            ask(status)


def test_only_an_officer_on_duty_without_a_case_is_free() -> None:
    assert Officer("o", 1, "on").free
    assert not any(o.free for o in (Officer("o", 1, "off"), Officer("o", 1, "break"), Officer("o", 1, "on", "1")))
