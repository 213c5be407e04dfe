"""What it takes to tell many open boards of a change: `python3 run.py bench live [--cases N]`.

A served desk with that many open cases, and boards that follow it over the wire, each with its own rendering. Told are
the processor time of the desk for a change, which does not depend on what else the machine does, and the time from the
desk's answer until the last board has the whole new fragment; both beside a desk that nobody looks at.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
import uuid
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import ClientResponse, ClientSession, ClientTimeout, CookieJar, TCPConnector

from tests.serving import PASSWORD, Client, Served, served

BOARDS = (0, 1, 30, 500)
ROUNDS = 6
TICK = os.sysconf("SC_CLK_TCK")
AREAS = ("birmingham", "coventry", "dudley", "sandwell", "solihull", "walsall", "wolverhampton")
LOOK_S = 0.5
"""So long is waited where nobody listens: the desk tells nobody, and that costs something as well."""


def main() -> int:
    """Prints the figures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--cases", type=int, default=40, help="open cases (40)")
    cases = asked.parse_args().cases
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "data") as desk:
        handler = desk.client("handler")
        for number in range(cases):
            assert handler.open_case(lpa=AREAS[number % len(AREAS)]).status == 201
        asyncio.run(measure(desk, cases))
    return 0


async def measure(desk: Served, cases: int) -> None:
    sys.stdout.write(f"{cases} open cases\n")
    alone, officer = 0.0, desk.client("officer")
    for boards in BOARDS:
        cpu_ms, last_ms, kb = await of(desk, officer, boards)
        alone = alone or cpu_ms
        told = f"last board after {last_ms:.0f} ms, {kb:.0f} kB each; " if boards else ""
        sys.stdout.write(f"{boards} boards: {told}{cpu_ms:.0f} ms of the desk's processor a change")
        sys.stdout.write(f", {cpu_ms / alone:.1f} of an empty hub\n")


async def of(desk: Served, officer: Client, boards: int) -> tuple[float, float, float]:
    """Median processor time of a change and time until the last board has it, in ms; the size of a fragment in kB."""
    connector, timeout = TCPConnector(limit=0, force_close=True), ClientTimeout(total=None)
    jar = CookieJar(unsafe=True)  # of an address
    async with (
        ClientSession(desk.url, connector=connector, timeout=timeout, cookie_jar=jar) as session,
        AsyncExitStack() as open_,
    ):
        csrf = await signed_in(session, "sergeant")
        headers = {"X-CSRF-Token": csrf}
        lines = [
            await open_.enter_async_context(session.get("/live?topics=board", headers=headers)) for _ in range(boards)
        ]
        await asyncio.gather(*map(fragment, lines))
        costs, waits, size = [], [], 0
        for number in range(ROUNDS):
            before = cpu_s(desk)
            heard = [asyncio.ensure_future(fragment(line)) for line in lines]
            at = await change(officer, "break" if number % 2 == 0 else "on")
            sizes = await asyncio.gather(*heard)
            waits.append((time.perf_counter() - at) * 1000)
            size = sizes[0] if sizes else 0
            await asyncio.sleep(LOOK_S)
            costs.append((cpu_s(desk) - before) * 1000)
        return statistics.median(costs), statistics.median(waits), size / 1000


async def signed_in(session: ClientSession, username: str) -> str:
    async with session.post("/api/v1/session", json={"username": username, "password": PASSWORD}) as answer:
        return str((await answer.json())["csrf"])


async def fragment(line: ClientResponse) -> int:
    """Reads on to the end of the next fragment; its size in bytes."""
    size, begun = 0, False
    async for part in line.content:
        begun = begun or part.startswith(b"event: board")
        size += len(part) if begun else 0
        if begun and part == b"\n":
            return size
    raise AssertionError("the stream ended")


async def change(officer: Client, status: str) -> float:
    """An officer's duty, from a program of the officer's own; when the desk had answered."""
    body = {"command_id": str(uuid.uuid4()), "status": status}
    answer = await asyncio.to_thread(officer.call, "POST", "duty", body)
    assert answer.status == 204, answer.body
    return time.perf_counter()


def cpu_s(desk: Served) -> float:
    """What the desk's process has taken of the processor."""
    fields = Path(f"/proc/{desk.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


if __name__ == "__main__":
    sys.exit(main())
