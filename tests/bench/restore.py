"""How long a desk is away whose machine is lost: `python3 run.py bench restore [--events N] [--case N]`.

A store of invented events is filled, split and backed up. Then the clock starts: the key file from two of three sheets,
the check of the backup, the restore into a new folder, and a desk that answers there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import shutil
import tempfile
from pathlib import Path
from time import perf_counter

from rvr import cli
from tests.bench.verify import fill, tell
from tests.serving import served
from tests.store.builders import Clock, Place


async def store_of(folder: Path, events: int, length: int) -> None:
    clock = Clock()
    store = Place(folder / "old", folder / "old.keys" / "keys.json").store(clock)
    await store.start()
    await fill(store, clock, events, length)
    await store.checkpoint()
    await store.close()


def timed(what: str, events: int, *arguments: str) -> float:
    """Runs a verb, and tells how long it took."""
    start = perf_counter()
    with contextlib.redirect_stdout(io.StringIO()) as told:
        code = cli.main(arguments)
    if code:
        raise SystemExit(told.getvalue())
    tell(what, took := perf_counter() - start, events)
    return took


def measure(folder: Path, events: int, length: int) -> None:
    old, new, sheets, copy = (str(folder / name) for name in ("old", "new", "sheets", "backup"))
    asyncio.run(store_of(folder, events, length))
    timed("keys split", 0, "keys", "split", "--data", old, "--out", sheets)
    timed(f"backup of {events} events, examined", events, "backup", "--data", old, "--out", copy)
    Path(f"{old}.keys").rename(f"{old}.gone")
    two = [str(file) for file in sorted(Path(sheets).iterdir())][:2]
    away = timed("keys restore", 0, "keys", "restore", *two, "--data", new, "--out", f"{new}.keys/keys.json")
    shutil.copy(Path(f"{old}.gone") / "heads.txt", f"{new}.keys")
    away += timed("verify of the backup", events, "verify", copy, "--data", new)
    away += timed("restore, examined", events, "restore", copy, "--data", new)
    start = perf_counter()
    with served(Path(new)):
        tell("a desk that answers", last := perf_counter() - start, 0)
    tell("all of it, from the sheets on", away + last, 0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench restore", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--case", type=int, default=50, help="events in a case")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rvr-bench-") as folder:
        measure(Path(folder), given.events, given.case)


if __name__ == "__main__":
    main()
