"""How the lines of a session fared: noted once a minute in a stream of the session's own, whoever sits there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rvr.core import events as e
from rvr.core.commands import NoteQuality
from rvr.core.errors import Forbidden
from rvr.core.quality import lines, stream_of
from tests.evaluation.days import STAFF, Days, a_desk


@pytest.fixture
async def days(tmp_path: Path) -> AsyncIterator[Days]:
    async with a_desk(tmp_path) as told:
        yield told


@pytest.fixture
async def case(days: Days) -> str:
    opened = await days.opens()
    await days.screens(opened)
    await days.agrees(opened)
    await days.offered(opened)
    await days.waits(opened)
    await days.media(opened, "two_way")
    return opened


async def session_of(days: Days, case: str) -> str:
    session = (await days.desk.case(case)).session
    assert session is not None
    return session.id


async def noted(days: Days, session: str) -> list[e.QualityMeasured]:
    facts = [one.event.fact for one in await days.store.load(stream_of(session))]
    return [fact for fact in facts if isinstance(fact, e.QualityMeasured)]


async def test_a_minute_of_a_side_is_one_event_and_the_case_is_none_the_longer(days: Days, case: str) -> None:
    session, before = await session_of(days, case), (await days.desk.case(case)).version
    for up_kbps in (900, 910, 20, 905, 890):
        await days.measures(case, "victim", up_kbps=up_kbps)
        await days.measures(case, "officer", up_kbps=1000)
    assert await noted(days, session) == []
    await days.measures(case, "victim", up_kbps=895, fps=29.5)
    (fact,) = await noted(days, session)
    assert (fact.case, fact.side, fact.up_kbps) == (case, "victim", (900, 910, 20, 905, 890, 895))
    assert (fact.up_lost_permille[0], fact.frames[-1], fact.lasted_ms[0], fact.rtt_ms[0]) == (15, 295, 10_000, None)
    assert (await days.desk.case(case)).version == before


async def test_what_was_gathered_is_noted_when_the_connection_ends_also_after_the_session(
    days: Days, case: str
) -> None:
    session = await session_of(days, case)
    seat = (await days.desk.case(case)).session.victim_seat  # type: ignore[union-attr]
    await days.measures(case, "victim", up_kbps=700)
    await days.does(case, "officer", "end_session", end_reason="completed")
    await days.measuring.ended(session, seat)
    await days.measuring.ended(session, seat)
    assert [fact.up_kbps for fact in await noted(days, session)] == [(700,)]


async def test_a_stretch_that_is_told_again_counts_once(days: Days, case: str) -> None:
    session = (await days.desk.case(case)).session
    assert session is not None
    seen = days.seen(session.id, session.officer_seat, "quality", {"seconds": "10.0", "up_kbps": "500"})
    await days.measuring.observed(seen)
    await days.measuring.observed(seen)
    await days.measuring.ended(session.id, session.officer_seat)
    assert [fact.up_kbps for fact in await noted(days, session.id)] == [(500,)]


async def test_a_guest_is_measured_as_a_guest_and_a_stranger_not_at_all(days: Days, case: str) -> None:
    await days.with_guests(case)
    session = (await days.desk.case(case)).session
    assert session is not None
    (guest, *_) = session.guests.values()
    for seat in (guest.seat, "nobody"):
        await days.measuring.observed(days.seen(session.id, seat, "quality", {"seconds": "9.9", "up_kbps": "300"}))
        await days.measuring.ended(session.id, seat)
    await days.measuring.observed(days.seen("no-room", guest.seat, "quality", {"seconds": "9.9"}))
    assert [(fact.side, fact.seat) for fact in await noted(days, session.id)] == [("guest", guest.seat)]


async def test_only_the_media_plane_says_how_a_line_was(days: Days, case: str) -> None:
    with pytest.raises(Forbidden):
        await days.desk.handle(NoteQuality("q", "session", case, "victim", "seat", ()), STAFF["officer"])


async def test_a_line_is_the_median_of_its_stretches_and_a_missing_figure_is_none(days: Days, case: str) -> None:
    for up_kbps, fps in ((900, 30), (100, 5), (700, 20), (0, 0), (650, 15)):
        await days.measures(case, "victim", up_kbps=up_kbps, fps=fps)
    session = (await days.desk.case(case)).session
    assert session is not None
    await days.measuring.ended(session.id, session.victim_seat)
    (line,) = lines(await noted(days, session.id)).values()
    assert (line.measured_s, line.up_kbps, line.fps, line.height, line.freezes) == (50, 650, 15, 480, 5)
    assert line.rtt_ms is None
