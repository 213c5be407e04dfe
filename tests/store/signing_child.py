"""Signs one checkpoint and is killed on the way. Arguments: the place, where."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from rvr.store import Store
from rvr.store.checkpoints import Heads, Sequencer
from tests.store.builders import Clock, Place


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(data: str, key_file: str, url: str, where: str) -> None:
    store = Store(Place.told(data, key_file, url), observe=Clock())
    await store.start()
    if where == "before the row":
        Sequencer.sign = die  # type: ignore[method-assign]
    elif where == "before the line":
        Heads.append = die  # type: ignore[method-assign]
    else:
        sign = Sequencer.sign

        def sign_and_die(self: Sequencer, *told: Any) -> None:
            sign(self, *told)
            die()

        Sequencer.sign = sign_and_die  # type: ignore[assignment, method-assign]
    await store.checkpoint()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
