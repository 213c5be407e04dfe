"""What goes on in a session beside the picture, or without one: how each of its facts changes that."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rvr.core import beside_facts as b

SHOWN = 50
"""So many of the newest messages are shown; all of them are in the log."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something that one side wrote to the other."""

    n: int
    """Its number in this session, from 1."""
    side: str
    text: str
    at: str


@dataclass(frozen=True, slots=True)
class Beside:
    """What goes on in a session beside its picture."""

    messages: tuple[Message, ...] = ()
    overlooked: bool = False
    """The victim signalled that somebody is there, and safety has not been confirmed since: nothing is written to the
    victim's screen, and what stood there is gone from it."""
    without: str = ""
    """audio or text, while the officer goes on without a picture."""
    camera_asked: bool = False
    signal: str = ""
    """heard or help_coming: the officer's sentence that stands on the victim's screen."""
    private: str = ""
    """asked, while the victim is asked covertly whether nobody is there; then given (alone) or refused."""


BesideFact = (
    b.MessageSent
    | b.VictimNotAlone
    | b.ContactWithoutPicture
    | b.CameraAsked
    | b.CameraAnswered
    | b.OfficerSignalled
    | b.PrivateCheckAnswered
)


def after(beside: Beside, fact: BesideFact, at: str) -> Beside:
    """What goes on after this fact, which was seen at this UTC time."""
    match fact:
        case b.MessageSent(side=side, text=text):
            number = beside.messages[-1].n + 1 if beside.messages else 1
            return replace(beside, messages=(*beside.messages, Message(number, side, text, at))[-SHOWN:])
        case b.VictimNotAlone():
            return replace(beside, overlooked=True)
        case b.ContactWithoutPicture(mode=mode):
            return replace(beside, without=mode)
        case b.CameraAsked():
            return replace(beside, camera_asked=True)
        case b.CameraAnswered():
            return replace(beside, camera_asked=False)
        case b.OfficerSignalled(signal="ask_alone"):
            return replace(beside, private="asked")
        case b.OfficerSignalled(signal=signal):
            return replace(beside, signal=signal)
        case b.PrivateCheckAnswered(answer=answer):
            return replace(beside, private=answer)


def alone_again(beside: Beside) -> Beside:
    """Safety was confirmed: what was signalled before counts no more."""
    return replace(beside, overlooked=False, signal="", private="")
