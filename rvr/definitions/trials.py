"""Reads the design of a trial: `trial.toml` of a workflow, with what the force changes in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rvr.core.trial import Arm, Design, Stop, Stratum, digest
from rvr.core.triggers import Trigger
from rvr.definitions.reading import Reading

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""Ids of trials and strata name streams of the log."""

_OPTIONAL = "capacity outside stop wording source"


def read_trial(reading: Reading, file: str, changes: Mapping[str, Any]) -> Design | None:
    """The design; None when there is none, or too little of it. `changes`: the keys that the force writes anew."""
    if file not in reading.files:
        return None
    told = {**reading.toml(file), **changes}
    needed = "id name compares primary_outcome states consents blocks arm stratum"
    table = reading.keys(file, "", told, needed, _OPTIONAL)
    if table is None or not _shapes(reading, file, table):
        return None
    arms = {key: arm for key, one in table["arm"].items() if (arm := _arm(reading, file, key, one)) is not None}
    return Design(
        id=table["id"],
        name=table["name"],
        compares=table["compares"],
        primary_outcome=table["primary_outcome"],
        arms=arms,
        strata=tuple(_strata(reading, file, table["stratum"])),
        blocks=tuple(table["blocks"]),
        states=tuple(table["states"]),
        consents=tuple(table["consents"]),
        digest=digest(table),
        capacity=table.get("capacity", 1),
        outside=table.get("outside", True),
        stops=tuple(_stops(reading, file, table.get("stop", ()))),
        wording=table.get("wording", ""),
        source=table.get("source", ""),
    )


def _shapes(reading: Reading, file: str, table: Mapping[str, Any]) -> bool:
    """What the lists hold, and the ids."""
    wanted = {"blocks": int, "states": str, "consents": str, "stratum": dict, "stop": dict}
    good = isinstance(table["arm"], dict)
    if not good:
        reading.fault(file, "arm", "must be a table: [arm.NAME] for each")
    for key, kind in wanted.items():
        if any(type(one) is not kind for one in table.get(key, ())):
            reading.fault(file, key, f"holds something else than {'tables' if kind is dict else kind.__name__}")
            good = False
    strata = [str(one.get("id", "")) for one in table["stratum"]] if good else []
    for place, id_ in (("id", str(table["id"])), *(("stratum", id_) for id_ in strata)):
        if not _ID.fullmatch(id_):
            reading.fault(file, place, f"`{id_}` is no id: small letters, digits, - and _ only")
            good = False
    return good


def _arm(reading: Reading, file: str, key: str, told: Any) -> Arm | None:
    place = f"arm.{key}"
    table = reading.keys(file, place, told, "name say delivered", "share opens completed")
    if table is None:
        return None
    opens = table.get("opens", [])
    if not isinstance(opens, list) or not all(isinstance(move, str) for move in opens):
        reading.fault(file, place, "`opens` must be a list of moves")
        opens = []
    return Arm(
        id=key,
        name=table["name"],
        say=table["say"],
        share=table.get("share", 1),
        opens=tuple(opens),
        delivered=tuple(_triggers(reading, file, place, table["delivered"])),
        completed=tuple(_triggers(reading, file, place, table.get("completed", ()))),
    )


def _triggers(reading: Reading, file: str, place: str, tables: Any) -> Iterator[Trigger]:
    for table in tables:
        if reading.keys(file, place, table, "event", "where") is not None:
            yield Trigger(table["event"], {name: tuple(values) for name, values in table.get("where", {}).items()})


def _strata(reading: Reading, file: str, tables: Any) -> Iterator[Stratum]:
    for number, table in enumerate(tables, 1):
        place = f"stratum {number}"
        if reading.keys(file, place, table, "id name when") is None:
            continue
        when = reading.condition(file, place, table["when"])
        if when is not None:
            yield Stratum(table["id"], table["name"], when)


def _stops(reading: Reading, file: str, tables: Any) -> Iterator[Stop]:
    for number, table in enumerate(tables, 1):
        if reading.keys(file, f"stop {number}", table, "id say", "randomised after event count arm") is not None:
            yield Stop(**table)
