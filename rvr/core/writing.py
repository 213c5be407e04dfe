"""What the moves beside the picture make: what is written, the covert signals, the request for the other camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rvr.core import beside_facts as b
from rvr.core.asked import Asked
from rvr.core.beside import Beside
from rvr.core.commands import VICTIM
from rvr.core.errors import Reason, Refused
from rvr.core.fact import Fact

MOST = 500
"""In one session: nobody writes more in two hours, and whoever holds a link cannot make the case's log endless."""


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


def _signal(asked: Asked) -> list[Fact]:
    """Nothing where it stands on the victim's screen already."""
    beside, signal = _now(asked), asked.form["signal"]
    stands = beside.private == "asked" if signal == "ask_alone" else beside.signal == signal
    return [] if stands else [b.OfficerSignalled(signal=signal)]


def _answer_private(asked: Asked) -> list[Fact]:
    beside, answer = _now(asked), asked.form["private_answer"]
    if beside.private != "asked":
        return []
    found: list[Fact] = [b.PrivateCheckAnswered(answer=answer)]
    return found if answer == "given" or beside.overlooked else [*found, b.VictimNotAlone()]


def _now(asked: Asked) -> Beside:
    return asked.case.session.beside if asked.case.session else Beside()


MAKERS: Mapping[str, Callable[[Asked], list[Any]]] = {
    "CameraAnswered": _answer_camera,
    "CameraAsked": _ask_camera,
    "MessageSent": _write,
    "OfficerSignalled": _signal,
    "PrivateCheckAnswered": _answer_private,
    "VictimNotAlone": _not_alone,
}

FORM_OF: Mapping[str, tuple[str, ...]] = {
    "CameraAnswered": ("camera_answer",),
    "MessageSent": ("message",),
    "OfficerSignalled": ("signal",),
    "PrivateCheckAnswered": ("private_answer",),
}
