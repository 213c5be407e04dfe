"""What the media plane's observations mean for a case: which move, if any, each one asks for.

Media knows rooms and seats; the desk knows victims and officers. This is where the one is read as the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rvr.core.call_facts import FULL_PICTURE, RING_BACK
from rvr.core.case import Case


def move_for(
    case: Case, kind: str, seat: str | None, cause: str, firsts: Mapping[str, str] | None = None
) -> tuple[str, dict[str, Any]] | None:
    """The move and its form, or None for an observation that changes nothing that is kept.

    `kind` is the media contract's: connected, first_frame, two_way, lost, resumed, gone ... `firsts`: by seat, when its
    first picture was decoded.
    """
    session = case.session
    if session is None or session.ended_at:
        return None
    side = {session.victim_seat: "victim", session.officer_seat: "officer"}.get(seat or "")
    match kind:
        case "connected" if side:
            return (f"{side}_connected", {}) if getattr(session, side) != "connected" else None
        case "two_way" | "resumed":
            if session.flowing:
                return None
            if session.two_way_at:
                return "resume_video", {}
            sides = {"victim": session.victim_seat, "officer": session.officer_seat}
            seen = {f"{side}_first_frame_at": (firsts or {}).get(seat) for side, seat in sides.items()}
            return "two_way_video", {name: at for name, at in seen.items() if at}
        case "lost" | "gone" if side:
            if getattr(session, side) not in (("connected",) if kind == "lost" else ("connected", "lost")):
                return None
            move = "interrupt_video" if case.state == "video" else "lose_media"
            return move, {"side": side, "cause": cause}
    return None


def victim_told(case: Case) -> dict[str, str]:
    """What the victim's page is told of the call, and nothing else about the case goes there: its state in one word,
    what the officer's side sends, why the officer's microphone brings no sound, and where both talk."""
    session = case.session
    if session is None or victim_sees(case) == "ended":
        return {"state": "ended"}
    return {
        "state": victim_sees(case),
        "picture": session.quality.get("officer", FULL_PICTURE),
        "microphone": session.microphones.get("officer", ""),
        "voice": session.voice,
    }


def ring(case: Case) -> bool:
    """Whether the officer should ring: not even sound gets through, and nothing forbids it."""
    session = case.session
    if session is None or session.ended_at or case.exited:
        return False
    return RING_BACK in session.quality.values()


def victim_sees(case: Case) -> str:
    """The state of the call as the victim's page is told it, in one word: nothing else about the case goes there."""
    session = case.session
    if session is None or session.ended_at or case.exited:
        return "ended"
    if session.flowing:
        return "connected"
    return "interrupted" if session.two_way_at else "waiting"
