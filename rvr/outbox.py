"""Sends what the outbox holds: at least once, each delivery with its own record, and what became of it.

A message is queued in the transaction of the event that wants it, so none is lost and none goes out for an event that
was not recorded. In demo mode the outbox itself is the phone: `/demo/outbox` shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta

import structlog

from rvr import metrics
from rvr.carriers import Carrier, TurnedDown, Word
from rvr.core.commands import THE_CARRIER, MakeMove
from rvr.core.errors import RvrError, Unavailable
from rvr.core.moment import iso, parse_iso
from rvr.desk import Desk
from rvr.store import messages
from rvr.store.messages import Delivery
from rvr.store.tables import LinkRow, every

log = structlog.get_logger()

RETRY_S = (5, 15, 60, 300)
"""Waits between attempts; after the last the message has failed for good and the screens say so."""

ASK_S, ASK_MOST_S, ASK_UNTIL_S = 5.0, 300.0, 3600.0
"""Of a message that is on its way it is asked after this long, then after half of the time that it has been under way,
but at least as often as the second; after the third no more: the link is at its end by then."""

HELD_S = 10
"""A message is this sender's alone for so long: no other desk on the database sends it too, so a carrier must have
taken or refused it by then. A sender that is killed meanwhile costs a victim's link so many seconds."""


MOMENT_S, MOST_SLOW = 0.2, 100
"""For so long a look waits for the carriers; and so many of them may be slow at once."""

CLOSE_S = 3
"""For so long the end of the process does: it is given five seconds in all."""


class Outbox:
    """Looks when it is asked to; `Periodic` asks."""

    def __init__(self, desk: Desk, carrier: Carrier) -> None:
        self._desk, self._carrier = desk, carrier
        self._slow: set[asyncio.Task[None]] = set()

    async def deliver(self) -> int:
        """Sends what is due, and asks about what is on its way; returns how many messages that was. A carrier that
        takes its time is not waited for: the next victim's text may be for another one.
        """
        store, now = self._desk.store, self._desk.observe().at
        until = iso(now + timedelta(seconds=HELD_S))
        if len(self._slow) >= MOST_SLOW or not await store.read(lambda session: messages.due(session, iso(now))):
            return 0
        taken = await store.write(lambda connection: messages.take(connection, store.sealer, iso(now), until))
        tasks = [asyncio.create_task(self._one(delivery)) for delivery in taken]
        if tasks:
            _, slow = await asyncio.wait(tasks, timeout=MOMENT_S)
            self._slow |= slow
            for task in slow:
                task.add_done_callback(self._slow.discard)
        return len(taken)

    async def close(self) -> None:
        """Waits for what is under way: a text that was taken and not noted would be sent twice."""
        if self._slow:
            await asyncio.wait(self._slow, timeout=CLOSE_S)

    async def _one(self, delivery: Delivery) -> None:
        try:
            await self._carried(delivery)
        except Unavailable:  # not noted: it is this sender's until it is due again, and then asked about or sent anew
            log.warning("message_not_noted", message_id=delivery.message.id)
        except Exception:  # nobody waits for a slow one: what it raises would be heard of never
            metrics.LOOKS_FAILED.inc()
            log.exception("message_not_noted", message_id=delivery.message.id)

    async def _carried(self, delivery: Delivery) -> None:
        at = self._desk.observe().at
        waited = at - parse_iso(delivery.created_at) > timedelta(seconds=HELD_S)
        try:
            if delivery.status == "sent":
                word = await self._carrier.word(delivery.message)
            else:
                word = await self._carrier.send(delivery.message, again=waited or delivery.attempts > 0)
        except Exception as error:  # noqa: BLE001 - one message that no carrier can take must not hold up the others
            log.warning("message_not_sent", message_id=delivery.message.id, error=type(error).__name__)
            metrics.DELIVERIES.labels(delivery.message.kind, "not-now").inc()
            await self._not_now(delivery, at, for_good=isinstance(error, TurnedDown))
        else:
            metrics.DELIVERIES.labels(delivery.message.kind, word).inc()
            await self._said(delivery, word, at)

    async def _not_now(self, delivery: Delivery, at: datetime, *, for_good: bool) -> None:
        if delivery.status == "sent":
            await self._said(delivery, "taken", at)
            return
        waits = () if for_good else RETRY_S[delivery.attempts : delivery.attempts + 1]
        if waits:
            await self._keep(delivery, "queued", next_at=at + timedelta(seconds=waits[0]))
        else:
            metrics.DELIVERIES.labels(delivery.message.kind, "failed").inc()
            await self._note(delivery, "failed")
            await self._keep(delivery, "failed")

    async def _said(self, delivery: Delivery, word: Word, at: datetime) -> None:
        since = parse_iso(delivery.sent_at) if delivery.sent_at else at
        if word in ("delivered", "failed"):
            await self._note(delivery, word)
        if word == "failed":
            await self._keep(delivery, "failed", sent_at=since)
            return
        under_way_s = (at - since).total_seconds()
        waits = timedelta(seconds=min(ASK_MOST_S, max(ASK_S, under_way_s / 2)))
        asks = word == "taken" and under_way_s < ASK_UNTIL_S
        await self._keep(delivery, "sent", sent_at=since, next_at=at + waits if asks else None)

    async def _keep(
        self, delivery: Delivery, status: str, *, sent_at: datetime | None = None, next_at: datetime | None = None
    ) -> None:
        told = {"sent_at": iso(sent_at) if sent_at else "", "next_at": iso(next_at) if next_at else ""}
        tried = delivery.status != "sent"
        await self._desk.store.write(
            lambda connection: messages.attempted(connection, delivery.message.id, status=status, tried=tried, **told)
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
