"""The facts of what goes on beside the picture, or without one, for `events`: what is written, a signal that looks like
a complaint, what the officer signals back, a request for the other camera, the risk form as it is filled in, an account
that is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rvr.core.fact import Fact, fact, public, sealed, sealed_map


@fact
class MessageSent(Fact):
    """The victim or the officer wrote something to the other."""

    side: str = public("victim or officer: who wrote it")
    text: str = sealed("What was written")


@fact
class VictimNotAlone(Fact):
    """The victim signalled that somebody has come in, by a button that reads as a complaint about the connection."""


@fact
class ContactWithoutPicture(Fact):
    """The officer goes on without a picture of both sides, and says why."""

    mode: str = public("audio, or text: by writing alone")
    reason: str = public("Code of the reason")


@fact
class CameraAsked(Fact):
    """The victim was asked on the screen to show something with the phone's other camera."""


@fact
class CameraAnswered(Fact):
    """The victim's answer to that."""

    answer: str = public("given or refused")


@fact
class OfficerSignalled(Fact):
    """The officer put a sentence about the connection on the victim's screen. Both had agreed on what else it means."""

    signal: str = public("heard: somebody is there, and the officer knows; help_coming; ask_alone: a question")


@fact
class PrivateCheckAnswered(Fact):
    """The victim's page answered that question, which reads as one about the screen. No proof of who pressed it."""

    answer: str = public("given: the victim is alone; refused: somebody is there")


@fact
class RiskNoted(Fact):
    """Answers of the risk form were saved while it was being filled in. Nobody has graded anything by that."""

    tool: str = public("Id of the instrument")
    answers: Mapping[str, Any] = sealed_map("Each question whose answer is new or another, with that answer")


@fact
class AccountTaken(Fact):
    """What the victim told was written down, as told. A later one stands beside it and replaces nothing."""

    read_back: str = public("Whether it was read back and is right: yes or no")
    text: str = sealed("What the victim told, in the victim's own words as far as possible")


__all__ = [
    "AccountTaken",
    "CameraAnswered",
    "CameraAsked",
    "ContactWithoutPicture",
    "MessageSent",
    "OfficerSignalled",
    "PrivateCheckAnswered",
    "RiskNoted",
    "VictimNotAlone",
]
