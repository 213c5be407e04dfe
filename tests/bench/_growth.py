"""Two served desks, one with a long past and one with none, asked the same in turn."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from time import perf_counter

from rvr.store import Store
from rvr.store.place import Place
from tests.bench import _past
from tests.builders import all_met
from tests.serving import Served, served

OPEN = 20
"""Cases at work on either desk."""

TICKS_S = os.sysconf("SC_CLK_TCK")


async def prepare(data: Path, cases: int, say: Callable[[str, str], None]) -> None:
    """A data folder with so many closed cases. One that has some is left as it is."""
    store = Store(Place(data, Path(f"{data}.keys") / "keys.json"), force="wmp")
    await store.start()
    try:
        start = perf_counter()
        if not await store.position():
            async for count in _past.fill(store, cases):
                if count % 100_000 == 0:
                    say(f"{count} closed cases", f"{perf_counter() - start:.0f} s")
        await store.checkpoint()
    finally:
        await store.close()


class Asked:
    """Somebody at each kind of work, on one desk."""

    def __init__(self, desk: Served) -> None:
        self.desk = desk
        self.handler, self.sergeant = desk.client("handler"), desk.client("sergeant")
        self.number, self.case = 0, ""
        for _ in range(OPEN):
            self.open_a_case()

    def board(self) -> None:
        assert self.handler.call("GET", "board").status == 200

    def sergeants_page(self) -> None:
        assert self.sergeant.call("GET", "/").status == 200

    def open_a_case(self) -> None:
        self.number += 1
        phone = f"07700 900{self.number % 1000:03}"
        answer = self.handler.open_case(safe_number=phone, **_past.people(Random(f"new {self.number}")))
        assert answer.status == 201, answer.body
        self.case = answer.body["id"]

    def move(self) -> None:
        answer = self.handler.move(self.case, "answer_criteria", all_met())
        assert answer.status == 200, answer.body

    def put_away(self) -> None:
        """So that there are not more and more at work."""
        self._void(self.case)

    def leave(self) -> None:
        """As it was found: a past is kept and asked again."""
        for row in self.handler.call("GET", "board").body["cases"]:
            self._void(row["id"])

    def _void(self, case: str) -> None:
        answer = self.sergeant.move(case, "void", {"void_reason": "test"})
        assert answer.status == 200, answer.body

    @property
    def memory_mib(self) -> float:
        status = Path(f"/proc/{self.desk.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def settle(self) -> None:
        """Until the desk has nothing to do: at its start it goes over the whole log for the first head."""
        while True:
            before = self._busy_s()
            time.sleep(1)
            if self._busy_s() - before < 0.2:
                return

    def _busy_s(self) -> float:
        told = Path(f"/proc/{self.desk.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / TICKS_S


def compare(folder: Path, past: Path, times: int) -> Iterator[tuple[str, float, float]]:
    """What was measured, on the empty desk and on the old one: medians in ms, and memory in MiB."""
    with served(folder / "empty") as young, served(past) as old:
        both = Asked(young), Asked(old)
        for desk in both:
            desk.settle()
        whats = ("board", "sergeants_page", "open_a_case", "move", "put_away")
        took: dict[str, tuple[list[float], list[float]]] = {what: ([], []) for what in whats}
        for _ in range(times):
            for what in whats:
                for desk, times_of in zip(both, took[what], strict=True):
                    start = perf_counter()
                    getattr(desk, what)()
                    times_of.append((perf_counter() - start) * 1000)
        for what in whats[:-1]:
            yield what.replace("_", " ") + ", ms", statistics.median(took[what][0]), statistics.median(took[what][1])
        yield "memory, MiB", both[0].memory_mib, both[1].memory_mib
        for desk in both:
            desk.leave()
