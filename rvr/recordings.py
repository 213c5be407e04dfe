"""The desk's side of recordings: what is to be recorded in each room, and what the media plane said of it.

A recording is wanted for as long as the case's log says that it runs; the media plane reconciles to that. How far its
files have come is noted in a stream of the recording's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from rvr.core.case import Case
from rvr.core.commands import THE_MEDIA, MakeMove, NoteRecording
from rvr.core.errors import Forbidden, NotFound, Refused
from rvr.core.exhibits import Taped
from rvr.core.moment import Moment, iso
from rvr.core.recording import FAILED, FALTERS, turned
from rvr.desk import Desk
from rvr.exhibits import key_of, reel_of
from rvr.media import Observation, Recording, Room
from rvr.store.tables import CaseRow, every

log = structlog.get_logger()

LISTEN_S = 2.0
"""How often it is looked whether all that should be recorded is: no more than a look into memory."""

SILENT_S = 15.0
"""How far a file has come is told every ten seconds (`media.recording.TELL_EVERY_S`), with the disk's time on top."""

BEGINS_S = 6.0
"""The first word of a file: sealed after 0.75 s, told when it is on the disk."""


@dataclass(frozen=True, slots=True)
class _Running:
    """A case at one version, and what is recorded of it."""

    version: int
    tape: Taped | None = None
    wanted: Recording | None = None


class Recordings:
    """What every room is to record now, and whether it is. Remembers what a case's version came to, so that a look
    costs no fold; when a file was last told of, since this process began.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: dict[str, _Running] = {}
        self._heard: dict[tuple[str, str], datetime] = {}
        """(recording, side) -> when its file was last told of."""
        self._begun: dict[str, datetime] = {}
        """Recording -> since when one waits for its files."""

    async def onto(self, rooms: Mapping[str, Room]) -> dict[str, Room]:
        """The wanted rooms with what is recorded in each."""
        asked = "SELECT session, id, version FROM case_row WHERE session_open = :open"
        rows = await self._desk.store.look(lambda connection: connection.execute(asked, {"open": True}).fetchall())
        self._known = {case_id: await self._of(case_id, version) for _, case_id, version in rows}
        wanted = {session: self._known[case_id].wanted for session, case_id, _ in rows}
        return {name: replace(room, recording=wanted.get(name)) for name, room in rooms.items()}

    async def _of(self, case_id: str, version: int) -> _Running:
        known = self._known.get(case_id)
        if known is not None and known.version == version:
            return known
        case = await self._desk.kept(case_id, version)
        tape = case.exhibits.running
        if tape is None or case.session is None or tape.session != case.session.id:
            return _Running(case.version)
        key = await key_of(self._desk.store, case.id, tape.id)
        wanted = Recording(tape.id, key, frozenset(tape.seats.values())) if key else None
        return _Running(case.version, tape, wanted)

    async def look(self) -> None:
        """Tells of each side of which nothing reaches its file: the line is down, or the engine cannot hear it. As long
        as it lasts, nobody should believe that the call is being recorded.
        """
        at = self._desk.observe()
        running = {case: known.tape for case, known in self._known.items() if known.tape is not None}
        ids = {tape.id for tape in running.values()}
        self._begun = {tape: self._begun.get(tape, at.at) for tape in ids}
        self._heard = {key: heard for key, heard in self._heard.items() if key[0] in ids}
        for case, tape in running.items():
            for side in tape.seats:
                heard = self._heard.get((tape.id, side))
                waits = timedelta(seconds=BEGINS_S if heard is None else SILENT_S)
                if at.at - (heard or self._begun[tape.id]) < waits:
                    continue
                for track in ("audio", "video"):
                    if (side, track) not in tape.faltered:
                        name = f"silent:{tape.id}:{side}:{track}:{iso(heard or self._begun[tape.id])}"
                        await self._move(case, name, FALTERS, {"side": side, "track": track}, at)

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
            await self._move(case.id, f"{name}:failed", "recording_failed", {"stopped_because": because}, seen.moment)
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
        self._heard[tape.id, side] = desk.observe().at
        for move, track in turned(tape, reel, note) if not (ended or tape.stopped_at) else ():
            await self._move(case.id, f"{name}:{track}", move, {"side": side, "track": track}, seen.moment)

    async def _note(self, note: NoteRecording) -> None:
        try:
            await self._desk.handle(note, THE_MEDIA)
        except Refused as refused:
            log.warning("media_observation_refused", case=note.case, move="note", reasons=str(refused))

    async def _move(self, case: str, name: str, move: str, form: Mapping[str, Any], at: Moment) -> None:
        command = MakeMove(name, case, move, form, at=at)
        try:
            await self._desk.handle(command, THE_MEDIA)
        except (Refused, NotFound, Forbidden) as refused:  # stopped meanwhile, or a workflow without the move
            log.warning("media_observation_refused", case=case, move=move, reasons=str(refused))

    async def _tape_of(self, seen: Observation) -> tuple[Case | None, Taped | None]:
        """The case, by its room; by what was noted before, once the case has another room."""
        store = self._desk.store
        rows = await store.read(lambda session: every(session, CaseRow, CaseRow.session == seen.room))
        found = rows[0].id if rows else (await reel_of(store, seen.detail["recording"])).case
        if not found:
            return None, None
        case = await self._desk.case(found)
        return case, case.exhibits.tapes.get(seen.detail["recording"])
