"""How long the check of a whole log takes: `python3 run.py bench verify [--events N] [--case N]`.

A store of invented events is filled through its own writer; then come the first signature (the whole tree), the next
one (a second's events), a proof, and the verification that `run.py verify` makes.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.store import Store
from rvr.store.merkle import leaf_hash, verify_inclusion
from tests.store.builders import Clock, Place, a_batch, event, opened

PARALLEL = 64
"""Commands that share one commit (`rvr/store/writer.py`)."""


async def a_case(store: Store, clock: Clock, number: int, length: int) -> None:
    """One case of this many events, in commands of ten."""
    case, fact = Case(f"case-{number}"), opened(clock, f"R{number}", victim_name="Ann Example")
    facts = [
        fact,
        *(event(e.HandoverOffered(note="Left by the back door"), "handover", clock) for _ in range(length - 1)),
    ]
    for start in range(0, length, 10):
        part = facts[start : start + 10]
        await store.append(a_batch(f"{number}/{start}", case, *part))
        for one in part:
            case = apply(case, one)


async def fill(store: Store, clock: Clock, events: int, length: int) -> None:
    cases = iter(range(events // length))

    async def client() -> None:
        for number in cases:
            await a_case(store, clock, number, length)

    await asyncio.gather(*(client() for _ in range(PARALLEL)))


def tell(what: str, seconds: float, events: int) -> None:
    sys.stdout.write(f"{what:<50} {seconds:>9.3f} s   {seconds / max(events, 1) * 1e6:>8.1f} us each\n")
    sys.stdout.flush()


async def measure(folder: Path, events: int, length: int) -> None:
    clock = Clock()
    store = Place(folder / "data", folder / "keys" / "keys.json").store(clock)
    await store.start()
    try:
        start = perf_counter()
        await fill(store, clock, events, length)
        count = await store.position()
        tell(f"{count} events recorded", perf_counter() - start, count)
        start = perf_counter()
        await store.checkpoint()
        tell("the first head: the whole tree", perf_counter() - start, count)
        await a_case(store, clock, events, 10)
        start = perf_counter()
        await store.checkpoint()
        tell("the next head: ten events more", perf_counter() - start, 10)
        start = perf_counter()
        tree = await asyncio.to_thread(store.tree, count)
        tell("the whole tree, for proofs", perf_counter() - start, count)
        (last,) = await store.events_after(count - 1, 1)
        start = perf_counter()
        path = tree.inclusion(count - 1, count)
        assert verify_inclusion(leaf_hash(last.hash), count - 1, count, path, tree.root())
        tell(f"one proof of {len(path)} steps, made and verified", perf_counter() - start, 1)
        start = perf_counter()
        faults = await store.verify()
        tell(f"verify: {len(faults)} faults", perf_counter() - start, count)
    finally:
        await store.close()
    sys.stdout.write(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench verify", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--case", type=int, default=50, help="events in a case")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rvr-bench-") as folder:
        asyncio.run(measure(Path(folder), given.events, given.case))


if __name__ == "__main__":
    main()
