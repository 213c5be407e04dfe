"""Reads `workflows/*.toml` into the core's values, and finds every fault at once.

A definition's version is the hash of everything that it consists of: the workflow's files, the force's places and the
risk instruments. Cases keep the version they began with.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any

from rvr.core import conditions, criteria, forms, risk
from rvr.core import events as e
from rvr.core import workflow as w
from rvr.core.commands import BOT, MEDIA, VICTIM
from rvr.core.decide import FILLED, FORM_OF, KNOWN_FACTS, MAKERS
from rvr.core.errors import DefinitionFault

ROLES = (
    frozenset(["call_handler", "sergeant", "officer", "resourcing", "investigator", "control_room_specialist"])
    | frozenset(["advocate", "interpreter", "evaluator", "auditor", "administrator"])
    | frozenset([BOT, MEDIA, VICTIM])
)
"""Every role that may be named in a definition or held by an account."""

PARTS = ("workflow", "states", "guards", "moves", "clocks", "criteria", "forms", "routing")
GROUPS = ("details", "contact", "address")
WAYS_OUT = ("emergency", "deployment", "call_back")

SHAPES: Mapping[str, type] = {
    **dict.fromkeys(("from", "who", "asks", "may_ask", "needs", "starts", "stops"), list),
    **dict.fromkeys(("cancels", "runs_in", "thresholds", "options", "instruments", "question", "bands"), list),
    **dict.fromkeys(("next", "groups", "fields"), list),
    **dict.fromkeys(("sets", "targets", "where", "areas", "teams"), dict),
    **dict.fromkeys(("target_s", "after_s", "max", "at_least", "link_minutes"), int),
    **dict.fromkeys(("open", "keeps_officer", "session", "ended", "personal", "hard", "board", "critical"), bool),
    **dict.fromkeys(("corrects", "later"), bool),
    **dict.fromkeys(("id", "name", "label", "say", "ask", "event", "owner", "team", "level", "met"), str),
}
"""What a key holds, wherever it stands."""


@dataclass(frozen=True)
class Definitions:
    """Everything that the desk runs on: the workflows by id, and the instruments by id."""

    workflows: Mapping[str, w.Workflow]
    instruments: Mapping[str, risk.Instrument]

    def by_hash(self, digest: str) -> w.Workflow | None:
        return next((flow for flow in self.workflows.values() if flow.hash == digest), None)


def load(root: Path, force: str) -> Definitions:
    """Every workflow under this folder, for this force.

    Raises DefinitionFault with all faults of all files, each with its file and key.
    """
    faults: list[str] = []
    paths = sorted(root.rglob("*.toml"))
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    flows: dict[str, w.Workflow] = {}
    instruments: dict[str, risk.Instrument] = {}
    force_file = f"forces/{force}.toml"
    if force_file not in texts:
        raise DefinitionFault([f"{force_file}: there is no such force"])
    for name in sorted({file.split("/")[0] for file in texts if file.endswith("/workflow.toml")}):
        files = {file: text for file, text in texts.items() if file.startswith(f"{name}/")}
        files[force_file] = texts[force_file]
        files |= {file: text for file, text in texts.items() if file.startswith("risk/")}
        reader = Reader(name, force_file, files)
        flow = reader.workflow()
        faults += reader.faults
        if flow is not None:
            flows[flow.id] = flow
            instruments |= reader.instruments
    if faults:
        raise DefinitionFault(faults)
    return Definitions(flows, instruments)


def load_stored(workflow_id: str, files: Mapping[str, str]) -> tuple[w.Workflow, dict[str, risk.Instrument]]:
    """A workflow from its stored text: how a running case gets the definition that it began with."""
    force_file = next(file for file in files if file.startswith("forces/"))
    reader = Reader(workflow_id, force_file, files)
    flow = reader.workflow()
    if flow is None or reader.faults:
        raise DefinitionFault(reader.faults)
    return flow, reader.instruments


def digest(files: Mapping[str, str]) -> str:
    """The content hash of a definition: SHA-256 over the canonical JSON of its file names and texts."""
    canonical = json.dumps(dict(files), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


_SHAPE_NAMES = {list: "a list", dict: "a table", int: "a whole number", bool: "true or false", str: "text"}


class Reader:
    """Reads one workflow and collects its faults; what is faulty is left out, so that the rest is still checked."""

    def __init__(self, name: str, force_file: str, files: Mapping[str, str]) -> None:
        self.name, self.force_file, self.files = name, force_file, files
        self.faults: list[str] = []
        self.instruments: dict[str, risk.Instrument] = {}

    def fault(self, file: str, place: str, what: str) -> None:
        self.faults.append(f"{file}: {place}: {what}" if place else f"{file}: {what}")

    def part(self, part: str) -> dict[str, Any]:
        return self._toml(f"{self.name}/{part}.toml")

    def _toml(self, file: str) -> dict[str, Any]:
        if file not in self.files:
            self.fault(file, "", "is missing")
            return {}
        try:
            return tomllib.loads(self.files[file])
        except tomllib.TOMLDecodeError as bad:
            self.fault(file, "", f"is not TOML: {bad}")
            return {}

    def keys(self, file: str, place: str, table: Any, needed: str, allowed: str = "") -> dict[str, Any] | None:
        """The table if its keys are right; tells each that is missing or unknown."""
        if not isinstance(table, dict):
            self.fault(file, place, "must be a table")
            return None
        known = (*needed.split(), *allowed.split())
        for key in table:
            if key not in known:
                self.fault(file, place, f"unknown key `{key}` (known: {', '.join(known)})")
        bad = [f"`{key}` is missing" for key in needed.split() if key not in table]
        for key, value in table.items():
            if key in SHAPES and type(value) is not SHAPES[key]:
                bad.append(f"`{key}` must be {_SHAPE_NAMES[SHAPES[key]]}")
        for what in bad:
            self.fault(file, place, what)
        return None if bad or any(key not in known for key in table) else table

    def tables(self, part: str, needed: str, allowed: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        file = f"{self.name}/{part}.toml"
        for key, table in self.part(part).items():
            checked = self.keys(file, key, table, needed, allowed)
            if checked is not None:
                yield key, checked

    def condition(self, file: str, place: str, data: Any) -> conditions.Condition | None:
        try:
            return conditions.parse(data)
        except (ValueError, TypeError, AttributeError) as bad:
            self.fault(file, place, str(bad))
            return None

    # --- Parts ---------------------------------------------------------------------------------------------------

    def workflow(self) -> w.Workflow | None:
        for file in sorted(self.files):
            part = file.removeprefix(f"{self.name}/").removesuffix(".toml")
            if file.startswith(f"{self.name}/") and part not in PARTS:
                self.fault(file, "", f"is no part of a workflow (known: {', '.join(PARTS)})")
        top = self.keys(
            f"{self.name}/workflow.toml",
            "",
            self.part("workflow"),
            "id name initial opens",
            "instruments consent_wording wording",
        )
        force = self.keys(self.force_file, "", self._toml(self.force_file), "id name hours areas teams", "link_minutes")
        if top is None or force is None:
            return None
        states = self._states()
        fields = self._fields()
        guards = self._guards()
        opens = self.keys(f"{self.name}/workflow.toml", "opens", top["opens"], "who asks", "may_ask groups") or {}
        self._read_instruments(top.get("instruments", []))
        flow = w.Workflow(
            id=top["id"],
            name=top["name"],
            hash=digest(self.files),
            files=self.files,
            initial=top["initial"],
            opens_asks=tuple(opens.get("asks", ())),
            opens_may_ask=tuple(opens.get("may_ask", ())),
            opens_who=tuple(opens.get("who", ())),
            opens_groups=tuple(self._groups(opens.get("groups", ()))),
            states=states,
            moves=self._moves(states),
            guards=guards,
            fields=fields,
            clocks=self._clocks(),
            criteria=self._criteria(),
            routes=self._routes(),
            teams=force["teams"],
            areas=force["areas"],
            hours=self._hours(force["hours"]),
            instruments=tuple(self.instruments),
            consent_wording=str(top.get("consent_wording", "")),
            wording=top.get("wording", {}),
            link_minutes=int(force.get("link_minutes", 15)),
        )
        Check(self, flow).run()
        return flow

    def _states(self) -> dict[str, w.State]:
        return {
            key: w.State(id=key, **{**table, "next": tuple(table.get("next", ()))})
            for key, table in self.tables("states", "name owner", "open keeps_officer session ended say next")
        }

    def _groups(self, tables: Any) -> Iterator[w.Group]:
        for table in tables:
            if self.keys(f"{self.name}/workflow.toml", "opens.groups", table, "name fields", "later") is not None:
                yield w.Group(table["name"], tuple(table["fields"]), table.get("later", False))

    def _fields(self) -> dict[str, w.Field]:
        fields = {}
        for key, table in self.tables("forms", "label kind", "hint options personal group max fills"):
            options = tuple(w.Option(str(value), str(label)) for value, label in table.pop("options", ()))
            fields[key] = w.Field(id=key, options=options, **table)
        return fields

    def _guards(self) -> dict[str, w.Guard]:
        guards = {}
        for key, table in self.tables("guards", "say when"):
            when = self.condition(f"{self.name}/guards.toml", key, table["when"])
            if when is not None:
                guards[key] = w.Guard(key, when, table["say"])
        return guards

    def _moves(self, states: Mapping[str, w.State]) -> dict[str, w.Move]:
        moves = {}
        for key, table in self.tables(
            "moves", "name from who event", "to asks may_ask needs sets tone hint why corrects"
        ):
            moves[key] = w.Move(
                id=key,
                name=table["name"],
                sources=tuple(self._sources(table["from"], states)),
                to=tuple(self._branches(key, table.get("to", ""))),
                who=tuple(table["who"]),
                event=table["event"],
                asks=tuple(table.get("asks", ())),
                may_ask=tuple(table.get("may_ask", ())),
                needs=tuple(table.get("needs", ())),
                sets=table.get("sets", {}),
                tone=table.get("tone", ""),
                hint=table.get("hint", ""),
                why=table.get("why", ""),
                corrects=table.get("corrects", False),
            )
        return moves

    def _sources(self, names: list[str], states: Mapping[str, w.State]) -> Iterator[str]:
        for name in names:
            if name == "@open":
                yield from (state.id for state in states.values() if state.open)
            elif name == "@session":
                yield from (state.id for state in states.values() if state.session)
            else:
                yield name

    def _branches(self, move: str, to: Any) -> Iterator[w.Branch]:
        for branch in to if isinstance(to, list) else [{"state": to}]:
            file = f"{self.name}/moves.toml"
            table = self.keys(file, f"{move}.to", branch, "state", "when")
            if table is not None:
                when = self.condition(file, f"{move}.to", table["when"]) if "when" in table else None
                yield w.Branch(table["state"], when)

    def _clocks(self) -> dict[str, w.ClockDef]:
        clocks = {}
        optional = "why starts stops cancels runs_in by targets thresholds board"
        for key, table in self.tables("clocks", "name target_s", optional):
            clocks[key] = w.ClockDef(
                id=key,
                name=table["name"],
                why=table.get("why", ""),
                target_s=table["target_s"],
                starts=tuple(self._triggers(key, table.get("starts", ()))),
                stops=tuple(self._triggers(key, table.get("stops", ()))),
                cancels=tuple(self._triggers(key, table.get("cancels", ()))),
                runs_in=tuple(table.get("runs_in", ())),
                by=table.get("by", ""),
                targets=table.get("targets", {}),
                thresholds=tuple(self._thresholds(key, table.get("thresholds", ()))),
                board=table.get("board", True),
            )
        return clocks

    def _triggers(self, clock: str, tables: Any) -> Iterator[w.Trigger]:
        for table in tables:
            if self.keys(f"{self.name}/clocks.toml", clock, table, "event", "where") is not None:
                where = {name: tuple(values) for name, values in table.get("where", {}).items()}
                yield w.Trigger(table["event"], where)

    def _thresholds(self, clock: str, tables: Any) -> Iterator[w.Threshold]:
        for table in tables:
            if self.keys(f"{self.name}/clocks.toml", clock, table, "after_s say", "do") is not None:
                yield w.Threshold(**table)

    def _criteria(self) -> dict[str, w.Criterion]:
        return {
            key: w.Criterion(id=key, **table)
            for key, table in self.tables("criteria", "ask say why source met", "hard way_out")
        }

    def _routes(self) -> tuple[w.Route, ...]:
        routes = []
        for number, table in enumerate(self.part("routing").get("route", []), 1):
            file, place = f"{self.name}/routing.toml", f"route {number}"
            if self.keys(file, place, table, "id when team say") is None:
                continue
            when = self.condition(file, place, table["when"])
            if when is not None:
                routes.append(w.Route(table["id"], when, table["team"], table["say"]))
        return tuple(routes)

    def _hours(self, table: Any) -> w.Hours:
        checked = self.keys(self.force_file, "hours", table, "opens closes zone") or {}
        try:
            opens, closes = (time.fromisoformat(checked.get(key, "00:00")) for key in ("opens", "closes"))
        except ValueError as bad:
            self.fault(self.force_file, "hours", str(bad))
            opens = closes = time(0)
        return w.Hours(opens, closes, checked.get("zone", "UTC"))

    def _read_instruments(self, names: list[str]) -> None:
        for name in names:
            file = f"risk/{name}.toml"
            optional = "about source critical_suggests"
            table = self.keys(file, "", self._toml(file), "id name bands question", optional)
            if table is None:
                continue
            questions = [q for q in table["question"] if self.keys(file, "question", q, "id topic", "critical")]
            bands = [b for b in table["bands"] if self.keys(file, "bands", b, "level at_least")]
            self.instruments[name] = risk.Instrument(
                id=table["id"],
                name=table["name"],
                hash=digest({file: self.files[file]}),
                about=table.get("about", ""),
                source=table.get("source", ""),
                questions=tuple(risk.Question(**q) for q in questions),
                bands=tuple(risk.Band(**b) for b in bands),
                critical_suggests=table.get("critical_suggests", "medium"),
            )
            for level in (*(b["level"] for b in bands), self.instruments[name].critical_suggests):
                if level not in risk.LEVELS:
                    self.fault(file, "", f"unknown level `{level}` (known: {', '.join(risk.LEVELS)})")


class Check:
    """The faults that only show when the parts are held against each other."""

    def __init__(self, reader: Reader, flow: w.Workflow) -> None:
        self.reader, self.flow = reader, flow

    def fault(self, part: str, place: str, what: str) -> None:
        self.reader.fault(f"{self.flow.id}/{part}.toml", place, what)

    def run(self) -> None:
        self._opening()
        for move in self.flow.moves.values():
            self._move(move)
        for clock in self.flow.clocks.values():
            self._clock(clock)
        self._conditions()
        self._criteria()
        self._fields()
        if not self.reader.faults:
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
            if state.owner:
                self._known("states", state.id, "role", [state.owner], ROLES)
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
            for area in self.flow.areas if "{lpa}" in route.team else [""]:
                self._known("routing", route.id, "team", [route.team.replace("{lpa}", area)], self.flow.teams)

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
        """Every open state has an owner who has to act and a running clock (DESIGN 11.3)."""
        started = {"DeploymentRequested": "deployment"}
        for state in self.flow.states.values():
            by_event = any(
                started.get(t.event) == state.id for clock in self.flow.clocks.values() for t in clock.starts
            )
            if state.open and not by_event and not any(state.id in c.runs_in for c in self.flow.clocks.values()):
                self.fault("states", state.id, "an open state without a running clock")
            if state.open and not state.owner:
                self.fault("states", state.id, "an open state without an owner")
