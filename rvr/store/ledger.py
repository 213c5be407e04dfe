"""The hash chain of each stream: canonical bytes, the four hashes, and the check of what is stored.

Pure: it reads no key and no clock. The hashes cover the sealed part as ciphertext, so that a stream still verifies
after its key was destroyed. A chain alone shows every change but one, a tail that was cut off: `verify_stream` is
therefore told how long the stream must be, and `verify_all` finds that out from two other places.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from rvr.store.engine import Connection

GENESIS = bytes(32)
"""`previous` of a stream's first event."""

# One prefix a kind of hash, so that no input of one can be passed off as another's (RFC 6962, 2.1 does the same).
_HEADER, _BODY, _SEAL, _EVENT = b"\x10", b"\x11", b"\x12", b"\x13"


class Entry(NamedTuple):
    """What the chain covers of one event."""

    stream: str
    version: int
    public: bytes
    """Canonical JSON, exactly as stored."""
    sealed: bytes
    """nonce ‖ ciphertext, or empty."""
    salt1: bytes
    salt2: bytes
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing in the log that is not as it was written."""

    stream: str
    version: int
    code: str
    """gap, previous, hash, columns, tail or positions."""

    def __str__(self) -> str:
        return f"{self.stream}, version {self.version}: {self.code}"


def canonical(value: Any) -> bytes:
    """The one way in which a JSON value is written: sorted keys, no spaces, UTF-8.

    Raises TypeError for a float (two programs write the same one differently), for a number beyond 64 bits, for a key
    that is no string, and for anything that JSON does not have.
    """
    _refuse_other(value)
    return orjson.dumps(value, dict, orjson.OPT_SORT_KEYS)  # `dict`: of a mapping that is none


_KEYS = frozenset({str})
_PLAIN = frozenset({str, int, bool, type(None)})


def _refuse_other(value: Any) -> None:
    """Looks at types before at classes: one command has some two hundred values, and nearly all are these four."""
    kind, items = type(value), value
    if kind is dict or isinstance(value, Mapping):
        if not _KEYS.issuperset(map(type, value)):
            for key in value:
                if not isinstance(key, str):
                    raise TypeError(f"a key must be a string, not {type(key).__name__}")
        items = value.values()
    elif kind in _PLAIN or isinstance(value, str | int):
        return
    elif not isinstance(value, list | tuple):
        raise TypeError(f"{kind.__name__} has no canonical form")
    if not _PLAIN.issuperset(map(type, items)):
        for item in items:
            if type(item) not in _PLAIN:
                _refuse_other(item)


def header_hash(salt1: bytes, stream: str, version: int, previous: bytes) -> bytes:
    """Where the event stands. `salt1` (16 random bytes) keeps a proof from telling which stream it belongs to."""
    name = stream.encode()
    place = len(name).to_bytes(2, "big") + name + version.to_bytes(8, "big")
    return sha256(_HEADER + salt1 + place + previous).digest()


def body_hash(salt2: bytes, public: bytes) -> bytes:
    """What evaluation may see. `salt2` (16 random bytes) keeps few-valued bodies from being guessed."""
    return sha256(_BODY + salt2 + public).digest()


def seal_hash(sealed: bytes) -> bytes:
    """The ciphertext of the rest; needs no salt."""
    return sha256(_SEAL + sealed).digest()


def event_hash(header: bytes, body: bytes, seal: bytes) -> bytes:
    """The event's link in the chain: three parts, so that each can be proved without the other two."""
    return sha256(_EVENT + header + body + seal).digest()


def chain(entry: Entry) -> bytes:
    """The hash that the entry ought to have."""
    return event_hash(
        header_hash(entry.salt1, entry.stream, entry.version, entry.previous),
        body_hash(entry.salt2, entry.public),
        seal_hash(entry.sealed),
    )


def verify_stream(rows: Iterable[Entry], length: int | None = None) -> list[Fault]:
    """Every fault of one stream, oldest first. `length`: the version that its last event must have, if known."""
    faults: list[Fault] = []
    stream, version, previous = "", 0, GENESIS
    for row in rows:
        stream = row.stream
        if row.version != version + 1:
            faults.append(Fault(row.stream, row.version, "gap"))
        if row.previous != previous:
            faults.append(Fault(row.stream, row.version, "previous"))
        if not _intact(row):
            faults.append(Fault(row.stream, row.version, "hash"))
        version, previous = row.version, row.hash
    if length is not None and version < length:
        faults.append(Fault(stream, version, "tail"))
    return faults


def _intact(row: Entry) -> bool:
    """SQLite lets an intruder put any type into any column: what cannot be hashed is a fault, not an error."""
    try:
        return row.hash == chain(row)
    except (TypeError, ValueError, AttributeError, OverflowError):
        return False


def verify_all(connection: Connection) -> list[Fault]:
    """Every fault of the whole log, in memory that does not grow with its events.

    A cut tail shows in the commands, which keep the versions that they wrote, and in the feed positions, which are
    dense: each one is given inside the transaction that uses it.
    """
    lengths = _written(connection)
    faults = _positions(connection)
    for stream, rows in groupby(_entries(connection, faults), key=lambda row: row.stream):
        faults += verify_stream(rows, lengths.pop(stream, None))
    return faults + [Fault(stream, 0, "tail") for stream in lengths]


def _entries(connection: Connection, faults: list[Fault]) -> Iterator[Entry]:
    rows = connection.rows(
        "SELECT stream, version, public, sealed, salt1, salt2, previous, hash, event_id, type, observed_at, recorded_at"
        " FROM event ORDER BY stream, version"
    )
    for *entry, event_id, kind, observed_at, recorded_at in rows:
        row = Entry(*entry)
        if not _repeats(row.public, event_id, kind, observed_at, recorded_at):
            faults.append(Fault(row.stream, row.version, "columns"))
        yield row


def _repeats(public: bytes, event_id: str, kind: str, observed_at: str, recorded_at: str) -> bool:
    """The columns lie outside the hashes: they must repeat what the hashed bytes say."""
    try:
        told = json.loads(public)
        there = (told["event_id"], told["type"], told["observed_at"], told["recorded_at"])
    except (ValueError, KeyError, TypeError):
        return False
    return there == (event_id, kind, observed_at, recorded_at)


def _written(connection: Connection) -> dict[str, int]:
    lengths: dict[str, int] = {}
    for (writes,) in connection.rows("SELECT writes FROM command"):
        for stream, version in json.loads(writes):
            lengths[stream] = max(version, lengths.get(stream, 0))
    return lengths


def _positions(connection: Connection) -> list[Fault]:
    count, last = connection.execute("SELECT count(*), coalesce(max(position), 0) FROM event").fetchone()
    return [] if count == last == connection.given("event") else [Fault("", 0, "positions")]
