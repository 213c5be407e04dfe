"""A case and its events as rows: ids as pseudonyms, codes as codes, and no text that is not a code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rvr.core import events as e
from rvr.core.moment import iso, parse_iso
from rvr.evaluation import codebook, timings
from rvr.evaluation.pseudonyms import Alias

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(slots=True)
class Writing:
    """What the rows need besides the case, and what is counted on the way."""

    alias: Alias
    definitions: Mapping[str, e.DefinitionStored]
    cut: datetime
    coded: dict[str, frozenset[str]] = field(default_factory=dict)
    """Workflow version -> the form fields whose answers are codes."""
    used: set[str] = field(default_factory=set)
    """Workflow versions that occur."""
    cases: int = 0
    events: int = 0
    clocks: int = 0
    withheld: int = 0

    def __post_init__(self) -> None:
        self.coded = {version: codebook.coded_fields(stored) for version, stored in self.definitions.items()}

    def code(self, value: Any) -> Any:
        """The value if it is a code or a number; never free text."""
        if isinstance(value, str) and value:
            if _UUID.fullmatch(value):
                return self.alias("id", value)
            if not codebook.CODE.fullmatch(value):
                self.withheld += 1
                return codebook.WITHHELD
        return value

    def codes(self, values: Mapping[str, Any], known: frozenset[str] | None = None) -> dict[str, Any]:
        """The coded answers of a form, or all of a map when no form's fields are given."""
        told = {name: value for name, value in values.items() if known is None or name in known}
        self.withheld += len(values) - len(told)
        return {self.code(name): self.code(value) for name, value in told.items()}


def case_row(log: Sequence[e.Recorded], writing: Writing) -> dict[str, Any]:
    """The row of cases.csv."""
    found = timings.moments(log)
    measured = timings.durations(found)
    last = log[-1]
    row: dict[str, Any] = timings.times(found)
    row |= {name: timings.seconds(microseconds) for name, microseconds in measured.items()}
    row |= timings.verdicts(found, measured, writing.cut)
    row |= _who(log, found, writing)
    row |= _what(found, writing)
    row |= {
        "response_kind": timings.response_kind(found),
        "interruptions": timings.interruptions(log),
        "handover_offers": sum(r.event.type == "HandoverOffered" for r in log),
        "final_state": last.event.state,
        "censored_at": "" if "ended_at" in found else iso(writing.cut),
    }
    return row


def _who(log: Sequence[e.Recorded], found: timings.Moments, writing: Writing) -> dict[str, Any]:
    alias, first = writing.alias, log[0]
    victim, suspect = (_of(found, "received_at", name) for name in ("victim_id", "suspect_id"))
    return {
        "case": case_of(alias, first),
        "force": first.force,
        "victim": alias("victim", victim),
        "suspect": alias("suspect", suspect),
        "pair": alias("pair", f"{victim}|{suspect}") if victim and suspect else "",
        "officer": alias("staff", _of(found, "_officer", "officer")),
        "workflow": writing.code(_of(found, "received_at", "workflow")),
        "workflow_version": _version(log),
        **_details(log, writing),
    }


def _version(log: Sequence[e.Recorded]) -> str:
    return next((r.event.definition for r in reversed(log) if r.event.definition), "")


def case_of(alias: Alias, recorded: e.Recorded) -> str:
    return alias("case", recorded.stream.removeprefix("case/"))


def _of(found: timings.Moments, milestone: str, name: str) -> Any:
    """A field of that milestone's event; empty when it did not happen or has no such field."""
    return getattr(found[milestone].event.fact, name, "") if milestone in found else ""


def _details(log: Sequence[e.Recorded], writing: Writing) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for recorded in log:
        if isinstance(recorded.event.fact, e.CaseOpened | e.DetailsRecorded):
            coded = writing.coded.get(recorded.event.definition, frozenset())
            answers |= {k: v for k, v in recorded.event.fact.details.items() if k in coded}
    return {column: writing.code(answers.get(name, "")) for column, name in codebook.CASE_DETAILS.items()}


def _what(found: timings.Moments, writing: Writing) -> dict[str, Any]:
    eligible = _of(found, "_eligibility", "eligible")
    answered = found.get("call_answered_at")
    values = {
        "call_answered_source": answered.event.stated_source if answered else "",
        "eligible": eligible,
        "consented": True if "_consent" in found else (False if "_refusal" in found else ""),
        "desk_capacity_at_offer": _of(found, "_capacity", "free"),
        "first_contact_mode": _of(found, "first_contact_at", "mode"),
        "risk_tool": _of(found, "risk_assessed_at", "tool"),
        "risk_level_first": _of(found, "risk_assessed_at", "risk_level"),
        "risk_level_last": _of(found, "_risk", "risk_level") or _of(found, "_risk", "after"),
        "grade": _of(found, "_risk", "risk_level") or _of(found, "_risk", "after"),
        "response_grade_first": _of(found, "deployment_requested_at", "response_grade"),
        "response_grade_last": _of(found, "_deployment", "response_grade"),
        "arrival_source": _of(found, "attended_at", "arrival_source"),
        "decision": {"CaseAllocated": "allocated", "CaseFiled": "filed"}.get(_type(found, "decided_at"), ""),
        "allocated_to": _of(found, "decided_at", "team"),
        "outcome_code": _of(found, "_outcome", "outcome_code"),
    }
    because = ";".join(writing.code(name) for name in _of(found, "_eligibility", "because"))
    return {name: writing.code(value) for name, value in values.items()} | {"ineligible_because": because}


def _type(found: timings.Moments, milestone: str) -> str:
    return found[milestone].event.type if milestone in found else ""


def event_row(recorded: e.Recorded, writing: Writing) -> dict[str, Any]:
    """The row of events.csv."""
    event, alias = recorded.event, writing.alias
    return {
        "case": case_of(alias, recorded),
        "version": recorded.version,
        "type": event.type,
        "at": iso(event.at.at),
        "recorded_at": iso(recorded.recorded_at),
        "stated_at": iso(parse_iso(event.stated_at)) if event.stated_at else "",
        "stated_source": writing.code(event.stated_source),
        "by_role": event.by_role,
        "by": alias.person(event.by),
        "workflow_version": event.definition,
        "state": event.state,
        "clock_error_us": event.at.error_us,
        "clocks_started": ";".join(f"{c.clock}:{c.run}:{c.target_s}" for c in event.clocks if c.change == "started"),
        "clocks_stopped": ";".join(f"{c.clock}:{c.run}:{c.verdict}" for c in event.clocks if c.change == "stopped"),
        "desk_on_duty": event.basis.get("on_duty"),
        "desk_free": event.basis.get("free"),
        **_fields(event, writing),
    }


def _fields(event: e.Event, writing: Writing) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in _public_names(type(event.fact)):
        value = getattr(event.fact, name)
        if name in codebook.ID_FIELDS:
            told[name] = writing.alias(codebook.ID_FIELDS[name], value)
        elif isinstance(value, Mapping):
            known = writing.coded.get(event.definition, frozenset()) if name == "details" else None
            told[name] = json.dumps(writing.codes(value, known), sort_keys=True, separators=(",", ":"))
        elif isinstance(value, tuple):
            told[name] = ";".join(str(writing.code(item)) for item in value)
        else:
            told[name] = writing.code(value)
    return told


_NAMES: dict[type[e.Fact], tuple[str, ...]] = {}


def _public_names(kind: type[e.Fact]) -> tuple[str, ...]:
    if kind not in _NAMES:
        _NAMES[kind] = tuple(f.name for f in codebook.public_fields(kind))
    return _NAMES[kind]
