"""The faults of a workflow that only show when its parts are held against each other.

An unknown name, a state that nothing reaches or leaves, a clock that nothing stops, a personal answer that would be
stored in clear: each is told with its file and key, all at once. Pure, like everything that it checks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from rvr.core import calendar, criteria, forms
from rvr.core import events as e
from rvr.core import workflow as w
from rvr.core.commands import BOT, ROLES, STAFF
from rvr.core.escalation import COUNTS
from rvr.core.makers import FILLED, FORM_OF, MAKERS
from rvr.core.vocabulary import KNOWN_FACTS

GROUPS = ("details", "contact", "address")
PROPOSALS = ("specialist", "marac")
WAYS_OUT = ("emergency", "deployment", "call_back")


def faults_of(flow: w.Workflow, *, files_are_sound: bool = True) -> list[str]:
    """Every fault, with its file and key. What can be reached is asked only of a workflow that has no other fault."""
    check = _Check(flow)
    check.run(files_are_sound)
    return check.faults


def _given(sets: Mapping[str, Any], name: str) -> list[Any]:
    return [sets[name]] if name in sets else []


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
        self._hours()
        self._conditions()
        self._criteria()
        self._fields()
        self._tables()
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
            if ("states", state.id) not in flow.origins:  # a shared state may look forward to another workflow's move
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
        self._known("moves", move.id, "guard", (*move.needs, *move.checks), flow.guards)
        self._known("moves", move.id, "event", [move.event, *(also.event for also in move.also)], e.FACTS)
        for also in move.also:
            self._sets(move, also)
        for sets in (move.sets, *(also.sets for also in move.also)):
            self._known("moves", move.id, "response grade", _given(sets, "response_grade"), flow.force.response_grades)
            self._known("moves", move.id, "role", _given(sets, "to_role"), STAFF)
        if not move.sources:
            self.fault("moves", move.id, "`from` names no state")
        if any(branch.when is None for branch in move.to[:-1]):
            self.fault("moves", move.id, "a branch without `when` hides those after it")
        for name in FORM_OF.get(move.event, ()):
            if name not in move.asks:
                self.fault("moves", move.id, f"{move.event} needs the field `{name}` among its `asks`")
        if move.event in e.FACTS and (move.event not in MAKERS or move.event in FILLED):
            self._fills(move)

    def _sets(self, move: w.Move, also: w.Also) -> None:
        """Whether a further fact is given all its fields."""
        if also.event in e.FACTS:
            names = {f.name: f.default is dataclasses.MISSING for f in dataclasses.fields(e.FACTS[also.event])}
            self._known("moves", f"{move.id}.also", f"field of {also.event}", also.sets, names)
            for name in sorted({name for name, needed in names.items() if needed} - set(also.sets)):
                self.fault("moves", f"{move.id}.also", f"{also.event} needs `{name}`")

    def _fills(self, move: w.Move) -> None:
        """Whether the form and the fixed values give the event all its fields, and no others."""
        kind = e.FACTS[move.event]
        names = {f.name: f.default is dataclasses.MISSING for f in dataclasses.fields(kind)}
        fields = {name: self.flow.fields[name] for name in move.fields if name in self.flow.fields}
        given = {field.fact_field for field in fields.values() if field.fact_field} | set(move.sets)
        for name in sorted(given - set(names)):
            self.fault("moves", move.id, f"{move.event} has no field `{name}`")
        sure = {fields[name].fact_field for name in move.asks if name in fields} | set(move.sets)
        for name in sorted({name for name, needed in names.items() if needed} - sure):
            self.fault("moves", move.id, f"{move.event} needs `{name}`")
        for name, field in fields.items():
            if field.personal and field.fact_field not in kind.sealed_fields() and field.fact_field in names:
                self.fault("moves", move.id, f"personal field `{name}` would be stored in clear")

    def _clock(self, clock: w.ClockDef) -> None:
        flow = self.flow
        self._known("clocks", clock.id, "state", (*clock.runs_in, *clock.paused_in), flow.states)
        for trigger in (*clock.starts, *clock.stops, *clock.cancels, *clock.pauses, *clock.resumes):
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
        self._counting(clock)
        self._thresholds(clock)

    def _counting(self, clock: w.ClockDef) -> None:
        """What it counts, and when it stands still: by states or by facts, so that it is plain what ends a pause."""
        if clock.counts not in calendar.COUNTS:
            self.fault("clocks", clock.id, f"`counts` is none of {', '.join(calendar.COUNTS)}")
        if bool(clock.paused_in or clock.pauses) != bool(clock.why_paused):
            self.fault("clocks", clock.id, "a pause and `why_paused` need each other")
        if bool(clock.pauses) != bool(clock.resumes):
            self.fault("clocks", clock.id, "`pauses` and `resumes` need each other")
        if clock.paused_in and clock.pauses:
            self.fault("clocks", clock.id, "stands still by `paused_in` or by `pauses`, not by both")
        if clock.until_fact and (clock.counts != "always" or clock.paused_in or clock.pauses):
            self.fault("clocks", clock.id, "a time that was agreed on is not moved by `counts` or by a pause")
        for state in sorted(set(clock.runs_in) & set(clock.paused_in)):
            self.fault("clocks", clock.id, f"cannot both run and stand still in `{state}`")

    def _hours(self) -> None:
        """What clocks count by: a misspelt zone would stop decisions, and a holiday that is no date would be none."""
        hours, place = self.flow.force.hours, f"forces/{self.flow.force.id}.toml: hours"
        if any(type(day) is not date for day in hours.holidays):
            self.faults.append(f"{place}: `holidays` must be dates, such as 2026-12-25 without quotes")
        try:
            ZoneInfo(hours.zone)
        except (KeyError, ValueError, OSError):
            self.faults.append(f"{place}: unknown zone `{hours.zone}`")

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
        named += [("moves", m.id, a.when) for m in self.flow.moves.values() for a in m.also if a.when]
        named += [("rules", r.id, r.when) for r in self.flow.rules.values() if r.when]
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

    def _tables(self) -> None:
        """The catalogues: who does an action, what a rule counts, what comes after what for a suspect, who acts."""
        flow = self.flow
        for entry in flow.safeguarding.values():
            self._known("safeguarding", entry.id, "role", [entry.owner], STAFF)
        for rule in flow.rules.values():
            self._known("rules", rule.id, "proposal", [rule.proposes], PROPOSALS)
            self._known("rules", rule.id, "count", [rule.counts] if rule.counts else [], COUNTS)
            if rule.counts and not (rule.within_days and rule.at_least):
                self.fault("rules", rule.id, "a rule that counts needs `within_days` and `at_least`")
            if not rule.counts and rule.when is None:
                self.fault("rules", rule.id, "needs `counts` or `when`")
        for suspect in flow.suspect_states.values():
            self._known("suspects", suspect.id, "status", suspect.to, flow.suspect_states)
        for code in flow.outcomes.values():
            self._known("forms", f"outcome {code.code}", "field", code.needs, flow.fields)
        acting = {role for move in flow.moves.values() if move.sources for role in move.who} | set(flow.opens_who)
        for state in flow.states.values():
            for role in {state.owner, state.then_owner} - {""} - acting:
                self.fault("states", state.id, f"the owner `{role}` can never act: no move is theirs")

    def _fields(self) -> None:
        for field in self.flow.fields.values():
            if field.kind not in forms.KINDS:
                self.fault("forms", field.id, f"unknown kind `{field.kind}` (known: {', '.join(forms.KINDS)})")
            if field.group not in GROUPS:
                self.fault("forms", field.id, f"unknown group `{field.group}` (known: {', '.join(GROUPS)})")
            if field.fills == w.STATED and (field.personal or field.kind not in ("date", "datetime")):
                self.fault("forms", field.id, f"what fills `{w.STATED}` is a date or a time, and not personal")
            if field.kind == "choice" and not field.options:
                self.fault("forms", field.id, "a choice without options")
        asked = {name for move in self.flow.moves.values() for name in move.fields}
        for name in sorted(set(self.flow.fields) - asked - {*self.flow.opens_asks, *self.flow.opens_may_ask}):
            self.fault("forms", name, "no move asks for it")
        needed = {name for move in self.flow.moves.values() for name in (*move.needs, *move.checks)}
        for guard in sorted(set(self.flow.guards) - needed):
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

    def _starts_a_clock(self, move: w.Move, into: w.State) -> bool:
        written = {move.event, *(also.event for also in move.also)}
        clocks = [clock for clock in self.flow.clocks.values() if into.id not in clock.paused_in]
        return any(trigger.event in written for clock in clocks for trigger in clock.starts)

    def _watched(self) -> None:
        """Every open state has an owner who has to act and a running clock, which no fact can make stand still."""
        for state in self.flow.states.values():
            entering = [move for move in self.flow.moves.values() if any(b.state == state.id for b in move.to)]
            by_event = bool(entering) and all(self._starts_a_clock(move, state) for move in entering)
            by_state = any(state.id in c.runs_in and not c.pauses for c in self.flow.clocks.values())
            if state.open and not by_event and not by_state:
                self.fault("states", state.id, "an open state without a running clock")
            if state.open and not state.owner:
                self.fault("states", state.id, "an open state without an owner")
