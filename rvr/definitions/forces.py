"""Reads a force's file: `workflows/forces/<force>.toml`."""

from __future__ import annotations

from datetime import time
from typing import Any

from rvr.core.force import Force, Hours, ResponseGrade
from rvr.definitions.reading import Reading


def read_force(reading: Reading) -> Force | None:
    """The force of these files; None when its file cannot be used at all."""
    file = reading.force_file
    optional = "link_minutes changes"
    table = reading.keys(file, "", reading.toml(file), "id name hours areas teams response_grades", optional)
    if table is None:
        return None
    return Force(
        id=table["id"],
        name=table["name"],
        hours=_hours(reading, table["hours"]),
        areas=table["areas"],
        teams=table["teams"],
        response_grades=_grades(reading, table["response_grades"]),
        link_minutes=table.get("link_minutes", 15),
    )


def _hours(reading: Reading, table: Any) -> Hours:
    checked = reading.keys(reading.force_file, "hours", table, "opens closes zone", "holidays") or {}
    try:
        opens, closes = (time.fromisoformat(checked.get(key, "00:00")) for key in ("opens", "closes"))
    except ValueError as bad:
        reading.fault(reading.force_file, "hours", str(bad))
        opens = closes = time(0)
    return Hours(opens, closes, checked.get("zone", "UTC"), frozenset(checked.get("holidays", ())))


def _grades(reading: Reading, tables: dict[str, Any]) -> dict[str, ResponseGrade]:
    grades = {}
    for key, table in tables.items():
        if reading.keys(reading.force_file, f"response_grades.{key}", table, "name target_s") is not None:
            grades[key] = ResponseGrade(key, table["name"], table["target_s"])
    return grades
