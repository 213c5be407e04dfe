"""The desk's side of recordings: what is to be recorded in each room, and what the media plane said of it.

A recording is wanted for as long as the case's log says that it runs; the media plane reconciles to that. How far its
files have come is noted in a stream of the recording's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from sqlmodel import col

from rvr.core.case import Case
from rvr.core.commands import THE_MEDIA, MakeMove, NoteRecording
from rvr.core.errors import Forbidden, NotFound, Refused
from rvr.core.exhibits import Taped
from rvr.core.recording import FAILED, stalled
from rvr.desk import Desk
from rvr.exhibits import key_of, reel_of
from rvr.media import Observation, Recording, Room
from rvr.store.tables import CaseRow, every

log = structlog.get_logger()


class Recordings:
    """What every room is to record now. Remembers what a case's version came to, so that a look costs no fold."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: dict[str, tuple[int, Recording | None]] = {}

    async def onto(self, rooms: Mapping[str, Room]) -> dict[str, Room]:
        """The wanted rooms with what is recorded in each."""
        rows = await self._desk.store.read(lambda session: every(session, CaseRow, col(CaseRow.session_open).is_(True)))
        wanted = {row.session: await self._of(row) for row in rows}
        self._known = {row.id: self._known[row.id] for row in rows}
        return {name: replace(room, recording=wanted.get(name)) for name, room in rooms.items()}

    async def _of(self, row: CaseRow) -> Recording | None:
        known = self._known.get(row.id)
        if known is None or known[0] != row.version:
            case = await self._desk.case(row.id)
            known = self._known[row.id] = (case.version, await self._running(case))
        return known[1]

    async def _running(self, case: Case) -> Recording | None:
        tape = case.exhibits.running
        if tape is None or case.session is None or tape.session != case.session.id:
            return None
        key = await key_of(self._desk.store, case.id, tape.id)
        return Recording(tape.id, key, frozenset(tape.seats.values())) if key else None

    async def observed(self, seen: Observation) -> None:
        """Records what the media plane said of a recording: how far a file has come, in the recording's own stream; in
        the case's, that one failed or falters. Raises Stale or Unavailable when it could not be recorded.
        """
        told, desk = seen.detail, self._desk
        case, tape = await self._tape_of(seen)
        if case is None or tape is None:
            log.warning("recording_unknown", worker=seen.worker, number=seen.number)
            return
        name, ended = f"media:{seen.worker}:{seen.number}", told["state"] in ("stopped", "failed")
        if told["state"] == "failed":
            because = FAILED.get(told.get("cause", ""), "io_error")
            await self._move(case, f"{name}:failed", "recording_failed", {"stopped_because": because}, seen)
        side = next((side for side, seat in tape.seats.items() if seat == told.get("seat")), "")
        if not side or told["n"] == "0":  # of nobody in particular, or of somebody who never sent anything: no file
            return
        note = NoteRecording(
            name,
            tape.id,
            case.id,
            side,
            told["seat"],
            int(told["part"]),
            int(told["n"]),
            int(told["bytes"]),
            told["sha256"],
            int(told["audio"]),
            int(told["video"]),
            sealed=ended,
            cause=told.get("cause", ""),
            at=seen.moment,
        )
        reel = await reel_of(desk.store, tape.id)
        await self._note(note)
        for track in stalled(reel, note) if not tape.stopped_at else ():
            await self._move(case, f"{name}:{track}", "recording_falters", {"side": side, "track": track}, seen)

    async def _note(self, note: NoteRecording) -> None:
        try:
            await self._desk.handle(note, THE_MEDIA)
        except Refused as refused:
            log.warning("media_observation_refused", case=note.case, move="note", reasons=str(refused))

    async def _move(self, case: Case, name: str, move: str, form: Mapping[str, Any], seen: Observation) -> None:
        command = MakeMove(name, case.id, move, form, at=seen.moment)
        try:
            await self._desk.handle(command, THE_MEDIA)
        except (Refused, NotFound, Forbidden) as refused:  # stopped meanwhile, or a workflow without the move
            log.warning("media_observation_refused", case=case.id, move=move, reasons=str(refused))

    async def _tape_of(self, seen: Observation) -> tuple[Case | None, Taped | None]:
        """The case, by its room; by what was noted before, once the case has another room."""
        store = self._desk.store
        rows = await store.read(lambda session: every(session, CaseRow, CaseRow.session == seen.room))
        found = rows[0].id if rows else (await reel_of(store, seen.detail["recording"])).case
        if not found:
            return None, None
        case = await self._desk.case(found)
        return case, case.exhibits.tapes.get(seen.detail["recording"])
