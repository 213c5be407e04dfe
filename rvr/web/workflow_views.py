"""A workflow as people and programs read it: everything that its files say, in words where words are needed."""

from __future__ import annotations

from datetime import date
from typing import Any

from rvr.core import forms
from rvr.core.workflow import Move, Trigger, Workflow


def workflow_json(flow: Workflow) -> dict[str, Any]:
    """The whole definition."""
    return {
        "id": flow.id,
        "name": flow.name,
        "version": flow.hash,
        "opens": {"who": flow.opens_who, "form": forms.json_schema(flow, flow.opens_asks, flow.opens_may_ask)},
        "states": {
            s.id: {"name": s.name, "owner": s.owner, "open": s.open, "say": s.say, "next": s.next}
            for s in flow.states.values()
        },
        "moves": {move.id: _move(flow, move) for move in flow.moves.values()},
        "clocks": {
            c.id: {
                "name": c.name,
                "target_s": c.target_s,
                "targets": dict(c.targets),
                "by": c.by,
                "counts": c.counts,
                "starts": [_trigger(one) for one in c.starts],
                "stops": [_trigger(one) for one in c.stops],
                "cancels": [_trigger(one) for one in c.cancels],
                "runs_in": c.runs_in,
                "paused_in": c.paused_in,
                "pauses": [_trigger(one) for one in c.pauses],
                "resumes": [_trigger(one) for one in c.resumes],
                "why_paused": c.why_paused,
                "why": c.why,
                "thresholds": [{"after_s": t.after_s, "do": t.do, "say": t.say} for t in c.thresholds],
            }
            for c in flow.clocks.values()
        },
        "criteria": {
            c.id: {
                "ask": c.ask,
                "why": c.why,
                "source": c.source,
                "met": c.met,
                "hard": c.hard,
                "way_out": c.way_out,
                **dated(c.since, c.until),
            }
            for c in flow.criteria.values()
        },
        "rules": {
            r.id: {
                "proposes": r.proposes,
                "say": r.say,
                "source": r.source,
                "counts": r.counts,
                "within_days": r.within_days,
                "at_least": r.at_least,
                **dated(r.since, r.until),
            }
            for r in flow.rules.values()
        },
        "routing": [{"id": route.id, "team": route.team, "say": route.say} for route in flow.routes],
        "safeguarding": {
            s.id: {"name": s.name, "group": s.group, "owner": s.owner, "due_s": s.due_s}
            for s in flow.safeguarding.values()
        },
        "suspects": {
            s.id: {"name": s.name, "to": s.to, "outstanding": s.outstanding} for s in flow.suspect_states.values()
        },
        "outcomes": {
            o.code: {"name": o.name, "needs": o.needs, **dated(o.since, o.until)} for o in flow.outcomes.values()
        },
        "outcome_sets": [
            {"id": s.id, "name": s.name, "codes": s.codes, "since": s.since.isoformat(), "source": s.source}
            for s in flow.outcome_sets
        ],
        "partners": {
            p.id: {"name": p.name, "kind": p.kind, "serves": p.serves, "days": p.days}
            for p in flow.force.partners.values()
        },
    }


def _move(flow: Workflow, move: Move) -> dict[str, Any]:
    return {
        "name": move.name,
        "from": move.sources,
        "to": [branch.state for branch in move.to if branch.state],
        "who": move.who,
        "event": move.event,
        "why": move.why,
        "needs": {guard: flow.guards[guard].say for guard in move.needs},
        "checks": {guard: flow.guards[guard].say for guard in move.checks},
        "form": forms.json_schema(flow, move.asks, move.may_ask),
    }


def _trigger(trigger: Trigger) -> dict[str, Any]:
    return {"event": trigger.event, "where": {name: list(values) for name, values in trigger.where.items()}}


def dated(since: date, until: date) -> dict[str, str | None]:
    """From when until when it holds; None where nothing is said."""
    return {
        "since": None if since == date.min else since.isoformat(),
        "until": None if until == date.max else until.isoformat(),
    }
