"""A workflow as the desk runs it: states, moves, guards, clocks, criteria, forms, routes.

These are plain values, read from `workflows/` by `rvr.definitions`. The table of moves is held by a
`transitions.Machine` without a model: it is asked, never triggered, so that no callback can be lost between two
overlapping saves (`AsyncMachine` loses them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from transitions import Machine

from rvr.core.conditions import Condition
from rvr.core.force import Force


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
    """The event's field that it fills, where that has another name than the form's."""


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
    sets: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the event with a fixed value."""
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
class Trigger:
    """A fact type that starts or stops a clock, where its fields have one of the named values."""

    event: str
    where: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Threshold:
    after_s: int
    do: str = ""
    """The move that the workflow makes by itself; empty: it only flags."""
    say: str = ""


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
    by: str = ""
    """A fact of the case that chooses the target."""
    targets: Mapping[str, int] = field(default_factory=dict)
    thresholds: tuple[Threshold, ...] = ()
    """For a clock with `by`, seconds after the chosen target."""
    board: bool = True
    why: str = ""


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


@dataclass(frozen=True, slots=True)
class Route:
    id: str
    when: Condition
    team: str
    """Team id; `{lpa}` is replaced by the case's area."""
    say: str


@dataclass(frozen=True)
class Workflow:
    """One version of a workflow, complete."""

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
    instruments: tuple[str, ...]
    consent_wording: str
    wording: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(part, key) -> the file that it comes from, where that is not the workflow's own file of that part."""

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

    def open_to(self, state: str) -> tuple[Move, ...]:
        """The moves that the table has from this state, whoever may make them."""
        return tuple(self.moves[trigger] for trigger in self.table.get_triggers(state))

    def mermaid(self) -> str:
        """The diagram of the table, for the documentation and the screen."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial}"]
        for move in self.moves.values():
            for source in move.sources:
                lines += [f"    {source} --> {branch.state}: {move.name}" for branch in move.to if branch.state]
        lines += [f"    {state.id} --> [*]" for state in self.states.values() if state.ended]
        return "\n".join(lines) + "\n"


def matches(trigger: Trigger, fact: object) -> bool:
    """Whether this fact pulls that trigger."""
    return type(fact).__name__ == trigger.event and all(
        getattr(fact, name) in values for name, values in trigger.where.items()
    )


def any_match(triggers: Iterable[Trigger], fact: object) -> bool:
    return any(matches(trigger, fact) for trigger in triggers)
