"""Files from other systems: the good lines land, each bad one is told with its line and its reasons, nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rvr import cli, importing
from rvr.core import events as e
from rvr.core.commands import THE_IMPORTER, Actor, ImportOrder, MakeMove, OpenCase, SetDuty
from rvr.core.errors import BadInput, Forbidden, Reason
from rvr.core.moment import iso
from rvr.desk import Desk
from rvr.importing import sheets
from rvr.importing.kinds import Duty, Orders, Outcomes, Reports, Timings
from rvr.importing.mappings import load
from rvr.messages import catalogue
from rvr.realtime import Hub
from rvr.store.statements import put
from rvr.store.tables import METADATA, AccountRow
from tests.builders import INVESTIGATOR, OFFICER, REPORT, SERGEANT, STAFF, Universe, person, risk, shipped
from tests.store.builders import Place

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "docs" / "imports"

HEAD = "report_source,crime_reference,offence,victim_name,lpa"
GOOD = "control_room,20CV/1/26,assault,Ann Example,coventry"


@dataclass
class Came:
    """What came of an import."""

    landed: int
    there_already: int
    refused: dict[int, str] = field(default_factory=dict)
    """Line -> its sentences."""


@dataclass
class AtWork:
    """A desk on a real store, and a folder for files."""

    place: Place
    universe: Universe
    desk: Desk

    async def imports(
        self, table: str | bytes, kind: str = "reports", mapping: str = "", *, dry_run: bool = False
    ) -> Came:
        file, toml = self.place.data.parent / "file.csv", self.place.data.parent / "file.toml"
        file.write_bytes(table if isinstance(table, bytes) else table.encode())
        toml.write_text(mapping)
        job = importing.prepare(self.desk, file, kind, toml if mapping else None, dry_run=dry_run)
        told: dict[int, str] = {}

        def refused(line: int, reasons: Sequence[Reason]) -> None:
            told[line] = "; ".join(catalogue().reason(reason) for reason in reasons)

        tally = await job.run(refused, lambda done: None)
        assert tally.refused == len(told)
        return Came(tally.landed, tally.there_already, told)

    async def wrong(self, table: str | bytes, kind: str = "reports", mapping: str = "") -> list[str]:
        """Why the whole file is a mistake."""
        with pytest.raises(BadInput) as caught:
            await self.imports(table, kind, mapping)
        return [catalogue().reason(reason) for reason in caught.value.reasons]

    async def cases(self) -> list[Any]:
        return [await self.desk.case(row.id) for row in await self.desk.open_cases()]

    async def the_case(self, reference: str = "20CV/1/26") -> str:
        (row,) = await self.desk.cases_with(reference)
        return row.case

    async def does(self, who: Actor, case: str, move: str, **form: Any) -> None:
        await self.desk.handle(MakeMove(self.universe.new_id(), case, move, form), who)

    async def outcomes(self, case: str) -> list[tuple[str, str, str, str]]:
        log = [recorded.event for recorded in await self.desk.log(case)]
        return [
            (event.fact.outcome_code, event.by_role, event.stated_at, event.stated_source)
            for event in log
            if isinstance(event.fact, e.OutcomeRecorded)
        ]

    async def facts(self, order: str) -> list[str]:
        return [recorded.event.type for recorded in await self.desk.store.load(f"order/{order}")]


async def desk_on(place: Place, universe: Universe) -> Desk:
    store = place.store(universe)  # type: ignore[arg-type]  # any clock will do
    await store.start()
    new_id = universe.new_id
    desk = Desk(store, shipped(), Hub(), observe=universe, join_url="", link_text="{link}", new_id=new_id)
    await desk.start()
    return desk


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[AtWork]:
    place, universe = Place(tmp_path / "data", tmp_path / "keys" / "keys.json"), Universe()
    desk = await desk_on(place, universe)
    yield AtWork(place, universe, desk)
    await desk.store.close()


def table(*lines: str, head: str = HEAD) -> str:
    return "\n".join((head, *lines)) + "\n"


# --- Lines that land, and lines that do not ------------------------------------------------------------------------


async def test_the_good_lines_land_and_a_bad_one_is_told_with_its_line_and_every_reason(at: AtWork) -> None:
    bad = "by pigeon,20CV/2/26,assault,,atlantis"
    came = await at.imports(table(GOOD, bad, "front_desk,20CV/3/26,stalking,Cem Example,solihull"))
    assert (came.landed, came.there_already, list(came.refused)) == (2, 0, [3])
    source, place, name = came.refused[3].split("; ")
    assert source.startswith("Where the report came from: must be one of response_officer, control_room, front_desk")
    assert place.startswith("Local Policing Area: must be one of birmingham, coventry")
    assert name == "Fill in: Victim's name"
    first, second = await at.cases()
    assert (first.state, first.workflow, first.opened_by) == ("review", "crime-report", "importer")
    assert (first.details["report_source"], first.personal["victim_name"]) == ("control_room", "Ann Example")
    assert (second.details["lpa"], second.personal["crime_reference"]) == ("solihull", "20CV/3/26")


async def test_a_column_is_known_by_its_label_too_and_a_choice_by_its_own(at: AtWork) -> None:
    head = "WHERE the report  came from,crime reference,OFFENCE,Victim's name,local policing area,Victim's sex"
    came = await at.imports(table("Control Room,20CV/1/26,Threats to kill or to harm,Ann,COVENTRY,Female", head=head))
    (case,) = await at.cases()
    assert came.landed == 1
    assert (case.details["offence"], case.details["victim_sex"], case.details["lpa"]) == (
        "threats",
        "female",
        "coventry",
    )


async def test_a_line_is_numbered_as_an_editor_numbers_it(at: AtWork) -> None:
    """Also behind cells of several lines, empty lines, and either way to end a line."""
    lines = ["\ufeff" + HEAD + ",summary", GOOD + ',"one\r\ntwo\r\n\r\nfive"', "", ",,,,,", "x," + GOOD, GOOD + ","]
    came = await at.imports("\r\n".join(lines))
    assert (came.landed, list(came.refused)) == (1, [8, 9])
    (case,) = await at.cases()
    assert case.personal["summary"] == "one\ntwo\n\nfive"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
async def test_a_file_reads_the_same_however_a_spreadsheet_wrote_it(
    at: AtWork, encoding: str, delimiter: str, newline: str
) -> None:
    text = table(GOOD.replace("Ann Example", '"Zoë ‘Zo’, née; Ann"')).replace("\n", newline)
    cells = text.replace(",", delimiter).replace(f"Zo’{delimiter} née", "Zo’, née")
    assert (await at.imports(cells.encode(encoding))).landed == 1
    assert (await at.cases())[0].personal["victim_name"] == "Zoë ‘Zo’, née; Ann"


async def test_what_parts_the_cells_is_never_guessed(at: AtWork) -> None:
    (why,) = await at.wrong("a,b;c\n")
    assert "cannot be told" in why
    assert (await at.imports("sep=;\n" + table(GOOD + ",x").replace(",", ";"))).refused.keys() == {3}


async def test_what_spreadsheets_do_to_cells_is_undone(at: AtWork) -> None:
    head = f"{HEAD},safe_number,who_sees_phone,,"
    guarded = GOOD.replace("20CV/1", "20CV/2").replace("Ann", "'t Ann")
    came = await at.imports(
        table(
            f'{GOOD},"=""07700 900123""", \xa0,,',
            f"{guarded},'+447700900124",
            GOOD.replace("20CV/1", "20CV/3"),
            head=head,
        )
    )
    assert came == Came(3, 0)
    numbers = [case.personal.get("safe_number") for case in await at.cases()]
    assert numbers == ["+447700900123", "+447700900124", None]
    assert (await at.cases())[1].personal["victim_name"] == "'t Ann Example"


async def test_a_line_that_cannot_be_read_is_refused_and_the_others_land(at: AtWork) -> None:
    latin = GOOD.replace("20CV/1", "20CV/2").replace("Ann", "Zoë").encode("cp1252")
    torn = GOOD.replace("20CV/1", "20CV/4").replace("Ann", '"Ann"')
    lines = [HEAD.encode(), GOOD.encode(), latin, torn.encode(), f"{GOOD},more".encode(), b'control_room,"20CV/5/26,']
    came = await at.imports(b"\n".join(lines))
    assert came.landed == 1
    assert {line: why.split(":")[0][:40] for line, why in came.refused.items()} == {
        3: "This line is not UTF-8 text",
        4: "The quotation marks of this line do not ",
        5: "This line has more cells than there are ",
        6: "The quotation marks of this line do not ",
    }


async def test_what_a_screen_would_refuse_a_file_does_not_bring_in(at: AtWork) -> None:
    """Control characters, a telephone number that a spreadsheet has rounded, a text that is too long."""
    lines = (
        GOOD.replace("Ann", "Ann\x07") + ",",
        GOOD.replace("Ann", "Ann \u202eadA") + ",",
        GOOD + ",4.477E+11",
        GOOD.replace("Ann", "n" * 101) + ",",
    )
    came = await at.imports(table(*lines, head=HEAD + ",safe_number"))
    assert came.landed == 0
    assert [why.split(": ")[1][:27] for why in came.refused.values()] == [
        "contains characters that ca",
        "contains characters that ca",
        "this is not a telephone num",
        "at most 100 characters",
    ]


# --- Nothing twice -------------------------------------------------------------------------------------------------


async def test_the_same_file_again_lands_nothing(at: AtWork) -> None:
    lines = table(GOOD, GOOD.replace("20CV/1", "20CV/2"))
    assert await at.imports(lines) == Came(2, 0)
    position = await at.desk.store.position()
    assert await at.imports(lines) == Came(0, 2)
    assert await at.imports(lines.replace("20CV/2/26", " 20CV/2/26 ")) == Came(0, 2)
    assert await at.desk.store.position() == position


async def test_a_line_with_other_details_is_refused_and_told_which_case_to_correct(at: AtWork) -> None:
    await at.imports(table(GOOD))
    (case,) = await at.cases()
    came = await at.imports(table(GOOD.replace("assault", "stalking")))
    assert came.refused == {
        2: "This crime reference was imported before with other details "
        f"(case {case.reference}): correct the case instead"
    }
    assert [one.id for one in await at.cases()] == [case.id]


async def test_two_lines_of_one_file_with_one_reference_are_one_report(at: AtWork) -> None:
    other = GOOD.replace("assault", "theft")
    came = await at.imports(table(GOOD, GOOD, other, GOOD.replace("20CV", "20cv")))
    assert (came.landed, came.there_already) == (1, 1)
    told = "Line 2 of this file has the same reference and other details"
    assert came.refused == {4: told, 5: told}


async def test_a_refused_line_does_not_keep_its_reference_from_a_better_one(at: AtWork) -> None:
    came = await at.imports(table(GOOD.replace("assault", "arson"), GOOD))
    assert (came.landed, list(came.refused)) == (1, [2])


async def test_a_report_that_somebody_typed_in_is_not_doubled_unless_it_was_made_void(at: AtWork) -> None:
    opening = OpenCase(at.universe.new_id(), dict(REPORT), "crime-report")
    by_hand = (await at.desk.handle(opening, SERGEANT)).case
    came = await at.imports(table(GOOD))
    assert came.refused == {
        2: f"There is a case with this crime reference already (case {by_hand.reference}): correct the case instead"
    }
    await at.does(SERGEANT, by_hand.id, "void", void_reason="test")
    assert await at.imports(table(GOOD)) == Came(1, 0)


async def test_a_dry_run_tells_the_same_and_records_nothing(at: AtWork) -> None:
    await at.imports(table(GOOD))
    lines = table(GOOD, GOOD.replace("20CV/1", "20CV/2"), GOOD.replace("assault", "theft"), "x,20CV/4/26,,,")
    position = await at.desk.store.position()
    asked = await at.imports(lines, dry_run=True)
    assert await at.desk.store.position() == position
    assert asked == await at.imports(lines)
    assert (asked.landed, asked.there_already, list(asked.refused)) == (1, 1, [4, 5])


# --- Mapping files -------------------------------------------------------------------------------------------------


async def test_a_mapping_says_what_the_other_system_calls_things(at: AtWork) -> None:
    lines = table(
        "20CV/1/26,Resp Ofcr,Assault  ABH,25/07/2026 12:30,CV,Ann Example,30/04/1991,07700 900123,,,,B1,me",
        "20CV/2/26,,harassment,2026-07-25T12:30:00+02:00,Dudley,Bea Example,,,Bob Example,01/02/1988,Text,B2,me",
        head="Crime ref,Rep'd by,Offence class,Rep'd date/time,District,IP name,IP DOB,IP safe tel,Susp name,Susp DOB,"
        "MO,Beat,Last updated by",
    )
    assert await at.imports(lines, mapping=(SAMPLES / "reports.toml").read_text()) == Came(2, 0)
    first, second = await at.cases()
    assert first.details == {
        "report_source": "response_officer",
        "offence": "assault",
        "lpa": "coventry",
        "reported_at": "2026-07-25T11:30:00.000000Z",
        "reported_risk_tool": "dash",
    }
    assert (first.personal["victim_dob"], first.personal["safe_number"]) == ("1991-04-30", "+447700900123")
    assert second.details["report_source"] == "third_party", "an empty cell has its own translation"
    assert (second.details["offence"], second.details["reported_at"]) == ("stalking", "2026-07-25T10:30:00.000000Z")


async def test_every_sample_fits_its_kind(at: AtWork) -> None:
    told = ((Reports, "reports"), (Orders, "orders"), (Outcomes, "outcomes"), (Timings, "timings"), (Duty, "duty"))
    for kind, wanted in told:
        assert load(SAMPLES / f"{wanted}.toml", kind(at.desk).wanted).columns
    assert {file.stem for file in SAMPLES.glob("*.toml")} == {*importing.KINDS, *importing.WHOLE}


async def test_columns_without_a_place_are_told_once_and_nothing_lands(at: AtWork) -> None:
    told = await at.wrong(table(f"{GOOD},1,2", head=f"{HEAD},Beat,Weather"))
    (why,) = told
    assert "no field belongs to “Beat”, “Weather”." in why
    assert "fields: report_source, crime_reference, offence" in why
    assert await at.cases() == []
    mapped = await at.imports(table(f"{GOOD},1,2", head=f"{HEAD},Beat,Weather"), mapping='ignore = ["beat", "WEATHER"]')
    assert mapped.landed == 1


async def test_a_file_that_lacks_what_every_report_has_is_a_mistake_as_a_whole(at: AtWork) -> None:
    told = await at.wrong("crime_reference,offence,Offence\nx,y,z\n")
    assert told[0] == "The field “offence” is given twice, by columns or by a constant"
    assert [why.rpartition("gives ")[2].split(" (")[0] for why in told[1:]] == [
        "“Where the report came from”",
        "“Victim's name”",
        "“Local Policing Area”",
    ]


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        ("[columns", "cannot be read"),
        ('[colums]\na = "b"', "no place for “colums” (known: columns, values, constants, dates, ignore)"),
        ('[columns]\n"Beat" = "beet"', "columns: there is no field “beet” (known: report_source, crime_reference,"),
        ('[columns]\n"Beat" = "address"', "names a column “beat” that"),
        ("[columns]\nBeat = 1", "“columns” must be a table of texts"),
        ("columns = 1", "“columns” must be a table"),
        ('[values.ofence]\na = "b"', "values: there is no field “ofence”"),
        ('[values.offence]\n"ABH" = "abh"', "“abh” is nothing that offence can be (known: assault, controlling,"),
        ('[values]\noffence = "abh"', "“values.offence” must be a table of texts"),
        ('[constants]\nlpa = "coventry"', "The field “lpa” is given twice"),
        ('[constants]\nvictim_sex = "f"', "“f” is nothing that victim_sex can be (known: female, male, other)"),
        ('ignore = "Beat"', "“ignore” must be a list of texts"),
        ('[dates]\nformats = "%d"', "no place for “dates.formats” (known: format, time_format)"),
        ('[dates]\nformat = "%d/%m/%y"', "“dates.format” must name day, month, a year of four figures"),
        ('[dates]\nformat = "%d/%m"', "“dates.format” must name"),
        ('[dates]\ntime_format = "%d/%m/%Y"', "“dates.time_format” must name"),
        ('[dates]\ntime_format = "%d/%m/%Y %Q"', "“dates.time_format” must name"),
    ],
)
async def test_a_fault_of_the_mapping_is_told_with_what_is_allowed(at: AtWork, mapping: str, told: str) -> None:
    (why,) = await at.wrong(table(GOOD), mapping=mapping)
    assert told in why
    assert await at.cases() == []


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("29/03/2026 00:59", "2026-03-29T00:59:00.000000Z"),
        ("29/03/2026 01:00", "there was no such time, the clocks went forward over it"),
        ("29/03/2026 01:59", "there was no such time, the clocks went forward over it"),
        ("29/03/2026 02:00", "2026-03-29T01:00:00.000000Z"),
        ("25/10/2026 00:59", "2026-10-24T23:59:00.000000Z"),
        ("25/10/2026 01:30", "the clocks showed this time twice that night"),
        ("2026-10-25T01:30:00+01:00", "2026-10-25T00:30:00.000000Z"),
        ("25/10/2026 02:00", "2026-10-25T02:00:00.000000Z"),
        ("10/25/2026 02:00", "must be written like %d/%m/%Y %H:%M"),
        ("25/10/2026", "must be written like %d/%m/%Y %H:%M"),
        ("2026-10-25 12:00", "must be written like %d/%m/%Y %H:%M"),
    ],
)
async def test_a_time_that_the_clocks_showed_twice_or_never_is_refused(at: AtWork, written: str, read: str) -> None:
    mapping = '[dates]\ntime_format = "%d/%m/%Y %H:%M"'
    came = await at.imports(table(f"{GOOD},{written}", head=f"{HEAD},reported_at"), mapping=mapping)
    told = [case.details["reported_at"] for case in await at.cases()] or [came.refused[2].split(": ", 1)[1]]
    assert told[0].startswith(read)


async def test_without_a_format_a_time_needs_its_offset_and_a_day_is_written_as_iso_says(at: AtWork) -> None:
    head = f"{HEAD},victim_dob,reported_at"
    came = await at.imports(table(f"{GOOD},31/01/1990,2026-07-25 12:30", head=head))
    assert [why.split(":")[1] for why in came.refused[2].split("; ")] == [
        " this is not a time with its time zone. Example",
        " this is not a date. Example",
    ]
    assert (await at.imports(table(f"{GOOD},1990-01-31,2026-07-25 12:30+01:00", head=head))).landed == 1


# --- Civil orders --------------------------------------------------------------------------------------------------

ORDERS = "reference,kind,starts,ends,lpa,suspect_name,suspect_dob,victim_name,victim_dob,conditions"
ORDER = (
    "NM-7,Non-molestation order,2026-01-01,,coventry,Bob Example,1988-02-01,Ann Example,1991-04-30,Not to come near."
)


async def test_a_live_order_is_found_at_call_taking_until_it_ends(at: AtWork) -> None:
    assert await at.imports(table(ORDER, head=ORDERS), "orders") == Came(1, 0)
    head, people = f"{HEAD},victim_dob,suspect_name,suspect_dob", "1991-04-30,Bob Example,1988-02-01"
    await at.imports(table(f"{GOOD},{people}", head=head))
    (case,) = await at.cases()
    (order,) = (await at.desk.gather(case.id)).known.orders
    assert (order.kind, order.lpa, order.conditions) == ("non_molestation", "coventry", "Not to come near.")
    assert order.starts == "2026-01-01T00:00:00.000000Z"
    assert {role for role, _ in order.found_by} == {"victim", "suspect"}
    ended = table(ORDER.replace("01-01,,", "01-01,2026-11-20,") + ",discharged", head=f"{ORDERS},ended_because")
    assert await at.imports(ended, "orders") == Came(1, 0)
    assert (await at.desk.gather(case.id)).known.orders == ()
    assert await at.facts(order.id) == ["OrderImported", "OrderEnded"]
    assert await at.imports(ended, "orders") == Came(0, 1), "what has ended has not ended again"


async def test_an_order_imported_again_is_as_it_is_told_now(at: AtWork) -> None:
    first, changed = table(ORDER, head=ORDERS), table(ORDER.replace("coventry", "dudley"), head=ORDERS)
    for lines, landed in ((first, 1), (first, 0), (changed, 1), (changed, 0), (first, 1)):
        came = await at.imports(lines, "orders")
        assert (came.landed, came.there_already, came.refused) == (landed, 1 - landed, {})
    both = await at.imports(table(ORDER, ORDER.replace("coventry", "dudley"), head=ORDERS), "orders")
    assert list(both.refused) == [3], "one file that says two things of one order would flutter"
    (order,) = [row for row in await orders_of(at) if row.version]
    assert (order.version, order.lpa) == (3, "coventry")


async def orders_of(at: AtWork) -> list[Any]:
    from rvr.store.tables import OrderRow, every

    return await at.desk.store.read(lambda session: every(session, OrderRow))


async def test_a_day_stands_for_its_start_or_its_end_as_the_forces_clocks_show_it(at: AtWork) -> None:
    lines = table(ORDER.replace("2026-01-01,,", "2026-07-01,2026-07-28,"), head=ORDERS)
    await at.imports(lines, "orders")
    await at.imports(lines.replace("NM-7", "NM-8").replace("07-28,", "07-28T12:00:00+01:00,"), "orders")
    ends = {(row.starts, row.ends) for row in await orders_of(at)}
    assert ends == {
        ("2026-06-30T23:00:00.000000Z", "2026-07-28T23:00:00.000000Z"),
        ("2026-06-30T23:00:00.000000Z", "2026-07-28T11:00:00.000000Z"),
    }


async def test_what_is_wrong_with_an_order_is_told(at: AtWork) -> None:
    lines = (
        ORDER.replace("2026-01-01,,", "2026-01-02,2026-01-01,"),
        ORDER.replace("Non-molestation order", "restraining order"),
        ORDER.replace("Non-molestation order", "other").replace("Not to come near.", ""),
        ORDER.replace("1991-04-30", "30.4.91"),
        ORDER.replace("2026-01-01", "in January"),
        ORDER.replace("Non-molestation order", "other") + ",expired",
        ORDER.replace("Non-molestation order", "other"),
    )
    came = await at.imports(table(*lines, head=f"{ORDERS},ended_because"), "orders")
    assert came.landed == 1
    assert came.refused == {
        2: "The order ends before it starts",
        3: "kind: must be one of dvpn, spo, non_molestation, other, or be translated by a mapping file",
        4: "Fill in: conditions",
        5: "victim_dob: this is not a date. Example: 1990-01-31",
        6: "starts: this is not a time with its time zone. Example: 2026-11-22T21:18:00Z",
        7: "Fill in: ends",
    }


async def test_only_the_import_and_the_administrator_take_over_orders(at: AtWork) -> None:
    told = {"kind": "dvpn", "starts": "2026-01-01T00:00:00Z", "suspect_name": "Bob Example"}
    for who in STAFF:
        with pytest.raises(Forbidden):
            await at.desk.handle(ImportOrder("c", "o", told), who)
    done = await at.desk.handle(ImportOrder("c", "o", told), person("ada", "administrator"))
    assert [one.event.by_role for one in done.recorded] == ["administrator"]
    again = await at.desk.handle(ImportOrder("c2", "o", told), THE_IMPORTER)
    assert again.recorded == ()


# --- Outcomes ------------------------------------------------------------------------------------------------------

OUTCOMES = "crime_reference,outcome_code,outcome_on,victim_supports,evidence_led_done,rationale"
OUTCOME = "20CV/1/26,16,2026-07-01,no,yes,Told to the officer."


async def allocated(at: AtWork) -> str:
    """A report that was imported, assessed and allocated."""
    await at.imports(table(GOOD))
    case = await at.the_case()
    row = AccountRow(id=OFFICER.id, username="olu", name="Olu", roles=["officer"], password_hash="")
    await at.desk.store.write(lambda connection: put(connection, row))
    await at.desk.handle(SetDuty(at.universe.new_id(), OFFICER.id, "on"), OFFICER)
    await at.does(SERGEANT, case, "assign_officer", officer=OFFICER.id)
    await at.does(OFFICER, case, "assess_risk", **risk("standard"))
    due = iso(at.universe.wall + timedelta(days=1))
    await at.does(OFFICER, case, "plan_safeguarding", action_kind="safety_plan", action_owner="PC X", due_at=due)
    await at.does(OFFICER, case, "submit_for_review")
    await at.does(SERGEANT, case, "allocate", team="lpa-coventry")
    return case


@pytest.mark.parametrize("closed", [False, True])
async def test_an_outcome_goes_into_an_allocated_and_into_a_closed_case(at: AtWork, closed: bool) -> None:
    case = await allocated(at)
    if closed:
        await at.does(INVESTIGATOR, case, "close")
    before = await at.desk.case(case)
    came = await at.imports(table(OUTCOME, head=OUTCOMES), "outcomes")
    assert came == Came(1, 0)
    after = await at.desk.case(case)
    assert (after.state, after.outcome_code) == (before.state, "16")
    assert await at.outcomes(case) == [("16", "importer", "2026-06-30T23:00:00.000000Z", "import")]
    assert not closed or after.clocks == {}, "nothing runs in a closed case"
    assert await at.imports(table(OUTCOME, head=OUTCOMES), "outcomes") == Came(0, 1)
    changed = await at.imports(table(OUTCOME.replace("Told", "Said"), head=OUTCOMES), "outcomes")
    assert changed.refused == {
        2: f"This outcome was imported before with other details (case {after.reference}): correct the case instead"
    }
    later = OUTCOME.replace("16,2026-07-01", "1,2026-11-22")
    assert (await at.imports(table(OUTCOME, later, head=OUTCOMES), "outcomes")).landed == 1
    assert (await at.desk.case(case)).outcome_code == "1"


async def test_what_is_wrong_with_an_outcome_is_told(at: AtWork) -> None:
    await allocated(at)
    await at.imports(table(GOOD.replace("20CV/1", "20CV/2")))
    lines = (
        OUTCOME.replace("20CV/1", "20CV/9"),
        OUTCOME.replace("20CV/1", "20CV/2"),
        OUTCOME.replace("2026-07-01", "2026-11-23"),
        OUTCOME.replace("16,2026-07-01", "22,2019-03-31"),
        OUTCOME.replace("16,", "7,"),
        OUTCOME.replace("no,yes,Told to the officer.", ",,"),
        OUTCOME.replace("2026-07-01", ""),
    )
    came = await at.imports(table(*lines, head=OUTCOMES), "outcomes")
    needs = ("Does the victim support further action?", "Was a case without the victim's account considered?")
    assert came.landed == 0
    assert came.refused[6].startswith("Home Office outcome: must be one of 1, 2, 3,")
    del came.refused[6]
    assert came.refused == {
        2: "No case has this crime reference",
        3: "“Record the outcome” is not open while the case is: Review",
        4: "Outcome given on: this lies in the future",
        5: "Outcome 22 was not in force on this day",
        7: "; ".join(f"Outcome 16 requires: {what}" for what in (*needs, "The record that this outcome requires")),
        8: "Fill in: Outcome given on",
    }


async def test_an_investigator_may_state_the_day_too_and_is_its_source(at: AtWork) -> None:
    case = await allocated(at)
    await at.does(INVESTIGATOR, case, "record_outcome", outcome_code="1", outcome_on="2026-11-20")
    await at.does(INVESTIGATOR, case, "record_outcome", outcome_code="1")
    stated = ("1", "investigator", "2026-11-20T00:00:00.000000Z", "investigator")
    assert await at.outcomes(case) == [stated, ("1", "investigator", "", "")]


async def test_two_cases_with_one_crime_reference_take_no_outcome_and_are_not_of_one_person(at: AtWork) -> None:
    """A crime reference finds the case and proposes nobody."""
    for name in ("Ann Example", "Bea Example"):
        form = {**REPORT, "victim_name": name, "crime_reference": "20cv/1/26"}
        await at.desk.handle(OpenCase(at.universe.new_id(), form, "crime-report"), SERGEANT)
        at.universe.pass_(60)
    cases = await at.desk.cases_with(" 20 CV/1/26")
    assert len(cases) == 2
    assert [(await at.desk.gather(case.id)).known.candidates for case in await at.cases()] == [(), ()]
    came = await at.imports(table(OUTCOME, head=OUTCOMES), "outcomes")
    both = ", ".join(case.reference for case in cases)
    assert came.refused == {2: f"More than one case has this crime reference: {both}"}


async def test_a_case_is_found_by_its_corrected_reference_and_after_the_rows_are_made_again(at: AtWork) -> None:
    await at.imports(table(GOOD))
    case = await at.the_case()
    await at.does(SERGEANT, case, "correct_details", crime_reference="20CV/77/26")
    for _ in range(2):
        assert await at.desk.cases_with("20CV/1/26") == ()
        assert await at.the_case("20CV/77/26") == case
        await at.desk.store.rebuild()
    assert await at.imports(table(GOOD)) == Came(0, 1), "what was imported is known by what it was imported as"


# --- The command ---------------------------------------------------------------------------------------------------


async def make_store(data: Path) -> None:
    place = Place(data, Path(f"{data}.keys") / "keys.json")
    await (await desk_on(place, Universe())).store.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a desk that was served before."""
    asyncio.run(make_store(tmp_path / "data"))
    return tmp_path / "data"


def test_the_command_tells_each_refused_line_and_ends_with_what_came_of_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "reports.csv"
    file.write_text(table(GOOD, "x" + GOOD[:-1], GOOD))
    command = ["import", str(file), "--data", str(data)]
    assert cli.main([*command, "--dry-run"]) == 1
    assert "1 would land, 1 are there already, 1 refused" in capsys.readouterr().out
    assert cli.main(command) == 1
    told = capsys.readouterr()
    refused, summary = told.out.splitlines()
    assert refused.startswith(f"{file}:3: Where the report came from: must be one of response_officer, ")
    assert "; Local Policing Area: must be one of" in refused
    assert summary == "1 landed, 1 there already, 1 refused"
    assert told.err == "", "quiet in a pipe"
    file.write_text(table(GOOD))
    assert cli.main(command) == 0
    assert capsys.readouterr().out == "0 landed, 1 there already, 0 refused\n"


def test_on_a_terminal_it_tells_how_far_it_is(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "reports.csv"
    file.write_text(table(GOOD, GOOD))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert cli.main(["import", str(file), "--data", str(data)]) == 0
    assert capsys.readouterr().err == "1 of 2\x1b[K\r2 of 2\x1b[K\r"


def test_wrong_use_is_told_and_is_not_a_refused_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "reports.csv"
    file.write_text("weather\nfine\n")
    command = ["import", str(file), "--data", str(data)]
    assert cli.main(command) == 2
    assert "no field belongs to “weather”" in capsys.readouterr().err
    assert cli.main(["import", str(tmp_path / "none.csv"), "--data", str(data)]) == 2
    assert cli.main([*command, "--mapping", str(tmp_path / "none.toml")]) == 2
    file.write_text("")
    assert cli.main(command) == 2
    assert "is empty" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main([*command, "--kind", "weather"])
    assert cli.main(["import", str(file), "--data", str(tmp_path / "elsewhere")]) == 1
    assert "There is no RVR database" in capsys.readouterr().err


def test_no_name_and_no_reference_stands_in_the_clear_in_ids_rows_logs_or_the_report(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports, orders = tmp_path / "reports.csv", tmp_path / "orders.csv"
    canary = GOOD.replace("Ann", "Zqcanary").replace("20CV/1", "20zqcanary")
    bad = canary.replace("20zqcanary", "21zqcanary").replace("assault", "zqcanary")
    reports.write_text(table(canary, bad, canary.replace("assault", "theft")))
    orders.write_text(table(ORDER.replace("NM-7", "zqcanary").replace("Bob", "Zqcanary"), head=ORDERS))
    cli.main(["import", str(reports), "--data", str(data)])
    cli.main(["import", str(orders), "--data", str(data), "--kind", "orders"])
    cli.main(["import", str(reports), "--data", str(data)])
    told = capsys.readouterr()
    assert told.out.count("landed") == 3
    assert "zqcanary" not in (told.out + told.err).casefold()
    for path in (path for path in data.rglob("*") if path.is_file()):
        assert b"zqcanary" not in path.read_bytes().lower(), path
    connection = Place(data, Path(f"{data}.keys") / "keys.json").connection()
    rows = 0
    for name in METADATA.tables:
        for row in connection.execute(f'SELECT * FROM "{name}"'):  # noqa: S608 - the names of our own tables
            assert "zqcanary" not in repr(row).casefold(), name
            rows += 1
    connection.close()
    assert rows > 10


MANY = 2000
WITHIN_S = 90
"""For all of them in two processes. It takes about 15 on two cores."""


@pytest.mark.slow
def test_an_import_that_is_killed_lands_the_rest_the_second_time_and_nothing_twice(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "reports.csv"
    file.write_text(table(*(GOOD.replace("20CV/1/26", f"20CV/{number}/26") for number in range(MANY))))
    command = [sys.executable, "-m", "rvr.cli", "import", str(file), "--data", str(data)]
    began = time.monotonic()
    connection = Place(data, Path(f"{data}.keys") / "keys.json").connection()

    def landed() -> int:
        (count,) = connection.execute("SELECT count(*) FROM command WHERE person = 'importer'").fetchone()
        return int(count)

    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE) as killed:
        while landed() < 200:
            assert killed.poll() is None
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
    before = landed()
    assert 200 <= before < MANY
    again = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert again.stdout == f"{MANY - before} landed, {before} there already, 0 refused\n"
    assert time.monotonic() - began < WITHIN_S
    assert landed() == MANY
    assert connection.execute("SELECT count(*) FROM case_row").fetchone() == (MANY,)
    connection.close()


def test_a_sheet_knows_where_each_of_its_lines_begins(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text('sep=;\r\na;b\r\n"1\r\n2";x\r\n;\r\n3;y')
    read = sheets.read(file)
    assert read.columns == ("a", "b")
    assert [(line.number, line.cells) for line in read.lines] == [(3, ("1\r\n2", "x")), (6, ("3", "y"))]
