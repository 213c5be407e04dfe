"""What holds of a store after whatever was done to the process or the disk under it."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from rvr import timekeeping
from rvr.core.errors import RvrError
from rvr.core.moment import Moment
from rvr.desk import Desk
from rvr.store import Store
from rvr.store.tables import CommandRow, every
from tests.crash.children import Asked, at_work, carry_out, opens
from tests.store.builders import Place


async def is_sound(
    place: Place,
    acknowledged: Iterable[str],
    again: Iterable[Mapping[str, Any]] = (),
    observe: Callable[[], Moment] = timekeeping.observe,
) -> int:
    """Opens what is there and holds it against everything that was promised; the number of its events.

    again: commands whose outcome their sender does not know. They are sent again, and then once more.
    """
    async with at_work(place, observe) as desk:
        store = desk.store
        recorded = {row.command_id for row in await store.read(lambda session: every(session, CommandRow))}
        lost = set(acknowledged) - recorded
        assert not lost, f"{len(lost)} acknowledged commands lost: {sorted(lost)[:5]}"
        await agrees(store)
        for one in again:
            await has_one_answer(desk, Asked(**one))
        await carry_out(desk, opens(f"after {await store.position()}"))
        await store.checkpoint()
        head, count = await store.head(), await store.position()
        assert head is not None
        assert head.size == count, "signing goes on"
        assert await store.verify() == []
    assert faults_of_pages(place) == []
    return count


def faults_of_pages(place: Place) -> list[str]:
    """What SQLite itself finds wrong with its file; asked last, since whoever opens it first mends it."""
    if place.url:
        return []
    with contextlib.closing(place.connection()) as connection:
        found = [row[0] for row in connection.execute("PRAGMA cipher_integrity_check")]
        return found + [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]


async def has_one_answer(desk: Desk, asked: Asked) -> None:
    """Sent twice more, a command has one answer, and no effect of the second."""
    answers = list[tuple[Any, Any]]()
    for _ in range(2):
        try:
            outcome = await carry_out(desk, asked)
            answers.append((outcome.case.id, outcome.case.version))
        except RvrError as refused:
            answers.append((refused.code, str(refused)))
    assert answers[0] == answers[1], asked


async def agrees(store: Store) -> None:
    """Chains, positions and heads verify; the read rows are what the log says; every command has its effect once."""
    assert await store.verify() == []
    assert await store.replay() == [], "rows are not what the log says"
    assert await store.read(_commands) == await _effects(store)


async def _effects(store: Store) -> dict[str, dict[str, int]]:
    """Command -> stream -> the version after it, as the events tell it."""
    effects: dict[str, dict[str, int]] = defaultdict(dict)
    moments: dict[str, datetime] = {}
    after = 0
    while events := await store.events_after(after, 1000):
        for one in events:
            # All events of a command are recorded at one moment: the same command a second time would tell another.
            moment = moments.setdefault(one.command_id, one.recorded_at)
            assert moment == one.recorded_at, f"{one.command_id} came twice to {one.stream}"
            effects[one.command_id][one.stream] = one.version
        after = events[-1].position
    return dict(effects)


def _commands(session: Session) -> dict[str, dict[str, int]]:
    """The same, as the commands' own rows tell it."""
    return {row.command_id: dict(row.writes) for row in every(session, CommandRow)}
