"""`walk`: takes a case through a workflow at the terminal, move by move.

The walk is a scenario while it is being written: every step is a line of that notation, so that it can be taken back
by playing the others again, and saved beside the workflow. Reads commands from a stream and writes to one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from rvr.core import forms, risk
from rvr.core.decide import MoveView
from rvr.core.moment import parse_iso
from rvr.core.workflow import Field, Workflow
from rvr.definitions import Definitions
from rvr.messages import catalogue
from rvr.rehearsal.givens import read_actor
from rvr.rehearsal.scenarios import RESULT, Player, rehearsal_of, spellings
from rvr.rehearsal.values import CannotRead, clock, one_of, seconds, spelt

HELP = """\
  3 or its name    make that move
  as sergeant      act in another role; `as officer 2` for a second person
  wait 5m          let time pass (also 1:30, 2 days); `wait` alone: until a clock runs out
  back             take the last step back
  log              every event so far
  save FILE        write the walk as a scenario
  quit             leave
In a form: a number or a word chooses; an empty line skips what is optional; `.` skips the rest; `!` gives up."""


class GivenUp(Exception):
    """The person at the terminal does not want this form after all, or has gone."""


class Walk:
    """One case, and the steps that it has come by."""

    def __init__(self, workflow: Workflow, definitions: Definitions, seed: int, source: TextIO, out: TextIO) -> None:
        self.workflow, self.definitions, self.seed = workflow, definitions, seed
        self.source, self.out = source, out
        self.words = catalogue()
        self.who = "call handler"
        self.steps: list[tuple[str, str, list[str]]] = []
        """(time, what, what came of it)."""
        self.player = self._from_the_start()

    def run(self) -> None:
        """Until `quit`, or the end of the input."""
        self.say(f"{self.workflow.name} ({self.workflow.force.name}). `help` lists the commands.")
        self.show()
        try:
            while (line := self.ask(f"\n{self.who}, {self.now}> ")) != "quit":
                self.obey(line)
        except EOFError:
            self.say("")

    # --- The terminal ------------------------------------------------------------------------------------------------

    def say(self, line: str) -> None:
        self.out.write(f"{line}\n")

    def ask(self, prompt: str) -> str:
        self.out.write(prompt)
        self.out.flush()
        line = self.source.readline()
        if not line:
            raise EOFError
        if not self.source.isatty():
            self.say(line.strip())
        return line.strip()

    def obey(self, line: str) -> None:
        """One command; what cannot be done is told, and nothing has happened."""
        word, _, rest = line.partition(" ")
        try:
            if do := COMMANDS.get(word):
                do(self, rest)
            elif line:
                self.move(line)
        except CannotRead as fault:
            self.say(f"  {fault}")
        except GivenUp:
            self.say("  Given up; nothing has happened.")

    # --- Where the case is -------------------------------------------------------------------------------------------

    @property
    def now(self) -> str:
        return self.player.telling.since(self.player.rehearsal.universe.wall)

    def show(self) -> None:
        """The state, who has to act, the clocks, and the moves of whoever acts now."""
        rehearsal = self.player.rehearsal
        if not rehearsal.case.version:
            self.say("There is no case yet.")
            self.say("  1. Open a case")
            return
        state = self.workflow.states[rehearsal.case.state]
        role, say = state.acting(rehearsal.case.officer)
        emergency = " EMERGENCY." if rehearsal.case.emergency else ""
        self.say(f"\n{state.name}.{emergency}")
        if role:
            here = "" if self.who.startswith(spelt(role)) else f" (as {spelt(role)})"
            self.say(f"{self.words.name('role', role)} has to act{here}. {say}")
        for running in rehearsal.case.clocks.values():
            self.say(f"  {self.workflow.clocks[running.clock].name}: {self._left(running.clock)}")
        for number, view in enumerate(self.views(), 1):
            self.say(f"  {number}. {view.move.name}")
            for reason in view.reasons:
                self.say(f"       not now: {self.words.reason(reason)}")

    def _left(self, clock_id: str) -> str:
        running = self.player.rehearsal.case.clocks[clock_id]
        if running.paused:
            return "stands still"
        left = parse_iso(running.ends_at) - self.player.rehearsal.universe.wall
        left_s = left // timedelta(seconds=1)
        return f"{clock(left_s)} left" if left_s >= 0 else f"late by {clock(-left_s)}"

    def views(self) -> list[MoveView]:
        """This person's moves, those that the state is there for first."""
        state = self.workflow.states[self.player.rehearsal.case.state]
        actor, _ = read_actor(self.who, self.player.rehearsal.universe)
        order = {move: number for number, move in enumerate(state.next)}
        return sorted(self.player.rehearsal.offered(actor), key=lambda view: order.get(view.move.id, len(order)))

    # --- Steps -------------------------------------------------------------------------------------------------------

    def move(self, line: str) -> None:
        """Makes a move by its number or its name."""
        if not self.player.rehearsal.case.version:
            workflow = self.workflow
            form = self.form(workflow.opens_asks, workflow.opens_may_ask, empty="left empty: invented")
            return self.step("opens the case", form)
        views = self.views()
        if line.isdigit() and 0 < int(line) <= len(views):
            move = views[int(line) - 1].move
        else:
            move = self.workflow.moves[one_of(line, spellings(self.workflow), "move or command")]
        if not any(view.move.id == move.id and view.allowed for view in views):
            return self.step(f"tries to {spelt(move.id)}")
        return self.step(spelt(move.id), self.form([name for name in move.asks if name != "link"], move.may_ask))

    def step(self, act: str, form: Iterable[str] = ()) -> None:
        answers = "; ".join(form)
        self.take(self.now, f"{self.who} {act}: {answers}" if answers else f"{self.who} {act}")

    def take(self, time: str, what: str) -> None:
        """Plays one more line. Raises CannotRead, and nothing has happened."""
        lines = self.player.play(time, what)
        self.steps.append((time, what, lines))
        for line in lines:
            self.say(f"  {line}")
        self.show()

    def form(self, asks: Iterable[str], may_ask: Iterable[str], empty: str = "") -> list[str]:
        """Asks each field; `field value` of whatever was answered. `empty` says what comes of one that is needed."""
        answers, asks = [], tuple(asks)
        for name in (*asks, *may_ask):
            field = self.workflow.fields[name]
            answer = self.field(field, empty if name in asks else "optional")
            if answer == ".":
                break
            if answer:
                answers.append(f"{spelt(name)} {answer}")
        return answers

    def field(self, field: Field, empty: str) -> str:
        self.say(f"  {field.label} ({empty})" if empty else f"  {field.label}")
        if field.hint:
            self.say(f"    {field.hint}")
        choices = self._choices(field)
        questions = self._questions(field)
        for number, (_, label) in enumerate(choices, 1):
            self.say(f"    {number}. {label}")
        for name, text in questions:
            self.say(f"    {name}: {text}")
        if questions:
            self.say("    Example: all no but " + f"{questions[0][0]} yes")
        while True:
            try:
                answer = re.sub(r"[\s;]+", " ", self.ask("    = ")).strip()
            except EOFError:
                raise GivenUp from None
            if answer == "!":
                raise GivenUp
            if answer or empty:
                break
        if answer.isdigit() and field.kind != "checks" and 0 < int(answer) <= len(choices):
            return choices[int(answer) - 1][0]
        return answer

    def _choices(self, field: Field) -> list[tuple[str, str]]:
        """(what is written, what is shown) of everything that this field can be."""
        rehearsal = self.player.rehearsal
        if field.kind == "officer":
            officers = rehearsal.universe.officers.values()
            return [(one.id, f"{one.id}, {'free' if one.free else 'not free'}") for one in officers]
        kept = getattr(rehearsal.case, f"{field.kind}s", None)
        if isinstance(kept, Mapping):
            return [(str(number), _told(one)) for number, one in enumerate(kept.values(), 1)]
        return [(option.value, option.label) for option in forms.options_of(self.workflow, field)]

    def _questions(self, field: Field) -> list[tuple[str, str]]:
        """What stands behind a field of many questions."""
        if field.kind == "criteria":
            return [(one.id, f"{one.ask} ({one.met})") for one in self.workflow.criteria.values()]
        if field.kind == risk.FIELD:
            tools = list(self.workflow.instruments.values())
            return [(question.id, question.topic) for tool in tools[:1] for question in tool.every]
        if field.kind == "checks":
            return [(option.value, option.label) for option in field.options]
        return []

    # --- Commands ----------------------------------------------------------------------------------------------------

    def wait(self, rest: str) -> None:
        universe, start = self.player.rehearsal.universe, self.player.start
        until = universe.wall + timedelta(seconds=seconds(rest)) if rest else None
        if until is None:
            due = self.player.rehearsal.next_due()
            if due is None:
                raise CannotRead("no clock runs that could run out")
            until = due[0]
        whole_s = -(-(until - start) // timedelta(seconds=1))
        self.take(clock(int(whole_s)), "time passes")

    def act_as(self, rest: str) -> None:
        actor, left = read_actor(rest, self.player.rehearsal.universe)
        if left:
            raise CannotRead(f"“{rest}” is nobody: expected one such as sergeant or officer 2")
        self.who = actor.id
        self.show()

    def back(self, rest: str) -> None:
        """All steps but the last, played again."""
        kept = self.steps[:-1]
        self.player, self.steps = self._from_the_start(), []
        for time, what, lines in kept:
            self.player.play(time, what)
            self.steps.append((time, what, lines))
        self.show()

    def log(self, rest: str) -> None:
        for time, what, lines in self.steps:
            self.say(f"- {time} {what}")
            for line in lines:
                self.say(f"{RESULT}{line}")

    def save(self, rest: str) -> None:
        if not rest:
            raise CannotRead("expected a file: save workflows/da-desk/scenarios/NAME.md")
        path = Path(rest)
        try:
            path.write_text(self.scenario(path.stem.replace("-", " ").capitalize()), encoding="utf-8")
        except OSError as fault:
            raise CannotRead(f"{path} cannot be written: {fault.strerror}") from None
        self.say(f"  Saved: {path}. Give it a title, and a sentence that says what the desk does here and why.")

    def scenario(self, title: str) -> str:
        """The walk as a scenario file."""
        lines = [f"# {title}", "", f"- given force {self.workflow.force.id}"]
        for time, what, results in self.steps:
            lines += [f"- {time} {what}", *(RESULT + result for result in results)]
        return "\n".join(lines) + "\n"

    def help(self, rest: str) -> None:
        self.say(HELP)

    def look(self, rest: str) -> None:
        self.show()

    def _from_the_start(self) -> Player:
        rehearsal = rehearsal_of(self.workflow, self.definitions)
        rehearsal.universe.drawn = self.seed * 1_000_000
        return Player(rehearsal)


COMMANDS: dict[str, Callable[[Walk, str], None]] = {
    "as": Walk.act_as,
    "wait": Walk.wait,
    "back": Walk.back,
    "log": Walk.log,
    "save": Walk.save,
    "show": Walk.look,
    "help": Walk.help,
}
"""What may be said besides the name or number of a move, and `quit`."""


def _told(kept: Any) -> str:
    """What is known of an action, a referral or a suspect."""
    values = {field.name: getattr(kept, field.name) for field in dataclasses.fields(kept)}
    return ", ".join(str(value) for name, value in values.items() if value and name != "id")
