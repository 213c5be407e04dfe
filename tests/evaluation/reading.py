"""Reading a package back: its tables, and where they say something else than its own events."""

from __future__ import annotations

from pathlib import Path

from rvr.evaluation import codebook
from tests.evaluation import recompute
from tests.evaluation.conftest import Week


def table(package: Path, name: str) -> list[dict[str, str]]:
    return recompute.read(package / "data" / f"{name}.csv")


def everything(package: Path) -> dict[str, bytes]:
    return {p.relative_to(package).as_posix(): p.read_bytes() for p in package.rglob("*") if p.is_file()}


def by_story(week: Week, package: Path) -> dict[str, dict[str, str]]:
    opened = {at.isoformat().replace("+00:00", "Z"): name for name, at in week.begins.items()}
    return {opened[row["received_at"]]: row for row in table(package, "cases") if row["received_at"] in opened}


def disagreements(package: Path, events: list[dict[str, str]]) -> list[tuple[str, ...]]:
    """Where the other tables say something else than what these events come to."""
    again = {
        "cases": keyed(recompute.cases(events)),
        "clocks": recompute.clocks(events, recompute.hours(package)),
        "screening": keyed(recompute.screening(events)),
        "suspects": recompute.suspects(events),
        "outcomes": recompute.outcomes(events, package),
        "feedback": recompute.feedback(events),
        "sessions": recompute.sessions(events, table(package, "quality")),
    }
    found = []
    for name, figures in again.items():
        told = {key_of(name, row): row for row in table(package, name)}
        assert set(told) == set(figures), name
        found += [
            (*key, column, told[key][column], value)
            for key, columns in figures.items()
            for column, value in columns.items()
            if told[key][column] != value
        ]
    return found


def keyed(rows: dict[str, dict[str, str]]) -> dict[tuple[str, ...], dict[str, str]]:
    return {(case,): row for case, row in rows.items()}


def key_of(name: str, row: dict[str, str]) -> tuple[str, ...]:
    (described,) = (one for one in codebook.TABLES if one.name == name)
    return tuple(row[column] for column in described.key)
