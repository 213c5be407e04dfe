"""What the scenarios beside each workflow tell is what the desk does, and every rule is shown in one of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from rvr.config import Settings
from rvr.rehearsal import coverage, scenarios
from rvr.rehearsal.scenarios import Played

ROOT = Path(__file__).parents[1] / "workflows"
FILES = {path.relative_to(ROOT).as_posix(): path for path in scenarios.files(ROOT)}

definitions_of = scenarios.loader(ROOT)


@cache
def played(file: str) -> list[Played]:
    try:
        return scenarios.play_file(ROOT, FILES[file], definitions_of, Settings.force)
    except scenarios.Unplayable as fault:
        pytest.fail(str(fault), pytrace=False)


def stories() -> list[tuple[str, int]]:
    """Each story by its file and number: what is in it is read when it is tested."""
    told = {file: scenarios.read_stories(path.read_text(encoding="utf-8"), file) for file, path in FILES.items()}
    return [
        pytest.param(file, number, id=f"{file.removesuffix('.md').replace('/scenarios', '')}: {story.title}")
        for file, of_file in told.items()
        for number, story in enumerate(of_file)
    ]


@pytest.mark.parametrize(("file", "number"), stories())
def test_the_desk_does_what_the_story_tells(file: str, number: int) -> None:
    story = played(file)[number]
    if not story.agrees:
        pytest.fail(
            f"{scenarios.difference(FILES[file], file, [story])}\n\n"
            f"If this is what the desk should do: python3 run.py rehearse --update {FILES[file]}",
            pytrace=False,
        )


def test_what_must_be_shown_is_of_every_kind() -> None:
    rules = list(coverage.rules_of(definitions_of(Settings.force).workflows["da-desk"]))
    assert {rule.kind for rule in rules} == {
        *("move", "failed criterion", "route", "rule", "threshold", "reason", "answer", "suspect's step", "referral"),
        "outcome with its record, or refused without it",
    }
    asked = {rule.name.partition(" ")[0] for rule in rules if rule.kind == "reason"}
    assert asked == set(coverage.REASONS)


NOT_YET: set[str] = set()
"""Rules that no scenario shows yet. Only ever shorter: an entry that is shown must go."""


def test_every_rule_is_shown_in_a_scenario() -> None:
    rehearsals = [story.rehearsal for file in FILES for story in played(file)]
    found = {str(rule) for rule in coverage.unshown(definitions_of(Settings.force).workflows.values(), rehearsals)}
    assert sorted(found - NOT_YET) == [], "each of these needs a scenario"
    assert sorted(NOT_YET - found) == [], "each of these is shown now: take it from the list"
