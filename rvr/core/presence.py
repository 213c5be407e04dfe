"""What the media plane's observations mean for a case: which move, if any, each one asks for.

Media knows rooms and seats; the desk knows victims and officers. This is where the one is read as the other.
"""

from __future__ import annotations

from typing import Any

from rvr.core.case import Case


def move_for(case: Case, kind: str, seat: str | None, cause: str) -> tuple[str, dict[str, Any]] | None:
    """The move and its form, or None for an observation that changes nothing that is kept.

    `kind` is the media contract's: connected, first_frame, two_way, lost, resumed, gone.
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
            return ("resume_video" if session.two_way_at else "two_way_video"), {}
        case "lost" | "gone" if side:
            if getattr(session, side) not in (("connected",) if kind == "lost" else ("connected", "lost")):
                return None
            move = "interrupt_video" if case.state == "video" else "lose_media"
            return move, {"side": side, "cause": cause}
    return None


def victim_sees(case: Case) -> str:
    """The state of the call as the victim's page is told it, in one word: nothing else about the case goes there."""
    session = case.session
    if session is None or session.ended_at or case.exited:
        return "ended"
    if session.flowing:
        return "connected"
    return "interrupted" if session.two_way_at else "waiting"
