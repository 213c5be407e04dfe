"""The faults of a workflow that only show when its parts are held against each other.

An unknown name, a state that nothing reaches or leaves, a clock that nothing stops, a personal answer that would be
stored in clear: each is told with its file and key, all at once. Pure, like everything that it checks.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rvr.core import criteria, forms
from rvr.core import events as e
from rvr.core import workflow as w
from rvr.core.commands import BOT, ROLES
from rvr.core.makers import FILLED, FORM_OF, MAKERS
from rvr.core.vocabulary import KNOWN_FACTS

GROUPS = ("details", "contact", "address")
WAYS_OUT = ("emergency", "deployment", "call_back")


def faults_of(flow: w.Workflow, *, files_are_sound: bool = True) -> list[str]:
    """Every fault, with its file and key. What can be reached is asked only of a workflow that has no other fault."""
    check = _Check(flow)
    check.run(files_are_sound)
    return check.faults


class _Check:
    def __init__(self, flow: w.Workflow) -> None:
        self.flow = flow
        self.faults: list[str] = []

    def fault(self, part: str, place: str, what: str) -> None:
        file = self.flow.origin(part, place)
        self.faults.append(f"{file}: {place}: {what}" if place else f"{file}: {what}")

    def run(self, files_are_sound: bool) -> None:
        self._opening()
        for move in self.flow.moves.values():
            self._move(move)
        for clock in self.flow.clocks.values():
            self._clock(clock)
        self._conditions()
        self._criteria()
        self._fields()
        if files_are_sound and not self.faults:
            self._reach()
            self._watched()

    def _opening(self) -> None:
        flow = self.flow
        if flow.initial not in flow.states:
            self.fault("workflow", "initial", f"unknown state `{flow.initial}`")
        self._known("workflow", "opens", "field", (*flow.opens_asks, *flow.opens_may_ask), flow.fields)
        self._known("workflow", "opens", "role", flow.opens_who, ROLES)
        grouped = [name for group in flow.opens_groups for name in group.fields]
        self._known("workflow", "opens.groups", "field", grouped, (*flow.opens_asks, *flow.opens_may_ask))
        for state in flow.states.values():
            self._known("states", state.id, "role", [o for o in (state.owner, state.then_owner) if o], ROLES)
            self._known("states", state.id, "move", state.next, flow.moves)

    def _known(self, part: str, place: str, what: str, names: Any, known: Any) -> None:
        for name in names:
            if name not in known:
                self.fault(part, place, f"unknown {what} `{name}`")

    def _move(self, move: w.Move) -> None:
        flow = self.flow
        self._known("moves", move.id, "state", move.sources, flow.states)
        self._known("moves", move.id, "state", [b.state for b in move.to if b.state], flow.states)
        self._known("moves", move.id, "role", move.who, ROLES)
        self._known("moves", move.id, "field", move.fields, flow.fields)
        self._known("moves", move.id, "guard", move.needs, flow.guards)
        self._known("moves", move.id, "event", [move.event], e.FACTS)
        if not move.sources:
            self.fault("moves", move.id, "`from` names no state")
        if any(branch.when is None for branch in move.to[:-1]):
            self.fault("moves", move.id, "a branch without `when` hides those after it")
        for name in FORM_OF.get(move.event, ()):
            if name not in move.asks:
                self.fault("moves", move.id, f"{move.event} needs the field `{name}` among its `asks`")
        if move.event in e.FACTS and (move.event not in MAKERS or move.event in FILLED):
            self._fills(move)

    def _fills(self, move: w.Move) -> None:
        """Whether the form and the fixed values give the event all its fields, and no others."""
        kind = e.FACTS[move.event]
        names = {f.name: f.default is dataclasses.MISSING for f in dataclasses.fields(kind)}
        fields = {name: self.flow.fields[name] for name in move.fields if name in self.flow.fields}
        given = {field.fills or name for name, field in fields.items()} | set(move.sets)
        for name in sorted(given - set(names)):
            self.fault("moves", move.id, f"{move.event} has no field `{name}`")
        sure = {fields[name].fills or name for name in move.asks if name in fields} | set(move.sets)
        for name in sorted({name for name, needed in names.items() if needed} - sure):
            self.fault("moves", move.id, f"{move.event} needs `{name}`")
        for name, field in fields.items():
            if field.personal and (field.fills or name) not in kind.sealed_fields() and (field.fills or name) in names:
                self.fault("moves", move.id, f"personal field `{name}` would be stored in clear")

    def _clock(self, clock: w.ClockDef) -> None:
        flow = self.flow
        self._known("clocks", clock.id, "state", clock.runs_in, flow.states)
        for trigger in (*clock.starts, *clock.stops, *clock.cancels):
            self._known("clocks", clock.id, "event", [trigger.event], e.FACTS)
            if trigger.event in e.FACTS:
                fields = {field.name for field in dataclasses.fields(e.FACTS[trigger.event])}
                self._known("clocks", clock.id, f"field of {trigger.event}", trigger.where, fields)
        if clock.by and not self._is_fact(clock.by):
            self.fault("clocks", clock.id, f"unknown fact `{clock.by}`")
        if not clock.runs_in and not clock.starts:
            self.fault("clocks", clock.id, "nothing starts it")
        if not clock.runs_in and not clock.stops:
            self.fault("clocks", clock.id, "nothing stops it")
        if not clock.thresholds:
            self.fault("clocks", clock.id, "nothing happens when it runs out: give it a threshold")
        self._thresholds(clock)

    def _thresholds(self, clock: w.ClockDef) -> None:
        for threshold in clock.thresholds:
            move = self.flow.moves.get(threshold.do)
            if threshold.do and move is None:
                self.fault("clocks", clock.id, f"unknown move `{threshold.do}`")
            elif move is not None and (BOT not in move.who or move.asks):
                self.fault("clocks", clock.id, f"`{threshold.do}` is not a move that the bot can make by itself")
            elif move is not None and clock.runs_in and not set(clock.runs_in) & set(move.sources):
                self.fault("clocks", clock.id, f"`{threshold.do}` is not open in any state in which the clock runs")

    def _conditions(self) -> None:
        named = [("guards", g.id, g.when) for g in self.flow.guards.values()]
        named += [("routing", r.id, r.when) for r in self.flow.routes]
        named += [("moves", m.id, b.when) for m in self.flow.moves.values() for b in m.to if b.when]
        for part, place, condition in named:
            for fact in condition.facts():
                if not self._is_fact(fact):
                    self.fault(part, place, f"unknown fact `{fact}`")
        for route in self.flow.routes:
            for area in self.flow.force.areas if "{lpa}" in route.team else [""]:
                self._known("routing", route.id, "team", [route.team.replace("{lpa}", area)], self.flow.force.teams)

    def _is_fact(self, name: str) -> bool:
        prefix, _, field = name.partition(".")
        return name in KNOWN_FACTS or (prefix in ("details", "form") and field in self.flow.fields)

    def _criteria(self) -> None:
        for criterion in self.flow.criteria.values():
            if criterion.met not in criteria.ANSWERS:
                self.fault("criteria", criterion.id, f"`met` is none of {', '.join(criteria.ANSWERS)}")
            if criterion.hard and criterion.way_out not in WAYS_OUT:
                self.fault("criteria", criterion.id, f"`way_out` is none of {', '.join(WAYS_OUT)}")
        asked = any("answers" in move.asks for move in self.flow.moves.values())
        if self.flow.criteria and not asked:
            self.fault("criteria", "", "no move asks the criteria")

    def _fields(self) -> None:
        for field in self.flow.fields.values():
            if field.kind not in forms.KINDS:
                self.fault("forms", field.id, f"unknown kind `{field.kind}` (known: {', '.join(forms.KINDS)})")
            if field.group not in GROUPS:
                self.fault("forms", field.id, f"unknown group `{field.group}` (known: {', '.join(GROUPS)})")
            if field.kind == "choice" and not field.options:
                self.fault("forms", field.id, "a choice without options")
        asked = {name for move in self.flow.moves.values() for name in move.fields}
        for name in sorted(set(self.flow.fields) - asked - {*self.flow.opens_asks, *self.flow.opens_may_ask}):
            self.fault("forms", name, "no move asks for it")
        for guard in sorted(set(self.flow.guards) - {name for move in self.flow.moves.values() for name in move.needs}):
            self.fault("guards", guard, "no move needs it")

    def _reach(self) -> None:
        """No state that cannot be reached, and none but the ended ones that cannot be left."""
        flow = self.flow
        reached, todo = {flow.initial}, [flow.initial]
        while todo:
            state = todo.pop()
            for move in flow.open_to(state):
                for branch in move.to:
                    if branch.state and branch.state not in reached:
                        reached.add(branch.state)
                        todo.append(branch.state)
        for state_id in sorted(set(flow.states) - reached):
            self.fault("states", state_id, "cannot be reached")
        for kept in flow.states.values():
            leaves = any(b.state and b.state != kept.id for m in flow.open_to(kept.id) for b in m.to)
            if not kept.ended and not leaves:
                self.fault("states", kept.id, "dead end: no move leaves it")

    def _watched(self) -> None:
        """Every open state has an owner who has to act and a running clock."""
        started = {"DeploymentRequested": "deployment"}
        for state in self.flow.states.values():
            by_event = any(
                started.get(t.event) == state.id for clock in self.flow.clocks.values() for t in clock.starts
            )
            if state.open and not by_event and not any(state.id in c.runs_in for c in self.flow.clocks.values()):
                self.fault("states", state.id, "an open state without a running clock")
            if state.open and not state.owner:
                self.fault("states", state.id, "an open state without an owner")
