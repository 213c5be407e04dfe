"""A workflow as the desk runs it: states, moves, guards, clocks, criteria, forms, routes.

These are plain values, read from `workflows/` by `rvr.definitions`. The table of moves is held by a
`transitions.Machine` without a model: it is asked, never triggered, so that no callback can be lost between two
overlapping saves (`AsyncMachine` loses them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from transitions import Machine

from rvr.core.conditions import Condition
from rvr.core.force import Force
from rvr.core.risk import Instrument
from rvr.core.trial import Design
from rvr.core.triggers import Trigger as Trigger
from rvr.core.triggers import any_match as any_match


@dataclass(frozen=True, slots=True)
class State:
    id: str
    name: str
    owner: str
    """The role that has to act."""
    open: bool = True
    """Somebody at the desk still works on it."""
    keeps_officer: bool = False
    """An assigned officer stays bound to the case here."""
    session: bool = False
    """A video session may be under way here."""
    ended: bool = False
    """Nothing runs any more: every clock is cancelled on entry."""
    say: str = ""
    """What the owner should do next, in one sentence."""
    then_owner: str = ""
    """The role that has to act once an officer is assigned, where that is another."""
    then_say: str = ""
    next: tuple[str, ...] = ()
    """The moves that the state is there for, in the order in which they are made."""

    def acting(self, officer: str) -> tuple[str, str]:
        """The role that has to act and what it should do next, with this officer assigned, or with nobody."""
        if officer and self.then_owner:
            return self.then_owner, self.then_say or self.say
        return self.owner, self.say


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str


STATED = "stated_at"
"""What a field fills that states when the fact came about: the event's envelope, and no field of the fact."""


@dataclass(frozen=True, slots=True)
class Field:
    id: str
    label: str
    kind: str
    hint: str = ""
    options: tuple[Option, ...] = ()
    personal: bool = False
    group: str = "details"
    """details, contact or address: where it is shown, and to whom if it is personal."""
    max: int = 200
    fills: str = ""
    """The event's field that it fills, where that has another name than the form's; or STATED."""

    @property
    def fact_field(self) -> str:
        """The field of the fact that it fills; empty where it states the time of it."""
        return "" if self.fills == STATED else self.fills or self.id


@dataclass(frozen=True, slots=True)
class Group:
    """Fields of the opening form that stand together."""

    name: str
    fields: tuple[str, ...]
    later: bool = False
    """May be left closed: asked if there is time."""


@dataclass(frozen=True, slots=True)
class Guard:
    id: str
    when: Condition
    say: str
    """What is missing, as the person who may do something about it reads it."""


@dataclass(frozen=True, slots=True)
class Branch:
    state: str
    """Where the case goes; empty: it stays."""
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Also:
    """Another fact that the same move writes, where a condition holds of the case and the form."""

    event: str
    sets: Mapping[str, Any]
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Move:
    id: str
    name: str
    sources: tuple[str, ...]
    to: tuple[Branch, ...]
    who: tuple[str, ...]
    event: str
    asks: tuple[str, ...] = ()
    may_ask: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    """Guards that look at the answers of its form, too (`form.*`)."""
    sets: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the event with a fixed value."""
    also: tuple[Also, ...] = ()
    tone: str = ""
    """How the button looks: '', secondary, warning."""
    hint: str = ""
    why: str = ""
    corrects: bool = False
    """Its form begins with what is known; a reason or a new judgement never does."""

    @property
    def fields(self) -> tuple[str, ...]:
        return (*self.asks, *self.may_ask)


@dataclass(frozen=True, slots=True)
class Threshold:
    after_s: int
    do: str = ""
    """The move that the workflow makes by itself; empty: it only flags."""
    say: str = ""
    daytime: bool = False
    """Whether it waits for the morning where it would fall into the night: somebody outside is sent a message."""


@dataclass(frozen=True, slots=True)
class ClockDef:
    id: str
    name: str
    target_s: int
    starts: tuple[Trigger, ...] = ()
    stops: tuple[Trigger, ...] = ()
    """What it waits for."""
    cancels: tuple[Trigger, ...] = ()
    """What makes it moot."""
    runs_in: tuple[str, ...] = ()
    """States in which it runs: started on entry, stopped on leaving."""
    counts: str = "always"
    """Which time it counts (`calendar.COUNTS`): target and thresholds are seconds of that."""
    paused_in: tuple[str, ...] = ()
    """States in which it stands still: no threshold fires, and what has been counted is kept."""
    pauses: tuple[Trigger, ...] = ()
    resumes: tuple[Trigger, ...] = ()
    """Facts that do the same, and that end it."""
    why_paused: str = ""
    by: str = ""
    """A fact of the case that chooses the target."""
    targets: Mapping[str, int] = field(default_factory=dict)
    outlives: bool = False
    """Whether it runs on when the case is closed. Void stops it like every other, by its cancels."""
    restarts: bool = True
    """Whether a start while it runs begins a new run; otherwise the promise that was given first stands."""
    until_fact: str = ""
    """A fact that holds the time at which it ends: an appointment, a date of an action. Without one it does not run."""
    thresholds: tuple[Threshold, ...] = ()
    """For a clock with `by` or `until_fact`, seconds after the target so chosen, or before it."""
    board: bool = True
    why: str = ""

    @property
    def events(self) -> frozenset[str]:
        """The types of facts that start, stop, cancel, pause or resume it."""
        triggers = (*self.starts, *self.stops, *self.cancels, *self.pauses, *self.resumes)
        return frozenset(trigger.event for trigger in triggers)

    @property
    def bound(self) -> bool:
        """Whether it depends on the state."""
        return bool(self.runs_in or self.paused_in)


@dataclass(frozen=True, slots=True)
class Criterion:
    id: str
    ask: str
    say: str
    """What a failed criterion means, in words."""
    why: str
    source: str
    met: str
    """The answer that meets it."""
    hard: bool = True
    way_out: str = "deployment"
    """emergency, deployment or call_back; soft criteria: sergeant."""
    since: date = date.min
    until: date = date.max

    def in_force(self, day: date) -> bool:
        """Whether it was asked on that day."""
        return self.since <= day <= self.until


@dataclass(frozen=True, slots=True)
class Safeguard:
    """An entry of the catalogue of safeguarding actions."""

    id: str
    name: str
    group: str
    owner: str
    """The role that usually does it."""
    due_s: int
    """When it is due unless somebody says otherwise, in seconds from the planning."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a case is proposed for more than the usual route, because of what happened before or how high the risk is.

    It counts cases of the same pair, victims of the same suspect, or cases of the same victim within some days, this
    case included; or it looks at a condition alone. From `since` on, until `until`.
    """

    id: str
    proposes: str
    """specialist or marac."""
    say: str
    source: str
    counts: str = ""
    """pair, suspect_victims, victim; empty: the condition alone."""
    within_days: int = 0
    at_least: int = 0
    when: Condition | None = None
    since: date = date.min
    until: date = date.max


@dataclass(frozen=True, slots=True)
class SuspectState:
    """Where a suspect stands, and what may come next."""

    id: str
    name: str
    to: tuple[str, ...]
    outstanding: bool = False
    """Sought and not yet arrested: somebody has to look at it again and again."""


@dataclass(frozen=True, slots=True)
class OutcomeCode:
    """A Home Office outcome type, while it is in force."""

    code: str
    name: str
    since: date = date.min
    until: date = date.max
    needs: tuple[str, ...] = ()
    """Answers of the form that this outcome requires."""


@dataclass(frozen=True, slots=True)
class OutcomeSet:
    """A named set of outcome codes, such as "positive": never official, always somebody's and dated."""

    id: str
    name: str
    codes: tuple[str, ...]
    since: date
    source: str


@dataclass(frozen=True, slots=True)
class Route:
    id: str
    when: Condition
    team: str
    """Team id; `{lpa}` is replaced by the case's area."""
    say: str


@dataclass(frozen=True, eq=False)
class Workflow:
    """One version of a workflow, complete. Two are the same one, or not the same: what is made of it can be kept."""

    id: str
    name: str
    hash: str
    """Content hash: the version."""
    files: Mapping[str, str]
    initial: str
    opens_asks: tuple[str, ...]
    opens_may_ask: tuple[str, ...]
    opens_who: tuple[str, ...]
    opens_groups: tuple[Group, ...]
    states: Mapping[str, State]
    moves: Mapping[str, Move]
    guards: Mapping[str, Guard]
    fields: Mapping[str, Field]
    clocks: Mapping[str, ClockDef]
    criteria: Mapping[str, Criterion]
    routes: tuple[Route, ...]
    force: Force
    instruments: Mapping[str, Instrument]
    consent_wording: str
    wording: Mapping[str, str] = field(default_factory=dict)
    safeguarding: Mapping[str, Safeguard] = field(default_factory=dict)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    suspect_states: Mapping[str, SuspectState] = field(default_factory=dict)
    outcomes: Mapping[str, OutcomeCode] = field(default_factory=dict)
    outcome_sets: tuple[OutcomeSet, ...] = ()
    trial: Design | None = None
    """The trial that runs inside it; None: none does."""
    origins: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(part, key) -> the file that it comes from, where that is not the workflow's own file of that part."""

    def criteria_on(self, day: date) -> dict[str, Criterion]:
        """The criteria that are asked on that day."""
        return {id_: criterion for id_, criterion in self.criteria.items() if criterion.in_force(day)}

    def origin(self, part: str, key: str) -> str:
        """The file in which this entry stands."""
        return self.origins.get((part, key), f"{self.id}/{part}.toml")

    @cached_property
    def table(self) -> Machine:
        """Every move from every state, as a table that can be printed, drawn and asked."""
        machine = Machine(
            model=None,
            states=list(self.states),
            initial=self.initial,
            auto_transitions=False,
            send_event=True,
        )
        for move in self.moves.values():
            for source in move.sources:
                for branch in move.to:
                    machine.add_transition(move.id, source, branch.state or None)
        return machine

    @cached_property
    def _open_to(self) -> dict[str, tuple[Move, ...]]:
        return {
            state: tuple(self.moves[trigger] for trigger in self.table.get_triggers(state)) for state in self.states
        }

    def open_to(self, state: str) -> tuple[Move, ...]:
        """The moves that the table has from this state, whoever may make them."""
        return self._open_to[state]

    def clocks_of(self, event: str, *, moved: bool) -> tuple[ClockDef, ...]:
        """The clocks that a fact of this type can start, pause or stop, by itself or because it `moved` the case."""
        found = self._clocks_of.get((event, moved))
        if found is None:
            found = tuple(clock for clock in self.clocks.values() if event in clock.events or (moved and clock.bound))
            self._clocks_of[event, moved] = found
        return found

    @cached_property
    def _clocks_of(self) -> dict[tuple[str, bool], tuple[ClockDef, ...]]:
        return {}

    @cached_property
    def queue(self) -> frozenset[str]:
        """States in which a case that was offered waits for the desk, until it has an officer."""
        waits = ("HandoverOffered", "HandoverAccepted")
        return frozenset(b.state for move in self.moves.values() if move.event in waits for b in move.to if b.state)

    def mermaid(self) -> str:
        """The diagram of the table, for the documentation and the screen."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial}"]
        for move in self.moves.values():
            for source in move.sources:
                name = move.name.replace(":", ",")  # a second colon would end the label
                lines += [f"    {source} --> {branch.state}: {name}" for branch in move.to if branch.state]
        lines += [f"    {state.id} --> [*]" for state in self.states.values() if state.ended]
        return "\n".join(lines) + "\n"
