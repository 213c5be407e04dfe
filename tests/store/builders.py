"""Builders for what a desk would append, a clock that stands still, and the place of a store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.moment import Moment, iso
from rvr.core.orders import Order, apply_order
from rvr.core.roster import Officer, apply_officer
from rvr.store import Append, Batch, Store, place
from rvr.store.access import Access, Signin

START = datetime(2026, 11, 22, 21, 18, 4, 118221, tzinfo=UTC)
BOOT = "0c5a2b7e-1111-4222-8333-444455556666"


class Clock:
    """The universe's clock: stands until it is moved."""

    def __init__(self) -> None:
        self.at = START
        self.boot, self.booted = BOOT, START - timedelta(seconds=1)
        self.set_by = timedelta(0)
        """By how much the wall clock of the machine differs from that."""
        self.error_us: int | None = 3100

    def __call__(self) -> Moment:
        passed_us = (self.at - self.booted) // timedelta(microseconds=1)
        return Moment(self.at + self.set_by, self.boot, passed_us * 1000, self.error_us)

    def step(self, **time: float) -> None:
        """Somebody sets the wall clock; no time passes."""
        self.set_by += timedelta(**time)

    def restart(self) -> None:
        """The machine boots again: its second clock begins anew."""
        self.boot, self.booted = f"boot-{self.at.isoformat()}", self.at

    def pass_by(self, **time: float) -> None:
        self.at += timedelta(**time)


class Place(place.Place):
    """Where a store lies, with what tests do there."""

    def store(self, clock: Clock) -> Store:
        return Store(self, force="wmp", observe=clock)

    def connection(self) -> Any:
        """A writing connection of the test's own."""
        return self.database(self.keys()).connect(write=True)

    @property
    def arguments(self) -> list[str]:
        """As a child process is told it; `Place.told` reads it."""
        return [str(self.data), str(self.key_file), self.url]

    @classmethod
    def told(cls, data: str, key_file: str, url: str) -> Place:
        return cls(Path(data), Path(key_file), url)

    def tamper(self, script: str | Callable[[Any], None]) -> None:
        """Changes rows as an insider with the database's own rights would, who first takes the triggers off."""
        connection = self.connection()
        for table in ("event", "access", "checkpoint", "anchor"):
            if self.url:
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            else:
                connection.executescript(f"DROP TRIGGER {table}_no_update; DROP TRIGGER {table}_no_delete;")
        if callable(script):
            script(connection)
        else:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.close()


def number_given(connection: Any, table: str, number: int) -> None:
    """Forges the highest number that the table ever gave."""
    known = ("given", "last") if isinstance(connection, psycopg.Connection) else ("sqlite_sequence", "seq")
    told = {"number": number, "table": table}
    connection.execute(f"UPDATE {known[0]} SET {known[1]} = :number WHERE name = :table", told)  # noqa: S608


def blank(connection: Any, table: str, column: str, where: str) -> None:
    """Puts zeros in the place of the bytes of a column."""
    rows = connection.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchall()  # noqa: S608
    zeros = {"zeros": bytes(len(rows[0][0]))}
    connection.execute(f"UPDATE {table} SET {column} = :zeros WHERE {where}", zeros)  # noqa: S608


def edit_public(connection: Any, position: int) -> None:
    """Another state in an event's public part."""
    where = {"position": position}
    (public,) = connection.execute("SELECT public FROM event WHERE position = :position", where).fetchone()
    edited = {"public": public.replace(b"handover", b"video"), **where}
    connection.execute("UPDATE event SET public = :public WHERE position = :position", edited)


def event(fact: e.Fact, state: str, clock: Clock, **more: Any) -> e.Event:
    """A decided fact, by the call handler unless told otherwise."""
    told: dict[str, Any] = {"by": "person-1", "by_role": "call_handler", "definition": "d" * 64, **more}
    return e.Event(fact, state, clock(), **told)


def opened(clock: Clock, reference: str = "K7QX", **personal: Any) -> e.Event:
    """The opening of a case, which starts the clock `handover` with two thresholds."""
    fact = e.CaseOpened(
        workflow="da-desk",
        reference=reference,
        details={"lpa": "coventry", "source": "999"},
        personal=personal,
        victim_id="victim-1",
        suspect_id="suspect-1",
    )
    return event(fact, "call_taking", clock, clocks=(started("handover", clock),))


def started(name: str, clock: Clock, run: int = 1) -> e.ClockChange:
    due = tuple((after_s, iso(clock.at + timedelta(seconds=after_s))) for after_s in (300, 600))
    return e.ClockChange(name, run, "started", iso(clock.at), 600, due)


def stopped(name: str, clock: Clock, run: int = 1) -> e.ClockChange:
    return e.ClockChange(name, run, "stopped", iso(clock.at), 600, elapsed_us=60_000_000, verdict="met")


def a_batch(command_id: str, case: Case, *events: e.Event, **more: Any) -> Batch:
    """These events behind `case`, with the case that comes of them."""
    after = case
    for one in events:
        after = apply(after, one)
    told = {"person": "person-1", "body_hash": hashlib.sha256(command_id.encode()).digest(), **more}
    return Batch(
        command_id,
        appends=(Append(f"case/{case.id}", case.version, events),),
        cases=(after,),
        result={"case": case.id, "version": after.version},
        **told,
    )


def a_duty(command_id: str, officer: Officer, *facts: e.Fact, clock: Clock) -> Batch:
    """These facts behind `officer`."""
    events = tuple(event(fact, "", clock) for fact in facts)
    after = officer
    for one in events:
        after = apply_officer(after, one)
    part = Append(f"officer/{officer.id}", officer.version, events)
    return Batch(command_id, "person-1", b"", (part,), officers=(after,))


def an_order(order_id: str, clock: Clock, *more: e.Fact, before: Order | None = None, **told: Any) -> Batch:
    """A live order against Bob Example that protects Ann Example, or what these facts make of one."""
    known = {"kind": "non_molestation", "starts": "2026-01-01T00:00:00.000000Z", "lpa": "coventry"}
    people = {"suspect_name": "Bob Example", "suspect_dob": "1988-02-01"}
    people |= {"victim_name": "Ann Example", "victim_dob": "1991-04-30"}
    facts = more or (e.OrderImported(**{**known, **people, **told}),)
    events = tuple(event(fact, "", clock) for fact in facts)
    order = after = before or Order(order_id)
    for one in events:
        after = apply_order(after, one)
    part = Append(f"order/{order_id}", order.version, events)
    return Batch(f"{order_id}-{after.version}", "importer", b"", (part,), orders=(after,))


def a_note(clock: Clock, what: str = "keys.rotate") -> Access:
    """An operator's row in the access log."""
    return Access(Signin("terminal", "terminal:test", "terminal"), "alteration", what, clock.at)
