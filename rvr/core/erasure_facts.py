"""The facts of an erasure, for `events`. Both are public as a whole: the log says who, when and why for ever."""

from __future__ import annotations

from rvr.core.fact import Fact, fact, public


@fact
class ErasureProposed(Fact):
    """An administrator proposed to destroy the case's key, by what authority and why. Nothing is erased by it."""

    authority: str = public("Code of what allows it, from the retention table")
    reason: str = public("Code of the reason, from the retention table")


@fact
class CaseErased(Fact):
    """A second person confirmed: the case's key was destroyed, and nothing that named anybody can be read again."""

    authority: str = public("Code of what allows it, as proposed")
    reason: str = public("Code of the reason, as proposed")
    proposed_by: str = public("Person id of whoever proposed it")
    record_class: str = public("The class of record that the case was in")
    kept_until: str = public("Until when that class had to be kept", unit="UTC time")
    retention: str = public("Content hash of the retention table that this rests on")


__all__ = ["CaseErased", "ErasureProposed"]
