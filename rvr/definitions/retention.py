"""Reads how long records are kept: `workflows/tables/retention.toml`. In no workflow's hash (see `core.retention`)."""

from __future__ import annotations

from typing import Any

from rvr.core.conditions import Condition
from rvr.core.retention import FACTS, RecordClass, Retention
from rvr.definitions.reading import Reading, digest

FILE = "tables/retention.toml"
RECORDINGS = "recordings"


def read_retention(reading: Reading) -> Retention:
    """The table; an empty one without the file."""
    if FILE not in reading.files:
        return Retention()
    top = reading.keys(FILE, "", reading.toml(FILE), "class authority reason", "recordings")
    if top is None:
        return Retention()
    classes = tuple(filter(None, (_class(reading, key, table) for key, table in top["class"].items())))
    if not classes or classes[-1].when is not None or any(one.when is None for one in classes[:-1]):
        reading.fault(FILE, "class", "the last class, and it alone, has no `when`: whatever is in no other")
    hashed = digest({FILE: reading.files[FILE]})
    recordings = _class(reading, RECORDINGS, top[RECORDINGS], RECORDINGS) if RECORDINGS in top else None
    if recordings is not None and recordings.when is not None:
        reading.fault(FILE, RECORDINGS, "holds for all of them: it has no `when`")
    return Retention(classes, _names(reading, top, "authority"), _names(reading, top, "reason"), hashed, recordings)


def _class(reading: Reading, key: str, table: Any, place: str = "") -> RecordClass | None:
    place = place or f"class.{key}"
    needed = "name minimum_years review_years source confirmed"
    if reading.keys(FILE, place, table, needed, "when") is None:
        return None
    years = table["minimum_years"], table["review_years"]
    if not all(type(one) is int and one >= 0 for one in years) or years[0] > years[1]:
        reading.fault(FILE, place, "years are whole numbers, and the review is not before the minimum is over")
        return None
    when = _condition(reading, place, table["when"]) if "when" in table else None
    if "when" in table and when is None:
        return None
    return RecordClass(id=key, **{**table, "when": when})


def _condition(reading: Reading, place: str, data: Any) -> Condition | None:
    when = reading.condition(FILE, place, data)
    for fact in when.facts() if when else ():
        if fact not in FACTS:
            reading.fault(FILE, place, f"unknown fact `{fact}` (known: {', '.join(FACTS)})")
    return when


def _names(reading: Reading, top: dict[str, Any], key: str) -> dict[str, str]:
    for code, name in top[key].items():
        if not isinstance(name, str):
            reading.fault(FILE, f"{key}.{code}", "must be text")
    return {str(code): str(name) for code, name in top[key].items()}
