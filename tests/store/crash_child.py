"""Writes cases as fast as it can and says each acknowledgement on standard output, until it is killed.

Arguments: the place, the round. A line is the id of a command whose answer has arrived.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.store import Store
from tests.store.builders import Clock, Place, a_batch, event, opened


async def client(store: Store, clock: Clock, name: str) -> None:
    for number in itertools.count():
        case = Case(f"{name}-{number}")
        for step, fact in enumerate(
            (opened(clock, case.id, name="Ann"), event(e.HandoverOffered(), "handover", clock))
        ):
            command = f"{case.id}/{step}"
            await store.append(a_batch(command, case, fact))
            os.write(1, f"{command}\n".encode())
            case = apply(case, fact)


async def main(data: str, key_file: str, url: str, turn: str) -> None:
    clock = Clock()
    store = Store(Place.told(data, key_file, url), observe=clock)
    await store.start()
    os.write(1, b"started\n")
    await asyncio.gather(*(client(store, clock, f"{turn}-{number}") for number in range(8)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
