"""How fast commands are recorded: `python3 run.py bench store [MEASURE ...] [--minutes N] [--cases N] ...`.

commits: the store's own way against a plain loop of transactions, on this disk and with 5 ms more for each sync.
cpu: what the writer's thread computes for a command. sealing: what it costs together with the chain, found by leaving
them out. postgres: one and two processes on one database. http: a served desk on a slow disk, 200 commands a second
that arrive by the clock. growth: the same desk with a million closed cases behind it. Without a name, all of them;
each figure of a line comes from one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import psutil

from rvr.config import Settings
from tests import postgres
from tests.bench import _commits, _growth, _load
from tests.bench._commits import How
from tests.crash import disk
from tests.serving import Served, served
from tests.store.builders import Place

CLIENTS = (1, 8, 32, 128)
ADDED_MS = 5
"""A slow disk: those of servers take 0.5 to 5 ms for a sync."""

RATE = 200
"""Commands a second: all domestic abuse that England and Wales record, at sixty events a case, is three a second."""

ROUNDS = 5
"""With and without, in turn: the machine's other work then falls on both."""

Counts = dict[str, Any]


def say(what: str, told: str, aim: str = "") -> None:
    sys.stdout.write(f"{what:<56} {told}{f'   [{aim}]' if aim else ''}\n")
    sys.stdout.flush()


def load_of_the_machine() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def counted(place: Place, *hows: How, **environment: str) -> list[Counts]:
    """What processes of these kinds count that begin at the same moment on one store."""
    told = json.dumps(place.arguments)
    children = [
        subprocess.Popen(
            [sys.executable, "-m", _commits.__name__, told, json.dumps(asdict(how))],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for how in hows
    ]
    pipes = [(child.stdin, child.stdout) for child in children]
    for _, answers in pipes:
        assert answers is not None
        answers.readline()
    for words, _ in pipes:
        assert words is not None
        words.write("go\n")
        words.flush()
    return [json.loads(child.communicate()[0].splitlines()[-1]) for child in children]


def a_place(folder: Path, url: str = "") -> Place:
    inside = Path(tempfile.mkdtemp(dir=folder))
    return Place(inside / "data", inside / "keys" / "keys.json", url)


def speed(counts: Sequence[Counts]) -> str:
    per_s, slowest = sum(one["per_s"] for one in counts), max(one["p99"] for one in counts)
    return f"{per_s:6.0f} a second, half within {counts[0]['p50']:.1f} ms, 99 of 100 within {slowest:.1f} ms"


# --- Measures ----------------------------------------------------------------------------------------------------


def commits(folder: Path, given: argparse.Namespace) -> None:
    library = disk.build(folder)
    for added_ms, aim in ((0, 3), (ADDED_MS, 10)):
        environment = disk.environment(library, fsync_ms=added_ms) if added_ms else {}
        say(f"this disk's sync, {added_ms} ms added", f"load {load_of_the_machine()}")
        (plain,) = counted(a_place(folder), How("loop", "loop", seconds=given.seconds), **environment)
        say("  a plain loop of transactions", speed([plain]))
        for clients in CLIENTS:
            how = How("clients", "clients", clients, seconds=given.seconds)
            found = counted(a_place(folder), how, **environment)
            ratio = f"{found[0]['per_s'] / plain['per_s']:.1f} times"
            say(f"  {clients} clients", f"{speed(found)}, {ratio}", f">= {aim} times" if clients == 32 else "")


def cpu(folder: Path, given: argparse.Namespace) -> None:
    with postgres.running() as server:
        for engine in ("SQLite", "PostgreSQL"):
            say(f"what the writer computes for a command, {engine}", f"load {load_of_the_machine()}")
            for clients in (1, 8, 32):
                url = server.database() if engine == "PostgreSQL" else ""
                (found,) = counted(a_place(folder, url), How("groups", "groups", clients, seconds=given.seconds))
                say(f"  {clients} in a commit", f"{found['cpu_us']:.0f} us, half of {found['commits']} commits")


def sealing(folder: Path, given: argparse.Namespace) -> None:
    took: dict[str, list[float]] = {"": [], "sealing": [], "cipher": []}
    say("left out, in turn", f"load {load_of_the_machine()}")
    for _ in range(ROUNDS):
        for without, rates in took.items():
            how = How("loop", "loop", seconds=given.seconds, without=without)
            rates.append(1000 / counted(a_place(folder), how)[0]["per_s"])
    whole = statistics.median(took[""])
    for without, what, aim in (
        ("sealing", "sealing and chain", "< 20 %"),
        ("cipher", "the encryption of the file", ""),
    ):
        least = statistics.median(took[without])
        say(f"  {what}", f"{(whole - least) / whole:.0%} of a command's {whole:.2f} ms", aim)


def on_a_server(folder: Path, given: argparse.Namespace) -> None:
    with postgres.running() as server:
        say("PostgreSQL on this machine", f"load {load_of_the_machine()}")
        (plain,) = counted(a_place(folder, server.database()), How("loop", "loop", seconds=given.seconds))
        say("  a plain loop of transactions", speed([plain]))
        for processes in (1, 2):
            for clients in CLIENTS:
                if clients < processes:
                    continue
                each = clients // processes
                hows = [How("clients", f"process {n}", each, seconds=given.seconds) for n in range(processes)]
                found = counted(a_place(folder, server.database()), *hows)
                say(f"  {processes} processes, {clients} clients in all", speed(found))
            rate = RATE / processes
            hows = [How("clock", f"process {n}", 64, rate=rate, seconds=10) for n in range(processes)]
            found = counted(a_place(folder, server.database()), *hows)
            aim = ">= 200 a second, 99 of 100 within 50 ms" if processes == 2 else ""
            say(f"  {processes} processes, {RATE} a second by the clock", speed(found), aim)


def cpu_s(pid: int) -> float:
    """Seconds of a core that a process has had."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def http(folder: Path, given: argparse.Namespace) -> None:
    environment = disk.environment(disk.build(folder), fsync_ms=ADDED_MS)
    for rate in given.rates:
        data = folder / f"served-{rate:g}"  # anew: what the rate before left half done would be refused here
        asyncio.run(_load.hire(Settings(data=str(data)), _load.How.cases))
        with served(data, **environment) as desk, (folder / "served.log").open("w") as log:
            work_at(desk, _load.How(desk.url, rate, given.minutes * 60), log)


def work_at(desk: Served, how: _load.How, log: IO[str]) -> None:
    what = f"a served desk, {how.rate:g} commands a second for {how.seconds / 60:g} minutes"
    say(what, f"load {load_of_the_machine()}")
    command = [sys.executable, "-m", _load.__name__, json.dumps(asdict(how))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as loader:
        assert loader.stdout is not None
        loader.stdout.readline()
        before = cpu_s(desk.process.pid)
        told = json.loads(loader.stdout.readline())
    spent = (cpu_s(desk.process.pid) - before) / max(1, told["answered"])
    say(f"  answered {told['answered']} of {told['of']}", speed([told]), "99 of 100 within 50 ms")
    say("  time of a core that the desk's process takes", f"{spent * 1000:.1f} ms a command")
    say("  slowest, errors", f"{told['most']:.0f} ms, {told['errors'] or 'none'}", "no error")


def growth(folder: Path, given: argparse.Namespace) -> None:
    past = given.past or folder / "past"
    asyncio.run(_growth.prepare(past, given.cases, say))
    say("an empty desk and one with its past", f"load {load_of_the_machine()}")
    for what, young, old in _growth.compare(folder, past, given.times):
        say(f"  {what}", f"{young:.1f}, {old:.1f}: {old / young:.2f} times", "<= 1.2 times")


MEASURES: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "commits": commits,
    "cpu": cpu,
    "sealing": sealing,
    "postgres": on_a_server,
    "http": http,
    "growth": growth,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench store", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--seconds", type=float, default=3, help="for so long does each line of commits run")
    parser.add_argument("--minutes", type=float, default=10, help="for so long is the served desk worked at")
    parser.add_argument("--rates", type=float, nargs="*", default=[RATE], help="commands a second at the served desk")
    parser.add_argument("--cases", type=int, default=1_000_000, help="closed cases behind the desk")
    parser.add_argument("--times", type=int, default=40, help="how often each is asked of either desk")
    parser.add_argument("--past", type=Path, help="the data folder with the closed cases, made where there is none")
    given = parser.parse_args()
    if unknown := set(given.measures) - MEASURES.keys():
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    for name in given.measures or MEASURES:
        with tempfile.TemporaryDirectory(prefix="rvr-bench-") as folder:
            MEASURES[name](Path(folder), given)


if __name__ == "__main__":
    main()
