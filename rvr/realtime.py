"""Who hears of what: topics, and one bounded queue a listener.

A listener that stops reading is closed, not waited for: it comes back and resumes from the feed position that it saw
last. The hub knows no cases, only topics; what a message may show is decided again for each listener when it is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

QUEUE = 256
"""Messages that wait for one listener. A desk makes a few a second; 256 is a minute of not reading at all."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something changed."""

    position: int
    """Feed position: the id by which a listener resumes."""
    topic: str
    type: str
    """The event's type, or `closed` for the last message of a stream that must end."""
    subject: str = ""
    """Id of what changed."""


CLOSED = Message(0, "", "closed")


@dataclass(eq=False, slots=True)
class Listener:
    """One open screen."""

    topics: frozenset[str]
    queue: asyncio.Queue[Message] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    closed: bool = False

    async def messages(self) -> AsyncIterator[Message]:
        """What it is to hear, until the hub or the other end closes it."""
        while True:
            message = await self.queue.get()
            if message is CLOSED:
                return
            yield message


class Hub:
    """Fans messages out. Publishing never waits."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def __len__(self) -> int:
        return len(self._listeners)

    def listen(self, topics: Iterable[str]) -> Listener:
        listener = Listener(frozenset(topics))
        self._listeners.add(listener)
        return listener

    def drop(self, listener: Listener) -> None:
        """Forgets the listener and ends its stream."""
        self._listeners.discard(listener)
        if not listener.closed:
            listener.closed = True
            while not listener.queue.empty():  # all of it: with a gap in the middle it would resume behind the gap
                listener.queue.get_nowait()
            listener.queue.put_nowait(CLOSED)

    def publish(self, message: Message) -> None:
        for listener in [one for one in self._listeners if message.topic in one.topics]:
            try:
                listener.queue.put_nowait(message)
            except asyncio.QueueFull:
                self.drop(listener)

    def close(self) -> None:
        """Ends every stream: an open screen must not hold up a shutdown."""
        for listener in list(self._listeners):
            self.drop(listener)
