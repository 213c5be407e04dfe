"""The sender of the outbox is killed again and again: every message goes out, and whoever gets one twice can tell."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Any

import pytest

from rvr.core import events as e
from rvr.desk import Desk
from rvr.store.tables import MessageRow, every
from tests.crash import children
from tests.crash.children import OFFICERS, Asked, at_work, carry_out, opens, story
from tests.crash.soundness import is_sound
from tests.store.builders import Place

A_KILL, SEEN = 30, 6
"""Messages for each kill, and of how many the carrier has heard by then: a sender takes twenty at once, and is to be
killed in the middle of them."""


async def write_texts(desk: Desk, number: int, links: int, dice: random.Random) -> None:
    """One writer: a case of its own, and one new link after the other, each a text."""
    officer = OFFICERS[number].id
    await carry_out(desk, Asked(f"{number}/on", officer, "on"))
    case = (await carry_out(desk, opens(f"{number}/open", number))).case.id
    for by, move, form in story(officer, ""):
        if move == "resend_link":
            break
        await carry_out(desk, Asked(f"{number}/{move}", by, move, case, form))
    for link in range(1, links):
        await asyncio.sleep(dice.uniform(0, 0.2))
        await carry_out(desk, Asked(f"{number}/link {link}", officer, "resend_link", case))


async def _queued(desk: Desk) -> list[MessageRow]:
    return await desk.store.read(lambda session: every(session, MessageRow, MessageRow.status == "queued"))


async def kill_the_sender(place: Place, *, writers: int, kills: int, seed: int = 7) -> dict[str, Any]:
    """Writers at work, and one sender after the other; what the carrier got from all of them."""
    dice, links, said = random.Random(seed), kills * A_KILL // writers + 2, list[list[Any]]()
    async with at_work(place) as desk:
        work = asyncio.gather(*(write_texts(desk, number, links, dice) for number in range(writers)))
        for _ in range(kills):
            with children.at("send", place) as sender:
                await asyncio.to_thread(sender.until, "sent", dice.randrange(1, SEEN))
                await asyncio.sleep(dice.uniform(0, 0.01))
                said += await asyncio.to_thread(sender.kill)
        await work
        with children.at("send", place) as sender:
            deadline = time.monotonic() + children.WITHIN_S
            while await _queued(desk) and time.monotonic() < deadline:
                await asyncio.to_thread(time.sleep, 0.1)
            said += await asyncio.to_thread(sender.kill)
        log = await desk.store.events_after(0, 1_000_000)
        rows = await desk.store.read(lambda session: every(session, MessageRow))
    await is_sound(place, [])
    wanted = [one.event.fact.link for one in log if isinstance(one.event.fact, e.LinkSent)]
    taken = Counter(line[1] for line in said if line[0] == "sent")
    assert len({tuple(line[1:]) for line in said if line[0] == "sent"}) == len(taken), "a repeat is the same message"
    return {
        "writers": writers,
        "kills": kills,
        "messages": len(wanted),
        "distinct": len(set(wanted)),
        "never sent": len(set(wanted) - taken.keys()),
        "never wanted": len(taken.keys() - set(wanted)),
        "not marked sent": sum(row.status != "sent" for row in rows),
        "sent again": sum(taken.values()) - len(taken),
    }


@pytest.mark.slow
async def test_every_message_goes_out_and_its_receiver_sees_each_once(place: Place) -> None:
    told = await kill_the_sender(place, writers=16, kills=8)
    assert told["messages"] == told["distinct"] > 8 * A_KILL
    assert (told["never sent"], told["never wanted"], told["not marked sent"]) == (0, 0, 0)
