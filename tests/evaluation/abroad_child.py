"""A process in another time zone: exports a store, and prints the events of a whole case as they are stored."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from rvr.evaluation.package import export
from tests.builders import a_case, through_the_store
from tests.store.builders import Clock, Place


async def main(data: Path, key_file: Path, project: Path, out: Path) -> None:
    store = Place(data, key_file).store(Clock())
    await store.start()
    await export(store, out, project_key=project)
    await store.close()
    for event in through_the_store(a_case("closed").log):
        sys.stdout.write(json.dumps([event.type, *map(str, (event.at, event.fact, event.clocks, event.basis))]) + "\n")


asyncio.run(main(*map(Path, sys.argv[1:])))
