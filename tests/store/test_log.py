"""The log: what is appended comes back, once, in order, and races have one winner."""

from __future__ import annotations

import asyncio
import dataclasses

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from rvr.core import events as e
from rvr.core.case import Case, fold
from rvr.core.roster import Officer
from rvr.store import (
    Append,
    Batch,
    CommandSeen,
    Conflict,
    Delivery,
    LinkRow,
    Message,
    ReferenceTaken,
    Store,
    messages,
)
from rvr.store.access import Signin, looked
from rvr.store.projections import MADE_AS
from rvr.store.sqlite import dbapi
from rvr.store.tables import CaseRow, ClockRow, MessageRow, OfficerRow, SettingRow, every
from tests.store.builders import Clock, Place, a_batch, a_duty, event, opened, started, stopped


async def test_an_event_comes_back_as_it_was_decided(store: Store, clock: Clock) -> None:
    full = dataclasses.replace(
        opened(clock, name="Änne O'Hara", phone="+44 7700 900123", children=("Bo", "Cy")),
        stated_at="2026-11-22T21:10:00.000000Z",
        stated_source="dispatch",
        basis={"position": 3, "officers": ["o1"]},
    )
    recorded = await store.append(a_batch("c1", Case("1"), full))
    clock.pass_by(seconds=2)
    (read,) = await store.load("case/1")
    assert read.event.fact == dataclasses.replace(
        full.fact, personal={"name": "Änne O'Hara", "phone": "+44 7700 900123", "children": ["Bo", "Cy"]}
    )
    assert dataclasses.replace(read.event, fact=full.fact) == full
    assert dataclasses.replace(read, event=full) == recorded[0]
    assert (read.version, read.position, read.force, read.command_id) == (1, 1, "wmp", "c1")


async def test_every_type_of_fact_that_the_desk_knows_can_be_stored(store: Store, clock: Clock) -> None:
    """Each with an example value for every field."""
    examples = {"str": "x", "int": 1, "bool": True, "tuple[str, ...]": ("a", "b")}
    facts = [
        kind(**{f.name: examples.get(str(f.type), {"a": "b"}) for f in dataclasses.fields(kind)})
        for kind in e.FACTS.values()
    ]
    await store.append(Batch("c1", "p", b"", (Append("trial/1", 0, tuple(event(fact, "s", clock) for fact in facts)),)))
    assert [recorded.event.fact for recorded in await store.load("trial/1")] == facts


async def test_a_stream_can_be_read_behind_a_version(store: Store, clock: Clock) -> None:
    await store.append(a_batch("c1", Case("1"), *(opened(clock) for _ in range(5))))
    assert [recorded.version for recorded in await store.load("case/1", after=3)] == [4, 5]
    assert await store.load("case/none") == []


async def test_the_feed_gives_all_streams_in_the_order_of_their_commits(store: Store, clock: Clock) -> None:
    assert await store.position() == 0
    for number in range(4):
        await store.append(a_batch(f"c{number}", Case(str(number)), opened(clock, f"R{number}", name="Ann")))
    assert await store.position() == 4
    feed = await store.events_after(1, limit=2)
    assert [(recorded.position, recorded.stream) for recorded in feed] == [(2, "case/1"), (3, "case/2")]
    assert isinstance(feed[0].event.fact, e.CaseOpened)
    assert feed[0].event.fact.personal == {}, "what changed is told, and not whose it is"


async def test_an_export_reads_each_case_whole_without_its_sealed_part(store: Store, clock: Clock) -> None:
    for number in range(7):
        await store.append(a_batch(f"c{number}", Case(f"{9 - number}"), opened(clock, f"R{number}", name="Ann")))
    after = dataclasses.replace(Case("9"), version=1)
    await store.append(a_batch("late", after, event(e.HandoverAccepted(), "accepted", clock)))
    until = await store.position()
    await store.append(a_batch("too late", Case("x"), opened(clock, "X")))
    found = await asyncio.to_thread(lambda: list(store.iterate(until=until, chunk=2)))
    assert [(r.stream, r.version) for r in found] == [("case/9", 1), ("case/9", 2)] + [
        (f"case/{n}", 1) for n in range(8, 2, -1)
    ]
    assert all(r.event.fact.personal == {} for r in found if isinstance(r.event.fact, e.CaseOpened))


async def test_of_64_commands_on_the_same_version_one_wins(store: Store, clock: Clock) -> None:
    batches = [a_batch(f"c{number}", Case("1"), opened(clock)) for number in range(64)]
    answers = await asyncio.gather(*(store.append(batch) for batch in batches), return_exceptions=True)
    conflicts = [answer for answer in answers if isinstance(answer, Conflict)]
    assert len(conflicts) == 63
    assert {(c.stream, c.expected, c.actual) for c in conflicts} == {("case/1", 0, 1)}
    assert len(await store.load("case/1")) == 1


async def test_the_same_command_64_times_has_one_effect(store: Store, clock: Clock) -> None:
    batch = a_batch("c1", Case("1"), opened(clock))
    answers = await asyncio.gather(*(store.append(batch) for _ in range(64)), return_exceptions=True)
    seen = [answer for answer in answers if isinstance(answer, CommandSeen)]
    assert len(seen) == 63
    assert all(s.result == {"case": "1", "version": 1} and s.body_hash == batch.body_hash for s in seen)
    assert await store.position() == 1
    known = await store.command("person-1", "c1")
    assert known is not None
    assert known.result == {"case": "1", "version": 1}
    assert await store.command("person-2", "c1") is None


async def test_a_command_id_belongs_to_its_person(store: Store, clock: Clock) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock, "R1")))
    await store.append(a_batch("c1", Case("2"), opened(clock, "R2"), person="person-2"))
    assert await store.position() == 2


async def test_a_reference_that_another_case_has_is_refused_whole(store: Store, clock: Clock) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock, "SAME")))
    with pytest.raises(ReferenceTaken):
        await store.append(a_batch("c2", Case("2"), opened(clock, "SAME")))
    assert await store.load("case/2") == []
    assert await store.verify() == []


async def test_two_sergeants_cannot_take_the_last_officer_twice(store: Store, clock: Clock) -> None:
    """A command that fails on its second stream leaves nothing in the first."""
    await store.append(a_duty("duty", Officer("o1"), e.OfficerDutyChanged(status="on"), clock=clock))
    engage = Append("officer/o1", 1, (event(e.OfficerEngaged(case="x"), "", clock),))
    batches = [
        dataclasses.replace(one, appends=(*one.appends, engage))
        for one in (a_batch(f"c{n}", Case(str(n)), opened(clock, f"R{n}", name="Ann")) for n in range(2))
    ]
    answers = await asyncio.gather(*(store.append(batch) for batch in batches), return_exceptions=True)
    assert [type(answer) for answer in answers] == [list, Conflict]
    assert await store.load("case/1") == []
    assert [row.id for row in await store.read(lambda s: every(s, CaseRow))] == ["0"]
    keys = await store.write(lambda c: c.execute("SELECT scope FROM data_key").fetchall())
    assert keys == [("case/0",)]
    assert await store.verify() == []


async def test_the_row_of_a_case_says_what_the_case_says(store: Store, clock: Clock) -> None:
    first = opened(clock, name="Ann")
    session = event(
        e.SessionPrepared(session="room-1", victim_seat="seat-v", officer_seat="seat-o"), "waiting_room", clock
    )
    await store.append(a_batch("c1", Case("1"), first, session))
    (row,) = await store.read(lambda s: every(s, CaseRow))
    assert (row.state, row.version, row.reference, row.lpa, row.channel) == (
        "waiting_room",
        2,
        "K7QX",
        "coventry",
        "999",
    )
    assert (row.session, row.victim_seat, row.officer_seat, row.session_open) == ("room-1", "seat-v", "seat-o", True)
    assert row.updated_position == 2
    assert row.clocks == [
        {
            "clock": "handover",
            "run": 1,
            "started_at": "2026-11-22T21:18:04.118221Z",
            "target_s": 600,
            "due": [[300, "2026-11-22T21:23:04.118221Z"], [600, "2026-11-22T21:28:04.118221Z"]],
            "ends_at": "",
            "paused": False,
        }
    ]


async def test_the_due_clocks_are_those_that_still_run_and_have_not_fired(store: Store, clock: Clock) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock)))
    rows = await store.read(lambda s: every(s, ClockRow))
    assert [(row.clock, row.after_s, row.due_at) for row in rows] == [
        ("handover", 300, "2026-11-22T21:23:04.118221Z"),
        ("handover", 600, "2026-11-22T21:28:04.118221Z"),
    ]
    case = fold("1", await store.load("case/1"))
    fired = e.ClockRanOut(clock="handover", run=1, after_s=300, due_at=rows[0].due_at, late_us=5)
    await store.append(a_batch("c2", case, event(fired, "handover", clock)))
    assert [row.after_s for row in await store.read(lambda s: every(s, ClockRow))] == [600]
    case = fold("1", await store.load("case/1"))
    change = (stopped("handover", clock), started("review", clock))
    await store.append(a_batch("c3", case, event(e.HandoverAccepted(), "accepted", clock, clocks=change)))
    assert {row.clock for row in await store.read(lambda s: every(s, ClockRow))} == {"review"}


async def test_a_link_is_written_with_its_event_and_again_when_it_is_bound(store: Store, clock: Clock) -> None:
    link = LinkRow(id="l1", case_id="1", seat="seat-v", token_hash="ab" * 32, expires_at="2026-11-22T22:00:00.000000Z")
    await store.append(dataclasses.replace(a_batch("c1", Case("1"), opened(clock)), links=(link,)))
    bound = LinkRow(**link.model_dump() | {"browser_hash": "cd" * 32, "bound_at": "2026-11-22T21:19:00.000000Z"})
    case = fold("1", await store.load("case/1"))
    opening = event(e.LinkOpened(link="l1"), "waiting_room", clock)
    await store.append(dataclasses.replace(a_batch("c2", case, opening), links=(bound,)))
    assert [row.model_dump() for row in await store.read(lambda s: every(s, LinkRow))] == [bound.model_dump()]


async def test_a_message_waits_in_the_outbox_until_it_is_sent(store: Store, clock: Clock) -> None:
    message = Message("m1", "1", "sms", "+447700900123", "Join: https://example.test/j#secret")
    await store.append(dataclasses.replace(a_batch("c1", Case("1"), opened(clock)), messages=(message,)))
    now = "2026-11-22T21:18:05.000000Z"
    later = "2026-11-22T21:18:35.000000Z"
    soon = "2026-11-22T21:18:15.000000Z"

    async def taken(at: str) -> list[Delivery]:
        return await store.write(lambda c: messages.take(c, store.sealer, at, soon))

    assert await store.read(lambda s: messages.due(s, now))
    (waiting,) = await taken(now)
    assert (waiting.message, waiting.status, waiting.attempts) == (message, "queued", 0)
    assert not await store.read(lambda s: messages.due(s, now))
    assert await taken(now) == [], "it is in another sender's hands"
    assert len(await taken(soon)) == 1, "who was killed with it"
    await store.write(lambda c: messages.attempted(c, "m1", status="queued", next_at=later))
    assert len(await taken(later)) == 1
    await store.write(lambda c: messages.attempted(c, "m1", status="sent", sent_at=later))
    assert not await store.read(lambda s: messages.due(s, "2027"))
    (sent,) = await store.read(lambda s: messages.latest(s, store.sealer))
    assert (sent.status, sent.attempts, sent.sent_at, sent.message.body) == ("sent", 2, later, message.body)
    (row,) = await store.read(lambda s: every(s, MessageRow))
    assert b"secret" not in row.sealed


async def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"):
        await store.read(lambda s: s.execute(text("INSERT INTO setting VALUES ('a', 'b')")))


async def test_a_second_start_changes_nothing(store: Store, place: Place, clock: Clock) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock)))
    await store.close()
    clock.pass_by(days=1)
    again = place.store(clock)
    await again.start()
    settings = {row.key: row.value for row in await again.read(lambda s: every(s, SettingRow))}
    log = settings.pop("log")
    assert log == store.notary.name
    assert settings.pop("opens") == store.fingerprint(b"store").hex()
    assert settings == {"created_at": "2026-11-22T21:18:04.118221Z", "envelope": "1", "rows": MADE_AS}
    assert [recorded.event.type for recorded in await again.load("case/1")] == ["CaseOpened"]
    await again.close()


async def test_the_read_rows_can_be_made_again_from_the_log(store: Store, clock: Clock) -> None:
    def rows() -> object:
        return store.read(
            lambda s: [[row.model_dump() for row in every(s, kind)] for kind in (CaseRow, ClockRow, OfficerRow)]
        )

    for number in range(3):
        offered = event(e.HandoverOffered(note="quiet voice"), "handover", clock, clocks=(started("review", clock),))
        await store.append(a_batch(f"c{number}", Case(str(number)), opened(clock, f"R{number}", name="Ann"), offered))
    duty = (e.OfficerDutyChanged(status="on"), e.OfficerEngaged(case="1"))
    await store.append(a_duty("d1", Officer("o1"), *duty, clock=clock))
    live = await rows()
    await store.write(lambda c: c.execute("UPDATE case_row SET state = 'closed', officer = 'nobody'").rowcount)
    await store.write(lambda c: c.execute("DELETE FROM clock_row").rowcount)
    assert await rows() != live
    await store.rebuild()
    assert await rows() == live


@pytest.mark.parametrize("verb", ["UPDATE {} SET hash = hash", "DELETE FROM {}", "over"])
@pytest.mark.parametrize("table", ["event", "access"])
async def test_the_logs_can_only_grow(store: Store, place: Place, clock: Clock, verb: str, table: str) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock)))
    await store.write(lambda c: looked(c, Signin("s", "p", "officer"), "1", "details", clock.at))
    if verb == "over":
        verb = "TRUNCATE {}" if place.url else "INSERT OR REPLACE INTO {0} SELECT * FROM {0}"
    with pytest.raises((dbapi.IntegrityError, psycopg.IntegrityError), match="append-only"):
        await store.write(lambda c: c.execute(verb.format(table)))
