"""What each move makes: the facts that are written when it is made, or the reasons why not.

Most moves are `plain`: the event's fields are the form's answers and the workflow's fixed values. Those that decide
something of their own stand here one by one, found by the event that they make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rvr.core import clocks, criteria, risk, routing
from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.commands import Actor
from rvr.core.errors import Reason, Refused
from rvr.core.moment import Moment, iso, parse_iso
from rvr.core.vocabulary import Basis
from rvr.core.workflow import Move, Workflow


@dataclass(frozen=True, slots=True)
class Asked:
    """One move being made."""

    workflow: Workflow
    case: Case
    move: Move
    form: Mapping[str, Any]
    by: Actor
    at: Moment
    basis: Basis
    facts: Mapping[str, Any]


def plain(asked: Asked) -> list[e.Fact]:
    """Most moves: the event's fields are the form's answers and the workflow's fixed values."""
    fields = asked.workflow.fields
    filled = {fields[name].fills or name: value for name, value in asked.form.items()}
    return [e.FACTS[asked.move.event](**{**asked.move.sets, **filled})]


def split_personal(workflow: Workflow, form: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    personal = {name: value for name, value in form.items() if workflow.fields[name].personal}
    return {name: value for name, value in form.items() if name not in personal}, personal


def _details(asked: Asked) -> list[e.Fact]:
    known = {**asked.case.details, **asked.case.personal}
    changed = {name: value for name, value in asked.form.items() if known.get(name) != value}
    details, personal = split_personal(asked.workflow, changed)
    return [e.DetailsRecorded(details=details, personal=personal)] if changed else []


def _criteria(asked: Asked) -> list[e.Fact]:
    before, given = asked.case.answers, asked.form["answers"]
    facts: list[e.Fact] = [
        e.CriterionAnswered(criterion=name, answer=answer)
        for name, answer in given.items()
        if before.get(name) != answer
    ]
    decided = asked.case.eligibility is not None
    verdict = criteria.evaluate(asked.workflow.criteria, {**before, **given}, even_unasked=decided)
    if facts and verdict is not None and verdict != asked.case.eligibility:
        facts.append(verdict)
    return facts


def _consent(asked: Asked) -> list[e.Fact]:
    kind, answer = asked.form["consent_kind"], asked.form["consent_answer"]
    if asked.case.consents.get(kind) == answer:
        return []
    wording = asked.workflow.consent_wording
    match answer:
        case "given":
            return [e.ConsentGiven(kind=kind, wording=wording)]
        case "refused":
            return [e.ConsentRefused(kind=kind, wording=wording)]
    if asked.case.consents.get(kind) != "given":
        raise Refused(Reason("nothing-to-withdraw", {}, "consent_answer"))
    return [e.ConsentWithdrawn(kind=kind)]


def _with_capacity(asked: Asked) -> list[e.Fact]:
    capacity = asked.basis.capacity
    noted = e.CapacityNoted(
        moment="offer" if asked.move.event == "HandoverOffered" else "acceptance",
        on_duty=capacity.on_duty,
        free=capacity.free,
        desk_open=clocks.is_open(asked.workflow.force.hours, asked.at),
    )
    return [noted, *plain(asked)]


def _assign(asked: Asked) -> list[e.Fact]:
    wanted = asked.form["officer"]
    officer = asked.basis.officers.get(wanted)
    if officer is None:
        raise Refused(Reason("unknown-officer", {}, "officer"))
    if wanted == asked.case.officer and asked.case.engaged:
        raise Refused(Reason("officer-already-assigned", {}, "officer"))
    if not officer.free:
        raise Refused(Reason("officer-not-free", {"status": "busy" if officer.case else officer.status}, "officer"))
    released = [e.OfficerReleased(officer=asked.case.officer, because="reassigned")] if asked.case.engaged else []
    return [*released, e.OfficerAssigned(officer=wanted)]


def _send_link(asked: Asked) -> list[e.Fact]:
    session, fresh = asked.case.session, asked.basis.ids
    prepared: list[e.Fact] = []
    if session is None or session.ended_at:
        prepared = [e.SessionPrepared(session=fresh[0], victim_seat=fresh[1], officer_seat=fresh[2])]
    expires = asked.at.at + timedelta(minutes=asked.workflow.force.link_minutes)
    sent = e.LinkSent(link=fresh[3], channel="sms", expires_at=iso(expires), number=asked.case.personal["safe_number"])
    return [*prepared, sent]


def _open_link(asked: Asked) -> list[e.Fact]:
    """Only the newest link: a tap that races with a resend or a quick exit is settled by the case's own version."""
    session = asked.case.session
    if session is None or asked.form["link"] != session.link:
        raise Refused(Reason("link-revoked", {}, "link"))
    return plain(asked)


def _two_way(asked: Asked) -> list[e.Fact]:
    session = asked.case.session
    assert session is not None  # noqa: S101 - the guard `session_live` of the move
    started: list[e.Fact] = [e.TwoWayVideoStarted(session=session.id)]
    return [*started, *_contact(asked, "video")]


def _contact(asked: Asked, mode: str) -> list[e.Fact]:
    """The first live contact with an officer in this mode. A telephone call is one too, and meets no service level."""
    return [] if mode in asked.case.contacts else [e.OfficerContactStarted(mode=mode)]


def _reached(asked: Asked) -> list[e.Fact]:
    facts = plain(asked)
    spoke = any(isinstance(one, e.ContactAttempted) and one.result == "reached" for one in facts)
    return [*facts, *(_contact(asked, "phone") if spoke and "officer" in asked.by.roles else [])]


def _safety(asked: Asked) -> list[e.Fact]:
    """What the officer hears of safety off the video is heard on the telephone."""
    return [*plain(asked), *([] if asked.facts["session_flowing"] else _contact(asked, "phone"))]


def _unsafe(asked: Asked) -> list[e.Fact]:
    already = asked.case.emergency
    return [e.VictimUnsafe(), *([] if already else [e.EmergencyDispatched(reason="victim_unsafe")])]


def _assess(asked: Asked) -> list[e.Fact]:
    instrument = asked.basis.instruments[asked.form["risk_tool"]]
    answers, level = asked.form["risk_answers"], asked.form["risk_level"]
    unknown = sorted(set(answers) - {question.id for question in instrument.questions})
    if unknown:
        raise Refused(Reason("unknown-question", {"question": ", ".join(unknown)}, "risk_answers"))
    result, rationale = risk.assess(instrument, answers), asked.form.get("rationale", "")
    if result.missing:
        raise Refused(Reason("questions-left", {"count": len(result.missing)}, "risk_answers"))
    before = asked.case.risk_level
    if not rationale and (risk.below(level, result.suggested) or risk.below(level, before)):
        raise Refused(Reason("lower-needs-rationale", {"suggested": result.suggested, "before": before}, "rationale"))
    assessed = e.RiskAssessed(
        tool=instrument.id,
        tool_version=instrument.hash,
        score=result.score,
        suggested=result.suggested,
        risk_level=level,
        missing=result.missing,
        because=result.because,
        answers=answers,
        rationale=rationale,
    )
    return [assessed]


def _override_level(asked: Asked) -> list[e.Fact]:
    level = asked.form["risk_level"]
    if level == asked.case.risk_level:
        raise Refused(Reason("level-already", {"level": level}, "risk_level"))
    return [e.GradeOverridden(before=asked.case.risk_level, after=level, reason=asked.form["rationale"])]


def _plan(asked: Asked) -> list[e.Fact]:
    form = asked.form
    if parse_iso(form["due_at"]) < asked.at.at:
        raise Refused(Reason("in-the-past", {"label": asked.workflow.fields["due_at"].label}, "due_at"))
    planned = e.SafeguardingPlanned(
        action=asked.basis.ids[0],
        kind=form["action_kind"],
        due_at=form["due_at"],
        owner=form["action_owner"],
        note=form.get("note", ""),
    )
    return [planned]


def _action_done(asked: Asked) -> list[e.Fact]:
    action = asked.case.actions.get(asked.form["action"])
    if action is None or action.result:
        raise Refused(Reason("no-such-action", {}, "action"))
    return plain(asked)


def _allocate(asked: Asked) -> list[e.Fact]:
    proposal = routing.propose(asked.workflow.routes, asked.facts)
    team, override = asked.form["team"], asked.form.get("override", "")
    if proposal is not None and team != proposal.team and not override:
        label = asked.workflow.force.teams.get(proposal.team, proposal.team)
        raise Refused(Reason("override-needs-reason", {"team": label}, "override"))
    return [
        e.CaseAllocated(
            team=team,
            proposed=proposal.team if proposal else "",
            because=proposal.route if proposal else "",
            override=override if proposal is None or team != proposal.team else "",
        )
    ]


MAKERS: dict[str, Callable[[Asked], list[e.Fact]]] = {
    "DetailsRecorded": _details,
    "CriterionAnswered": _criteria,
    "ConsentGiven": _consent,
    "HandoverOffered": _with_capacity,
    "HandoverAccepted": _with_capacity,
    "OfficerAssigned": _assign,
    "ContactAttempted": _reached,
    "SafetyConfirmed": _safety,
    "LinkSent": _send_link,
    "LinkOpened": _open_link,
    "TwoWayVideoStarted": _two_way,
    "VictimUnsafe": _unsafe,
    "RiskAssessed": _assess,
    "GradeOverridden": _override_level,
    "SafeguardingPlanned": _plan,
    "SafeguardingDone": _action_done,
    "CaseAllocated": _allocate,
}
"""Moves that decide something of their own, by the event that they make; all others are `plain`."""

FORM_OF: dict[str, tuple[str, ...]] = {
    "CriterionAnswered": ("answers",),
    "ConsentGiven": ("consent_kind", "consent_answer"),
    "OfficerAssigned": ("officer",),
    "RiskAssessed": ("risk_tool", "risk_answers", "risk_level"),
    "GradeOverridden": ("risk_level", "rationale"),
    "SafeguardingPlanned": ("action_kind", "action_owner", "due_at"),
    "CaseAllocated": ("team",),
}
"""The fields by their own names that these makers cannot do without."""

FILLED = frozenset(
    {"ContactAttempted", "SafetyConfirmed", "HandoverOffered", "HandoverAccepted", "LinkOpened", "SafeguardingDone"}
)
"""Makers that add a check or a fact, and otherwise fill the event from the form as `plain` does."""
