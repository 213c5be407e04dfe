"""What evaluation costs, and that its memory does not grow with cases: `python3 run.py bench evaluation [--cases N]`.

A store is filled with invented cases of sixteen events, N and then four times as many. A process of its own each time
writes the package, sums up the timings, or makes the report; the last also beside a loop that wants to wake every five
milliseconds, as a desk does while an evaluator looks at figures. And what disclosure control hides of random tables.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from time import perf_counter

from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.moment import iso
from rvr.evaluation import report, summary
from rvr.evaluation.disclosure import THRESHOLD, grid, protect
from rvr.evaluation.formats import FORMATS
from rvr.evaluation.package import export
from rvr.evaluation.window import window_of
from rvr.store import Append, Batch, Store, log
from rvr.store.engine import Connection
from tests.builders import da_desk
from tests.store.builders import START, Clock, Place

TIMES = 4
"""How many times as many cases the second store holds."""

A_JOB = 1_000
EVERY_S = 0.005


def facts(dice: Random) -> list[tuple[float, e.Fact]]:
    """A case with video, from its opening to an outcome: seconds after it, and what happened."""
    opened = e.CaseOpened(
        workflow="da-desk",
        reference=f"B{dice.getrandbits(40):010}",
        details={"lpa": dice.choice(("coventry", "dudley", "walsall")), "source": "999"},
        personal={},
        victim_id=str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        suspect_id=str(uuid.UUID(int=dice.getrandbits(128), version=4)),
    )
    told: list[e.Fact] = [
        opened,
        e.EligibilityDecided(eligible=True, because=(), way_out="", results={}, concerns=()),
        e.ConsentGiven(kind="video", wording="1"),
        e.CapacityNoted(moment="offer", on_duty=3, free=1, desk_open=True),
        e.HandoverOffered(note=""),
        e.HandoverAccepted(),
        e.OfficerAssigned(officer="officer"),
        e.LinkSent(link="l", channel="sms", expires_at=iso(START), number=""),
        e.LinkOpened(link="l"),
        e.TwoWayVideoStarted(session="s"),
        e.OfficerContactStarted(mode="video"),
        e.SessionEnded(reason="completed"),
        e.SubmittedForReview(),
        e.CaseAllocated(team="ppu", proposed="ppu", because="default", override=""),
        e.OutcomeRecorded(outcome_code=dice.choice(("1", "14", "16")), rationale=""),
        e.CaseClosed(),
    ]
    at = 0.0
    found = []
    for fact in told:
        found.append((at, fact))
        at += dice.expovariate(1 / 60)
    return found


def a_batch(number: int, dice: Random, clock: Clock, definition: str) -> Batch:
    begins = START + timedelta(minutes=10 * number)
    case, events = Case(str(uuid.UUID(int=dice.getrandbits(128), version=4))), []
    for after_s, fact in facts(dice):
        clock.at = begins + timedelta(seconds=after_s)
        events.append(e.Event(fact, "closed", clock(), "bench", "bot", definition))
    for event in events:
        case = apply(case, event)
    result = {"case": case.id, "version": case.version}
    appended = (Append(f"case/{case.id}", 0, tuple(events)),)
    return Batch(f"bench-{number}", "bench", bytes(32), appended, cases=(case,), result=result)


async def fill(store: Store, clock: Clock, cases: int) -> None:
    dice, definition = Random(1), da_desk()
    stored = e.DefinitionStored(workflow="da-desk", files=dict(definition.files))
    kept = e.Event(stored, "", clock(), "bench", "bot", definition.hash)
    await store.append(Batch("definition", "bench", bytes(32), (Append(f"definition/{definition.hash}", 0, (kept,)),)))
    for start in range(0, cases, A_JOB):
        batches = [a_batch(n, dice, clock, definition.hash) for n in range(start, min(start + A_JOB, cases))]

        def job(connection: Connection, batches: list[Batch] = batches) -> None:
            for batch in batches:
                log.append(connection, store.sealer, batch, "wmp", iso(clock.at))

        await store.write(job)
    await store.checkpoint()


# --- What is measured, in a process of its own -----------------------------------------------------------------------


async def package(store: Store, folder: Path) -> None:
    await export(store, folder / "package.zip", project_key=folder / "project.json", also=FORMATS)


async def plain(store: Store, folder: Path) -> None:
    await export(store, folder / "plain.zip", project_key=folder / "project.json")


async def timings(store: Store, folder: Path) -> None:
    summary.summarise(store, await window_of(store), by="lpa")


async def a_report(store: Store, folder: Path) -> None:
    report.html(report.made(store, await window_of(store)))


async def beside_a_loop(store: Store, folder: Path) -> None:
    """Prints by how much a loop in the same process wakes too late while a report is made."""
    late: list[float] = []
    done = asyncio.Event()

    async def wakes() -> None:
        while not done.is_set():
            began = perf_counter()
            await asyncio.sleep(EVERY_S)
            late.append(perf_counter() - began - EVERY_S)

    waking = asyncio.create_task(wakes())
    await asyncio.to_thread(report.made, store, await window_of(store))
    done.set()
    await waking
    late.sort()
    told = (late[len(late) // 2], late[len(late) * 99 // 100], late[-1])
    median, most, last = (f"{seconds * 1e3:.1f} ms" for seconds in told)
    sys.stderr.write(f"a loop beside a report wakes late by {median} (median), {most} (99 of 100), {last} (most)\n")


def disclosure() -> None:
    """Prints what is hidden of the tables that the test of disclosure control attacks."""
    from tests.evaluation.test_disclosure import TABLES, a_table  # its solver is large: not in the other processes

    dice, cells, small, hidden, withheld = Random(2022), 0, 0, 0, 0
    began = perf_counter()
    for _ in range(TABLES):
        told = grid(a_table(dice))
        gone = protect(told)
        cells, small = cells + len(told), small + sum(0 < cell.count < THRESHOLD for cell in told)
        hidden, withheld = hidden + len(gone or ()), withheld + (gone is None)
    each = (perf_counter() - began) / TABLES * 1e3
    sys.stdout.write(
        f"{TABLES} tables: {small / cells:.0%} of the cells too small, {hidden / cells:.0%} hidden, {withheld} tables"
        f" withheld whole, {each:.2f} ms a table\n"
    )


async def nothing(store: Store, folder: Path) -> None:
    """What a process has that opened the store and loaded the same modules."""


WORK: dict[str, Callable[[Store, Path], Awaitable[None]]] = {
    "opened": nothing,
    "package as CSV": plain,
    "package in every format": package,
    "timings by area": timings,
    "report": a_report,
    "report beside a loop": beside_a_loop,
}


async def on(folder: Path, work: Callable[[Store, Clock], Awaitable[None]]) -> None:
    clock = Clock()
    store = Place(folder / "data", folder / "keys" / "keys.json").store(clock)
    await store.start()
    try:
        await work(store, clock)
    finally:
        await store.close()


def one(folder: Path, name: str) -> None:
    """Does it, and prints seconds and MiB."""

    async def work(store: Store, clock: Clock) -> None:
        began = perf_counter()
        await WORK[name](store, folder)
        took = perf_counter() - began
        sys.stdout.write(f"{took} {most_mib()}\n")

    asyncio.run(on(folder, work))


def most_mib() -> float:
    """The most memory of this program. What `getrusage` tells of a child includes its parent before the start of it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measured(folder: Path, name: str) -> tuple[float, float]:
    command = [sys.executable, "-P", "-m", "tests.bench.evaluation", "--child", str(folder), name]
    root = Path(__file__).parents[2]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=root).stdout
    seconds, mib = told.split()
    return float(seconds), float(mib)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--cases", type=int, default=2_500)
    options.add_argument("--child", nargs=2)
    given = options.parse_args()
    if given.child:
        one(Path(given.child[0]), given.child[1])
        return
    disclosure()
    for cases in (given.cases, TIMES * given.cases):
        with tempfile.TemporaryDirectory(prefix="rvr-bench-") as scratch:
            folder = Path(scratch)
            asyncio.run(on(folder, lambda store, clock, cases=cases: fill(store, clock, cases)))
            for name in WORK:
                seconds, mib = measured(folder, name)
                each = f"{seconds / cases * 1e3:6.2f} ms a case" if name != "opened" else ""
                sys.stdout.write(f"{cases:>7} cases  {name:<26} {seconds:8.2f} s  {mib:7.1f} MiB at most  {each}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
