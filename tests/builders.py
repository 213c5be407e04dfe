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

from rvr import rehearsal
from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.core.commands import THE_BOT, THE_MEDIA, VICTIM, Actor
from rvr.core.decide import Decision
from rvr.core.errors import Forbidden, Reason, Refused
from rvr.core.identity import Candidate
from rvr.core.moment import Moment, iso
from rvr.core.risk import Instrument, assess, takes
from rvr.core.roster import Officer
from rvr.core.vocabulary import Basis
from rvr.core.workflow import Workflow
from rvr.definitions import Definitions, load

WORKFLOWS = Path(__file__).parents[1] / "workflows"
START = datetime(2026, 11, 22, 21, 18, 4, 118221, tzinfo=UTC)
BOOT = "0c5a2b7e-1111-4222-8333-444455556666"


@cache
def shipped(force: str = "wmp") -> Definitions:
    return load(WORKFLOWS, force)


def da_desk(force: str = "wmp") -> Workflow:
    return shipped(force).workflows["da-desk"]


def crime_report(force: str = "wmp") -> Workflow:
    return shipped(force).workflows["crime-report"]


# --- People ------------------------------------------------------------------------------------------------------


def person(id_: str, role: str) -> Actor:
    return Actor(id_, frozenset({role}), id_.title())


HANDLER = person("hana", "call_handler")
SERGEANT, SERGEANT_2 = person("sam", "sergeant"), person("sofia", "sergeant")
OFFICER, OFFICER_2 = person("olu", "officer"), person("orla", "officer")
RESOURCING = person("rae", "resourcing")
INVESTIGATOR = person("ivan", "investigator")
INSPECTOR = person("isla", "inspector")
ADVOCATE = Actor("ada", frozenset({"advocate"}), "Ada", frozenset({"bswa"}))
THE_VICTIM = Actor("victim:1", frozenset({VICTIM}))
STAFF = (HANDLER, SERGEANT, OFFICER, RESOURCING, INVESTIGATOR)
EVERYBODY = (*STAFF, SERGEANT_2, OFFICER_2, INSPECTOR, ADVOCATE, THE_VICTIM, THE_MEDIA, THE_BOT)

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


REPORT: Mapping[str, Any] = {
    "report_source": "response_officer",
    "crime_reference": "20CV/1/26",
    "offence": "assault",
    "victim_name": "Ann Example",
    "lpa": "coventry",
    "reported_risk_level": "medium",
}
"""A crime report from officers who attended."""


def all_met(**changed: str) -> dict[str, Any]:
    """Every safety question answered as it must be, but for these."""
    return {"answers": {c.id: c.met for c in da_desk().criteria.values()} | changed}


def answered(tool: Instrument, other: str = "no", **given: Any) -> dict[str, Any]:
    """Every question that is asked, with these answers, and otherwise with this one or the mildest of its kind."""
    questions, answers = {question.id: question for question in tool.every}, dict(given)
    for name in given:
        if name in questions and questions[name].kind == "matrix" and given[name] == "yes":
            answers[name] = [questions[name].cells[0]]
    while missing := assess(tool, answers).missing:
        taken = {name: takes(questions[name], tool.scale) for name in missing}
        answers |= {name: other if other in codes else codes[0] for name, codes in taken.items()}
    return answers


def risk(level: str, rationale: str = "", tool: str = "dash", **answers: Any) -> dict[str, Any]:
    """A risk tool with every question answered no, but for these."""
    given = answered(shipped().instruments[tool], **answers)
    form = {"risk_tool": tool, "risk_answers": given, "risk_level": level}
    return form | ({"rationale": rationale} if rationale else {})


# --- The universe ------------------------------------------------------------------------------------------------


@dataclass
class Universe(rehearsal.Universe):
    """Clock, ids and officers of one test."""

    wall: datetime = START
    error_us: int | None = 3100
    desk_open: bool = True
    candidates: tuple[Candidate, ...] = ()
    officers: dict[str, Officer] = field(
        default_factory=lambda: {who.id: Officer(who.id, 1, "on") for who in (OFFICER, OFFICER_2)}
    )

    def __call__(self) -> Moment:
        return self.at

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock; no time passes."""
        self.wall += timedelta(seconds=seconds)

    def restart(self) -> None:
        """The machine boots again: its second clock begins anew."""
        self.boot, self.boottime_ns = f"boot-{self.new_id()}", 0

    def basis(self) -> Basis:
        basis = super().basis()
        return replace(basis, capacity=replace(basis.capacity, desk_open=self.desk_open), candidates=self.candidates)


@dataclass
class Story(rehearsal.Rehearsal):
    """One case in a universe, and everything that has happened to it."""

    universe: Universe
    workflow: Workflow = field(default_factory=da_desk)
    log: list[e.Event] = field(default_factory=list)
    last: tuple[e.Event, ...] = ()
    """The events of the latest step."""
    replayed: Case = field(default_factory=lambda: Case("1"))
    """What the log adds up to, event by event from the first."""

    def opens(self, who: Actor = HANDLER, **form: Any) -> Story:
        opening = OPENING if self.workflow.id == "da-desk" else REPORT
        self.open_case(who, dict(opening) | form)
        return self

    def does(self, who: Actor, move: str, **form: Any) -> Story:
        """Somebody makes a move that the rules allow."""
        self.make(who, move, form)
        return self

    def refuses(self, who: Actor, move: str, **form: Any) -> set[str]:
        """Somebody tries a move that the rules forbid: the guards that are unmet, and the codes of other reasons."""
        try:
            self.make(who, move, form)
        except Refused as refused:
            return {reason.params.get("guard") or reason.code for reason in refused.reasons}
        raise AssertionError(f"{move} was not refused")

    def forbids(self, who: Actor, move: str, **form: Any) -> set[str]:
        """Somebody tries a move that is not theirs: the codes of the reasons."""
        try:
            self.make(who, move, form)
        except Forbidden as forbidden:
            return {reason.code for reason in forbidden.reasons}
        raise AssertionError(f"{move} was not forbidden")

    def may(self, who: Actor) -> set[str]:
        """The moves that this person is offered now."""
        return {view.move.id for view in self.offered(who) if view.allowed}

    def rings(self, clock: str, after_s: int, run: int = 0) -> Story:
        """A threshold of this run, or else the latest, is put to the case, whether it is due or not."""
        self.ring(clock, after_s, run)
        return self

    def branch(self) -> Story:
        """The same story so far, to be continued in another way."""
        universe = replace(self.universe, officers=dict(self.universe.officers))
        return replace(self, universe=universe, log=list(self.log), happened=[], refused=[])

    def waits(self, seconds: float) -> Story:
        """Time passes, and every threshold that falls due meanwhile fires at its own moment."""
        rung = list(self.pass_until(self.universe.wall + timedelta(seconds=seconds)))
        self.last = tuple(event for happening in rung for event in happening.events)
        return self

    def take(self, decision: Decision, move: str = "", undone: tuple[Reason, ...] = ()) -> rehearsal.Happening:
        self.log += decision.events
        self.last = decision.events
        for event in decision.events:
            self.replayed = apply(self.replayed, event)
        assert self.replayed == decision.case, "the replay of the log is not the live case"
        return super().take(decision, move, undone)

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


def considers_evidence(story: Story) -> Story:
    return story.does(SERGEANT, "consider_evidence_led", evidence_led="not_viable", evidence_led_reason="No witness.")


FILING: Mapping[str, Any] = {
    "file_reason": "no_crime",
    "file_rationale": "Nothing is disclosed.",
    "filing_checks": dict.fromkeys((option.value for option in da_desk().fields["filing_checks"].options), "yes"),
}
"""A filing whose gate is open."""


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
    "filed": lambda universe: considers_evidence(a_case("review", universe)).does(SERGEANT, "file", **FILING),
    "appointment": lambda universe: a_case("accepted", universe).does(
        SERGEANT,
        "make_appointment",
        appointment_at=iso(universe.wall + timedelta(hours=2)),
        appointment_reason="not_private",
        appointment_how="Ring twice, then send the link.",
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
