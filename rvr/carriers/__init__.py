"""Whoever takes messages to their telephones and mailboxes: chosen by the settings, one for each kind of message.

A carrier is told the message's own random id, so that a repeat is known as one. What it says is one of four words; what
it cannot do now raises, and is tried again later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from rvr.store.messages import Message

Word = Literal["taken", "delivered", "failed", "gone"]
"""Taken: on its way, and more will be known. Delivered: it is there. Failed: it will never be. Gone: handed on, and
nobody will say more."""


class TurnedDown(Exception):
    """The carrier will not take this message, however often it is asked. The text is a code, without any address."""


class Away(Exception):
    """The carrier cannot be reached, or not now: another try may help. The text is a code, without any address."""


class Carrier(Protocol):
    """Carries messages of some kinds."""

    async def send(self, message: Message, *, again: bool) -> Word:
        """Hands the message over; `again`: it was tried before, and may have been taken. Raises TurnedDown or Away."""

    async def word(self, message: Message) -> Word:
        """What became of a message that was taken. Raises Away."""


class Demo:
    """Keeps every message where it is: the demo outbox page is the phone."""

    async def send(self, message: Message, *, again: bool) -> Word:
        return "delivered"

    async def word(self, message: Message) -> Word:
        return "delivered"


class ByKind:
    """Each message to the carrier of its kind."""

    def __init__(self, carriers: Mapping[str, Carrier]) -> None:
        self._carriers = carriers

    async def send(self, message: Message, *, again: bool) -> Word:
        return await self._carrier(message).send(message, again=again)

    async def word(self, message: Message) -> Word:
        return await self._carrier(message).word(message)

    def _carrier(self, message: Message) -> Carrier:
        if message.kind not in self._carriers:
            raise TurnedDown(f"no-{message.kind}-carrier")
        return self._carriers[message.kind]


__all__ = ["Away", "ByKind", "Carrier", "Demo", "TurnedDown", "Word"]
