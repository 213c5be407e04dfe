"""Timings of an earlier desk: stated times that stay stated, a whole file or none of it, beside this desk's figures."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rvr import cli
from rvr.core import events as e
from rvr.core.commands import THE_IMPORTER, ImportEarlier
from rvr.core.errors import Forbidden, Refused
from rvr.core.moment import iso
from rvr.evaluation import earlier
from tests.builders import STAFF, Universe
from tests.store.builders import Place
from tests.test_importing import SAMPLES, AtWork, Came, desk_on, table

HEAD = "reference,source,answered_at,opened_at,attended_at,closed_at,response_grade,lpa"
SOON = "L-1,dispatch_2022,2022-01-05T10:00:00Z,2022-01-05T10:01:00Z,2022-01-05T11:00:00Z,,priority,coventry"
LATE = "L-2,dispatch_2022,2022-01-05T10:00:00Z,2022-01-05T10:02:00Z,2022-01-07T10:00:00Z,,other,coventry"
NEVER = "L-3,dispatch_2022,,2022-02-05T10:00:00Z,,2022-02-09T10:00:00Z,other,dudley"


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[AtWork]:
    place, universe = Place(tmp_path / "data", tmp_path / "keys" / "keys.json"), Universe()
    desk = await desk_on(place, universe)
    yield AtWork(place, universe, desk)
    await desk.store.close()


def recorded(at: AtWork) -> list[e.Recorded]:
    return list(at.desk.store.iterate(kind="earlier/"))


async def test_rows_are_kept_with_the_times_as_stated_and_the_moment_of_the_import(at: AtWork) -> None:
    assert await at.imports(table(SOON, LATE, NEVER, head=HEAD), "timings") == Came(3, 0)
    first, _, last = recorded(at)
    assert first.event.fact == e.EarlierCaseTimed(
        source="dispatch_2022",
        opened_at="2022-01-05T10:01:00.000000Z",
        answered_at="2022-01-05T10:00:00.000000Z",
        attended_at="2022-01-05T11:00:00.000000Z",
        lpa="coventry",
        response_grade="priority",
    )
    assert (first.event.stated_at, first.event.stated_source) == ("2022-01-05T10:01:00.000000Z", "dispatch_2022")
    assert first.event.at == at.universe.at, "what was seen here is the import, and no earlier time"
    assert first.event.by_role == "importer"
    assert "L-1" not in repr(recorded(at)), "the reference finds the row again and is not kept"
    assert isinstance(last.event.fact, e.EarlierCaseTimed)
    assert last.event.fact.attended_at == ""
    assert await at.cases() == [], "nobody works on them"


async def test_a_file_with_a_wrong_line_is_told_line_by_line_and_nothing_of_it_lands(at: AtWork) -> None:
    lines = (
        SOON,
        SOON.replace("L-1", "L-4").replace("2022-01-05T11:00:00Z", "yesterday"),
        SOON.replace("L-1", "L-5").replace("2022-01-05T11:00:00Z", "2032-01-05T11:00:00Z"),
        SOON.replace("L-1", "L-6").replace("dispatch_2022", "Dispatch 2022!"),
        SOON.replace("T11:00", "T11:30"),
        SOON.replace("L-1", "L-7").replace("coventry", "atlantis"),
    )
    came = await at.imports(table(*lines, head=HEAD), "timings")
    assert came.landed == 0
    assert list(came.refused) == [3, 4, 5, 6, 7]
    assert came.refused[3].startswith("attended_at: this is not a time")
    assert came.refused[4] == "attended_at: this lies in the future"
    assert came.refused[5].startswith("The source must be a short code")
    assert came.refused[6] == "Line 2 of this file has the same reference and other details"
    assert recorded(at) == []


async def test_the_same_file_again_adds_nothing_and_a_changed_row_is_refused(at: AtWork) -> None:
    await at.imports(table(SOON, LATE, head=HEAD), "timings")
    assert await at.imports(table(SOON, LATE, LATE, NEVER, head=HEAD), "timings") == Came(1, 3)
    came = await at.imports(table(SOON.replace("T11:00", "T11:30"), head=HEAD), "timings")
    assert came.refused[2].startswith("This row was imported before with other times or codes")
    assert len(recorded(at)) == 3


async def test_a_dry_run_tells_the_same_and_records_nothing(at: AtWork) -> None:
    assert await at.imports(table(SOON, LATE, head=HEAD), "timings", dry_run=True) == Came(2, 0)
    assert recorded(at) == []


async def test_the_core_refuses_a_whole_command_for_one_row_and_anybody_but_the_import(at: AtWork) -> None:
    good = ("a", {"source": "s", "opened_at": "2022-01-05T10:01:00Z"})
    bad = ("b", {"source": "s", "opened_at": "2032-01-05T10:01:00Z"})
    with pytest.raises(Refused):
        await at.desk.handle(ImportEarlier("c", (good, bad)), THE_IMPORTER)
    assert recorded(at) == []
    for who in STAFF:
        with pytest.raises(Forbidden):
            await at.desk.handle(ImportEarlier("d", (good,)), who)


async def test_the_sample_mapping_reads_a_dispatch_systems_file(at: AtWork) -> None:
    head = "Log no;Call answered;Log opened;Resource requested;At scene;Log closed;Grade;BCU;Unit;Priority text"
    line = "7;25/07/2022 12:00;25/07/2022 12:02;25/07/2022 12:10;;26/07/2022 09:00;2;CV;x;y"
    told = (SAMPLES / "timings.toml").read_text()
    assert await at.imports(table(line, head=head), "timings", mapping=told) == Came(1, 0)
    (one,) = recorded(at)
    assert isinstance(one.event.fact, e.EarlierCaseTimed)
    assert one.event.fact.answered_at == "2022-07-25T11:00:00.000000Z", "summer time, by the force's own clocks"
    assert (one.event.fact.response_grade, one.event.fact.lpa) == ("priority", "coventry")


async def test_its_figures_stand_beside_this_desks_and_never_among_them(at: AtWork) -> None:
    reversed_ = SOON.replace("L-1", "L-8").replace("2022-01-05T11:00:00Z", "2022-01-05T09:00:00Z")
    await at.imports(table(SOON, LATE, NEVER, reversed_, head=HEAD), "timings")
    (told,) = earlier.summarise(at.desk.store, by="grade").values()
    assert told.cases == 4
    kent = told.tallies["kent_attendance"]["all"]
    assert (kent.cases, kent.missing, kent.never, kent.reversed) == (4, 1, 0, 1)
    assert sorted(kent.values) == [3600 * 10**6, 48 * 3600 * 10**6]
    college = told.tallies["college_attendance"]
    assert (college["all"].within, college["all"].beyond) == (1, 2), "closed after four days without anybody"
    assert list(college) == ["all", "other", "priority"]
    assert "kent_video" not in {timing.name for timing in told.timings}, "nobody was on video"


async def test_whoever_was_never_attended_is_past_the_limit_though_nobody_stated_a_close(at: AtWork) -> None:
    left = NEVER.replace("2022-02-09T10:00:00Z", "").replace("dudley", "coventry")
    now = iso(at.universe.at.at - timedelta(minutes=30))
    open_ = left.replace("L-3", "L-9").replace("2022-02-05T10:00:00Z", now)
    soon_closed = (
        NEVER.replace("L-3", "L-10").replace("2022-02-09", "2022-02-05").replace("T10:00:00Z,other", "T10:30:00Z,other")
    )
    await at.imports(table(SOON, LATE, left, open_, soon_closed, head=HEAD), "timings")
    (told,) = earlier.summarise(at.desk.store).values()
    college = told.tallies["college_attendance"]["all"]
    assert (college.cases, college.never, college.within, college.beyond) == (5, 3, 1, 2)
    assert college.share == 1 / 3, "half an hour is not past an hour yet"


async def test_what_a_source_never_states_is_not_counted_as_late(at: AtWork) -> None:
    """A file without a column for the attendance."""
    rows = [
        line.replace("2022-01-05T11:00:00Z", "").replace("2022-01-07T10:00:00Z", "") for line in (SOON, LATE, NEVER)
    ]
    await at.imports(table(*rows, head=HEAD), "timings")
    (told,) = earlier.summarise(at.desk.store).values()
    college = told.tallies["college_attendance"]["all"]
    assert (college.never, college.within, college.beyond, college.share) == (3, 0, 0, None)


def test_the_verb_shows_both(tmp_path: Path, capsys: Any) -> None:
    data, file = str(tmp_path / "d"), tmp_path / "old.csv"
    assert cli.main(["simulate", "--out", data, "--days", "0.3", "--contacts", "30", "--start", "2023-11-23"]) == 0
    file.write_text(table(SOON, LATE, NEVER, head=HEAD))
    assert cli.main(["import", str(file), "--kind", "timings", "--data", data]) == 0
    capsys.readouterr()
    assert cli.main(["timings", "--data", data, "--disclosure-k", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (before,) = told["earlier"]
    assert (before["source"], before["stated"]) == ("dispatch_2022", True)
    wmp = next(row for row in before["timings"] if row["timing"] == "wmp_attendance")
    assert (wmp["n"], wmp["within"], wmp["mean_s"]) == (2, 1, (3600 + 48 * 3600) / 2)
    assert max(row["cases"] for row in told["timings"]) < 20
    assert cli.main(["timings", "--data", data, "--disclosure-k", "1", "--by", "month"]) == 0
    said = capsys.readouterr().out
    assert "Before this desk, as dispatch_2022 states it: 3 rows" in said
    assert "2022-02" in said
    assert cli.main(["timings", "--data", data]) == 0
    said = capsys.readouterr().out
    assert "Before this desk, as dispatch_2022 states it: fewer than 10 rows" in said, "as the table below it"
    assert cli.main(["export", "--data", data, "--out", str(tmp_path / "package")]) == 0
    with (tmp_path / "package" / "data" / "earlier.csv").open(encoding="utf-8", newline="") as told_:
        first, _, last = csv.DictReader(told_)
    assert (first["opened_at"], first["attended_at"]) == ("2022-01-05T10:01:00.000000Z", "2022-01-05T11:00:00.000000Z")
    assert (last["attended_at"], last["lpa"], last["source"]) == ("", "dudley", "dispatch_2022")
    assert cli.main(["verify", str(tmp_path / "package")]) == 0
    assert cli.main(["export", "--data", data, "--out", str(tmp_path / "moved"), "--times", "shifted"]) == 0
    assert (tmp_path / "moved" / "data" / "earlier.csv").read_text().count("\n") == 1
    assert cli.main(["verify", "--data", data]) == 0
