"""How fast a package is written, beside a bare `csv.writer` over the same rows, and how much memory it takes:
`python3 run.py bench export [--cases N]`.

A store is filled with invented cases of sixteen events, a quarter of N and then N. A process of its own writes the
package; then another reads its rows, a few thousand at a time, and is timed while a bare writer writes them again. A
third writes the package with the files for SPSS and Stata, which hold a table in memory. All are told in CPU time:
other work on the machine disturbs it less than the clock on the wall.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time

from rvr.evaluation.formats import IN_MEMORY
from rvr.evaluation.package import export
from rvr.store import Store
from tests.bench.evaluation import fill, most_mib, on
from tests.store.builders import Clock

LESS = 4
"""The first store holds so many times fewer cases."""

SOME = 5_000
"""Rows that are in memory at a time for the bare writer."""


def package(folder: Path, name: str = "package", also: Sequence[str] = ()) -> None:
    """Writes it; prints wall and CPU seconds, and MiB at most."""

    async def work(store: Store, clock: Clock) -> None:
        began, cpu = perf_counter(), process_time()
        await export(store, folder / name, project_key=folder / "project.json", also=also)
        sys.stdout.write(f"{perf_counter() - began} {process_time() - cpu} {most_mib()}\n")

    asyncio.run(on(folder, work))


def labelled(folder: Path) -> None:
    """The same with the files for SPSS and Stata."""
    package(folder, "labelled", IN_MEMORY)


def bare(folder: Path) -> None:
    """Writes the same rows; prints wall and CPU seconds of the writing alone, how many rows and how many MB."""
    wall = cpu = 0.0
    rows = size = 0
    for path in sorted((folder / "package" / "data").glob("*.csv")):
        copy = folder / f"bare-{path.name}"
        with path.open(encoding="utf-8", newline="") as source, copy.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            for some in _chunks(csv.reader(source)):
                began, used = perf_counter(), process_time()
                writer.writerows(some)
                wall, cpu, rows = wall + perf_counter() - began, cpu + process_time() - used, rows + len(some)
        if copy.read_bytes() != path.read_bytes():
            raise SystemExit(f"{path.name}: a bare writer writes other bytes")
        size += copy.stat().st_size
        copy.unlink()
    sys.stdout.write(f"{wall} {cpu} {rows} {size / 1e6}\n")


def _chunks(rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    while some := list(islice(rows, SOME)):
        yield some


def measured(folder: Path, what: str) -> list[float]:
    command = [sys.executable, "-P", "-m", "tests.bench.export", "--child", str(folder), what]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[2]).stdout
    return [float(word) for word in told.split()]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--cases", type=int, default=4_000)
    options.add_argument("--child", nargs=2)
    given = options.parse_args()
    if given.child:
        {"package": package, "bare": bare, "labelled": labelled}[given.child[1]](Path(given.child[0]))
        return
    for cases in (max(1, given.cases // LESS), given.cases):
        with tempfile.TemporaryDirectory(prefix="rvr-bench-") as scratch:
            folder = Path(scratch)
            asyncio.run(on(folder, lambda store, clock, cases=cases: fill(store, clock, cases)))
            wall, cpu, mib = measured(folder, "package")
            _, bare_cpu, rows, mb = measured(folder, "bare")
            _, labelled_cpu, labelled_mib = measured(folder, "labelled")
            sys.stdout.write(
                f"{cases:>8} cases, {rows:.0f} rows, {mb:.1f} MB of CSV: package {wall:.1f} s, {cpu:.1f} s of CPU"
                f" ({rows / cpu:.0f} rows a second), {mib:.1f} MiB at most; a bare csv.writer {bare_cpu:.2f} s of CPU"
                f" ({rows / bare_cpu:.0f} rows a second): {cpu / bare_cpu:.0f} times as long;"
                f" with {' and '.join(IN_MEMORY)} {labelled_cpu:.1f} s of CPU, {labelled_mib:.1f} MiB at most\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
