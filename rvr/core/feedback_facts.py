"""The facts of the questions that a victim is sent afterwards, for `events`. The answers are codes: no text leaves."""

from __future__ import annotations

from rvr.core.fact import Fact, fact, public, sealed


@fact
class FeedbackInvited(Fact):
    """A link to a few questions was sent by the safe route."""

    link: str = public("Id of the link")
    channel: str = public("How it was sent: sms")
    expires_at: str = public("Until when it can be answered", unit="UTC time")
    number: str = sealed("The number that it went to")


@fact
class FeedbackGiven(Fact):
    """Whoever had the link answered; each question may be left out."""

    quick: str = public("Whether somebody was in touch quickly enough: yes, partly, no, or empty")
    heard: str = public("Whether the victim felt listened to: yes, partly, no, or empty")
    way: str = public("Whether the way of getting in touch was right: yes, partly, no, or empty")
    needed: str = public("Whether the victim got what was needed: yes, partly, no, or empty")
    again: str = public("Whether the victim would get in touch again: yes, partly, no, or empty")


@fact
class FeedbackWithheld(Fact):
    """Somebody decided that the victim is not asked, or not any more."""

    because: str = public("Code of the reason")


__all__ = ["FeedbackGiven", "FeedbackInvited", "FeedbackWithheld"]
