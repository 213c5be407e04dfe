"""What each column of sessions.csv means."""

from __future__ import annotations

from rvr.evaluation.columns import Column

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
)
