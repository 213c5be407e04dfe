"""What was kept of the log's heads outside the desk: cosignatures, time-stamp tokens, mails. Rows are only ever added.

A row is written after the fact, never before it: what was sent and not noted is sent again, which harms nobody; what
was noted and not sent would be missing for ever.
"""

from __future__ import annotations

from typing import NamedTuple

from rvr.store import checkpoints
from rvr.store.checkpoints import Checkpoint
from rvr.store.engine import Connection

WITNESS, TIMESTAMP, MAIL = "witness", "timestamp", "mail"


class Anchor(NamedTuple):
    """A head that somebody else knows of."""

    kind: str
    """witness, timestamp or mail."""
    name: str
    """The witness's name, the authority's address; empty for mail."""
    subject: str
    """What there is one of: the head's size; for mail the UTC day."""
    size: int
    """Of the head."""
    at: str
    """When it was kept, by the desk's clock."""
    proof: bytes
    """The cosignature's line, the time-stamp response (DER), or the mail's Message-ID."""


_COLUMNS = "kind, name, subject, size, at, proof"


def keep(connection: Connection, anchor: Anchor) -> None:
    """Adds the row. Where another process was quicker, its row stays."""
    connection.execute(
        f"INSERT INTO anchor ({_COLUMNS}) VALUES (:kind, :name, :subject, :size, :at, :proof)"  # noqa: S608
        " ON CONFLICT (kind, name, subject) DO NOTHING",
        anchor._asdict(),
    )


def last(connection: Connection, kind: str, name: str) -> Anchor | None:
    """The one over the longest log; of mails the newest day's."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM anchor WHERE kind = :kind AND name = :name"  # noqa: S608
        " ORDER BY size DESC, subject DESC LIMIT 1",
        {"kind": kind, "name": name},
    ).fetchone()
    return Anchor(*row) if row else None


def every(connection: Connection) -> list[tuple[Anchor, str]]:
    """All of them, each with the note of its checkpoint, the oldest head first; an empty note where that is gone."""
    rows = connection.execute(
        "SELECT a.kind, a.name, a.subject, a.size, a.at, a.proof, coalesce(c.note, '') FROM anchor a"
        " LEFT JOIN checkpoint c ON c.size = a.size ORDER BY a.size, a.kind, a.name, a.subject",
        {},
    )
    return [(Anchor(*anchor), note) for *anchor, note in rows]


def covering(connection: Connection, position: int) -> Checkpoint | None:
    """The earliest checkpoint over the events up to this position that a witness cosigned, with the cosignatures as
    further lines of its note; the earliest of all where none was.
    """
    (size,) = connection.execute(
        "SELECT min(size) FROM anchor WHERE kind = :kind AND size >= :size", {"kind": WITNESS, "size": position}
    ).fetchone()
    found = checkpoints.covering(connection, position if size is None else size)
    if found is None or found.size != size:
        return found
    lines = connection.execute(
        "SELECT proof FROM anchor WHERE kind = :kind AND size = :size ORDER BY name", {"kind": WITNESS, "size": size}
    )
    return found._replace(note=found.note + "".join(bytes(line).decode() for (line,) in lines))
