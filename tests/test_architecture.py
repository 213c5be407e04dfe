"""The shape of the program, read from its source: which way imports point, what is documented, what is said."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from rvr.core import events as e
from rvr.core.commands import ROLES
from rvr.messages import catalogue
from rvr.people import DEMO

ROOT = Path(__file__).parents[1]
RVR = ROOT / "rvr"

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "timekeeping": {"core"},
    "messages": {"core"},
    "definitions": {"core"},
    "rehearsal": {"core", "definitions", "messages"},
    "walk": {"core", "definitions", "messages", "rehearsal"},
    "config": set(),
    "log": set(),
    "metrics": set(),
    "realtime": set(),
    "media": {"core.moment", "timekeeping", "loop"},
    "store": {"core", "timekeeping", "metrics"},
    "links": {"core", "store"},
    "notices": {"core", "store", "messages"},
    "gathering": {"core", "store"},
    "noting": {"core", "store"},
    "inviting": {"core", "store", "links", "messages"},
    "versions": {"core", "store", "definitions"},
    "desk": {
        *("core", "store", "realtime", "definitions", "messages", "metrics"),
        *("notices", "gathering", "noting", "inviting", "references", "versions"),
    },
    "joining": {"core", "store", "links", "desk"},
    "calls": {"core", "store", "desk", "media.Room", "media.Seat"},
    "exhibits": {"core", "store", "media"},
    "recordings": {"core", "store", "desk", "media", "exhibits"},
    "measuring": {"core", "store", "desk", "media.Observation", "metrics"},
    "observing": {"desk", "calls", "recordings", "measuring", "media.Observation", "metrics"},
    "attendance": {"core", "store", "desk", "joining"},
    "periodic": {"core", "metrics"},
    "ticker": {"core", "store", "desk", "metrics"},
    "clock_watch": {"core", "store", "desk", "realtime"},
    "outbox": {"core", "store", "desk", "carriers", "metrics"},
    "mailing": {"config"},
    "carriers": {"store.messages.Message", "config", "mailing", "messages"},
    "people": {"core", "store", "desk", "second_factor"},
    "importing": {"core", "desk", "noting.earlier_known"},
    "simulation": {"core", "desk", "people", "ticker", "joining.the_victim"},
    "evaluation": {"core", "store", "definitions"},
    "cosigning": {"store.checkpoints.Head", "store.merkle", "store.notes"},
    "anchoring": {"core.moment", "core.errors", "store", "config", "cosigning", "messages", "mailing"},
    "witness": {
        *("cosigning", "config", "messages", "terminal.say"),
        *("store.keys", "store.notes", "store.checkpoints.Head", "store.engine.CannotOpen"),
    },
}
"""Room -> what of ours it may import besides itself. Rooms not named here are held by the tests below."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def sources(under: Path = RVR) -> list[Path]:
    return sorted(path for path in under.rglob("*.py") if "__pycache__" not in path.parts)


def room(path: Path) -> str:
    return path.relative_to(RVR).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Everything of ours that the file imports, also inside functions, as `core.moment` or `desk.Desk`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("rvr.") for alias in node.names if alias.name.startswith("rvr."))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module and node.module.split(".")[0] == "rvr":
                yield from (f"{node.module}.{alias.name}".removeprefix("rvr.") for alias in node.names)


@pytest.mark.parametrize("name", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_it_may(name: str) -> None:
    found = {(path.name, wanted) for path in sources() if room(path) == name for wanted in imports(path)}
    allowed = {name, *MAY_IMPORT[name]}
    wrong = [f for f in sorted(found) if not any(f[1] == one or f[1].startswith(f"{one}.") for one in allowed)]
    assert wrong == []


def test_the_web_is_wired_in_one_place_that_the_command_line_alone_starts() -> None:
    found = [(path, wanted.split(".")[0]) for path in sources() for wanted in imports(path)]
    assert {room(path) for path, wanted in found if wanted == "web"} - {"web"} <= {"serving"}
    assert {room(path) for path, wanted in found if wanted == "serving"} - {"serving"} == {"cli"}
    assert {room(path) for path, wanted in found if wanted == "cli"} <= {"__main__"}


def test_the_web_reaches_a_case_through_the_desk_and_never_through_the_log() -> None:
    """It may read rows; what appends to the timing log is the desk's."""
    calls = [
        f"{path.name}:{node.lineno}"
        for path in sources(RVR / "web")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "append"
        and ast.unparse(node.func.value).endswith("store")
    ]
    assert calls == []


def test_the_core_waits_for_nothing_reads_nothing_and_rolls_no_dice() -> None:
    """Nothing asynchronous, no clock, no randomness, no files, no network: all of it arrives as arguments."""
    forbidden = {"random", "uuid", "os", "pathlib", "secrets", "time", "asyncio", "socket", "io", "sys", "threading"}
    for path in sources(RVR / "core"):
        for node in ast.walk(tree(path)):
            where = f"{path.name}:{getattr(node, 'lineno', '')}"
            assert not isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)), where
            if isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & forbidden, where
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in forbidden, where
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("open", "print", "input"), where
                assert not called.endswith((".now", ".utcnow", ".today", ".read_text")), where


def test_durations_are_computed_in_few_places() -> None:
    """Arithmetic on times goes wrong twice a year: in the core it is in the clocks' modules, and in one deadline."""
    found = {
        path.stem
        for path in sources(RVR / "core")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "timedelta"
    }
    assert found <= {"clocks", "calendar", "makers"}


@pytest.mark.parametrize("fact", sorted(e.FACTS))
def test_every_fact_and_every_field_of_it_is_documented(fact: str) -> None:
    kind = e.FACTS[fact]
    assert "Fact(" not in (inspect.getdoc(kind) or "Fact("), "the docstring is its own, not the dataclass's"
    for field in dataclasses.fields(kind):
        assert field.metadata.get("meaning", "").strip(), field.name
        assert "sealed" in field.metadata, f"{field.name} is declared by public() or sealed()"
        assert "float" not in str(field.type), f"{field.name}: floats have no canonical bytes"


def test_every_module_says_what_it_is_for() -> None:
    missing = [
        str(path.relative_to(ROOT)) for path in sources() if path.stat().st_size and not ast.get_docstring(tree(path))
    ]
    assert missing == []


# --- What people read --------------------------------------------------------------------------------------------


def codes_used() -> set[str]:
    """Every reason code in the program: `Reason("...")`, `_Bad("...")`, and the links' verdicts, which are spelt."""
    codes = {"link-expired", "link-revoked", "link-second-browser"}
    for path in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("Reason", "_Bad") and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    codes.add(str(first.value))
                else:
                    known = ("bad.code", "f\"link-{verdict.replace('_', '-')}\"", "f'link-{verdict.replace('_', '-')}'")
                    assert ast.unparse(first) in known or isinstance(first, ast.Name | ast.Attribute), (
                        f"{path.name}:{node.lineno}: a code that nobody can look up: {ast.unparse(first)}"
                    )
    return codes


def constants() -> set[str]:
    return {
        node.value
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_reason_has_a_sentence() -> None:
    assert [code for code in sorted(codes_used()) if f"reason.{code}" not in catalogue()] == []


def test_no_sentence_for_a_reason_is_unused() -> None:
    said = codes_used() | constants()
    kept = [key.removeprefix("reason.") for key in catalogue() if key.startswith("reason.")]
    assert [code for code in kept if code not in said] == []


GENDERED = re.compile(r"\b(she|her|hers|herself|he|his|him|himself)\b", re.IGNORECASE)


def test_no_text_on_a_screen_is_gendered() -> None:
    files = [*(ROOT / "workflows").rglob("*.toml"), *(RVR / "locale").rglob("*.toml"), *RVR.rglob("*.html")]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if GENDERED.search(line)
    ]
    assert len(files) > 9
    assert found == []


# --- Names and sizes ---------------------------------------------------------------------------------------------


def test_every_role_that_is_named_exists() -> None:
    from rvr.web.app import EVERY_ROLE

    asked: dict[str, list[str]] = defaultdict(list)
    for path in sources():
        for node in ast.walk(tree(path)):
            if not (isinstance(node, ast.Compare) and isinstance(node.left, ast.Constant)):
                continue
            if any(ast.unparse(right).endswith(".roles") for right in node.comparators):
                asked[str(node.left.value)].append(f"{path.name}:{node.lineno}")
    assert {role: where for role, where in asked.items() if role not in ROLES} == {}
    assert {role for _, _, role in DEMO} <= ROLES
    assert EVERY_ROLE <= ROLES


CODE_LINES = 450


def code_lines(path: Path) -> int:
    """Lines that hold code: not the empty ones, the comments and the docstrings."""
    docs: set[int] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docs |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type not in skipped:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docs)


def test_no_file_has_grown_beyond_what_one_person_reads_at_a_sitting() -> None:
    sizes = {str(path.relative_to(ROOT)): code_lines(path) for path in sources()}
    assert {name: size for name, size in sizes.items() if size > CODE_LINES} == {}


def test_files_are_named_for_what_they_know() -> None:
    names = {"utils", "util", "helpers", "helper", "constants", "common", "misc", "manager"}
    assert [str(path.relative_to(ROOT)) for path in sources() if path.stem in names] == []


def test_the_page_on_workflows_names_only_what_exists() -> None:
    """Commands, files and operators in workflows/README.md."""
    from rvr.cli import parser
    from rvr.core.conditions import GROUPS, OPERATORS
    from rvr.definitions import PARTS

    page = (ROOT / "workflows" / "README.md").read_text(encoding="utf-8")
    verbs = set(re.findall(r"python3 run\.py (\w+)", page))
    assert verbs
    assert verbs - {"test"} <= set(re.findall(r"[a-z]+", parser().format_help()))
    for part in PARTS:
        assert f"`{part}.toml`" in page, part
    for operator in (*OPERATORS, *GROUPS):
        assert f"`{operator}`" in page, operator
    named = re.findall(r"`((?:da-desk|risk|forces|tests)/[\w./-]+)`", page)
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "workflows" / name).exists(), name
