"""The facts of recordings and stills, for `events`.

What a case's log says: that a recording began and why it stopped, that a still was taken. How each person's file grew
stands in a stream of the recording's own, so that an hour of heads makes no case slow.
"""

from __future__ import annotations

from rvr.core.fact import Fact, fact, public, sealed


@fact
class ConsentAsked(Fact):
    """The victim's page was asked to show a question of consent."""

    kind: str = public("recording or still")
    wording: str = public("Version of the wording that was shown")


@fact
class RecordingStarted(Fact):
    """A recording began: everybody whose packets are kept had agreed."""

    recording: str = public("Random id of the recording; names its files, which are sealed under the case's key")
    session: str = public("Id of the session")
    victim_seat: str = public("Random id of the victim's seat, whose packets are kept")
    officer_seat: str = public("Random id of the officer's seat, likewise")


@fact
class RecordingStopped(Fact):
    """The recording ended. What was recorded until then is kept."""

    recording: str = public("Id of the recording")
    because: str = public(
        "stopped (by the officer), withdrawn (consent was taken back), session_ended, exited (quick exit), "
        "officer_changed, disk_full, io_error, too_slow (the disk)"
    )


@fact
class RecordingFaltered(Fact):
    """Nothing of somebody's sound or picture reaches the recording any more, or has ever done, while it goes on."""

    recording: str = public("Id of the recording")
    side: str = public("victim or officer")
    track: str = public("audio or video")


@fact
class RecordingRecovered(Fact):
    """The sound or picture that had not reached the recording does so again."""

    recording: str = public("Id of the recording")
    side: str = public("victim or officer")
    track: str = public("audio or video")


@fact
class StillTaken(Fact):
    """A still was taken from the victim's live picture, with a consent of its own."""

    still: str = public("Random id of the still; names its file, which is sealed under the case's key")
    sha256: str = public("SHA-256 of the JPEG file")
    width: int = public("Width", unit="pixels")
    height: int = public("Height", unit="pixels")
    intimate: str = public("Whether it shows an intimate part of the body: yes or no")
    consent_at: str = public("When the victim agreed to this still", unit="UTC time")
    exhibit: str = sealed("Exhibit reference, such as AB/1")


@fact
class RecordingGrew(Fact):
    """Stream recording/: so much of one person's file was on the disk. Told every ten seconds."""

    case: str = public("Random id of the case")
    side: str = public("victim or officer")
    seat: str = public("The seat")
    part: int = public("1; more when the media process died and a fresh file was begun")
    blocks: int = public("Sealed blocks so far", unit="blocks")
    bytes: int = public("Length of the file so far", unit="bytes")
    sha256: str = public("Head of the chain of hashes over its sealed blocks")
    audio: int = public("Packets of sound so far", unit="packets")
    video: int = public("Packets of picture so far", unit="packets")


@fact
class RecordingSealed(Fact):
    """Stream recording/: one person's file is complete."""

    case: str = public("Random id of the case")
    side: str = public("victim or officer")
    seat: str = public("The seat")
    part: int = public("As in RecordingGrew")
    blocks: int = public("All sealed blocks", unit="blocks")
    bytes: int = public("Length of the file", unit="bytes")
    sha256: str = public("Head of the chain of hashes over its sealed blocks")
    audio: int = public("Packets of sound", unit="packets")
    video: int = public("Packets of picture", unit="packets")
    cause: str = public("Empty: ended in order; else why nothing more could be written")


@fact
class RecordingDerived(Fact):
    """Stream recording/: a playable file was made of one person's sealed files and given to somebody."""

    case: str = public("Random id of the case")
    side: str = public("victim or officer")
    original: tuple[str, ...] = public("Heads of the sealed files that it was made of, by part")
    sha256: str = public("SHA-256 of the playable file: made again of the same blocks, it is the same")
    reason: str = public("Code of the reason")


__all__ = [
    "ConsentAsked",
    "RecordingDerived",
    "RecordingFaltered",
    "RecordingGrew",
    "RecordingRecovered",
    "RecordingSealed",
    "RecordingStarted",
    "RecordingStopped",
    "StillTaken",
]
