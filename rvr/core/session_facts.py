"""The facts of the video session, for `events`: the link, who is there, how each device does, who else joins the call.

The victim is asked about each guest and nothing passes before that; so what is said to a guest, and since when, can be
read here.
"""

from __future__ import annotations

from rvr.core.fact import Fact, fact, public, sealed


@fact
class SessionPrepared(Fact):
    """A video session was prepared: a room with a seat for each person."""

    session: str = public("Random id of the session and of its room")
    victim_seat: str = public("Random id of the victim's seat")
    officer_seat: str = public("Random id of the officer's seat")


@fact
class LinkSent(Fact):
    """A one-time link was handed to the outbox. Sent is not delivered."""

    link: str = public("Random id of the link; its token is nowhere in the log")
    channel: str = public("sms")
    expires_at: str = public("When an unopened link dies", unit="UTC time")
    number: str = sealed("The number marked as safe that it went to")


@fact
class LinkDelivered(Fact):
    """The carrier's last word about the message with a link."""

    link: str = public("Id of the link")
    status: str = public("delivered or failed: no carrier took it, however often it was tried")


@fact
class LinkOpened(Fact):
    """A person tapped Join: the link is bound to that browser. Previews and scanners change nothing."""

    link: str = public("Id of the link")


@fact
class LinkRefused(Fact):
    """Somebody tried a link that was bound to another browser, had run out, or was replaced. Once for each reason."""

    link: str = public("Id of the link")
    because: str = public("Code of the reason")


@fact
class VictimConnected(Fact):
    """The server has a media connection with the victim's browser."""


@fact
class OfficerConnected(Fact):
    """The server has a media connection with the officer's browser."""


@fact
class TwoWayVideoStarted(Fact):
    """The first moment at which the server had received decodable video from both sides and forwarded it."""

    session: str = public("Id of the session")
    victim_first_frame_at: str = public("When the victim's first picture of that connection was decoded", default="")
    officer_first_frame_at: str = public("When the officer's first picture of that connection was decoded", default="")


@fact
class OfficerContactStarted(Fact):
    """The first live contact with an officer. It stops the clocks that its mode may stop."""

    mode: str = public("video, audio, phone, or text: by writing alone")


@fact
class MediaLost(Fact):
    """A side's media stopped arriving."""

    side: str = public("victim or officer")
    cause: str = public("left (page closed), silent (nothing heard), failed (connection), worker_lost (ours)")


@fact
class MediaResumed(Fact):
    """Video flows both ways again."""


@fact
class VictimAway(Fact):
    """The victim's page has gone quiet: nobody looks at it, it was closed, or the phone sleeps. Nothing ends by it."""

    because: str = public("hidden, closed or silent", default="")
    since: str = public("When the page was last heard of as being looked at", unit="UTC time", default="")


@fact
class VictimReturned(Fact):
    """The victim's page is looked at again, in the same browser and the same seat."""


@fact
class VictimExited(Fact):
    """The victim pressed quick exit. Nothing goes out to the victim unless the plan allows it."""


@fact
class VictimUnsafe(Fact):
    """The victim pressed the neutral control that asks for help."""


@fact
class SafetyConfirmed(Fact):
    """The officer established that the victim is safe for now."""

    alone: str = public("Whether the victim is alone: yes, no or unknown")
    place_verified: str = public("Whether the place was verified: yes or no")
    suspect_whereabouts: str = sealed("Where the suspect is, in the officer's words")
    next_contact: str = sealed("When and how it is safe to make contact next")


@fact
class SessionEnded(Fact):
    """The officer ended the video session."""

    reason: str = public("Code of the reason")


# --- Guests: whoever else is asked into the call -----------------------------------------------------------------


@fact
class GuestInvited(Fact):
    """Somebody was asked into the call: by a link, or by a seat for a member of staff. Nothing passes by that."""

    guest: str = public("Random id of the guest, of this session alone")
    seat: str = public("Random id of the guest's seat")
    place: int = public("Which of the places for guests, from 0; it stays the guest's")
    guest_role: str = public("interpreter, advocate or supervisor: what the victim is told of the guest")
    channel: str = public("sms or email: a link was handed to the outbox; desk: a member of staff takes the seat")
    link: str = public("Random id of the link; empty without one", default="")
    expires_at: str = public("When an unopened link dies", unit="UTC time", default="")
    contact: str = public("Code of the entry among the force's contacts; empty for a typed address", default="")
    partner: str = public("Code of the partner organisation", default="")
    referral: str = public("Id of the referral that this came with", default="")
    to: str = sealed("The number or address that the link went to")


@fact
class GuestArrived(Fact):
    """The guest opened the link, or took the seat, and waits: the victim is asked."""

    guest: str = public("Id of the guest")
    person: str = public("Id of the member of staff who took the seat; empty for a guest by link", default="")
    name: str = sealed("Name and organisation, as the guest gave them")


@fact
class GuestDeviceChecked(Fact):
    """The guest's page reported what camera and microphone it found."""

    guest: str = public("Id of the guest")
    camera: bool = public("Whether a camera gave a picture")
    microphone: bool = public("Whether a microphone opened")


@fact
class GuestAdmitted(Fact):
    """The victim agreed to this guest: from now on they see and hear each other."""

    guest: str = public("Id of the guest")


@fact
class GuestRefused(Fact):
    """The victim did not agree to this guest. The guest is told no more than that nobody else is needed."""

    guest: str = public("Id of the guest")


@fact
class GuestHeld(Fact):
    """The officer or the victim put the guest on hold: nothing passes to or from the guest."""

    guest: str = public("Id of the guest")
    side: str = public("victim or officer: who did, and who alone can let the guest back")


@fact
class GuestLetBack(Fact):
    """Whoever had put the guest on hold let the guest back."""

    guest: str = public("Id of the guest")
    side: str = public("victim or officer")


@fact
class GuestConnected(Fact):
    """The server has a media connection with the guest's browser."""

    guest: str = public("Id of the guest")


@fact
class GuestLost(Fact):
    """The guest's media stopped arriving. The seat stays the guest's while the session lasts."""

    guest: str = public("Id of the guest")
    cause: str = public("left (page closed), silent (nothing heard), failed (connection), worker_lost (ours)")


@fact
class GuestRemoved(Fact):
    """The guest is out of the call: the seat is free, and the link is dead."""

    guest: str = public("Id of the guest")


__all__ = [
    "GuestAdmitted",
    "GuestArrived",
    "GuestConnected",
    "GuestDeviceChecked",
    "GuestHeld",
    "GuestInvited",
    "GuestLetBack",
    "GuestLost",
    "GuestRefused",
    "GuestRemoved",
    "LinkDelivered",
    "LinkOpened",
    "LinkRefused",
    "LinkSent",
    "MediaLost",
    "MediaResumed",
    "OfficerConnected",
    "OfficerContactStarted",
    "SafetyConfirmed",
    "SessionEnded",
    "SessionPrepared",
    "TwoWayVideoStarted",
    "VictimAway",
    "VictimConnected",
    "VictimExited",
    "VictimReturned",
    "VictimUnsafe",
]
