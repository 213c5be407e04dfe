"""A copy of the store that is known to be good, and the way back.

The copy is made in one read transaction while the desk works (`VACUUM INTO`, encrypted with the same key), brought to
the disk, and then examined like the live store. Sealed recordings and stills are copied behind it, so that the copy has
at least what its log tells of them. The manifest is written last: a folder without one is no backup. Keys never go with
it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rvr.core.moment import iso
from rvr.store import access, keys, ledger, log, migrations
from rvr.store.access import Access
from rvr.store.engine import CannotOpen, Connection, transaction
from rvr.store.keyring import misfits
from rvr.store.place import Place
from rvr.store.sqlite import connect, dbapi

FORMAT = "rvr-backup/1"
MANIFEST = "MANIFEST.json"
PARTIAL = ".partial"
BESIDE = "recordings"
"""The folder of sealed files beside the database (`rvr.exhibits`)."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    format: str
    made_at: str
    force: str
    file: str
    size: int
    sha256: str
    position: int
    """Feed position of the last event in it."""
    access: int
    """Number of the last row of the access log in it."""
    masters: tuple[str, ...]
    """Ids of the master keys that open it; the keys themselves are elsewhere."""
    beside: tuple[tuple[str, int, str], ...] = ()
    """Name, size and SHA-256 of each sealed file of a recording or a still."""


def make(place: Place, out: Path, force: str, note: Access) -> Manifest:
    """Writes a backup into the new folder `out`, and examines it. Raises CannotOpen, and leaves no `out` then.

    The access log says so before the copy is made: the copy has that row, too.
    """
    _refuse_server(place)
    _refuse_filled(out)
    if out.resolve().is_relative_to(place.data.resolve()):
        raise CannotOpen(f"{out} lies inside the data folder {place.data}: it would be lost with it")

    def fill(draft: Path) -> Manifest:
        copy = draft / place.file.name
        with place.opened() as connection:
            with transaction(connection):
                access.record(connection, note)
            connection.execute("VACUUM INTO :copy", {"copy": str(copy)})
        _sync(copy)
        found = place.keys()
        position, seq, masters = _examined(copy, found)
        told = (copy.name, copy.stat().st_size, _digest(copy), position, seq, masters, _copied(place.data, draft))
        manifest = Manifest(FORMAT, iso(note.at), force, *told)
        (draft / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
        _sync(draft / MANIFEST)
        return manifest

    return _filled(out, fill)


def restore(backup: Path, place: Place, note: Access) -> Manifest:
    """Puts a backup into a new data folder, and examines it there. Raises CannotOpen, and leaves no folder then."""
    _refuse_server(place)
    data = place.data
    _refuse_filled(data)
    manifest = read(backup)
    if place.key_file.resolve().is_relative_to(data.resolve()):
        raise CannotOpen(f"the key file {place.key_file} lies inside the data folder {data}")
    if not place.key_file.exists():
        raise CannotOpen(f"the key file {place.key_file} is missing: put it there, or name it with --key-file")

    def fill(draft: Path) -> Manifest:
        copy = draft / place.file.name
        shutil.copyfile(backup / manifest.file, copy)
        _sync(copy)
        _refuse_other(copy, backup / manifest.file, manifest)
        found = keys.load(place.key_file, data=draft, database_exists=True)
        position, seq, _ = _examined(copy, found)
        if (position, seq) != (manifest.position, manifest.access):
            raise CannotOpen(f"{backup} does not hold what its manifest says")
        _copied(backup, draft)
        if wrong := _others(draft, manifest):
            raise CannotOpen(f"{backup / wrong[0]} is not what its manifest says: it was changed or cut off")
        with contextlib.closing(connect(copy, found.database, write=True)) as connection:
            access.record(connection, note)
        return manifest

    return _filled(data, fill)


def read(backup: Path) -> Manifest:
    """The manifest of a backup. Raises CannotOpen."""
    try:
        told = json.loads((backup / MANIFEST).read_text(encoding="utf-8"))
        lists = {"masters": tuple(told["masters"]), "beside": tuple(map(tuple, told.get("beside", ())))}
        manifest = Manifest(**{**told, **lists})
    except (OSError, ValueError, TypeError, KeyError) as fault:
        raise CannotOpen(f"{backup} is no whole backup: its {MANIFEST} is missing or cannot be read") from fault
    if manifest.format != FORMAT or Path(manifest.file).name != manifest.file:
        raise CannotOpen(f"{backup} is a backup of another format")
    return manifest


@contextlib.contextmanager
def opened(backup: Path, key_file: Path) -> Iterator[tuple[Manifest, keys.Keys, Connection]]:
    """A backup as it lies there, held against its manifest first. Nothing is written to it. Raises CannotOpen."""
    manifest = read(backup)
    file, where = backup / manifest.file, str(backup)
    _refuse_other(file, file, manifest)
    found = keys.load(key_file, data=backup, database_exists=True)
    with contextlib.closing(connect(file, found.database, write=False, frozen=True)) as connection:
        connection.execute("PRAGMA cipher_log_level = NONE")
        migrations.refuse_newer(
            (step for (step,) in connection.execute("SELECT version_num FROM alembic_version")), where
        )
        yield manifest, found, connection


def faults(connection: Connection, manifest: Manifest, found: keys.Keys) -> list[str]:
    """What of an opened backup is not sound besides its logs: pages, keys, and what its manifest says of it."""
    if broken := _pages(connection):
        return broken
    told = log.position(connection), _last_access(connection), _masters(connection)
    same = told == (manifest.position, manifest.access, manifest.masters)
    return misfits(connection, found) + ([] if same else ["it does not hold what its manifest says"])


def others(backup: Path, manifest: Manifest) -> list[str]:
    """The sealed files that are missing from a backup, or are not what its manifest says."""
    return [f"{name}: is not what the manifest says, or is missing" for name in _others(backup, manifest)]


def _copied(source: Path, draft: Path) -> tuple[tuple[str, int, str], ...]:
    """Copies the sealed files; one that still grows is copied as far as it is now."""
    if not (source / BESIDE).is_dir():
        return ()
    shutil.copytree(source / BESIDE, draft / BESIDE)
    copied = sorted(path for path in (draft / BESIDE).rglob("*") if path.is_file())
    for path in copied:
        _sync(path)
    for folder in {path.parent for path in copied}:
        _sync(folder)
    return tuple((path.relative_to(draft).as_posix(), path.stat().st_size, _digest(path)) for path in copied)


def _others(folder: Path, manifest: Manifest) -> list[str]:
    return [name for name, size, told in manifest.beside if not _same(folder / name, size, told)]


def _same(path: Path, size: int, told: str) -> bool:
    try:
        return (path.stat().st_size, _digest(path)) == (size, told)
    except FileNotFoundError:
        return False


def _refuse_other(copy: Path, named: Path, manifest: Manifest) -> None:
    if not _same(copy, manifest.size, manifest.sha256):
        raise CannotOpen(f"{named} is not what its manifest says: it was changed or cut off")


def _refuse_server(place: Place) -> None:
    if place.url:
        raise CannotOpen(
            f"{place.where}: a server is copied with its own tools (pg_basebackup, pg_dump); see docs/LOG.md"
        )


def _refuse_filled(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotOpen(f"{folder} is not empty: name a new folder")


def _filled(folder: Path, fill: Callable[[Path], Manifest]) -> Manifest:
    """Fills a folder beside it, and gives it its name when it is whole. What was left by a kill is made anew."""
    draft = folder.with_name(folder.name + PARTIAL)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    try:
        manifest = fill(draft)
        _sync(draft)
        draft.replace(folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return manifest


def _examined(copy: Path, found: keys.Keys) -> tuple[int, int, tuple[str, ...]]:
    """Last position, last row of the access log, master keys. Raises CannotOpen for anything that is not sound."""
    with contextlib.closing(connect(copy, found.database, write=False)) as connection:
        connection.execute("PRAGMA cipher_log_level = NONE")  # what is wrong is told in one sentence
        try:
            faults = _pages(connection) or [*_chains(connection), *misfits(connection, found)]
            told = log.position(connection), _last_access(connection), _masters(connection)
        except dbapi.Error as broken:
            raise CannotOpen(f"{copy} is not sound: {broken}") from broken
    if faults:
        raise CannotOpen(f"{copy} is not sound: {faults[0]}" + (f", and {len(faults) - 1} more" * (len(faults) > 1)))
    return told


def _pages(connection: Connection) -> list[str]:
    faults = [str(row[0]) for row in connection.execute("PRAGMA cipher_integrity_check")]
    return faults or [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]


def _chains(connection: Connection) -> list[str]:
    return [str(one) for one in (*ledger.verify_all(connection), *access.verify(connection))]


def _last_access(connection: Connection) -> int:
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM access").fetchone()
    return int(last)


def _masters(connection: Connection) -> tuple[str, ...]:
    rows = connection.execute("SELECT DISTINCT master_id FROM data_key WHERE length(wrapped) > 0 ORDER BY master_id")
    return tuple(row[0] for row in rows)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """To the disk; of a folder, the names in it."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
