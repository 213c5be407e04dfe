"""The blind index: keyed hashes of names, dates of birth, numbers and references, in the transaction of the events.

Equal keys give equal digests; without the key file nobody can find the text behind one by trying all names. Unlike
the other read rows these rest on what is sealed: they go when the key of their stream is destroyed (`erase`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rvr.core.case import Case
from rvr.core.identity import SUSPECT, VICTIM, IdentityKey, case_keys_of, keys_of
from rvr.core.orders import Order
from rvr.store.engine import Connection
from rvr.store.sealing import Sealer
from rvr.store.statements import add
from rvr.store.tables import IdentityRow

Entry = tuple[str, str, bytes, str]
"""Role, kind, digest, person id."""


def put_case_identities(connection: Connection, sealer: Sealer, case: Case) -> None:
    """By what the case and its victim and suspect may be recognised, as the case now is."""
    people = {VICTIM: case.victim_id, SUSPECT: case.suspect_id}
    keys = (*keys_of(case.details, case.personal), *case_keys_of(case.personal))
    _put(connection, f"case/{case.id}", _entries(sealer, keys, people))


def put_order_identities(connection: Connection, sealer: Sealer, order: Order) -> None:
    """By what the two people of the order may be recognised."""
    _put(connection, f"order/{order.id}", _entries(sealer, order.keys, {}))


def erase(connection: Connection, stream: str) -> None:
    """Destroys the data keys of a stream, and all that was made of what they seal. For the writing connection.

    The log still verifies; nothing that named anybody can be read or matched again. The hashes of what was asked go,
    too: whoever has the key file could try guesses against them.
    """
    connection.execute("UPDATE data_key SET wrapped = :none WHERE scope = :stream", {"stream": stream, "none": b""})
    connection.execute("DELETE FROM identity_row WHERE stream = :stream", {"stream": stream})
    told = {"none": b"", "wrote": f'%"{stream}"%'}  # no index: erasures are rare, and a million rows take a second
    connection.execute("UPDATE command SET body_hash = :none WHERE writes LIKE :wrote", told)


def _entries(sealer: Sealer, keys: Iterable[IdentityKey], people: Mapping[str, str]) -> set[Entry]:
    return {(key.role, key.kind, sealer.digest(key), people.get(key.role, "")) for key in keys}


def _put(connection: Connection, stream: str, entries: set[Entry]) -> None:
    """What stands is compared, and not written again."""
    told = {"stream": stream}
    standing = connection.execute("SELECT role, kind, digest, person_id FROM identity_row WHERE stream = :stream", told)
    if set(standing) == entries:
        return
    connection.execute("DELETE FROM identity_row WHERE stream = :stream", told)
    names = "role", "kind", "digest", "person_id"
    add(
        connection,
        IdentityRow,
        [{"stream": stream, **dict(zip(names, entry, strict=True))} for entry in sorted(entries)],
    )
