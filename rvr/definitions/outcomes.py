"""Reads the Home Office outcome types and the named sets of them: `workflows/tables/outcomes.toml`."""

from __future__ import annotations

from datetime import date
from typing import Any

from rvr.core import workflow as w
from rvr.definitions.reading import Reading

FILE = "tables/outcomes.toml"


def read_outcomes(reading: Reading) -> dict[str, w.OutcomeCode]:
    """The outcome types by code. Without the file a workflow records no outcomes."""
    outcomes = {}
    for key, table in _table(reading, "code").items():
        if reading.keys(FILE, f"code.{key}", table, "name", "since until needs") is not None:
            outcomes[key] = w.OutcomeCode(
                key,
                table["name"],
                table.get("since", date.min),
                table.get("until", date.max),
                tuple(table.get("needs", ())),
            )
    return outcomes


def read_outcome_sets(reading: Reading) -> tuple[w.OutcomeSet, ...]:
    """The named sets, each with its codes, its date and whose it is."""
    sets = []
    for key, table in _table(reading, "set").items():
        if reading.keys(FILE, f"set.{key}", table, "name codes since source") is None:
            continue
        for code in table["codes"]:
            if code not in _table(reading, "code"):
                reading.fault(FILE, f"set.{key}", f"unknown outcome code `{code}`")
        sets.append(w.OutcomeSet(key, table["name"], tuple(table["codes"]), table["since"], table["source"]))
    return tuple(sets)


def _table(reading: Reading, key: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = reading.toml(FILE).get(key, {}) if FILE in reading.files else {}
    return found
