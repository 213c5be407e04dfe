"""The pages of docs/ say what the code says: their made tables are made again here and compared; links lead somewhere.

A made table stands between `<!-- made: NAME -->` and `<!-- end -->`. To write all of them anew:

    python3 run.py test tests/test_docs.py --update-docs
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import difflib
import inspect
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from rvr import cli, metrics, people, terminal
from rvr.config import Settings
from rvr.core import events as e
from rvr.core import workflow as w
from rvr.core.commands import BOT, MEDIA, UNKNOWN_BROWSER, VICTIM
from rvr.core.risk import Instrument
from rvr.definitions import Definitions, load
from rvr.definitions.workflows import SELECTORS
from rvr.evaluation import codebook
from rvr.store import roles
from rvr.store.projections import ROWS
from rvr.store.tables import METADATA
from rvr.web import app, views
from tests.e2e import test_screens as screens

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *(ROOT / "workflows").glob("*.md")])
MADE = re.compile(r"<!-- made: (?P<name>[^>]+?) -->\n(?P<text>.*?)<!-- end -->", re.DOTALL)

UPDATE = "python3 run.py test tests/test_docs.py --update-docs"


@cache
def definitions(force: str = Settings.force) -> Definitions:
    return load(ROOT / "workflows", force)


def flow(name: str) -> w.Workflow:
    return definitions().workflows[name]


# --- How a table is written --------------------------------------------------------------------------------------


def table(head: str, rows: Iterable[Iterable[str]]) -> str:
    names = head.split(" | ")
    lines = [f"| {head} |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(cell or "–" for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def plain(text: str) -> str:
    """One line that cannot end a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def words(role: str) -> str:
    return role.replace("_", " ")


def duration(seconds: int) -> str:
    """As people say it: whole days, hours or minutes where they are whole."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds and seconds % size == 0 and (unit != "days" or seconds > size):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


# --- Rooms -------------------------------------------------------------------------------------------------------

ROOMS = (
    *("cli", "config", "log", "assets", "core", "definitions", "store", "desk", "notices", "joining", "calls"),
    *("ticker", "periodic", "timekeeping", "outbox", "realtime", "links", "people", "importing", "messages"),
    *("rehearsal", "walk", "media", "turn", "web", "evaluation", "anchoring", "cosigning", "witness"),
)
"""In the order in which they are told; a new room goes behind them."""

SILENT = re.compile(r"rvr/(core/|web/|evaluation/)?__init__\.py|rvr/store/migrations/(env|versions/).*")


def modules() -> str:
    found = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "rvr").rglob("*.py") if path.stat().st_size}
    told = [name for name in sorted(found, key=_place) if not SILENT.match(name)]
    return table("module | what it is for", ((f"`{_module(name)}`", _first_sentence(found[name])) for name in told))


def _place(name: str) -> tuple[int, str]:
    room = name.split("/")[1].removesuffix(".py")
    return ROOMS.index(room) if room in ROOMS else len(ROOMS), name.replace("__init__.py", "")


def _module(name: str) -> str:
    return name.removesuffix("__init__.py")


def _first_sentence(path: Path) -> str:
    """Of its docstring; a very short one together with the next."""
    first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z`])", plain(first))
    return " ".join(sentences[: 2 if len(sentences[0]) < 60 else 1])


# --- Workflows ---------------------------------------------------------------------------------------------------


def counts(name: str) -> str:
    of = flow(name)
    asked = f", {len(of.criteria)} questions" if of.criteria else ""
    told = f"{len(of.states)} states, {len(of.moves)} moves, {len(of.clocks)} clocks, {len(of.guards)} guards"
    parts = tomllib.loads(of.files[f"{name}/workflow.toml"])["parts"]
    return f"`{name}`: {told}{asked}. Parts: {code(parts)}. Opened by: {', '.join(map(words, of.opens_who))}.\n"


def states(name: str) -> str:
    of, head = flow(name), "state | who has to act | kept | clocks of the state | what it is there for"
    return table(head, (_state(of, state) for state in of.states.values()))


def _state(of: w.Workflow, state: w.State) -> Iterator[str]:
    yield f"`{state.id}`"
    then = f"; {words(state.then_owner)} once assigned" if state.then_owner else ""
    yield words(state.owner) + then
    kept = {
        "officer bound": state.keeps_officer,
        "session": state.session,
        "decided": not state.open and not state.ended,
        "ended": state.ended,
    }
    yield ", ".join(what for what, holds in kept.items() if holds)
    clocks = [
        f"`{c.id}`" + (" (paused)" if state.id in c.paused_in else "")
        for c in of.clocks.values()
        if state.id in (*c.runs_in, *c.paused_in)
    ]
    yield ", ".join(clocks)
    yield code(move for move in state.next if move in of.moves)


MACHINES = {MEDIA, VICTIM, UNKNOWN_BROWSER}


def _by_people(move: w.Move) -> bool:
    return not {BOT, *MACHINES} & set(move.who)


def _by_machines(move: w.Move) -> bool:
    return bool(MACHINES & set(move.who))


def _by_itself(move: w.Move) -> bool:
    return BOT in move.who


def _any(move: w.Move) -> bool:
    return True


def moves(name: str, file: str, wanted: Callable[[w.Move], bool] = _any) -> str:
    """The moves that stand in this file, as the workflow has them."""
    of = flow(name)
    raw = tomllib.loads(of.files[file])
    rows = (_move(of.moves[id_], raw[id_]["from"]) for id_ in raw if id_ in of.moves and wanted(of.moves[id_]))
    return table("move | from | to | who | asks (may ask) | needs | writes", rows)


def _move(move: w.Move, sources: list[str]) -> Iterator[str]:
    yield f"`{move.id}`"
    yield ", ".join(sources)
    yield " or ".join(branch.state or "stays" for branch in move.to if branch.state or len(move.to) > 1)
    yield ", ".join(map(words, move.who))
    yield " ".join([", ".join(move.asks), f"({', '.join(move.may_ask)})" if move.may_ask else ""]).strip()
    yield ", ".join((*move.needs, *(f"{check} (form)" for check in move.checks)))
    also = [_written(a.event, a.sets) + (" if its condition holds" if a.when else "") for a in move.also]
    yield "; ".join([_written(move.event, move.sets), *also])


def _written(event: str, sets: Any) -> str:
    fixed = ", ".join(f"{name} {value}" for name, value in sets.items())
    return f"`{event}`" + (f" ({fixed})" if fixed else "")


def clocks(name: str, file: str) -> str:
    of, head = flow(name), "clock | target | starts | stops | made moot by | pauses | at its thresholds"
    raw = tomllib.loads(of.files[file])
    return table(head, (_clock(of.clocks[id_]) for id_ in raw if id_ in of.clocks))


COUNTED = {"always": "", "desk_hours": " of desk hours", "working_days": " of working days"}


def _clock(clock: w.ClockDef) -> Iterator[str]:
    yield f"`{clock.id}`"
    yield _target(clock) + COUNTED[clock.counts]
    entering = [f"entering {code(clock.runs_in)}"] if clock.runs_in else []
    yield ", ".join([*entering, *map(_trigger, clock.starts)])
    leaving = ["leaving"] if clock.runs_in and not clock.stops else []
    yield ", ".join([*map(_trigger, clock.stops), *leaving])
    moot = ["leaving in any other way"] if clock.runs_in and clock.stops else []
    yield ", ".join([*map(_trigger, clock.cancels), *moot])
    paused = [f"in {code(clock.paused_in)}"] if clock.paused_in else []
    resumed = [f"until {', '.join(map(_trigger, clock.resumes))}"] if clock.resumes else []
    yield " ".join([*paused, *map(_trigger, clock.pauses), *resumed])
    yield "; ".join(_threshold(clock, one) for one in clock.thresholds)


def _target(clock: w.ClockDef) -> str:
    if clock.until_fact:
        return f"the time in `{clock.until_fact}`"
    if clock.by:
        return "; ".join(f"{words(value)} {duration(seconds)}" for value, seconds in clock.targets.items())
    return duration(clock.target_s)


def _trigger(trigger: w.Trigger) -> str:
    told = [f"{name} {' or '.join(str(one) or 'none' for one in values)}" for name, values in trigger.where.items()]
    return f"`{trigger.event}`" + (f" ({', '.join(told)})" if told else "")


def _threshold(clock: w.ClockDef, one: w.Threshold) -> str:
    if not (clock.by or clock.until_fact):
        when = duration(one.after_s)
    elif one.after_s:
        when = f"{duration(abs(one.after_s))} {'after' if one.after_s > 0 else 'before'} it"
    else:
        when = "at the target"
    return f"{when}{', by day' if one.daytime else ''}: " + (f"`{one.do}`" if one.do else "flag")


def guards(name: str, *, shared: bool) -> str:
    """What a move needs: in the workflow's own file, or in its parts."""
    of = flow(name)
    own = tomllib.loads(of.files[f"{name}/guards.toml"]) if f"{name}/guards.toml" in of.files else {}
    wanted = (guard for guard in of.guards.values() if (guard.id not in own) == shared)
    return table("guard | what is told when it does not hold", ((f"`{one.id}`", one.say) for one in wanted))


def questions() -> str:
    head = "question | as it is asked | met by | when it is not met | source"
    return table(head, map(_question, flow("da-desk").criteria.values()))


def _question(one: w.Criterion) -> tuple[str, ...]:
    otherwise = f"hard: {words(one.way_out)}" if one.hard else "soft: the sergeant"
    return f"`{one.id}`", one.ask, one.met, otherwise, one.source


def rules() -> str:
    rows = (
        (f"`{one.id}`", one.proposes, one.say, _counted(one), f"{one.since}" if one.since.year > 1 else "", one.source)
        for one in flow("da-desk").rules.values()
    )
    return table("rule | proposes | when | counts | since | source", rows)


def _counted(rule: w.Rule) -> str:
    return f"{words(rule.counts)}, at least {rule.at_least} in {rule.within_days} days" if rule.counts else ""


def routes_of_cases() -> str:
    return table("route | team | why", ((f"`{one.id}`", f"`{one.team}`", one.say) for one in flow("da-desk").routes))


def suspects() -> str:
    rows = (
        (f"`{one.id}`" + (" (clock)" if one.outstanding else ""), one.name, code(one.to))
        for one in flow("da-desk").suspect_states.values()
    )
    return table("status | name | may become", rows)


def outcomes() -> str:
    of = flow("da-desk")
    rows = ((one.code, one.name, _days(one), ", ".join(one.needs)) for one in of.outcomes.values())
    return table("outcome | name | given | record that it requires", rows)


def _days(one: w.OutcomeCode) -> str:
    since = f"from {one.since}" if one.since.year > 1 else ""
    until = f"until {one.until}" if one.until.year < 9999 else ""
    return " ".join(filter(None, [since, until]))


def instruments() -> str:
    return table("tool | questions | sets of further questions | suggests by points", map(_instrument, _tools()))


def _tools() -> Iterable[Instrument]:
    return definitions().instruments.values()


def _instrument(tool: Instrument) -> Iterator[str]:
    yield f"`{tool.id}`"
    local = sum(question.local for question in tool.every)
    yield str(len(tool.questions))
    told = (f"{one.name} ({len(one.questions)}{', after certain answers' if one.when else ''})" for one in tool.sets)
    yield "; ".join(told) + (f". Of all these {local} are local additions" if local else "")
    yield "; ".join(f"{band.level} from {band.at_least}" for band in tool.bands)


def forces() -> str:
    names = sorted(path.stem for path in (ROOT / "workflows" / "forces").glob("*.toml"))
    return table("force | desk hours | response grades | partners | what it changes", map(_force, names))


def _force(name: str) -> Iterator[str]:
    force = next(iter(definitions(name).workflows.values())).force
    yield f"`{force.id}`: {force.name}"
    yield f"{force.hours.opens:%H:%M} to {force.hours.closes:%H:%M}"
    yield "; ".join(f"{grade.id} {duration(grade.target_s)}" for grade in force.response_grades.values())
    yield str(len(force.partners))
    raw = tomllib.loads((ROOT / "workflows" / "forces" / f"{name}.toml").read_text(encoding="utf-8"))
    changes = raw.get("changes", {}).items()
    yield "; ".join(
        f"{id_}: {', '.join(f'{name} ({len(of)})' for name, of in parts.items())}" for id_, parts in changes
    )


MANY = 4
"""From more states than this a move is drawn once."""


def diagram(name: str) -> str:
    """The moves that change the state, one line for each pair of states; those from many states as from one."""
    of = flow(name)
    drawn: dict[tuple[str, str], list[str]] = {}
    for move in of.moves.values():
        targets = dict.fromkeys(branch.state for branch in move.to if branch.state)
        for source in ["many"] if len(move.sources) > MANY else move.sources:
            for target in (one for one in targets if one != source):
                drawn.setdefault((source, target), []).append(_label(move.name))
    lines = ["```mermaid", "stateDiagram-v2", '    state "many states" as many', f"    [*] --> {of.initial}"]
    lines += [f"    {source} --> {target}: {' · '.join(names)}" for (source, target), names in drawn.items()]
    lines += [f"    {state.id} --> [*]" for state in of.states.values() if state.ended]
    return "\n".join([*lines, "```"]) + "\n"


def _label(name: str) -> str:
    """A line's label holds neither sign: Mermaid would take it for its own."""
    return name.replace(":", ",").replace(";", ",")


# --- The contract ------------------------------------------------------------------------------------------------

GROUPS = {
    app.ANYBODY: "open",
    app.DESK_ROLES: "DESK",
    app.STAFF: "STAFF",
    app.EVERY_ROLE: "all roles",
}


def routes() -> str:
    rows = (
        (f"`{one.method} {one.path}`", _roles(one.roles), _access(one.access), plain(_about(one.handler)))
        for one in app.ROUTES
    )
    return table("call | who | access log | what", rows)


def _access(codes: Iterable[str]) -> str:
    """Categories as words, a reason why there is none as its code."""
    return ", ".join(f"`{one}`" if one in app.APART else one for one in codes)


def routes_apart() -> str:
    return table("code | why the access log has no row", ((f"`{name}`", why) for name, why in app.APART.items()))


def _about(made: object) -> str:
    return (inspect.getdoc(made) or "").split("\n\n")[0]


def _roles(roles: frozenset[str]) -> str:
    if roles in GROUPS:
        return GROUPS[roles]
    wider = max((known for known in GROUPS if known < roles), key=len)
    named = [words(role) for role in sorted(roles - wider)]
    return ", ".join([GROUPS[wider], *named] if wider else named)


def groups_of_roles() -> str:
    named = [(name, roles) for roles, name in GROUPS.items() if roles]
    return table("word | roles", ((name, ", ".join(sorted(map(words, roles)))) for name, roles in named))


def seen() -> str:
    rows = ((words(role), ", ".join(c for c in views.ALL_CLASSES if c in sees)) for role, sees in views.SEES.items())
    return table("role | classes of personal data, of a case that concerns it", rows)


def verbs() -> str:
    choices = next(a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction))
    about = {action.dest: action.help or "" for action in choices._choices_actions}
    rows = (
        (f"`{verb}`", _options(parser), _access(terminal.ACCESS[verb]), about.get(verb, ""))
        for verb, parser in choices.choices.items()
    )
    return table("verb | options | access log | what", rows)


def _options(parser: argparse.ArgumentParser) -> str:
    told = [_option(action) for action in parser._actions if "--help" not in action.option_strings]
    return " ".join(f"`{plain(one)}`" for one in told)


def _option(action: argparse.Action) -> str:
    named = "|".join(map(str, action.choices)) if action.choices else action.dest.upper()
    shown = str(action.metavar or named)
    if not action.option_strings:
        return f"[{shown}]" if action.nargs == "?" else shown
    name = " / ".join(action.option_strings)
    return name if action.nargs == 0 else f"{name} {shown}"


def settings() -> str:
    rows = (
        (
            f"`{one.name}`",
            _default(one.default),
            one.metadata["unit"],
            plain(one.metadata["help"]),
        )
        for one in dataclasses.fields(Settings)
    )
    return table("setting | default | unit | what it is", rows)


def _default(value: object) -> str:
    """As it stands in a TOML file; a place of this machine as seen from the folder of the program."""
    shown = str(value).lower() if isinstance(value, bool) else str(value).replace(f"{ROOT}/", "")
    return f"`{shown}`" if shown else ""


def figures() -> str:
    rows = ((f"`{name}`", kind, code(labels), plain(told)) for name, (kind, told, labels) in metrics.names().items())
    return table("name | kind | labels | what it says", rows)


VERBS = {"SELECT": "read", "INSERT": "add", "UPDATE": "change", "DELETE": "delete"}


def rights() -> str:
    """What the serving role may do: tables of which it may do the same in one row."""
    same: dict[str, list[str]] = {}
    for name, told in roles.rights().items():
        same.setdefault(told, []).append(name)
    rows = ((code(sorted(names)), _allowed(told)) for told, names in same.items())
    return table("tables | the serving role may", rows)


def _allowed(told: str) -> str:
    *first, last = (VERBS[right] for right in told.split(", "))
    return f"{', '.join(first)} and {last}" if first else f"{last} only"


def accounts() -> str:
    return code(username for username, _, _ in people.DEMO) + ".\n"


def tables() -> str:
    rows = ((f"`{one.path}`", one.about, code(one.key)) for one in codebook.TABLES)
    return table("file | what a row is | key", rows)


def columns(names: Iterable[codebook.Column]) -> str:
    return code(column.name for column in names) + ".\n"


def events() -> str:
    rows = ((f"`{name}`", plain(_about(kind)), code(sorted(kind.sealed_fields()))) for name, kind in e.FACTS.items())
    return table("event | what it says | sealed fields", rows)


PARTS = ("people", "guests", "response", "review", "safeguarding", "investigation", "recording")

MAKERS: dict[str, Callable[[], str]] = {
    "modules": modules,
    "roles": groups_of_roles,
    "seen": seen,
    "verbs": verbs,
    "accounts": accounts,
    "settings": settings,
    "figures": figures,
    "rights on PostgreSQL": rights,
    "routes": routes,
    "routes without a category": routes_apart,
    "files of the data package": tables,
    **{f"columns of {one.name}": partial(columns, one.columns) for one in codebook.DATA_TABLES if one.name != "events"},
    "columns of all events": partial(columns, codebook.ENVELOPE),
    "events": events,
    "da-desk": partial(counts, "da-desk"),
    "states of da-desk": partial(states, "da-desk"),
    "diagram of da-desk": partial(diagram, "da-desk"),
    "moves of da-desk: people": partial(moves, "da-desk", "da-desk/moves.toml", _by_people),
    "moves of da-desk: victim and video": partial(moves, "da-desk", "da-desk/moves.toml", _by_machines),
    "moves of da-desk: by itself": partial(moves, "da-desk", "da-desk/moves.toml", _by_itself),
    "clocks of da-desk": partial(clocks, "da-desk", "da-desk/clocks.toml"),
    "guards of da-desk": partial(guards, "da-desk", shared=False),
    "questions": questions,
    "crime-report": partial(counts, "crime-report"),
    "states of crime-report": partial(states, "crime-report"),
    "diagram of crime-report": partial(diagram, "crime-report"),
    "moves of crime-report": partial(moves, "crime-report", "crime-report/moves.toml"),
    "clocks of crime-report": partial(clocks, "crime-report", "crime-report/clocks.toml"),
    **{f"moves of the part {part}": partial(moves, "da-desk", f"parts/{part}/moves.toml") for part in PARTS},
    **{
        f"clocks of the part {part}": partial(clocks, "da-desk", f"parts/{part}/clocks.toml")
        for part in PARTS
        if (ROOT / "workflows" / "parts" / part / "clocks.toml").exists()
    },
    "guards of the parts": partial(guards, "da-desk", shared=True),
    "rules": rules,
    "routes of cases": routes_of_cases,
    "suspects": suspects,
    "outcomes": outcomes,
    "instruments": instruments,
    "forces": forces,
}
"""Every made table by its name."""


# --- The tests ---------------------------------------------------------------------------------------------------


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def on_pages() -> dict[str, Path]:
    """Each made table with the page that it stands on."""
    return {found["name"]: page for page in PAGES for found in MADE.finditer(read(page))}


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_made_table_is_what_the_code_makes_it(name: str, request: pytest.FixtureRequest) -> None:
    assert name in on_pages(), f"no page has the table: put <!-- made: {name} --> and <!-- end --> where it belongs"
    page, made = on_pages()[name], MAKERS[name]()
    if request.config.getoption("--update-docs"):
        anew = f"<!-- made: {name} -->\n{made}<!-- end -->"
        page.write_text(
            MADE.sub(lambda found: anew if found["name"] == name else found[0], read(page)), encoding="utf-8"
        )
    stands = next(found["text"] for found in MADE.finditer(read(page)) if found["name"] == name)
    if stands != made:
        lines = (text.splitlines() for text in (stands, made))
        difference = difflib.unified_diff(*lines, "as the page says", "as the code makes it", lineterm="", n=0)
        pytest.fail(f"{page.relative_to(ROOT)}: {name}\n" + "\n".join(difference) + f"\n\n{UPDATE}", pytrace=False)


def test_every_made_table_has_its_maker_and_stands_once() -> None:
    names = [found["name"] for page in PAGES for found in MADE.finditer(read(page))]
    assert sorted(names) == sorted(set(names) & set(MAKERS))


def test_a_part_is_told_that_a_workflow_has() -> None:
    """Another part needs its tables here; that of trials, which no shipped force has on, is told in docs/TRIAL.md."""
    used = {part for of in definitions().workflows.values() for part in _parts(of)}
    assert used == {*PARTS, "trial"}


def _parts(of: w.Workflow) -> list[str]:
    found: list[str] = tomllib.loads(of.files[f"{of.id}/workflow.toml"])["parts"]
    return found


def test_the_page_on_workflows_explains_every_selector() -> None:
    assert [selector for selector in SELECTORS if f"`{selector}`" not in read(DOCS / "WORKFLOWS.md")] == []


LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]*)(?:#(?P<anchor>[^)]*))?\)")


def anchors(page: Path) -> set[str]:
    """The places that a heading makes, as the hosts of repositories name them."""
    prose = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.finditer(read(page)):
        target = (page.parent / link["path"]).resolve() if link["path"] else page
        assert target.exists(), link[0]
        if link["anchor"] and target.suffix == ".md":
            assert link["anchor"] in anchors(target), link[0]


def test_the_readme_leads_to_every_text() -> None:
    told = {link["path"] for link in LINK.finditer(read(ROOT / "README.md").partition("## The longer texts")[2])}
    there = [*DOCS.glob("*.md"), *DOCS.glob("*.toml"), *PAGES]
    assert {path.relative_to(ROOT).as_posix() for path in there} - {"README.md"} <= told


def test_a_page_names_only_verbs_that_there_are() -> None:
    """`python3 run.py VERB`, wherever it is written."""
    known = set(re.findall(r"[a-z]+", cli.parser().format_help())) | {
        "test",
        "lint",
        "bench",
        "audit",
        "sbom",
        "screens",
    }
    named = {(page.name, verb) for page in PAGES for verb in re.findall(r"python3 run\.py ([a-z]+)", read(page))}
    assert {one for one in named if one[1] not in known} == set()


STREAM = re.compile(r"^Stream ([a-z]+)/")


def test_the_page_on_the_log_names_every_stream_and_says_of_every_table_what_it_is() -> None:
    page = read(DOCS / "LOG.md").partition("## 2. ")[2].partition("## 3. ")[0]
    told = {found[1] for kind in e.FACTS.values() if (found := STREAM.match(_about(kind)))}
    assert set(re.findall(r"^\| `([a-z]+)/", page, re.MULTILINE)) == {"case", *told}
    tables = re.search(r"can be made again from the log \((.+?)\) or are not part .+? \((.+?)\)", page)
    assert tables
    again, apart = (set(re.findall(r"`(\w+)`", part)) for part in tables.groups())
    assert again == set(ROWS)
    assert apart == set(METADATA.tables) - again - {"event", "access", "command", "data_key"}


def test_the_page_on_operating_lets_through_for_victims_what_the_proxies_do() -> None:
    told = re.search(r"let nothing but (.+?) through there", read(DOCS / "OPERATING.md"))
    assert told
    page = set(re.findall(r"`([^`]+)`", told[1]))
    caddy = re.search(r"@known path (.+)", read(DOCS / "operations" / "Caddyfile"))
    nginx = read(DOCS / "operations" / "nginx.conf").partition("server_name j.example.org;")[2].partition("}\n\n")[0]
    ways = [caddy[1].split() if caddy else [], re.findall(r"location (?:= )?(/\S+) { (?!return)", nginx)]
    for known in ways:
        assert {_door(way) for way in known} == {_door(way) for way in page}


def _door(way: str) -> str:
    """`/api/v1/join/*` and `/api/v1/join/live` are of `/api/v1/join`."""
    return "/".join(way.rstrip("/*").split("/")[:4])


def test_the_program_is_put_on_a_machine_as_the_page_on_operating_says(tmp_path: Path) -> None:
    """All that a set-up needs, for everybody to read, and nothing of what a demonstration left."""
    told = re.search(r"^    (install -d /opt/rvr .+)$", read(DOCS / "OPERATING.md"), re.MULTILINE)
    assert told
    made = tmp_path / "opt"
    subprocess.run(["/bin/sh", "-c", told[1].replace("/opt/rvr", str(made))], cwd=ROOT, check=True)
    assert {"run.py", "requirements.lock", "rvr", "static", "workflows", "docs"} <= {one.name for one in made.iterdir()}
    assert not [name for name in (".git", ".venv", "var") if (made / name).exists()]
    assert (made / "rvr" / "cli.py").stat().st_mode & 0o777 == 0o644


NO_PAGE = re.compile(r"/(api|health)/.*|/metrics|/live|/sign-in/(provider|finish)")
"""What a GET answers with data, a feed, or a way elsewhere."""


def test_axe_looks_at_every_page_as_the_statement_on_accessibility_says() -> None:
    pages = {one.path for one in app.ROUTES if one.method == "GET" and not NO_PAGE.fullmatch(one.path)}
    visited = {_page_of(path) for _, path, _ in screens.SCREENS}
    assert pages - visited == set(screens.ELSEWHERE)
    stories = "".join(read(path) for path in (ROOT / "tests" / "e2e").glob("test_*.py"))
    assert [name for name in screens.ELSEWHERE.values() if f"def {name}(" not in stories] == []


def _page_of(address: str) -> str:
    """The route of an address: of two that fit, the one that is listed first."""
    path = re.sub(r"{[^}]+}", "x", address.partition("?")[0])
    fits = (one.path for one in app.ROUTES if re.fullmatch(re.sub(r"{[^}]+}", "[^/]+", one.path), path))
    return next(fits, "")
