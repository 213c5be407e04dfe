"""Confirms an erasure slowly, telling each step on standard output, until it is killed.

Arguments: data folder, workflows, the reference of a case for which an erasure was proposed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from rvr.config import Settings
from rvr.core.commands import Actor, ConfirmErasure
from rvr.opening import open_desk
from rvr.store import log, writer
from rvr.store.tables import CaseRow, every


def told(work: Callable[..., Any], name: str) -> Callable[..., Any]:
    def done(*arguments: Any) -> Any:
        os.write(1, f"{name}\n".encode())
        time.sleep(0.005)
        return work(*arguments)

    return done


async def main(data: str, workflows: str, reference: str) -> None:
    async with open_desk(Settings(data=data, workflows=workflows)) as desk:
        (row,) = await desk.store.read(lambda session: every(session, CaseRow, CaseRow.reference == reference))
        log.erase = told(log.erase, "erase")  # type: ignore[attr-defined]
        log.drop_messages = told(log.drop_messages, "drop")  # type: ignore[attr-defined]
        log.put = told(log.put, "answer")  # type: ignore[attr-defined]
        writer._answer = told(writer._answer, "committed")  # type: ignore[assignment]
        await desk.handle(ConfirmErasure(f"erase:{reference}", row.id), Actor("isla", frozenset({"inspector"})))
        os.write(1, b"done\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
