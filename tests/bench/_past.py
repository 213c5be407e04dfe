"""A desk's past: closed cases of many different people, written through the store's own functions, in bulk.

Each is opened and closed; its command row, its own row and its index of people are what the desk would have written,
and its definition is the one that new cases run under.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random

from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.moment import Moment, iso
from rvr.store import Append, Batch, Store, log
from rvr.store.engine import Connection
from tests.builders import da_desk

A_JOB = 25_000
"""Cases in one commit: blind indexes come in no order, and what one commit changes of a page is written once."""

FIRST, EVERY = datetime(2016, 1, 1, tzinfo=UTC), timedelta(minutes=5)
"""A million cases, five minutes apart, are nine and a half years."""

CACHE_KIB = 2_000_000
"""Of the connection that fills: all pages of the indexes stay in memory."""

_PARTS = [a + b + c for a, b, c in itertools.product("bcdfghjklmnprstvw", "aeiou", ("la", "ren", "tis", "mo", "nd"))]
"""425 parts, so that of a million two-part names about six people share each, and their dates of birth differ."""


def people(dice: Random) -> dict[str, str]:
    """A victim and a suspect whom nobody has seen before, and a number that a thousand share."""
    names = [" ".join(dice.choices(_PARTS, k=2)).title() for _ in range(2)]
    born = [f"{dice.randint(1940, 2007)}-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}" for _ in range(2)]
    told = dict(zip(("victim_name", "suspect_name", "victim_dob", "suspect_dob"), names + born, strict=True))
    return told | {"address": f"{dice.randint(1, 200)} Example Street"}


def a_case(number: int, dice: Random, definition: str) -> Batch:
    """One of them."""
    at = Moment(FIRST + number * EVERY, "boot-of-then", 1 + number, 3100)
    opened = e.CaseOpened(
        workflow="da-desk",
        reference=f"P{number:07}",
        details={"lpa": "coventry", "source": "999"},
        personal=people(dice),
        victim_id=_uuid(dice),
        suspect_id=_uuid(dice),
        suspect_named=True,
    )
    case = Case(_uuid(dice))
    told = ((opened, "call_taking", "call_handler"), (e.CaseClosed(), "closed", "investigator"))
    events = tuple(e.Event(fact, state, at, role, role, definition) for fact, state, role in told)
    for event in events:
        case = apply(case, event)
    return Batch(
        f"past-{number:07}",
        "past",
        bytes(32),
        (Append(f"case/{case.id}", 0, events),),
        cases=(case,),
        result={"case": case.id, "version": case.version},
    )


def _uuid(dice: Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


async def fill(store: Store, cases: int, seed: int = 1) -> AsyncIterator[int]:
    """Writes them, a commit after the other; how many there are so far."""
    dice, definition = Random(seed), da_desk().hash
    await store.write(lambda connection: connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}").fetchall())
    for start in range(0, cases, A_JOB):
        numbers = range(start, min(start + A_JOB, cases))

        def job(connection: Connection, numbers: range = numbers) -> None:
            for number in numbers:
                batch = a_case(number, dice, definition)
                log.append(connection, store.sealer, batch, "wmp", iso(FIRST + number * EVERY))

        await store.write(job)
        yield numbers.stop
