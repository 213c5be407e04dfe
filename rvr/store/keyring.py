"""What an operator does with the key file: make, show, rotate, split, restore. The desk may run meanwhile.

The file is always written whole, to the disk, before anything rests on it; what it holds besides what is known here is
kept. A write transaction of the database is the lock: two rotations at once cannot lose each other's master key.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rvr.core.moment import iso
from rvr.store import access, keys, shares
from rvr.store.access import Access
from rvr.store.engine import CannotOpen, Connection, transaction
from rvr.store.place import Place
from rvr.store.sealing import SealBroken, place_of, rewrap

AT_A_TIME = 200
"""Data keys wrapped anew in one transaction: some milliseconds, so that no command of the desk waits for long."""

ROTATING = "rotating"
"""In the key file while a rotation has not come to its end."""


@dataclass(frozen=True, slots=True)
class Master:
    """What may be shown of a master key."""

    id: str
    made: str
    """Empty for one that was made before this was noted."""
    seals: bool
    """New data keys are wrapped by it."""
    wraps: int
    """Data keys that it wraps now."""


def create(place: Place) -> str:
    """A key file where there is none; the id of its master key. Raises CannotOpen, and overwrites nothing."""
    if place.key_file.exists():
        raise CannotOpen(f"{place.key_file} is there already: nothing was changed")
    if place.exists():
        raise CannotOpen(f"{place.where} has a key file already, another would not open it: restore that one")
    keys.load(place.key_file, data=place.data, database_exists=False)
    return place.keys().masters[-1][0]


def show(place: Place) -> list[Master]:
    """The master keys, oldest first, without a secret."""
    masters = keys.raw(place.key_file)["masters"]
    wraps: Counter[str] = Counter()
    if place.exists():
        with place.opened() as connection:
            wraps.update(dict(connection.execute(_WRAPPED)))
    last = masters[-1]["id"]
    return [Master(one["id"], one.get("made", ""), one["id"] == last, wraps[one["id"]]) for one in masters]


_WRAPPED = "SELECT master_id, count(*) FROM data_key WHERE length(wrapped) > 0 GROUP BY master_id"


def rotate(place: Place, note: Access) -> tuple[str, int]:
    """Wraps every data key under a new master key; its id, and how many keys that were.

    A rotation that was cut off is finished first, and makes no other key. Older master keys stay in the file, since
    backups that were made before need them. Raises CannotOpen, SealBroken.
    """
    file = place.key_file.resolve()
    with place.opened() as connection:
        with transaction(connection):
            told = keys.raw(file)
            if ROTATING not in told:
                told["masters"].append(keys.fresh_master())
                told[ROTATING] = iso(note.at)
                keys.replace(file, told)
            access.record(connection, note)
        found, done = keys.parse(told, file), 0
        while count := _rewrap_some(connection, found):
            done += count
        with transaction(connection):
            told = keys.raw(file)
            told.pop(ROTATING, None)
            keys.replace(file, told)
    return found.masters[-1][0], done


def _rewrap_some(connection: Connection, found: keys.Keys) -> int:
    """Wraps some of the data keys that are not yet under the newest master key; how many."""
    newest, key = found.masters[-1]
    with transaction(connection):
        rows = connection.execute(
            "SELECT key_id, scope, master_id, wrapped FROM data_key WHERE master_id <> :newest AND length(wrapped) > 0"
            " LIMIT :most",
            {"newest": newest, "most": AT_A_TIME},
        ).fetchall()
        for key_id, scope, master_id, wrapped in rows:
            anew = rewrap(wrapped, place_of(scope, key_id), found.master(master_id), key)
            connection.execute(
                "UPDATE data_key SET master_id = :master, wrapped = :wrapped WHERE key_id = :key_id",
                {"master": newest, "wrapped": anew, "key_id": key_id},
            )
    return len(rows)


def split(place: Place, out: Path, force: str, need: int, of: int, note: Access) -> list[Path]:
    """Writes the key file as shares into a new folder; their files. Raises CannotOpen, BadShare."""
    place.keys()  # what does not open must not be split
    told = keys.raw(place.key_file)
    if ROTATING in told:
        raise CannotOpen("a rotation of the keys was cut off: finish it first (keys rotate)")
    if out.exists() and any(out.iterdir()):
        raise CannotOpen(f"{out} is not empty: name a new folder")
    if out.resolve().is_relative_to(place.data.resolve()):
        raise CannotOpen(f"{out} lies inside the data folder: a copy would open itself")
    made = shares.split(json.dumps(told, separators=(",", ":")).encode(), force, need, of)
    if place.exists():
        with place.opened() as connection, transaction(connection):
            access.record(connection, note)
    files = []
    for one in made:
        file = out / f"share-{one.number}-of-{one.of}.txt"
        keys.create(file, one.text())
        files.append(file)
    return files


def restore(place: Place, files: list[Path], out: Path, note: Access) -> bool:
    """Writes the key file again from shares of it; whether there was a database to try it on, which it then opened.

    Raises BadShare, or CannotOpen when it does not open this store; nothing is written then, nor over another file.
    """
    if out.exists():
        raise CannotOpen(f"{out} is there already: nothing was changed")
    if out.resolve().is_relative_to(place.data.resolve()):
        raise CannotOpen(f"{out} lies inside the data folder: a copy would open itself")
    told: dict[str, Any] = json.loads(shares.join([shares.read(_text(file), file.name) for file in files]))
    found = keys.parse(told, out)
    tried = place.exists()
    if tried:
        with place.opened(found) as connection:
            faults = misfits(connection, found)
            if faults:
                raise CannotOpen(f"the key file of these shares does not open {place.where}: {faults[0]}")
            with transaction(connection):
                access.record(connection, note)
    keys.create(out, told)
    return tried


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise shares.BadShare(f"{file} cannot be read") from fault


def misfits(connection: Connection, found: keys.Keys) -> list[str]:
    """Why these keys do not open everything that is sealed: master keys that are missing or are others."""
    faults = []
    for master_id, key_id, scope, wrapped in connection.execute(
        "SELECT master_id, key_id, scope, wrapped FROM data_key WHERE key_id IN"
        " (SELECT min(key_id) FROM data_key WHERE length(wrapped) > 0 GROUP BY master_id)"
    ):
        try:
            master = found.master(master_id)
            rewrap(wrapped, place_of(scope, key_id), master, master)
        except (CannotOpen, SealBroken) as fault:
            faults.append(str(fault) if isinstance(fault, CannotOpen) else f"master key {master_id} is another one")
    return faults
