"""Looks up a case with what stands around it, once for a page or an answer."""

from __future__ import annotations

import json

from rvr.core.commands import Actor
from rvr.core.errors import NotFound, Reason
from rvr.desk import Desk
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


async def seen(desk: Desk, case_id: str, actor: Actor) -> None:
    """Raises NotFound as `gather` does."""
    if not views.may_see(await desk.case(case_id), actor):
        raise NotFound(Reason("no-such-case"))


async def gathered(desk: Desk, case_id: str, actor: Actor, version: int | None = None) -> Around:
    """The case, or what it was at a version. Who made a move is answered, also when the case is no longer theirs."""
    now = await desk.gather(case_id, version)
    flow = await desk.definition_of(now.case)
    known = now.known if "people" in views.classes_for(now.case, actor) else Known()
    others = {past.case for past in known.history} | {one.id for c in known.candidates for one in c.cases}

    def look(connection: Connection) -> tuple[dict[str, staff.Person], list[Other]]:
        where, values = within("id", others)
        wanted = f"SELECT id, state, opened_by, officer, decision, conflicts FROM case_row WHERE {where}"  # noqa: S608
        rows = connection.execute(wanted, values).fetchall() if others else []
        return staff.people(connection), [Other._make((*row[:-1], json.loads(row[-1]))) for row in rows]

    people, rows = await desk.store.look(look)
    flows = (flow, *desk.definitions.workflows.values())
    return Around(
        now.case,
        flow,
        now.log,
        known,
        tuple(await desk.moves(now, actor)),
        now.officers,
        people,
        {state.id: state.name for one in flows for state in one.states.values()},
        frozenset(row.id for row in rows if views.may_read(row, actor)),
    )
