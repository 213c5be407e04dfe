"""The duty plan: a table or a calendar of the force's duty system; the sergeant's roster says who is expected."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvr.core import events as e
from rvr.core.duty_plan import STREAM, Shift, planned
from rvr.core.errors import BadInput
from rvr.core.moment import iso
from rvr.importing import prepare
from rvr.importing.calendars import read
from rvr.importing.sheets import Line
from rvr.web import roster_view
from tests.web.in_process import Answer, House, Someone, in_process

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def calendar(*events: str) -> bytes:
    inside = "".join(f"BEGIN:VEVENT\n{one}\nEND:VEVENT\n" for one in events)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\n{inside}END:VCALENDAR\n".replace("\n", "\r\n").encode()


def lines(*events: str) -> tuple[Line, ...]:
    return read(Path("plan.ics"), calendar(*events), NOW).lines


def test_a_shift_of_a_calendar_is_a_line_at_its_place_in_the_file() -> None:
    # Without a zone it is a time of the force's.
    first = "UID:1\nSUMMARY:olu\nDTSTART:20261201T070000Z\nDTEND:20261201T170000Z"
    second = "UID:2\nATTENDEE;CN=Orla:mailto:orla@force.example\nDTSTART:20261201T220000\nDURATION:PT8H"
    assert lines(first, second) == (
        Line(4, ("olu", "2026-12-01T07:00:00+00:00", "2026-12-01T17:00:00+00:00")),
        Line(10, ("orla@force.example", "2026-12-01T22:00", "2026-12-02T06:00")),
    )


def test_what_recurs_keeps_its_hour_over_the_change_of_the_clocks() -> None:
    told = "UID:1\nSUMMARY:olu\nDTSTART;TZID=Europe/London:20261023T070000\nDTEND;TZID=Europe/London:20261023T170000"
    found = lines(f"{told}\nRRULE:FREQ=DAILY;COUNT=5")
    assert [line.cells[1] for line in found if line.cells[1] > "2026-10-24T12"] == [
        f"2026-10-{day}T07:00:00+00:00" for day in (25, 26, 27)
    ]


def test_a_dropped_a_moved_and_a_cancelled_shift_are_not_read_where_they_were() -> None:
    told = "UID:1\nSUMMARY:olu\nDTSTART:20261201T070000Z\nDTEND:20261201T170000Z\nRRULE:FREQ=DAILY;COUNT=4"
    moved = "UID:1\nSUMMARY:olu\nRECURRENCE-ID:20261203T070000Z\nDTSTART:20261203T090000Z\nDTEND:20261203T190000Z"
    cancelled = "UID:2\nSUMMARY:olu\nSTATUS:CANCELLED\nDTSTART:20261205T070000Z\nDTEND:20261205T170000Z"
    found = lines(f"{told}\nEXDATE:20261202T070000Z", moved, cancelled)
    assert [line.cells[1][8:16] for line in found] == ["01T07:00", "04T07:00", "03T09:00"]


def test_a_rule_without_an_end_is_read_for_the_time_around_today() -> None:
    told = "UID:1\nSUMMARY:olu\nDTSTART:20200101T070000Z\nDTEND:20200101T170000Z\nRRULE:FREQ=DAILY"
    found = lines(told)
    assert (found[0].cells[1][:10], found[-1].cells[1][:10], len(found)) == ("2026-10-25", "2027-02-24", 123)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("DTSTART;VALUE=DATE:20261201\nDTEND;VALUE=DATE:20261202", "import-whole-day"),
        ("DTSTART:20261201T070000Z\nDTEND:20261201T170000Z\nRDATE:20261203T070000Z", "import-event-unread"),
        ("DTSTART:20261201T070000Z\nDTEND:20261201T170000Z\nRRULE:FREQ=SOMETIMES", "import-event-unread"),
        ("DTEND:20261201T170000Z", "import-event-unread"),
    ],
)
def test_an_event_that_is_no_shift_says_why(told: str, code: str) -> None:
    (line,) = lines(f"UID:1\nSUMMARY:olu\n{told}")
    assert line.fault is not None
    assert (line.number, line.fault.code) == (4, code)


@pytest.mark.parametrize("raw", [b"", b"officer,begins_at,ends_at\n", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", b"\xff"])
def test_a_file_that_is_no_calendar_is_refused(raw: bytes) -> None:
    with pytest.raises(BadInput):
        read(Path("plan.ics"), raw, NOW)


# --- Which plan holds --------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 10)), min_size=1, max_size=4), max_size=4))
def test_at_every_hour_the_newest_plan_that_covers_it_says_who_begins(told: list[list[tuple[int, int]]]) -> None:
    """Held against a plain reading hour by hour."""
    plans = [plan([(NOW + timedelta(hours=at), timedelta(hours=lasts)) for at, lasts in one]) for one in told]
    found = planned(plans, NOW - timedelta(hours=1), NOW + timedelta(hours=99))
    for hour in range(72):
        at = iso(NOW + timedelta(hours=hour))
        covers = next((one for one in plans if one.since <= at < one.until), None)
        begins = [] if covers is None else [one for one in covers.begins if one == at]
        assert [one.begins for one in found if one.begins == at] == begins


def plan(shifts: list[tuple[datetime, timedelta]]) -> e.DutyPlanned:
    begins = tuple(sorted(iso(at) for at, _ in shifts))
    ends = tuple(iso(at + lasts) for at, lasts in sorted(shifts))
    return e.DutyPlanned(since=begins[0], until=max(ends), officers=("olu",) * len(shifts), begins=begins, ends=ends)


# --- On the desk -------------------------------------------------------------------------------------------------


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with in_process(tmp_path / "data") as served:
        yield served


async def gives(admin: Someone, text: str) -> Answer:
    return await admin.call("POST", "/admin/duty", data={"csrf": admin.me["csrf"], "plan": text})


async def goes_off(officer: Someone) -> None:
    sent = {"command_id": str(uuid.uuid4()), "status": "off"}
    assert (await officer.call("POST", "/api/v1/duty", sent)).status == 204


def around(house: House, *hours: int) -> list[str]:
    """Whole hours from now on, as a table writes them."""
    now = house.now().at.replace(minute=0, second=0, microsecond=0)
    return [(now + timedelta(hours=one)).strftime("%Y-%m-%dT%H:%M:%SZ") for one in hours]


async def test_a_plan_is_taken_over_and_the_sergeant_reads_who_is_expected(house: House) -> None:
    admin, sergeant, officer = [await house.sign_in(name) for name in ("admin", "sergeant", "officer")]
    begin, end, later, last = around(house, -1, 5, 6, 14)
    head = "officer,begins_at,ends_at"
    given_ = await gives(admin, f"{head}\nofficer,{begin},{end}\norla officer,{begin},{end}\nofficer2,{later},{last}\n")
    assert given_.status == 303, given_.body
    (recorded,) = await house.desk.store.load(STREAM)
    assert (recorded.event.by, recorded.event.by_role) == (admin.id, "administrator")
    assert "Orla Officer" in (await admin.get("/admin/duty")).body
    assert "Expected, not on duty" not in (await sergeant.get("/")).body
    await goes_off(officer)
    page = (await sergeant.get("/")).body
    assert page.count("Expected, not on duty") == 1
    shown = (
        datetime.fromisoformat(one).astimezone(ZoneInfo("Europe/London")).strftime("%H:%M") for one in (begin, end)
    )
    assert f"planned {' to '.join(shown)}" in page
    house.pass_by(hours=6)
    other = await house.sign_in("officer2")
    await goes_off(other)
    page = (await (await house.sign_in("sergeant2")).get("/")).body
    assert f'id="officer-{other.id}"' in page.partition("Expected, not on duty")[0], "whose shift it is now"
    assert page.count("Expected, not on duty") == 1


async def test_of_a_plan_with_a_wrong_line_nothing_lands_and_each_line_is_told(house: House) -> None:
    admin = await house.sign_in("admin")
    begin, end = around(house, 1, 9)
    rows = [f"officer,{begin},{end}", f"nobody,{begin},{end}", f"officer2,{end},{begin}", f"officer2,soon,{end}"]
    answer = await gives(admin, "\n".join(["officer,begins_at,ends_at", *rows]))
    assert answer.status == 400
    assert [f"Line {number}:" in answer.body for number in (2, 3, 4, 5)] == [False, True, True, True]
    assert await house.desk.store.load(STREAM) == []
    assert (await gives(admin, "who,when\n1,2\n")).status == 400
    sergeant = await house.sign_in("sergeant")
    assert (await gives(sergeant, f"officer,begins_at,ends_at\nofficer,{begin},{end}\n")).status == 403


async def test_a_newer_plan_takes_the_place_of_the_older_where_it_reaches(house: House) -> None:
    officers = {one.username: one.id for one in (await house.desk.people()).values()}
    times = around(house, 1, 3, 4, 6)

    async def lands(*rows: str) -> None:
        raw = "\n".join(["officer,begins_at,ends_at", *rows]).encode()
        tally = await prepare(house.desk, Path("plan.csv"), "duty", raw=raw).run(lambda *_: None, lambda _: None)
        assert tally.landed == len(rows)

    await lands(f"officer,{times[0]},{times[1]}", f"officer,{times[2]},{times[3]}")
    await lands(f"officer2,{times[0]},{times[1]}")
    now = house.now().at
    found = await roster_view.planned(house.desk, now, now + timedelta(hours=9))
    assert [one.officer for one in found] == [officers["officer2"], officers["officer"]]
    assert isinstance(found[0], Shift)
