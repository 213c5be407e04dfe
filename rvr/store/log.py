"""The timing log: what is appended together, and how it is read back. Functions on a connection, no thread, no clock.

One command is one `Batch` in one transaction: its events, the rows that change with them, the due clocks, the links
and messages that it wants, and its answer. The key (stream, version) settles every race.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rvr.core.case import Case, names_people
from rvr.core.events import Event, Recorded
from rvr.core.orders import Order
from rvr.core.roster import Officer
from rvr.store import access, envelope
from rvr.store.engine import Connection, Question
from rvr.store.identities import erase, put_case_identities, put_order_identities
from rvr.store.ledger import GENESIS
from rvr.store.messages import Message, drop_messages, put_message
from rvr.store.projections import change_case, put_officer, put_order, standing_case
from rvr.store.sealing import DataKey, Sealer
from rvr.store.statements import add, change, put, standing
from rvr.store.tables import AccountRow, CommandRow, EventRow, LinkRow, PasskeyRow


@dataclass(frozen=True, slots=True)
class Append:
    """Events for one stream, decided at `expected_version` of it."""

    stream: str
    expected_version: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Passkeys:
    """Passkeys that come and go with a change of an account."""

    new: tuple[Mapping[str, Any], ...] = ()
    """Each as its columns."""
    gone: tuple[str, ...] = ()
    """Ids of single ones."""
    all_of: tuple[str, ...] = ()
    """People who lose every one."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that one command does. All of it is recorded, or nothing."""

    command_id: str
    person: str
    """Who sent the command: its id is unique for each person."""
    body_hash: bytes
    """Keyed hash of what was asked (`Store.fingerprint`), so that another request under the same id is told apart."""
    appends: tuple[Append, ...] = ()
    cases: tuple[Case, ...] = ()
    """Cases as they are after the events."""
    officers: tuple[Officer, ...] = ()
    """Officers as they are after the events."""
    orders: tuple[Order, ...] = ()
    """Civil orders as they are after the events."""
    links: tuple[LinkRow, ...] = ()
    """Join links that are new or changed (bound, revoked), as they are afterwards."""
    messages: tuple[Message, ...] = ()
    accounts: tuple[Mapping[str, Any], ...] = ()
    """Accounts of staff that change: the id, and the columns with another value."""
    signs_out: tuple[str, ...] = ()
    """People whose every sign-in ends with this."""
    passkeys: Passkeys = field(default_factory=Passkeys)
    erases: tuple[str, ...] = ()
    """Streams whose key is destroyed by this, with what was made of it."""
    access: tuple[access.Access, ...] = ()
    """What the access log says of it."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """The answer, for the same command again. Ids and versions only: it is stored in clear."""


_END = "SELECT version, hash FROM event WHERE stream = :stream ORDER BY version DESC LIMIT 1"
_TAKEN = "SELECT 1 FROM case_row WHERE reference = :reference AND id <> :id"
_LAST = "SELECT coalesce(max(position), 0) FROM event"
_COMMAND = "FROM command WHERE person = :person AND command_id = :command_id"
_STANDS = f"SELECT (SELECT body_hash {_COMMAND}), (SELECT result {_COMMAND}), ({_LAST}), {access.END}"
"""What each command must know: one statement, for each costs a server as much as what is asked."""


class Conflict(Exception):
    """A stream moved on since the decision: decide again."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at {actual}, not {expected}")
        self.stream, self.expected, self.actual = stream, expected, actual


class ReferenceTaken(Exception):
    """Another case has this short reference: draw again."""


class PasskeyTaken(Exception):
    """Somebody has a passkey of this id: it would be overwritten (WebAuthn level 3, 7.1)."""


class CommandSeen(Exception):
    """The same (person, command id) was recorded before: here is its answer."""

    def __init__(self, body_hash: bytes, result: dict[str, Any]) -> None:
        super().__init__("command recorded before")
        self.body_hash, self.result = body_hash, result


def append(connection: Connection, sealer: Sealer, batch: Batch, force: str, recorded_at: str) -> list[Recorded]:
    """Records the batch. Raises CommandSeen, Conflict, ReferenceTaken or PasskeyTaken before anything is written."""
    (stands,), ends, taken, stood, kept = _asked(
        connection,
        [(_STANDS, {"person": batch.person, "command_id": batch.command_id})],
        [(_END, {"stream": part.stream}) for part in batch.appends],
        [(_TAKEN, {"reference": case.reference, "id": case.id}) for case in _opened(batch)],
        [standing_case(case) for case in batch.cases],
        [standing(PasskeyRow, one["id"]) for one in batch.passkeys.new],
    )
    body_hash, result, last, *accessed = stands
    if body_hash is not None:
        raise CommandSeen(body_hash, json.loads(result))
    heads = [_head(part, end) for part, end in zip(batch.appends, ends, strict=True)]
    for case, other in zip(_opened(batch), taken, strict=True):
        if other:
            raise ReferenceTaken(case.reference)
    if any(kept):
        raise PasskeyTaken
    stamp = envelope.Stamp(batch.command_id, force, recorded_at)
    rows, recorded = _enclosed(connection, sealer, batch, heads, stamp, last)
    add(connection, EventRow, rows)
    _project(connection, sealer, batch, recorded, stood)
    for link in batch.links:
        put(connection, link)
    for message in batch.messages:
        put_message(connection, sealer, message, recorded_at)
    for account in batch.accounts:
        change(connection, AccountRow, account, connection.execute(*standing(AccountRow, account["id"])).fetchone())
    for person in batch.signs_out:
        connection.execute("DELETE FROM signin WHERE person = :person", {"person": person})
    _change_passkeys(connection, batch.passkeys)
    for stream in batch.erases:
        erase(connection, stream)
        drop_messages(connection, stream.removeprefix("case/"))
    access.record(connection, *batch.access, behind=access.End(*accessed))
    add(connection, CommandRow, [_command_row(batch, recorded, recorded_at)])
    return recorded


def _change_passkeys(connection: Connection, passkeys: Passkeys) -> None:
    for person in passkeys.all_of:
        connection.execute("DELETE FROM passkey WHERE person = :person", {"person": person})
    for one in passkeys.gone:
        connection.execute("DELETE FROM passkey WHERE id = :id", {"id": one})
    if passkeys.new:
        add(connection, PasskeyRow, passkeys.new)


def _asked(connection: Connection, *questions: list[Question]) -> list[list[Any]]:
    """The first row that each finds, or None. All are asked before the first answer is read: on a server that is one
    wait. And all are read: a statement that stands half read would keep SQLite's snapshot.
    """
    cursors = [[connection.execute(*question) for question in some] for some in questions]
    return [[cursor.fetchone() for cursor in some] for some in cursors]


def _head(part: Append, row: Any) -> envelope.Head:
    """The end of the stream. Raises Conflict when that is not where the decision saw it."""
    head = envelope.Head(*row) if row else envelope.Head(0, GENESIS)
    if head.version != part.expected_version:
        raise Conflict(part.stream, part.expected_version, head.version)
    return head


def _opened(batch: Batch) -> list[Case]:
    """The cases that begin with this."""
    begun = {part.stream for part in batch.appends if part.expected_version == 0}
    return [case for case in batch.cases if f"case/{case.id}" in begun]


def _enclosed(
    connection: Connection, sealer: Sealer, batch: Batch, heads: Iterable[envelope.Head], stamp: envelope.Stamp, at: int
) -> tuple[list[dict[str, Any]], list[Recorded]]:
    """The rows of the events behind feed position `at`, and what is told of them."""
    keys = dict[str, DataKey]()

    def key_for(stream: str) -> DataKey:
        if stream not in keys:
            keys[stream] = sealer.key_for(connection, stream)
        return keys[stream]

    rows, recorded = list[dict[str, Any]](), list[Recorded]()
    for part, head in zip(batch.appends, heads, strict=True):
        for event in part.events:
            at += 1
            row, done = envelope.enclose(key_for, part.stream, head, event, stamp, at)
            head = envelope.Head(done.version, done.hash)
            rows.append(row)
            recorded.append(done)
    return rows, recorded


def _project(connection: Connection, sealer: Sealer, batch: Batch, recorded: list[Recorded], stood: list[Any]) -> None:
    last = {done.stream: done.position for done in recorded}
    for case, row in zip(batch.cases, stood, strict=True):
        stream = f"case/{case.id}"
        events = [done.event for done in recorded if done.stream == stream]
        change_case(connection, case, last[stream], events, row)
        if any(map(names_people, events)):
            put_case_identities(connection, sealer, case)
    for officer in batch.officers:
        put_officer(connection, officer)
    for order in batch.orders:
        put_order(connection, order)
        put_order_identities(connection, sealer, order)


def _command_row(batch: Batch, recorded: list[Recorded], recorded_at: str) -> dict[str, Any]:
    return {
        "person": batch.person,
        "command_id": batch.command_id,
        "body_hash": batch.body_hash,
        "recorded_at": recorded_at,
        "writes": [[stream, version] for stream, version in {done.stream: done.version for done in recorded}.items()],
        "result": dict(batch.result),
    }


def command(connection: Connection, person: str, command_id: str) -> CommandSeen | None:
    """What a command that was recorded before had asked and got."""
    told = {"person": person, "command_id": command_id}
    row = connection.execute(f"SELECT body_hash, result {_COMMAND}", told).fetchone()
    return CommandSeen(row[0], json.loads(row[1])) if row else None


def load(connection: Connection, sealer: Sealer | None, stream: str, after: int = 0) -> list[Recorded]:
    """The stream's events behind version `after`; without a sealer their public part only."""
    where = "stream = :stream AND version > :after ORDER BY version"
    return envelope.select(connection, sealer, where, {"stream": stream, "after": after})


def feed(connection: Connection, after: int, limit: int) -> list[Recorded]:
    """The next events of all streams behind that feed position, public part only."""
    where = "position > :after ORDER BY position LIMIT :limit"
    return envelope.select(connection, None, where, {"after": after, "limit": limit})


def of_type(connection: Connection, event_type: str) -> list[Recorded]:
    """Every event of a type, the oldest first, public part only: of those of which there are few."""
    return envelope.select(connection, None, "type = :type ORDER BY position", {"type": event_type})


def position(connection: Connection) -> int:
    """The feed position of the last event."""
    (last,) = connection.execute(_LAST).fetchone()
    return int(last)


def streams(connection: Connection, kind: str, after: int, until: int, limit: int) -> list[tuple[str, int]]:
    """The next streams of a kind that began behind position `after`, each with the position at which it began."""
    return connection.execute(
        "SELECT stream, position FROM event WHERE version = 1 AND position > :after AND position <= :until"
        " AND stream >= :low AND stream < :high ORDER BY position LIMIT :limit",
        {"after": after, "until": until, "limit": limit, "low": kind, "high": kind + "\uffff"},
    ).fetchall()
