"""`verify`: whether a live store, a backup or an export is as it was written, and what that proves.

What lies at the path decides which of them it is. A backup is read as it lies there, and nothing is written beside it.
"""

from __future__ import annotations

import asyncio
import sys
import zipfile
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rvr import exhibits
from rvr.anchoring import checking
from rvr.config import Settings
from rvr.opening import open_store, place_of
from rvr.store import access, anchors, backup, checkpoints, ledger, sqlite
from rvr.store.checkpoints import Checkpoint, Heads, RefusesToSign
from rvr.store.engine import CannotOpen, Connection
from rvr.store.notes import Notary
from rvr.terminal import say

PACKAGE = ("MANIFEST.sha256", "MANIFEST.sig", "checkpoint.txt", "datapackage.json", "verify.py")
"""A folder with any of these is an export, whole or not."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a log came to."""

    faults: Sequence[str]
    head: Checkpoint | None
    events: int
    key: str
    anchored: Sequence[str]
    """What is told of the anchors outside."""
    copy: Sequence[str] = ()
    """What is told of recordings and stills, or of a backup, besides."""


def run(path: Path | None, key: str, settings: Settings) -> int:
    """Says every fault, or what was proven. 0 without a fault, 1 with any, 2 where there is nothing to check."""
    if path is None:
        return _tell(asyncio.run(_live(settings, key)))
    if (path / backup.MANIFEST).is_file():
        return _tell(_backup(path, settings, key))
    if zipfile.is_zipfile(path) or path.suffix == ".zip" or any((path / name).is_file() for name in PACKAGE):
        from rvr.evaluation import verify as package

        return package.main(path, key)
    sys.stderr.write(
        f"{path} is neither an export (a folder with MANIFEST.sha256, or its .zip) nor a backup (a folder with"
        f" {backup.MANIFEST}). A data folder is checked with --data.\n"
    )
    return 2


async def _live(settings: Settings, key: str) -> Found:
    """The chain of each case and of the access log, all events against the signed heads, and the anchors."""
    async with open_store(settings, existing=True) as store:
        anchored = await checking.check(store, settings)
        kept = await asyncio.to_thread(exhibits.check, store, settings.recordings_path)
        faults = [*map(str, await store.verify()), *kept.faults, *anchored.faults, *_another(key, store.notary)]
        beside = [*kept.told, *([f"Sealed files of recordings and stills: {kept.files}."] if kept.files else [])]
        head, position = await store.head(), await store.position()
        return Found(faults, head, position, store.notary.verifier, anchored.told, beside)


def _backup(path: Path, settings: Settings, key: str) -> Found:
    """The same of a copy; its manifest and its pages first. Raises CannotOpen."""
    place = place_of(settings)
    with backup.opened(path, place.key_file) as (manifest, keys, log):
        try:
            (origin,) = log.execute("SELECT value FROM setting WHERE key = 'log'").fetchone()
            notary, heads = Notary(origin, keys.signing), Heads(place.heads_file, origin)
            anchored = checking.check_all(anchors.every(log) if _has(log, "anchor") else (), settings)
            faults = [
                *backup.faults(log, manifest, keys),
                *backup.others(path, manifest),
                *ledger.verify_all(log),
                *checkpoints.verify(log, notary, heads, copy=True),
                *access.verify(log),
                *anchored.faults,
                *_another(key, notary),
            ]
            told = f"Backup as of {manifest.made_at}, {manifest.position} events. {_later(log, heads, manifest)}"
            head = checkpoints.last(log)
        except (sqlite.dbapi.Error, TypeError) as broken:
            raise CannotOpen(f"{path / manifest.file} is not sound: {broken}") from broken
    return Found([*map(str, faults)], head, manifest.position, notary.verifier, anchored.told, [told])


def _has(log: Connection, table: str) -> bool:
    """A backup of an older version lacks the tables that came later."""
    told = {"table": table}
    return (
        log.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :table", told).fetchone() is not None
    )


def _another(key: str, notary: Notary) -> list[str]:
    return [f"it is signed with another key, {notary.verifier}"] if key not in ("", notary.verifier) else []


def _later(log: Connection, heads: Heads, manifest: backup.Manifest) -> str:
    """How far the newest signed head is ahead of the backup: that is no fault of it."""
    if not heads.file.exists():
        return f"There is no {heads.file}: whether more was signed since is not known."
    try:
        newest = checkpoints.ahead(log, heads)
    except RefusesToSign as broken:
        return f"{broken}: how much was signed since is not known."
    if newest is None:
        return f"{heads.file} has no head of more."
    missing = newest.head.size - manifest.position
    signed = f"{heads.file} has a head of {newest.head.size} events, signed at {newest.at}"
    return f"{signed}: {missing} of them were recorded later and are not in the backup."


def _tell(found: Found) -> int:
    for fault in found.faults:
        say(fault)
    if found.faults:
        say(f"{len(found.faults)} faults")
    else:
        say("No fault: all that both logs hold is as it was written. docs/LOG.md says what this does not prove.")
        signed = found.head.size if found.head else 0
        if signed:
            say(f"Proven: the first {signed} events are those of the head that was signed last, in their order.")
        since = found.events - signed
        say(f"Proven of the {since} events that no head covers yet, and of the access log: no chain is broken.")
        say("Not proven: that what was typed is true; against whoever holds the key file and heads.txt,")
        say("anything but what is anchored outside:" if found.anchored else "anything: nothing is anchored outside.")
    for line in (*found.anchored, *found.copy):
        say(line)
    if head := found.head:
        say(f"Signed head: {head.size} events, root {b64encode(head.root).decode()}, signed at {head.at}")
    say(f"Public key: {found.key}")
    return 1 if found.faults else 0
