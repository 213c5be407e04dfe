"""What may be asked of the desk. A command is a request; what comes of it are events.

Every command names who asks (an `Actor`) and carries an id made by its sender: the same id again gives the same
answer, so a retry on a bad line is harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rvr.core.moment import Moment

BOT = "bot"
MEDIA = "media"
VICTIM = "victim"
GUEST = "guest"
"""Somebody who was asked into the call by a link."""
IMPORTER = "importer"
CARRIER = "carrier"
"""Whoever takes messages to their telephones and mailboxes, and says what became of them."""
UNKNOWN_BROWSER = "unknown_browser"
"""Whoever tried a link that belongs to somebody else's browser: nobody knows who that was."""

ROLES = (
    frozenset(["call_handler", "sergeant", "inspector", "officer", "resourcing", "investigator"])
    | frozenset(["control_room_specialist", "advocate", "interpreter", "evaluator", "auditor", "administrator"])
    | frozenset([BOT, MEDIA, CARRIER, VICTIM, GUEST, IMPORTER, UNKNOWN_BROWSER])
)
"""Every role that may be named in a definition or held by an account."""

STAFF = ROLES - {BOT, MEDIA, CARRIER, VICTIM, GUEST, IMPORTER, UNKNOWN_BROWSER}
"""The roles that people of the force and its partners hold."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a member of staff, the victim, the media plane, or the workflow itself."""

    id: str
    """A random person id; for the workflow and the media plane their role's own name."""
    roles: frozenset[str]
    name: str = ""
    """As shown to colleagues; never part of an event's public side."""
    units: frozenset[str] = frozenset()
    """Ids of the teams and partner organisations that the person belongs to."""
    glass: frozenset[str] = frozenset()
    """Ids of cases outside the own ones that the person looks at now, for a reason that is in their logs."""


THE_BOT = Actor(BOT, frozenset({BOT}), "RVR")
THE_CARRIER = Actor(CARRIER, frozenset({CARRIER}), "Carrier")
THE_IMPORTER = Actor(IMPORTER, frozenset({IMPORTER}), "Import")
THE_MEDIA = Actor(MEDIA, frozenset({MEDIA}), "RVR media")


@dataclass(frozen=True, slots=True)
class OpenCase:
    """Open a case from the opening form of a workflow."""

    command_id: str
    form: Mapping[str, Any]
    workflow: str = "da-desk"
    at: Moment | None = None
    """When it was seen, where that was not by the process that decides (media workers); else None."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A still that the media plane has made, and that is kept already."""

    id: str
    sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class MakeMove:
    """Make one of the workflow's moves on a case."""

    command_id: str
    case: str
    move: str
    form: Mapping[str, Any] = field(default_factory=dict)
    expected_version: int | None = None
    """The version that the sender saw; None leaves the race to the rules alone."""
    at: Moment | None = None
    picture: Picture | None = None
    """What no form can hold."""


@dataclass(frozen=True, slots=True)
class NoteRecording:
    """What the media plane says of one person's file of a recording."""

    command_id: str
    recording: str
    case: str
    side: str
    seat: str
    part: int
    blocks: int
    bytes: int
    sha256: str
    audio: int
    video: int
    sealed: bool = False
    """The file is complete."""
    cause: str = ""
    """Why nothing more could be written."""
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class DeriveRecording:
    """Note that a playable file was made of one side of a recording, to be given to somebody."""

    command_id: str
    recording: str
    case: str
    side: str
    original: tuple[str, ...]
    """Heads of the sealed files, by part."""
    sha256: str
    reason: str
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some seconds of one person's line."""

    ended: str
    lasted_ms: int
    figures: Mapping[str, int]
    """By the names of `quality.FIGURES`; one that is not known is left out."""


@dataclass(frozen=True, slots=True)
class NoteQuality:
    """What the media plane measured of one person's line, stretch by stretch."""

    command_id: str
    session: str
    case: str
    side: str
    seat: str
    stretches: tuple[Stretch, ...]
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class RunOut:
    """A clock reached one of its thresholds."""

    command_id: str
    case: str
    clock: str
    run: int
    after_s: int
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class SetDuty:
    """An officer comes on duty, takes a break, or goes off."""

    command_id: str
    officer: str
    status: str
    expected_version: int | None = None
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """Take over a civil order as the system that holds it tells it now."""

    command_id: str
    order: str
    """Its id here, of our own making."""
    form: Mapping[str, Any]
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class ImportEarlier:
    """Take over the timings of an earlier desk: a whole file of them, or nothing."""

    command_id: str
    rows: tuple[tuple[str, Mapping[str, Any]], ...]
    """Of each its id here, of our own making, and its form."""
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class PlanDuty:
    """Say who is to be on duty from the first of these shifts to the last, in place of what was said before."""

    command_id: str
    shifts: tuple[tuple[str, str, str], ...]
    """Of each the officer's id, its begin and its end in UTC; at least one."""
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class ProposeErasure:
    """Propose to destroy a case's key. A second person has to confirm it."""

    command_id: str
    case: str
    authority: str
    """Code of what allows it, from the retention table."""
    reason: str
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class ConfirmErasure:
    """Confirm the proposal as a second person: destroys the key."""

    command_id: str
    case: str
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class RegisterTrial:
    """Register the trial of a workflow before its first case."""

    command_id: str
    trial: str
    commitment: str
    """SHA-256 of the evaluator's secret, as hexadecimal digits."""
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class StopTrial:
    """Randomise no more cases."""

    command_id: str
    trial: str
    reason: str
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """Look at a case outside one's own, for a reason and a while."""

    command_id: str
    case: str
    reason: str
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class DeclareConflict:
    """Say that one knows the people of a case, and have nothing to do with it from then on."""

    command_id: str
    case: str
    note: str = ""
    at: Moment | None = None


@dataclass(frozen=True, slots=True)
class LiftConflict:
    """Open a case again to somebody whose conflict of interest was declared in error."""

    command_id: str
    case: str
    person: str
    reason: str
    at: Moment | None = None


Command = (
    OpenCase
    | MakeMove
    | RunOut
    | SetDuty
    | ImportOrder
    | ImportEarlier
    | PlanDuty
    | NoteRecording
    | DeriveRecording
    | NoteQuality
    | ProposeErasure
    | ConfirmErasure
    | RegisterTrial
    | StopTrial
    | BreakGlass
    | DeclareConflict
    | LiftConflict
)
