"""The desk's side of the media plane: what was seen there becomes moves, and which rooms should be open.

The media plane knows rooms and seats and decides nothing; a case's rules decide what an observation means.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

import structlog
from sqlmodel import col

from rvr.core import presence
from rvr.core.commands import THE_MEDIA, Actor, MakeMove
from rvr.core.errors import Reason, Refused, Stale
from rvr.core.moment import Moment
from rvr.desk import TRIES, Desk
from rvr.media import Room, Seat
from rvr.store import Store
from rvr.store.tables import CaseRow, every

log = structlog.get_logger()


async def observed(
    desk: Desk,
    room: str,
    seat: str | None,
    kind: str,
    cause: str,
    at: Moment,
    name: str,
    *,
    firsts: Mapping[str, str] | None = None,
) -> None:
    """Records what the media plane saw. `name` is the observation's own, so that a repeat is dropped; `firsts` is, by
    seat, when its first picture was decoded.

    An observation that the case's rules have no use for any more (the session has ended) is dropped, too. Raises
    Stale or Unavailable when it could not be recorded: the media plane then offers it again.
    """
    rows = await desk.store.read(lambda session: every(session, CaseRow, CaseRow.session == room))
    if not rows:
        return
    for _ in range(TRIES):
        case = await desk.case(rows[0].id)
        wanted = presence.move_for(case, kind, seat, cause, firsts)
        if wanted is None:
            return
        move, form = wanted
        command = MakeMove(f"media:{name}", case.id, move, form, expected_version=case.version, at=at)
        try:
            await desk.handle(command, THE_MEDIA)
        except Stale:
            continue
        except Refused as refused:
            log.warning("media_observation_refused", case=case.id, move=move, reasons=str(refused))
        return
    raise Stale(Reason("busy"))


async def note_restart(desk: Desk) -> None:
    """At start: whoever the log still has as connected was cut off when the desk stopped without a word (a power cut,
    a kill). Without this a case would stay on video for ever, and a call that comes back would seem unbroken.
    """
    at, start = desk.observe(), desk.new_id()
    for room, wanted in (await wanted_rooms(desk.store)).items():
        for seat in wanted.seats:
            await observed(desk, room, seat.id, "lost", "worker_lost", at, f"restart:{start}:{seat.id}")


class Held(NamedTuple):
    """The seat of a member of staff in a call, and what it takes to sit there."""

    room: str
    seat: str
    person: str
    roles: frozenset[str]
    partner: str = ""

    def suits(self, who: Actor) -> bool:
        """Whether it is this person's, who has the role for it still."""
        belongs = not self.partner or self.partner in who.units
        return self.person == who.id and belongs and not self.roles.isdisjoint(who.roles)


def held(row: CaseRow) -> list[Held]:
    """The seats of members of staff in the call of this case: the officer's, and those of guests from the desk."""
    officer = Held(row.session, row.officer_seat, row.officer, frozenset({"officer"}))
    guests = (
        Held(row.session, one["seat"], one["person"], ADVOCATES if one["partner"] else SUPERVISORS, one["partner"])
        for one in row.guests
        if one["person"]
    )
    return [officer, *guests]


ADVOCATES, SUPERVISORS = frozenset({"advocate"}), frozenset({"sergeant", "inspector"})
"""Who takes a seat that is kept for an organisation, and who joins a call unasked."""


async def give_up_seats(store: Store, leave: Callable[[str, str], Awaitable[None]], left: Iterable[Actor]) -> None:
    """Ends the connections of those members of staff who may no longer see and hear. Their seats stay kept."""
    for who in left:
        rows = await store.read(lambda session: every(session, CaseRow, col(CaseRow.session_open).is_(True)))
        for one in (one for row in rows for one in held(row)):
            if one.person == who.id and not one.suits(who):
                await leave(one.room, one.seat)


async def wanted_rooms(store: Store) -> dict[str, Room]:
    """Every room that should be open now, with its seats: who may be seen and heard there, the case says."""
    wanted = "SELECT session, seats FROM case_row WHERE session_open = :open"
    rows = await store.look(lambda connection: connection.execute(wanted, {"open": True}).fetchall())
    return {room: Room(tuple(Seat(seat, admitted) for seat, admitted in json.loads(seats))) for room, seats in rows}
