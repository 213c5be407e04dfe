"""Something that is looked at again and again until it is told to stop; a job that many ask for at once. Nothing else
sleeps."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from rvr import metrics
from rvr.core.errors import Unavailable

log = structlog.get_logger()


class Periodic:
    """Calls `look` every `period_s` seconds. A look that fails is logged, and the next one tries again."""

    def __init__(self, look: Callable[[], Awaitable[object]], period_s: float) -> None:
        self._look, self._period_s = look, period_s
        self._wanted = asyncio.Event()
        self._waits = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def soon(self) -> None:
        """Does not wait for the next time. For the loop's own thread."""
        self._wanted.set()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            self._wanted.clear()
            try:
                await self._look()
                self._waits = ""
            except Unavailable as away:  # as long as it lasts, and no news after the first time
                code = away.reasons[0].code
                if code != self._waits:
                    log.warning("look_waits", code=code)
                self._waits = code
            except Exception:
                metrics.LOOKS_FAILED.inc()
                log.exception("look_failed")  # a sleeper that dies would silence every clock
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), self._period_s)


class Shared:
    """A job of which one run serves everybody who asked before it began."""

    def __init__(self, job: Callable[[], Awaitable[object]]) -> None:
        self._job = job
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Returns when a run that began after this call is over. Raises what it raised."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
        await asyncio.shield(self._next)

    async def _run(self) -> None:
        async with self._one_at_a_time:
            self._next = None
            await self._job()
