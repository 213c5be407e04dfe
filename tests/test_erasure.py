"""Destroying a case's key: two people, nothing under way, the time of keeping over; then no name anywhere, and a log
that still says who, when and why.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rvr.core.commands import Actor, BreakGlass, ConfirmErasure, MakeMove, OpenCase, ProposeErasure
from rvr.core.erasure import is_erased
from rvr.core.errors import Forbidden, Refused, RvrError
from rvr.core.moment import iso
from rvr.core.retention import Retention, later
from rvr.definitions import DefinitionFault, load
from rvr.evaluation.package import export
from rvr.store import projections
from rvr.store.messages import Message, put_message
from rvr.store.tables import ClockRow, CommandRow, IdentityRow, MessageRow, every
from tests.builders import OPENING
from tests.evaluation.days import CANARY, SECRETS, STAFF, WORKFLOWS, Days, a_desk, definitions

ROOT = Path(__file__).parents[1]
ADMIN = Actor("admin-1", frozenset({"administrator"}), "Ash")
ADMIN_2 = Actor("admin-2", frozenset({"administrator"}), "Asa")
INSPECTOR = STAFF["inspector"]
SIX, TEN = timedelta(days=6 * 365 + 2), timedelta(days=10 * 365 + 3)


@pytest.fixture
async def days(tmp_path: Path) -> AsyncIterator[Days]:
    async with a_desk(tmp_path) as told:
        yield told


async def a_void(days: Days, **form: str) -> str:
    case = await days.opens(**form)
    await days.does(case, "sergeant", "void", void_reason="test")
    return case


async def a_high_risk(days: Days, *, filed: bool = True) -> str:
    """A case with everything in it, filed or allocated."""
    case = await days.opens()
    await days.screens(case)
    await days.agrees(case)
    await days.offered(case)
    await days.waits(case)
    await days.media(case, "two_way")
    await days.is_safe(case)
    await days.does(case, "officer", "end_session", 120, end_reason="completed")
    await days.assessed(case)
    given = {"evidence_led": "not_viable", "evidence_led_reason": f"{CANARY} none"}
    await days.does(case, "officer", "consider_evidence_led", **given)
    await days.does(case, "officer", "submit_for_review")
    if filed:
        await days.filed(case)
    else:
        await days.does(case, "sergeant", "allocate", 120, team="lpa-coventry", override=f"{CANARY} override")
    return case


async def propose(days: Days, case: str, by: Actor = ADMIN, **told: str) -> None:
    form = {"authority": "retention_review", "reason": "no_longer_necessary", **told}
    await days.desk.handle(ProposeErasure(days._id(), case, **form), by)


async def confirm(days: Days, case: str, by: Actor = INSPECTOR) -> None:
    await days.desk.handle(ConfirmErasure(days._id(), case), by)


async def erase(days: Days, case: str) -> None:
    await propose(days, case)
    days.later(60)
    await confirm(days, case)


async def reasons(asked: Any) -> dict[str, dict[str, Any]]:
    """Why it was refused: code and what it names."""
    with pytest.raises(RvrError) as refused:
        await asked
    return {reason.code: dict(reason.params) for reason in refused.value.reasons}


# --- What is gone and what stays ---------------------------------------------------------------------------------


async def test_two_people_erase_a_case_and_nothing_that_named_anybody_can_be_read(days: Days, tmp_path: Path) -> None:
    case, other = await a_high_risk(days), await days.opens(victim_name=f"{CANARY} Other")
    before = await days.desk.case(case)
    assert before.personal
    days.clock.at += TEN
    await erase(days, case)
    after = await days.desk.case(case)
    assert is_erased(after)
    shown = f"{dataclasses.asdict(after)} {await days.desk.log(case)}"
    assert [secret for secret in SECRETS if secret in shown] == []
    kept = ("reference", "state", "decision", "risk_level", "opened_at", "victim_id")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert CANARY in str((await days.desk.case(other)).personal), "another case keeps its names"
    assert await days.store.verify() == []
    rows = await days.store.read(lambda session: every(session, IdentityRow, IdentityRow.stream == f"case/{case}"))
    assert rows == []
    assert (days.store.place.data / "rvr.db-wal").stat().st_size == 0, "no destroyed key stays in the journal"
    await export(days.store, tmp_path / "out", project_key=tmp_path / "project.json")
    told = (tmp_path / "out" / "data" / "events.csv").read_text()
    assert told.count("CaseErased") == 1


async def test_the_log_says_who_when_why_and_by_what_rule(days: Days) -> None:
    case = await a_void(days)
    days.clock.at += SIX
    await erase(days, case)
    proposed, erased = (recorded.event for recorded in (await days.desk.log(case))[-2:])
    assert (proposed.type, proposed.by, proposed.by_role) == ("ErasureProposed", ADMIN.id, "administrator")
    assert (erased.type, erased.by, erased.by_role) == ("CaseErased", INSPECTOR.id, "inspector")
    told = dataclasses.asdict(erased.fact)
    kept_until = told.pop("kept_until")
    assert told == {
        "authority": "retention_review",
        "reason": "no_longer_necessary",
        "proposed_by": ADMIN.id,
        "record_class": "void",
        "retention": definitions().retention.hash,
    }
    assert kept_until < iso(days.clock.at)
    assert erased.fact.sealed_fields() == proposed.fact.sealed_fields() == frozenset()


async def test_live_and_rebuilt_rows_are_equal_after_an_erasure(days: Days) -> None:
    case = await a_high_risk(days)
    days.clock.at += TEN
    await erase(days, case)
    live = await days.store.write(projections.fingerprints)
    assert await days.store.replay() == []
    assert await days.store.write(projections.fingerprints) == live
    clocks = await days.store.read(lambda session: every(session, ClockRow, ClockRow.case_id == case))
    assert clocks == [], "no clock goes on for it"
    assert (await days.desk.case(case)).clocks == {}


async def test_messages_that_wait_are_dropped_and_sent_ones_are_empty(days: Days) -> None:
    case = await a_void(days)
    days.clock.at += SIX
    at = iso(days.clock.at)
    message = Message("m1", case, "sms", "+447700900123", f"{CANARY} text")
    await days.store.write(lambda connection: put_message(connection, days.store.sealer, message, at))
    await erase(days, case)
    (row,) = await days.store.read(lambda session: every(session, MessageRow, MessageRow.id == "m1"))
    assert (row.status, row.next_at) == ("dropped", "")


async def test_nothing_more_can_be_done_with_an_erased_case(days: Days) -> None:
    case = await a_void(days)
    days.clock.at += SIX
    await erase(days, case)
    again = MakeMove(days._id(), case, "dispatch_emergency", {})
    assert set(await reasons(days.desk.handle(again, STAFF["sergeant"]))) == {"case-erased"}
    assert set(await reasons(propose(days, case))) == {"case-erased"}
    assert set(await reasons(confirm(days, case))) == {"case-erased"}
    for who in (*STAFF.values(), ADMIN):
        assert (await days.desk.open_to(await days.desk.gather(case), who)).moves == ()


async def test_the_same_command_again_erases_once_and_gives_the_same_answer(days: Days) -> None:
    case = await a_void(days)
    days.clock.at += SIX
    await propose(days, case)
    command = ConfirmErasure("twice", case)
    first = await days.desk.handle(command, INSPECTOR)
    again = await days.desk.handle(command, INSPECTOR)
    assert (again.repeated, again.case.version, again.case.personal) == (True, first.case.version, {})
    assert first.case == await days.desk.case(case), "the answer is what the log tells from now on"


async def test_no_hash_stays_against_which_a_guess_of_what_was_asked_could_be_tried(days: Days) -> None:
    """The hashes are keyed, but whoever erases has the key file. Other cases keep theirs."""
    other = await days.opens()
    opened = OpenCase(days._id(), OPENING)
    case = (await days.desk.handle(opened, STAFF["handler"])).case.id
    await days.does(case, "sergeant", "void", void_reason="test")

    async def hashes(of: str) -> list[bytes]:
        rows = await days.store.read(lambda session: every(session, CommandRow))
        return [row.body_hash for row in rows if any(stream == f"case/{of}" for stream, _ in row.writes)]

    before = await hashes(case), await hashes(other)
    assert all(map(len, before[0]))
    days.clock.at += SIX
    await erase(days, case)
    assert [len(one) for one in await hashes(case)] == [0, 0, 0, 32], "of what was done, only the erasure's own"
    assert await hashes(other) == before[1]
    again = await days.desk.handle(opened, STAFF["handler"])
    assert (again.repeated, again.case.personal) == (True, {}), "and a command that is sent again is still known"


# --- Who may, and when -------------------------------------------------------------------------------------------


async def test_only_an_administrator_proposes_and_only_a_second_person_confirms(days: Days) -> None:
    case = await a_void(days)
    days.clock.at += SIX
    for who in (*STAFF.values(), Actor("eva", frozenset({"evaluator"}))):
        with pytest.raises(Forbidden):
            await propose(days, case, who)
    assert set(await reasons(confirm(days, case))) == {"erase-not-proposed"}
    await propose(days, case)
    for name in ("handler", "sergeant", "officer", "investigator"):
        with pytest.raises(Forbidden):
            await confirm(days, case, STAFF[name])
    assert set(await reasons(confirm(days, case, ADMIN))) == {"erase-second-person"}
    assert (await days.desk.case(case)).personal
    await confirm(days, case, ADMIN_2)
    assert not (await days.desk.case(case)).personal


async def test_an_authority_and_a_reason_are_codes_of_the_table(days: Days) -> None:
    case = await a_void(days)
    days.clock.at += SIX
    with pytest.raises(Refused) as refused:
        await propose(days, case, authority="because", reason=f"{CANARY} said so")
    assert [reason.field for reason in refused.value.reasons] == ["authority", "reason"]


async def test_a_case_that_anybody_works_on_is_refused_with_the_reason(days: Days) -> None:
    case = await days.opens()
    days.clock.at += TEN
    assert await reasons(propose(days, case)) == {"erase-under-investigation": {"state": "Call taking"}}
    await days.does(case, "sergeant", "dispatch_emergency")
    assert set(await reasons(propose(days, case))) == {"erase-under-investigation", "erase-emergency", "erase-kept"}


async def test_an_allocated_case_is_kept_until_it_is_closed_and_then_for_ten_years(days: Days) -> None:
    case = await a_high_risk(days, filed=False)
    days.clock.at += TEN
    assert set(await reasons(propose(days, case))) == {"erase-under-investigation"}
    await days.does(case, "investigator", "close")
    days.clock.at += SIX
    assert set(await reasons(propose(days, case))) == {"erase-kept"}
    days.clock.at += TEN - SIX
    await erase(days, case)


async def test_inside_its_time_a_case_is_refused_to_the_second(days: Days) -> None:
    case = await a_void(days)
    last = (await days.desk.log(case))[-1].event.at.at
    days.clock.at = later(last, 6) - timedelta(microseconds=1)
    told = await reasons(propose(days, case))
    assert told == {
        "erase-kept": {"class": "Opened in error, duplicate or test", "until": later(last, 6).date().isoformat()}
    }
    days.clock.at = later(last, 6)
    await propose(days, case)


async def test_whatever_happens_after_the_proposal_makes_it_void(days: Days) -> None:
    case = await a_high_risk(days)
    days.clock.at += TEN
    await propose(days, case)
    await days.does(case, "sergeant", "reopen", reopen_reason="new_information")
    told = await reasons(confirm(days, case))
    assert set(told) == {"erase-under-investigation", "erase-kept"}


async def test_a_look_from_outside_keeps_no_case_longer_and_no_erasure_from_its_end(days: Days) -> None:
    case = await a_void(days)
    last = (await days.desk.log(case))[-1].event.at.at
    looks = Actor("officer-9", frozenset({"officer"}), "Olga")
    days.later(60)
    await days.desk.handle(BreakGlass(days._id(), case, "the same address as a call of mine"), looks)
    days.clock.at = later(last, 6)
    await propose(days, case)
    days.later(60)
    await days.desk.handle(BreakGlass(days._id(), case, "the same address as a call of mine"), looks)
    await confirm(days, case)
    assert is_erased(await days.desk.case(case))


async def test_without_a_table_nothing_is_erased(days: Days) -> None:
    case = await a_void(days)
    days.clock.at += TEN
    days.desk.definitions = dataclasses.replace(days.desk.definitions, retention=Retention())
    assert "erase-no-rule" in await reasons(propose(days, case))


# --- The table ---------------------------------------------------------------------------------------------------


def test_the_table_is_in_no_workflows_version(tmp_path: Path) -> None:
    told = definitions()
    assert all("tables/retention.toml" not in flow.files for flow in told.workflows.values())
    assert any("tables/outcomes.toml" in flow.files for flow in told.workflows.values())
    assert len(told.retention.hash) == 64


def test_six_years_are_the_least_and_every_class_names_its_source() -> None:
    for one in definitions().retention.classes:
        assert 6 <= one.minimum_years <= one.review_years, one.id
        assert one.source


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("minimum_years = 6", "minimum_years = 7"), "the review is not before the minimum is over"),
        (('fact = "state"', 'fact = "mood"'), "unknown fact `mood`"),
        (
            ('name = "Everything else"', 'name = "Everything else"\nwhen = { fact = "state", is = "x" }'),
            "the last class",
        ),
        (("review_years = 6", "review_years = 6\nodd = 1"), "unknown key `odd`"),
    ],
)
def test_faults_of_the_table_are_told(tmp_path: Path, change: tuple[str, str], fault: str) -> None:
    shutil.copytree(WORKFLOWS, tmp_path / "workflows")
    file = tmp_path / "workflows" / "tables" / "retention.toml"
    file.write_text(file.read_text().replace(*change, 1))
    with pytest.raises(DefinitionFault, match=fault):
        load(tmp_path / "workflows", "wmp")


def test_years_are_those_of_the_calendar() -> None:
    assert later(datetime(2026, 11, 23, 10, tzinfo=UTC), 6) == datetime(2032, 11, 23, 10, tzinfo=UTC)
    assert later(datetime(2028, 2, 29, tzinfo=UTC), 6) == datetime(2034, 3, 1, tzinfo=UTC)
    assert later(datetime(2028, 2, 29, tzinfo=UTC), 4) == datetime(2032, 2, 29, tzinfo=UTC)
