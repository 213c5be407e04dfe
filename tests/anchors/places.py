"""A witness in a process of its own, started by the command that people use; and logs that it may be shown."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from rvr.store.checkpoints import Head, text
from rvr.store.merkle import Tree, leaf_hash
from rvr.store.notes import Notary
from rvr.witness import new_key
from tests.serving import ROOT, free_port


@dataclass
class Process:
    """A witness that answers at `url`, or did."""

    folder: Path
    port: int
    logs: tuple[str, ...]
    key: str = ""
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def setting(self) -> str:
        """As a desk is told it."""
        return f"{self.url} {self.key}"

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    def start(self) -> Process:
        arguments = ("--listen", f"127.0.0.1:{self.port}", "--state", str(self.state), "--key", str(self._key_file))
        self.process = _cli(*arguments, *(part for log in self.logs for part in ("--log", log)))
        assert self.process.stdout is not None
        told = [self.process.stdout.readline() for _ in range(2)]
        assert told[1].startswith("The witness listens"), told
        return self

    def make_key(self, name: str = "") -> str:
        self.key = new_key(self._key_file, name)
        return self.key

    def stop(self, how: int = signal.SIGINT) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(15)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    @property
    def _key_file(self) -> Path:
        return self.folder / "key.json"

    def submit(self, body: bytes) -> tuple[int, str, str]:
        """Status, type and text of the answer. Standard library only."""
        request = urllib.request.Request(f"{self.url}/add-checkpoint", body, method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - always the loopback witness
                return answer.status, answer.headers.get_content_type(), answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.headers.get_content_type(), refused.read().decode()


def _cli(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rvr.cli", "witness", *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@contextlib.contextmanager
def witness(folder: Path, *logs: str) -> Iterator[Process]:
    """A new witness of these logs, stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    one = Process(folder, free_port(), logs)
    one.make_key()
    try:
        yield one.start()
    finally:
        one.stop()


class Log:
    """A log of small leaves; `fork`: from this leaf on they are others."""

    def __init__(self, seed: int = 1, name: str = "example.com/log", fork: int = 1 << 30) -> None:
        self.notary = Notary(name, bytes([seed]) * 32)
        self._tree = Tree(leaf_hash(b"%d %d" % (number, number >= fork)) for number in range(200))

    @property
    def key(self) -> str:
        return self.notary.verifier

    def note(self, size: int) -> str:
        return self.notary.note(text(self.notary.name, Head(size, self._tree.root(size))))

    def path(self, old: int, size: int) -> list[bytes]:
        return self._tree.consistency(old, size) if 0 < old < size else []

    def body(self, old: int, size: int) -> bytes:
        """Written here as the specification writes it, not by the program."""
        steps = "".join(f"{b64encode(step).decode()}\n" for step in self.path(old, size))
        return f"old {old}\n{steps}\n{self.note(size)}".encode()


@contextlib.asynccontextmanager
async def answering(path: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Somebody else's server, which answers POST at this path; its address."""
    app = web.Application()
    app.router.add_post(path, handler)
    runner, port = web.AppRunner(app, shutdown_timeout=0.1), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
