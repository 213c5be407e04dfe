"""The faults of a trial's design that show when it is held against its workflow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from rvr.core import events as e
from rvr.core.arms import MAY_HOLD_BACK
from rvr.core.trial import LABELS, Design
from rvr.core.triggers import Trigger
from rvr.core.vocabulary import KNOWN_FACTS
from rvr.core.workflow import Workflow


def faults_of(design: Design, flow: Workflow) -> Iterator[str]:
    """Each fault: its key and what is wrong there."""
    yield from _arms(design, flow)
    yield from _blocks(design)
    yield from _strata(design, flow)
    yield from _stops(design)
    yield from (f"states: unknown state `{state}`" for state in design.states if state not in flow.states)
    consent = flow.fields.get("consent_kind")
    kinds = {str(option.value) for option in consent.options} if consent else set()
    yield from (f"consents: unknown consent `{kind}`" for kind in design.consents if kind not in kinds)
    if not design.consents:
        yield "consents: nobody is randomised without having agreed"
    if not design.states:
        yield "states: names no state"
    if design.capacity < 0:
        yield "capacity: must not be less than nought"


def _arms(design: Design, flow: Workflow) -> Iterator[str]:
    if not 2 <= len(design.arms) <= len(LABELS):
        yield f"arm: a trial has two to {len(LABELS)} arms"
    for arm in design.arms.values():
        place = f"arm.{arm.id}"
        if arm.share < 1:
            yield f"{place}: `share` must be 1 or more"
        if not arm.delivered:
            yield f"{place}: `delivered` names no event: nobody could tell who received it"
        for move in arm.opens:
            if move not in flow.moves:
                yield f"{place}: unknown move `{move}`"
            elif flow.moves[move].event not in MAY_HOLD_BACK:
                kinds = " or ".join(MAY_HOLD_BACK)
                yield f"{place}: `{move}` may not be kept from the other arms: only a move that makes {kinds} may"
        yield from (f"{place}: {what}" for what in _triggers((*arm.delivered, *arm.completed)))


def _triggers(triggers: Iterable[Trigger]) -> Iterator[str]:
    for trigger in triggers:
        kind = e.FACTS.get(trigger.event)
        if kind is None:
            yield f"unknown event `{trigger.event}`"
            continue
        names = {field.name for field in dataclasses.fields(kind)} - kind.sealed_fields()
        yield from (f"{trigger.event} has no public field `{name}`" for name in trigger.where if name not in names)


def _blocks(design: Design) -> Iterator[str]:
    if not design.blocks:
        yield "blocks: names no size"
    elif len(set(design.blocks)) < 2:
        yield "blocks: needs two sizes or more: with one, whoever counts can tell the last place of each block"
    for size in design.blocks:
        if design.shares < 1 or size < 1 or size % design.shares:
            yield f"blocks: {size} is no multiple of the arms' shares together ({design.shares})"


def _strata(design: Design, flow: Workflow) -> Iterator[str]:
    ids = [stratum.id for stratum in design.strata]
    if not ids:
        yield "stratum: names none; one that every case fits will do"
    yield from (f"stratum: `{id_}` stands there twice" for id_ in sorted({id_ for id_ in ids if ids.count(id_) > 1}))
    for stratum in design.strata:
        for fact in stratum.when.facts():
            prefix, _, name = fact.partition(".")
            if fact not in KNOWN_FACTS and not (prefix == "details" and name in flow.fields):
                yield f"stratum {stratum.id}: unknown fact `{fact}`"
            elif prefix == "details" and flow.fields[name].personal:
                yield f"stratum {stratum.id}: `{fact}` is personal, and the stratum is told in every export"


def _stops(design: Design) -> Iterator[str]:
    for stop in design.stops:
        place = f"stop {stop.id}"
        if sum((bool(stop.randomised), stop.after is not None, bool(stop.event))) != 1:
            yield f"{place}: is one of `randomised`, `after`, or `event` with `count`"
        if stop.event and (stop.count < 1 or stop.event not in e.FACTS):
            yield f"{place}: needs an `event` of the log and a `count` of 1 or more"
        if stop.arm and stop.arm not in design.arms:
            yield f"{place}: unknown arm `{stop.arm}`"
