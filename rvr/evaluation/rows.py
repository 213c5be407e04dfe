"""A case and its events as rows: ids as pseudonyms, codes as codes, and no text that is not a code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rvr.core import events as e
from rvr.core.feedback import QUESTIONS
from rvr.core.history import DAY_S, VOIDED
from rvr.core.moment import iso, parse_iso
from rvr.evaluation import codebook, columns, milestones, stored_text, timings
from rvr.evaluation.desk_clock import DeskClock
from rvr.evaluation.leaving_times import LeavingTimes
from rvr.evaluation.milestones import NO_OUTCOME
from rvr.evaluation.pseudonyms import Alias

TWELVE_MONTHS = timedelta(seconds=365 * DAY_S)

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(slots=True)
class Writing:
    """What the rows need besides the case, and what is counted on the way."""

    alias: Alias
    definitions: Mapping[str, e.DefinitionStored]
    cut: datetime
    clock: DeskClock
    times: LeavingTimes
    unblinded: bool = False
    """Whether the arms of a trial leave by their ids; else by their letters."""
    coded: dict[str, frozenset[str]] = field(default_factory=dict)
    """Workflow version -> the form fields whose answers are codes."""
    outcome_sets: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)
    """Workflow version -> the named sets of outcome codes."""
    zones: dict[str, ZoneInfo] = field(default_factory=dict)
    """Workflow version -> the zone on the force's wall."""
    reports: dict[str, list[datetime]] = field(default_factory=dict)
    """Victim -> when each case so far was opened that was not voided."""
    used: set[str] = field(default_factory=set)
    """Workflow versions that occur."""
    cases: int = 0
    events: int = 0
    clocks: int = 0
    withheld: int = 0

    def __post_init__(self) -> None:
        self.coded = {version: stored_text.coded_fields(stored) for version, stored in self.definitions.items()}
        self.outcome_sets = {version: stored_text.outcome_sets(stored) for version, stored in self.definitions.items()}
        self.zones = {version: ZoneInfo(stored_text.zone(stored)) for version, stored in self.definitions.items()}

    def arm(self, allocated: e.ArmAllocated, arm: str) -> str:
        """An arm as this package tells it; empty for none."""
        return str(self.code(arm) if self.unblinded else self.code(allocated.labels.get(arm, "")))

    def place(self, allocated: e.ArmAllocated) -> int | str:
        """A place tells which cases of its stratum were drawn before: nothing where times are not to tell that."""
        return "" if self.times.changed else allocated.place

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

    def listed(self, values: Iterable[Any]) -> str:
        """Several codes in one cell."""
        return ";".join(str(self.code(value)) for value in values)

    def mapped(self, values: Mapping[str, Any], known: frozenset[str] | None = None) -> str:
        """A map of codes as canonical JSON."""
        return json.dumps(self.codes(values, known), sort_keys=True, separators=(",", ":"))


def case_row(log: Sequence[e.Recorded], found: milestones.Moments, writing: Writing) -> dict[str, Any]:
    """The row of cases.csv. `found`: the milestones of this log; cases come in the order in which they were opened."""
    measured = timings.durations(found)
    last = log[-1]
    row: dict[str, Any] = milestones.times(found)
    row |= {name: timings.seconds(microseconds) for name, microseconds in measured.items()}
    row |= timings.verdicts(found, measured, writing.cut)
    row |= _who(log, found, writing)
    row |= _what(found, writing)
    row |= {
        "response_kind": timings.response_kind(found),
        "interruptions": timings.interruptions(log),
        "prior_reports_12m": _reports_before(log, writing),
        "handover_offers": sum(r.event.type == "HandoverOffered" for r in log),
        "referrals": sum(r.event.type == "ReferralMade" for r in log),
        "escalations": writing.listed(r.event.fact.rule for r in log if isinstance(r.event.fact, e.EscalationProposed)),
        "final_state": last.event.state,
        "censored_at": "" if "ended_at" in found else iso(writing.cut),
        **writing.clock.of(log),
    }
    return row


def _who(log: Sequence[e.Recorded], found: milestones.Moments, writing: Writing) -> dict[str, Any]:
    alias, first = writing.alias, log[0]
    known = people(log)
    victim, suspect = known["victim"], known["suspect"]
    return {
        "case": case_of(alias, first),
        "force": first.force,
        "victim": alias("victim", victim),
        "suspect": alias("suspect", suspect),
        "pair": alias("pair", f"{victim}|{suspect}") if victim and suspect else "",
        "officer": alias("staff", _of(found, "_officer", "officer")),
        "workflow": writing.code(_of(found, "received_at", "workflow")),
        "workflow_version": version_of(log),
        **_details(log, writing),
    }


def people(log: Sequence[e.Recorded]) -> dict[str, str]:
    """The ids of victim and suspect, by role, as somebody last confirmed them."""
    people = {"victim": "", "suspect": ""}
    for recorded in log:
        match recorded.event.fact:
            case e.CaseOpened(victim_id=victim, suspect_id=suspect):
                people = {"victim": victim, "suspect": suspect}
            case e.PersonMatched(role=role, person=person):
                people[role] = person
    return people


def _reports_before(log: Sequence[e.Recorded], writing: Writing) -> int:
    """Cases of this victim in the twelve months before. This one is noted for those that follow."""
    opened, earlier = log[0].event.at.at, writing.reports.setdefault(people(log)["victim"], [])
    count = sum(opened - at <= TWELVE_MONTHS for at in earlier)
    if log[-1].event.state != VOIDED:
        earlier.append(opened)
    return count


def version_of(log: Sequence[e.Recorded]) -> str:
    """Content hash of the workflow of the last event that tells one."""
    return next((r.event.definition for r in reversed(log) if r.event.definition), "")


def case_of(alias: Alias, recorded: e.Recorded) -> str:
    return alias("case", recorded.stream.removeprefix("case/"))


def _of(found: milestones.Moments, milestone: str, name: str) -> Any:
    """A field of that milestone's event; empty when it did not happen or has no such field."""
    return getattr(found[milestone].event.fact, name, "") if milestone in found else ""


def _details(log: Sequence[e.Recorded], writing: Writing) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for recorded in log:
        if isinstance(recorded.event.fact, e.CaseOpened | e.DetailsRecorded):
            coded = writing.coded.get(recorded.event.definition, frozenset())
            answers |= {k: v for k, v in recorded.event.fact.details.items() if k in coded}
    return {
        column: next((writing.code(answers[name]) for name in names if name in answers), "")
        for column, names in columns.CASE_DETAILS.items()
    }


def _what(found: milestones.Moments, writing: Writing) -> dict[str, Any]:
    answered = found.get("call_answered_at")
    values = {
        "call_answered_source": answered.event.stated_source if answered else "",
        **_verdict(found),
        "desk_capacity_at_offer": _of(found, "_at_offer", "free"),
        "first_contact_mode": _of(found, "first_contact_at", "mode"),
        "risk_tool": _of(found, "risk_assessed_at", "tool"),
        "risk_level_reported": _of(found, "_risk_reported", "risk_level"),
        "risk_level_first": _of(found, "risk_assessed_at", "risk_level"),
        "risk_level_last": _of(found, "_risk", "risk_level") or _of(found, "_risk", "after"),
        "grade": _of(found, "_risk", "risk_level") or _of(found, "_risk", "after"),
        "response_grade_first": _of(found, "deployment_requested_at", "response_grade"),
        "response_grade_last": _of(found, "_deployment", "response_grade"),
        "arrival_source": _of(found, "attended_at", "arrival_source"),
        "decision": {"CaseAllocated": "allocated", "CaseFiled": "filed"}.get(_type(found, "decided_at"), ""),
        "allocated_to": _of(found, "decided_at", "team"),
        "outcome_code": _of(found, "_outcome", "outcome_code"),
        "appointment_at": _of(found, "_appointment", "starts_at"),
        "support_last": _of(found, "_support", "support"),
        "charged_on": _of(found, "charged_at", "charged_on"),
        "first_hearing_on": _of(found, "charged_at", "first_hearing_on"),
    }
    because = writing.listed(_of(found, "_eligibility", "because"))
    return {name: writing.code(value) for name, value in values.items()} | {"ineligible_because": because}


def _verdict(found: milestones.Moments) -> dict[str, Any]:
    """Whether the victim was eligible and agreed to video; empty: never decided, never asked."""
    return {
        "eligible": _of(found, "_eligibility", "eligible"),
        "consented": True if "_consent" in found else (False if "_refusal" in found else ""),
    }


def _type(found: milestones.Moments, milestone: str) -> str:
    return found[milestone].event.type if milestone in found else ""


def screening_row(log: Sequence[e.Recorded], found: milestones.Moments, writing: Writing) -> dict[str, Any]:
    """The row of screening.csv."""
    given = {r.event.fact.criterion: r.event.fact.answer for r in log if isinstance(r.event.fact, e.CriterionAnswered)}
    results = _of(found, "_eligibility", "results")
    row = {
        "case": case_of(writing.alias, log[0]),
        "workflow": writing.code(_of(found, "received_at", "workflow")),
        "screened_at": milestones.time_text(found, "_eligibility"),
        **_verdict(found),
        "way_out": writing.code(_of(found, "_eligibility", "way_out")),
        "results": writing.mapped(results) if results else "",
        "answers": writing.mapped(given) if given else "",
    }
    row |= {name: milestones.time_text(found, name) for name in columns.SCREENING_MILESTONES}
    for looked in log:
        if isinstance(looked.event.fact, e.TriageChecked):
            finding = writing.code(looked.event.fact.finding)
            row |= {"triage_checked_at": iso(looked.event.at.at), "triage_finding": finding}
    for name, field_name in (("ineligible_because", "because"), ("concerns", "concerns")):
        row[name] = writing.listed(_of(found, "_eligibility", field_name))
    for moment in ("screening", "offer", "acceptance"):
        for name in ("on_duty", "free", "desk_open"):
            row[f"{moment}_{name}"] = _of(found, f"_at_{moment}", name)
    return row


def suspect_rows(log: Sequence[e.Recorded], writing: Writing) -> Iterator[dict[str, Any]]:
    """The rows of suspects.csv: whoever the case was opened against, and each suspect who came to notice later."""
    opening = ""
    known: dict[str, list[tuple[str, str]]] = {}
    for recorded in log:
        at = iso(recorded.event.at.at)
        match recorded.event.fact:
            case e.CaseOpened(suspect_id=opening):
                known[opening] = []
            case e.PersonMatched(role="suspect", person=person):
                known = {person if id_ == opening else id_: statuses for id_, statuses in known.items()}
                opening = person
            case e.SuspectAdded(suspect=suspect, status=status) | e.SuspectStatusChanged(suspect=suspect, after=status):
                known.setdefault(suspect, []).append((status, at))
    for suspect, statuses in known.items():
        status, since = statuses[-1] if statuses else ("", "")
        yield {
            "case": case_of(writing.alias, log[0]),
            "suspect": writing.alias("suspect", suspect),
            "of_opening": suspect == opening,
            "status": writing.code(status),
            "status_at": since,
            "statuses": writing.mapped(dict(reversed(statuses))) if statuses else "",
        }


def outcome_rows(log: Sequence[e.Recorded], writing: Writing) -> Iterator[dict[str, Any]]:
    """The rows of outcomes.csv. Nought is no outcome: it has no row, and stands in no denominator."""
    for recorded in log:
        event, fact = recorded.event, recorded.event.fact
        if isinstance(fact, e.OutcomeRecorded) and fact.outcome_code != NO_OUTCOME:
            sets = writing.outcome_sets.get(event.definition, {})
            yield {
                "case": case_of(writing.alias, recorded),
                "version": recorded.version,
                "at": iso(event.at.at),
                "outcome_code": writing.code(fact.outcome_code),
                "in_sets": writing.listed(name for name, codes in sets.items() if fact.outcome_code in codes),
                "support": writing.code(fact.support),
                "evidence_led": writing.code(fact.evidence_led),
                "workflow_version": event.definition,
            }


CONSENTS = {e.ConsentGiven: "given", e.ConsentRefused: "refused", e.ConsentWithdrawn: "withdrawn"}


def feedback_rows(log: Sequence[e.Recorded], writing: Writing) -> Iterator[dict[str, Any]]:
    """The row of feedback.csv; none, where nobody asked whether questions may be sent."""
    told: dict[str, Any] = {}
    for recorded in log:
        fact, at = recorded.event.fact, iso(recorded.event.at.at)
        match fact:
            case e.ConsentGiven() | e.ConsentRefused() | e.ConsentWithdrawn() if fact.kind == "feedback":
                told["agreed"] = CONSENTS[type(fact)]
            case e.FeedbackInvited():
                told["invited_at"] = at
            case e.FeedbackWithheld(because=because):
                told["withheld_because"] = writing.code(because)
            case e.FeedbackGiven():
                told |= {"answered_at": at, **{name: writing.code(getattr(fact, name)) for name in QUESTIONS}}
    if told:
        yield {"case": case_of(writing.alias, log[0]), **told}


def event_row(recorded: e.Recorded, writing: Writing) -> dict[str, Any]:
    """The row of events.csv."""
    event, alias = recorded.event, writing.alias
    machine, reading_us = writing.times.machine(recorded)
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
        **_clock_changes(event.clocks),
        "desk_on_duty": event.basis.get("on_duty"),
        "desk_free": event.basis.get("free"),
        "machine": machine,
        "boottime_us": reading_us,
        **_fields(event, writing),
    }


def _clock_changes(changes: Sequence[e.ClockChange]) -> dict[str, str]:
    told: dict[str, list[str]] = {"started": [], "paused": [], "resumed": [], "stopped": []}
    for change in changes:
        more = {"started": [str(change.target_s)], "stopped": [change.verdict]}.get(change.change, [])
        if change.counts != "always":
            more.append(change.counts)
        told[change.change].append(":".join((change.clock, str(change.run), *more)))
    return {f"clocks_{what}": ";".join(clocks) for what, clocks in told.items()}


def _fields(event: e.Event, writing: Writing) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in _public_names(type(event.fact)):
        value = getattr(event.fact, name)
        if isinstance(event.fact, e.ArmAllocated) and name in ("arm", "labels") and not writing.unblinded:
            told[name] = writing.arm(event.fact, value) if name == "arm" else ""
        elif isinstance(event.fact, e.ArmAllocated) and name == "place":
            told[name] = writing.place(event.fact)
        elif of := codebook.id_in(type(event.fact), name):
            told[name] = writing.alias(getattr(event.fact, of) if of == codebook.ROLE else of, value)
        elif isinstance(value, Mapping):
            known = writing.coded.get(event.definition, frozenset()) if name == "details" else None
            told[name] = writing.mapped(value, known)
        elif isinstance(value, tuple):
            told[name] = writing.listed(value)
        else:
            told[name] = writing.code(value)
    return told


_NAMES: dict[type[e.Fact], tuple[str, ...]] = {}


def _public_names(kind: type[e.Fact]) -> tuple[str, ...]:
    if kind not in _NAMES:
        _NAMES[kind] = tuple(f.name for f in codebook.public_fields(kind))
    return _NAMES[kind]
