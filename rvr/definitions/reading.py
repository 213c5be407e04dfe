"""TOML as it is read here: every wrong key, shape and condition is told with its place, and none stops the rest."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import Any

from rvr.core import conditions

SHAPES: Mapping[str, type] = {
    **dict.fromkeys(("from", "who", "asks", "may_ask", "needs", "starts", "stops"), list),
    **dict.fromkeys(("cancels", "runs_in", "thresholds", "options", "instruments", "question", "bands"), list),
    **dict.fromkeys(("next", "groups", "fields", "parts", "checks", "also", "codes", "days", "serves"), list),
    **dict.fromkeys(("paused_in", "pauses", "resumes"), list),
    **dict.fromkeys(("sets", "targets", "where", "areas", "teams", "changes", "response_grades"), dict),
    **dict.fromkeys(("target_s", "after_s", "max", "at_least", "link_minutes", "within_days", "due_s"), int),
    **dict.fromkeys(("open", "keeps_officer", "session", "ended", "personal", "hard", "board", "critical"), bool),
    **dict.fromkeys(("corrects", "later", "remove", "outstanding", "restarts", "daytime"), bool),
    **dict.fromkeys(("id", "name", "label", "say", "ask", "event", "owner", "team", "level", "met"), str),
    **dict.fromkeys(("group", "proposes", "counts", "source", "email", "channel", "why_paused"), str),
    **dict.fromkeys(("since", "until"), date),
    **dict.fromkeys(("set", "scale", "rows", "columns", "combination", "together"), list),
    **dict.fromkeys(("topic", "kind", "help", "about", "score", "suggests", "critical_suggests"), str),
    **dict.fromkeys(("licence", "version", "why"), str),
    **dict.fromkeys(("topics", "labels"), dict),
    **dict.fromkeys(("optional", "local"), bool),
    **dict.fromkeys(("states", "consents", "blocks", "stratum", "stop", "delivered", "completed"), list),
    **dict.fromkeys(("randomised", "count", "share", "capacity"), int),
    **dict.fromkeys(("outside",), bool),
    **dict.fromkeys(("compares", "primary_outcome"), str),
    **dict.fromkeys(("after",), date),
}
"""What a key holds, wherever it stands."""

_SHAPE_NAMES = {
    list: "a list",
    dict: "a table",
    int: "a whole number",
    bool: "true or false",
    str: "text",
    date: "a date",
}


def digest(files: Mapping[str, str]) -> str:
    """The content hash of a definition: SHA-256 over the canonical JSON of its file names and texts."""
    canonical = json.dumps(dict(files), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class Reading:
    """Files being read, and the faults found in them; what is faulty is left out, so that the rest is still checked."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.faults: list[str] = []
        self._parsed: dict[str, dict[str, Any]] = {}

    @cached_property
    def force_file(self) -> str:
        return next(file for file in self.files if file.startswith("forces/"))

    def fault(self, file: str, place: str, what: str) -> None:
        self.faults.append(f"{file}: {place}: {what}" if place else f"{file}: {what}")

    def toml(self, file: str) -> dict[str, Any]:
        """The file's table; an empty one when it is missing or broken, which is told once."""
        if file not in self._parsed:
            self._parsed[file] = self._parse(file)
        return self._parsed[file]

    def _parse(self, file: str) -> dict[str, Any]:
        if file not in self.files:
            self.fault(file, "", "is missing")
            return {}
        try:
            return tomllib.loads(self.files[file])
        except tomllib.TOMLDecodeError as bad:
            self.fault(file, "", f"is not TOML: {bad}")
            return {}

    def keys(self, file: str, place: str, table: Any, needed: str, allowed: str = "") -> dict[str, Any] | None:
        """The table if its keys are right; tells each that is missing or unknown."""
        if not isinstance(table, dict):
            self.fault(file, place, "must be a table")
            return None
        known = (*needed.split(), *allowed.split())
        for key in table:
            if key not in known:
                self.fault(file, place, f"unknown key `{key}` (known: {', '.join(known)})")
        bad = [f"`{key}` is missing" for key in needed.split() if key not in table]
        for key, value in table.items():
            if key in SHAPES and type(value) is not SHAPES[key]:
                bad.append(f"`{key}` must be {_SHAPE_NAMES[SHAPES[key]]}")
        for what in bad:
            self.fault(file, place, what)
        return None if bad or any(key not in known for key in table) else table

    def condition(self, file: str, place: str, data: Any) -> conditions.Condition | None:
        try:
            return conditions.parse(data)
        except (ValueError, TypeError, AttributeError) as bad:
            self.fault(file, place, str(bad))
            return None
