"""A hundred clients that flood, beside twenty that work: `python3 run.py bench flood [--seconds N] [--flooding N]`.

A served desk behind a proxy that says who asks. Whoever floods asks without a pause for what costs most without a
sign-in: pages, passwords, links, bodies that are large or deep. Twenty members of staff ask for the board, a case, or
make a move, each once a second, first alone, then beside the flood. Tells how long they waited, and what is left of the
flood afterwards: handles and memory. The flood runs at low priority: on the one machine it would take the processor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import aiohttp

from tests.serving import OPENING, PASSWORD, Served, served
from tests.test_operations import figures

STAFF = ("sergeant", "handler", "officer", "resourcing", "inspector")
WORKING = 20
DEEP = b'{"form":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
LARGE = json.dumps({"username": "x" * 60_000, "password": "x"}).encode()


def asks() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """One after another, for ever."""
    plain = {"headers": {"Content-Type": "application/json"}}
    while True:
        name, token = uuid.uuid4().hex, uuid.uuid4().hex
        yield "GET", "/", {}
        yield "POST", "/api/v1/session", {"json": {"username": name, "password": "guess"}}
        yield "POST", "/api/v1/join", {"json": {"token": token}}
        yield "GET", "/j", {}
        yield "POST", "/api/v1/join", {"data": DEEP, **plain}
        yield "POST", "/api/v1/session", {"data": LARGE, **plain}
        yield "GET", "/api/v1/board", {}
        yield "GET", f"/api/v1/cases/{name}", {"headers": {"Cookie": f"rvr_s={token}"}}


def flood(url: str, clients: int, seconds: float, told: SimpleQueue[dict[str, int]]) -> None:
    """In a process of its own."""
    os.nice(15)
    told.put(asyncio.run(_flood(url, clients, seconds)))


async def _flood(url: str, clients: int, seconds: float) -> dict[str, int]:
    statuses: Counter[str] = Counter()
    until = time.monotonic() + seconds

    async def one(number: int) -> None:
        connector = aiohttp.TCPConnector(limit=1)
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        async with aiohttp.ClientSession(url, connector=connector, headers=headers) as session:
            for method, path, sent in asks():
                if time.monotonic() > until:
                    return
                try:
                    async with session.request(method, path, **sent) as answer:
                        await answer.read()
                        statuses[str(answer.status)] += 1
                except (aiohttp.ClientError, TimeoutError) as error:
                    statuses[type(error).__name__] += 1

    await asyncio.gather(*(one(number) for number in range(clients)))
    return dict(statuses)


async def work(url: str, seconds: float) -> list[float]:
    """How long each answer took, in seconds."""
    took: list[float] = []

    async def one(number: int) -> None:
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(url, cookie_jar=jar, headers=headers) as session:
            who = {"username": STAFF[number % len(STAFF)], "password": PASSWORD}
            async with session.post("/api/v1/session", json=who) as answer:
                csrf = {"X-CSRF-Token": (await answer.json())["csrf"]}
            await asyncio.sleep(random.random())
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                path, sent = "/api/v1/board", {}
                if STAFF[number % len(STAFF)] == "handler":
                    path, sent = "/api/v1/cases", {"json": {"command_id": str(uuid.uuid4()), "form": OPENING}}
                started = time.monotonic()
                async with session.request("POST" if sent else "GET", path, headers=csrf, **sent) as answer:
                    await answer.read()
                    assert answer.status < 300, answer.status
                took.append(time.monotonic() - started)
                await asyncio.sleep(max(0.0, 1 - took[-1]))

    await asyncio.gather(*(one(number) for number in range(WORKING)))
    return took


def main() -> int:
    """Prints the figures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=30, help="of the flood (30)")
    asked.add_argument("--flooding", type=int, default=100, help="clients that flood (100)")
    given = asked.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "data", RVR_TRUSTED_PROXIES="127.0.0.1") as desk,
    ):
        report("alone", asyncio.run(work(desk.url, min(10, given.seconds))))
        before = figures(desk)
        told: SimpleQueue[dict[str, int]] = multiprocessing.get_context("spawn").SimpleQueue()
        spawn = multiprocessing.get_context("spawn")
        running = spawn.Process(target=flood, args=(desk.url, given.flooding, given.seconds + 3, told))
        running.start()
        time.sleep(2)
        report("beside the flood", asyncio.run(work(desk.url, given.seconds)))
        statuses = told.get()
        running.join()
        answered = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
        sys.stdout.write(f"the flood: {sum(statuses.values())} requests: {answered}\n")
        left_over(desk, before)
    return 0


def report(when: str, took: list[float]) -> None:
    by_length = sorted(took)
    p99 = by_length[int(len(by_length) * 0.99)]
    half = statistics.median(by_length)
    sys.stdout.write(
        f"{when}: {len(took)} answers, median {1000 * half:.0f} ms, p99 {1000 * p99:.0f} ms,"
        f" longest {1000 * by_length[-1]:.0f} ms\n"
    )


def left_over(desk: Served, before: dict[str, float]) -> None:
    time.sleep(7)  # connections that are kept are closed by then
    after = figures(desk)
    grown = (after["process_resident_memory_bytes"] - before["process_resident_memory_bytes"]) / 1e6
    handles = after["process_open_fds"] - before["process_open_fds"]
    sys.stdout.write(f"seven seconds later: {handles:+.0f} handles, {grown:+.0f} MB\n")


if __name__ == "__main__":
    sys.exit(main())
