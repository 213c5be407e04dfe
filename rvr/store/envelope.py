"""The envelope: how an event becomes stored bytes, and how the bytes become the event again.

The format is final: what is stored under it is never rewritten. An event is rebuilt from its public bytes and its
sealed part alone, never from the columns beside them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from rvr.core.events import ClockChange, Event, Recorded, build
from rvr.core.moment import Moment, iso, parse_iso
from rvr.store import ledger
from rvr.store.engine import Connection
from rvr.store.sealing import DataKey, Sealer, seal_event, unseal_event

FORMAT = "1"
"""Kept in the store's settings, for whoever reads it in years to come."""

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all events of one command have in common."""

    command_id: str
    force: str
    recorded_at: str


class Head(NamedTuple):
    """The end of a stream."""

    version: int
    hash: bytes


class Stored(NamedTuple):
    """What reading an event needs, in the order of its column list."""

    position: int
    stream: str
    version: int
    public: bytes
    sealed: bytes
    hash: bytes


_COLUMNS = ", ".join(Stored._fields)

_CHANGED = tuple(told.name for told in dataclasses.fields(ClockChange))


def enclose(
    key_for: Callable[[str], DataKey], stream: str, head: Head, event: Event, stamp: Stamp, position: int
) -> tuple[dict[str, Any], Recorded]:
    """One event behind `head`, at this feed position: its row, and what is told of it.

    `key_for`: asked for the stream's data key where the event has something to seal.
    """
    drawn = os.urandom(16 + 2 * SALT_BYTES)
    version, event_id = head.version + 1, str(uuid.UUID(bytes=drawn[:16], version=4))
    fields, hidden = event.fact.split()
    key = key_for(stream) if hidden else None
    sealed = seal_event(key, stream, version, event.type, hidden) if key else b""
    public = ledger.canonical(_public(event, event_id, fields, stamp, key))
    salts = drawn[16 : 16 + SALT_BYTES], drawn[16 + SALT_BYTES :]
    entry = ledger.Entry(stream, version, public, sealed, *salts, head.hash, b"")
    row = entry._asdict() | {
        "hash": ledger.chain(entry),
        "event_id": event_id,
        "type": event.type,
        "observed_at": iso(event.at.at),
        "recorded_at": stamp.recorded_at,
        "position": position,
    }
    recorded_at = parse_iso(stamp.recorded_at)
    told = Recorded(event, stream, version, position, event_id, stamp.command_id, stamp.force, recorded_at, row["hash"])
    return row, told


def _public(event: Event, event_id: str, fields: Mapping[str, Any], stamp: Stamp, key: DataKey | None) -> Any:
    """The whole envelope. `key` stands in it, under the hash: to point a row at a key that is not there would
    otherwise look like an erasure."""
    return {
        "type": event.type,
        "schema": event.fact.schema,
        "force": stamp.force,
        "event_id": event_id,
        "observed_at": iso(event.at.at),
        "boot": event.at.boot,
        "boottime_ns": event.at.boottime_ns,
        "clock_error_us": event.at.error_us,
        "recorded_at": stamp.recorded_at,
        "stated_at": event.stated_at,
        "stated_source": event.stated_source,
        "by": event.by,
        "by_role": event.by_role,
        "definition": event.definition,
        "command": stamp.command_id,
        "state": event.state,
        "clocks": [{name: getattr(change, name) for name in _CHANGED} for change in event.clocks],
        "basis": event.basis,
        "data": fields,
        "key": key.id if key else "",
    }


def select(connection: Connection, sealer: Sealer | None, where: str, values: Mapping[str, Any]) -> list[Recorded]:
    """The events of the rows that `where` picks; without a sealer their public part only."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM event WHERE {where}", values)  # noqa: S608 (ours, not input)
    rows = [Stored(*row) for row in found]
    told = [json.loads(row.public) for row in rows]
    keys = sealer.keys_of(connection, (public["key"] for public in told)) if sealer else {}
    return [_recorded(row, public, keys.get(public["key"])) for row, public in zip(rows, told, strict=True)]


def _recorded(row: Stored, public: dict[str, Any], key: DataKey | None) -> Recorded:
    hidden = unseal_event(key, row.stream, row.version, public["type"], row.sealed)
    return Recorded(
        event=_event(public, hidden),
        stream=row.stream,
        version=row.version,
        position=row.position,
        event_id=public["event_id"],
        command_id=public["command"],
        force=public["force"],
        recorded_at=parse_iso(public["recorded_at"]),
        hash=row.hash,
    )


def _event(public: dict[str, Any], hidden: dict[str, Any]) -> Event:
    return Event(
        fact=build(public["type"], public["schema"], {**public["data"], **hidden}),
        state=public["state"],
        at=Moment(parse_iso(public["observed_at"]), public["boot"], public["boottime_ns"], public["clock_error_us"]),
        by=public["by"],
        by_role=public["by_role"],
        definition=public["definition"],
        clocks=tuple(_clock(told) for told in public["clocks"]),
        stated_at=public["stated_at"],
        stated_source=public["stated_source"],
        basis=public["basis"],
    )


def _clock(told: dict[str, Any]) -> ClockChange:
    return ClockChange(**told | {"due": tuple((after_s, at) for after_s, at in told["due"])})
