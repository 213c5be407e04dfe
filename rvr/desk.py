"""The one door. A person, a clock, the media plane and the victim's page all reach a case through `Desk.handle`.

Four visible steps: gather what the decision may rest on, decide (pure, in core), record (durably, in one transaction),
tell (screens, media, outbox). A decision that was overtaken is made again on the case as it is now.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, TypeVar, cast
from weakref import WeakValueDictionary

import structlog
from sqlmodel import Session, col, select

from rvr import gathering, metrics, noting, references
from rvr.core import arms, authority, clocks, decide, erasure
from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.commands import (
    Actor,
    BreakGlass,
    Command,
    ConfirmErasure,
    DeclareConflict,
    LiftConflict,
    MakeMove,
    OpenCase,
    ProposeErasure,
    RegisterTrial,
    RunOut,
    SetDuty,
    StopTrial,
)
from rvr.core.errors import NotFound, Reason, Refused, Reused, RvrError, Stale
from rvr.core.history import PastCase
from rvr.core.moment import Moment, iso
from rvr.core.processing import processing, what, why
from rvr.core.roster import Capacity, Officer, apply_officer
from rvr.core.vocabulary import Basis, Facts
from rvr.core.workflow import Workflow
from rvr.definitions import Definitions
from rvr.gathering import Gathered, Recent, Told
from rvr.inviting import Inviting
from rvr.messages import catalogue
from rvr.notices import notices
from rvr.realtime import Hub, Message
from rvr.store import Append, Batch, CommandSeen, Conflict, ReferenceTaken, staff
from rvr.store.access import Access, Signin
from rvr.store.engine import Connection
from rvr.store.history import cases_with
from rvr.store.staff import Person
from rvr.store.store import Store
from rvr.store.tables import CaseRow, LinkRow, none_of
from rvr.versions import Versions

T = TypeVar("T")

log = structlog.get_logger()

TRIES = 16
"""How often an overtaken decision is made again; each time some other command has been recorded."""

IDS = 4
"""New ids that one decision may use up."""

BOARD = "board"

ON_BOARD = ("case", "officer", "desk")
"""Streams of which every event changes what stands on a board, or above it."""

FOLLOW = 500
"""Events read in one step of the feed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command."""

    case: Case
    recorded: tuple[e.Recorded, ...] = ()
    """Its events, of every stream that they went to."""
    repeated: bool = False
    """The same command was carried out before; this is its answer again."""
    gathered: Gathered | None = None
    """What stands around the case now, as far as the decision rested on it: None where that has to be asked anew."""


class OpenTo(NamedTuple):
    """What somebody may do with a case as it stands."""

    moves: tuple[decide.MoveView, ...]
    """Every move that the person's roles have from here, each allowed or with its reasons."""
    wording: Mapping[str, str]
    """Consent kind -> what is read out for it now."""


class Decided(NamedTuple):
    """What is to be recorded, and what the case is afterwards."""

    batch: Batch
    case: Case
    rests_on: Gathered | None = None


class Desk:
    """The desk at work on one store."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        hub: Hub,
        *,
        observe: Callable[[], Moment],
        join_url: str,
        link_text: str,
        new_id: Callable[[], str],
        new_reference: Callable[[], str] | None = None,
        staff_url: str = "",
        trial_secret: bytes | None = None,
    ) -> None:
        self.store, self.definitions, self.hub = store, definitions, hub
        self.observe = observe
        self._staff_url, self._inviting = staff_url, Inviting(store, join_url, link_text)
        self.versions = Versions(store, definitions, new_id)
        self.new_id, self._new_reference = new_id, new_reference or references.draw
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._recent = Recent()
        flows = definitions.workflows.values()
        self._around = gathering.Around(
            frozenset().union(*(flow.queue for flow in flows)), tuple(flow.trial for flow in flows if flow.trial)
        )
        self._trial_secret = trial_secret
        self._told, self._following = 0, asyncio.Lock()
        self.on_recorded: Callable[[Sequence[e.Recorded]], Awaitable[None]] | None = None
        """Told after each recorded command: the media plane then reconciles what it should hold open."""

    async def start(self) -> None:
        """Stores the text of every definition that new cases will run under; what was recorded before is not told."""
        await self.versions.keep(self.observe())
        self._told = await self.store.position()

    # --- Reading -------------------------------------------------------------------------------------------------

    async def case(self, case_id: str, version: int | None = None) -> Case:
        """The case as it is, or as it was at a version. Raises NotFound."""
        return gathering.at_version(await self._read(case_id), version).case

    async def kept(self, case_id: str, version: int) -> Case:
        """The case at the version that its row tells, without a look where that is kept: for what runs beside each
        call, and is shown to nobody. Raises NotFound."""
        before = self._recent.of(case_id)
        told = before if before.case.version >= version else await self._read(case_id)
        return gathering.at_version(told, version).case

    async def log(self, case_id: str) -> tuple[e.Recorded, ...]:
        """The case's events, oldest first. Raises NotFound."""
        return (await self._read(case_id)).log

    async def gather(self, case_id: str, version: int | None = None) -> Gathered:
        """The case as it is, or as it was at a version, with what stands around it now. Raises NotFound."""
        gathered, _ = await self.gather_with(lambda _connection, _gathered: None, case_id, version)
        return gathered

    async def gather_with(
        self, also: Callable[[Connection, Gathered], T], case_id: str, version: int | None = None
    ) -> tuple[Gathered, T]:
        """The same, with what somebody looks up beside it: one look, one state of the database. Raises NotFound."""
        before, at, sealer = self._recent.of(case_id), iso(self.observe().at), self.store.sealer

        def look(connection: Connection) -> tuple[Told, Gathered, T | None]:
            told = gathering.read_on(connection, sealer, before)
            gathered = gathering.gather(connection, sealer, gathering.at_version(told, version), at, self._around)
            return told, gathered, also(connection, gathered) if told.log else None

        told, gathered, found = await self.store.look(look)
        self._keep(told)
        return gathered, cast(T, found)

    async def _read(self, case_id: str) -> Told:
        before = self._recent.of(case_id)
        told = await self.store.look(lambda connection: gathering.read_on(connection, self.store.sealer, before))
        self._keep(told)
        return told

    def _keep(self, told: Told) -> None:
        self._recent.keep(told)
        if not told.log:
            raise NotFound(Reason("no-such-case"))

    async def definition_of(self, case: Case) -> Workflow:
        """The workflow that the case began under."""
        return await self.versions.find(case.definition)

    async def open_to(self, gathered: Gathered, by: Actor) -> OpenTo:
        """What this person may do from here."""
        workflow = await self.definition_of(gathered.case)
        basis = self._basis(workflow, gathered, {}, by)
        wording = arms.read_out(workflow, Facts(gathered.case, by, basis))
        if erasure.is_erased(gathered.case):
            return OpenTo((), wording)
        return OpenTo(tuple(decide.view_moves(workflow, gathered.case, by, basis)), wording)

    async def cases_with(self, crime_reference: str) -> tuple[PastCase, ...]:
        """The cases that have this crime reference, the oldest first, without those made void."""
        return await self.store.look(lambda connection: cases_with(connection, self.store.sealer, crime_reference))

    async def people(self) -> Mapping[str, Person]:
        """The staff, by person id."""
        return await self.store.look(staff.people)

    async def open_cases(self) -> list[CaseRow]:
        """Open cases, the oldest first. A state that only an earlier definition knows counts as open."""
        flows = self.definitions.workflows.values()
        done = {state.id for flow in flows for state in flow.states.values() if not state.open}

        def query(session: Session) -> list[CaseRow]:
            wanted = select(CaseRow).where(none_of(col(CaseRow.state), done)).order_by(col(CaseRow.opened_at))
            return list(session.exec(wanted))

        return await self.store.read(query)

    async def roster(self) -> Mapping[str, Officer]:
        """Every officer who was ever on duty, by person id."""
        return await self.store.look(staff.officers)

    async def capacity(self) -> Capacity:
        is_open = clocks.is_open(self._any_workflow().force.hours, self.observe())
        return (await self._nothing_yet()).capacity(desk_open=is_open)

    def _any_workflow(self) -> Workflow:
        """All of them are of the one force of this desk."""
        return next(iter(self.definitions.workflows.values()))

    def _trial_workflow(self, trial: str) -> Workflow:
        """The workflow in which that trial is on. Raises NotFound."""
        for flow in self.definitions.workflows.values():
            if flow.trial is not None and flow.trial.id == trial:
                return flow
        raise NotFound(Reason("no-such-trial"))

    # --- The door ------------------------------------------------------------------------------------------------

    async def handle(
        self, command: Command, by: Actor, *, links: tuple[LinkRow, ...] = (), signin: Signin | None = None
    ) -> Outcome:
        """Carries out a command. `links` are rows to be written with its events, or not at all; so is the row of the
        access log about whoever signed in for it.

        Raises the errors of `core.errors`: NotFound, Forbidden, Refused with every reason, Stale when the sender's
        version is not the case's, Reused when its id was used for another request, Unavailable when the log cannot be
        written.
        """
        at, kind, outcome = command.at or self.observe(), type(command).__name__, "fault"
        try:
            with metrics.timed(metrics.COMMAND_SECONDS.labels(kind)):
                async with self._turn(command):
                    done = await self._carry_out(command, by, at, links, signin)
            outcome = "repeated" if done.repeated else "done"
            return done
        except RvrError as refused:
            outcome = refused.code
            raise
        finally:
            metrics.COMMANDS.labels(kind, outcome).inc()

    async def would_record(self, command: Command, by: Actor) -> bool:
        """Whether there is anything to record: all that `handle` does before it records. Raises what it would raise."""
        asked = self._hash_of(command)
        seen = await self.store.command(by.id, command.command_id)
        if seen is not None:
            await self._again(seen, asked)
            return False
        decided = await self._decide(command, by, command.at or self.observe(), asked)
        return bool(decided.batch.appends)

    def _turn(self, command: Command) -> asyncio.Lock:
        """One command at a time for each case, in the order in which they came: a flood of taps must not starve an
        emergency by decisions made again and again. Between processes the log's key still judges.
        """
        subject = getattr(command, "case", "") or command.command_id
        return self._turns.setdefault(subject, asyncio.Lock())

    async def _carry_out(
        self, command: Command, by: Actor, at: Moment, links: tuple[LinkRow, ...], signin: Signin | None
    ) -> Outcome:
        asked = self._hash_of(command)
        for _ in range(TRIES):
            try:
                batch, case, rested_on = await self._decide(command, by, at, asked)
            except RvrError:  # what was carried out before is answered as it was then, not refused
                if seen := await self.store.command(by.id, command.command_id):
                    return await self._again(seen, asked)
                raise
            if not batch.appends:
                seen = await self.store.command(by.id, command.command_id)
                return await self._again(seen, asked) if seen else Outcome(case)
            try:
                access = () if signin is None else (_told(command, signin, batch, at),)
                recorded = await self.store.append(replace(batch, links=(*batch.links, *links), access=access))
            except (Conflict, ReferenceTaken):
                continue
            except CommandSeen as before:
                return await self._again(before, asked)
            told = self._recent.grow(case, recorded)
            for one in recorded:
                metrics.EVENTS.labels(one.event.type).inc()
            await self._tell(recorded)
            after = rested_on.after(told, batch.officers) if rested_on is not None and told is not None else None
            return Outcome(case, tuple(recorded), gathered=after)
        raise Stale(Reason("busy"))

    def _hash_of(self, command: Command) -> bytes:
        """What was asked, so that another request under the same id can be told apart. Who and when are not part of it,
        nor what was seen then.

        Keyed, since the form holds names and numbers, and this outlives the key that seals them.
        """
        asked = {key: value for key, value in asdict(command).items() if key not in ("command_id", "at", "picture")}
        canonical = json.dumps([type(command).__name__, asked], sort_keys=True, default=str)
        return self.store.fingerprint(canonical.encode())

    async def _again(self, seen: CommandSeen, asked: bytes) -> Outcome:
        if seen.body_hash not in (asked, b""):  # empty: of a case that was erased since
            raise Reused(Reason("command-reused"))
        if not seen.result:
            return Outcome(Case(""), repeated=True)
        return Outcome(await self.case(seen.result["case"], seen.result["version"]), repeated=True)

    async def _decide(self, command: Command, by: Actor, at: Moment, asked: bytes) -> Decided:
        match command:
            case OpenCase():
                return await self._decide_open(command, by, at, asked)
            case MakeMove() | RunOut():
                return await self._decide_in_case(command, by, at, asked)
            case SetDuty():
                return await self._decide_duty(command, by, at, asked)
            case BreakGlass() | DeclareConflict() | LiftConflict():
                return await self._decide_authority(command, by, at, asked)
            case ProposeErasure() | ConfirmErasure():
                return await self._decide_erasure(command, by, at, asked)
        trial = command.trial if isinstance(command, RegisterTrial | StopTrial) else ""
        workflow = self._trial_workflow(trial) if trial else self._any_workflow()
        return Decided(await noting.batch_of(self.store, workflow, command, by, at, asked), Case(""))

    async def _decide_open(self, command: OpenCase, by: Actor, at: Moment, asked: bytes) -> Decided:
        workflow = self.definitions.workflows.get(command.workflow)
        if workflow is None:
            raise NotFound(Reason("no-such-workflow"))
        basis = self._basis(workflow, await self._nothing_yet(), {}, by, IDS)
        basis = replace(basis, reference=self._new_reference())
        decision = decide.decide_open(command, workflow, case_id=self.new_id(), by=by, at=at, basis=basis)
        return Decided(self._batch(command, by, asked, Case(decision.case.id), decision, basis), decision.case)

    async def _decide_in_case(self, command: MakeMove | RunOut, by: Actor, at: Moment, asked: bytes) -> Decided:
        gathered = await self.gather(command.case)
        case, recorded = gathered.case, gathered.log
        if erasure.is_erased(case):
            raise Refused(Reason("case-erased"))
        workflow = await self.definition_of(case)
        if isinstance(command, RunOut):
            basis = self._basis(workflow, gathered, {}, by, IDS)
            decision = decide.decide_run_out(case, command, workflow, at=at, basis=basis)
        else:
            await self._refuse_stale(case, recorded, command)
            basis = self._basis(workflow, gathered, command.form, by, IDS)
            try:
                decision = decide.decide_move(case, command, workflow, by=by, at=at, basis=basis)
            except Refused as refused:
                raise Refused(*refused.reasons, *await self._who_did(recorded, workflow, command, by)) from None
        batch = self._batch(command, by, asked, case, decision, basis)
        batch = await self._inviting.with_links(batch, decision)
        return Decided(self._with_notices(batch, decision), decision.case, gathered)

    async def _decide_authority(
        self, command: BreakGlass | DeclareConflict | LiftConflict, by: Actor, at: Moment, asked: bytes
    ) -> Decided:
        case = await self.case(command.case)
        if erasure.is_erased(case):
            raise Refused(Reason("case-erased"))
        decision = authority.decide(case, command, await self.definition_of(case), by=by, at=at)
        batch = self._batch(command, by, asked, case, decision, Basis(ids=()))
        return Decided(self._with_notices(batch, decision), decision.case)

    def _with_notices(self, batch: Batch, decision: decide.Decision) -> Batch:
        """With what goes out to whoever is on call."""
        told = notices(
            decision.case,
            decision.events,
            contacts=self.definitions.contacts,
            words=catalogue(),
            staff_url=self._staff_url,
            new_id=self.new_id,
        )
        return replace(batch, messages=(*batch.messages, *told))

    async def _decide_duty(self, command: SetDuty, by: Actor, at: Moment, asked: bytes) -> Decided:
        account = (await self.people()).get(command.officer)
        if account is None or "officer" not in account.roles:
            raise NotFound(Reason("unknown-officer"))
        officer = (await self.roster()).get(command.officer, Officer(command.officer))
        event = decide.decide_duty(officer, command, by=by, at=at)
        batch = Batch(
            command.command_id,
            by.id,
            asked,
            (Append(f"officer/{officer.id}", officer.version, (event,)),),
            officers=(apply_officer(officer, event),),
        )
        return Decided(batch, Case(""))

    async def _decide_erasure(
        self, command: ProposeErasure | ConfirmErasure, by: Actor, at: Moment, asked: bytes
    ) -> Decided:
        recorded, case = await self._read(command.case)
        stream = f"case/{command.case}"
        subject = erasure.Subject(case, recorded, await self.definition_of(case), self.definitions.retention)
        if isinstance(command, ProposeErasure):
            event = erasure.decide_propose(subject, command, by=by, at=at)
            after = apply(case, event)
        else:
            event = erasure.decide_confirm(subject, command, by=by, at=at)
            after = erasure.forgotten(case.id, recorded, event)
        batch = Batch(
            command.command_id,
            by.id,
            asked,
            (Append(stream, case.version, (event,)),),
            cases=(after,),
            erases=(stream,) if isinstance(command, ConfirmErasure) else (),
            result={"case": case.id, "version": after.version},
        )
        return Decided(batch, after)

    def _batch(
        self, command: Command, by: Actor, asked: bytes, before: Case, decision: decide.Decision, basis: Basis
    ) -> Batch:
        after = decision.case
        if not decision.events:
            return Batch(command.command_id, by.id, asked)
        officers, appends = [], [Append(f"case/{after.id}", before.version, decision.events)]
        for officer_id, events in decision.officers.items():
            officer = basis.officers.get(officer_id, Officer(officer_id))
            appends.append(Append(f"officer/{officer_id}", officer.version, events))
            for event in events:
                officer = apply_officer(officer, event)
            officers.append(officer)
        for stream, events in decision.strata.items():
            taken = basis.trial.places if basis.trial else {}
            appends.append(Append(stream, taken.get(stream.rpartition("/")[2], 0), events))
        return Batch(
            command.command_id,
            by.id,
            asked,
            tuple(appends),
            cases=(after,),
            officers=tuple(officers),
            result={"case": after.id, "version": after.version},
        )

    async def _nothing_yet(self) -> Gathered:
        """What stands around no case: the opening of one rests on it."""
        at, sealer = iso(self.observe().at), self.store.sealer
        return await self.store.look(
            lambda connection: gathering.gather(connection, sealer, Told((), Case("")), at, self._around)
        )

    def _basis(self, workflow: Workflow, gathered: Gathered, form: Mapping[str, Any], by: Actor, ids: int = 0) -> Basis:
        now, people = self.observe(), gathered.known
        named = {gathered.case.officer, str(form.get("officer", "")), by.id}
        return Basis(
            ids=tuple(self.new_id() for _ in range(ids)),
            capacity=gathered.capacity(desk_open=clocks.is_open(workflow.force.hours, now)),
            officers={officer: gathered.officers[officer] for officer in named if officer in gathered.officers},
            now=iso(now.at),
            history=tuple(dict.fromkeys((*people.history, *people.would_add))),
            candidates=people.candidates,
            orders=people.orders,
            contacts=self.definitions.contacts.guests,
            trial=gathered.trial(workflow.trial, self._trial_secret),
        )

    async def _refuse_stale(self, case: Case, recorded: Sequence[e.Recorded], command: MakeMove) -> None:
        expected = command.expected_version
        if expected is None or expected == case.version:
            return
        since = recorded[expected:] if 0 <= expected < case.version else []
        if since and all(one.event.type in decide.PASSING for one in since):
            return
        who = (await self.people()).get(since[-1].event.by) if since else None
        changed = [{"version": r.version, "type": r.event.type, "by_role": r.event.by_role} for r in since]
        last = since[-1].event if since else None
        params = {"what": last.type if last else "", "who": who.name if who else last.by_role if last else ""}
        raise Stale(Reason("stale", params), version=case.version, changed=changed)

    async def _who_did(
        self, recorded: Sequence[e.Recorded], workflow: Workflow, command: MakeMove, by: Actor
    ) -> tuple[Reason, ...]:
        """Who made this move before: two sergeants press Accept at once, and the slower one is told who won."""
        move = workflow.moves.get(command.move)
        last = recorded[-1].event
        if move is None or last.by == by.id or move.id not in ("accept_handover", "assign_officer"):
            return ()
        done = next((r.event for r in reversed(recorded) if r.event.type == move.event), None)
        who = (await self.people()).get(done.by) if done is not None else None
        return (Reason("somebody-else-did", {"move": move.name, "who": who.name}),) if who else ()

    # --- Telling -------------------------------------------------------------------------------------------------

    async def _tell(self, recorded: list[e.Recorded]) -> None:
        """What is recorded has happened: what fails here is told at the next occasion."""
        if self.store.bell is not None:
            self.store.bell.ring()
        try:
            await self._media([*await self.follow(recorded), *recorded])  # what others recorded is told once only
        except Exception:
            log.exception("not_told")

    @property
    def told(self) -> int:
        """The position up to which open screens were told."""
        return self._told

    async def catch_up(self) -> None:
        """Tells what other processes on the database have recorded: another desk, or a verb at a terminal."""
        await self._media(await self.follow())

    async def follow(self, own: Sequence[e.Recorded] = ()) -> list[e.Recorded]:
        """Tells open screens of all that was recorded since the last time, by whomever, in its order; what was read for
        that. What this process recorded itself (`own`) is read again only where something of others stands before it.
        """
        found: list[e.Recorded] = []
        async with self._following:
            for one in own:
                if one.position == self._told + 1:
                    self._publish(one)
                    self._told = one.position
            more = not own or own[-1].position > self._told
            while more:
                fresh = await self.store.events_after(self._told, FOLLOW)
                for one in fresh:
                    self._publish(one)
                    self._told = one.position
                found += fresh
                more = len(fresh) == FOLLOW
        return found

    def _publish(self, one: e.Recorded) -> None:
        kind, _, subject = one.stream.partition("/")
        if isinstance(one.event.fact, e.CaseErased):
            self._recent.forget(subject)
        self.hub.publish(Message(one.position, one.stream, one.event.type, subject))
        if kind in ON_BOARD:
            self.hub.publish(Message(one.position, BOARD, one.event.type, subject))

    async def _media(self, recorded: list[e.Recorded]) -> None:
        if recorded and self.on_recorded is not None:
            await self.on_recorded(recorded)


def _told(command: Command, signin: Signin, batch: Batch, at: Moment) -> Access:
    """What the access log says of a command: which kind of processing it is, its events tell."""
    kind = processing(event.fact for part in batch.appends for event in part.events)
    case_id = batch.cases[0].id if batch.cases else None
    return Access(signin, kind.category, what(command), at.at, case_id, why(command, batch.person), kind.recipient)
