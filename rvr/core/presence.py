"""What the media plane's observations mean for a case: which move, if any, each one asks for; and where everybody is,
as the desk and each person in the call are told.

Media knows rooms and seats; the desk knows victims, officers and guests. This is where the one is read as the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rvr.core.call_facts import FULL_PICTURE, RING_BACK
from rvr.core.case import Case
from rvr.core.session import Guest, Session, seats, sittings


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
    guest = next((one for one in session.live_guests if one.seat == seat), None)
    if guest is not None:
        return _guest_move(guest, kind, cause)
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


def ring(case: Case) -> bool:
    """Whether the officer should ring: not even sound gets through, and nothing forbids it."""
    session = case.session
    if session is None or session.ended_at or case.exited:
        return False
    return RING_BACK in session.quality.values()


def _guest_move(guest: Guest, kind: str, cause: str) -> tuple[str, dict[str, Any]] | None:
    match kind:
        case "connected" if guest.media != "connected":
            return "guest_connected", {"guest": guest.id}
        case "lost" | "gone" if guest.media == "connected" or (guest.media == "lost" and kind == "gone"):
            return "lose_guest", {"guest": guest.id, "cause": cause}
    return None


def presence_of(case: Case) -> str:
    """Where the victim is as the desk sees it, in one word: a code of the catalogue's [presence]."""
    session = case.session
    if session is None or session.ended_at:
        return "none"
    if session.flowing:
        return "on_video"
    if session.in_contact and not session.away:
        return "in_contact"
    if session.victim == "connected":
        return "away" if session.away else "waiting"
    if not session.link_opened_at:  # a new link, not yet opened, hides how the one before ended
        return {"failed": "undelivered", "delivered": "delivered"}.get(session.link_delivered, "sent")
    if session.victim == "gone":
        # A link that was sent after the exit is a new beginning; until then nothing may go out.
        return "exited" if case.first.get("VictimExited", "") > session.link_sent_at else "left"
    if session.away:
        return "away"
    return "interrupted" if session.victim == "lost" else "opened"


def victim_sees(case: Case) -> str:
    """The state of the call as the victim's page is told it, in one word: nothing else about the case goes there."""
    session = case.session
    if session is None or session.ended_at or case.exited:
        return "ended"
    if session.in_contact:
        return "connected"
    return "interrupted" if session.two_way_at else "waiting"


def victim_told(case: Case) -> dict[str, Any]:
    """What the victim's page is told of the call, and nothing else about the case goes there: its state in one word,
    what the officer's side sends, why the officer's microphone brings no sound, where both talk, who is in it, by role,
    whether it is being recorded, what the officer signals, which questions are open, and what was written, unless
    somebody may read along.

    Of a guest also the id, for the victim answers for guests: whether one comes in, and whom the victim holds.
    """
    state, session = victim_sees(case), case.session
    if session is None or state == "ended":
        return {"state": state, "people": []}
    people = people_for(session, session.victim_seat)
    for one in people:
        if guest := session.guests.get(one["guest"]):
            one["mine"] = "victim" in guest.held_by
    return {
        "state": state,
        "picture": session.quality.get("officer", FULL_PICTURE),
        "microphone": session.microphones.get("officer", ""),
        "voice": session.voice,
        "people": people,
        "recording": case.exhibits.running is not None,
        "signal": session.beside.signal,
        **_on_screen(case, session),
    }


def _on_screen(case: Case, session: Session) -> dict[str, Any]:
    """What is asked and written on the victim's screen. While somebody may read along, only the question that reads as
    one about the screen itself."""
    private = ["private"] if session.beside.private == "asked" else []
    if session.beside.overlooked:
        return {"asks": private, "messages": []}
    messages, camera = session.beside.messages, ["camera"] if session.beside.camera_asked else []
    return {
        "asks": private + sorted(case.exhibits.asked) + camera,
        "messages": [{"n": one.n, "side": one.side, "text": one.text} for one in messages],
    }


def guest_told(case: Case, guest: str) -> dict[str, Any]:
    """The same for a guest. Whoever is out is told so in the same word as when all is over: nobody is blamed."""
    session = case.session
    own = session.guests.get(guest) if session and not session.ended_at and not case.exited else None
    if session is None or own is None or own.out:
        return {"state": "ended", "people": []}
    people = [{**one, "guest": ""} for one in people_for(session, own.seat)]
    return {
        "state": "admitted" if own.admitted else own.state,
        "role": own.role,
        "recording": case.exhibits.running is not None,
        "people": people,
    }


def people_for(session: Session, own: str) -> list[dict[str, Any]]:
    """Everybody in the room as the page of whoever has the seat `own` is told it; who was asked in and has not come is
    in none.

    `at`: where that person's picture arrives, the other seats of the room in their order from 0; None for the own.
    """
    order = [seat for seat, _ in seats(session) if seat != own]
    return [
        {
            "role": one.role,
            "state": one.state,
            "guest": one.guest,
            "at": order.index(one.seat) if one.seat in order else None,
        }
        for one in sittings(session)
        if one.state != "invited"
    ]
