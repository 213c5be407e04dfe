"""The crash proofs in full: `python3 run.py bench crash [PROOF ...] [--kills N] [--cuts N] [--timers N] ...`.

Proofs: kill9, powercut, failures, timers, outbox, races, server; without a name, all of them. Each is the one that the
tests run with smaller counts (`tests/crash/`), on a fresh store; a line a proof, with what was counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from tests import postgres
from tests.crash import (
    disk,
    test_failures,
    test_kill9,
    test_outbox,
    test_powercut,
    test_races,
    test_server,
    test_timers,
)
from tests.store.builders import Place

Counts = dict[str, Any]

KILLS_A_STORE = 20
"""Everything is checked after each kill, which takes the longer the more there is."""

CONTROL_CUTS = 300
A_SECOND = 30
"""Thresholds that fall due: several times what a force's desk has in its busiest minute."""


def place_in(folder: Path, server: postgres.Server | None = None) -> Place:
    url = server.database() if server else ""
    return Place(folder / "disk" / "data", folder / "disk" / "keys" / "keys.json", url)


def kill9(folder: Path, given: argparse.Namespace) -> Iterator[Counts]:
    total = Counter[str]()
    for number in range(0, given.kills, KILLS_A_STORE):
        kills = min(KILLS_A_STORE, given.kills - number)
        total.update(test_kill9.kill_again_and_again(place_in(folder / str(number), given.server), kills, seed=number))
    yield dict(total)


def powercut(folder: Path, given: argparse.Namespace) -> Iterator[Counts]:
    library = disk.build(folder)
    runs = (("FULL", test_powercut.FULL, given.cuts), ("NORMAL", test_powercut.NORMAL, min(given.cuts, CONTROL_CUTS)))
    for name, synchronous, cuts in runs:
        inside = folder / name
        inside.mkdir()
        trace = test_powercut.a_trace(library, inside, synchronous=synchronous)
        counts = test_powercut.cut_again_and_again(trace, inside, cuts)
        faults = counts.pop("faults")
        lost = sum("acknowledged commands lost" in fault for fault in faults)
        yield {"synchronous": name, **counts, "cuts that lose": lost, "other faults": len(faults) - lost}


def failures(folder: Path, given: argparse.Namespace) -> Iterator[Counts]:
    library = disk.build(folder)
    for code in ("ENOSPC", "EIO"):
        yield test_failures.fail_each(library, place_in(folder / code), range(1, given.failures + 1), code)


def timers(folder: Path, given: argparse.Namespace) -> Iterator[Counts]:
    over_s = given.timers / A_SECOND
    yield test_timers.tick_through(
        place_in(folder, given.server), thresholds=given.timers, workers=4, kills=given.timer_kills, over_s=over_s
    )


def outbox(folder: Path, given: argparse.Namespace) -> Iterator[Counts]:
    yield asyncio.run(test_outbox.kill_the_sender(place_in(folder, given.server), writers=16, kills=given.sender_kills))


def races(folder: Path, given: argparse.Namespace) -> Iterator[Counts]:
    yield test_races.histories(place_in(folder, given.server), cases=3, clients=16, times=100)


def server_kills(folder: Path, given: argparse.Namespace) -> Iterator[Counts]:
    with postgres.running() as server:
        yield {
            "what": "server killed",
            **test_server.kill_the_server(place_in(folder, server), server, given.kills // 4),
        }
        yield {
            "what": "backends terminated",
            **test_server.terminate_backends(place_in(folder / "2", server), server, given.minute_s),
        }


PROOFS: dict[str, Callable[[Path, argparse.Namespace], Iterator[Counts]]] = {
    "kill9": kill9,
    "powercut": powercut,
    "failures": failures,
    "timers": timers,
    "outbox": outbox,
    "races": races,
    "server": server_kills,
}

OF_FILES = ("powercut", "failures")
"""PostgreSQL's own files are PostgreSQL's to prove."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench crash", description=__doc__)
    parser.add_argument("proofs", nargs="*", metavar="PROOF", help=", ".join(PROOFS))
    parser.add_argument("--kills", type=int, default=200, help="kills under load")
    parser.add_argument("--cuts", type=int, default=1000, help="power cuts; of the control 300 at most")
    parser.add_argument("--failures", type=int, default=200, help="the first so many writes and syncs, each failing")
    parser.add_argument("--timers", type=int, default=5000, help="thresholds that fall due, 30 a second")
    parser.add_argument("--timer-kills", type=int, default=50)
    parser.add_argument("--sender-kills", type=int, default=50)
    parser.add_argument("--minute-s", type=float, default=60, help="for so long are backends terminated")
    parser.add_argument("--postgres", action="store_true", help="on a server, those that are not of files")
    given = parser.parse_args()
    if unknown := set(given.proofs) - PROOFS.keys():
        parser.error(f"no such proof: {', '.join(sorted(unknown))}")
    wanted = [name for name in given.proofs or PROOFS if not (given.postgres and name in OF_FILES)]
    with postgres.running() if given.postgres else contextlib.nullcontext() as given.server:
        for name in wanted:
            run(name, given)


def run(name: str, given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="rvr-bench-") as folder:
        start = perf_counter()
        for counts in PROOFS[name](Path(folder), given):
            told = ", ".join(f"{what}: {count}" for what, count in counts.items())
            sys.stdout.write(f"{name:<9} {told} ({perf_counter() - start:.0f} s)\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
