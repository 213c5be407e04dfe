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
    cause: str = public("none (it could not be had), taken (a telephone call, the browser says) or silent (zeros)")


@fact
class MicrophoneResumed(Fact):
    """Sound comes from that microphone again."""

    side: str = public("victim or officer")


@fact
class VoiceMoved(Fact):
    """The officer stated where both talk from now on: in the call, or on the telephone beside the picture."""

    to: str = public("phone or call")


@fact
class QualityMeasured(Fact):
    """Stream session/: how one side's line fared at the media server. Each list has an entry for each stretch of about
    ten seconds; null: not known.
    """

    case: str = public("Random id of the case")
    side: str = public("victim, officer or guest: whose line")
    seat: str = public("That person's seat")
    ended: tuple[str, ...] = public("When each stretch ended", unit="UTC time")
    lasted_ms: tuple[int, ...] = public("How long it was", unit="milliseconds")
    up_kbps: tuple[int | None, ...] = public("What came from this side", unit="kbit/s")
    down_kbps: tuple[int | None, ...] = public("What went to this side", unit="kbit/s")
    up_lost_permille: tuple[int | None, ...] = public("Of 1,000 of its packets, how many never came", unit="permille")
    down_lost_permille: tuple[int | None, ...] = public("Of 1,000 sent to it, how many it missed", unit="permille")
    rtt_ms: tuple[int | None, ...] = public("Time to this side and back", unit="milliseconds")
    width: tuple[int | None, ...] = public("Width of its picture at the end", unit="pixels")
    height: tuple[int | None, ...] = public("Height of its picture at the end", unit="pixels")
    frames: tuple[int | None, ...] = public("Pictures that came from this side", unit="pictures")
    freezes: tuple[int | None, ...] = public("How often its picture stood still", unit="times")
    nacks: tuple[int | None, ...] = public("Packets that it was asked to send again", unit="packets")
    plis: tuple[int | None, ...] = public("Whole pictures that it was asked for", unit="pictures")


__all__ = [
    "DeviceChecked",
    "MicrophoneResumed",
    "MicrophoneStopped",
    "QualityMeasured",
    "QualityStepped",
    "VoiceMoved",
]
