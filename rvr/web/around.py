"""Looks up a case with what stands around it, once for a page or an answer."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import col

from rvr.core.case import fold
from rvr.core.commands import Actor
from rvr.core.errors import NotFound, Reason
from rvr.core.events import Recorded
from rvr.desk import Desk
from rvr.store.history import Known
from rvr.store.tables import CaseRow, every
from rvr.web import views
from rvr.web.case_parts import Around


async def gather(desk: Desk, case_id: str, actor: Actor) -> Around:
    """Raises NotFound for a case that there is not, or that is not this person's to see."""
    return await gathered(desk, case_id, await seen(desk, case_id, actor), actor)


async def seen(desk: Desk, case_id: str, actor: Actor) -> list[Recorded]:
    """The case's log alone. Raises NotFound as `gather` does."""
    log = await desk.log(case_id)
    if not views.may_see(fold(case_id, log), actor):
        raise NotFound(Reason("no-such-case"))
    return log


async def gathered(desk: Desk, case_id: str, log: Sequence[Recorded], actor: Actor) -> Around:
    """The case that this log adds up to; whoever made a move is answered, also when the case is theirs no longer."""
    case = fold(case_id, log)
    flow = await desk.definition_of(case)
    elsewhere = await desk.known(case)
    known = elsewhere if "people" in views.classes_for(case, actor) else Known()
    others = {past.case for past in known.history} | {one.id for c in known.candidates for one in c.cases}
    rows = await desk.store.read(lambda session: every(session, CaseRow, col(CaseRow.id).in_(others)))
    flows = (flow, *desk.definitions.workflows.values())
    return Around(
        case,
        flow,
        tuple(log),
        known,
        elsewhere,
        await desk.people(),
        {state.id: state.name for one in flows for state in one.states.values()},
        frozenset(row.id for row in rows if views.may_read(row, actor)),
    )
