"""The one door. A person, a clock, the media plane and the victim's page all reach a case through `Desk.handle`.

Four visible steps: gather what the decision may rest on, decide (pure, in core), record (durably, in one transaction),
tell (screens, media, outbox). A decision that was overtaken is made again on the case as it is now.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

import structlog
from sqlmodel import Session, col, select

from rvr import gathering, noting
from rvr import links as tokens
from rvr.core import clocks, decide, erasure
from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.commands import (
    THE_BOT,
    Actor,
    Command,
    ConfirmErasure,
    DeriveRecording,
    ImportOrder,
    MakeMove,
    NoteQuality,
    NoteRecording,
    OpenCase,
    ProposeErasure,
    RunOut,
    SetDuty,
)
from rvr.core.errors import NotFound, Reason, Refused, Reused, RvrError, Stale
from rvr.core.history import PastCase
from rvr.core.moment import Moment, iso
from rvr.core.processing import processing, what, why
from rvr.core.roster import Capacity, Officer, apply_officer
from rvr.core.vocabulary import Basis
from rvr.core.workflow import Workflow
from rvr.definitions import Definitions, load_stored
from rvr.gathering import Gathered, Recent, Told
from rvr.messages import catalogue
from rvr.notices import notices
from rvr.realtime import Hub, Message
from rvr.store import Append, Batch, CommandSeen, Conflict, ReferenceTaken, staff
from rvr.store.access import Access, Signin
from rvr.store.engine import Connection
from rvr.store.history import cases_with
from rvr.store.messages import Message as Text
from rvr.store.staff import Person
from rvr.store.store import Store
from rvr.store.tables import CaseRow, LinkRow, every, none_of

log = structlog.get_logger()

TRIES = 16
"""How often an overtaken decision is made again; each time some other command has been recorded."""

_REFERENCE = "23456789CDFGHJKMNPQRTVWXYZ"
"""Letters and digits that are not mistaken for another on the telephone, and spell no words."""

BOARD = "board"

ON_BOARD = ("case", "officer", "desk")
"""Streams of which every event changes what stands on a board, or above it."""

LINKS_CHANGE = (
    *(e.LinkSent, e.GuestInvited, e.GuestRefused, e.GuestRemoved, e.SessionEnded, e.VictimExited),
    *(e.FeedbackInvited, e.FeedbackGiven, e.FeedbackWithheld),
)

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
        staff_url: str = "",
    ) -> None:
        self.store, self.definitions, self.hub = store, definitions, hub
        self.observe = observe
        self._join_url, self._staff_url, self._link_text = join_url, staff_url, link_text
        self.new_id = new_id
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._stored: dict[str, Workflow] = {}
        self._recent = Recent()
        self._told, self._following = 0, asyncio.Lock()
        self.on_recorded: Callable[[Sequence[e.Recorded]], Awaitable[None]] | None = None
        """Told after each recorded command: the media plane then reconciles what it should hold open."""

    async def start(self) -> None:
        """Stores the text of every definition that new cases will run under; what was recorded before is not told."""
        for flow in self.definitions.workflows.values():
            stream = f"definition/{flow.hash}"
            if not await self.store.load(stream):
                stored = e.DefinitionStored(workflow=flow.id, files=dict(flow.files))
                event = e.Event(stored, "", self.observe(), THE_BOT.id, THE_BOT.id)
                batch = Batch(self.new_id(), THE_BOT.id, b"", (Append(stream, 0, (event,)),))
                with contextlib.suppress(Conflict):  # another process stored the same text this moment
                    await self.store.append(batch)
        self._told = await self.store.position()

    # --- Reading -------------------------------------------------------------------------------------------------

    async def case(self, case_id: str, version: int | None = None) -> Case:
        """The case as it is, or as it was at a version. Raises NotFound."""
        return gathering.at_version(await self._read(case_id), version).case

    async def log(self, case_id: str) -> tuple[e.Recorded, ...]:
        """The case's events, oldest first. Raises NotFound."""
        return (await self._read(case_id)).log

    async def gather(self, case_id: str, version: int | None = None) -> Gathered:
        """The case as it is, or as it was at a version, with what stands around it now. Raises NotFound."""
        before, at, sealer = self._recent.of(case_id), iso(self.observe().at), self.store.sealer

        def look(connection: Connection) -> tuple[Told, Gathered]:
            told = gathering.read_on(connection, sealer, before)
            return told, gathering.gather(connection, sealer, gathering.at_version(told, version), at)

        told, gathered = await self.store.look(look)
        self._keep(told)
        return gathered

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
        current = self.definitions.by_hash(case.definition)
        if current is not None:
            return current
        if case.definition not in self._stored:
            (recorded,) = await self.store.load(f"definition/{case.definition}")
            stored = recorded.event.fact
            if not isinstance(stored, e.DefinitionStored):
                raise TypeError(f"definition/{case.definition} holds a {recorded.event.type}")
            self._stored[case.definition] = load_stored(stored.workflow, stored.files)
        return self._stored[case.definition]

    async def moves(self, gathered: Gathered, by: Actor) -> list[decide.MoveView]:
        """Every move that this person's roles have from here, each allowed or with its reasons."""
        if erasure.is_erased(gathered.case):
            return []
        workflow = await self.definition_of(gathered.case)
        return decide.view_moves(workflow, gathered.case, by, self._basis(workflow, gathered, {}, by))

    async def cases_with(self, crime_reference: str) -> tuple[PastCase, ...]:
        """The cases that have this crime reference, the oldest first, without those made void."""
        return await self.store.look(lambda connection: cases_with(connection, self.store.sealer, crime_reference))

    async def people(self) -> dict[str, Person]:
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

    async def roster(self) -> dict[str, Officer]:
        """Every officer who was ever on duty, by person id."""
        return await self.store.look(staff.officers)

    async def capacity(self) -> Capacity:
        is_open = clocks.is_open(self._any_workflow().force.hours, self.observe())
        return _capacity(await self.roster(), await self.store.position(), desk_open=is_open)

    def _any_workflow(self) -> Workflow:
        """All of them are of the one force of this desk."""
        return next(iter(self.definitions.workflows.values()))

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
        at = command.at or self.observe()
        async with self._turn(command):
            return await self._carry_out(command, by, at, links, signin)

    async def would_record(self, command: Command, by: Actor) -> bool:
        """Whether there is anything to record: all that `handle` does before it records. Raises what it would raise."""
        asked = self._hash_of(command)
        seen = await self.store.command(by.id, command.command_id)
        if seen is not None:
            await self._again(seen, asked)
            return False
        batch, _ = await self._decide(command, by, command.at or self.observe(), asked)
        return bool(batch.appends)

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
                batch, case = await self._decide(command, by, at, asked)
            except RvrError:  # what was carried out before is answered as it was then, not refused
                if seen := await self.store.command(by.id, command.command_id):
                    return await self._again(seen, asked)
                raise
            if not batch.appends:
                seen = await self.store.command(by.id, command.command_id)
                return await self._again(seen, asked) if seen else Outcome(case)
            try:
                told = () if signin is None else (_told(command, signin, batch, at),)
                recorded = await self.store.append(replace(batch, links=(*batch.links, *links), access=told))
            except (Conflict, ReferenceTaken):
                continue
            except CommandSeen as before:
                return await self._again(before, asked)
            await self._tell(recorded)
            return Outcome(case, tuple(recorded))
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

    async def _decide(self, command: Command, by: Actor, at: Moment, asked: bytes) -> tuple[Batch, Case]:
        match command:
            case OpenCase():
                workflow = self.definitions.workflows.get(command.workflow)
                if workflow is None:
                    raise NotFound(Reason("no-such-workflow"))
                basis = replace(self._basis(workflow, await self._nothing_yet(), {}, by), reference=_reference())
                decision = decide.decide_open(command, workflow, case_id=self.new_id(), by=by, at=at, basis=basis)
                return self._batch(command, by, asked, Case(decision.case.id), decision, basis), decision.case
            case SetDuty():
                return await self._decide_duty(command, by, at, asked)
            case ImportOrder() | NoteRecording() | DeriveRecording() | NoteQuality():
                return await noting.batch_of(self.store, self._any_workflow(), command, by, at, asked), Case("")
            case ProposeErasure() | ConfirmErasure():
                return await self._decide_erasure(command, by, at, asked)
        gathered = await self.gather(command.case)
        case, recorded = gathered.case, gathered.log
        if erasure.is_erased(case):
            raise Refused(Reason("case-erased"))
        workflow = await self.definition_of(case)
        if isinstance(command, RunOut):
            basis = self._basis(workflow, gathered, {}, by)
            decision = decide.decide_run_out(case, command, workflow, at=at, basis=basis)
        else:
            await self._refuse_stale(case, recorded, command)
            basis = self._basis(workflow, gathered, command.form, by)
            try:
                decision = decide.decide_move(case, command, workflow, by=by, at=at, basis=basis)
            except Refused as refused:
                raise Refused(*refused.reasons, *await self._who_did(recorded, workflow, command, by)) from None
        batch = self._batch(command, by, asked, case, decision, basis)
        batch = await self._with_links(batch, decision)
        told = notices(
            decision.case,
            decision.events,
            contacts=self.definitions.contacts,
            words=catalogue(),
            staff_url=self._staff_url,
            new_id=self.new_id,
        )
        return replace(batch, messages=(*batch.messages, *told)), decision.case

    async def _decide_duty(self, command: SetDuty, by: Actor, at: Moment, asked: bytes) -> tuple[Batch, Case]:
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
        return batch, Case("")

    async def _decide_erasure(
        self, command: ProposeErasure | ConfirmErasure, by: Actor, at: Moment, asked: bytes
    ) -> tuple[Batch, Case]:
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
        return batch, after

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
        """What the opening of a case rests on."""
        at, sealer = iso(self.observe().at), self.store.sealer
        return await self.store.look(lambda connection: gathering.gather(connection, sealer, Told((), Case("")), at))

    def _basis(self, workflow: Workflow, gathered: Gathered, form: Mapping[str, Any], by: Actor) -> Basis:
        now, people = self.observe(), gathered.known
        named = {gathered.case.officer, str(form.get("officer", "")), by.id}
        return Basis(
            ids=tuple(self.new_id() for _ in range(4)),
            capacity=_capacity(
                gathered.officers, gathered.position, desk_open=clocks.is_open(workflow.force.hours, now)
            ),
            officers={officer: gathered.officers[officer] for officer in named if officer in gathered.officers},
            now=iso(now.at),
            history=tuple(dict.fromkeys((*people.history, *people.would_add))),
            candidates=people.candidates,
            orders=people.orders,
            contacts=self.definitions.contacts.guests,
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

    # --- Links ---------------------------------------------------------------------------------------------------

    async def _with_links(self, batch: Batch, decision: decide.Decision) -> Batch:
        """The link rows and the texts that these events ask for: new links, or the end of those there are."""
        facts = [event.fact for event in decision.events]
        if not any(isinstance(fact, LINKS_CHANGE) for fact in facts):
            return batch
        now = iso(decision.events[0].at.at)
        dead = [
            LinkRow(**{**row.model_dump(), "revoked_at": now})
            for row in await self._links_of(decision.case.id)
            if any(_ends(fact, row) for fact in facts)
        ]
        made = [self._link(decision.case, fact) for fact in facts if isinstance(fact, e.LinkSent | e.GuestInvited)]
        made += [self._questions(decision.case, fact) for fact in facts if isinstance(fact, e.FeedbackInvited)]
        links, texts = [row for row, _ in filter(None, made)], [text for _, text in filter(None, made)]
        return replace(batch, links=(*dead, *links), messages=(*batch.messages, *texts))

    def _link(self, case: Case, fact: e.LinkSent | e.GuestInvited) -> tuple[LinkRow, Text] | None:
        """A new link with the message that carries it; None for a guest who needs none."""
        if case.session is None or not fact.link:
            return None
        token = tokens.new_token()
        row = LinkRow(
            id=fact.link,
            case_id=case.id,
            seat=fact.seat if isinstance(fact, e.GuestInvited) else case.session.victim_seat,
            token_hash=tokens.hash_of(token),
            expires_at=fact.expires_at,
            guest=fact.guest if isinstance(fact, e.GuestInvited) else "",
        )
        if isinstance(fact, e.LinkSent):
            body = self._link_text.replace("{link}", f"{self._join_url}/j#{token}")
            return row, Text(fact.link, case.id, "sms", fact.number, body)
        words = catalogue()
        link, role = f"{self._join_url}/g#{token}", words.name("seat", fact.guest_role)
        return row, Text(fact.link, case.id, fact.channel, fact.to, words.say("notice.guest", role=role, link=link))

    def _questions(self, case: Case, fact: e.FeedbackInvited) -> tuple[LinkRow, Text]:
        """The link to the questions afterwards, with the text that carries it."""
        token = tokens.new_token()
        row = LinkRow(
            id=fact.link,
            case_id=case.id,
            seat="",
            token_hash=tokens.hash_of(token),
            expires_at=fact.expires_at,
            purpose=tokens.FEEDBACK,
        )
        said = catalogue().say("notice.feedback", link=f"{self._join_url}/f#{token}")
        return row, Text(fact.link, case.id, fact.channel, fact.number, said)

    async def _links_of(self, case_id: str) -> list[LinkRow]:
        return await self.store.read(
            lambda session: every(session, LinkRow, LinkRow.case_id == case_id, LinkRow.revoked_at == "")
        )

    # --- Telling -------------------------------------------------------------------------------------------------

    async def _tell(self, recorded: list[e.Recorded]) -> None:
        """What is recorded has happened: what fails here is told at the next occasion."""
        if self.store.bell is not None:
            self.store.bell.ring()
        try:
            await self._media([*await self.follow(), *recorded])  # what others recorded is told once only
        except Exception:
            log.exception("not_told")

    @property
    def told(self) -> int:
        """The position up to which open screens were told."""
        return self._told

    async def catch_up(self) -> None:
        """Tells what other processes on the database have recorded: another desk, or a verb at a terminal."""
        await self._media(await self.follow())

    async def follow(self) -> list[e.Recorded]:
        """Tells open screens of all that was recorded since the last time, by whomever, in its order; what that was."""
        found: list[e.Recorded] = []
        async with self._following:
            more = True
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


def _ends(fact: e.Fact, row: LinkRow) -> bool:
    """Whether this fact is the end of a link. A new one for the victim leaves whoever has joined the seat, the help and
    the exit, and no guest is concerned.
    """
    if row.purpose == tokens.FEEDBACK:
        return isinstance(fact, e.FeedbackGiven | e.FeedbackWithheld)
    match fact:
        case e.SessionEnded() | e.VictimExited():
            return True
        case e.GuestRefused(guest=guest) | e.GuestRemoved(guest=guest):
            return row.guest == guest
        case e.LinkSent():
            return not row.guest and not row.browser_hash
    return False


def _told(command: Command, signin: Signin, batch: Batch, at: Moment) -> Access:
    """What the access log says of a command: which kind of processing it is, its events tell."""
    kind = processing(event.fact for part in batch.appends for event in part.events)
    case_id = batch.cases[0].id if batch.cases else None
    return Access(signin, kind.category, what(command), at.at, case_id, why(command, batch.person), kind.recipient)


def _capacity(officers: Mapping[str, Officer], position: int, *, desk_open: bool) -> Capacity:
    on_duty = [officer for officer in officers.values() if officer.status == "on"]
    free, ids = sum(o.free for o in on_duty), tuple(o.id for o in on_duty)
    return Capacity(len(on_duty), free, position, ids, desk_open=desk_open)


def _reference() -> str:
    """Six places of 26 signs: 300 million references; a clash is decided again by the table's key."""
    code = "".join(secrets.choice(_REFERENCE) for _ in range(6))
    return f"{code[:3]}-{code[3:]}"
