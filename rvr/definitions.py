"""Reads `workflows/*.toml` into the core's values, and finds every fault at once.

A definition's version is the hash of everything that it consists of: the workflow's files, the force's places and the
risk instruments. Cases keep the version they began with.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any

from rvr.core import conditions, risk, soundness
from rvr.core import workflow as w
from rvr.core.errors import DefinitionFault

PARTS = ("workflow", "states", "guards", "moves", "clocks", "criteria", "forms", "routing")

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
        self.faults += soundness.faults_of(flow, files_are_sound=not self.faults)
        return flow

    def _states(self) -> dict[str, w.State]:
        optional = "open keeps_officer session ended say next then_owner then_say"
        return {
            key: w.State(id=key, **{**table, "next": tuple(table.get("next", ()))})
            for key, table in self.tables("states", "name owner", optional)
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
