"""The check at the end of a trial: the allocations of the log against the evaluator's secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice

from rvr.core import events as e
from rvr.core.trial import Design, commitment, places
from rvr.evaluation.trial_runs import Run, runs
from rvr.store.store import Store


@dataclass(slots=True)
class _Found:
    """What the log says of a trial."""

    run: Run
    taken: dict[str, list[str]]
    """Stratum -> the case of each place, from the first on."""
    drawn: list[tuple[e.Recorded, e.ArmAllocated]] = field(default_factory=list)
    early: list[e.Recorded] = field(default_factory=list)
    """Draws before which eligibility, consent or capacity did not stand in the case's log."""


def faults(store: Store, design: Design, secret: bytes) -> tuple[int, list[str]]:
    """How many cases were randomised, and everything that is not as the secret and the design have it. For a thread of
    the caller's own.
    """
    found = _found(store, design)
    return len(found.drawn), [*_of_registration(found, design, secret), *_of_places(found, design, secret)]


def _found(store: Store, design: Design) -> _Found:
    run = runs(store).get(design.id, Run())
    taken = {
        stratum: [one.event.fact.case for one in places if isinstance(one.event.fact, e.PlaceTaken)]
        for stratum, places in run.taken.items()
    }
    found = _Found(run, taken)
    for _, streamed in groupby(store.iterate(), key=lambda one: one.stream):
        log = list(streamed)
        for recorded in log:
            fact = recorded.event.fact
            if isinstance(fact, e.ArmAllocated) and fact.trial == design.id:
                found.drawn.append((recorded, fact))
                if not _locked(log[: recorded.version - 1], design):
                    found.early.append(recorded)
    return found


def _locked(before: list[e.Recorded], design: Design) -> bool:
    """Whether eligibility, the consents and capacity stood in the log."""
    eligible, noted, consents = False, False, dict[str, bool]()
    for recorded in before:
        match recorded.event.fact:
            case e.EligibilityDecided(eligible=verdict):
                eligible = verdict
            case e.ConsentGiven(kind=kind, whose=""):
                consents[kind] = True
            case e.ConsentRefused(kind=kind) | e.ConsentWithdrawn(kind=kind):
                consents[kind] = False
            case e.CapacityNoted(moment="allocation", free=free, queue=queue):
                noted = free - (queue or 0) >= design.capacity
    return eligible and noted and all(consents.get(kind) for kind in design.consents)


def _of_registration(found: _Found, design: Design, secret: bytes) -> Iterator[str]:
    registered, stopped = found.run.registered, found.run.stopped
    if registered is None or not isinstance(registered.event.fact, e.TrialRegistered):
        yield f"the trial {design.id} is not registered in this log"
        return
    told = registered.event.fact
    if told.commitment != commitment(secret):
        yield "the secret is not the one that was committed to"
    if told.design != design.digest:
        yield "the design is not the one that was registered"
    if early := sum(recorded.position < registered.position for recorded, _ in found.drawn):
        yield f"{early} cases were randomised before the trial was registered"
    if late := sum(stopped is not None and recorded.position > stopped.position for recorded, _ in found.drawn):
        yield f"{late} cases were randomised after the trial was stopped"


def _of_places(found: _Found, design: Design, secret: bytes) -> Iterator[str]:
    lists = {
        one.id: list(islice(places(design, secret, one.id), len(found.taken.get(one.id, ())))) for one in design.strata
    }
    cases = set[str]()
    for recorded, fact in found.drawn:
        case, where = recorded.stream.removeprefix("case/"), f"{fact.stratum}, place {fact.place}"
        taken = found.taken.get(fact.stratum, [])
        if case in cases:
            yield f"{where}: its case was randomised before"
        cases.add(case)
        if not 1 <= fact.place <= len(taken) or taken[fact.place - 1] != case:
            yield f"{where}: the stratum's own stream does not say so"
        elif lists.get(fact.stratum, [])[fact.place - 1 : fact.place] != [fact.arm]:
            yield f"{where}: the arm is not the one of the list"
    for stratum, taken in sorted(found.taken.items()):
        if missing := len(taken) - sum(fact.stratum == stratum for _, fact in found.drawn):
            yield f"{stratum}: {missing} places were taken and no case has them"
    if found.early:
        yield f"{len(found.early)} cases were randomised before eligibility, consent and capacity stood in their logs"
