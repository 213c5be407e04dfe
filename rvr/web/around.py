"""Looks up a case with what stands around it, once for a page or an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from rvr.core.case import Case
from rvr.core.commands import Actor
from rvr.core.errors import NotFound, Reason
from rvr.desk import Desk, Outcome
from rvr.gathering import Gathered
from rvr.store import staff
from rvr.store.engine import Connection, within
from rvr.store.history import Known
from rvr.web import views
from rvr.web.case_parts import Around
from rvr.web.views import Other


async def gather(desk: Desk, case_id: str, actor: Actor) -> Around:
    """Raises NotFound for a case that there is not, or that is not this person's to see."""
    await seen(desk, case_id, actor)
    return await gathered(desk, case_id, actor)


async def seen(desk: Desk, case_id: str, actor: Actor) -> Case:
    """The case alone. Raises NotFound as `gather` does."""
    case = await desk.case(case_id)
    if not views.may_see(case, actor):
        raise NotFound(Reason("no-such-case"))
    return case


async def gathered(desk: Desk, case_id: str, actor: Actor, version: int | None = None) -> Around:
    """The case, or what it was at a version. Who made a move is answered, also when the case is no longer theirs."""
    now, beside = await desk.gather_with(lambda connection, now: _beside(connection, now, actor), case_id, version)
    return await _around(desk, now, beside, actor)


async def after(desk: Desk, outcome: Outcome, actor: Actor) -> Around:
    """The case as this command left it: with what the decision rested on, where that still stands."""
    now = outcome.gathered
    if now is None:
        return await gathered(desk, outcome.case.id, actor, outcome.case.version)
    return await _around(desk, now, await desk.store.look(lambda connection: _beside(connection, now, actor)), actor)


class _Beside(NamedTuple):
    """What a decision does not need to know, and a screen shows."""

    known: Known
    people: Mapping[str, staff.Person]
    others: list[Other]


def _beside(connection: Connection, now: Gathered, actor: Actor) -> _Beside:
    known = now.known if "people" in views.classes_for(now.case, actor) else Known()
    others = {past.case for past in known.history} | {one.id for c in known.candidates for one in c.cases}
    where, values = within("id", others)
    wanted = f"SELECT id, state, opened_by, officer, decision, conflicts FROM case_row WHERE {where}"  # noqa: S608
    rows = connection.execute(wanted, values).fetchall() if others else []
    return _Beside(known, staff.people(connection), [Other._make((*row[:-1], json.loads(row[-1]))) for row in rows])


async def _around(desk: Desk, now: Gathered, beside: _Beside, actor: Actor) -> Around:
    flow, open_to = await desk.definition_of(now.case), await desk.open_to(now, actor)
    flows = (flow, *desk.definitions.workflows.values())
    return Around(
        now.case,
        flow,
        now.log,
        beside.known,
        open_to.moves,
        open_to.wording,
        now.officers,
        beside.people,
        {state.id: state.name for one in flows for state in one.states.values()},
        frozenset(row.id for row in beside.others if views.may_read(row, actor)),
    )
