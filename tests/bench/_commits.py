"""A process that records commands and says how fast: `python -m tests.bench._commits PLACE HOW`.

A command is what one decision of the core writes: its events with their sealed part, the rows that change with them,
its row of the access log and its answer. The stories are decided before the stopwatch runs. The process says when it
is ready, begins when it is told a line, and says what it counted as one line of JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from time import perf_counter, thread_time
from typing import Any
from unittest.mock import patch

from rvr.core.case import Case
from rvr.core.commands import THE_MEDIA, Actor
from rvr.core.decide import Decision
from rvr.core.moment import iso
from rvr.core.roster import Officer
from rvr.rehearsal import Happening
from rvr.store import Append, Batch, Store, access, envelope, ledger, log, sqlite
from rvr.store.access import Access, Signin
from rvr.store.engine import Attempt, Connection, transaction
from rvr.store.sealing import DataKey, Sealer
from rvr.timekeeping import observe
from tests.builders import HANDLER, SERGEANT, THE_VICTIM, Story, Universe, all_met, person, risk
from tests.store.builders import Place

# --- Commands ----------------------------------------------------------------------------------------------------


@dataclass
class Told(Story):
    """A story of which each step is kept as the batch that the desk would record."""

    name: str = ""
    batches: list[Batch] = field(default_factory=list)

    def take(self, decision: Decision, *told: Any) -> Happening:
        before, officers = self.case, {id_: self.universe.officers[id_] for id_ in decision.officers}
        happening = super().take(decision, *told)
        after, number = decision.case, len(self.batches)
        at, signin = decision.events[0].at.at, Signin(self.name[:16], HANDLER.id, "call_handler")
        parts = [Append(f"officer/{id_}", officers[id_].version, made) for id_, made in decision.officers.items()]
        batch = Batch(
            f"{self.name}/{number}",
            HANDLER.id,
            bytes(32),
            (Append(f"case/{after.id}", before.version, decision.events), *parts),
            cases=(after,),
            officers=tuple(self.universe.officers[id_] for id_ in officers),
            access=(Access(signin, "alteration", "move", at, after.id),),
            result={"case": after.id, "version": after.version},
        )
        self.batches.append(batch)
        return happening


def a_story(name: str, number: int) -> list[Batch]:
    """One case from the call to the assessment: fourteen commands. Its caller and its officer have no other case."""
    officer: Actor = person(f"officer {name}", "officer")
    universe = Universe(reference=name, drawn=number * 1000, officers={officer.id: Officer(officer.id, 0, "on")})
    told = Told(universe, case=Case(name), replayed=Case(name), name=name)
    born = f"{1950 + number % 55}-{number % 12 + 1:02}-{number % 28 + 1:02}"
    told.opens(victim_name=f"Ann {name}", victim_dob=born, suspect_name=f"Bob {name}")
    told.does(HANDLER, "answer_criteria", **all_met())
    told.does(HANDLER, "record_consent", consent_kind="video", consent_answer="given")
    told.does(HANDLER, "offer_handover", note="Left by the back door.")
    told.does(SERGEANT, "accept_handover").does(SERGEANT, "assign_officer", officer=officer.id)
    told.does(officer, "send_link")
    assert told.case.session is not None
    told.does(THE_VICTIM, "open_link", link=told.case.session.link)
    for seen in ("victim_connected", "officer_connected", "two_way_video"):
        told.does(THE_MEDIA, seen)
    told.does(officer, "confirm_safety", alone="yes", place_verified="yes")
    told.does(officer, "end_session", end_reason="completed")
    told.does(officer, "assess_risk", **risk("standard"))
    return told.batches


# --- Ways to record them -----------------------------------------------------------------------------------------


@dataclass
class How:
    """What the process is to do."""

    way: str
    """`clients` that wait for their answers, a `loop` of transactions, by the `clock`, or in `groups`."""
    name: str
    """Unlike that of any other process on the store."""
    clients: int = 1
    stories: int = 400
    seconds: float = 3
    rate: float = 0
    without: str = ""
    """`sealing` with the chain, or the `cipher` of the file."""


class Counted:
    """How long each command took."""

    def __init__(self, seconds: float) -> None:
        self.began = perf_counter()
        self._until = self.began + seconds
        self._took: list[float] = []

    @property
    def over(self) -> bool:
        return perf_counter() > self._until

    def since(self, start: float) -> None:
        self._took.append(perf_counter() - start)

    def told(self) -> dict[str, float]:
        took, passed = sorted(self._took), perf_counter() - self.began
        at = {f"p{share}": took[len(took) * share // 100] * 1000 for share in (50, 99)}
        return {"per_s": len(took) / passed, "commands": len(took), **at, "most": took[-1] * 1000}


async def clients(store: Store, stories: Sequence[Sequence[Batch]], how: How) -> dict[str, float]:
    """Each works on a story of its own, and sends the next command when it has the answer to the last."""
    counted, left = Counted(how.seconds), iter(stories)

    async def client() -> None:
        for batch in itertools.chain.from_iterable(left):
            if counted.over:
                return
            start = perf_counter()
            await store.append(batch)
            counted.since(start)

    await asyncio.gather(*(client() for _ in range(how.clients)))
    return counted.told()


async def loop(store: Store, stories: Sequence[Sequence[Batch]], how: How) -> dict[str, float]:
    """The same statements on one connection, each command in a transaction of its own: what most programs do."""
    with closing(store.place.database(store.place.keys()).connect(write=True)) as connection:
        counted = Counted(how.seconds)
        for batch in itertools.chain.from_iterable(stories):
            if counted.over:
                break
            start = perf_counter()
            with transaction(connection):
                log.append(connection, store.sealer, batch, "wmp", iso(observe().at))
            counted.since(start)
        return counted.told()


async def clock(store: Store, stories: Sequence[Sequence[Batch]], how: How) -> dict[str, float]:
    """Commands that arrive by the clock, whatever became of those before, but for the one before in their own story.

    How long each took is counted from when it was to arrive.
    """
    counted, sent = Counted(how.seconds), list[asyncio.Task[None]]()

    async def send(batch: Batch, due: float, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        await store.append(batch)
        counted.since(due)

    lanes: list[tuple[Iterator[Batch], asyncio.Task[None] | None]]
    lanes = [(itertools.chain.from_iterable(stories[n :: how.clients]), None) for n in range(how.clients)]
    for number in range(int(how.seconds * how.rate)):
        due, lane = counted.began + number / how.rate, number % how.clients
        await asyncio.sleep(max(0.0, due - perf_counter()))
        batches, before = lanes[lane]
        task = asyncio.create_task(send(next(batches), due, before))
        lanes[lane] = batches, task
        sent.append(task)
    await asyncio.gather(*sent)
    return counted.told()


async def groups(store: Store, stories: Sequence[Sequence[Batch]], how: How) -> dict[str, float]:
    """As many commands in each commit as there are clients, each of a story of its own: what the writer's thread
    computes for one of them, without its waits for the disk or a server.
    """

    def job(batch: Batch) -> Callable[[Connection], object]:
        return lambda connection: log.append(connection, store.sealer, batch, "wmp", iso(observe().at))

    lanes = [itertools.chain.from_iterable(stories[n :: how.clients]) for n in range(how.clients)]
    took, until = list[float](), perf_counter() + how.seconds
    with closing(store.place.database(store.place.keys()).committer()) as committer:
        for batches in zip(*lanes, strict=False):
            if perf_counter() > until:
                break
            attempts = [Attempt(job(batch)) for batch in batches]
            start = thread_time()
            committer.commit(attempts)
            took.append((thread_time() - start) / len(attempts))
            assert not [attempt.error for attempt in attempts if attempt.error]
    return {"cpu_us": statistics.median(took) * 1e6, "commits": len(took)}


WAYS = {"clients": clients, "loop": loop, "clock": clock, "groups": groups}

# --- What is left out --------------------------------------------------------------------------------------------


@contextmanager
def without(what: str) -> Iterator[None]:
    """Here, and not in the product: what is measured by leaving it out."""
    key = DataKey("00000000-0000-4000-8000-000000000001", bytes(32))
    gone: Mapping[str, tuple[tuple[Any, str, Any], ...]] = {
        "sealing": (
            (Sealer, "key_for", lambda self, connection, scope: key),
            (envelope, "seal_event", lambda key, stream, version, kind, fields: ledger.canonical(fields)),
            (ledger, "chain", lambda entry: bytes(32)),
            (access, "chain", lambda row: bytes(32)),
        ),
        "cipher": ((sqlite, "_unlock", lambda connection, file, key: None),),
    }
    with ExitStack() as stack:
        for place, name, other in gone.get(what, ()):
            stack.enter_context(patch.object(place, name, other))
        yield


async def run(place: Place, how: How) -> None:
    stories = [a_story(f"{how.name}-{number}", number) for number in range(how.stories)]
    with without(how.without):
        store = Store(place, force="wmp")
        await store.start()
        try:
            print("ready", flush=True)  # noqa: T201 (the parent reads it)
            await asyncio.to_thread(sys.stdin.readline)
            print(json.dumps(await WAYS[how.way](store, stories, how)), flush=True)  # noqa: T201 (likewise)
        finally:
            await store.close()


if __name__ == "__main__":
    asyncio.run(run(Place.told(*json.loads(sys.argv[1])), How(**json.loads(sys.argv[2]))))
