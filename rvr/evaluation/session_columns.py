"""What each column of sessions.csv and of quality.csv means."""

from __future__ import annotations

from dataclasses import fields

from rvr.core.call_facts import QualityMeasured
from rvr.core.quality import FIGURES
from rvr.evaluation.columns import Column


def _line(side: str) -> tuple[Column, ...]:
    """How one side's line fared at the media server, over stretches of ten seconds."""
    source, median = "QualityMeasured", "median stretch"
    return (
        Column(f"{side}_measured_s", "integer", f"For how long the {side}'s line was measured", "seconds", source),
        Column(f"{side}_up_kbps", "integer", f"What came from the {side}, {median}", "kbit/s", source),
        Column(
            f"{side}_up_lost_permille", "integer", f"Packets from the {side} that never came, {median}", "‰", source
        ),
        Column(f"{side}_rtt_ms", "integer", f"Time to the {side} and back, {median}", "milliseconds", source),
        Column(f"{side}_height", "integer", f"Height of the {side}'s picture, {median} with one", "pixels", source),
        Column(f"{side}_fps", "integer", f"Pictures a second from the {side}, {median}", "1/s", source),
        Column(f"{side}_freezes", "integer", f"How often the {side}'s picture stood still", "times", source),
    )


SESSIONS = (
    Column("case", "string", "Pseudonym of the case"),
    Column("session", "string", "Pseudonym of the session", source="SessionPrepared"),
    Column("prepared_at", "datetime", "When it was prepared", "UTC time", "SessionPrepared"),
    Column("links_sent", "integer", "How many links went to the victim", "links", "LinkSent"),
    Column(
        "link_delivered",
        "string",
        "The carrier's last word about the last of them; empty: none",
        source="LinkDelivered",
        enum=("delivered", "failed"),
    ),
    Column("link_opened_at", "datetime", "When the last of them was opened", "UTC time", "LinkOpened"),
    Column("camera", "boolean", "Whether the victim's camera gave a picture, as last found", source="DeviceChecked"),
    Column("microphone", "boolean", "Whether the victim's microphone opened, likewise", source="DeviceChecked"),
    Column(
        "network",
        "string",
        "How the victim's page reached the video service, likewise",
        source="DeviceChecked",
        enum=("good", "slow", "none"),
    ),
    Column("aways", "integer", "How often the victim's page was found to be away", "times", "VictimAway"),
    Column("two_way_video_at", "datetime", "First two-way video", "UTC time", "TwoWayVideoStarted"),
    Column("interruptions", "integer", "How often video that flowed both ways was lost", "times", "MediaLost"),
    Column("guests_invited", "integer", "How many were asked into the call", "guests", "GuestInvited"),
    Column("guests_admitted", "integer", "To how many the victim agreed", "guests", "GuestAdmitted"),
    Column("guests_refused", "integer", "To how many the victim did not", "guests", "GuestRefused"),
    Column(
        "guest_roles",
        "string",
        "What those were there for to whom the victim agreed, in the order of the alphabet, separated by ;",
        source="GuestInvited | GuestAdmitted",
    ),
    Column("holds", "integer", "How often a guest was put on hold", "times", "GuestHeld"),
    Column("exited", "boolean", "Whether the victim left by quick exit", source="VictimExited"),
    Column("ended_at", "datetime", "When the officer, or another move, ended it", "UTC time", "SessionEnded"),
    Column("ended_because", "string", "Code of the reason", source="SessionEnded"),
    *_line("victim"),
    *_line("officer"),
)

_SAID = {one.name: one.metadata for one in fields(QualityMeasured)}

QUALITY = (
    Column("case", "string", "Pseudonym of the case"),
    Column("session", "string", "Pseudonym of the session"),
    Column("side", "string", _SAID["side"]["meaning"], enum=("victim", "officer", "guest")),
    Column("seat", "string", "Pseudonym of that person's seat"),
    Column("ended_at", "datetime", "When the stretch of about ten seconds ended", "UTC time", "QualityMeasured"),
    *(
        Column(name, "integer", f"{_SAID[name]['meaning']}; empty: not known", _SAID[name]["unit"], "QualityMeasured")
        for name in ("lasted_ms", *FIGURES)
    ),
)
