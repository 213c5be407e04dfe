"""Opens a store slowly, telling each statement on standard output before it is run, until it is killed.

Arguments: the place.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

from sqlalchemy import Engine, event

from rvr.store import projections
from rvr.store.engine import CannotOpen
from tests.store.builders import Clock, Place


def tell(line: str) -> None:
    os.write(1, f"{' '.join(line.split())}\n".encode())
    time.sleep(0.01)


async def main(data: str, key_file: str, url: str) -> None:
    event.listen(Engine, "before_cursor_execute", lambda _1, _2, statement, *_: tell(statement))
    event.listen(Engine, "commit", lambda _: tell("COMMIT"))
    put_case, rebuild = projections.put_case, projections.rebuild

    def put_case_slowly(*told: Any) -> None:
        tell("a row")
        put_case(*told)

    def rebuild_slowly(*told: Any) -> None:
        tell("the rows")
        rebuild(*told)

    projections.put_case, projections.rebuild = put_case_slowly, rebuild_slowly
    store = Place.told(data, key_file, url).store(Clock())
    try:
        await store.start()
    except CannotOpen as refused:
        sys.exit(str(refused))
    await store.close()
    os.write(1, b"done\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
