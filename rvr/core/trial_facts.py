"""The facts of a trial, for `events`.

A place of a stratum is taken by an event of the stratum's own stream, in the transaction of the case's: the stream's
next version is the place, so that no two cases can have the same one, on whatever machine they are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping

from rvr.core.fact import Fact, fact, public, sealed


@fact
class ArmAllocated(Fact):
    """The case was randomised: eligibility, consent and capacity stood in the log before its arm was known."""

    trial: str = public("Id of the trial")
    stratum: str = public("Id of the stratum, as the case was known then; a later correction moves it nowhere")
    place: int = public("Place in the stratum's list, from 1")
    arm: str = public("Id of the arm; where the arms are blinded, its letter")
    labels: Mapping[str, str] = public("Each arm with its letter; where the arms are blinded, empty")


@fact
class NotRandomised(Fact):
    """The case was to be randomised and could not be: it is outside the trial for good."""

    trial: str = public("Id of the trial")
    reason: str = public("no_capacity, or no_stratum when the case fits none")


@fact
class ArmOverridden(Fact):
    """Somebody set the trial aside for this case, for safety: every way is open. It stays in the arm of its place."""

    reason: str = public("Code of the reason")
    note: str = sealed("In the words of whoever did it")


@fact
class TrialRegistered(Fact):
    """Stream trial/: the trial was registered before its first case, with the commitment to its secret."""

    workflow: str = public("Id of the workflow that it is a part of")
    design: str = public("SHA-256 of the design: no other may be drawn by")
    commitment: str = public("SHA-256 of the evaluator's secret; the secret itself is never stored")


@fact
class TrialStopped(Fact):
    """Stream trial/: no case is randomised from here on."""

    reason: str = public("Code of the reason: the id of a stopping rule, or safety, funder, other")


@fact
class PlaceTaken(Fact):
    """Stream trial/ID/STRATUM: the next place of the stratum's list is this case's. The version is the place."""

    case: str = public("Id of the case")


__all__ = ["ArmAllocated", "ArmOverridden", "NotRandomised", "PlaceTaken", "TrialRegistered", "TrialStopped"]
