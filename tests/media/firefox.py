"""Debian's Firefox, driven over WebDriver BiDi: the least of it that a call needs."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, ClientWebSocketResponse

FIREFOX: Final = shutil.which("firefox-esr") or shutil.which("firefox")
STARTS_WITHIN_S: Final = 60.0

PREFERENCES: Final = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    # Nothing of its own goes out: no updates, no telemetry, no codecs to fetch.
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}


class Page:
    """One tab."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._context = ""

    async def begin(self) -> None:
        await self._ask("session.new", capabilities={})
        tree = await self._ask("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    async def goto(self, url: str) -> None:
        await self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """What the expression comes to, awaited. Raises AssertionError for what the page throws."""
        result = await self._ask(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then((it) => JSON.stringify(it ?? null))",
            target={"context": self._context},
            awaitPromise=True,
        )
        if result["type"] != "success":
            raise AssertionError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    async def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (reply := await self._socket.receive_json(timeout=30)).get("id") != number:
            pass  # an event; none was asked for
        if reply["type"] == "error":
            raise AssertionError(f"{method}: {reply['message']}")
        result: dict[str, Any] = reply["result"]
        return result


@asynccontextmanager
async def a_firefox() -> AsyncIterator[Page]:
    """A Firefox with a profile of its own, a fake camera and one empty tab."""
    if FIREFOX is None:
        raise AssertionError("Firefox is missing: apt-get install firefox-esr")
    with tempfile.TemporaryDirectory(prefix="rvr-firefox-", ignore_cleanup_errors=True) as folder:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
        (Path(folder) / "user.js").write_text("\n".join(lines))
        arguments = ["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", folder]
        process = await asyncio.create_subprocess_exec(
            FIREFOX, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        drain: asyncio.Task[bytes] | None = None
        try:
            assert process.stderr is not None
            address = await asyncio.wait_for(_address(process.stderr), STARTS_WITHIN_S)
            drain = asyncio.ensure_future(process.stderr.read())
            async with ClientSession() as session, session.ws_connect(f"{address}/session", max_msg_size=0) as socket:
                page = Page(socket)
                await page.begin()
                yield page
        finally:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()
            if drain is not None:
                await drain


async def _address(stderr: asyncio.StreamReader) -> str:
    while line := (await stderr.readline()).decode(errors="replace"):
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
            return found[1]
    raise AssertionError("Firefox ended before it listened")
