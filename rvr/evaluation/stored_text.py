"""What the stored text of a workflow tells an evaluator: which answers are codes, what each clock means, which outcomes
stand in which named set; and which of its files do not leave.

Reads the tables as they are written, without checking them: an export must not fail on a definition that today's
reader would refuse.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from rvr.core import events as e
from rvr.core.trial import Design
from rvr.definitions.reading import Reading
from rvr.definitions.trials import read_trial

CODED_KINDS = frozenset({"choice", "area", "team", "instrument", "flag", "datetime"})
"""Kinds of form field (core.forms) whose answers are codes. Other answers stay, even where they are not personal."""

LICENSED = "risk/wording/"
"""Where a force lays the official wording of a risk instrument: a third party's text, licensed to the force alone."""

LEFT_BEHIND = """\
The text of this file did not leave: it is licensed wording.
Its name is {name}, the SHA-256 of its text is
{digest}
"""


def coded_fields(stored: e.DefinitionStored) -> frozenset[str]:
    """The form fields of this workflow whose answers are codes, and not personal."""
    forms = _part(stored, "forms")
    return frozenset(
        name for name, field in forms.items() if field.get("kind") in CODED_KINDS and not field.get("personal")
    )


def outcome_sets(stored: e.DefinitionStored) -> dict[str, frozenset[str]]:
    """The named sets of outcome codes, each with its codes."""
    sets = _toml(stored, "tables/outcomes.toml").get("set", {})
    return {name: frozenset(table.get("codes", ())) for name, table in sets.items()}


def clock_targets(stored: e.DefinitionStored) -> dict[str, int]:
    """What each clock of this workflow promises, in seconds; without those whose promise is a date, or nought."""
    return {name: clock["target_s"] for name, clock in _part(stored, "clocks").items() if clock.get("target_s")}


def trial(stored: e.DefinitionStored) -> Design | None:
    """The design of the trial that ran inside this workflow; None where none did."""
    reading = Reading(stored.files)
    name = f"{stored.workflow}/trial.toml"
    if name not in stored.files or not any(file.startswith("forces/") for file in stored.files):
        return None
    changes = _force(stored).get("changes", {}).get(stored.workflow, {}).get("trial", {})
    return read_trial(reading, name, changes)


def zone(stored: e.DefinitionStored) -> str:
    """The time zone on the force's wall."""
    return str(_force(stored).get("hours", {}).get("zone", "UTC"))


def clock_texts(stored: e.DefinitionStored) -> Iterator[str]:
    """What each clock of this workflow means, one Markdown row each."""
    grades = {name: grade["target_s"] for name, grade in _force(stored).get("response_grades", {}).items()}
    for name, clock in sorted(_part(stored, "clocks").items()):
        targets = clock.get("targets") or (grades if clock.get("by") == "response_grade" else {})
        target = ", ".join(f"{value} {target_s}" for value, target_s in targets.items()) or clock["target_s"]
        target = f"until `{clock['until_fact']}`" if "until_fact" in clock else target
        yield f"| `{name}` | {clock['name']} | {target} | {clock.get('why', '')} |"


def files_that_leave(stored: e.DefinitionStored) -> Iterator[tuple[str, str]]:
    """(name, text) of each file; for licensed wording only its name and hash, in a file of another kind."""
    for name, text in sorted(stored.files.items()):
        if name.startswith(LICENSED):
            digest = hashlib.sha256(text.encode()).hexdigest()
            yield f"{name}.withheld", LEFT_BEHIND.format(name=name, digest=digest)
        else:
            yield name, text


def _part(stored: e.DefinitionStored, part: str) -> dict[str, Any]:
    """Every table of this part: the workflow's own, those of the parts that it shares, as the force changes them."""
    shared = sorted(name for name in stored.files if name.startswith("parts/") and name.endswith(f"/{part}.toml"))
    tables: dict[str, Any] = {}
    for name in (*shared, f"{stored.workflow}/{part}.toml"):
        tables |= _toml(stored, name)
    changes = _force(stored).get("changes", {}).get(stored.workflow, {}).get(part, {})
    for key, change in changes.items():
        tables[key] = {**tables.get(key, {}), **change}
    return {key: table for key, table in tables.items() if not table.get("remove")}


def _force(stored: e.DefinitionStored) -> Mapping[str, Any]:
    return _toml(stored, next((name for name in stored.files if name.startswith("forces/")), ""))


def _toml(stored: e.DefinitionStored, name: str) -> dict[str, Any]:
    return tomllib.loads(stored.files.get(name, ""))
