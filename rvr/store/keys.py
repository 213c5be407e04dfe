"""The key file: everything that opens the database and what is sealed in it.

It lies outside the data folder, so that a copy of the data alone opens nothing. It is created once, with an empty
store; a store whose key file is missing is never given a new one. Losing this file loses the personal data for ever.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rvr.core.moment import iso
from rvr.store.engine import CannotOpen
from rvr.timekeeping import observe

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
    signing: bytes = b""
    """Seed of the Ed25519 key (RFC 8032) that signs checkpoints and exports; empty in an older key file."""

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
    found = _parse(file)
    return found if found.signing else _with_signing_key(file, found)


def _with_signing_key(file: Path, found: Keys) -> Keys:
    """Adds the signing key that a file of 0.1.0 lacks: derived, so that two starts at once add the same one."""
    seed = hmac.digest(found.index, b"signing/ed25519", "sha256")
    replace(file, raw(file) | {"signing": seed.hex()})
    return _parse(file)


def _parse(file: Path) -> Keys:
    return parse(raw(file), file)


def raw(file: Path) -> dict[str, Any]:
    """The key file as it is written, with whatever later versions put there. Raises CannotOpen."""
    try:
        told = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CannotOpen(f"{file} is not a key file of this program, or cannot be read") from error
    if not isinstance(told, dict):
        raise CannotOpen(f"{file} is not a key file of this program")
    return told


def parse(told: dict[str, Any], file: Path) -> Keys:
    """The keys that a key file tells; `file` only names it. Raises CannotOpen."""
    try:
        keys = Keys(
            tuple((master["id"], _key(master["key"])) for master in told["masters"]),
            _key(told["index"]),
            _key(told["database"]),
            _key(told["signing"]) if "signing" in told else b"",
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


def fresh() -> dict[str, Any]:
    """A new key file's text, not yet written."""
    return {
        "format": 1,
        "masters": [fresh_master()],
        "index": secrets.token_hex(KEY_BYTES),
        "database": secrets.token_hex(KEY_BYTES),
        "signing": secrets.token_hex(KEY_BYTES),
    }


def fresh_master() -> dict[str, str]:
    """A new master key as the key file tells it."""
    return {"id": secrets.token_hex(8), "key": secrets.token_hex(KEY_BYTES), "made": iso(observe().at)}


def _create(file: Path) -> None:
    with contextlib.suppress(FileExistsError):
        create(file, fresh())


def create(file: Path, told: dict[str, Any] | str) -> None:
    """Writes the file whole or not at all, and to the disk, before anything is encrypted with it.

    A link, unlike a rename, never replaces: of two first starts at once, one's keys hold for both. Raises
    FileExistsError.
    """
    draft = _draft(file, told)
    try:
        file.hardlink_to(draft)
    finally:
        draft.unlink()
        sync_folder(file)


def replace(file: Path, told: dict[str, Any]) -> None:
    """Puts this in the place of the key file: after a kill there is the old one or the new one, and on the disk."""
    _draft(file, told).replace(file)
    sync_folder(file)


def _draft(file: Path, told: dict[str, Any] | str) -> Path:
    make_folder(file.parent)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(told if isinstance(told, str) else json.dumps(told, indent=1))
        out.flush()
        os.fsync(out.fileno())
    return draft


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Makes the folder where it is missing, with those above it, and brings each one's name to the disk: a synced file
    is lost all the same with a folder that is not."""
    if not folder.exists():
        make_folder(folder.parent, 0o777)
        folder.mkdir(mode, exist_ok=True)
        sync_folder(folder)


def sync_folder(file: Path) -> None:
    """Brings the file's name to the disk."""
    if os.name == "posix":
        folder = os.open(file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
