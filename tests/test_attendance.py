"""Whether somebody looks at the victim's page: changes are noted, each word is not, and nobody loses a seat by it."""

from __future__ import annotations

from typing import Any

import pytest

from rvr import joining
from rvr.attendance import HIDDEN_S, OFTEN, OFTEN_S, SILENT_S, Attendance
from rvr.ticker import Ticker
from tests import test_desk
from tests.test_desk import AtWork

at = test_desk.at
"""The desk at work, on a store of its own."""


async def opened(at: AtWork) -> str:
    """A case in whose waiting room somebody is."""
    case = await at.a_case("waiting_room")
    await joining.redeem(at.desk, await at.a_token(case), "her browser")
    return case


async def noted(at: AtWork, case: str) -> list[Any]:
    log = await at.desk.log(case)
    return [
        getattr(one.event.fact, "because", "back") for one in log if one.event.type in ("VictimAway", "VictimReturned")
    ]


async def test_a_page_that_is_looked_at_leaves_no_trace_however_often_it_says_so(at: AtWork) -> None:
    case, attendance = await opened(at), Attendance(at.desk)
    for _ in range(30):
        attendance.heard(case, "here")
        at.universe.pass_(10)
        await attendance.look()
    assert await noted(at, case) == []


@pytest.mark.parametrize(("word", "after_s"), [("hidden", HIDDEN_S), ("closed", HIDDEN_S), (None, SILENT_S)])
async def test_a_page_that_goes_quiet_is_noted_once_and_once_more_when_it_is_back(
    at: AtWork, word: Any, after_s: float
) -> None:
    case, attendance = await opened(at), Attendance(at.desk)
    attendance.heard(case, "here")
    if word:
        attendance.heard(case, word)
    at.universe.pass_(after_s - 0.1)
    await attendance.look()
    assert await noted(at, case) == [], "a glance elsewhere is no absence"
    for _ in range(3):
        at.universe.pass_(1)
        if word == "hidden":
            attendance.heard(case, "hidden")
        await attendance.look()
    attendance.heard(case, "here")
    await attendance.look()
    await attendance.look()
    assert await noted(at, case) == [word or "silent", "back"]
    session = (await at.desk.case(case)).session
    assert session is not None
    assert (session.away, session.aways, session.link_opened_at != "") == ("", 1, True)


async def test_who_stays_away_is_chased_by_the_clocks_and_not_dropped(at: AtWork) -> None:
    case, attendance = await opened(at), Attendance(at.desk)
    attendance.heard(case, "closed")
    at.universe.pass_(HIDDEN_S)
    await attendance.look()
    for _ in range(11):
        at.universe.pass_(60)
        await Ticker(at.desk).tick()
    told = await at.desk.case(case)
    assert told.state == "lost_contact"
    assert "victim_away" in [getattr(one.event.fact, "about", "") for one in await at.desk.log(case)]
    found = await joining.seat_of(at.store, "her browser")
    assert found is not None
    assert not found.revoked_at, "the same browser, the same seat"


async def test_a_page_that_flickers_fills_no_log(at: AtWork) -> None:
    case, attendance = await opened(at), Attendance(at.desk)
    for _ in range(40):
        for word in ("hidden", "here"):
            attendance.heard(case, word)  # type: ignore[arg-type]
            at.universe.pass_(HIDDEN_S + 1)
            await attendance.look()
    assert len(await noted(at, case)) == 2 * OFTEN
    attendance.heard(case, "hidden")
    at.universe.pass_(20)
    attendance.heard(case, "hidden")
    at.universe.pass_(20)
    attendance.heard(case, "hidden")
    at.universe.pass_(OFTEN_S - 30)
    attendance.heard(case, "hidden")
    await attendance.look()
    assert len(await noted(at, case)) == 2 * OFTEN + 1, "an absence that lasts is noted all the same"


async def test_after_a_restart_a_page_is_neither_back_nor_gone_before_it_could_be_heard_of(at: AtWork) -> None:
    case, attendance = await opened(at), Attendance(at.desk)
    attendance.heard(case, "closed")
    at.universe.pass_(HIDDEN_S)
    await attendance.look()
    anew = Attendance(at.desk)
    await anew.look()
    at.universe.pass_(SILENT_S - 1)
    await anew.look()
    assert await noted(at, case) == ["closed"], "nobody was heard of, so nobody is back"
    anew.heard(case, "here")
    await anew.look()
    assert await noted(at, case) == ["closed", "back"]


async def test_a_link_that_nobody_opened_is_no_page_that_went_quiet(at: AtWork) -> None:
    case, attendance = await at.a_case("waiting_room"), Attendance(at.desk)
    for _ in range(5):
        await attendance.look()
        at.universe.pass_(SILENT_S)
    assert await noted(at, case) == []
