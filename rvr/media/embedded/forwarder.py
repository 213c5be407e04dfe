"""One room's switchboard: whose sound and picture goes into which slot of whom, and what the narrowest way allows.

Packets do not pass through here: it sets the tables by which each track finds its receivers (`streams`), anew whenever
somebody comes, goes, is held or muted. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from rvr.media import Room, Seat, Track
from rvr.media.embedded.leg import Leg
from rvr.media.embedded.streams import Inlet, Outlet

PRINCIPALS: Final = 2


def arrange(room: Room, legs: Mapping[str, Leg], handed_on: Callable[[str], object], now: float) -> None:
    """Make the tables what the room is wanted to be. `legs` are the connections that are up, by seat.

    `handed_on(seat)` is called whenever a whole key frame of one principal seat went to the other.
    """
    receivers: dict[Inlet, list[Outlet]] = {inlet: [] for leg in legs.values() for inlet in leg.inlets.values()}
    principals = {seat.id for seat in room.seats[:PRINCIPALS]}
    for receiver in room.seats:
        for outlet, source in _slots(room, receiver, legs):
            inlet = _inlet(outlet, receiver, source, legs)
            if inlet is not None and source is not None:
                receivers[inlet].append(outlet)
                both = {receiver.id, source.id} == principals
                outlet.on_key_frame_sent = partial(handed_on, source.id) if both else None
            outlet.follow(inlet, now)
    for inlet, outlets in receivers.items():
        inlet.outlets = tuple(outlets)


def _slots(room: Room, receiver: Seat, legs: Mapping[str, Leg]) -> Iterator[tuple[Outlet, Seat | None]]:
    """Each track that this seat is sent, with the seat whose it is: slot n is the n-th other one of the room."""
    leg = legs.get(receiver.id)
    others = [seat for seat in room.seats if seat.id != receiver.id]
    for outlet in leg.outlets if leg is not None else ():
        yield outlet, others[outlet.slot] if outlet.slot < len(others) else None


def _inlet(outlet: Outlet, receiver: Seat, source: Seat | None, legs: Mapping[str, Leg]) -> Inlet | None:
    if source is None or source.id not in legs or not (receiver.admitted and source.admitted):
        return None
    kind: Track = "video" if outlet.is_video else "audio"
    return None if kind in source.muted else legs[source.id].inlets.get(kind)


def cap(legs: Mapping[str, Leg]) -> None:
    """Tell each sender what the narrowest of its receivers can take."""
    for leg in legs.values():
        inlet = leg.inlets.get("video")
        if inlet is not None:
            limits = [limit for outlet in inlet.outlets for limit in _limits(outlet, legs)]
            leg.cap_bps = min(limits, default=None)


def _limits(outlet: Outlet, legs: Mapping[str, Leg]) -> Iterator[int]:
    for leg in legs.values():
        if outlet in leg.outlets and leg.downlink.limit_bps is not None:
            # A receiver of several pictures has one way down for all.
            shown = sum(one.is_video and one.inlet is not None for one in leg.outlets)
            yield leg.downlink.limit_bps // max(1, shown)
