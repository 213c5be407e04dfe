"""Days at the desk: cases driven through the one door by people, media and clocks, with a clock that the test moves."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from rvr import calls
from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.commands import THE_BOT, Actor, MakeMove, OpenCase, RunOut, SetDuty
from rvr.core.guests import actor_of
from rvr.core.moment import iso
from rvr.definitions import Definitions, load
from rvr.desk import Desk
from rvr.evaluation.codebook import EVENT_TYPES
from rvr.measuring import Measuring
from rvr.media import Kind, Observation
from rvr.realtime import Hub
from rvr.store import Store
from rvr.store.statements import put
from rvr.store.tables import AccountRow
from tests.builders import FILING
from tests.store.builders import START, Clock, Place, a_batch, event

CANARY = "Kanarienvogel"
"""Stands in every text that must not leave."""

PHONE, BIRTHDAY = "+447700900987", "1987-06-05"
SECRETS = (CANARY, PHONE, PHONE[3:], BIRTHDAY)

STAFF = {
    "handler": Actor(str(uuid.uuid4()), frozenset({"call_handler"})),
    "sergeant": Actor(str(uuid.uuid4()), frozenset({"sergeant"})),
    "officer": Actor(str(uuid.uuid4()), frozenset({"officer"})),
    "resourcing": Actor(str(uuid.uuid4()), frozenset({"resourcing"})),
    "investigator": Actor(str(uuid.uuid4()), frozenset({"investigator"})),
    "inspector": Actor(str(uuid.uuid4()), frozenset({"inspector"})),
}
PERSONAL = {
    "incident_number": f"{CANARY}-1",
    "victim_name": f"{CANARY} Name",
    "safe_number": PHONE,
    "who_sees_phone": f"{CANARY} sees it",
    "code_word": CANARY,
    "address": f"1 {CANARY} Street",
    "victim_dob": BIRTHDAY,
    "suspect_name": f"{CANARY} Suspect",
    "suspect_dob": BIRTHDAY,
}
CODED = {
    "source": "999",
    "safe_to_text": "yes",
    "lpa": "coventry",
    "victim_sex": "female",
    "relationship": "ex_partner",
    "children": "yes",
}
REPORT = {
    "report_source": "online",
    "crime_reference": f"{CANARY}/1",
    "offence": "stalking",
    "victim_name": f"{CANARY} Other",
    "victim_dob": "1990-01-02",
    "lpa": "dudley",
    "reported_risk_level": "standard",
    "reported_risk_tool": "dara",
    "summary": f"{CANARY} summary",
    "suspect_name": f"{CANARY} Suspect",
    "suspect_dob": BIRTHDAY,
}
"""A crime report of somebody else, against the same suspect."""


WORKFLOWS = Path(__file__).parents[2] / "workflows"


def definitions() -> Definitions:
    return load(WORKFLOWS, "wmp")


class Days:
    """A desk on a store, and the tale of what happens there."""

    def __init__(self, store: Store, clock: Clock, flows: Definitions) -> None:
        self.store, self.clock = store, clock
        self.desk = Desk(
            store,
            flows,
            Hub(),
            observe=clock,
            join_url="https://rvr.test",
            link_text="Tap {link}",
            new_id=lambda: str(uuid.uuid4()),
        )
        self.measuring = Measuring(self.desk)
        self._numbers = itertools.count(1)
        self.told: dict[str, str] = {}
        """Story -> id of its case."""

    async def start(self) -> None:
        await self.desk.start()
        for name, actor in STAFF.items():
            row = AccountRow(
                id=actor.id,
                username=f"{CANARY}-{name}",
                name=f"{CANARY} {name}",
                roles=sorted(actor.roles),
                password_hash="",
            )
            await self.store.write(lambda connection, row=row: put(connection, row))
        await self.duty("on")

    async def duty(self, status: str) -> None:
        await self.desk.handle(SetDuty(self._id(), STAFF["officer"].id, status), STAFF["officer"])

    def _id(self) -> str:
        return f"command-{next(self._numbers)}"

    def later(self, seconds: float) -> None:
        self.clock.pass_by(seconds=seconds)

    async def opens(self, *, answered_s_ago: float | None = None, **form: str) -> str:
        """A call handler opens a case; gives its id."""
        given = {**PERSONAL, **CODED, **form}
        if answered_s_ago is not None:
            given["call_answered_at"] = iso(self.clock.at - timedelta(seconds=answered_s_ago))
        return (await self.desk.handle(OpenCase(self._id(), given), STAFF["handler"])).case.id

    async def reports(self) -> str:
        """A sergeant takes a crime report; gives its id."""
        opened = await self.desk.handle(OpenCase(self._id(), REPORT, "crime-report"), STAFF["sergeant"])
        return opened.case.id

    async def does(self, case: str, who: str, move: str, after_s: float = 7.000003, **form: Any) -> Case:
        """Somebody makes a move, a while later."""
        self.later(after_s)
        return (await self.desk.handle(MakeMove(self._id(), case, move, form), STAFF[who])).case

    async def victim(self, case: str, move: str, after_s: float = 5.25, **form: Any) -> None:
        self.later(after_s)
        await self.desk.handle(MakeMove(self._id(), case, move, form), Actor(f"victim:{case}", frozenset({"victim"})))

    async def with_guests(self, case: str) -> None:
        """A supervisor is let in and held once; an interpreter is asked in and refused."""
        await self.does(case, "sergeant", "supervise_call")
        await self.does(case, "officer", "invite_guest", guest_to="07700 900112", guest_role="interpreter")
        session = (await self.desk.case(case)).session
        assert session is not None
        first, second = session.guests
        name = {"guest_name": f"{CANARY} Guest", "declared": True}
        await self.desk.handle(MakeMove(self._id(), case, "guest_arrive", name), actor_of(second))
        await self.victim(case, "admit_guest", guest=first)
        await self.does(case, "officer", "hold_guest", guest=first)
        await self.victim(case, "refuse_guest", guest=second)

    async def media(
        self, case: str, kind: str, side: str | None = None, after_s: float = 2.118221, cause: str = ""
    ) -> None:
        """The media plane sees something."""
        self.later(after_s)
        session = (await self.desk.case(case)).session
        assert session is not None
        seat = getattr(session, f"{side}_seat") if side else None
        await calls.observed(self.desk, session.id, seat, kind, cause, self.clock(), self._id())

    async def measures(self, case: str, side: str, *, up_kbps: int, fps: float = 30.0) -> None:
        """The media plane says how ten seconds of a side's line were."""
        self.later(10)
        session = (await self.desk.case(case)).session
        assert session is not None
        told = {"up_kbps": str(up_kbps), "fps": str(fps), "seconds": "10.0", "up_loss_pct": "1.5", "freezes": "1"}
        told |= {"width": "640", "height": "480"} if fps else {"width": "0", "height": "0"}
        seat = getattr(session, f"{side}_seat")
        await self.measuring.observed(self.seen(session.id, seat, "quality", told))

    def seen(self, room: str, seat: str | None, kind: Kind, detail: Mapping[str, str]) -> Observation:
        return Observation("worker", next(self._numbers), room, seat, kind, self.clock(), detail)

    async def runs_out(self, case: str, clock: str, after_s: int, late_s: float = 0.25) -> None:
        """A clock reaches a threshold, and is noticed a little late."""
        running = (await self.desk.case(case)).clocks[clock]
        self.clock.at = max(self.clock.at, dict(running.due)[after_s] + timedelta(seconds=late_s))
        await self.desk.handle(RunOut(self._id(), case, clock, running.run, after_s), THE_BOT)

    async def runs_down(self, case: str, clock: str, until_after_target_s: int) -> None:
        """A clock reaches every threshold that it has left, up to so long after its target."""
        running = (await self.desk.case(case)).clocks[clock]
        for after_s, _ in running.due:
            if after_s - running.target_s <= until_after_target_s:
                await self.runs_out(case, clock, after_s)

    # --- What often happens ------------------------------------------------------------------------------------

    async def screens(self, case: str, **answers: str) -> None:
        """The safety questions are answered; all well unless told otherwise."""
        flow = await self.desk.definition_of(await self.desk.case(case))
        met = {criterion.id: criterion.met for criterion in flow.criteria.values()}
        await self.does(case, "handler", "answer_criteria", 31.5, answers={**met, **answers})

    async def agrees(self, case: str, answer: str = "given") -> None:
        await self.does(case, "handler", "record_consent", consent_kind="video", consent_answer=answer)

    async def offered(self, case: str) -> None:
        await self.does(case, "handler", "offer_handover", 12.000001, note=f"{CANARY} note")

    async def waits(self, case: str) -> None:
        """Accepted, assigned, and the link is out."""
        await self.does(case, "sergeant", "accept_handover", 44.999999)
        await self.assigned(case)
        await self.joins(case)

    async def assigned(self, case: str) -> None:
        await self.does(case, "sergeant", "assign_officer", officer=STAFF["officer"].id)

    async def joins(self, case: str) -> None:
        """The link goes out, and both are there."""
        sent = await self.does(case, "officer", "send_link")
        assert sent.session is not None
        await self.victim(case, "open_link", 20.5, link=sent.session.link)
        await self.victim(case, "check_device", camera=True, microphone=True)
        await self.media(case, "connected", "victim")
        await self.media(case, "connected", "officer")

    async def is_safe(self, case: str, move: str = "confirm_safety") -> None:
        hidden = {"suspect_whereabouts": f"{CANARY} pub", "next_contact": f"{CANARY} evening"}
        await self.does(case, "officer", move, 90, alone="yes", place_verified="yes", **hidden)

    async def assessed(self, case: str) -> None:
        instruments = (await self.desk.definition_of(await self.desk.case(case))).instruments
        answers = {question.id: "no" for question in instruments["dash"].questions} | {"separation": "yes"}
        told = {"risk_tool": "dash", "risk_answers": answers, "risk_level": "medium", "rationale": f"{CANARY} why"}
        await self.does(case, "officer", "assess_risk", 600, **told)
        await self.does(case, "officer", "raise_level", 3, risk_level="high", rationale=f"{CANARY} more")
        due_at = iso(self.clock.at + timedelta(days=1))
        plan = {"action_kind": "safety_plan", "action_owner": f"{CANARY} Owner", "due_at": due_at}
        planned = await self.does(case, "officer", "plan_safeguarding", note=f"{CANARY} what", **plan)
        (action,) = planned.actions
        done = {"action": action, "action_result": "done", "note": f"{CANARY} done"}
        await self.does(case, "officer", "complete_safeguarding", **done)

    async def is_the_same(self, case: str, role: str, as_in: str) -> None:
        """Somebody confirms that the victim or suspect is the one of that earlier case."""
        candidates = (await self.desk.gather(case)).known.candidates
        (found,) = (c for c in candidates if c.role == role and as_in in {known.id for known in c.cases})
        await self.does(case, "sergeant", "match_person", candidate=f"{role}:{found.person_id}")

    async def filed(self, case: str) -> None:
        """A case of high risk, with the second person that it needs."""
        await self.does(case, "inspector", "endorse_filing", endorsement=f"{CANARY} agreed")
        await self.does(case, "sergeant", "file", **(FILING | {"file_rationale": f"{CANARY} rationale"}))


# --- One of every fact -------------------------------------------------------------------------------------------

_SENSIBLE: Mapping[str, Any] = {
    "details": {"lpa": "dudley", "odd": f"{CANARY}-odd"},
    "side": "victim",
    "due_at": iso(START - timedelta(microseconds=3)),
    "late_us": 3,
    "expires_at": "2026-12-01T10:00:00.000000Z",
    "action": "8a7d3f2e-0000-4000-8000-000000000001",
    "clock": "handover",
    "run": 1,
    "after_s": 600,
    "risk_level": "high",
    "results": {"adult": "met"},
}


def every_fact(clock: Clock) -> list[e.Event]:
    """One event of each type that a case may hold: canaries in each sealed field, and in each public text where a code
    should be."""
    return [event(_filled(e.FACTS[kind]), "call_taking", clock, clocks=_clocks(kind, clock)) for kind in EVENT_TYPES]


def _clocks(kind: str, clock: Clock) -> tuple[e.ClockChange, ...]:
    return (e.ClockChange("handover", 1, "started", iso(clock.at), 600),) if kind == "CaseOpened" else ()


def _filled(kind: type[e.Fact]) -> e.Fact:
    return kind(**{f.name: _SENSIBLE.get(f.name, _text(str(f.type))) for f in dataclasses.fields(kind)})


def _text(annotation: str) -> Any:
    match annotation:
        case "bool":
            return True
        case "int" | "int | None":
            return 3
        case "str":
            return f"{CANARY} in clear"
        case "tuple[str, ...]":
            return (f"{CANARY} one", f"{CANARY} two")
    return {f"{CANARY} key": f"{CANARY} value"}


async def with_every_fact(days: Days) -> None:
    """Appends a case with one of every fact, as no workflow would make it."""
    case = Case(str(uuid.uuid4()))
    await days.store.append(a_batch("every-fact", case, *every_fact(days.clock)))


@contextlib.asynccontextmanager
async def a_desk(folder: Path) -> AsyncIterator[Days]:
    """Days on a store of its own, in this folder."""
    clock = Clock()
    store = Place(folder / "data", folder / "keys" / "keys.json").store(clock)
    await store.start()
    try:
        days = Days(store, clock, definitions())
        await days.start()
        yield days
    finally:
        await store.close()
