"""Signed heads of the log: one RFC 6962 tree over all events in the order of their positions, checked and signed on.

A leaf's data is the event's own hash (`ledger`), which commits to place, public and sealed part apart. The last head is
also kept outside the database, in `heads.txt` beside the key file: a database that was put back or altered then has
events that do not come to that head, and nothing more is signed. What is signed is true of committed events only.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from rvr.store.engine import Connection
from rvr.store.keys import sync_folder
from rvr.store.ledger import header_hash, seal_hash
from rvr.store.merkle import Frontier, leaf_hash
from rvr.store.notes import Notary

CHUNK = 10_000
"""Events taken in one read: some 50 ms, so that no snapshot keeps the write-ahead log from being reset for long."""

_TAIL_BYTES = 4096
"""Enough for the last lines of heads.txt: one has about 130 bytes."""


class Head(NamedTuple):
    """A tree of `size` leaves has this root."""

    size: int
    root: bytes


class Kept(NamedTuple):
    """A head as it stands outside the database."""

    head: Head
    at: str
    """When it was signed."""


class Checkpoint(NamedTuple):
    """A signed head."""

    size: int
    """It covers the events up to this position."""
    root: bytes
    at: str
    """When it was signed. Not under the signature: a head says what was there, not when."""
    note: str
    """C2SP tlog-checkpoint: origin, size, base64 of the root; an empty line; the signature."""


class RefusesToSign(Exception):
    """The database is not what was signed before. The message says why, for whoever runs the service."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """behind, fork, gap, heads, heads-missing or signature."""


@dataclass(frozen=True, slots=True)
class HeadFault:
    """Something of the log that is not what a head says."""

    code: str
    """tree, behind, signature, heads or heads-missing."""
    told: str
    """What was found, as a sentence."""
    streams: tuple[str, ...] = ()
    """Where to look: the streams with events since the last head that still fits."""

    def __str__(self) -> str:
        where = f" Look at: {', '.join(self.streams)}." if self.streams else ""
        return f"{self.code}: {self.told}{where}"


# --- Outside the database ----------------------------------------------------------------------------------------


class Heads:
    """heads.txt: a line a signed head, `origin size root at`; it only ever grows. Several logs may share it."""

    def __init__(self, file: Path, origin: str, machine: str = "") -> None:
        self.file, self._origin = file, origin
        self._keeper = f"heads/{machine}{file}" if machine else ""
        """Told to a database that several machines share, so that one that joins begins a file, and one that lost its
        own is told so."""

    def missing(self, connection: Connection) -> bool:
        """Whether there should be a file, and is none."""
        if self.file.exists() or not last(connection):
            return False
        told = "SELECT 1 FROM setting WHERE key = :key"
        return not self._keeper or connection.execute(told, {"key": self._keeper}).fetchone() is not None

    def note(self, connection: Connection, head: Head, at: str) -> None:
        """Adds the head, and tells the database that there is a file here. Raises RefusesToSign."""
        self.append(head, at)
        if self._keeper:
            told = "INSERT INTO setting (key, value) VALUES (:key, :at) ON CONFLICT DO NOTHING"
            connection.execute(told, {"key": self._keeper, "at": at})

    def last(self) -> Head | None:
        """The newest head of this log. Raises RefusesToSign for a line that is none."""
        newest = self.newest()
        return newest.head if newest else None

    def newest(self) -> Kept | None:
        """The same, and when it was signed."""
        if not self.file.exists():
            return None
        with self.file.open("rb") as lines:
            start = max(0, lines.seek(0, os.SEEK_END) - _TAIL_BYTES)
            lines.seek(start)
            tail = _whole(lines.read()).split(b"\n")[1 if start else 0 : -1]
        newest = [*self._ours(tail)] or [*self._all(self.length())]
        return newest[-1] if newest else None

    def length(self) -> int:
        """Bytes in the file; none where it is not."""
        return self.file.stat().st_size if self.file.exists() else 0

    def all(self, length: int) -> Iterator[Head]:
        """Every head of this log in the file's first bytes, the oldest first. Raises RefusesToSign for other lines."""
        return (kept.head for kept in self._all(length))

    def _all(self, length: int) -> Iterator[Kept]:
        if length:
            with self.file.open("rb") as lines:
                known = takewhile(lambda _: lines.tell() <= length, iter(lines.readline, b""))
                whole = (line for line in known if lines.tell() < length or _whole(line))
                yield from self._ours(line.rstrip(b"\n") for line in whole)

    def sync(self) -> None:
        """Brings to the disk what is there, and its name: a process that was killed may have left either undone."""
        if os.name == "posix" and self.file.exists():
            with self.file.open("rb") as lines:
                os.fsync(lines.fileno())
            sync_folder(self.file)

    def append(self, head: Head, at: str) -> None:
        """Adds the head, on the disk when this returns. A line that a power cut tore off is removed first.

        Raises RefusesToSign where it cannot be written.
        """
        line = f"{self._origin} {head.size} {b64encode(head.root).decode()} {at}\n".encode()
        try:
            new = not self.file.exists()
            with os.fdopen(os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as lines:
                start = max(0, lines.seek(0, os.SEEK_END) - _TAIL_BYTES)
                lines.seek(start)
                lines.seek(start + len(_whole(lines.read())))
                lines.truncate()
                lines.write(line)
                lines.flush()
                os.fsync(lines.fileno())
            if new:
                sync_folder(self.file)
        except OSError as error:
            raise RefusesToSign("heads", f"{self.file} cannot be written: {error.strerror or error}") from error

    def _ours(self, lines: Iterable[bytes]) -> Iterator[Kept]:
        for line in lines:
            try:
                origin, size, root, at = line.decode().split(" ")
                head = Head(int(size), b64decode(root, validate=True))
            except ValueError:
                raise RefusesToSign("heads", f"{self.file} has a line that is no head") from None
            if origin == self._origin:
                yield Kept(head, at)


def _whole(text: bytes) -> bytes:
    """The text without its last line where a power cut tore that off, or left zeros for a part of it."""
    last_line = text[text.rfind(b"\n", 0, -1) + 1 :]
    return text if last_line.endswith(b"\n") and b"\0" not in last_line else text[: len(text) - len(last_line)]


# --- In the database ---------------------------------------------------------------------------------------------


def text(origin: str, head: Head) -> str:
    """The text of a checkpoint, before it is signed."""
    return f"{origin}\n{head.size}\n{b64encode(head.root).decode()}\n"


def last(connection: Connection) -> Checkpoint | None:
    """The newest checkpoint."""
    return _one(connection, "ORDER BY size DESC LIMIT 1", 0)


def covering(connection: Connection, position: int) -> Checkpoint | None:
    """The earliest checkpoint over the events up to this position: the same one however long the log grows."""
    return _one(connection, "WHERE size >= :size ORDER BY size LIMIT 1", position)


def _one(connection: Connection, which: str, size: int) -> Checkpoint | None:
    found = connection.execute(f"SELECT size, root, at, note FROM checkpoint {which}", {"size": size})  # noqa: S608
    row = found.fetchone()
    return Checkpoint(*row) if row else None


def leaves(connection: Connection, after: int, until: int) -> Iterator[tuple[int, bytes]]:
    """(position, leaf hash) of the events behind `after` up to `until`, in order."""
    rows = connection.rows(
        "SELECT position, hash FROM event WHERE position > :after AND position <= :until ORDER BY position",
        {"after": after, "until": until},
    )
    return ((position, leaf_hash(hashed)) for position, hashed in rows)


class Shown(NamedTuple):
    """What a proof shows of an event: where it stands and what is sealed only as hashes."""

    leaf: int
    """Its place in the tree, from nought."""
    header: bytes
    salt2: bytes
    seal: bytes
    public: bytes


def shown(connection: Connection, stream: str) -> dict[int, Shown]:
    """Version -> what a proof shows, for each event of the stream."""
    rows = connection.execute(
        "SELECT version, position, salt1, previous, salt2, sealed, public FROM event WHERE stream = :stream",
        {"stream": stream},
    )
    return {
        version: Shown(
            position - 1, header_hash(salt1, stream, version, previous), salt2, seal_hash(sealed), bytes(public)
        )
        for version, position, salt1, previous, salt2, sealed, public in rows
    }


def _count(connection: Connection) -> int:
    (count,) = connection.execute("SELECT coalesce(max(position), 0) FROM event").fetchone()
    return int(count)


class Sequencer:
    """Takes committed events in order into the tree, and signs its head. Asked to do one batch, and no two at once.

    Of several on one database, in several processes, one wins each head: the others find it signed, check it against
    their own tree and go on behind it.
    """

    def __init__(self, notary: Notary, heads: Heads) -> None:
        self._notary, self._heads = notary, heads
        self._tree, self._base = Frontier(), Frontier()
        """The tree, and as it was at the last head that it was found to grow from: where it grows from again when a
        head behind it is met, and not from the first event."""
        self._met: list[Head] = []
        """The heads that this tree is held against on its way."""
        self._proven: list[Head] = []
        """The heads that this tree was found to grow from."""

    def take(self, connection: Connection) -> bool:
        """Takes the next events of a committed snapshot; True while there are more.

        The tree grows from the first event on, so every head on its way is proven to be a beginning of it. Raises
        RefusesToSign when one is not.
        """
        marks, count = self._marks(connection), _count(connection)
        if marks != self._met and marks and marks[0].size < self._tree.size:
            # another process signed: its head lies behind us
            self._tree = self._base.copy() if self._base.size <= marks[0].size else Frontier()
        self._met = marks
        for mark in marks:
            if mark.size > count:
                raise RefusesToSign("behind", f"the log has {count} events, but a head of {mark.size} was signed")
        self._hold_against(marks)
        ahead = (mark.size for mark in marks if mark.size > self._tree.size)
        self._grow(connection, min((*ahead, count, self._tree.size + CHUNK)))
        self._hold_against(marks)
        if self._tree.size < count:
            return True
        self._proven = marks
        return False

    def _hold_against(self, marks: list[Head]) -> None:
        here = Head(self._tree.size, self._tree.root())
        if any(mark.size == here.size and mark != here for mark in marks):
            raise RefusesToSign("fork", f"the first {here.size} events are not those of the head that was signed")
        if here in marks:
            self._base = self._tree.copy()

    def _grow(self, connection: Connection, until: int) -> None:
        for position, leaf in leaves(connection, self._tree.size, until):
            if position != self._tree.size + 1:
                break
            self._tree.append(leaf)
        if self._tree.size < until:
            raise RefusesToSign("gap", f"the event at position {self._tree.size + 1} is missing")

    def sign(self, connection: Connection, at: str) -> Checkpoint | None:
        """Signs the tree as it was last taken, in the writer's transaction; None when there is nothing to sign.

        None too when somebody else was quicker, or nothing was taken yet. What another machine signed is noted outside
        the database here too, once it is proven. Raises RefusesToSign.
        """
        latest, head, marks = last(connection), Head(self._tree.size, self._tree.root()), self._marks(connection)
        if marks != self._proven:
            return None
        if latest and marks[-1] == (latest.size, latest.root) != self._heads.last():
            self._heads.note(connection, marks[-1], latest.at)
            self._proven = marks[-1:]
        if latest and latest.size >= head.size:
            return None
        signed = Checkpoint(*head, at, self._notary.note(text(self._notary.name, head)))
        connection.execute(
            "INSERT INTO checkpoint (size, root, at, note) VALUES (:size, :root, :at, :note)", signed._asdict()
        )
        if head not in self._proven:  # it is, where a kill came between the line and the commit of the row
            self._heads.note(connection, head, at)
            self._proven = [head]
        return signed

    def _marks(self, connection: Connection) -> list[Head]:
        """The last heads, inside and outside the database, the smaller first: what the tree must grow from."""
        kept = self._heads.last()  # before the snapshot: its events are then in it
        row = last(connection)
        if self._heads.missing(connection):
            raise RefusesToSign("heads-missing", _MISSING.format(file=self._heads.file))
        if row and not _true(row, self._notary):
            raise RefusesToSign("signature", _UNSIGNED.format(size=row.size))
        found = {kept} if kept else set()
        return sorted(found | {Head(row.size, row.root)} if row else found)


_UNSIGNED = "the checkpoint of {size} events is not signed with this store's key"
_MISSING = "{file} is missing, but heads were signed: restore it; an empty file says that this is known and accepted"


def _true(row: Checkpoint, notary: Notary) -> bool:
    return row.note == notary.note(text(notary.name, Head(row.size, row.root)))


# --- The check of everything -------------------------------------------------------------------------------------


def verify(connection: Connection, notary: Notary, heads: Heads, *, copy: bool = False) -> list[HeadFault]:
    """Every head, kept inside and outside the database, against its signature and the tree over all events.

    The tree is made of the stored hashes: that they are those of the stored events is the chain's check (`ledger`).
    `copy`: heads of more events than there are were signed after it was made, and are no fault (`ahead` tells them).
    """
    faults: list[HeadFault] = []
    length = heads.length()  # before the snapshot: what is signed while this runs is not in it
    inside = _signed(connection, notary, faults)
    outside = _kept(heads, length, faults)
    if copy:
        count = _count(connection)
        return [*_against(connection, merge(inside, (one for one in outside if one.size <= count))), *faults]
    if heads.missing(connection):
        faults.append(HeadFault("heads-missing", _MISSING.format(file=heads.file)))
    return [*_against(connection, merge(inside, outside)), *faults]


def ahead(connection: Connection, heads: Heads) -> Kept | None:
    """The newest head outside the database, where it is of more events than there are. Raises RefusesToSign."""
    newest = heads.newest()
    return newest if newest and newest.head.size > _count(connection) else None


def _signed(connection: Connection, notary: Notary, faults: list[HeadFault]) -> Iterator[Head]:
    for values in connection.rows("SELECT size, root, at, note FROM checkpoint ORDER BY size"):
        row = Checkpoint(*values)
        if not _true(row, notary):
            faults.append(HeadFault("signature", _UNSIGNED.format(size=row.size)))
        yield Head(row.size, row.root)


def _kept(heads: Heads, length: int, faults: list[HeadFault]) -> Iterator[Head]:
    try:
        yield from heads.all(length)
    except RefusesToSign as broken:
        faults.append(HeadFault(broken.code, str(broken)))


def _against(connection: Connection, heads: Iterable[Head]) -> list[HeadFault]:
    """The first head that the events do not come to: all behind it fail with it."""
    growing, count, fits = Frontier(), _count(connection), 0
    for head in heads:
        for _, leaf in leaves(connection, fits, head.size):
            growing.append(leaf)
        if head.size > count:
            told = f"there are {count} events, but a head of {head.size} was signed: the end was cut or put back"
            return [HeadFault("behind", told, _suspects(connection, fits, head.size))]
        if (growing.size, growing.root()) != head:
            told = f"events {fits + 1} to {head.size} are not those of the head that was signed"
            return [HeadFault("tree", told, _suspects(connection, fits, head.size))]
        fits = head.size
    return []


def _suspects(connection: Connection, after: int, until: int) -> tuple[str, ...]:
    """The streams with events between the two positions, and those of which other tables know more than the log."""
    rows = connection.execute(
        "SELECT stream FROM event WHERE position > :after AND position <= :until"
        " UNION SELECT 'case/' || id FROM case_row WHERE version <>"
        " (SELECT coalesce(max(version), 0) FROM event WHERE stream = 'case/' || id)"
        " UNION SELECT scope FROM data_key WHERE NOT EXISTS (SELECT 1 FROM event WHERE stream = scope) ORDER BY 1",
        {"after": after, "until": until},
    )
    return tuple(stream for (stream,) in rows)
