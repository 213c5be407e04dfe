"""Anchors of the signed head outside the desk: witnesses, a time-stamp authority, a daily mail.

The desk never waits for any of them. What cannot be anchored now is told and tried again; what a witness refuses as
another log is an alarm, for then this is not the log that it has seen.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import aiohttp
import structlog

from rvr.anchoring.mails import Mails
from rvr.anchoring.refused import CannotAnchor
from rvr.anchoring.timestamps import Timestamps
from rvr.anchoring.witnesses import Asked, configured
from rvr.config import Settings
from rvr.core.errors import Unavailable
from rvr.core.moment import Moment
from rvr.store.checkpoints import Checkpoint
from rvr.store.store import Store

log = structlog.get_logger()

LOOK_S = 10.0
"""How often a new head is anchored: what an intruder with every key could still change unseen by a witness."""

REQUEST_S = 8.0
"""After this a carrier counts as unreachable. Looks are not made beside each other, so it is less than LOOK_S."""

LAST_S = 5.0
"""For all carriers together when the desk stops: what is not anchored then is anchored at the next start."""


class Carrier(Protocol):
    """One way out. Asked again and again, and by itself knows whether anything is due."""

    kind: str
    name: str
    """As `anchor` names it."""

    async def carry(self, head: Checkpoint, now: datetime, *, last: bool) -> None:
        """Anchors the head if that is due, and notes it. `last`: the desk is about to stop. Raises CannotAnchor."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What cannot be anchored just now."""

    carrier: Carrier
    code: str
    """A key of the catalogue's table `anchor`."""
    alarm: bool
    since: datetime
    again: datetime
    """When it is tried next."""


class Anchoring:
    """Looks when it is asked to; `Periodic` asks."""

    def __init__(self, store: Store, carriers: Sequence[Carrier], *, observe: Callable[[], Moment]) -> None:
        self._store, self._carriers, self._observe = store, carriers, observe
        self._troubles: dict[Carrier, Trouble] = {}

    @property
    def troubles(self) -> list[Trouble]:
        """The alarms first."""
        return sorted(self._troubles.values(), key=lambda one: (not one.alarm, one.since))

    @property
    def alarm(self) -> str:
        """Why the log is not the one that a witness has seen, as a code; empty while it is."""
        return next((one.code for one in self.troubles if one.alarm), "")

    async def look(self, *, last: bool = False) -> None:
        """Brings the newest head to every carrier for which that is due, to all of them at once."""
        head = await self._store.head()
        if head is not None and head.size:
            done = await asyncio.gather(
                *(self._carry(one, head, last) for one in self._carriers), return_exceptions=True
            )
            for failed in done:
                if failed is not None:
                    raise failed

    async def last_look(self) -> None:
        """Before the desk stops."""
        with contextlib.suppress(TimeoutError, Unavailable):
            await asyncio.wait_for(self.look(last=True), LAST_S)

    async def _carry(self, carrier: Carrier, head: Checkpoint, last: bool) -> None:
        known, now = self._troubles.get(carrier), self._observe().at
        if known and now < known.again and not last:
            return
        try:
            await carrier.carry(head, now, last=last)
        except CannotAnchor as fault:
            self._tell(carrier, fault, now)
        else:
            if self._troubles.pop(carrier, None):
                log.warning("anchored_again", kind=carrier.kind)

    def _tell(self, carrier: Carrier, fault: CannotAnchor, now: datetime) -> None:
        """An alarm stays one until the head is anchored: it is not over because the witness is out of reach."""
        known, again = self._troubles.get(carrier), now + timedelta(seconds=fault.wait_s)
        if known and (known.code == fault.code or known.alarm):
            self._troubles[carrier] = Trouble(carrier, known.code, known.alarm, known.since, again)
            return
        self._troubles[carrier] = Trouble(carrier, fault.code, fault.alarm, now, again)
        (log.error if fault.alarm else log.warning)("head_not_anchored", kind=carrier.kind, code=fault.code)


@contextlib.asynccontextmanager
async def opened(store: Store, settings: Settings, observe: Callable[[], Moment]) -> AsyncIterator[Anchoring]:
    """The anchors of these settings. Raises SettingFault."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_S)) as web:
        carriers: list[Carrier] = [Asked(store, one, web) for one in configured(settings)]
        if settings.timestamp_url:
            carriers.append(Timestamps(store, settings, web))
        if settings.head_mail_to:
            carriers.append(Mails(store, settings, within_s=REQUEST_S))
        yield Anchoring(store, carriers, observe=observe)
