"""Pseudonyms of the evaluator's export: keyed, one key a project, so that no two projects' exports can be joined.

A plain hash of a telephone number or a reference is found by trying them all; these need the key, which stays outside.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from rvr.evaluation import codebook

_KEY_BYTES = 32
_ROLE_WORDS = ("bot", "media", "carrier", "victim", "guest", "unknown_browser")


class CannotExport(Exception):
    """The package cannot be written there, or not with that key. The message says why, for whoever runs the desk."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code
        """Why the log's head is not signed, as `RefusesToSign` has it; empty where it is something else."""


class Alias:
    """Makes pseudonyms under a project's key: no two projects' exports can be joined by them."""

    def __init__(self, project: str, key: bytes) -> None:
        self.project, self._key = project, key

    def __call__(self, kind: str, subject: str) -> str:
        """80 bits, in hex; empty for nobody."""
        if not subject:
            return ""
        return hmac.digest(self._key, f"{kind}|{subject}".encode(), "sha256").hex()[:20]

    def number(self, kind: str, subject: str) -> int:
        """A number of 64 bits that nobody can tell without the key, the same for the same subject."""
        return int.from_bytes(hmac.digest(self._key, f"{kind}|{subject}".encode(), "sha256")[:8], "big")

    def person(self, by: str) -> str:
        """Members of staff by pseudonym; the others by their role."""
        role = by.partition(":")[0]
        return role if role in _ROLE_WORDS else self("staff", by)


def load_project(file: Path) -> Alias:
    """The project's key, made at first use. Raises CannotExport for a file that is no such key or that others read."""
    try:
        if not file.exists():
            _create_project(file)
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise CannotExport(f"the project key {file} can be read by others: chmod 600")
        told = json.loads(file.read_text())
        project, key = str(told["id"]), bytes.fromhex(told["key"])
    except OSError as error:
        raise CannotExport(f"the project key {file} cannot be used: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CannotExport(f"{file} is not a project key of this program") from error
    if len(key) != _KEY_BYTES or not codebook.CODE.fullmatch(project):
        raise CannotExport(f"{file} is not a project key of this program")
    return Alias(project, key)


def _create_project(file: Path) -> None:
    """Writes the file whole or not at all; of two exports at once, one makes the key and both use it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = {"id": f"project-{secrets.token_hex(4)}", "key": secrets.token_hex(_KEY_BYTES)}
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "w") as out:
            json.dump(fresh, out)
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        Path(draft).unlink()
