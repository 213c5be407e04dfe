"""Whose picture and sound stand in which of a viewer's places: the whole rule of who is seen and heard on Janus.

Pure. A held or muted seat is not moderated at the server: its places at the others show the room's empty publisher, so
that one comparison of what is with what should be admits, holds, mutes, and follows who comes and goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rvr.media import MAX_SEATS, Seat, Track

TRACKS: Final[tuple[Track, ...]] = ("audio", "video")
PLACES: Final = MAX_SEATS - 1
"""Of every other seat, in the order of the room: they keep it when somebody before them leaves the call."""


@dataclass(frozen=True, slots=True)
class Source:
    """One stream of one publisher, as Janus names it."""

    feed: str
    mid: str


Place = tuple[int, Track]


def wanted_sources(
    seats: Sequence[Seat], viewer: str, sending: Mapping[str, Mapping[Track, Source]]
) -> dict[Place, Source | None]:
    """What each of the viewer's places should show; None: nothing. `sending`: what arrives of whom."""
    held = any(seat.id == viewer and not seat.admitted for seat in seats)
    others = [seat for seat in seats if seat.id != viewer]
    places: dict[Place, Source | None] = {(place, track): None for place in range(PLACES) for track in TRACKS}
    for place, seat in enumerate(others):
        for track in TRACKS:
            if seat.admitted and not held and track not in seat.muted:
                places[place, track] = sending.get(seat.id, {}).get(track)
    return places
