"""What a victim says of the desk afterwards: a few questions by the safe route, about ten days after agreeing to them.

Nobody who met the victim asks them: the workflow sends the link by itself, whichever way the contact went.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rvr.core import clocks
from rvr.core.asked import Asked
from rvr.core.errors import Reason, Refused
from rvr.core.fact import Fact
from rvr.core.feedback_facts import FeedbackGiven, FeedbackInvited

QUESTIONS = ("quick", "heard", "way", "needed", "again")
"""The fields of the answer and of the form, in the order in which they are asked. None has to be answered."""


def _invite(asked: Asked) -> list[Fact]:
    expires, number = clocks.questions_expire(asked.at), asked.case.personal["safe_number"]
    return [FeedbackInvited(link=asked.basis.ids[0], channel="sms", expires_at=expires, number=number)]


def _give(asked: Asked) -> list[Fact]:
    if not any(asked.form.get(f"fb_{name}") for name in QUESTIONS):
        raise Refused(Reason("feedback-empty"))
    return [FeedbackGiven(**{name: str(asked.form.get(f"fb_{name}") or "") for name in QUESTIONS})]


MAKERS: Mapping[str, Callable[[Asked], list[Any]]] = {"FeedbackGiven": _give, "FeedbackInvited": _invite}
