"""Sends what the outbox holds: at least once, each delivery with its own record.

A message is queued in the transaction of the event that wants it, so none is lost and none goes out for an event that
was not recorded. In demo mode the outbox itself is the phone: `/demo/outbox` shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Literal, Protocol

import structlog

from rvr.core.commands import THE_CARRIER, MakeMove
from rvr.core.errors import RvrError
from rvr.core.moment import iso
from rvr.desk import Desk
from rvr.store import messages
from rvr.store.messages import Delivery
from rvr.store.tables import LinkRow, every

log = structlog.get_logger()

RETRY_S = (5, 15, 60, 300)
"""Waits between attempts; after the last the message has failed for good and the screens say so."""


HELD_S = 10
"""A message is this sender's alone for so long: no other desk on the database sends it too, so a carrier must have
taken or refused it by then. A sender that is killed meanwhile costs a victim's link so many seconds."""


Receipt = Literal["taken", "delivered"]
"""Taken: it is on its way. Delivered: it is there."""


class Sender(Protocol):
    """Carries one message to somebody's phone."""

    async def send(self, delivery: Delivery) -> Receipt:
        """What the carrier says of it, once it has taken it; raises when it could not, and is then tried again."""


class DemoSender:
    """Keeps every message where it is: the demo outbox page is the phone."""

    async def send(self, delivery: Delivery) -> Receipt:
        return "delivered"


class Outbox:
    """Looks when it is asked to; `Periodic` asks."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        self._desk, self._sender = desk, sender

    async def deliver(self) -> int:
        """Sends what is due; returns how many messages that was."""
        store, now = self._desk.store, self._desk.observe().at
        until = iso(now + timedelta(seconds=HELD_S))
        if not await store.read(lambda session: messages.due(session, iso(now))):
            return 0
        taken = await store.write(lambda connection: messages.take(connection, store.sealer, iso(now), until))
        await asyncio.gather(*(self._one(delivery) for delivery in taken))
        return len(taken)

    async def _one(self, delivery: Delivery) -> None:
        at = self._desk.observe().at
        try:
            receipt = await self._sender.send(delivery)
            status, next_at, sent_at = "sent", "", iso(at)
            if receipt == "delivered":
                await self._note(delivery, "delivered")
        except Exception as error:  # noqa: BLE001 - one message that no carrier can take must not hold up the others
            log.warning("message_not_sent", message_id=delivery.message.id, error=type(error).__name__)
            waits = RETRY_S[delivery.attempts : delivery.attempts + 1]
            status, sent_at = ("queued" if waits else "failed"), ""
            next_at = iso(at + timedelta(seconds=waits[0])) if waits else ""
            if not waits:
                await self._note(delivery, "failed")
        await self._desk.store.write(
            lambda connection: messages.attempted(
                connection, delivery.message.id, status=status, next_at=next_at, sent_at=sent_at
            )
        )

    async def _note(self, delivery: Delivery, word: str) -> None:
        """The carrier's last word about a link stands in the case's log; one about another message is no fact of it."""
        message = delivery.message
        if not await self._desk.store.read(lambda session: every(session, LinkRow, LinkRow.id == message.id)):
            return
        form = {"link": message.id, "delivery": word}
        with contextlib.suppress(RvrError):  # after the session it is no fact of the case any more
            await self._desk.handle(
                MakeMove(f"delivery:{message.id}:{word}", message.case_id, "note_delivery", form), THE_CARRIER
            )
