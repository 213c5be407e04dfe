"""Real browsers on machines of their own, a bad line between them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from playwright import async_api as playwright

from tests.media.net.network import Place
from tests.serving import ROOT

CHROMIUM = os.environ.get("RVR_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
SWITCHES = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


@dataclass
class Room:
    """The process of `room.py`, and what it says."""

    url: str
    process: subprocess.Popen[str]
    seen: list[dict[str, Any]] = field(default_factory=list)
    _given: set[int] = field(default_factory=set)
    _lines: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))

    def drain(self) -> None:
        """Takes up what has been said so far."""
        while not self._lines.empty():
            self.seen.append(self._lines.get())

    def until(self, kind: str, seat: str | None = None, *, within_s: float = 20) -> dict[str, Any]:
        """The next such thing that has not been given yet. Blocks: to be awaited in a thread."""
        end = time.monotonic() + within_s
        while True:
            self.drain()
            for n, one in enumerate(self.seen):
                if n not in self._given and one["kind"] == kind and seat in (None, one["seat"]):
                    self._given.add(n)
                    return one
            told = [(one["kind"], one["seat"]) for one in self.seen]
            assert time.monotonic() < end, f"no {kind} of {seat} within {within_s} s, only {told}"
            time.sleep(0.05)


@contextmanager
def room(place: Place, address: str, *turn: str, **environment: str) -> Iterator[Room]:
    """A room of the media plane, in that place, at that address and port."""
    command = [sys.executable, "-m", "tests.media.net.room", address, *turn]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    with place.running(*command, env=env, stdout=subprocess.PIPE, cwd=ROOT) as process:
        found = Room(f"http://{address}", process)
        threading.Thread(target=found.listen, daemon=True).start()
        found.until("ready")
        yield found


def trusting(certificate: Path) -> str:
    """Chromium's switch that trusts this certificate's key and no other."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    spki = hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).digest()
    return f"--ignore-certificate-errors-spki-list={base64.b64encode(spki).decode()}"


Visit = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def browsers(folder: Path) -> AsyncIterator[Visit]:
    """`await visit(place, "http://address:port", "victim")`: a page in a browser of its own in that place."""
    async with playwright.async_playwright() as driver:
        opened = []

        async def open_page(place: Place, url: str, seat: str, *switches: str) -> Any:
            # A camera needs a secure context, and in these networks there is no TLS before the desk.
            args = [*SWITCHES, f"--unsafely-treat-insecure-origin-as-secure={url}", *switches]
            context = await driver.chromium.launch_persistent_context(
                str(folder / f"profile-{place.name}-{seat}"),
                executable_path=str(place.program(folder, CHROMIUM)),
                chromium_sandbox=False,
                args=args,
                permissions=["camera", "microphone"],
            )
            opened.append(context)
            page = await context.new_page()
            await page.goto(f"{url}/#{seat}")
            await page.wait_for_function("window.call")
            return page

        try:
            yield open_page
        finally:
            for browser in opened:
                await browser.close()


@pytest.fixture
async def visit(tmp_path: Path) -> AsyncIterator[Visit]:
    async with browsers(tmp_path) as open_page:
        yield open_page
