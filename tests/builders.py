"""The words of the tests: a universe that stands still until it is moved, cases on their way, and what holds then.

Every case here is driven by the real decisions with the shipped workflow, and each step is held against a replay of
its events from the first: a story cannot be told in which the log and the live case disagree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from rvr.core import decide
from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.commands import THE_BOT, THE_MEDIA, VICTIM, Actor, MakeMove, OpenCase, RunOut
from rvr.core.errors import Forbidden, Refused
from rvr.core.moment import Moment, iso
from rvr.core.roster import Capacity, Officer, apply_officer
from rvr.core.vocabulary import Basis
from rvr.core.workflow import Workflow
from rvr.definitions import Definitions, load

WORKFLOWS = Path(__file__).parents[1] / "workflows"
START = datetime(2026, 11, 22, 21, 18, 4, 118221, tzinfo=UTC)
BOOT = "0c5a2b7e-1111-4222-8333-444455556666"


@cache
def shipped() -> Definitions:
    return load(WORKFLOWS, "wmp")


def da_desk() -> Workflow:
    return shipped().workflows["da-desk"]


# --- People ------------------------------------------------------------------------------------------------------


def person(id_: str, role: str) -> Actor:
    return Actor(id_, frozenset({role}), id_.title())


HANDLER = person("hana", "call_handler")
SERGEANT, SERGEANT_2 = person("sam", "sergeant"), person("sofia", "sergeant")
OFFICER, OFFICER_2 = person("olu", "officer"), person("orla", "officer")
RESOURCING = person("rae", "resourcing")
INVESTIGATOR = person("ivan", "investigator")
THE_VICTIM = Actor("victim:1", frozenset({VICTIM}))
STAFF = (HANDLER, SERGEANT, OFFICER, RESOURCING, INVESTIGATOR)
EVERYBODY = (*STAFF, SERGEANT_2, OFFICER_2, THE_VICTIM, THE_MEDIA, THE_BOT)

# --- Forms -------------------------------------------------------------------------------------------------------

OPENING: Mapping[str, Any] = {
    "source": "999",
    "incident_number": "WM-1",
    "victim_name": "Ann Example",
    "safe_number": "07700 900123",
    "safe_to_text": "yes",
    "lpa": "coventry",
    "address": "1 Example Street, CV1 1AA",
}


def all_met(**changed: str) -> dict[str, Any]:
    """Every safety question answered as it must be, but for these."""
    return {"answers": {c.id: c.met for c in da_desk().criteria.values()} | changed}


def risk(level: str, rationale: str = "", **answers: str) -> dict[str, Any]:
    """The risk tool with every question answered no, but for these."""
    questions = {q.id: "no" for q in shipped().instruments["dash"].questions}
    form = {"risk_tool": "dash", "risk_answers": questions | answers, "risk_level": level}
    return form | ({"rationale": rationale} if rationale else {})


# --- The universe ------------------------------------------------------------------------------------------------


@dataclass
class Universe:
    """Clock, ids and officers of one test."""

    wall: datetime = START
    boottime_ns: int = 1_000_000_000
    boot: str = BOOT
    error_us: int | None = 3100
    drawn: int = 0
    officers: dict[str, Officer] = field(
        default_factory=lambda: {who.id: Officer(who.id, 1, "on") for who in (OFFICER, OFFICER_2)}
    )

    @property
    def at(self) -> Moment:
        return Moment(self.wall, self.boot, self.boottime_ns, self.error_us)

    def __call__(self) -> Moment:
        return self.at

    def pass_(self, seconds: float) -> None:
        """Time passes: both of the machine's clocks run."""
        passed = timedelta(seconds=seconds)
        self.wall += passed
        self.boottime_ns += passed // timedelta(microseconds=1) * 1000

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock; no time passes."""
        self.wall += timedelta(seconds=seconds)

    def restart(self) -> None:
        """The machine boots again: its second clock begins anew."""
        self.boot, self.boottime_ns = f"boot-{self.new_id()}", 0

    def new_id(self) -> str:
        self.drawn += 1
        return f"00000000-0000-4000-8000-{self.drawn:012d}"

    def basis(self) -> Basis:
        on = [officer for officer in self.officers.values() if officer.status == "on"]
        return Basis(
            ids=tuple(self.new_id() for _ in range(4)),
            reference="K7Q-X2M",
            capacity=Capacity(len(on), sum(officer.free for officer in on), 1, tuple(o.id for o in on)),
            officers=dict(self.officers),
            instruments=shipped().instruments,
        )


@dataclass
class Story:
    """One case in a universe, and everything that has happened to it."""

    universe: Universe
    workflow: Workflow = field(default_factory=da_desk)
    case: Case = field(default_factory=lambda: Case("1"))
    log: list[e.Event] = field(default_factory=list)
    last: tuple[e.Event, ...] = ()
    """The events of the latest step."""

    def opens(self, who: Actor = HANDLER, **form: Any) -> Story:
        command = OpenCase("open", dict(OPENING) | form)
        return self._took(
            decide.decide_open(
                command, self.workflow, case_id="1", by=who, at=self.universe.at, basis=self.universe.basis()
            )
        )

    def does(self, who: Actor, move: str, **form: Any) -> Story:
        """Somebody makes a move that the rules allow."""
        return self._took(self._decided(who, move, form))

    def refuses(self, who: Actor, move: str, **form: Any) -> set[str]:
        """Somebody tries a move that the rules forbid: the guards that are unmet, and the codes of other reasons."""
        try:
            self._decided(who, move, form)
        except Refused as refused:
            return {reason.params.get("guard") or reason.code for reason in refused.reasons}
        raise AssertionError(f"{move} was not refused")

    def forbids(self, who: Actor, move: str, **form: Any) -> set[str]:
        """Somebody tries a move that is not theirs: the codes of the reasons."""
        try:
            self._decided(who, move, form)
        except Forbidden as forbidden:
            return {reason.code for reason in forbidden.reasons}
        raise AssertionError(f"{move} was not forbidden")

    def may(self, who: Actor) -> set[str]:
        """The moves that this person is offered now."""
        views = decide.view_moves(self.workflow, self.case, who, self.universe.basis())
        return {view.move.id for view in views if view.allowed}

    def rings(self, clock: str, after_s: int, run: int = 0) -> Story:
        """A threshold of this run, or else the latest, is put to the case, whether it is due or not."""
        command = RunOut("c", "1", clock, run or self.case.runs.get(clock, 0), after_s)
        basis = self.universe.basis()
        return self._took(decide.decide_run_out(self.case, command, self.workflow, at=self.universe.at, basis=basis))

    def branch(self) -> Story:
        """The same story so far, to be continued in another way."""
        universe = replace(self.universe, officers=dict(self.universe.officers))
        return replace(self, universe=universe, log=list(self.log))

    def waits(self, seconds: float) -> Story:
        """Time passes, and every threshold that falls due meanwhile fires at its own moment."""
        until = self.universe.wall + timedelta(seconds=seconds)
        happened: tuple[e.Event, ...] = ()
        while due := self._next_due(until):
            when, clock, after_s = due
            self.universe.pass_(max(0.0, (when - self.universe.wall).total_seconds()))
            self.rings(clock, after_s)
            happened += self.last
        self.universe.pass_((until - self.universe.wall).total_seconds())
        self.last = happened
        return self

    def _next_due(self, until: datetime) -> tuple[datetime, str, int] | None:
        due = [(when, running.clock, s) for running in self.case.clocks.values() for s, when in running.due]
        return min((one for one in due if one[0] <= until), default=None)

    def _decided(self, who: Actor, move: str, form: Mapping[str, Any]) -> decide.Decision:
        command = MakeMove("c", "1", move, form)
        at, basis = self.universe.at, self.universe.basis()
        return decide.decide_move(self.case, command, self.workflow, by=who, at=at, basis=basis)

    def _took(self, decision: decide.Decision) -> Story:
        self.log += decision.events
        self.last = decision.events
        replayed = Case("1")
        for event in self.log:
            replayed = apply(replayed, event)
        assert replayed == decision.case, "the replay of the log is not the live case"
        for officer, events in decision.officers.items():
            for event in events:
                self.universe.officers[officer] = apply_officer(self.universe.officers[officer], event)
        self.case = decision.case
        return self

    # --- What happened -------------------------------------------------------------------------------------------

    @property
    def types(self) -> list[str]:
        """The types of the latest step's events."""
        return [event.type for event in self.last]

    def said(self, kind: str) -> list[e.Event]:
        """All events of this type so far."""
        return [event for event in self.log if event.type == kind]

    def change(self, clock: str, what: str = "stopped") -> e.ClockChange:
        """What the latest step did to this clock."""
        return next(c for event in self.last for c in event.clocks if (c.clock, c.change) == (clock, what))


def a_case(in_: str = "call_taking", universe: Universe | None = None) -> Story:
    """A case that has come to this state by the usual way."""
    return WAYS[in_](universe or Universe())


def _handover(universe: Universe) -> Story:
    story = a_case("call_taking", universe).does(HANDLER, "answer_criteria", **all_met())
    story.does(HANDLER, "record_consent", consent_kind="video", consent_answer="given")
    return story.does(HANDLER, "offer_handover", note="Left by the back door.")


def _waiting_room(universe: Universe) -> Story:
    story = a_case("accepted", universe).does(SERGEANT, "assign_officer", officer=OFFICER.id)
    return story.does(OFFICER, "send_link")


def _video(universe: Universe) -> Story:
    story = a_case("waiting_room", universe)
    assert story.case.session is not None
    story.does(THE_VICTIM, "open_link", link=story.case.session.link)
    story.does(THE_MEDIA, "victim_connected").does(THE_MEDIA, "officer_connected")
    return story.does(THE_MEDIA, "two_way_video")


def _assessment(universe: Universe) -> Story:
    story = a_case("video", universe).does(OFFICER, "confirm_safety", alone="yes", place_verified="yes")
    return story.does(OFFICER, "end_session", end_reason="completed")


def _review(universe: Universe, level: str = "standard", **answers: str) -> Story:
    story = a_case("assessment", universe).does(OFFICER, "assess_risk", **risk(level, **answers))
    return plans(story).does(OFFICER, "submit_for_review")


def plans(story: Story) -> Story:
    """The officer plans one safeguarding action."""
    due = iso(story.universe.wall + timedelta(days=1))
    return story.does(OFFICER, "plan_safeguarding", action_kind="safety_plan", action_owner="PC Example", due_at=due)


WAYS: dict[str, Any] = {
    "call_taking": lambda universe: Story(universe).opens(),
    "handover": _handover,
    "accepted": lambda universe: a_case("handover", universe).does(SERGEANT, "accept_handover"),
    "waiting_room": _waiting_room,
    "video": _video,
    "interrupted": lambda universe: a_case("video", universe).does(
        THE_MEDIA, "interrupt_video", side="victim", cause="silent"
    ),
    "lost_contact": lambda universe: a_case("interrupted", universe).waits(120),
    "deployment": lambda universe: a_case("call_taking", universe).does(
        HANDLER, "request_deployment", response_grade="priority", deployment_reason="prefers_in_person"
    ),
    "assessment": _assessment,
    "review": _review,
    "review at high risk": lambda universe: _review(universe, "high"),
    "allocated": lambda universe: a_case("review", universe).does(SERGEANT, "allocate", team="lpa-coventry"),
    "filed": lambda universe: a_case("review", universe).does(
        SERGEANT, "file", file_reason="no_crime", file_rationale="Nothing is disclosed."
    ),
    "closed": lambda universe: a_case("allocated", universe).does(INVESTIGATOR, "close"),
    "voided": lambda universe: a_case("call_taking", universe).does(SERGEANT, "void", void_reason="test"),
}
"""How a case usually comes to each state."""


# --- What holds then ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Then:
    """Assertions that read as sentences; each gives itself back."""

    story: Story

    def is_in(self, state: str) -> Then:
        assert self.story.case.state == state
        return self

    def runs(self, *clocks: str) -> Then:
        assert set(clocks) <= set(self.story.case.clocks), f"{clocks} among {sorted(self.story.case.clocks)}"
        return self

    def has_stopped(self, *clocks: str) -> Then:
        assert not set(clocks) & set(self.story.case.clocks)
        return self

    def has_officer(self, who: Actor) -> Then:
        assert (self.story.case.officer, self.story.case.engaged) == (who.id, True)
        assert self.story.universe.officers[who.id].case == self.story.case.id
        return self

    def has_no_officer(self) -> Then:
        assert not self.story.case.engaged
        assert all(officer.case == "" for officer in self.story.universe.officers.values())
        return self

    def has_a_session(self) -> Then:
        session = self.story.case.session
        assert session is not None
        assert not session.ended_at
        return self

    def has_no_session(self) -> Then:
        session = self.story.case.session
        assert session is None or session.ended_at
        return self

    def is_an_emergency(self) -> Then:
        assert self.story.case.emergency
        return self


def then(story: Story) -> Then:
    return Then(story)


def through_the_store(events: Iterable[e.Event]) -> list[e.Event]:
    """The events as they come back from their stored bytes."""
    from rvr.store import envelope

    stamp = envelope.Stamp("c", "wmp", iso(START))
    back = []
    for event in events:
        fields, hidden = event.fact.split()
        public = json.loads(json.dumps(envelope._public(event, "id", fields, stamp, None)))
        back.append(envelope._event(public, json.loads(json.dumps(hidden))))
    return back
