"""The access log: each look once per sign-in, case and class of field, and again after fifteen minutes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import Session

from rvr.store import Store, access
from rvr.store.access import Access, Signin, Wanted
from rvr.store.tables import AccessRow, every
from tests.store.builders import Clock, Place

OFFICER = Signin("0123456789abcdef", "person-2", "officer")


async def test_a_look_is_one_row_and_again_after_fifteen_minutes(store: Store, clock: Clock) -> None:
    async def look(case_id: str = "1", field_class: str = "details", signin: Signin = OFFICER) -> bool:
        return await store.write(lambda c: access.looked(c, signin, case_id, field_class, clock.at))

    assert await look()
    assert not await look()
    clock.pass_by(minutes=14, seconds=59)
    assert not await look()
    clock.pass_by(seconds=1)
    assert await look()
    assert not await look()
    assert await look(field_class="risk")
    assert await look(case_id="2")
    assert await look(signin=Signin("another", "person-2", "officer"))
    rows = await store.read(lambda s: every(s, AccessRow))
    assert [(row.seq, row.case_id, row.what) for row in rows] == [
        (1, "1", "details"),
        (2, "1", "details"),
        (3, "1", "risk"),
        (4, "2", "details"),
        (5, "1", "details"),
    ]
    assert {(row.category, row.person, row.role) for row in rows} == {("consultation", "person-2", "officer")}


async def test_only_the_six_categories_of_the_act_can_be_recorded(store: Store, clock: Clock) -> None:
    with pytest.raises(ValueError):
        await store.write(lambda c: access.record(c, Access(OFFICER, "peek", "details", clock.at)))
    for category in access.CATEGORIES:
        to = "evaluator" if category == "disclosure" else ""
        entry = Access(OFFICER, category, "export", clock.at, None, "inspection", to)
        await store.write(lambda c, entry=entry: access.record(c, entry))
    assert len(await store.read(lambda s: every(s, AccessRow))) == 6


@pytest.mark.parametrize("category", sorted(access.CATEGORIES))
async def test_a_disclosure_has_a_recipient_and_nothing_else_has(store: Store, clock: Clock, category: str) -> None:
    wrong = "" if category == "disclosure" else "Example University"
    with pytest.raises(ValueError, match="recipient"):
        await store.write(lambda c: access.record(c, Access(OFFICER, category, "export", clock.at, recipient=wrong)))
    assert await store.read(lambda s: every(s, AccessRow)) == []


async def test_somebody_who_is_not_shown_a_case_is_one_row_in_fifteen_minutes(store: Store, clock: Clock) -> None:
    async def refuse(code: str, case_id: str = "1") -> bool:
        return await store.write(lambda c: access.refused(c, OFFICER, case_id, code, clock.at))

    assert await refuse("no-such-case")
    assert not await refuse("not-allowed-here"), "whatever the code"
    assert await refuse("no-such-case", "2")
    assert await store.write(lambda c: access.looked(c, OFFICER, "1", "details", clock.at)), "a look is another thing"
    clock.pass_by(minutes=15)
    assert await refuse("not-allowed-here")
    rows = await store.read(lambda s: every(s, AccessRow))
    whats = ["refused:no-such-case", "refused:no-such-case", "details", "refused:not-allowed-here"]
    assert [row.what for row in rows] == whats
    assert {row.category for row in rows} == {"consultation"}


# --- Finding -----------------------------------------------------------------------------------------------------


async def a_week(store: Store, clock: Clock) -> None:
    """Two people, two cases, one row an hour; every fifth a disclosure, and one verb at the terminal."""
    people = [OFFICER, Signin("fedcba9876543210", "person-3", "sergeant")]
    entries = []
    for n in range(120):
        clock.pass_by(hours=1)
        passed_on = n % 5 == 0
        category, to = ("disclosure", "Example_University") if passed_on else ("consultation", "")
        entries.append(Access(people[n % 2], category, "details", clock.at, str(n % 3), "", to))
    terminal = Signin(access.TERMINAL, f"{access.TERMINAL}:ops", access.TERMINAL)
    entries.append(Access(terminal, "disclosure", "backup", clock.at, recipient="/backups/1"))
    await store.write(lambda c: [access.record(c, one) for one in entries])


async def test_rows_are_found_by_each_condition_and_by_all_together_the_newest_first(
    store: Store, clock: Clock
) -> None:
    await a_week(store, clock)
    rows = await store.read(lambda s: every(s, AccessRow))
    middle, late = rows[40].at, rows[100].at
    questions: dict[Wanted, Callable[[AccessRow], bool]] = {
        Wanted(): lambda row: True,
        Wanted(person="person-2"): lambda row: row.person == "person-2",
        Wanted(person=access.TERMINAL): lambda row: row.role == "terminal",
        Wanted(case_id="1"): lambda row: row.case_id == "1",
        Wanted(category="disclosure"): lambda row: row.category == "disclosure",
        Wanted(since=middle, until=late): lambda row: middle <= row.at < late,
        Wanted(recipient="university"): lambda row: "University" in row.recipient,
        Wanted(recipient="e_u"): lambda row: "e_U" in row.recipient,
        Wanted(recipient="e%u"): lambda row: False,
        Wanted("person-2", "1", "disclosure", middle, late, "example"): lambda row: (
            (row.person, row.case_id, row.category) == ("person-2", "1", "disclosure") and middle <= row.at < late
        ),
    }
    for wanted, fits in questions.items():
        expected = [row.seq for row in reversed(rows) if fits(row)]
        found: list[int | None] = []
        while more := await store.read(
            lambda s, wanted=wanted, found=found: access.find(s, wanted, before=found[-1] if found else 0, limit=7)
        ):
            assert len(more) <= 7
            assert len(found) <= len(rows), "no row twice"
            found += [row.seq for row in more]
        assert found == expected, wanted
    assert sum(bool(fits(row)) for fits in list(questions.values())[-1:] for row in rows) > 0


@pytest.mark.files
async def test_no_question_walks_through_the_whole_log(store: Store, clock: Clock, place: Place) -> None:
    """What the database says it would do: an index in the order of the answer, and no sorting of all that fits."""
    asked: list[tuple[str, Any]] = []

    def ask(session: Session) -> None:
        event.listen(session.get_bind(), "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
        for wanted in (
            *(Wanted(), Wanted(person="p"), Wanted(case_id="1"), Wanted(category="erasure"), Wanted(since="2026")),
            *(Wanted(person="p", since="2026", until="2027"), Wanted(recipient="u")),
        ):
            access.find(session, wanted)

    await store.read(ask)
    connection = place.connection()
    asked = [(text, values) for text, values in asked if text.startswith("SELECT")]
    plans = [str(connection.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()) for text, values in asked]
    connection.close()
    assert len(plans) == 7
    for plan in plans:
        assert "USING INDEX access_" in plan
        assert "TEMP B-TREE" not in plan


TAMPERS = {
    "an edited row": "UPDATE access SET person = 'somebody else' WHERE seq = 2",
    "a row taken out": "DELETE FROM access WHERE seq = 2",
    "a cut tail": "DELETE FROM access WHERE seq = 3",
    "a back-dated row": "UPDATE access SET at = '2026-01-01T00:00:00.000000Z' WHERE seq = 1",
}


@pytest.mark.parametrize("tamper", TAMPERS)
async def test_a_changed_access_log_is_found(store: Store, place: Place, clock: Clock, tamper: str) -> None:
    for field_class in ("details", "risk", "children"):
        await store.write(lambda c, what=field_class: access.looked(c, OFFICER, "1", what, clock.at))
    assert await store.write(access.verify) == []
    place.tamper(TAMPERS[tamper])
    assert await store.write(access.verify) != []
