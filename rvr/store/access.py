"""The access log: who looked at what, changed it, passed it on or erased it (DPA 2018 s.62). Never used for research.

One chained stream of its own. `what` and `reason` are codes or ids, never the words that were searched for. A row is
committed before the bytes that it stands for leave.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from rvr.core.moment import iso
from rvr.store.engine import Connection
from rvr.store.ledger import GENESIS, Fault, canonical

AGAIN_AFTER = timedelta(minutes=15)
"""A look that lasts is written again after this long (ICO, logging under Part 3: not each screen refresh)."""

CATEGORIES = frozenset({"collection", "alteration", "consultation", "disclosure", "combination", "erasure"})
"""The six kinds of processing that s.62(1) names."""

_PREFIX = b"\x14"
_FIELDS = ("at", "person", "role", "category", "case_id", "what", "reason", "recipient", "signin")
_COLUMNS = ("seq", *_FIELDS, "salt", "previous", "hash")
_INSERT = f"INSERT INTO access ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + name for name in _COLUMNS)})"  # noqa: S608
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM access ORDER BY seq"  # noqa: S608 (names from the line above)


@dataclass(frozen=True, slots=True)
class Signin:
    """Who looks."""

    id: str
    """First 16 hex digits of the hash of the sign-in's token: it finds the sign-in again and opens nothing."""
    person: str
    role: str


@dataclass(frozen=True, slots=True)
class Access:
    """One entry."""

    signin: Signin
    category: str
    what: str
    """Class of fields (`details`, `risk`, ...), or the export, search or route."""
    at: datetime
    case_id: str | None = None
    reason: str = ""
    recipient: str = ""
    """To whom it was disclosed: an organisation or a role."""


def record(connection: Connection, access: Access) -> None:
    """Appends the entry. Raises ValueError for a category that s.62 does not have."""
    if access.category not in CATEGORIES:
        raise ValueError(f"{access.category!r} is no category of access")
    seq, previous = connection.execute("SELECT seq, hash FROM access ORDER BY seq DESC LIMIT 1").fetchone() or (
        0,
        GENESIS,
    )
    row = _fields(access) | {"seq": seq + 1, "salt": os.urandom(16), "previous": previous}
    row["hash"] = chain(row)
    connection.execute(_INSERT, row)


def looked(connection: Connection, signin: Signin, case_id: str, field_class: str, at: datetime) -> bool:
    """A class of a case's fields is on a screen: one row at first display and again after fifteen minutes.

    True when a row was written.
    """
    known = connection.execute(
        "SELECT 1 FROM access WHERE signin = :signin AND case_id = :case_id AND what = :what AND at > :since LIMIT 1",
        {"signin": signin.id, "case_id": case_id, "what": field_class, "since": iso(at - AGAIN_AFTER)},
    ).fetchone()
    if known:
        return False
    record(connection, Access(signin, "consultation", field_class, at, case_id))
    return True


def chain(row: dict[str, Any]) -> bytes:
    """SHA256(0x14 ‖ salt ‖ previous ‖ canonical JSON of seq and fields)."""
    told = {name: row[name] for name in ("seq", *_FIELDS)}
    return sha256(_PREFIX + row["salt"] + row["previous"] + canonical(told)).digest()


def _told(row: dict[str, Any]) -> bytes:
    """The hash that these values come to; none for values of another kind than were written."""
    try:
        return chain(row)
    except TypeError:
        return b""


def verify(connection: Connection) -> list[Fault]:
    """Every fault of the access log; a cut tail shows in the numbers that were given."""
    faults: list[Fault] = []
    seq, previous = 0, GENESIS
    for values in connection.rows(_SELECT):
        row = dict(zip(_COLUMNS, values, strict=True))
        if (row["seq"], row["previous"]) != (seq + 1, previous):
            faults.append(Fault("access", row["seq"], "previous"))
        if row["hash"] != _told(row):
            faults.append(Fault("access", row["seq"], "hash"))
        seq, previous = row["seq"], row["hash"]
    return faults if connection.given("access") == seq else [*faults, Fault("access", seq, "tail")]


def _fields(access: Access) -> dict[str, Any]:
    return {
        "at": iso(access.at),
        "person": access.signin.person,
        "role": access.signin.role,
        "category": access.category,
        "case_id": access.case_id,
        "what": access.what,
        "reason": access.reason,
        "recipient": access.recipient,
        "signin": access.signin.id,
    }
