"""Which rules of a workflow no scenario shows: computed from what happened when the scenarios were played.

A rule that stands in a shared part is covered by a scenario of any workflow that uses the part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rvr.core import events as e
from rvr.core.clocks import threshold_of
from rvr.core.workflow import Workflow
from rvr.rehearsal.case import Happening, Rehearsal

REASONS = tuple(
    f"{what}_reason"
    for what in (
        *("decline", "withdraw", "hand_back", "lost", "deployment", "stand_down", "end", "return", "file", "void"),
        *("reject", "reopen"),
    )
)
"""Fields with the coded reasons that end or divert something, each of which must be shown."""

CONSENT = {"ConsentGiven": "given", "ConsentRefused": "refused", "ConsentWithdrawn": "withdrawn"}
"""What the victim said, by the fact that is written."""

REFERRAL = ("session", "room", "email")
"""How a referral may reach a partner."""


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """Something that a definition says and a scenario can show."""

    file: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.file}: {self.kind} {self.name}"


def rules_of(workflow: Workflow) -> Iterator[Rule]:
    """Every rule that some scenario should show."""
    yield from (_rule(workflow, "moves", "move", move) for move in workflow.moves)
    yield from (_rule(workflow, "criteria", "failed criterion", criterion) for criterion in workflow.criteria)
    yield from (_rule(workflow, "routing", "route", route.id) for route in workflow.routes)
    yield from (_rule(workflow, "rules", "rule", rule) for rule in workflow.rules)
    yield from (_outcome(code.code) for code in workflow.outcomes.values() if code.needs)
    for clock in workflow.clocks.values():
        yield from (_rule(workflow, "clocks", "threshold", clock.id, one.after_s) for one in clock.thresholds)
    for name in REASONS:
        yield from (_rule(workflow, "forms", "reason", name, value) for value in _options(workflow, name))
    yield from (_rule(workflow, "forms", "answer", "consent_answer", v) for v in _options(workflow, "consent_answer"))
    for suspect in workflow.suspect_states.values():
        yield from (_step(workflow, suspect.id, after) for after in suspect.to)
    for move in workflow.moves.values():
        if move.event == "ReferralMade":
            yield from (_rule(workflow, "moves", "referral", move.id, how) for how in REFERRAL)


def shown_in(rehearsal: Rehearsal) -> Iterator[Rule]:
    """Every rule that took effect in this rehearsal."""
    workflow = rehearsal.workflow
    for happening in rehearsal.happened:
        if happening.move and happening.events:
            yield _rule(workflow, "moves", "move", happening.move)
            yield from _by_move(workflow, happening)
        for event in happening.events:
            yield from _by_event(workflow, event, happening)
    yield from (_outcome(why.params["code"]) for why in rehearsal.refused if why.code == "outcome-needs")


def unshown(workflows: Iterable[Workflow], rehearsals: Iterable[Rehearsal]) -> list[Rule]:
    """The rules of these workflows that took effect in none of these rehearsals."""
    shown = {rule for rehearsal in rehearsals for rule in shown_in(rehearsal)}
    return sorted({rule for workflow in workflows for rule in rules_of(workflow)} - shown)


def _options(workflow: Workflow, name: str) -> list[str]:
    return [option.value for option in workflow.fields[name].options] if name in workflow.fields else []


def _rule(workflow: Workflow, part: str, kind: str, key: str, detail: object = "") -> Rule:
    file, _, _ = workflow.origin(part, key).partition(" (changed")
    return Rule(file, kind, f"{key} {detail}".strip())


def _outcome(code: str) -> Rule:
    return Rule("tables/outcomes.toml", "outcome with its record, or refused without it", code)


def _step(workflow: Workflow, before: str, after: str) -> Rule:
    return _rule(workflow, "suspects", "suspect's step", before, f"to {after}")


def _by_event(workflow: Workflow, event: e.Event, happening: Happening) -> Iterator[Rule]:
    match event.fact:
        case e.EligibilityDecided(results=results):
            failed = [name for name, result in results.items() if result not in ("met", "not_asked")]
            yield from (_rule(workflow, "criteria", "failed criterion", name) for name in failed)
        case e.CaseAllocated(because=route) if route:
            yield _rule(workflow, "routing", "route", route)
        case e.EscalationProposed(rule=rule):
            yield _rule(workflow, "rules", "rule", rule)
        case e.ClockRanOut(clock=clock, after_s=after_s) if clock in happening.before.clocks:
            threshold = threshold_of(workflow.clocks[clock], happening.before.clocks[clock], after_s)
            if threshold:
                yield _rule(workflow, "clocks", "threshold", clock, threshold.after_s)
        case e.ConsentGiven() | e.ConsentRefused() | e.ConsentWithdrawn():
            yield _rule(workflow, "forms", "answer", "consent_answer", CONSENT[event.type])
        case e.SuspectStatusChanged(before=before, after=after):
            yield _step(workflow, before, after)
        case e.OutcomeRecorded(outcome_code=code):
            yield _outcome(code)
        case e.ReferralMade(how=how) if happening.move:
            yield _rule(workflow, "moves", "referral", happening.move, how)


def _by_move(workflow: Workflow, happening: Happening) -> Iterator[Rule]:
    move = workflow.moves[happening.move]
    for name in set(REASONS) & set(move.fields):
        field = workflow.fields[name].fills or name
        for event in happening.events:
            if event.type == move.event:
                yield _rule(workflow, "forms", "reason", name, getattr(event.fact, field))
