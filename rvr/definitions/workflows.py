"""Reads one workflow: its own files, the parts that it shares with others, and what the force changes in either."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rvr.core import soundness, trial_soundness
from rvr.core import workflow as w
from rvr.definitions.forces import read_force
from rvr.definitions.instruments import read_instruments
from rvr.definitions.outcomes import read_outcome_sets, read_outcomes
from rvr.definitions.reading import Reading, digest
from rvr.definitions.trials import read_trial

PARTS = (
    *("workflow", "states", "guards", "moves", "clocks", "criteria", "forms", "routing"),
    *("rules", "safeguarding", "suspects", "trial"),
)
"""The files of a workflow. A shared part has any of them but the first."""

SWITCHED = ("recording", "trial")
"""Parts that are used only where the key of that name is true: nothing is recorded, and nobody randomised, by
oversight."""

TRIAL = "@trial"
"""The states in which the trial's design has the arm drawn."""

SELECTORS: Mapping[str, Callable[[w.State], bool]] = {
    "@open": lambda state: state.open,
    "@session": lambda state: state.session,
    "@kept": lambda state: state.keeps_officer,
    "@not_ended": lambda state: not state.ended,
}
"""States that a move may start from, by what they have in common."""


class WorkflowReader(Reading):
    """One workflow, read once."""

    def __init__(self, name: str, files: Mapping[str, str]) -> None:
        super().__init__(files)
        self.name = name
        self.origins: dict[tuple[str, str], str] = {}
        """(part, key) -> the file that it comes from, where that is not the workflow's own."""

    def workflow(self) -> w.Workflow | None:
        """The workflow; None when there is too little of it to be checked. The faults are in `faults`."""
        top = self.keys(
            f"{self.name}/workflow.toml",
            "",
            {**self.toml(f"{self.name}/workflow.toml"), **self._changes("workflow")},
            "id name initial opens",
            "parts instruments consent_wording wording recording trial",
        )
        force = read_force(self)
        if top is None or force is None:
            return None
        self.shared = tuple(self._parts(top))
        design = read_trial(self, f"{self.name}/trial.toml", self._changes("trial"))
        self.trial = design if "trial" in self.shared else None
        self._drop_unused_parts()
        self._unknown_files()
        states = self._states()
        opens = self.keys(f"{self.name}/workflow.toml", "opens", top["opens"], "who asks", "may_ask groups") or {}
        instruments = read_instruments(self, top.get("instruments", []))
        flow = w.Workflow(
            id=top["id"],
            name=top["name"],
            hash=digest(self.files),
            files=self.files,
            origins=self.origins,
            initial=top["initial"],
            opens_asks=tuple(opens.get("asks", ())),
            opens_may_ask=tuple(opens.get("may_ask", ())),
            opens_who=tuple(opens.get("who", ())),
            opens_groups=tuple(self._groups(opens.get("groups", ()))),
            states=states,
            moves=self._moves(states),
            guards=self._guards(),
            fields=self._fields(),
            clocks=self._clocks({grade.id: grade.target_s for grade in force.response_grades.values()}),
            criteria=self._criteria(),
            routes=self._routes(),
            force=force,
            instruments=instruments,
            consent_wording=str(top.get("consent_wording", "")),
            wording=top.get("wording", {}),
            safeguarding=self._safeguarding(),
            rules=self._rules(),
            suspect_states=self._suspect_states(),
            outcomes=read_outcomes(self),
            outcome_sets=read_outcome_sets(self),
            trial=self.trial,
        )
        self.faults += soundness.faults_of(flow, files_are_sound=not self.faults)
        if design is not None:
            self.faults += [f"{self.name}/trial.toml: {fault}" for fault in trial_soundness.faults_of(design, flow)]
        return flow

    def _parts(self, top: Mapping[str, Any]) -> Iterator[str]:
        """The parts that it consists of: of the switched ones only those that it says yes to in as many words."""
        parts = [str(part) for part in top.get("parts", ())]
        for part in SWITCHED:
            allowed = top.get(part, False)
            if type(allowed) is not bool:
                self.fault(f"{self.name}/workflow.toml", part, "must be true or false")
            if allowed is True and part not in parts:
                self.fault(f"{self.name}/workflow.toml", part, f"needs the part `{part}`")
        if top.get("trial") is True and f"{self.name}/trial.toml" not in self.files:
            self.fault(f"{self.name}/workflow.toml", "trial", f"needs a design: {self.name}/trial.toml")
        yield from (part for part in parts if part not in SWITCHED or top.get(part) is True)

    # --- Where a part's tables come from -------------------------------------------------------------------------

    def _drop_unused_parts(self) -> None:
        """A version is the hash of what it consists of: a part that is not used is no part of it."""
        used = tuple(f"parts/{part}/" for part in self.shared)
        self.files = {f: text for f, text in self.files.items() if not f.startswith("parts/") or f.startswith(used)}
        if self.trial is None:
            self.files.pop(f"{self.name}/trial.toml", None)
        for part, prefix in zip(self.shared, used, strict=True):
            if not any(file.startswith(prefix) for file in self.files):
                self.fault(f"{self.name}/workflow.toml", "parts", f"there is no folder `parts/{part}`")

    def _unknown_files(self) -> None:
        for file in sorted(self.files):
            folder, _, name = file.rpartition("/")
            known = PARTS if folder == self.name else PARTS[1:]
            if (folder == self.name or folder.startswith("parts/")) and name.removesuffix(".toml") not in known:
                self.fault(file, "", f"is no part of a workflow (known: {', '.join(known)})")

    def _changes(self, part: str) -> dict[str, Any]:
        """What the force's file changes in this part of this workflow."""
        changes = self.toml(self.force_file).get("changes", {}).get(self.name, {})
        for name in changes:
            if name not in PARTS:
                self.fault(self.force_file, f"changes.{self.name}", f"unknown part `{name}`")
        found: dict[str, Any] = changes.get(part, {})
        return found

    def _entries(self, part: str) -> Iterator[tuple[str, str, Any]]:
        """(file, key, table) of everything in this part: the workflow's own, then the shared, each as changed."""
        changes = dict(self._changes(part))
        seen: dict[str, str] = {}
        for file in (f"{self.name}/{part}.toml", *(f"parts/{shared}/{part}.toml" for shared in self.shared)):
            if file not in self.files and not self._must_be(part, file):
                continue
            for key, table in self.toml(file).items():
                if key in seen:
                    self.fault(file, key, f"stands in {seen[key]}, too")
                    continue
                seen[key] = file
                change = changes.pop(key, None)
                place = file if change is None else f"{file} (changed by {self.force_file})"
                if place != f"{self.name}/{part}.toml":
                    self.origins[part, key] = place
                if isinstance(table, dict) and isinstance(change, dict):
                    if change.get("remove"):
                        continue
                    table = {**table, **change}
                yield place, key, table if change is None or isinstance(table, dict) else change
        for key, table in changes.items():
            self.origins[part, key] = self.force_file
            yield self.force_file, key, table

    def _must_be(self, part: str, file: str) -> bool:
        """A workflow has its states and moves; all else it may leave to its parts."""
        return file.startswith(f"{self.name}/") and part in ("states", "moves")

    def tables(self, part: str, needed: str, allowed: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
        """(file, key, checked table) of everything in this part."""
        for file, key, table in self._entries(part):
            checked = self.keys(file, key, table, needed, allowed)
            if checked is not None:
                yield file, key, checked

    # --- The parts -----------------------------------------------------------------------------------------------

    def _states(self) -> dict[str, w.State]:
        optional = "open keeps_officer session ended say next then_owner then_say"
        return {
            key: w.State(id=key, **{**table, "next": tuple(table.get("next", ()))})
            for _, key, table in self.tables("states", "name owner", optional)
        }

    def _groups(self, tables: Any) -> Iterator[w.Group]:
        for table in tables:
            if self.keys(f"{self.name}/workflow.toml", "opens.groups", table, "name fields", "later") is not None:
                yield w.Group(table["name"], tuple(table["fields"]), table.get("later", False))

    def _fields(self) -> dict[str, w.Field]:
        fields = {}
        for _, key, table in self.tables("forms", "label kind", "hint options personal group max fills"):
            options = tuple(w.Option(str(value), str(label)) for value, label in table.get("options", ()))
            fields[key] = w.Field(id=key, **{**table, "options": options})
        return fields

    def _guards(self) -> dict[str, w.Guard]:
        guards = {}
        for file, key, table in self.tables("guards", "say when"):
            when = self.condition(file, key, table["when"])
            if when is not None:
                guards[key] = w.Guard(key, when, table["say"])
        return guards

    def _moves(self, states: Mapping[str, w.State]) -> dict[str, w.Move]:
        moves = {}
        optional = "to asks may_ask needs checks sets also tone hint why corrects"
        for file, key, table in self.tables("moves", "name from who event", optional):
            moves[key] = w.Move(
                id=key,
                name=table["name"],
                sources=tuple(dict.fromkeys(self._sources(table["from"], states))),
                to=tuple(self._branches(file, key, table.get("to", ""))),
                who=tuple(table["who"]),
                event=table["event"],
                asks=tuple(table.get("asks", ())),
                may_ask=tuple(table.get("may_ask", ())),
                needs=tuple(table.get("needs", ())),
                checks=tuple(table.get("checks", ())),
                also=tuple(self._also(file, key, table.get("also", ()))),
                sets=table.get("sets", {}),
                tone=table.get("tone", ""),
                hint=table.get("hint", ""),
                why=table.get("why", ""),
                corrects=table.get("corrects", False),
            )
        return moves

    def _sources(self, names: list[str], states: Mapping[str, w.State]) -> Iterator[str]:
        """States by name or by what they have in common; one with a `!` before it is left out."""
        drawn_in = self.trial.states if self.trial else ()
        of_trial: Callable[[w.State], bool] = lambda state: state.id in drawn_in  # noqa: E731
        selectors = {**SELECTORS, TRIAL: of_trial}
        left_out: set[str] = set()
        for name in (name.removeprefix("!") for name in names if name.startswith("!")):
            left_out |= {s.id for s in states.values() if selectors[name](s)} if name in selectors else {name}
        for name in names:
            if name in selectors:
                yield from (s.id for s in states.values() if selectors[name](s) and s.id not in left_out)
            elif not name.startswith("!"):
                yield name

    def _also(self, file: str, move: str, tables: Any) -> Iterator[w.Also]:
        for table in tables:
            if self.keys(file, f"{move}.also", table, "event sets", "when") is not None:
                when = self.condition(file, f"{move}.also", table["when"]) if "when" in table else None
                yield w.Also(table["event"], table["sets"], when)

    def _branches(self, file: str, move: str, to: Any) -> Iterator[w.Branch]:
        for branch in to if isinstance(to, list) else [{"state": to}]:
            table = self.keys(file, f"{move}.to", branch, "state", "when")
            if table is not None:
                when = self.condition(file, f"{move}.to", table["when"]) if "when" in table else None
                yield w.Branch(table["state"], when)

    def _clocks(self, grades: Mapping[str, int]) -> dict[str, w.ClockDef]:
        clocks = {}
        optional = "why starts stops cancels runs_in by targets restarts until_fact thresholds board"
        optional += " counts paused_in pauses resumes why_paused outlives"
        for file, key, table in self.tables("clocks", "name target_s", optional):
            by = table.get("by", "")
            clocks[key] = w.ClockDef(
                id=key,
                name=table["name"],
                why=table.get("why", ""),
                target_s=table["target_s"],
                starts=tuple(self._triggers(file, key, table.get("starts", ()))),
                stops=tuple(self._triggers(file, key, table.get("stops", ()))),
                cancels=tuple(self._triggers(file, key, table.get("cancels", ()))),
                runs_in=tuple(table.get("runs_in", ())),
                counts=table.get("counts", "always"),
                paused_in=tuple(table.get("paused_in", ())),
                pauses=tuple(self._triggers(file, key, table.get("pauses", ()))),
                resumes=tuple(self._triggers(file, key, table.get("resumes", ()))),
                why_paused=table.get("why_paused", ""),
                by=by,
                outlives=table.get("outlives", False),
                restarts=table.get("restarts", True),
                until_fact=table.get("until_fact", ""),
                targets=table.get("targets", grades if by == "response_grade" else {}),
                thresholds=tuple(self._thresholds(file, key, table.get("thresholds", ()))),
                board=table.get("board", True),
            )
        return clocks

    def _triggers(self, file: str, clock: str, tables: Any) -> Iterator[w.Trigger]:
        for table in tables:
            if self.keys(file, clock, table, "event", "where") is not None:
                where = {name: tuple(values) for name, values in table.get("where", {}).items()}
                yield w.Trigger(table["event"], where)

    def _thresholds(self, file: str, clock: str, tables: Any) -> Iterator[w.Threshold]:
        for table in tables:
            if self.keys(file, clock, table, "after_s say", "do daytime") is not None:
                yield w.Threshold(**table)

    def _criteria(self) -> dict[str, w.Criterion]:
        return {
            key: w.Criterion(id=key, **table)
            for _, key, table in self.tables("criteria", "ask say why source met", "hard way_out since until")
        }

    def _safeguarding(self) -> dict[str, w.Safeguard]:
        return {
            key: w.Safeguard(id=key, **table)
            for _, key, table in self.tables("safeguarding", "name group owner due_s", "why")
        }

    def _rules(self) -> dict[str, w.Rule]:
        rules = {}
        optional = "counts within_days at_least when since until"
        for file, key, table in self.tables("rules", "proposes say source", optional):
            when = self.condition(file, key, table["when"]) if "when" in table else None
            rules[key] = w.Rule(id=key, **{**table, "when": when})
        return rules

    def _suspect_states(self) -> dict[str, w.SuspectState]:
        return {
            key: w.SuspectState(id=key, **{**table, "to": tuple(table["to"])})
            for _, key, table in self.tables("suspects", "name to", "outstanding")
        }

    def _routes(self) -> tuple[w.Route, ...]:
        """The workflow's own routes come first, then those of its parts; the force's list stands in place of both."""
        routes = []
        for file, number, table in self._route_tables():
            place = f"route {number}"
            if self.keys(file, place, table, "id when team say") is None:
                continue
            when = self.condition(file, place, table["when"])
            if when is not None:
                routes.append(w.Route(table["id"], when, table["team"], table["say"]))
        return tuple(routes)

    def _route_tables(self) -> Iterator[tuple[str, int, Any]]:
        changed = self._changes("routing").get("route")
        if changed is not None:
            for number, table in enumerate(changed, 1):
                self.origins["routing", str(table.get("id", ""))] = self.force_file
                yield self.force_file, number, table
            return
        for file in (f"{self.name}/routing.toml", *(f"parts/{shared}/routing.toml" for shared in self.shared)):
            tables = self.toml(file).get("route", []) if file in self.files else []
            for number, table in enumerate(tables, 1):
                self.origins["routing", str(table.get("id", ""))] = file
                yield file, number, table
