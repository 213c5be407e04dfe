"""Who else joins the call: what inviting, letting in, holding and removing a guest makes, or why it is refused.

The victim's agreement is the victim's alone; a hold belongs to the side that made it. A guest acts for nobody but
the own seat, whatever is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rvr.core import clocks
from rvr.core import events as e
from rvr.core.asked import Asked
from rvr.core.case import Case
from rvr.core.commands import GUEST, VICTIM, Actor
from rvr.core.errors import Reason, Refused
from rvr.core.session import Guest, kept_for_unit

_PREFIX = f"{GUEST}:"


def actor_of(guest: str) -> Actor:
    """The guest of that id, as the log knows whoever holds the link."""
    return Actor(f"{_PREFIX}{guest}", frozenset({GUEST}))


# --- Inviting ----------------------------------------------------------------------------------------------------


def _invite(asked: Asked) -> list[e.Fact]:
    """By a link to a contact or to a typed address; or, where the workflow says `desk`, whoever asks takes the seat."""
    if asked.move.sets.get("channel") == "desk":
        invited = _invitation(asked, guest_role=str(asked.move.sets["guest_role"]), channel="desk", to="")
        return [invited, e.GuestArrived(guest=invited.guest, person=asked.by.id, name="")]
    link, expires = asked.basis.ids[2], clocks.link_expires(asked.workflow, asked.at)
    return [_invitation(asked, **_addressed(asked), link=link, expires_at=expires)]


def _addressed(asked: Asked) -> dict[str, Any]:
    contact, typed = asked.form.get("guest_contact", ""), asked.form.get("guest_to", "")
    if bool(contact) == bool(typed):
        raise Refused(Reason("guest-to-whom", {}, "guest_contact"))
    if typed:
        role = asked.form.get("guest_role", "")
        if not role:
            raise Refused(Reason("missing", {"label": asked.workflow.fields["guest_role"].label}, "guest_role"))
        return {"guest_role": role, "channel": "email" if "@" in typed else "sms", "to": typed}
    known = asked.basis.contacts.get(contact)
    if known is None:
        raise Refused(Reason("no-such-contact", {}, "guest_contact"))
    told = {"guest_role": known.role, "channel": known.channel, "to": known.to}
    return {**told, "contact": known.id, "partner": known.partner}


def _invitation(asked: Asked, **fields: Any) -> e.GuestInvited:
    session = asked.case.session
    place = session.free_place if session else None
    if place is None:
        raise Refused(Reason("guest-no-place"))
    return e.GuestInvited(guest=asked.basis.ids[0], seat=asked.basis.ids[1], place=place, **fields)


def kept_for(asked: Asked, referral: str, partner: str) -> e.GuestInvited:
    """The seat that a referral into the session keeps for whoever of the organisation is with the desk."""
    ids = asked.basis.ids
    place = asked.case.session.free_place if asked.case.session else None
    return e.GuestInvited(
        guest=ids[1],
        seat=ids[2],
        place=place or 0,
        guest_role="advocate",
        channel="desk",
        partner=partner,
        referral=referral,
        to="",
    )


def _arrive(asked: Asked) -> list[e.Fact]:
    """A guest by link says who it is, and that nobody in the call is known; a member of staff is known here."""
    if GUEST not in asked.by.roles:
        session = asked.case.session
        kept = kept_for_unit(session, asked.by) if session else None
        if kept is None:
            raise Refused(Reason("guest-no-seat"))
        return [e.GuestArrived(guest=kept.id, person=asked.by.id, name="")]
    guest = _own(asked)
    if not asked.form["declared"]:
        raise Refused(Reason("guest-must-declare", {}, "declared"))
    return [] if guest.arrived_at else [e.GuestArrived(guest=guest.id, name=asked.form["guest_name"])]


# --- In the call -------------------------------------------------------------------------------------------------


def _admit(asked: Asked) -> list[e.Fact]:
    guest = _asked_about(asked)
    return [] if guest.admitted_at else [e.GuestAdmitted(guest=guest.id)]


def _refuse(asked: Asked) -> list[e.Fact]:
    """Before the victim has agreed; afterwards a hold says no, and can be taken back."""
    guest = _asked_about(asked)
    if guest.admitted_at:
        raise Refused(Reason("guest-admitted", {}, "guest"))
    return [e.GuestRefused(guest=guest.id)]


def _asked_about(asked: Asked) -> Guest:
    guest = _named(asked)
    if not guest.arrived_at:
        raise Refused(Reason("no-such-guest", {}, "guest"))
    return guest


def _hold(asked: Asked) -> list[e.Fact]:
    guest, side = _named(asked), _side(asked.by)
    return [] if side in guest.held_by else [e.GuestHeld(guest=guest.id, side=side)]


def _let_back(asked: Asked) -> list[e.Fact]:
    guest, side = _named(asked), _side(asked.by)
    if side in guest.held_by:
        return [e.GuestLetBack(guest=guest.id, side=side)]
    if guest.held_by:
        raise Refused(Reason("guest-held-by-other", {}, "guest"))
    return []


def _side(by: Actor) -> str:
    return "victim" if VICTIM in by.roles else "officer"


def _remove(asked: Asked) -> list[e.Fact]:
    """The officer anybody; a member of staff, who names nobody, gives up the own seat."""
    if "guest" in asked.form:
        return [e.GuestRemoved(guest=_named(asked).id)]
    left = leaves(asked.case, asked.by.id)
    if not left:
        raise Refused(Reason("guest-no-seat"))
    return left


def leaves(case: Case, person: str) -> list[e.Fact]:
    """A member of staff gives up the guest's seat in the case's call, if there is one."""
    session = case.session
    if session is None or session.ended_at:
        return []
    return [e.GuestRemoved(guest=one.id) for one in session.live_guests if one.person == person]


def _named(asked: Asked) -> Guest:
    """The guest whom the form names, as long as the seat is the guest's."""
    return _live(asked, str(asked.form["guest"]))


def _own(asked: Asked) -> Guest:
    return _live(asked, asked.by.id.removeprefix(_PREFIX))


def _live(asked: Asked, wanted: str) -> Guest:
    found = asked.case.session.guests.get(wanted) if asked.case.session else None
    if found is None or found.out:
        raise Refused(Reason("no-such-guest", {}, "guest"))
    return found


def _device(asked: Asked) -> list[e.Fact]:
    """Only what has changed: a page that looks again and again fills no log."""
    guest, found = _own(asked), {name: asked.form[name] for name in ("camera", "microphone")}
    if (guest.camera, guest.microphone) == (found["camera"], found["microphone"]):
        return []
    return [e.GuestDeviceChecked(guest=guest.id, **found)]


MAKERS: Mapping[str, Callable[[Asked], list[e.Fact]]] = {
    "GuestAdmitted": _admit,
    "GuestArrived": _arrive,
    "GuestDeviceChecked": _device,
    "GuestHeld": _hold,
    "GuestInvited": _invite,
    "GuestLetBack": _let_back,
    "GuestRefused": _refuse,
    "GuestRemoved": _remove,
}
