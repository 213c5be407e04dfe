"""Accounts of staff: who may sign in, in which roles. Each is an event in the person's own stream and a row.

Demo accounts exist in demo mode only; their one password is printed at start, or fixed by RVR_DEMO_PASSWORD.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from rvr import second_factor
from rvr.core import events as e
from rvr.core.commands import THE_BOT, Actor, SetDuty
from rvr.core.errors import Reason, Stale
from rvr.desk import TRIES, Desk
from rvr.store import Passkeys
from rvr.store.engine import Connection
from rvr.store.log import Append, Batch, CommandSeen, Conflict
from rvr.store.sealing import seal_row, unseal_row
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


HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""argon2id with 19 MiB and two passes (OWASP password storage cheat sheet): 27 ms here."""


async def register(
    desk: Desk,
    username: str,
    name: str,
    roles: tuple[str, ...],
    password_hash: str,
    units: tuple[str, ...] = (),
    *,
    by: str = THE_BOT.id,
    provider_key: str = "",
    person: str = "",
) -> AccountRow:
    """A new account; the same one where another desk on the database, or a start that was cut off, registers it too.

    `person`: the id; without one it is a keyed fingerprint of the provider's key, or of the user name.
    """
    known_by = f"provider/{provider_key}" if provider_key else f"person/{username}"
    person = person or str(uuid.UUID(bytes=desk.store.fingerprint(known_by.encode())[:16], version=4))
    fact = e.PersonRegistered(roles=roles, units=units, username=username, name=name)
    event = e.Event(fact, "", desk.observe(), by, THE_BOT.id)
    with contextlib.suppress(CommandSeen):
        batch = Batch(f"register:{person}", THE_BOT.id, b"", (Append(f"person/{person}", 0, (event,)),))
        await desk.store.append(batch)
    row = AccountRow(
        id=person,
        username=username,
        name=name,
        roles=list(roles),
        password_hash=password_hash,
        units=list(units),
        provider_key=provider_key,
    )
    await desk.store.write(lambda connection: put(connection, row))
    return row


ENDS_SIGN_INS = frozenset({"password", "second_factor", "disabled", "sign_ins_ended"})
"""Changes of an account that end every sign-in, open feeds and seats in calls with them."""

RECOVERS = frozenset({"password", "second_factor"})
"""Changes that give the account back to its owner: whoever had it meanwhile keeps no passkey to it."""


async def change(
    desk: Desk,
    person: str,
    fact: e.AccountChanged,
    *,
    by: str,
    by_role: str = THE_BOT.id,
    passkeys: Passkeys | None = None,
    **values: Any,
) -> None:
    """Changes columns of the account's row, or its passkeys, and says so in the person's stream: all or nothing.
    Raises PasskeyTaken for a new passkey whose id somebody has, Stale where others change the account again and again.
    """
    stream, command_id = f"person/{person}", desk.new_id()
    event = e.Event(fact, "", desk.observe(), by, by_role)
    for _ in range(TRIES):
        batch = Batch(
            command_id,
            by,
            b"",
            (Append(stream, len(await desk.store.load(stream)), (event,)),),
            accounts=({"id": person, **values},) if values else (),
            signs_out=(person,) if fact.what in ENDS_SIGN_INS else (),
            passkeys=Passkeys(all_of=(person,)) if fact.what in RECOVERS else passkeys or Passkeys(),
        )
        try:
            await desk.store.append(batch)
        except Conflict:  # somebody else's change came in between
            continue
        return await desk.catch_up()
    raise Stale(Reason("busy"))


def left_with(recorded: Iterable[e.Recorded]) -> list[Actor]:
    """Those whose rights these events changed, with what was left: no role where they ended every sign-in."""
    left = []
    for one in recorded:
        person, fact = one.stream.partition("/")[2], one.event.fact
        if isinstance(fact, e.AccountChanged) and fact.what in ENDS_SIGN_INS:
            left.append(Actor(person, frozenset()))
        elif isinstance(fact, e.AccountChanged) and fact.what == "roles":
            left.append(Actor(person, frozenset(fact.roles), units=frozenset(fact.units)))
    return left


async def sealed_factor(desk: Desk, person: str, secret: str) -> dict[str, Any]:
    """The columns of the account that hold this secret of a second factor."""

    def seal(connection: Connection) -> dict[str, Any]:
        key = desk.store.sealer.key_for(connection, f"account/{person}")
        return {"factor_key": key.id, "factor": seal_row(key, "account", person, "factor", secret)}

    return await desk.store.write(seal)


def factor_of(desk: Desk, row: AccountRow) -> Callable[[Connection], str]:
    """Reads the secret of the account's second factor on a connection."""

    def read(connection: Connection) -> str:
        key = desk.store.sealer.keys_of(connection, [row.factor_key]).get(row.factor_key)
        return str(unseal_row(key, "account", row.id, "factor", row.factor) or "")

    return read


async def use_step(desk: Desk, row: AccountRow, step: int) -> bool:
    """Notes that this step of the second factor was used; False when somebody else was quicker with it."""
    used = "UPDATE account SET factor_step = :step WHERE id = :id AND factor_step < :step RETURNING id"
    told = {"id": row.id, "step": step}
    return await desk.store.write(lambda connection: connection.execute(used, told).fetchone() is not None)


async def second(desk: Desk, row: AccountRow, digits: str) -> bool:
    """Whether these digits are of the account's second factor, and of a step that was not used."""
    secret = await desk.store.look(factor_of(desk, row))
    step = second_factor.step_of(secret, digits.replace(" ", ""), desk.observe().at, row.factor_step)
    return step is not None and await use_step(desk, row, step)


async def authenticate(desk: Desk, username: str, password: str, code: Callable[[], str]) -> Actor | None:
    """Whoever this account is, if the password is right, and the `code` where the account has a second factor: for the
    terminal. The web counts the tries as well.
    """
    rows = await desk.store.read(lambda session: every(session, AccountRow, AccountRow.username == username))
    if not rows or rows[0].disabled:
        return None
    try:
        HASHER.verify(rows[0].password_hash, password)
    except (VerificationError, InvalidHashError):
        return None
    if rows[0].factor and not await second(desk, rows[0], code()):
        return None
    return Actor(rows[0].id, frozenset(rows[0].roles), rows[0].name, frozenset(rows[0].units))


async def seed_demo(desk: Desk, password: str, hasher: PasswordHasher = HASHER) -> None:
    """The demo accounts with this password; officers start on duty, so that the desk can be tried at once."""
    hashed = hasher.hash(password)
    rows = await desk.store.read(lambda session: {row.username: row for row in every(session, AccountRow)})
    for username, name, role in DEMO:
        row, units = rows.get(username), DEMO_UNITS.get(username, ())
        if row is None:
            row = await register(desk, username, name, (role,), hashed, units)
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
