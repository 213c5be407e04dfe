"""A witness: a process of its own on another machine, which cosigns the heads of logs that only ever grow.

It keeps the last head of each log in one file, on the disk before it answers, and nothing else: origins, sizes, hashes.
It serves any log that signs checkpoints after C2SP tlog-checkpoint, with a key of the origin's name, and shares nothing
with a desk.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import time
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from rvr.config import SettingFault
from rvr.cosigning import SIZE_TYPE, Cosigner, Refuses, judge, read_submission
from rvr.messages import catalogue
from rvr.store import keys
from rvr.store.checkpoints import Head
from rvr.store.engine import CannotOpen
from rvr.store.notes import CHECKPOINT, Verifier
from rvr.terminal import say

log = structlog.get_logger()

MOST_BYTES = 131_072
"""Of a request: 16 signatures must be taken (C2SP signed-note), and post-quantum ones have up to 5 kB."""


# --- What is kept ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def alone(book: Path) -> Iterator[None]:
    """Two processes with one book would cosign past each other. The lock ends with the process, however it ends.

    Raises SettingFault where another has it.
    """
    if os.name != "posix":
        yield
        return
    import fcntl

    try:
        lock = os.open(book.with_name(f"{book.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SettingFault(_words("book_in_use", file=book, why=error.strerror)) from None
    try:
        yield
    finally:
        os.close(lock)


class Book:
    """The last head of each log: one file, replaced as a whole. One process at a time, see `alone`."""

    def __init__(self, file: Path, witness: str) -> None:
        """`witness`: whose book it is, as its public key is told. Raises SettingFault for another's, or a broken one.

        A book that is not there is begun: the witness then takes the first head of each log that it is shown.
        """
        self._file, self._witness = file, witness
        self.heads: dict[str, Head] = {}
        try:
            self._read(file.read_text())
        except FileNotFoundError:
            log.warning("book_begun")
            self._write(self.heads)
        except (ValueError, LookupError, TypeError, OSError):
            raise SettingFault(_words("broken_book", file=file)) from None

    def keep(self, origin: str, head: Head) -> None:
        """On the disk when this returns. Raises OSError, and then knows the head of before."""
        heads = self.heads | {origin: head}
        if heads != self.heads:
            self._write(heads)
            self.heads = heads

    def _read(self, text: str) -> None:
        told = json.loads(text)
        if told["format"] != 1 or told["witness"] != self._witness:
            raise ValueError("the book of another witness")
        self.heads = {origin: Head(one["size"], b64decode(one["root"])) for origin, one in told["heads"].items()}

    def _write(self, heads: Mapping[str, Head]) -> None:
        lines = {origin: {"size": head.size, "root": b64encode(head.root).decode()} for origin, head in heads.items()}
        draft = self._file.with_name(f"{self._file.name}.new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump({"format": 1, "witness": self._witness, "heads": lines}, out, indent=1)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self._file)
        keys.sync_folder(self._file)


# --- What it answers ---------------------------------------------------------------------------------------------


class Witness:
    """The handler of add-checkpoint."""

    def __init__(self, cosigner: Cosigner, logs: Sequence[Verifier], book: Book) -> None:
        self._cosigner, self._book = cosigner, book
        self._logs: dict[str, list[Verifier]] = defaultdict(list)
        for one in logs:
            self._logs[one.name].append(one)

    async def add_checkpoint(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            told = read_submission(body)
            # Nothing is awaited from the question to what is kept: no other request comes between.
            origin, head = judge(told, self._logs, self._book.heads)
            self._book.keep(origin, head)
        except ValueError:
            return web.Response(status=400)
        except Refuses as refused:
            log.warning("not_cosigned", status=refused.status)
            if refused.status == 409:
                return web.Response(status=409, body=f"{refused.size}\n".encode(), headers={"Content-Type": SIZE_TYPE})
            return web.Response(status=refused.status)
        return web.Response(text=self._cosigner.cosign(told.note, int(time.time())).line)


async def serve(host: str, port: int, witness: Witness) -> None:
    """Answers until it is told to stop. Raises SettingFault where it cannot listen."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
    app = web.Application(client_max_size=MOST_BYTES)
    app.router.add_post("/add-checkpoint", witness.add_checkpoint)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        say(_words("listens", host=host, port=port))
        await stop.wait()
    except OSError as error:
        raise SettingFault(_words("cannot_listen", host=host, port=port, why=error.strerror or error)) from None
    finally:
        await runner.cleanup()


# --- The verb ----------------------------------------------------------------------------------------------------


def add_verb(verbs: Any) -> None:
    """The verb with its options. It opens no store and has no settings."""
    one: argparse.ArgumentParser = verbs.add_parser("witness", help="cosign the heads of logs, on another machine")
    one.add_argument("--new-key", type=Path, metavar="FILE", help="make the witness's key, and print its public key")
    one.add_argument("--name", default="", help="with --new-key: the witness's name (default: a random one)")
    one.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:8090")
    one.add_argument("--state", type=Path, metavar="FILE", help="where it keeps the last head of each log")
    one.add_argument("--key", type=Path, metavar="FILE", help="the witness's key")
    one.add_argument("--log", action="append", default=[], metavar="KEY", help="a log's public key; for several, again")


def run(given: argparse.Namespace) -> int:
    """Makes a key, or serves; the exit code. Raises SettingFault, CannotOpen."""
    if given.new_key:
        say(new_key(given.new_key, given.name))
        return 0
    host, _, port = given.listen.rpartition(":")
    if not (given.state and given.key and given.log and port.isdigit()):
        raise SettingFault(_words("needs"))
    cosigner, logs = _cosigner(given.key), [_log(told) for told in given.log]
    say(_words("key", public=cosigner.verifier))
    with alone(given.state):
        witness = Witness(cosigner, logs, Book(given.state, cosigner.verifier))
        asyncio.run(serve(host.strip("[]"), int(port), witness))
    return 0


def _log(told: str) -> Verifier:
    try:
        found = Verifier(told)
    except ValueError:
        found = None
    if found is None or found.kind != CHECKPOINT:
        raise SettingFault(_words("no_log", public=told))
    return found


def new_key(file: Path, name: str) -> str:
    """Makes the key file, never over another; the public key. Raises SettingFault."""
    told = {"format": 1, "name": name or f"rvr/witness/{secrets.token_hex(8)}", "seed": secrets.token_hex(32)}
    try:
        verifier = Cosigner(str(told["name"]), bytes.fromhex(str(told["seed"]))).verifier
        keys.create(file, told)
    except FileExistsError:
        raise SettingFault(_words("key_exists", file=file)) from None
    except ValueError as wrong:
        raise SettingFault(str(wrong)) from None
    return verifier


def _cosigner(file: Path) -> Cosigner:
    told = keys.raw(file)
    try:
        return Cosigner(told["name"], bytes.fromhex(told["seed"]))
    except (ValueError, KeyError, TypeError):
        raise CannotOpen(_words("no_key", file=file)) from None


def _words(key: str, **told: Any) -> str:
    return catalogue().say(f"witness.{key}", **told)
