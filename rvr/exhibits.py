"""The sealed files of recordings and stills: their keys, what is played of them, and whether they are as they were.

A file's key is derived from its case's and stored nowhere: when the case's key is destroyed, it is gone. The files lie
in the data folder: `recordings/<recording>/<seat>.<part>.rvrrec` and `recordings/stills/<case>/<still>.rvrstill`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mmap
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.commands import Picture
from rvr.core.exhibits import Taped
from rvr.core.recording import Reel, fold_reel
from rvr.media import Still, blocks
from rvr.store.store import Store

FOLDER: Final = "recordings"
STILLS: Final = "stills"
_NONCE: Final = 12
_CHUNK: Final = 1 << 16
AT_ONCE: Final = 2
"""Playable files made at one time: each takes a core for seconds."""


# --- Keys and files ----------------------------------------------------------------------------------------------


async def key_of(store: Store, case_id: str, what: str) -> bytes | None:
    """The key of a recording or a still of this case; None once the case is erased."""

    return await asyncio.to_thread(_key, store, case_id, what)


def _key(store: Store, case_id: str, what: str) -> bytes | None:
    return store.derive(f"case/{case_id}", f"recording/{what}")


async def reel_of(store: Store, recording: str) -> Reel:
    """What the log says of a recording's files."""
    return fold_reel(recording, await store.load(f"recording/{recording}"))


def file_of(folder: Path, recording: str, seat: str, part: int) -> Path:
    return folder / recording / f"{seat}.{part}.rvrrec"


def files_of(folder: Path, tape: Taped, side: str) -> list[Path]:
    """One side's files of a recording, in the order in which they were begun. `folder` is that of all recordings."""
    seat = tape.seats.get(side, "")
    found = (folder / tape.id).glob(f"{seat}.*.rvrrec") if seat else ()
    return sorted(found, key=lambda path: int(path.suffixes[-2].removeprefix(".")))


def keep_still(path: Path, still: Still, key: bytes) -> Picture:
    """Seals a still into its file, which is on the disk when this returns. Raises OSError."""
    nonce = os.urandom(_NONCE)
    sealed = nonce + AESGCM(key).encrypt(nonce, still.jpeg, path.stem.encode())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(sealed)
        file.flush()
        os.fsync(handle)
    return Picture(path.stem, sha256(still.jpeg).hexdigest(), still.width, still.height)


def open_still(path: Path, key: bytes, told: str) -> bytes:
    """The JPEG file. Raises FileNotFoundError, and ValueError for one that is not what was kept under `told`."""
    sealed = path.read_bytes()
    try:
        jpeg = AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], path.stem.encode())
    except (InvalidTag, ValueError):
        raise ValueError(f"{path.name} was changed") from None
    if sha256(jpeg).hexdigest() != told:
        raise ValueError(f"{path.name} is another one")
    return jpeg


def still_file(folder: Path, case_id: str, still: str) -> Path:
    return folder / STILLS / case_id / f"{still}.rvrstill"


# --- What is played and given away -------------------------------------------------------------------------------

_making = asyncio.Semaphore(AT_ONCE)


class NotPlayable(Exception):
    """The process that makes the playable file failed."""


async def playable(files: Iterable[Path], key: bytes, since_ns: int | None) -> AsyncGenerator[bytes]:
    """The playable file of one side, piece by piece, made of the sealed blocks as they are read: it is kept nowhere.

    Raises NotPlayable.
    """
    asked = {"files": [str(path) for path in files], "key": key.hex(), "since_ns": since_ns}
    async with _making:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rvr.media.playable"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": os.environ.get("PATH", "")},
        )
        assert child.stdin is not None  # noqa: S101 - asked for above
        assert child.stdout is not None  # noqa: S101
        try:
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            await child.stdin.drain()
            child.stdin.close()
            while chunk := await child.stdout.read(_CHUNK):
                yield chunk
            if await child.wait():
                raise NotPlayable
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


async def hash_of(files: Iterable[Path], key: bytes, since_ns: int | None) -> str:
    """SHA-256 of the playable file: the same blocks give the same bytes, whenever it is made. Raises NotPlayable."""
    digest = sha256()
    async for chunk in playable(files, key, since_ns):
        digest.update(chunk)
    return digest.hexdigest()


def zero_of(folder: Path, tape: Taped) -> int | None:
    """From when all sides' playable files of a recording count, so that they can be played side by side."""
    begun = []
    for side in tape.seats:
        for path in files_of(folder, tape, side)[:1]:
            with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
                begun.append(int(blocks.facts_of(file.read(blocks.MAX_HEADER_BYTES))["monotonic_ns"]))
    return min(begun) - 1_000_000_000 if begun else None  # a header is written up to a second after the first packet


# --- Whether all is as it was ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of the files came to."""

    faults: tuple[str, ...]
    files: int
    told: tuple[str, ...] = ()
    """What is no fault and still to be known."""


def check(store: Store, folder: Path) -> Checked:
    """Every recording and still against what the log says of it; each block that differs is named. Takes long: reads
    everything. Blocks; not for an event loop.
    """
    faults, told, files, known = list[str](), list[str](), 0, set[Path]()
    for stream, log_ in groupby(store.iterate(kind="recording/"), key=lambda one: one.stream):
        reel = fold_reel(stream.removeprefix("recording/"), list(log_))
        key = _key(store, reel.case, reel.id)
        for (_, part), file in sorted(reel.files.items()):
            path = file_of(folder, reel.id, file.seat, part)
            known.add(path)
            name = f"{FOLDER}/{path.relative_to(folder)}"
            if key is None:
                faults += [f"{name}: its case was erased, and the file is still there"] if path.exists() else []
                continue
            files += 1
            heads = [blocks.Told(*head) for head in reel.heads[file.side, part]]
            found = _examined(path, key, heads)
            faults += [f"{name}: {fault}" for fault in found.faults] if found else [f"{name}: is missing"]
            if found and found.torn:
                told.append(f"{name}: the last {found.torn} bytes are an unfinished block, as a crash leaves it")
    for id_, case_id, hashed in _stills(store):
        path, key = still_file(folder, case_id, id_), _key(store, case_id, id_)
        known.add(path)
        name = f"{FOLDER}/{path.relative_to(folder)}"
        if key is None:
            faults += [f"{name}: its case was erased, and the file is still there"] * path.exists()
            continue
        files += 1
        try:
            open_still(path, key, hashed)
        except (OSError, ValueError) as wrong:
            faults.append(f"{name}: {'is missing' if isinstance(wrong, OSError) else 'was changed'}")
    strange = [path for path in _every(folder) if path not in known]
    told += [
        f"{FOLDER}/{path.relative_to(folder)}: the log does not know it; a crash may leave one" for path in strange
    ]
    return Checked(tuple(faults), files, tuple(told))


def _examined(path: Path, key: bytes, told: list[blocks.Told]) -> blocks.Examined | None:
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                return blocks.examine(b"", key, told)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                return blocks.examine(mapped, key, told)
    except FileNotFoundError:
        return None


def _stills(store: Store) -> Iterator[tuple[str, str, str]]:
    """(still, case, hash) of each that was taken."""
    for one in store.iterate(kind="case/"):
        if isinstance(one.event.fact, e.StillTaken):
            yield one.event.fact.still, one.stream.removeprefix("case/"), one.event.fact.sha256


def _every(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


async def forget(folder: Path, case: Case) -> None:
    """Removes the files of an erased case, which nobody can open any more."""
    gone = [*(folder / tape for tape in case.exhibits.tapes), folder / STILLS / case.id]
    for path in gone:
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)


async def forget_erased(store: Store, folder: Path) -> None:
    """The same for whatever is in the folder: a case may have been erased while nobody here could hear of it."""
    for path in await asyncio.to_thread(lambda: sorted(folder.glob("*/")) + sorted(folder.glob(f"{STILLS}/*/"))):
        case_id = path.name if path.parent.name == STILLS else (await reel_of(store, path.name)).case
        if case_id and await key_of(store, case_id, path.name) is None:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
