"""What a disk may hold after a power cut, made from the trace of what was done to it (`disk`).

Of a file that was not synced since, every 512-byte sector is as it was at some moment since the last sync, each at a
moment of its own, and so is the file's length; sectors that were never written read as zeros. Of a folder that was not
synced since, the changes of names are there up to some moment. A disk that lies about a sync is not modelled.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.disk import Record

SECTOR = 512
"""What a disk writes whole or not at all. SQLite too takes for granted that a torn write harms no other sector."""

KEPT = (0.0, 0.1, 0.5, 0.9, 1.0)
"""How much of what was not synced a cut may leave, from all lost to all kept."""


def _moment(dice: random.Random, kept: float, latest: int) -> int:
    """How many of so many unsynced changes reached the disk."""
    if dice.random() < kept:
        return latest
    return dice.randrange(latest) if kept and latest else 0


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


@dataclass(eq=False)
class File:
    """A file: what is on the disk for certain, and what was done to it since."""

    durable: bytearray = field(default_factory=bytearray)
    changes: list[tuple[int, bytes | None]] = field(default_factory=list)
    """(offset, bytes) of each write, (size, None) of each truncation."""

    def sync(self) -> None:
        for at, written in self.changes:
            if written is None:
                _resize(self.durable, at)
            else:
                _resize(self.durable, max(len(self.durable), at))
                self.durable[at : at + len(written)] = written
        self.changes = []

    def after(self, dice: random.Random, kept: float) -> bytearray:
        """The content after a cut; with `kept` at 1 it is all that was written."""
        content, moments = bytearray(self.durable), dict[int, int]()
        sizes = [len(content)]
        length_seen = _moment(dice, kept, len(self.changes))
        for number, (at, written) in enumerate(self.changes):
            if written is None:
                sizes.append(at)
                if number < length_seen:
                    del content[at:]
                continue
            sizes.append(max(sizes[-1], at + len(written)))
            end = at + len(written)
            for start in range(at - at % SECTOR, end, SECTOR):
                if start not in moments:
                    moments[start] = _moment(dice, kept, len(self.changes))
                if number < moments[start]:
                    low, high = max(at, start), min(end, start + SECTOR)
                    _resize(content, max(len(content), low))
                    content[low:high] = written[low - at : high - at]
        _resize(content, sizes[length_seen])
        return content


@dataclass(eq=False)
class Folder:
    """A folder: the names in it for certain, and what was done to them since. A name without a node is gone."""

    durable: dict[str, File | Folder] = field(default_factory=dict)
    changes: list[dict[str, File | Folder | None]] = field(default_factory=list)

    def sync(self) -> None:
        self.durable, self.changes = self._names(len(self.changes)), []

    def after(self, dice: random.Random, kept: float) -> dict[str, File | Folder]:
        return self._names(_moment(dice, kept, len(self.changes)))

    def _names(self, seen: int) -> dict[str, File | Folder]:
        names: dict[str, File | Folder | None] = dict(self.durable)
        for change in self.changes[:seen]:
            names |= change
        return {name: node for name, node in names.items() if node is not None}


class Disk:
    """A disk that goes through a trace, record by record."""

    def __init__(self, root: Path) -> None:
        self._root = Folder()
        self._nodes: dict[Path, File | Folder] = {root: self._root}
        self._open: dict[int, File | Folder] = {}
        self.acknowledged = ""
        """All that was said on standard output."""
        self.syncs = 0

    def take(self, record: Record) -> None:
        if record.what in "OLRUM":
            self._take_name(record)
            return
        node = self._open.get(record.fd)
        match record.what, node:
            case "B", _:
                self._open = {}
            case "A", _:
                self.acknowledged += record.payload.decode()
            case "W", File():
                node.changes.append((record.number, record.payload))
            case "T", File():
                node.changes.append((record.number, None))
            case "S", File() | Folder():
                node.sync()
                self.syncs += 1
            case _:
                raise AssertionError(f"not to be understood: {record}")

    def _take_name(self, record: Record) -> None:
        path, *other = map(Path, record.paths)
        match record.what:
            case "O":
                if record.number:
                    self._name({path: File()})
                self._open[record.fd] = self._nodes[path]
            case "M":
                self._name({path: Folder()})
            case "U":
                self._name({path: None})
            case "L":
                self._name({other[0]: self._nodes[path]})
            case _:
                self._name({path: None, other[0]: self._nodes[path]})

    def _name(self, changed: dict[Path, File | Folder | None]) -> None:
        """Names come and go; those in one folder at one moment."""
        for folder in {path.parent for path in changed}:
            where = self._nodes[folder]
            assert isinstance(where, Folder)
            where.changes.append({path.name: node for path, node in changed.items() if path.parent == folder})
        for path, node in changed.items():
            if node is None:
                del self._nodes[path]
            else:
                self._nodes[path] = node

    def cut(self, target: Path, dice: random.Random, kept: float) -> Path:
        """Writes into `target` what may be left of the disk; gives `target` back."""
        self._write(self._root, target, dice, kept)
        return target

    def _write(self, folder: Folder, target: Path, dice: random.Random, kept: float) -> None:
        target.mkdir(mode=0o700)
        for name, node in folder.after(dice, kept).items():
            if isinstance(node, Folder):
                self._write(node, target / name, dice, kept)
            elif not name.endswith("-shm"):  # only mapped, and made again by whoever opens the database first
                (target / name).write_bytes(node.after(dice, kept))
                (target / name).chmod(0o600)


def through(records: Iterable[Record], root: Path) -> Disk:
    """The disk behind all of these records."""
    disk = Disk(root)
    for record in records:
        disk.take(record)
    return disk
