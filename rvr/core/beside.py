"""What goes on beside the picture, or without one: how each of its facts changes the session, and what a move makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rvr.core import beside_facts as b
from rvr.core.commands import VICTIM
from rvr.core.errors import Reason, Refused

if TYPE_CHECKING:
    from rvr.core.asked import Asked
    from rvr.core.fact import Fact

SHOWN = 50
"""So many of the newest messages are shown; all of them are in the log."""

MOST = 500
"""In one session: nobody writes more in two hours, and whoever holds a link cannot make the case's log endless."""


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


BesideFact = b.MessageSent | b.VictimNotAlone | b.ContactWithoutPicture | b.CameraAsked | b.CameraAnswered


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


# --- What moves make ---------------------------------------------------------------------------------------------


def _write(asked: Asked) -> list[Fact]:
    written = _now(asked).messages
    if written and written[-1].n >= MOST:
        raise Refused(Reason("messages-full", {"count": MOST}, "message"))
    side = "victim" if VICTIM in asked.by.roles else "officer"
    return [b.MessageSent(side=side, text=asked.form["message"])]


def _not_alone(asked: Asked) -> list[Fact]:
    return [] if _now(asked).overlooked else [b.VictimNotAlone()]


def _ask_camera(asked: Asked) -> list[Fact]:
    return [] if _now(asked).camera_asked else [b.CameraAsked()]


def _answer_camera(asked: Asked) -> list[Fact]:
    return [b.CameraAnswered(answer=asked.form["camera_answer"])] if _now(asked).camera_asked else []


def _now(asked: Asked) -> Beside:
    return asked.case.session.beside if asked.case.session else Beside()


MAKERS: Mapping[str, Callable[[Asked], list[Any]]] = {
    "CameraAnswered": _answer_camera,
    "CameraAsked": _ask_camera,
    "MessageSent": _write,
    "VictimNotAlone": _not_alone,
}

FORM_OF: Mapping[str, tuple[str, ...]] = {"CameraAnswered": ("camera_answer",), "MessageSent": ("message",)}
