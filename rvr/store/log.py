"""The timing log: what is appended together, and how it is read back. Functions on a connection, no thread, no clock.

One command is one `Batch` in one transaction: its events, the rows that change with them, the due clocks, the links
and messages that it wants, and its answer. The key (stream, version) settles every race.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rvr.core.case import Case
from rvr.core.events import Event, Recorded
from rvr.core.orders import Order
from rvr.core.roster import Officer
from rvr.store import access, envelope
from rvr.store.engine import Connection
from rvr.store.identities import erase, put_case_identities, put_order_identities
from rvr.store.ledger import GENESIS
from rvr.store.messages import Message, drop_messages, put_message
from rvr.store.projections import put_case, put_officer, put_order
from rvr.store.sealing import Sealer
from rvr.store.tables import CommandRow, LinkRow, put, put_values


@dataclass(frozen=True, slots=True)
class Append:
    """Events for one stream, decided at `expected_version` of it."""

    stream: str
    expected_version: int
    events: tuple[Event, ...]


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
    erases: tuple[str, ...] = ()
    """Streams whose key is destroyed by this, with what was made of it."""
    access: tuple[access.Access, ...] = ()
    """What the access log says of it."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """The answer, for the same command again. Ids and versions only: it is stored in clear."""


class Conflict(Exception):
    """A stream moved on since the decision: decide again."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at {actual}, not {expected}")
        self.stream, self.expected, self.actual = stream, expected, actual


class ReferenceTaken(Exception):
    """Another case has this short reference: draw again."""


class CommandSeen(Exception):
    """The same (person, command id) was recorded before: here is its answer."""

    def __init__(self, body_hash: bytes, result: dict[str, Any]) -> None:
        super().__init__("command recorded before")
        self.body_hash, self.result = body_hash, result


def append(connection: Connection, sealer: Sealer, batch: Batch, force: str, recorded_at: str) -> list[Recorded]:
    """Records the batch. Raises CommandSeen, Conflict or ReferenceTaken: its savepoint then keeps nothing of it."""
    if seen := command(connection, batch.person, batch.command_id):
        raise seen
    heads = [_head(connection, part) for part in batch.appends]
    for case in batch.cases:
        _refuse_taken(connection, case)
    stamp, recorded = envelope.Stamp(batch.command_id, force, recorded_at), list[Recorded]()
    at = position(connection)
    for part, head in zip(batch.appends, heads, strict=True):
        for event in part.events:
            at += 1
            done = envelope.write(connection, sealer, part.stream, head, event, stamp, at)
            head = envelope.Head(done.version, done.hash)
            recorded.append(done)
    _project(connection, sealer, batch, recorded)
    for link in batch.links:
        put(connection, link)
    for message in batch.messages:
        put_message(connection, sealer, message, recorded_at)
    for stream in batch.erases:
        erase(connection, stream)
        drop_messages(connection, stream.removeprefix("case/"))
    for entry in batch.access:
        access.record(connection, entry)
    put_values(connection, CommandRow, _command_row(batch, recorded, recorded_at))
    return recorded


def _head(connection: Connection, part: Append) -> envelope.Head:
    """The end of the stream. Raises Conflict when that is not where the decision saw it."""
    row = connection.execute(
        "SELECT version, hash FROM event WHERE stream = :stream ORDER BY version DESC LIMIT 1", {"stream": part.stream}
    ).fetchone()
    head = envelope.Head(*row) if row else envelope.Head(0, GENESIS)
    if head.version != part.expected_version:
        raise Conflict(part.stream, part.expected_version, head.version)
    return head


def _refuse_taken(connection: Connection, case: Case) -> None:
    told = {"reference": case.reference, "id": case.id}
    if connection.execute("SELECT 1 FROM case_row WHERE reference = :reference AND id <> :id", told).fetchone():
        raise ReferenceTaken(case.reference)


def _project(connection: Connection, sealer: Sealer, batch: Batch, recorded: list[Recorded]) -> None:
    last = {done.stream: done.position for done in recorded}
    for case in batch.cases:
        put_case(connection, case, last[f"case/{case.id}"])
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
    row = connection.execute(
        "SELECT body_hash, result FROM command WHERE person = :person AND command_id = :command_id",
        {"person": person, "command_id": command_id},
    ).fetchone()
    return CommandSeen(row[0], json.loads(row[1])) if row else None


def load(connection: Connection, sealer: Sealer | None, stream: str, after: int = 0) -> list[Recorded]:
    """The stream's events behind version `after`; without a sealer their public part only."""
    where = "stream = :stream AND version > :after ORDER BY version"
    return envelope.select(connection, sealer, where, {"stream": stream, "after": after})


def feed(connection: Connection, after: int, limit: int) -> list[Recorded]:
    """The next events of all streams behind that feed position, public part only."""
    where = "position > :after ORDER BY position LIMIT :limit"
    return envelope.select(connection, None, where, {"after": after, "limit": limit})


def position(connection: Connection) -> int:
    """The feed position of the last event."""
    (last,) = connection.execute("SELECT coalesce(max(position), 0) FROM event").fetchone()
    return int(last)


def streams(connection: Connection, kind: str, after: int, until: int, limit: int) -> list[tuple[str, int]]:
    """The next streams of a kind that began behind position `after`, each with the position at which it began."""
    return connection.execute(
        "SELECT stream, position FROM event WHERE version = 1 AND position > :after AND position <= :until"
        " AND stream >= :low AND stream < :high ORDER BY position LIMIT :limit",
        {"after": after, "until": until, "limit": limit, "low": kind, "high": kind + "\uffff"},
    ).fetchall()
