"""Watches whether the log can be written: tries again while it cannot, and tells every screen when that changes."""

from __future__ import annotations

import contextlib

import structlog

from rvr.core.errors import Unavailable
from rvr.desk import BOARD, Desk
from rvr.realtime import Message

log = structlog.get_logger()


class Writing:
    """Looks when it is asked to; `Periodic` asks."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._told = desk, ""

    async def look(self) -> None:
        """While the disk takes nothing, tries whether it does again. Nobody has to do anything but make room."""
        store = self._desk.store
        if store.fault or store.holds:
            with contextlib.suppress(Unavailable):
                await store.probe()
        if store.fault != self._told:
            self._told = store.fault
            if self._told:
                log.error("log_cannot_be_written", code=self._told)
            else:
                log.warning("log_written_again")
            self._desk.hub.publish(Message(self._desk.told, BOARD, "writing"))
