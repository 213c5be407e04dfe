"""The rules of recording: who must have agreed, what ends it at once, and what the media plane's word of it comes to.

A workflow allows recording by having the part `recording` among its `parts`; without that there is no move by which one
could begin. What is written here no workflow can leave out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rvr.core import events as e
from rvr.core.asked import Asked
from rvr.core.case import Case
from rvr.core.commands import STAFF, Actor, DeriveRecording, NoteRecording
from rvr.core.errors import Forbidden, Reason, Refused
from rvr.core.exhibits import RECORDING, STILL, Taped
from rvr.core.moment import Moment

FAILED: Mapping[str, str] = {"disk-full": "disk_full", "io-error": "io_error", "too-slow": "too_slow"}
"""The media plane's causes -> why a recording stopped."""

FALTERS = "recording_falters"
RECOVERS = "recording_recovers"
"""Moves of the workflow's part."""


# --- What moves make ---------------------------------------------------------------------------------------------


def _ask(asked: Asked) -> list[e.Fact]:
    """Nothing is asked twice, nor what has been agreed to."""
    kind = asked.form["asked_for"]
    if kind in asked.case.exhibits.asked or asked.case.consents.get(kind) == "given":
        return []
    return [e.ConsentAsked(kind=kind, wording=asked.workflow.consent_wording)]


def _start(asked: Asked) -> list[e.Fact]:
    """The officer agrees by pressing, and is told so by the button's own words; the victim has agreed before."""
    case, session = asked.case, asked.case.session
    if session is None or session.ended_at or case.consents.get(RECORDING) != "given":
        raise Refused(Reason("recording-not-agreed"))
    if case.exhibits.running is not None:
        raise Refused(Reason("recording-already"))
    agreed = e.ConsentGiven(kind=RECORDING, wording=asked.workflow.consent_wording, whose="officer")
    begun = e.RecordingStarted(
        recording=asked.basis.ids[0],
        session=session.id,
        victim_seat=session.victim_seat,
        officer_seat=session.officer_seat,
    )
    return [agreed, begun]


def _stop(asked: Asked) -> list[e.Fact]:
    running = asked.case.exhibits.running
    if running is None:
        return []
    because = asked.form.get("stopped_because", "stopped")
    return [e.RecordingStopped(recording=running.id, because=because)]


def _falter(asked: Asked) -> list[e.Fact]:
    running, side, track = asked.case.exhibits.running, asked.form["side"], asked.form["track"]
    if running is None or (side, track) in running.faltered:
        return []
    return [e.RecordingFaltered(recording=running.id, side=side, track=track)]


def _recover(asked: Asked) -> list[e.Fact]:
    running, side, track = asked.case.exhibits.running, asked.form["side"], asked.form["track"]
    if running is None or (side, track) not in running.faltered:
        return []
    return [e.RecordingRecovered(recording=running.id, side=side, track=track)]


def _still(asked: Asked) -> list[e.Fact]:
    """Only of a picture that the media plane has just made: nobody types a hash."""
    picture, agreed_at = asked.picture, asked.case.exhibits.still_agreed_at
    if not agreed_at:
        raise Refused(Reason("still-not-agreed"))
    if picture is None:
        raise Refused(Reason("no-picture"))
    return [
        e.StillTaken(
            still=picture.id,
            sha256=picture.sha256,
            width=picture.width,
            height=picture.height,
            intimate=asked.form["intimate"],
            consent_at=agreed_at,
            exhibit=asked.form["exhibit"],
        )
    ]


MAKERS: Mapping[str, Callable[[Asked], list[e.Fact]]] = {
    "ConsentAsked": _ask,
    "RecordingFaltered": _falter,
    "RecordingRecovered": _recover,
    "RecordingStarted": _start,
    "RecordingStopped": _stop,
    "StillTaken": _still,
}

FORM_OF: Mapping[str, tuple[str, ...]] = {
    "ConsentAsked": ("asked_for",),
    "RecordingFaltered": ("side", "track"),
    "RecordingRecovered": ("side", "track"),
    "StillTaken": ("exhibit", "intimate"),
}


def stops(case: Case, facts: Iterable[e.Fact]) -> list[e.Fact]:
    """The end of the recording that these facts of one move mean, whatever the workflow says."""
    running = case.exhibits.running
    facts = list(facts)
    if running is None or any(isinstance(fact, e.RecordingStopped) for fact in facts):
        return []
    because = next((told for fact in facts if (told := _ends(fact))), "")
    return [e.RecordingStopped(recording=running.id, because=because)] if because else []


def _ends(fact: e.Fact) -> str:
    match fact:
        case e.ConsentWithdrawn(kind="recording") | e.ConsentRefused(kind="recording"):
            return "withdrawn"
        case e.VictimExited():
            return "exited"
        case e.SessionEnded():
            return "session_ended"
        case e.OfficerAssigned() | e.OfficerReleased():
            return "officer_changed"
    return ""


# --- The stream of one recording ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class File:
    """One person's file, as far as it was told."""

    side: str
    seat: str
    part: int
    blocks: int
    bytes: int
    sha256: str
    audio: int
    video: int
    closed: bool = False
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Reel:
    """What the log says of one recording's files."""

    id: str
    version: int = 0
    case: str = ""
    files: Mapping[tuple[str, int], File] = field(default_factory=dict)
    """(side, part) -> the newest that was told."""
    heads: Mapping[tuple[str, int], tuple[tuple[int, int, str], ...]] = field(default_factory=dict)
    """The same -> (blocks, bytes, sha256) of all that was told, in order."""
    derived: tuple[e.RecordingDerived, ...] = ()

    def of(self, side: str) -> tuple[File, ...]:
        """The files of one side, by part."""
        return tuple(file for (whose, _), file in sorted(self.files.items()) if whose == side)


def fold_reel(recording: str, log: Iterable[e.Recorded]) -> Reel:
    """The recording that these events add up to."""
    reel = Reel(recording)
    for recorded in log:
        reel = _wound(reel, recorded.event.fact)
    return reel


def _wound(reel: Reel, fact: e.Fact) -> Reel:
    reel = replace(reel, version=reel.version + 1)
    if isinstance(fact, e.RecordingDerived):
        return replace(reel, derived=(*reel.derived, fact))
    if not isinstance(fact, e.RecordingGrew | e.RecordingSealed):
        return reel
    key, closed = (fact.side, fact.part), isinstance(fact, e.RecordingSealed)
    cause = fact.cause if isinstance(fact, e.RecordingSealed) else ""
    grown = (fact.blocks, fact.bytes, fact.sha256)
    file = File(fact.side, fact.seat, fact.part, *grown, fact.audio, fact.video, closed, cause)
    told = (*reel.heads.get(key, ()), grown) if fact.blocks else reel.heads.get(key, ())
    return replace(reel, case=fact.case, files={**reel.files, key: file}, heads={**reel.heads, key: told})


def decide_note(reel: Reel, command: NoteRecording, *, by: Actor, at: Moment) -> tuple[e.Event, ...]:
    """What is recorded of the media plane's word: nothing of what is known already. Raises Forbidden for anybody else.

    Raises Refused for a file that would have shrunk: blocks are only ever added.
    """
    if "media" not in by.roles:
        raise Forbidden(Reason("not-allowed-here"))
    known = reel.files.get((command.side, command.part))
    if known is not None and known.closed:
        return ()
    if known is not None and command.blocks < known.blocks:
        raise Refused(Reason("recording-shrank"))
    told: dict[str, Any] = {
        "case": command.case,
        "side": command.side,
        "seat": command.seat,
        "part": command.part,
        "blocks": command.blocks,
        "bytes": command.bytes,
        "sha256": command.sha256,
        "audio": command.audio,
        "video": command.video,
    }
    fact = e.RecordingSealed(**told, cause=command.cause) if command.sealed else e.RecordingGrew(**told)
    return (e.Event(fact, "", at, by.id, "media"),)


def decide_derive(command: DeriveRecording, *, by: Actor, at: Moment) -> e.Event:
    """That a copy was made; each is noted, also of the same. Raises Forbidden for whoever is no member of staff."""
    role = next(iter(sorted(by.roles & STAFF)), "")
    if not role:
        raise Forbidden(Reason("not-allowed-here"))
    fact = e.RecordingDerived(
        case=command.case, side=command.side, original=command.original, sha256=command.sha256, reason=command.reason
    )
    return e.Event(fact, "", at, by.id, role)


def turned(tape: Taped, reel: Reel, command: NoteRecording) -> Iterator[tuple[str, str]]:
    """(move, track) of each track that has not grown since its file was last told of, or that grows again."""
    known = reel.files.get((command.side, command.part))
    before = {"audio": known.audio, "video": known.video} if known else {"audio": 0, "video": 0}
    for track, now in (("audio", command.audio), ("video", command.video)):
        lacking = (command.side, track) in tape.faltered
        if now > before[track]:
            if lacking:
                yield RECOVERS, track
        elif known and not lacking:  # the first word of a file comes so soon that a camera may yet be starting
            yield FALTERS, track


__all__ = [
    "FAILED",
    "FALTERS",
    "FORM_OF",
    "MAKERS",
    "RECORDING",
    "RECOVERS",
    "STILL",
    "File",
    "Reel",
    "decide_derive",
    "decide_note",
    "fold_reel",
    "stops",
    "turned",
]
