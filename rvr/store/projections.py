"""The read rows: what boards, the ticker and the media plane look up, written in the transaction of the events.

They rest on the public part of the log alone, so that no name can reach them and an erased case keeps its row; the
blind index of people alone is made from what is sealed (`identities`). They decide nothing: `rebuild` makes them again
from the log at any time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any

from rvr.core.arms import MAY_HOLD_BACK
from rvr.core.case import Case, fold
from rvr.core.clocks import due_boottime_ns
from rvr.core.events import ArmAllocated, Event, GlassBroken, Recorded
from rvr.core.moment import iso
from rvr.core.orders import Order, fold_order
from rvr.core.presence import presence_of
from rvr.core.roster import Officer, fold_officer
from rvr.core.running import RunningClock, moves_clocks
from rvr.core.session import Guest, seats
from rvr.store import envelope
from rvr.store.engine import Connection, Question
from rvr.store.identities import put_case_identities, put_order_identities
from rvr.store.sealing import SealBroken, Sealer
from rvr.store.statements import add, change, put, standing
from rvr.store.tables import CaseRow, ClockRow, GlassRow, OfficerRow, OrderRow, SettingRow

MADE_AS = "6"
"""Raised whenever read rows are made in another way: a store then makes them again at its next start."""

ROWS = ("case_row", "clock_row", "officer_row", "order_row", "identity_row", "glass_row")


def put_case(connection: Connection, case: Case, position: int) -> None:
    """The case's row and its clocks' rows, where there are none. `position`: of its last event."""
    add(connection, CaseRow, [_whole(case, position)])
    add(connection, ClockRow, _clocks(case))
    _put_glass(connection, case)


def standing_case(case: Case) -> Question:
    """Asks for the case's row as it stands."""
    return standing(CaseRow, case.id)


def change_case(connection: Connection, case: Case, position: int, events: Sequence[Event], found: Any) -> None:
    """The case's row and its clocks' rows, as the case is after these events. `found`: the row that stands."""
    moved = any(map(moves_clocks, events))
    change(connection, CaseRow, _whole(case, position) if moved or not found else _case(case, position), found)
    if moved:
        connection.execute("DELETE FROM clock_row WHERE case_id = :case_id", {"case_id": case.id})
        add(connection, ClockRow, _clocks(case))
    if any(isinstance(event.fact, GlassBroken) for event in events):
        _put_glass(connection, case)


def _put_glass(connection: Connection, case: Case) -> None:
    for person, until in case.glass.items():
        put(connection, GlassRow(person=person, case_id=case.id, until=until))


def put_officer(connection: Connection, officer: Officer) -> None:
    put(
        connection,
        OfficerRow(id=officer.id, version=officer.version, status=officer.status, case_id=officer.case),
    )


def put_order(connection: Connection, order: Order) -> None:
    """The order's row, as the order now is. What names its people is in its stream only."""
    row = {name: getattr(order, name) for name in OrderRow.model_fields}
    put(connection, OrderRow(**row))


def case_row(case: Case, position: int) -> CaseRow:
    """What may be looked up of a case: ids, codes and times."""
    return CaseRow(**_whole(case, position))


def _whole(case: Case, position: int) -> dict[str, Any]:
    """All of it: to tell the clocks takes as long as all the rest."""
    return {**_case(case, position), "clocks": [_clock(running) for _, running in sorted(case.clocks.items())]}


def _case(case: Case, position: int) -> dict[str, Any]:
    return {
        "id": case.id,
        "reference": case.reference,
        "workflow": case.workflow,
        "definition": case.definition,
        "state": case.state,
        "version": case.version,
        "opened_at": case.opened_at,
        "opened_by": case.opened_by,
        "arm": _arm(case),
        "sergeant": case.sergeant,
        "officer": case.officer,
        "emergency": case.emergency,
        "risk_level": case.risk_level,
        "response_grade": case.response_grade,
        "decision": case.decision,
        "team": case.team,
        "lpa": str(case.details.get("lpa", "")),
        "channel": str(case.details.get("source", "")),
        "updated_position": position,
        "victim_id": case.victim_id,
        "suspect_id": case.suspect_id,
        "marac": "MaracReferred" in case.first,
        "conflicts": sorted(case.conflicts),
        **_session(case),
    }


def _arm(case: Case) -> str:
    """The arm that was drawn, until something is offered or it is set aside."""
    over = case.arm_overridden or not case.first.keys().isdisjoint(MAY_HOLD_BACK)
    return case.draw.arm if isinstance(case.draw, ArmAllocated) and not over else ""


def _session(case: Case) -> dict[str, Any]:
    session = case.session
    return {
        "session": session.id if session else "",
        "victim_seat": session.victim_seat if session else "",
        "officer_seat": session.officer_seat if session else "",
        "session_open": bool(session and not session.ended_at),
        "presence": presence_of(case),
        "seats": [list(one) for one in seats(session)] if session else [],
        "guests": [_guest(one) for one in session.live_guests] if session else [],
    }


def _guest(guest: Guest) -> dict[str, str]:
    return {"guest": guest.id, "seat": guest.seat, "person": guest.person, "partner": guest.partner}


def _clock(running: RunningClock) -> dict[str, Any]:
    return {
        "clock": running.clock,
        "run": running.run,
        "started_at": iso(running.started_at),
        "target_s": running.target_s,
        "due": [[after_s, iso(at)] for after_s, at in running.due],
        "ends_at": running.ends_at,
        "paused": running.paused,
    }


def clock_rows(case: Case) -> list[ClockRow]:
    """The thresholds of the case that have still to fire; what is paused has none.

    `boottime_ns` is told so that `after_s` later is when it is due by that clock, whatever pauses there were.
    """
    return [ClockRow(**row) for row in _clocks(case)]


def _clocks(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "case_id": case.id,
            "clock": running.clock,
            "run": running.run,
            "after_s": after_s,
            "due_at": iso(due_at),
            "started_at": iso(running.started_at),
            "boot": running.boot,
            "boottime_ns": due_boottime_ns(running, due_at) - after_s * 1_000_000_000,
        }
        for running in case.clocks.values()
        for after_s, due_at in running.due
    ]


def refresh(connection: Connection, sealer: Sealer) -> None:
    """Makes the read rows again if an earlier version of this program made them. At start, before anything else, in
    the transaction of the migrations: a new column that they fill is not seen without them."""
    if connection.execute("SELECT value FROM setting WHERE key = 'rows'").fetchone() == (MADE_AS,):
        return
    rebuild(connection, sealer)
    put(connection, SettingRow(key="rows", value=MADE_AS))


def rebuild(connection: Connection, sealer: Sealer) -> None:
    """Drops the read rows and makes them again from the log. A job for the writer: all else waits.

    Whom a destroyed key or a broken seal hides is in no index; the others must still be found.
    """
    for table in ROWS:
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 (names from the line above)
    _each(connection, None, "case/", lambda key, log: put_case(connection, fold(key, log), log[-1].position))
    _each(connection, None, "officer/", lambda key, log: put_officer(connection, fold_officer(key, log)))
    _each(connection, None, "order/", lambda key, log: put_order(connection, fold_order(key, log)))
    _each(connection, sealer, "case/", lambda key, log: put_case_identities(connection, sealer, fold(key, log)))
    _each(connection, sealer, "order/", lambda key, log: put_order_identities(connection, sealer, fold_order(key, log)))


def replay(connection: Connection, sealer: Sealer) -> list[str]:
    """Rebuilds; the tables whose rows were not what the log says."""
    before = fingerprints(connection)
    rebuild(connection, sealer)
    after = fingerprints(connection)
    return [table for table in ROWS if before[table] != after[table]]


def fingerprints(connection: Connection) -> dict[str, bytes]:
    """Of each table of read rows, a hash of all that it holds, whatever the order."""
    found = {}
    for table in ROWS:
        told = sha256()
        order = "1, 2" if table == "glass_row" else "1, 2, 3, 4"  # its key has two columns, the longest has four
        for row in connection.execute(f"SELECT * FROM {table} ORDER BY {order}"):  # noqa: S608 (names from above)
            told.update(repr(row).encode())
        found[table] = told.digest()
    return found


def _each(
    connection: Connection, sealer: Sealer | None, kind: str, made: Callable[[str, list[Recorded]], None]
) -> None:
    for stream in _streams(connection, kind):
        with contextlib.suppress(SealBroken):  # raised only where a sealer opens what is sealed
            log = envelope.select(connection, sealer, "stream = :stream ORDER BY version", {"stream": stream})
            made(stream.removeprefix(kind), log)


def _streams(connection: Connection, kind: str) -> Iterable[str]:
    rows = connection.execute(
        "SELECT stream FROM event WHERE version = 1 AND stream >= :low AND stream < :high ORDER BY position",
        {"low": kind, "high": kind + "\uffff"},
    )
    return [stream for (stream,) in rows]
