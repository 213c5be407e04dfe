"""Commands that concern no case's own stream: civil orders, an earlier desk's timings, the duty plan, recordings, how a
line fared, a trial as a whole.

Each reads its stream, lets core decide, and comes to a batch for the one door (`Desk.handle`).
"""

from __future__ import annotations

import asyncio

from rvr.core import duty_plan, earlier
from rvr.core.arms import stream_of as trial_stream
from rvr.core.commands import (
    Actor,
    DeriveRecording,
    ImportEarlier,
    ImportOrder,
    NoteQuality,
    NoteRecording,
    PlanDuty,
    RegisterTrial,
    StopTrial,
)
from rvr.core.events import EarlierCaseTimed, Event
from rvr.core.moment import Moment
from rvr.core.orders import Order, apply_order, decide_import, fold_order
from rvr.core.quality import decide_note as decide_quality
from rvr.core.quality import stream_of
from rvr.core.recording import decide_derive, decide_note, fold_reel
from rvr.core.registering import decide_register, decide_stop, fold_trial
from rvr.core.workflow import Workflow
from rvr.store import Append, Batch
from rvr.store.store import Store

_OfOneStream = ImportOrder | NoteRecording | DeriveRecording | NoteQuality | RegisterTrial | StopTrial | PlanDuty
Note = _OfOneStream | ImportEarlier


async def batch_of(store: Store, workflow: Workflow, command: Note, by: Actor, at: Moment, asked: bytes) -> Batch:
    """What the command records; `workflow`: any of the force's; a trial's own. Raises what core's decision raises."""
    if isinstance(command, ImportEarlier):
        found = earlier.decide_import(await earlier_known(store), command, workflow, by=by, at=at)
        told = tuple(Append(f"{earlier.STREAM}{id_}", 0, (event,)) for id_, event in found.items())
        return Batch(command.command_id, by.id, asked, told)
    stream = _stream_of(command)
    log = await store.load(stream)
    orders: tuple[Order, ...] = ()
    events: tuple[Event, ...]
    match command:
        case ImportOrder():
            order = fold_order(command.order, log)
            events = decide_import(order, command, workflow, by=by, at=at)
            for event in events:
                order = apply_order(order, event)
            orders = (order,)
        case NoteRecording():
            events = decide_note(fold_reel(command.recording, log), command, by=by, at=at)
        case DeriveRecording():
            events = (decide_derive(command, by=by, at=at),)
        case NoteQuality():
            events = (decide_quality(command, by=by, at=at),)
        case RegisterTrial():
            events = (decide_register(fold_trial(command.trial, log), command, workflow, by=by, at=at),)
        case StopTrial():
            events = (decide_stop(fold_trial(command.trial, log), command, workflow, by=by, at=at),)
        case PlanDuty():
            events = (duty_plan.decide_plan(command, by=by, at=at),)
    appends = (Append(stream, len(log), events),) if events else ()
    return Batch(command.command_id, by.id, asked, appends, orders=orders)


async def earlier_known(store: Store) -> dict[str, EarlierCaseTimed]:
    """By id, every row of an earlier desk's timings that was taken over before."""

    def read() -> dict[str, EarlierCaseTimed]:
        found = store.iterate(kind=earlier.STREAM, chunk=1_000)
        facts = ((one.stream.removeprefix(earlier.STREAM), one.event.fact) for one in found)
        return {id_: fact for id_, fact in facts if isinstance(fact, EarlierCaseTimed)}

    return await asyncio.to_thread(read)


def _stream_of(command: _OfOneStream) -> str:
    match command:
        case ImportOrder():
            return f"order/{command.order}"
        case NoteQuality():
            return stream_of(command.session)
        case PlanDuty():
            return duty_plan.STREAM
        case RegisterTrial() | StopTrial():
            return trial_stream(command.trial)
    return f"recording/{command.recording}"
