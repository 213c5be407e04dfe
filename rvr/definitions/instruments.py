"""Reads the risk instruments of `workflows/risk/`."""

from __future__ import annotations

from rvr.core import risk
from rvr.definitions.reading import Reading, digest


def read_instruments(reading: Reading, names: list[str]) -> dict[str, risk.Instrument]:
    """The named instruments, by id."""
    found = {}
    for name in names:
        file = f"risk/{name}.toml"
        table = reading.keys(file, "", reading.toml(file), "id name bands question", "about source critical_suggests")
        if table is None:
            continue
        questions = [q for q in table["question"] if reading.keys(file, "question", q, "id topic", "critical")]
        bands = [b for b in table["bands"] if reading.keys(file, "bands", b, "level at_least")]
        found[name] = risk.Instrument(
            id=table["id"],
            name=table["name"],
            hash=digest({file: reading.files[file]}),
            about=table.get("about", ""),
            source=table.get("source", ""),
            questions=tuple(risk.Question(**q) for q in questions),
            bands=tuple(risk.Band(**b) for b in bands),
            critical_suggests=table.get("critical_suggests", "medium"),
        )
        for level in (*(b["level"] for b in bands), found[name].critical_suggests):
            if level not in risk.LEVELS:
                reading.fault(file, "", f"unknown level `{level}` (known: {', '.join(risk.LEVELS)})")
    return found
