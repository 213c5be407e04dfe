"""The facts of how a call gets through, for `events`: what each side has and sends, and where both talk."""

from __future__ import annotations

from rvr.core.fact import Fact, fact, public

FULL_PICTURE, RING_BACK = "video_480", "ring_back"
"""The first and the last step of `QualityStepped`."""


@fact
class DeviceChecked(Fact):
    """The victim's page reported what it found of camera, microphone and line; again only where that has changed."""

    camera: bool = public("Whether a camera gave a picture")
    microphone: bool = public("Whether a microphone opened")
    network: str = public("good, slow, none (the video service was not reached), or empty: not known yet", default="")
    fault: str = public("Code of what kept camera or microphone from working, as the browser told it", default="")


@fact
class QualityStepped(Fact):
    """More or less of a side's picture and sound is sent: that side's browser decided it, or the line is gone."""

    side: str = public("victim or officer: whose picture and sound")
    before: str = public("Step until then: video_480, video_240, stills, audio or ring_back")
    after: str = public("Step from now on; ring_back: not even sound gets through, and the officer is told to ring")
    reason: str = public("bandwidth, loss or delay (too much for the way up), recovered, rejoined, no_connection")


@fact
class MicrophoneStopped(Fact):
    """No sound comes from a side's microphone any more, as that side's browser sees it."""

    side: str = public("victim or officer")
    cause: str = public("taken (the browser says so: a telephone call) or silent (nothing but zeros)")


@fact
class MicrophoneResumed(Fact):
    """Sound comes from that microphone again."""

    side: str = public("victim or officer")


@fact
class VoiceMoved(Fact):
    """The officer stated where both talk from now on: in the call, or on the telephone beside the picture."""

    to: str = public("phone or call")
