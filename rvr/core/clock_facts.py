"""The facts of the desk's own clock, for `events`: stream desk/clock, of no case. What was read stands in the envelope:
boot, both clocks, the error bound.
"""

from __future__ import annotations

from rvr.core.fact import Fact, fact, public


@fact
class ClockStepObserved(Fact):
    """Stream desk/clock: the wall clock of a machine was set, or stands behind what was recorded before it booted."""

    moved_ms: int = public(
        "By how much it was set, against the clock that never steps; negative: back. Across a restart of the machine:"
        " how far it is behind the newest event at least",
        unit="ms",
    )
    from_at: str = public("The last time before: read by that clock, or recorded before the restart", unit="UTC time")
    to_at: str = public("The first time that was read after", unit="UTC time")
    same_boot: bool = public("Whether both were read in one boot; false: across a restart of the machine")


@fact
class ClockHealthNoted(Fact):
    """Stream desk/clock: whether a machine's wall clock is synchronised; at its first look after a boot and whenever
    that changes."""

    health: str = public(
        "synchronised (error bound within the limit), inaccurate (beyond it), unsynchronised (the kernel says that"
        " nothing disciplines the clock) or unknown (the kernel tells nothing)"
    )
    limit_ms: int = public("The limit of the error bound that was in force", unit="ms")


__all__ = ["ClockHealthNoted", "ClockStepObserved"]
