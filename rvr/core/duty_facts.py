"""The facts of the duty plan, for `events`."""

from __future__ import annotations

from rvr.core.fact import Fact, fact, public


@fact
class DutyPlanned(Fact):
    """Stream duty/: who is to be on duty when, as another system plans it. From `since` until `until` it takes the
    place of every plan before it."""

    since: str = public("When the first of its shifts begins", unit="UTC time")
    until: str = public("When the last of them ends", unit="UTC time")
    officers: tuple[str, ...] = public("Ids of the officers, one for each shift")
    begins: tuple[str, ...] = public("When each of the shifts begins, in the same order")
    ends: tuple[str, ...] = public("When each of them ends, likewise")


__all__ = ["DutyPlanned"]
