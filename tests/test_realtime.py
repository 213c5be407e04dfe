"""The hub: everybody who listens hears everything of their topics in order, or is closed; publishing never waits."""

from __future__ import annotations

import asyncio

from rvr.realtime import QUEUE, Hub, Listener, Message


def about(position: int, topic: str = "board") -> Message:
    return Message(position, topic, "CaseOpened", "1")


async def heard(listener: Listener) -> list[int]:
    async with asyncio.timeout(1):
        return [message.position async for message in listener.messages()]


async def test_a_listener_hears_its_topics_in_order_and_no_others() -> None:
    hub = Hub()
    listener = hub.listen(["board", "case/1"])
    for position, topic in enumerate(["board", "case/1", "case/2", "board"], 1):
        hub.publish(about(position, topic))
    hub.publish(about(5))
    got = [listener.queue.get_nowait().position for _ in range(4)]
    assert got == [1, 2, 4, 5]
    assert listener.queue.empty()


async def test_a_dropped_listener_ends_and_hears_nothing_more() -> None:
    hub = Hub()
    listener = hub.listen(["board"])
    hub.drop(listener)
    hub.drop(listener)
    hub.publish(about(1))
    assert await heard(listener) == []
    assert len(hub) == 0


async def test_a_listener_that_waits_wakes_when_it_is_dropped() -> None:
    hub = Hub()
    listener = hub.listen(["board"])
    waiting = asyncio.create_task(heard(listener))
    await asyncio.sleep(0)
    hub.publish(about(1))
    await asyncio.sleep(0)
    hub.drop(listener)
    assert await waiting == [1]


async def test_a_listener_that_stops_reading_is_closed_without_a_gap_and_the_others_hear_on() -> None:
    """What it read before is what it resumes behind: nothing after a message that it has not seen may reach it."""
    hub = Hub()
    slow, quick = hub.listen(["board"]), hub.listen(["board"])
    hub.publish(about(0))
    assert (await anext(aiter(slow.messages()))).position == 0
    positions = []
    for position in range(1, QUEUE + 2):
        hub.publish(about(position))
        while not quick.queue.empty():
            positions.append(quick.queue.get_nowait().position)
    assert positions == list(range(QUEUE + 2))
    got = await heard(slow)
    assert got == list(range(1, len(got) + 1))
    assert len(hub) == 1
    assert slow.queue.qsize() <= QUEUE


async def test_closing_the_hub_ends_every_stream() -> None:
    hub = Hub()
    listeners = [hub.listen(["board"]) for _ in range(3)]
    hub.close()
    assert [await heard(one) for one in listeners] == [[], [], []]
    assert len(hub) == 0
