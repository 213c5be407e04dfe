"""The same people across cases: proposed by keys that nobody can read, confirmed by somebody, counted afterwards."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import pytest

from rvr.core import events as e
from rvr.core.case import Case, fold
from rvr.core.identity import Candidate, IdentityKey
from rvr.core.moment import iso
from rvr.core.orders import Order, fold_order
from rvr.store import Store
from rvr.store.engine import Connection
from rvr.store.history import MOST, Known, history, known
from rvr.store.identities import erase
from rvr.store.tables import CaseRow, IdentityRow, OrderRow, every
from tests.store.builders import Clock, Place, a_batch, an_order, blank, event, opened

ANN = {"victim_name": "Ann Example", "victim_dob": "1991-04-30"}
BOB = {"suspect_name": "Bob Example", "suspect_dob": "1988-02-01"}
PHONE = {"safe_number": "+447700900123"}


async def a_case(store: Store, clock: Clock, case: str, *after: e.Event, **told: Any) -> Case:
    """A case a day after the one before, with a victim and a suspect of its own."""
    clock.pass_by(days=1)
    first = opened(clock, f"R{case}", **told)
    fact = dataclasses.replace(first.fact, victim_id=f"victim-{case}", suspect_id=f"suspect-{case}")
    first = dataclasses.replace(first, fact=fact)
    await store.append(a_batch(f"open-{case}", Case(case), first, *after))
    return fold(case, await store.load(f"case/{case}"))


async def what_is_known(store: Store, clock: Clock, case: Case) -> Known:
    return await store.look(lambda connection: known(connection, store.sealer, case, iso(clock.at)))


async def candidates(store: Store, clock: Clock, case: Case) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.role, one.person_id, one.kinds) for one in (await what_is_known(store, clock, case)).candidates]


async def identities(store: Store) -> list[dict[str, Any]]:
    return await store.read(lambda session: [row.model_dump() for row in every(session, IdentityRow)])


# --- Candidates --------------------------------------------------------------------------------------------------


async def test_a_victim_who_calls_again_is_proposed_with_the_reasons_and_the_cases(store: Store, clock: Clock) -> None:
    first = await a_case(store, clock, "1", **ANN, **PHONE)
    again = await a_case(store, clock, "2", victim_name="EXAMPLE, Ann", victim_dob="1991-04-30", **PHONE)
    (found,) = (await what_is_known(store, clock, again)).candidates
    assert isinstance(found, Candidate)
    assert (found.role, found.person_id, found.strength) == ("victim", "victim-1", "strong")
    assert found.kinds == ("name_dob", "phone", "part_dob", "name_year")
    (case,) = found.cases
    assert (case.id, case.reference, case.opened_at, case.state) == ("1", "R1", first.opened_at, "call_taking")


async def test_the_likeliest_candidate_comes_first_and_each_role_is_looked_for_apart(
    store: Store, clock: Clock
) -> None:
    await a_case(store, clock, "weak", victim_name="Ann Married", victim_dob="1991-04-30")
    await a_case(store, clock, "phone", **PHONE)
    await a_case(store, clock, "same", **ANN)
    await a_case(store, clock, "other", **BOB)
    await a_case(store, clock, "swapped", victim_name="Bob Example", victim_dob="1988-02-01")
    await a_case(store, clock, "nobody", victim_name="Cy Different", victim_dob="1970-01-01")
    case = await a_case(store, clock, "now", **ANN, **BOB, **PHONE)
    assert [(role, person) for role, person, _ in await candidates(store, clock, case)] == [
        ("suspect", "suspect-other"),
        ("victim", "victim-same"),
        ("victim", "victim-phone"),
        ("victim", "victim-weak"),
    ]


async def test_who_has_nothing_in_common_or_no_name_is_no_candidate(store: Store, clock: Clock) -> None:
    await a_case(store, clock, "1", **ANN)
    assert await candidates(store, clock, await a_case(store, clock, "2")) == []
    assert await candidates(store, clock, await a_case(store, clock, "3", victim_name="Ann Example")) == []
    assert await candidates(store, clock, await a_case(store, clock, "4", safe_number="+447700900999")) == []


async def test_a_case_made_void_proposes_nobody(store: Store, clock: Clock) -> None:
    await a_case(store, clock, "1", event(e.CaseVoided(reason="test"), "voided", clock), **PHONE)
    assert await candidates(store, clock, await a_case(store, clock, "2", **PHONE)) == []


async def test_no_more_are_proposed_than_somebody_looks_through(store: Store, clock: Clock) -> None:
    for number in range(MOST + 3):
        await a_case(store, clock, str(number), **PHONE)
    found = await candidates(store, clock, await a_case(store, clock, "now", **PHONE))
    assert len(found) == MOST
    assert found[0][1] == f"victim-{MOST + 2}", "of equals the newest"


async def test_once_confirmed_the_person_is_one_and_no_candidate_any_more(store: Store, clock: Clock) -> None:
    await a_case(store, clock, "1", **PHONE, **BOB)
    case = await a_case(store, clock, "2", **PHONE, **BOB)
    same = e.PersonMatched(role="victim", person="victim-1", by_keys=("phone",))
    other = e.PersonDiffers(role="suspect", person="suspect-1")
    await store.append(a_batch("c", case, event(same, "call_taking", clock), event(other, "call_taking", clock)))
    case = fold("2", await store.load("case/2"))
    assert await candidates(store, clock, case) == []
    third = await a_case(store, clock, "3", **PHONE)
    (found,) = (await what_is_known(store, clock, third)).candidates
    assert (found.person_id, [one.id for one in found.cases]) == ("victim-1", ["2", "1"])


async def test_two_open_cases_never_take_each_others_person(store: Store, clock: Clock) -> None:
    first = await a_case(store, clock, "1", **PHONE)
    second = await a_case(store, clock, "2", **PHONE)
    assert await candidates(store, clock, first) == []
    assert [person for _, person, _ in await candidates(store, clock, second)] == ["victim-1"]


async def test_a_corrected_name_is_found_and_the_wrong_one_no_longer(store: Store, clock: Clock) -> None:
    case = await a_case(store, clock, "1", victim_name="Anne Wrong", victim_dob="1990-01-01")
    corrected = e.DetailsRecorded(details={}, personal=ANN)
    await store.append(a_batch("c", case, event(corrected, "call_taking", clock)))
    right = await a_case(store, clock, "2", **ANN)
    assert [person for _, person, _ in await candidates(store, clock, right)] == ["victim-1"]
    wrong = await a_case(store, clock, "3", victim_name="Anne Wrong", victim_dob="1990-01-01")
    assert await candidates(store, clock, wrong) == []


# --- History -----------------------------------------------------------------------------------------------------


async def test_the_history_is_every_earlier_case_of_the_victim_or_the_suspect(store: Store, clock: Clock) -> None:
    await a_case(store, clock, "1")
    for number, match in (("2", ("victim", "victim-1")), ("3", ("suspect", "suspect-1")), ("4", ("victim", "x"))):
        fact = e.PersonMatched(role=match[0], person=match[1], by_keys=())
        marac = event(e.MaracReferred(criteria=()), "call_taking", clock)
        await a_case(store, clock, number, event(fact, "call_taking", clock), *([marac] if number == "2" else []))
    await a_case(store, clock, "void", event(e.CaseVoided(reason="test"), "voided", clock))

    async def ids(victim: str, suspect: str, before: str = "2027") -> list[str]:
        return [
            one.case for one in await store.look(lambda connection: history(connection, {victim}, {suspect}, before))
        ]

    assert await ids("victim-1", "suspect-1") == ["1", "2", "3"]
    found = await store.look(lambda connection: history(connection, {"victim-1"}, {"suspect-1"}, "2027"))
    assert [one.marac for one in found] == [False, True, False]
    assert await ids("victim-1", "nobody") == ["1", "2"]
    assert await ids("", "suspect-1") == ["1", "3"]
    assert await ids("victim-void", "suspect-void") == []
    assert await ids("", "") == []
    (past,) = await store.look(lambda connection: history(connection, {"x"}, {""}, "2027"))
    assert (past.case, past.reference, past.victim_id, past.suspect_id) == ("4", "R4", "x", "suspect-4")
    assert (past.risk_level, past.state) == ("", "call_taking")
    assert await ids("x", "", past.opened_at) == [], "a case is no earlier than itself"


# --- Civil orders ------------------------------------------------------------------------------------------------


async def orders(store: Store, clock: Clock, case: Case) -> list[Order]:
    return list((await what_is_known(store, clock, case)).orders)


async def test_a_live_order_is_found_by_either_person_and_says_how(store: Store, clock: Clock) -> None:
    await store.append(an_order("o1", clock, conditions="Not within 100 metres"))
    await store.append(an_order("o2", clock, victim_name="Cy Other", victim_dob="1970-01-01"))
    await store.append(an_order("o3", clock, suspect_name="Di Other", victim_name="Cy Other"))
    found = await orders(store, clock, await a_case(store, clock, "1", **ANN, **BOB))
    assert [one.id for one in found] == ["o1", "o2"], "who is bound and who is protected, before one of them"
    assert (found[0].kind, found[0].conditions) == ("non_molestation", "Not within 100 metres")
    assert found[0].found_by[:2] == (("suspect", "name_dob"), ("victim", "name_dob"))
    assert {role for role, _ in found[1].found_by} == {"suspect"}
    swapped = await a_case(store, clock, "2", victim_name="Bob Example", victim_dob="1988-02-01")
    assert await orders(store, clock, swapped) == []


async def test_an_order_is_shown_only_while_it_is_live(store: Store, clock: Clock) -> None:
    await store.append(an_order("past", clock, ends="2026-02-01T00:00:00.000000Z"))
    await store.append(an_order("future", clock, starts="2027-02-01T00:00:00.000000Z"))
    await store.append(an_order("live", clock, ends="2027-02-01T00:00:00.000000Z"))
    case = await a_case(store, clock, "1", **BOB)
    assert [one.id for one in await orders(store, clock, case)] == ["live"]
    order = fold_order("live", await store.load("order/live"))
    ended = e.OrderEnded(ends=iso(clock.at), because="discharged")
    await store.append(an_order("live", clock, ended, before=order))
    assert await orders(store, clock, case) == []
    (row,) = await store.read(lambda session: every(session, OrderRow, OrderRow.id == "live"))
    assert (row.version, row.ends, row.ended_because) == (2, iso(clock.at), "discharged")


# --- What an intruder, an erasure and a rebuild leave ------------------------------------------------------------

CANARIES = ("zqcanary", "Zqcanary", "900321", "1991-04-30", "1988-02-01")


@pytest.mark.files
async def test_no_name_number_or_date_of_birth_stands_in_the_index_or_beside_it(
    store: Store, place: Place, clock: Clock
) -> None:
    told = {"victim_name": "Zqcanary Ann", "safe_number": "+447700900321", "victim_dob": "1991-04-30"}
    told |= {"suspect_name": "Zqcanary Bob", "suspect_dob": "1988-02-01"}
    await a_case(store, clock, "1", **told)
    people = {key: value for key, value in told.items() if key != "safe_number"}
    await store.append(an_order("o1", clock, **people, victim_address="1 Zqcanary Street", conditions="zqcanary"))
    found = await store.write(in_clear)
    assert len(await identities(store)) == 17, "eight keys and the number of the case, eight keys of the order"
    assert found == []
    data = b"".join((place.data / name).read_bytes() for name in ("rvr.db", "rvr.db-wal"))
    assert [canary for canary in CANARIES if canary.encode() in data] == []


def in_clear(connection: Connection) -> list[tuple[str, str]]:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    return [
        (table, canary)
        for table in tables
        for row in connection.execute(f"SELECT * FROM {table}")  # noqa: S608
        for canary in CANARIES
        if canary in "|".join(v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in row)
    ]


async def test_equal_texts_of_another_role_or_kind_are_not_seen_to_be_equal(store: Store) -> None:
    keys = [IdentityKey(role, kind, "same") for role in ("victim", "suspect") for kind in ("name_dob", "part_dob")]
    digests = {store.sealer.digest(key) for key in keys}
    assert len(digests) == len(keys)
    assert {len(digest) for digest in digests} == {32}
    assert not digests & {store.fingerprint(b"same")}


async def test_an_erased_case_is_in_no_index_and_the_log_still_verifies(store: Store, clock: Clock) -> None:
    await a_case(store, clock, "1", **ANN, **PHONE)
    case = await a_case(store, clock, "2", **ANN, **PHONE)
    await store.append(an_order("o1", clock))
    await store.write(lambda connection: erase(connection, "case/1"))
    assert await candidates(store, clock, case) == []
    assert [one.id for one in await orders(store, clock, case)] == ["o1"]
    await store.write(lambda connection: erase(connection, "order/o1"))
    assert await orders(store, clock, case) == []
    assert {row["stream"] for row in await identities(store)} == {"case/2"}
    assert fold("1", await store.load("case/1")).personal == {}
    assert await store.verify() == []
    left = await identities(store)
    await store.rebuild()
    assert await identities(store) == left


async def test_the_index_can_be_made_again_even_where_one_seal_is_broken(
    store: Store, place: Place, clock: Clock
) -> None:
    await a_case(store, clock, "1", **ANN)
    await a_case(store, clock, "2", **ANN, **BOB, **PHONE)
    await store.append(an_order("o1", clock))
    whole = await identities(store)
    await store.write(lambda connection: connection.execute("DELETE FROM identity_row").rowcount)
    await store.rebuild()
    assert await identities(store) == whole
    place.tamper(partial(blank, table="event", column="sealed", where="stream = 'case/1'"))
    await store.rebuild()
    assert await identities(store) == [row for row in whole if row["stream"] != "case/1"]


@pytest.mark.files
async def test_what_changes_nobodys_name_writes_nothing_into_the_index(store: Store, clock: Clock) -> None:
    case = await a_case(store, clock, "1", **ANN)
    rows = "SELECT rowid FROM identity_row ORDER BY rowid"
    before = await store.write(lambda connection: connection.execute(rows).fetchall())
    await store.append(a_batch("c", case, event(e.HandoverOffered(note="calm"), "handover", clock)))
    assert await store.write(lambda connection: connection.execute(rows).fetchall()) == before


@pytest.mark.files
async def test_of_a_cases_row_only_what_changed_is_written(store: Store, clock: Clock) -> None:
    """Else each command would write every index of the row again: behind many cases a page of its own for each."""
    case = await a_case(store, clock, "1", **ANN)
    stays = "reference, session, session_open, victim_id, suspect_id"
    told = f"CREATE TRIGGER no BEFORE UPDATE OF {stays} ON case_row BEGIN SELECT raise(ABORT, 'written again'); END"
    await store.write(lambda connection: connection.execute(told))
    await store.append(a_batch("c", case, event(e.HandoverOffered(note="calm"), "handover", clock)))
    (row,) = await store.read(lambda s: every(s, CaseRow))
    assert (row.state, row.version) == ("handover", case.version + 1)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM identity_row WHERE digest IN (x'00', x'01')",
        "SELECT * FROM case_row WHERE victim_id IN ('a') OR suspect_id IN ('b')",
    ],
)
@pytest.mark.files
async def test_no_look_up_reads_a_whole_table(store: Store, query: str) -> None:
    plan = await store.write(lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall())
    assert not any("SCAN" in str(step) for step in plan), plan
