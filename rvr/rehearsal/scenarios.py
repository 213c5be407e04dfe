"""Scenarios: stories of a case, written to be read by anybody, and played by the core.

A story's steps and what came of them stand in one Markdown file, `workflows/<workflow>/scenarios/*.md`; how they are
written is told in workflows/SCENARIOS.md. Playing a story gives the file as it should be: it differs from the file that
was read where the desk no longer does what the story says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from difflib import unified_diff
from functools import cache
from pathlib import Path

from rvr.core import forms
from rvr.core.commands import GUEST, Actor
from rvr.core.errors import RvrError
from rvr.core.guests import actor_of
from rvr.core.workflow import Workflow
from rvr.definitions import Definitions, load
from rvr.rehearsal.case import Happening, Rehearsal
from rvr.rehearsal.givens import give, read_actor
from rvr.rehearsal.telling import Telling
from rvr.rehearsal.universe import Universe
from rvr.rehearsal.values import CannotRead, one_of, read_form, seconds, spelt

RESULT = "  > "
_STEP = re.compile(r"- (?P<time>[\d:]+) (?P<what>.+)")
_GIVEN = re.compile(r"- given (?P<what>.+)")
_BEGUN = re.compile(r"(?P<story>[\w-]+) until (?P<time>[\d:]+)")


class Unplayable(Exception):
    """A story cannot be told to its end; the message names file and line, and what was expected."""


class Unexpected(CannotRead):
    """Something was refused that nobody “tries to” do, or the other way about."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a story, which may run on over indented lines."""

    place: str
    """Its file and line."""
    what: str
    time: str = ""
    """When, from the story's start; empty for a `given`."""
    ends: int = 0
    """The line after its own text, from 0."""
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    title: str
    place: str
    """The file, as it is named in faults."""
    givens: tuple[Step, ...] = ()
    steps: tuple[Step, ...] = ()


# --- Reading -----------------------------------------------------------------------------------------------------


def read_stories(text: str, place: str) -> list[Story]:
    """Every story of a file: each heading begins one. Raises Unplayable."""
    stories, lines = [Story("", place)], text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("#"):
            stories.append(Story(line.lstrip("# "), place))
        elif line.startswith("- "):
            stories[-1] = _with_step(stories[-1], lines, number)
    return [story for story in stories if story.steps]


def _with_step(story: Story, lines: list[str], number: int) -> Story:
    ends, what = number + 1, lines[number]
    while ends < len(lines) and re.match(r"  +[^\s>]", lines[ends]):
        what += f" {lines[ends].strip()}"
        ends += 1
    after = ends
    while after < len(lines) and lines[after].startswith(RESULT.rstrip()):
        after += 1
    place, results = f"{story.place}:{number + 1}", tuple(lines[ends:after])
    if given := _GIVEN.fullmatch(what):
        return replace(story, givens=(*story.givens, Step(place, given["what"], ends=ends, results=results)))
    if step := _STEP.fullmatch(what):
        return replace(story, steps=(*story.steps, Step(place, step["what"], step["time"], ends, results)))
    raise Unplayable(
        f"{place}: “{what}” is no step: expected “- 1:30 sergeant accepts handover”, "
        "“- given officers on duty: none”, or no “- ” before it"
    )


# --- Playing -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Played:
    """A story as it went."""

    story: Story
    rehearsal: Rehearsal
    results: Mapping[Step, list[str]]
    """What came of each step, as it should stand in the file."""

    @property
    def agrees(self) -> bool:
        return all(list(step.results) == [RESULT + line for line in lines] for step, lines in self.results.items())


Loader = Callable[[str], Definitions]
"""The definitions of a force, by its id."""


def loader(root: Path) -> Loader:
    """Reads each force's definitions once."""
    return cache(lambda force: load(root, force))


@dataclass
class Player:
    """Takes one case through the steps of a story, in the words of the notation."""

    rehearsal: Rehearsal
    telling: Telling = field(init=False)
    start: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.start = self.rehearsal.universe.wall
        self.telling = Telling(self.rehearsal.workflow, self.start)

    def play(self, time: str, what: str) -> list[str]:
        """One step's results. Raises CannotRead for what cannot be read, and for what is refused unexpectedly."""
        until = self.start + timedelta(seconds=seconds(time))
        if until < self.rehearsal.universe.wall:
            raise CannotRead(f"{time} lies before the step above it")
        rung = list(self.rehearsal.pass_until(until))
        lines = [line for happening in rung for line in self.telling.ringing(happening)]
        if what == "time passes":
            return lines or ["Nothing happens."]
        if what.startswith("officers on duty:"):
            give(self.rehearsal.universe, what)
            return lines
        return [*lines, *self._acts(what)]

    def _acts(self, what: str) -> list[str]:
        who, act = read_actor(what, self.rehearsal.universe)
        who = self._as_guest(who)
        tries = act.startswith("tries to ")
        act, _, form = act.removeprefix("tries to ").partition(": ")
        try:
            happening = self._make(who, act, form)
        except RvrError as refused:
            lines = self.telling.refusal(refused.reasons)
            if not tries:
                raise Unexpected(" ".join(lines)) from None
            return lines
        if tries:
            raise Unexpected(f"“{act}” is not refused here")
        return self.telling.step(happening)

    def _make(self, who: Actor, act: str, text: str) -> Happening:
        rehearsal, workflow = self.rehearsal, self.rehearsal.workflow
        if act in ("opens the case", "open the case"):
            if rehearsal.case.version:
                raise CannotRead("the case is open already")
            given = read_form(rehearsal, (*workflow.opens_asks, *workflow.opens_may_ask), text)
            return rehearsal.open_case(who, {**example(workflow), **given})
        if not rehearsal.case.version:
            raise CannotRead("there is no case yet: expected “call handler opens the case”")
        move = workflow.moves[one_of(act, spellings(workflow), "move")]
        return rehearsal.make(who, move.id, {**self._known(move.asks), **read_form(rehearsal, move.fields, text)})

    def _as_guest(self, who: Actor) -> Actor:
        """`guest` is the first who was asked into the session, `guest 2` the second."""
        if GUEST not in who.roles or self.rehearsal.case.session is None:
            return who
        number, guests = int(who.id.removeprefix(GUEST).strip() or 1), list(self.rehearsal.case.session.guests)
        return actor_of(guests[number - 1]) if 0 < number <= len(guests) else who

    def _known(self, asks: Iterable[str]) -> dict[str, str]:
        """What nobody types: the link that was sent."""
        session = self.rehearsal.case.session
        return {"link": session.link} if "link" in asks and session else {}


def spellings(workflow: Workflow) -> dict[str, str]:
    """Each way to write a move, with its id: `lose_contact`, `lose contact`, `loses contact`, `Contact lost`.

    Whoever acts is not named twice: `victim exits` is the victim's `victim_exit`.
    """
    known: dict[str, str] = {}
    for move in workflow.moves.values():
        ids = (move.id, *(move.id.removeprefix(f"{role}_") for role in move.who))
        known |= dict.fromkeys((spelt(move.name), *map(_third_person, ids), *map(spelt, ids)), move.id)
    return known | {spelt(move): move for move in workflow.moves}


def _third_person(move: str) -> str:
    verb, _, rest = spelt(move).partition(" ")
    if re.search(r"[^aeiou]y$", verb):
        verb = f"{verb[:-1]}ie"
    return f"{verb}{'es' if verb.endswith(('s', 'x', 'ch', 'sh')) else 's'} {rest}".strip()


def example(workflow: Workflow) -> dict[str, object]:
    """An opening form with an invented answer to whatever must be answered."""
    example: dict[str, object] = forms.json_schema(workflow, workflow.opens_asks, ())["examples"][0]
    return example


def rehearsal_of(workflow: Workflow, definitions: Definitions) -> Rehearsal:
    """A universe with two officers on duty at noon, and a workflow in it."""
    universe = Universe(force=workflow.force, contacts=definitions.contacts.guests)
    universe.on_duty("officer", "officer 2")
    return Rehearsal(universe, workflow)


def play(story: Story, workflow_id: str, definitions_of: Loader, force: str, others: Others) -> Played:
    """Raises Unplayable with the place of the first line that cannot be played."""
    for given in story.givens:
        if given.what.startswith("force "):
            force = given.what.removeprefix("force ").strip()
    definitions = definitions_of(force)
    rehearsal = rehearsal_of(definitions.workflows[workflow_id], definitions)
    results: dict[Step, list[str]] = {}
    before: list[Step] = []
    for given in story.givens:
        with _placed(given):
            if begun := _BEGUN.fullmatch(given.what):
                before = _first_steps(others, begun["story"], begun["time"])
                continue
            give(rehearsal.universe, given.what)
    player = Player(rehearsal)
    for step in (*before, *story.steps):
        with _placed(step):
            results[step] = player.play(step.time, step.what)
    return Played(story, rehearsal, {step: results[step] for step in story.steps})


Others = Callable[[str], list[Story]]
"""The stories of a file beside this one, by its name."""


def _first_steps(others: Others, name: str, until: str) -> list[Step]:
    """What happened in another file's first story up to that moment. Raises CannotRead."""
    try:
        story = others(name)[0]
    except (OSError, IndexError):
        raise CannotRead(f"there is no story in {name}.md beside this file") from None
    if story.givens:
        raise CannotRead(f"{name} is not told from its beginning: expected a story without “given”")
    return [step for step in story.steps if seconds(step.time) <= seconds(until)]


@contextmanager
def _placed(step: Step) -> Iterator[None]:
    """Gives a fault in it the place of the line that it comes from."""
    try:
        yield
    except Unexpected as fault:
        raise Unplayable(f"{step.place}: {fault} (A step that is to be refused is written “tries to”.)") from None
    except CannotRead as fault:
        raise Unplayable(f"{step.place}: {fault}") from None


# --- Files -------------------------------------------------------------------------------------------------------


def files(root: Path, under: Path | None = None) -> list[Path]:
    """Every scenario of these workflows, or of those under one folder, or one file."""
    return [path for path in sorted(root.glob("*/scenarios/*.md")) if path.is_relative_to(under or root)]


def play_file(root: Path, path: Path, definitions_of: Loader, force: str) -> list[Played]:
    """Raises Unplayable."""

    def stories(path: Path) -> list[Story]:
        return read_stories(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix())

    workflow = path.parent.parent.name
    others = lambda name: stories(path.with_name(f"{name}.md"))  # noqa: E731 - one line says it
    return [play(story, workflow, definitions_of, force, others) for story in stories(path)]


def updated(text: str, played: Iterable[Played]) -> str:
    """The file with its result lines as they should be, and nothing else changed."""
    lines = text.splitlines()
    steps = [(step, results) for one in played for step, results in one.results.items()]
    for step, results in sorted(steps, key=lambda one: -one[0].ends):
        lines[step.ends : step.ends + len(step.results)] = [RESULT + result for result in results]
    return "\n".join(lines) + "\n"


def difference(path: Path, place: str, played: Iterable[Played]) -> str:
    """What has changed since the file was written, line by line; empty when nothing has."""
    text = path.read_text(encoding="utf-8")
    told, happens = text.splitlines(), updated(text, played).splitlines()
    return "\n".join(unified_diff(told, happens, f"{place}, as written", f"{place}, as it happens", lineterm="", n=2))
