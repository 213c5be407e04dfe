"""The access log: who looked at what, changed it, passed it on or erased it (DPA 2018 s.62). Never used for research.

One chained stream of its own. `what` and `reason` are codes or ids, never the words that were searched for. The row of
a command is committed with its events; that of a look before the bytes leave.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from sqlmodel import Session, col, func, or_, select

from rvr.core.moment import iso
from rvr.store.engine import Connection
from rvr.store.ledger import GENESIS, Fault, canonical
from rvr.store.statements import add
from rvr.store.tables import AccessRow

AGAIN_AFTER = timedelta(minutes=15)
"""A look that lasts is written again after this long (ICO, logging under Part 3: not each screen refresh)."""

CATEGORIES = frozenset({"collection", "alteration", "consultation", "disclosure", "combination", "erasure"})
"""The six kinds of processing that s.62(1) names."""

TERMINAL = "terminal"
"""Sign-in and role of whoever used a verb of the command line."""

REFUSED = "refused:"
"""Before the code of the reason why somebody was not shown a case."""

PAGE = 50
"""Rows that an auditor is shown at once."""

_PREFIX = b"\x14"
_FIELDS = ("at", "person", "role", "category", "case_id", "what", "reason", "recipient", "signin")
_COLUMNS = ("seq", *_FIELDS, "salt", "previous", "hash")
_LATELY = "SELECT 1 FROM access WHERE signin = :signin AND case_id = :case_id AND at > :since AND what = :what LIMIT 1"
_REFUSED_LATELY = _LATELY.replace("what =", f"substr(what, 1, {len(REFUSED)}) =")
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


# --- Writing -----------------------------------------------------------------------------------------------------


class End(NamedTuple):
    """Number and hash of the last row; None in an empty log."""

    seq: int | None
    hash: bytes | None


_LAST = "(SELECT max(seq) FROM access)"
END = f"{_LAST}, (SELECT hash FROM access WHERE seq = {_LAST})"  # noqa: S608 (ours, not input)
"""What a statement that asks for it says, among other things."""


def record(connection: Connection, *entries: Access, behind: End | None = None) -> None:
    """Appends the entries. Raises ValueError for a category that s.62 does not have, and for a disclosure without its
    recipient, whom s.62(3) wants to be told, or a recipient of anything else.

    `behind`: the end of the log, where it was asked for before.
    """
    if not entries:
        return
    found = behind or End(*connection.execute(f"SELECT {END}").fetchone())
    seq, previous, rows = found.seq or 0, found.hash or GENESIS, list[dict[str, Any]]()
    for entry in entries:
        _refuse(entry)
        seq += 1
        row = _fields(entry) | {"seq": seq, "salt": os.urandom(16), "previous": previous}
        row["hash"] = previous = chain(row)
        rows.append(row)
    add(connection, AccessRow, rows)


def _refuse(entry: Access) -> None:
    if entry.category not in CATEGORIES:
        raise ValueError(f"{entry.category!r} is no category of access")
    if bool(entry.recipient) != (entry.category == "disclosure"):
        raise ValueError("a disclosure has a recipient, and nothing else has")


def looked(connection: Connection, signin: Signin, case_id: str, field_class: str, at: datetime) -> bool:
    """A class of a case's fields is on a screen: one row at first display and again after fifteen minutes.

    True when a row was written.
    """
    return _again(connection, Access(signin, "consultation", field_class, at, case_id), _LATELY, field_class)


def refused(connection: Connection, signin: Signin, case_id: str, code: str, at: datetime) -> bool:
    """Somebody asked for a case and was not shown it: one row, and again after fifteen minutes, whatever the code.

    True when a row was written.
    """
    entry = Access(signin, "consultation", f"{REFUSED}{code}", at, case_id)
    return _again(connection, entry, _REFUSED_LATELY, REFUSED)


def is_lately(written: datetime, at: datetime) -> bool:
    """Whether a look at this time needs no row beside the one that was written then."""
    return written > at - AGAIN_AFTER


def _again(connection: Connection, entry: Access, lately: str, what: str) -> bool:
    """Records it, unless this sign-in has such a row of the case that is not older than fifteen minutes."""
    since = iso(entry.at - AGAIN_AFTER)
    asked = {"signin": entry.signin.id, "case_id": entry.case_id, "what": what, "since": since}
    if connection.execute(lately, asked).fetchone():
        return False
    record(connection, entry)
    return True


# --- Checking ----------------------------------------------------------------------------------------------------


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


# --- Finding -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are looked for. What is empty leaves none out."""

    person: str = ""
    """Id of a member of staff; TERMINAL for everybody who used a verb there."""
    case_id: str = ""
    category: str = ""
    since: str = ""
    until: str = ""
    """UTC times as in the log: from `since` on, before `until`."""
    recipient: str = ""
    """A part of the recipient's name."""


def find(session: Session, wanted: Wanted, *, before: int = 0, limit: int = PAGE) -> list[AccessRow]:
    """The rows, the newest first; with `before` those behind the row of this number.

    Each condition has an index in the order of the answer, so that of a million rows no more are read than are shown.
    """
    found = select(AccessRow).where(*_conditions(wanted))
    if before:
        last = session.exec(select(AccessRow.at).where(AccessRow.seq == before)).first() or ""
        at, seq = col(AccessRow.at), col(AccessRow.seq)
        found = found.where(at <= last, or_(at < last, seq < before))
    newest = found.order_by(col(AccessRow.at).desc(), col(AccessRow.seq).desc())
    return list(session.exec(newest.limit(limit)))


def _conditions(wanted: Wanted) -> Iterable[Any]:
    if wanted.person == TERMINAL:
        yield AccessRow.signin == TERMINAL
    elif wanted.person:
        yield AccessRow.person == wanted.person
    if wanted.case_id:
        yield AccessRow.case_id == wanted.case_id
    if wanted.category:
        yield AccessRow.category == wanted.category
    if wanted.since:
        yield AccessRow.at >= wanted.since
    if wanted.until:
        yield AccessRow.at < wanted.until
    if wanted.recipient:
        yield AccessRow.category == "disclosure"  # nothing else has one, and these are few
        yield func.lower(AccessRow.recipient).contains(wanted.recipient.lower(), autoescape=True)
