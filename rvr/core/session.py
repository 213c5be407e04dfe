"""The video session: a room with a seat for the victim, one for the officer, and two places for guests.

A guest is an interpreter, an advocate or a supervisor. The victim is asked about each of them, and either side of the
call can put one on hold: only then, and only while nobody holds the guest, does anything pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rvr.core import beside
from rvr.core import call_facts as call
from rvr.core import session_facts as s
from rvr.core.commands import Actor

PLACES = 2
"""For guests: with the two principal seats four people, which one screen shows (MediaEngine: at most four)."""

GUEST_ROLES = ("interpreter", "advocate", "supervisor")
"""What a guest is there for, and all that the others in the call are told."""

FREE = "free-"
"""Before the number of a place that somebody has left: whoever sits behind it keeps the place in the room's order."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who was asked into the call."""

    id: str
    role: str
    """interpreter, advocate or supervisor: all that the others are told."""
    seat: str
    place: int
    channel: str
    """sms, email or desk."""
    invited_at: str
    link: str = ""
    expires_at: str = ""
    partner: str = ""
    """The organisation whose advocate may take the seat."""
    delivered: str = ""
    """The carrier's last word about the link: delivered or failed."""
    person: str = ""
    """The member of staff in the seat; empty for a guest by link."""
    name: str = ""
    arrived_at: str = ""
    admitted_at: str = ""
    """When the victim agreed."""
    held_by: frozenset[str] = frozenset()
    """victim, officer: each lets back whom they hold."""
    media: str = ""
    """'', connected, lost, gone."""
    camera: bool | None = None
    microphone: bool | None = None
    out: str = ""
    """Why the guest has no seat any more: refused, removed, or exit where the victim left by it."""

    @property
    def admitted(self) -> bool:
        """Whether anything may pass to and from this guest."""
        return bool(self.admitted_at) and not self.held_by and not self.out

    @property
    def state(self) -> str:
        """In one word: out, invited, asked (the victim has not answered yet), held, here or away."""
        if self.out:
            return "out"
        if not self.arrived_at:
            return "invited"
        if not self.admitted_at:
            return "asked"
        return "held" if self.held_by else "here" if self.media == "connected" else "away"


@dataclass(frozen=True, slots=True)
class Session:
    """The video session: a room with its seats."""

    id: str
    victim_seat: str
    officer_seat: str
    link: str = ""
    link_expires_at: str = ""
    link_sent_at: str = ""
    link_delivered: str = ""
    """The carrier's last word about the newest link: delivered, failed, or empty while there is none."""
    link_opened_at: str = ""
    two_way_at: str = ""
    ended_at: str = ""
    flowing: bool = False
    """Video flows both ways at this moment."""
    victim: str = ""
    """Presence of the victim's media: '', connected, lost, gone."""
    officer: str = ""
    interruptions: int = 0
    away: str = ""
    """Why the victim's page is not looked at now: hidden, closed or silent; empty while it is, or was never opened."""
    away_at: str = ""
    aways: int = 0
    """How often that was noted."""
    camera: bool | None = None
    microphone: bool | None = None
    network: str = ""
    """good, slow or none, as the victim's page found it."""
    fault: str = ""
    """What keeps the victim's camera or microphone from working."""
    quality: Mapping[str, str] = field(default_factory=dict)
    """Side -> what is sent of its picture and sound; a side that is not named sends all of it."""
    microphones: Mapping[str, str] = field(default_factory=dict)
    """Side -> why no sound comes from its microphone: taken or silent."""
    voice: str = "call"
    """Where both talk: call, or phone beside the picture."""
    guests: Mapping[str, Guest] = field(default_factory=dict)
    """Whoever was asked into this session, in that order."""
    beside: beside.Beside = field(default_factory=beside.Beside)
    """What is written, signalled and asked beside the picture."""

    @property
    def in_contact(self) -> bool:
        """Whether both speak, or write where that was agreed, at this moment."""
        if self.flowing or self.beside.without == "text":
            return True
        return bool(self.beside.without) and self.victim == self.officer == "connected"

    @property
    def live_guests(self) -> list[Guest]:
        """Those who have a seat, in the order of their places."""
        return sorted((one for one in self.guests.values() if not one.out), key=lambda one: one.place)

    @property
    def free_place(self) -> int | None:
        """The first place that no guest has; None when all are taken."""
        taken = {one.place for one in self.live_guests}
        return next((place for place in range(PLACES) if place not in taken), None)


# --- Who sits where ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sitting:
    """One person in the room."""

    seat: str
    role: str
    """victim, officer, or the guest's."""
    state: str
    """here or away; of a guest also invited, asked, held."""
    admitted: bool = True
    """Whether anything may pass to and from this seat."""
    guest: str = ""
    """Id of the guest; empty for the principal two."""


def sittings(session: Session) -> list[Sitting]:
    """Everybody in the room in the order of the seats: the list that every page of the call shows, all the time."""
    principal = (("victim", session.victim_seat, session.victim), ("officer", session.officer_seat, session.officer))
    writes = session.beside.without == "text"
    here = [
        Sitting(seat, role, "here" if writes or media == "connected" else "away") for role, seat, media in principal
    ]
    return here + [Sitting(one.seat, one.role, one.state, one.admitted, one.id) for one in session.live_guests]


def seat_of(session: Session | None, by: Actor) -> str:
    """How this person stands to the guests' seats: `taken` by the person, `kept` for the organisation, or `none`."""
    if session is None or session.ended_at:
        return "none"
    if any(one.person == by.id for one in session.live_guests):
        return "taken"
    return "kept" if kept_for_unit(session, by) else "none"


def kept_for_unit(session: Session, by: Actor) -> Guest | None:
    """The seat that waits for somebody of this person's organisation."""
    waiting = (one for one in session.live_guests if one.channel == "desk" and not one.arrived_at)
    return next((one for one in waiting if one.partner in by.units), None)


def seats(session: Session) -> Iterator[tuple[str, bool]]:
    """The room as the media plane has to have it: each seat with whether anything passes to and from it.

    A guest is in it from the arrival on. The place of one who left stands empty while another sits behind it.
    """
    yield session.victim_seat, True
    yield session.officer_seat, True
    seated = {one.place: one for one in session.live_guests if one.arrived_at}
    for place in range(max(seated, default=-1) + 1):
        if place in seated:
            yield seated[place].seat, seated[place].admitted
        else:
            yield f"{FREE}{place}", False


# --- What each fact changes --------------------------------------------------------------------------------------

GuestFact = (
    s.GuestArrived
    | s.GuestDeviceChecked
    | s.GuestAdmitted
    | s.GuestRefused
    | s.GuestHeld
    | s.GuestLetBack
    | s.GuestConnected
    | s.GuestLost
    | s.GuestRemoved
)

SessionFact = (
    GuestFact
    | beside.BesideFact
    | call.DeviceChecked
    | call.MicrophoneResumed
    | call.MicrophoneStopped
    | call.QualityStepped
    | call.VoiceMoved
    | s.GuestInvited
    | s.LinkDelivered
    | s.LinkOpened
    | s.VictimConnected
    | s.OfficerConnected
    | s.TwoWayVideoStarted
    | s.MediaLost
    | s.MediaResumed
    | s.VictimAway
    | s.VictimReturned
)
"""Facts that change the session and nothing else of the case."""


def session_after(session: Session, fact: SessionFact, at: str) -> Session:
    """The session after this fact, which was seen at this UTC time."""
    if isinstance(fact, beside.BesideFact):
        return replace(session, beside=beside.after(session.beside, fact, at))
    if isinstance(fact, s.GuestInvited):
        return replace(session, guests={**session.guests, fact.guest: _invited(fact, at)})
    if not isinstance(fact, GuestFact):
        return replace(
            session, **_of_line(session, fact), **_of_page(session, fact, at), **_of_media(session, fact, at)
        )
    known = session.guests.get(fact.guest)
    changed = {known.id: replace(known, **_of_guest(known, fact, at))} if known else {}
    return replace(session, guests={**session.guests, **changed})


def _of_page(session: Session, fact: SessionFact, at: str) -> dict[str, Any]:
    """The link, and the victim's page."""
    match fact:
        case s.LinkDelivered():
            return _delivered(session, fact)
        case s.LinkOpened():
            return {"link_opened_at": at, "away": ""}
        case s.VictimAway(because=because):
            return {"away": because, "away_at": at, "aways": session.aways + 1}
        case s.VictimReturned():
            return {"away": ""}
        case call.DeviceChecked(camera=camera, microphone=microphone, network=network, fault=fault):
            return {"camera": camera, "microphone": microphone, "network": network, "fault": fault}
    return {}


def _of_media(session: Session, fact: SessionFact, at: str) -> dict[str, Any]:
    """Who of the principal two is there, and whether video flows."""
    match fact:
        case s.VictimConnected():
            return {"victim": "connected", "quality": _reached(session, "victim")}
        case s.OfficerConnected():
            return {"officer": "connected", "quality": _reached(session, "officer")}
        case s.TwoWayVideoStarted():
            both = {"victim": "connected", "officer": "connected", "beside": replace(session.beside, without="")}
            return {"flowing": True, "two_way_at": at, **both}
        case s.MediaResumed():
            quality = _reached(session, "victim", "officer")
            return {"flowing": True, "victim": "connected", "officer": "connected", "quality": quality}
        case s.MediaLost():
            return _lost(session, fact)
    return {}


def _reached(session: Session, *sides: str) -> dict[str, str]:
    """Who can be reached again need not be rung; how much is sent then, that side's browser tells."""
    return {side: step for side, step in session.quality.items() if side not in sides or step != call.RING_BACK}


def _of_line(session: Session, fact: SessionFact) -> dict[str, Any]:
    """How the call gets through."""
    match fact:
        case call.QualityStepped(side=side, after=after):
            return {"quality": {**session.quality, side: after}}
        case call.MicrophoneStopped(side=side, cause=cause):
            return {"microphones": {**session.microphones, side: cause}}
        case call.MicrophoneResumed(side=side):
            return {"microphones": {other: why for other, why in session.microphones.items() if other != side}}
        case call.VoiceMoved(to=to):
            return {"voice": to}
    return {}


def _lost(session: Session, fact: s.MediaLost) -> dict[str, Any]:
    """An interruption is the loss of a picture that flowed both ways."""
    gone = "gone" if fact.cause == "left" else "lost"
    return {"flowing": False, "interruptions": session.interruptions + session.flowing, fact.side: gone}


def _delivered(session: Session, fact: s.LinkDelivered) -> dict[str, Any]:
    """The carrier's word about the victim's newest link, or about a guest's."""
    if fact.link == session.link:
        return {"link_delivered": fact.status}
    about = {one.id: replace(one, delivered=fact.status) for one in session.guests.values() if one.link == fact.link}
    return {"guests": {**session.guests, **about}}


def _invited(fact: s.GuestInvited, at: str) -> Guest:
    return Guest(
        fact.guest,
        fact.guest_role,
        fact.seat,
        fact.place,
        fact.channel,
        invited_at=at,
        link=fact.link,
        expires_at=fact.expires_at,
        partner=fact.partner,
    )


def _of_guest(guest: Guest, fact: GuestFact, at: str) -> dict[str, Any]:
    match fact:
        case s.GuestArrived(person=person, name=name):
            return {"arrived_at": at, "person": person, "name": name}
        case s.GuestDeviceChecked(camera=camera, microphone=microphone):
            return {"camera": camera, "microphone": microphone}
        case s.GuestAdmitted():
            return {"admitted_at": at}
        case s.GuestHeld(side=side):
            return {"held_by": guest.held_by | {side}}
        case s.GuestLetBack(side=side):
            return {"held_by": guest.held_by - {side}}
        case s.GuestConnected():
            return {"media": "connected"}
        case s.GuestLost(cause=cause):
            return {"media": "gone" if cause == "left" else "lost"}
        case s.GuestRefused():
            return {"out": "refused", "media": ""}
        case s.GuestRemoved():
            return {"out": "removed", "media": ""}


def all_out(session: Session) -> dict[str, Guest]:
    """After the victim's quick exit nobody who was asked in is in the call: agreement ended with it."""
    return {one.id: one if one.out else replace(one, out="exit", media="") for one in session.guests.values()}
