"""Builders for what a desk would append, a clock that stands still, and the place of a store."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.moment import Moment, iso
from rvr.core.orders import Order, apply_order
from rvr.core.roster import Officer, apply_officer
from rvr.store import Append, Batch, Store
from rvr.store import keys as key_file
from rvr.store.access import Access, Signin
from rvr.store.engine import Connection, connect

START = datetime(2026, 11, 22, 21, 18, 4, 118221, tzinfo=UTC)
BOOT = "0c5a2b7e-1111-4222-8333-444455556666"


class Clock:
    """The universe's clock: stands until it is moved."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> Moment:
        passed = self.at - START
        return Moment(self.at, BOOT, 1_000_000_000 + int(passed / timedelta(microseconds=1)) * 1000, 3100)

    def pass_by(self, **time: float) -> None:
        self.at += timedelta(**time)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a store lies."""

    data: Path
    key_file: Path

    def store(self, clock: Clock) -> Store:
        return Store(self.data, self.key_file, force="wmp", observe=clock)

    def connection(self) -> Connection:
        """A writing connection of the test's own."""
        found = key_file.load(self.key_file, data=self.data, database_exists=True)
        return connect(self.data / "rvr.db", found.database, write=True)


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
