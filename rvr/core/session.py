"""The video session of a case, and what the facts of its call change in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rvr.core import call_facts as call
from rvr.core.fact import Fact


@dataclass(frozen=True, slots=True)
class Session:
    """The video session: a room with two seats."""

    id: str
    victim_seat: str
    officer_seat: str
    link: str = ""
    link_expires_at: str = ""
    link_sent_at: str = ""
    link_opened_at: str = ""
    two_way_at: str = ""
    ended_at: str = ""
    flowing: bool = False
    """Video flows both ways at this moment."""
    victim: str = ""
    """Presence of the victim's media: '', connected, lost, gone."""
    officer: str = ""
    interruptions: int = 0
    camera: bool | None = None
    microphone: bool | None = None
    quality: Mapping[str, str] = field(default_factory=dict)
    """Side -> what is sent of its picture and sound; a side that is not named sends all of it."""
    microphones: Mapping[str, str] = field(default_factory=dict)
    """Side -> why no sound comes from its microphone: taken or silent."""
    voice: str = "call"
    """Where both talk: call, or phone beside the picture."""


def reached(session: Session | None, *sides: str) -> Mapping[str, str]:
    """Who can be reached again need not be rung; how much is sent then, that side's browser tells."""
    known = session.quality if session else {}
    return {side: step for side, step in known.items() if side not in sides or step != call.RING_BACK}


def heard_of(session: Session, fact: Fact) -> Session:
    """The session after a fact of how the call gets through."""
    match fact:
        case call.QualityStepped():
            return replace(session, quality={**session.quality, fact.side: fact.after})
        case call.MicrophoneStopped():
            return replace(session, microphones={**session.microphones, fact.side: fact.cause})
        case call.MicrophoneResumed():
            return replace(session, microphones={s: why for s, why in session.microphones.items() if s != fact.side})
        case call.VoiceMoved():
            return replace(session, voice=fact.to)
    return session
