"""Accounts of staff: who may sign in, in which roles. Each is an event in the person's own stream and a row.

Demo accounts exist in demo mode only; their one password is printed at start, or fixed by RVR_DEMO_PASSWORD.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from functools import partial

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from rvr.core import events as e
from rvr.core.commands import THE_BOT, Actor, SetDuty
from rvr.desk import Desk
from rvr.store.log import Append, Batch, CommandSeen
from rvr.store.statements import put
from rvr.store.tables import AccountRow, every

DEMO: tuple[tuple[str, str, str], ...] = (
    ("handler", "Hana Call", "call_handler"),
    ("handler2", "Harvey Call", "call_handler"),
    ("sergeant", "Sam Sergeant", "sergeant"),
    ("sergeant2", "Sofia Sergeant", "sergeant"),
    ("inspector", "Isla Inspector", "inspector"),
    ("officer", "Olu Officer", "officer"),
    ("officer2", "Orla Officer", "officer"),
    ("resourcing", "Rae Resourcing", "resourcing"),
    ("advocate", "Ada Advocate", "advocate"),
    ("interpreter", "Ines Interpreter", "interpreter"),
    ("investigator", "Ivan Investigator", "investigator"),
    ("specialist", "Cass Specialist", "control_room_specialist"),
    ("evaluator", "Eva Evaluator", "evaluator"),
    ("auditor", "Aud Auditor", "auditor"),
    ("admin", "Ash Administrator", "administrator"),
)
"""User name, name as colleagues see it, role."""

DEMO_UNITS: Mapping[str, tuple[str, ...]] = {
    "investigator": (
        *("specialist", "ppu", "lpa-birmingham", "lpa-coventry", "lpa-dudley", "lpa-sandwell"),
        *("lpa-solihull", "lpa-walsall", "lpa-wolverhampton"),
    ),
    "advocate": ("bswa",),
}
"""The teams and partner organisations of some of them, by user name: one investigator stands for every team."""


async def register(
    desk: Desk, username: str, name: str, role: str, password_hash: str, units: tuple[str, ...] = ()
) -> AccountRow:
    """A new account; the same one where another desk on the database, or a start that was cut off, registers it too."""
    person = str(uuid.UUID(bytes=desk.store.fingerprint(f"person/{username}".encode())[:16], version=4))
    fact = e.PersonRegistered(roles=(role,), units=units, username=username, name=name)
    event = e.Event(fact, "", desk.observe(), THE_BOT.id, THE_BOT.id)
    with contextlib.suppress(CommandSeen):
        batch = Batch(f"register:{person}", THE_BOT.id, b"", (Append(f"person/{person}", 0, (event,)),))
        await desk.store.append(batch)
    row = AccountRow(
        id=person, username=username, name=name, roles=[role], password_hash=password_hash, units=list(units)
    )
    await desk.store.write(lambda connection: put(connection, row))
    return row


async def authenticate(desk: Desk, username: str, password: str) -> Actor | None:
    """Whoever this account is, if the password is right: for the terminal. The web counts the tries as well."""
    rows = await desk.store.read(lambda session: every(session, AccountRow, AccountRow.username == username))
    if not rows or rows[0].disabled:
        return None
    try:
        PasswordHasher().verify(rows[0].password_hash, password)
    except (VerificationError, InvalidHashError):
        return None
    return Actor(rows[0].id, frozenset(rows[0].roles), rows[0].name, frozenset(rows[0].units))


async def seed_demo(desk: Desk, password: str, hasher: PasswordHasher) -> None:
    """The demo accounts with this password; officers start on duty, so that the desk can be tried at once."""
    hashed = hasher.hash(password)
    rows = await desk.store.read(lambda session: {row.username: row for row in every(session, AccountRow)})
    for username, name, role in DEMO:
        row, units = rows.get(username), DEMO_UNITS.get(username, ())
        if row is None:
            row = await register(desk, username, name, role, hashed, units)
            if role == "officer":
                actor = Actor(row.id, frozenset({role}), name)
                await desk.handle(SetDuty(f"demo-duty:{row.id}", row.id, "on"), actor)
        else:
            renewed = AccountRow(**{**row.model_dump(), "password_hash": hashed, "units": list(units)})
            await desk.store.write(partial(put, row=renewed))


async def forbid_demo(desk: Desk) -> list[str]:
    """User names of demo accounts that could sign in: live mode refuses to start while there are any."""
    demo = {username for username, _, _ in DEMO}
    rows = await desk.store.read(lambda session: every(session, AccountRow))
    return sorted(row.username for row in rows if row.username in demo and not row.disabled)
