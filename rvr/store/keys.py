"""The key file: everything that opens the database and what is sealed in it.

It lies outside the data folder, so that a copy of the data alone opens nothing. It is created once, with an empty
store; a store whose key file is missing is never given a new one. Losing this file loses the personal data for ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rvr.store.engine import CannotOpen

KEY_BYTES = 32
"""AES-256 (FIPS 197), HMAC-SHA256 and SQLCipher's raw key all take 32 bytes."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The keys of one store. Has no repr, so that no log can hold one."""

    masters: tuple[tuple[str, bytes], ...]
    """(id, key), oldest first: the last wraps new data keys, the others still open older ones."""
    index: bytes
    """For blind indexes (HMAC of a normalised value)."""
    database: bytes
    """SQLCipher's raw key."""

    def master(self, master_id: str) -> bytes:
        for known, key in self.masters:
            if known == master_id:
                return key
        raise CannotOpen(f"the key file lacks master key {master_id}")


def load(file: Path, *, data: Path, database_exists: bool) -> Keys:
    """The keys in `file`, made at first use. Raises CannotOpen where that would be unsafe or is too late."""
    if file.resolve().is_relative_to(data.resolve()):
        raise CannotOpen(f"the key file {file} lies inside the data folder {data}: a copy would open itself")
    if not file.exists():
        if database_exists:
            raise CannotOpen(f"the key file {file} is missing, but its database exists: restore it from its backup")
        _create(file)
    if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise CannotOpen(f"the key file {file} can be read by others: chmod 600")
    return _parse(file)


def _parse(file: Path) -> Keys:
    try:
        told = json.loads(file.read_text())
        keys = Keys(
            tuple((master["id"], _key(master["key"])) for master in told["masters"]),
            _key(told["index"]),
            _key(told["database"]),
        )
        known = told["format"] == 1 and bool(keys.masters)
    except (ValueError, KeyError, TypeError) as error:
        raise CannotOpen(f"{file} is not a key file of this program") from error
    if not known:
        raise CannotOpen(f"{file} is a key file of another format, or has no master key")
    return keys


def _key(text: str) -> bytes:
    key = bytes.fromhex(text)
    if len(key) != KEY_BYTES:
        raise ValueError("wrong length")
    return key


def _fresh() -> dict[str, Any]:
    return {
        "format": 1,
        "masters": [{"id": secrets.token_hex(8), "key": secrets.token_hex(KEY_BYTES)}],
        "index": secrets.token_hex(KEY_BYTES),
        "database": secrets.token_hex(KEY_BYTES),
    }


def _create(file: Path) -> None:
    """Writes the file whole or not at all, and to the disk, before anything is encrypted with it.

    A link, unlike a rename, never replaces: of two first starts at once, one's keys hold for both.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(_fresh(), out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    with contextlib.suppress(FileExistsError):
        file.hardlink_to(draft)
    draft.unlink()
    if os.name == "posix":
        folder = os.open(file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
