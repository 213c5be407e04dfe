"""What each move makes: the facts that are written when it is made, or the reasons why not.

Most moves are `plain`: the event's fields are the form's answers and the workflow's fixed values. Those that decide
something of their own stand here one by one, found by the event that they make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from rvr.core import arms, clocks, criteria, feedback, guests, recording, risk, routing, writing
from rvr.core import events as e
from rvr.core.asked import Asked
from rvr.core.call_facts import FULL_PICTURE
from rvr.core.case import CONFLICT, Case
from rvr.core.errors import Reason, Refused
from rvr.core.moment import iso, parse_iso
from rvr.core.workflow import STATED, Workflow


def plain(asked: Asked) -> list[e.Fact]:
    """Most moves: the event's fields are the form's answers and the workflow's fixed values."""
    return [e.FACTS[asked.move.event](**_filled(asked))]


def _filled(asked: Asked) -> dict[str, Any]:
    fields = asked.workflow.fields
    told = {fields[name].fact_field: value for name, value in asked.form.items()}
    return {**asked.move.sets, **{name: value for name, value in told.items() if name}}


def stated_at(asked: Asked) -> str:
    """The UTC time that the form states for the fact: of a date, the start of that day here. Empty if none is stated.

    Raises Refused for a time that has not come.
    """
    name = next((n for n in asked.form if asked.workflow.fields[n].fills == STATED), "")
    if not name:
        return ""
    told, hours = asked.form[name], asked.workflow.force.hours
    at = hours.start_of(date.fromisoformat(told)) if asked.workflow.fields[name].kind == "date" else parse_iso(told)
    if at > asked.at.at:
        raise Refused(Reason("in-the-future", {"label": _label(asked, name)}, name))
    return iso(at)


def split_personal(workflow: Workflow, form: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    personal = {name: value for name, value in form.items() if workflow.fields[name].personal}
    return {name: value for name, value in form.items() if name not in personal}, personal


def _details(asked: Asked) -> list[e.Fact]:
    known = {**asked.case.details, **asked.case.personal}
    changed = {name: value for name, value in asked.form.items() if known.get(name) != value}
    details, personal = split_personal(asked.workflow, changed)
    named = "suspect_name" in personal
    return [e.DetailsRecorded(details=details, personal=personal, suspect_named=named)] if changed else []


def _criteria(asked: Asked) -> list[e.Fact]:
    before, given = asked.case.answers, asked.form["answers"]
    facts: list[e.Fact] = [
        e.CriterionAnswered(criterion=name, answer=answer)
        for name, answer in given.items()
        if before.get(name) != answer
    ]
    decided = asked.case.eligibility is not None
    in_force = asked.workflow.criteria_on(asked.workflow.force.hours.local(asked.at.at).date())
    verdict = criteria.evaluate(in_force, {**before, **given}, even_unasked=decided)
    if facts and verdict is not None and verdict != asked.case.eligibility:
        facts += [arms.capacity(asked, "screening"), verdict]
    return facts


def _consent(asked: Asked) -> list[e.Fact]:
    kind, answer = asked.form["consent_kind"], asked.form["consent_answer"]
    wording = arms.wording_of(asked.workflow, asked.facts, kind)
    if asked.case.consents.get(kind) == answer and asked.case.wordings.get(kind, wording) == wording:
        return []
    match answer:
        case "given":
            return [e.ConsentGiven(kind=kind, wording=wording)]
        case "refused":
            return [e.ConsentRefused(kind=kind, wording=wording)]
    if asked.case.consents.get(kind) != "given":
        raise Refused(Reason("nothing-to-withdraw", {}, "consent_answer"))
    return [e.ConsentWithdrawn(kind=kind)]


def _offer(asked: Asked) -> list[e.Fact]:
    return [arms.capacity(asked, "offer"), *plain(asked)]


def _accept(asked: Asked) -> list[e.Fact]:
    """An officer who accepts takes the case: in a force without a sergeant's step nobody assigns."""
    takes = "officer" in asked.by.roles and not asked.by.roles & {"sergeant", "inspector"}
    facts: list[e.Fact] = [arms.capacity(asked, "acceptance"), *plain(asked)]
    return [*facts, *(_assigned(asked, asked.by.id) if takes else [])]


def _take_over(asked: Asked) -> list[e.Fact]:
    """Whoever gave it away for a conflict of interest hears and sees no more of its call."""
    before = asked.case.sergeant
    taken = e.CaseTakenOver(before=before, **_filled(asked))
    return [taken, *(guests.leaves(asked.case, before) if taken.reason == CONFLICT else [])]


def _assign(asked: Asked) -> list[e.Fact]:
    return _assigned(asked, asked.form["officer"])


def _assigned(asked: Asked, wanted: str) -> list[e.Fact]:
    officer = asked.basis.officers.get(wanted)
    if officer is None:
        raise Refused(Reason("unknown-officer", {}, "officer"))
    if wanted in asked.case.conflicts:
        raise Refused(Reason("officer-has-conflict", {}, "officer"))
    if wanted == asked.case.officer and asked.case.engaged:
        raise Refused(Reason("officer-already-assigned", {}, "officer"))
    if not officer.free:
        raise Refused(Reason("officer-not-free", {"status": "busy" if officer.case else officer.duty}, "officer"))
    released = [e.OfficerReleased(officer=asked.case.officer, because="reassigned")] if asked.case.engaged else []
    return [*released, e.OfficerAssigned(officer=wanted)]


def _send_link(asked: Asked) -> list[e.Fact]:
    session, fresh = asked.case.session, asked.basis.ids
    prepared: list[e.Fact] = []
    if session is None or session.ended_at:
        prepared = [e.SessionPrepared(session=fresh[0], victim_seat=fresh[1], officer_seat=fresh[2])]
    expires, number = clocks.link_expires(asked.workflow, asked.at), asked.case.personal["safe_number"]
    sent = e.LinkSent(link=fresh[3], channel="sms", expires_at=expires, number=number)
    return [*prepared, sent]


def _open_link(asked: Asked) -> list[e.Fact]:
    """Only the newest link: a tap that races with a resend or a quick exit is settled by the case's own version."""
    session = asked.case.session
    if session is None or asked.form["link"] != session.link:
        raise Refused(Reason("link-revoked", {}, "link"))
    return plain(asked)


def _quality(asked: Asked) -> list[e.Fact]:
    """From the step that the log has, so a repeated word changes nothing. The bot's own is of the side that is gone."""
    session = asked.case.session
    assert session is not None  # noqa: S101 - the guard `session_live` of the move
    side = asked.form.get("side") or ("officer" if session.victim == "connected" else "victim")
    told = {**_filled(asked), "side": side, "before": session.quality.get(side, FULL_PICTURE)}
    return [] if told["before"] == told["after"] else [e.QualityStepped(**told)]


def _microphone(asked: Asked) -> list[e.Fact]:
    session, side, cause = asked.case.session, asked.form["side"], asked.form["microphone_cause"]
    before = session.microphones.get(side, "works") if session else ""
    if cause == before:
        return []
    return [e.MicrophoneResumed(side=side) if cause == "works" else e.MicrophoneStopped(side=side, cause=cause)]


def _device(asked: Asked) -> list[e.Fact]:
    """Only what has changed: a page that looks again and again fills no log."""
    checked = e.DeviceChecked(**_filled(asked))
    known, found = asked.case.session, checked.split()[0]
    return [] if all(getattr(known, name) == value for name, value in found.items()) else [checked]


def _away(asked: Asked) -> list[e.Fact]:
    session = asked.case.session
    return [] if session is None or session.away else plain(asked)


def _returned(asked: Asked) -> list[e.Fact]:
    session = asked.case.session
    return plain(asked) if session is not None and session.away else []


def _two_way(asked: Asked) -> list[e.Fact]:
    session = asked.case.session
    assert session is not None  # noqa: S101 - the guard `session_live` of the move
    started: list[e.Fact] = [e.TwoWayVideoStarted(session=session.id, **asked.form)]
    return [*started, *_contact(asked, "video")]


def _without_picture(asked: Asked) -> list[e.Fact]:
    return [*plain(asked), *_contact(asked, asked.form["contact_mode"])]


def _contact(asked: Asked, mode: str) -> list[e.Fact]:
    """The first live contact with an officer in this mode. A telephone call is one too, and meets no service level."""
    return [] if mode in asked.case.contacts else [e.OfficerContactStarted(mode=mode)]


def _reached(asked: Asked) -> list[e.Fact]:
    facts = plain(asked)
    result = next((one.result for one in facts if isinstance(one, e.ContactAttempted)), "")
    if result == "wrong_person":  # somebody else has the telephone: nothing more goes to it
        return [*facts, e.DetailsRecorded(details={"safe_to_text": "no"}, personal={})]
    if result != "reached":
        return facts
    if "investigator" in asked.by.roles:
        return [*facts, *([] if asked.case.investigator_contact else [e.InvestigatorContactMade()])]
    return [*facts, *(_contact(asked, "phone") if "officer" in asked.by.roles else [])]


def _safety(asked: Asked) -> list[e.Fact]:
    """What the officer hears of safety off the video is heard on the telephone."""
    return [*plain(asked), *([] if asked.facts.get("session_flowing") else _contact(asked, "phone"))]


def _assess(asked: Asked) -> list[e.Fact]:
    instrument = asked.workflow.instruments[asked.form["risk_tool"]]
    answers, level = asked.form["risk_answers"], asked.form["risk_level"]
    if faults := risk.faults_of(instrument, answers):
        raise Refused(*faults)
    result, rationale = risk.assess(instrument, answers), asked.form.get("rationale", "")
    if result.missing:
        raise Refused(Reason("questions-left", {"count": len(result.missing)}, risk.FIELD))
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
        parts=result.parts,
        subscores=result.subscores,
        combinations=result.combinations,
        answers=answers,
        rationale=rationale,
    )
    return [assessed]


def _note_risk(asked: Asked) -> list[e.Fact]:
    """What is new of a form that is being filled in; it may be far from whole, and grades nothing."""
    instrument, answers = asked.workflow.instruments[asked.form["risk_tool"]], asked.form["risk_answers"]
    if faults := risk.faults_of(instrument, answers):
        raise Refused(*faults)
    noted = asked.case.risk_noted
    known = noted.answers if noted and noted.tool == instrument.id else {}
    new = {name: answer for name, answer in answers.items() if known.get(name) != answer}
    return [e.RiskNoted(tool=instrument.id, answers=new)] if new else []


def _override_level(asked: Asked) -> list[e.Fact]:
    level = asked.form["risk_level"]
    if level == asked.case.risk_level:
        raise Refused(Reason("level-already", {"level": level}, "risk_level"))
    return [e.GradeOverridden(before=asked.case.risk_level, after=level, reason=asked.form["rationale"])]


def _match(asked: Asked) -> list[e.Fact]:
    """Only somebody who was proposed: nobody types an id."""
    settled = {asked.case.victim_id, asked.case.suspect_id, *asked.case.not_the_same}
    for one in asked.basis.candidates:
        if one.person_id not in settled and f"{one.role}:{one.person_id}" == asked.form["candidate"]:
            if asked.move.event == "PersonDiffers":
                return [e.PersonDiffers(role=one.role, person=one.person_id)]
            return [e.PersonMatched(role=one.role, person=one.person_id, by_keys=one.kinds)]
    raise Refused(Reason("no-such-candidate", {}, "candidate"))


def _match_order(asked: Asked) -> list[e.Fact]:
    order = next((one for one in asked.basis.orders if one.id == asked.form["live_order"]), None)
    if order is None:
        raise Refused(Reason("no-such-order", {}, "live_order"))
    return [e.OrderMatched(order=order.id, kind=order.kind, breached=asked.form["breached"])]


def _appointment(asked: Asked) -> list[e.Fact]:
    if parse_iso(asked.form["appointment_at"]) < asked.at.at:
        raise Refused(Reason("in-the-past", {"label": _label(asked, "appointment_at")}, "appointment_at"))
    return plain(asked)


def _label(asked: Asked, field: str) -> str:
    return asked.workflow.fields[field].label


def _plan(asked: Asked) -> list[e.Fact]:
    form, entry = asked.form, asked.workflow.safeguarding[asked.form["action_kind"]]
    due_at = form.get("due_at") or iso(asked.at.at + timedelta(seconds=entry.due_s))
    if parse_iso(due_at) < asked.at.at:
        raise Refused(Reason("in-the-past", {"label": _label(asked, "due_at")}, "due_at"))
    planned = e.SafeguardingPlanned(
        action=asked.basis.ids[0],
        kind=entry.id,
        owner_role=entry.owner,
        due_at=due_at,
        next_due_at=min(due_at, _next_due(asked.case) or due_at),
        owner=form["action_owner"],
        note=form.get("note", ""),
    )
    return [planned]


def _action_done(asked: Asked) -> list[e.Fact]:
    action = asked.case.actions.get(asked.form["action"])
    if action is None or action.result:
        raise Refused(Reason("no-such-action", {}, "action"))
    return [e.SafeguardingDone(**_filled(asked), next_due_at=_next_due(asked.case, but=action.id))]


def _next_due(case: Case, but: str = "") -> str:
    """When the next open action is due, that one apart."""
    return min((a.due_at for a in case.actions.values() if not a.result and a.due_at and a.id != but), default="")


def _refer(asked: Asked) -> list[e.Fact]:
    """Into the live session, where a seat is then kept, or the room on the days on which the partner is there; else by
    e-mail.
    """
    force, form = asked.workflow.force, asked.form
    partner, area = force.partners[form["partner"]], asked.case.details.get("lpa", "")
    if area and area not in partner.serves:
        raise Refused(Reason("partner-not-here", {"partner": partner.name, "area": force.areas[area]}, "partner"))
    joins = asked.facts.get("session_flowing") and asked.facts.get("guest_places")
    how = partner.how(force.hours.local(asked.at.at).isoweekday(), session_live=bool(joins))
    basis, note, referral = form["referral_basis"], form.get("note", ""), asked.basis.ids[0]
    made: list[e.Fact] = [
        e.ReferralMade(referral=referral, partner=partner.id, how=how, basis=basis, note=note),
        *([guests.kept_for(asked, referral, partner.id)] if how == "session" else []),
    ]
    return made


def _referral(asked: Asked) -> list[e.Fact]:
    """Received once, closed once, and by the organisation that was asked."""
    referral = asked.case.referrals.get(asked.form["referral"])
    received = asked.move.event == "ReferralReceived"
    if referral is None or referral.result or (received and referral.received_at):
        raise Refused(Reason("no-such-referral", {}, "referral"))
    if "advocate" in asked.by.roles and referral.partner not in asked.by.units:
        raise Refused(Reason("another-partners-referral", {}, "referral"))
    others = [one for one in asked.case.referrals.values() if one.id != referral.id and not one.result]
    waiting = len([one for one in others if not one.received_at])
    if received:
        return [e.ReferralReceived(**_filled(asked), waiting=waiting)]
    return [e.ReferralClosed(**_filled(asked), waiting=waiting, unanswered=len(others) - waiting)]


def _marac(asked: Asked) -> list[e.Fact]:
    criteria_met = tuple(rule for rule, proposes in asked.case.escalations.items() if proposes == "marac")
    reason = asked.form.get("marac_reason", "")
    if not criteria_met and not reason:
        raise Refused(Reason("marac-needs-reason", {}, "marac_reason"))
    return [e.MaracReferred(criteria=(*criteria_met, *(["professional_judgement"] if reason else [])), reason=reason)]


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


def _file(asked: Asked) -> list[e.Fact]:
    """The gate: every point is met, or does not apply and the rationale says why."""
    unmet = [name for name, answer in asked.form["filing_checks"].items() if answer == "no"]
    if unmet:
        labels = {option.value: option.label for option in asked.workflow.fields["filing_checks"].options}
        raise Refused(*(Reason("check-unmet", {"check": labels[name]}, "filing_checks") for name in unmet))
    return plain(asked)


def _accept_allocation(asked: Asked) -> list[e.Fact]:
    return [e.AllocationAccepted(team=asked.case.team)]


def _reject_allocation(asked: Asked) -> list[e.Fact]:
    return [e.AllocationRejected(team=asked.case.team, **_filled(asked))]


def _outcome(asked: Asked) -> list[e.Fact]:
    """An outcome of the table in force on its day, with the record that it requires."""
    code, told = asked.workflow.outcomes[asked.form["outcome_code"]], stated_at(asked)
    day = asked.workflow.force.hours.local(parse_iso(told) if told else asked.at.at).date()
    if not code.since <= day <= code.until:
        raise Refused(Reason("outcome-not-in-force", {"code": code.code}, "outcome_code"))
    missing = [name for name in code.needs if not asked.form.get(name)]
    if missing:
        params = {"code": code.code}
        raise Refused(*(Reason("outcome-needs", {**params, "label": _label(asked, n)}, n) for n in missing))
    return plain(asked)


def _suspect(asked: Asked) -> str:
    """The suspect who is meant: the one of the opening, unless another is named."""
    wanted = str(asked.form.get("suspect") or asked.case.suspect_id)
    if wanted not in asked.case.suspects:
        raise Refused(Reason("no-such-suspect", {}, "suspect"))
    return wanted


def _add_suspect(asked: Asked) -> list[e.Fact]:
    name = asked.form.get("another_suspect", "")
    return [e.SuspectAdded(suspect=asked.basis.ids[0], status="named" if name else "unknown", name=name)]


def _suspect_status(asked: Asked) -> list[e.Fact]:
    return [_moved(asked, _suspect(asked), asked.form["suspect_status"], asked.form.get("grounds", ""))]


def _moved(asked: Asked, suspect: str, after: str, reason: str) -> e.SuspectStatusChanged:
    """One step of the suspect's own small machine. Raises Refused for a step that its table does not have."""
    states, known = asked.workflow.suspect_states, asked.case.suspects
    before = states[known[suspect].status]
    if after not in before.to:
        raise Refused(Reason("suspect-cannot", {"before": before.name, "after": states[after].name}, "suspect_status"))
    now = {**{id_: one.status for id_, one in known.items()}, suspect: after}
    outstanding = len([status for status in now.values() if states[status].outstanding])
    return e.SuspectStatusChanged(
        suspect=suspect, before=before.id, after=after, outstanding=outstanding, reason=reason
    )


def _arrest(asked: Asked) -> list[e.Fact]:
    suspect = _suspect(asked)
    return [e.ArrestRecorded(suspect=suspect), _moved(asked, suspect, "arrested", "")]


def _charge(asked: Asked) -> list[e.Fact]:
    return [e.ChargeRecorded(**{**_filled(asked), "suspect": _suspect(asked)})]


MAKERS: dict[str, Callable[[Asked], list[e.Fact]]] = {
    "AllocationAccepted": _accept_allocation,
    "AllocationRejected": _reject_allocation,
    "AppointmentMade": _appointment,
    "ArrestRecorded": _arrest,
    "CaseAllocated": _allocate,
    "CaseFiled": _file,
    "CaseTakenOver": _take_over,
    "ChargeRecorded": _charge,
    "ConsentGiven": _consent,
    "DeviceChecked": _device,
    "ContactAttempted": _reached,
    "CriterionAnswered": _criteria,
    "DetailsRecorded": _details,
    "GradeOverridden": _override_level,
    "HandoverAccepted": _accept,
    "HandoverOffered": _offer,
    "LinkOpened": _open_link,
    "LinkSent": _send_link,
    "MaracReferred": _marac,
    "MicrophoneStopped": _microphone,
    "OfficerAssigned": _assign,
    "OrderMatched": _match_order,
    "OutcomeRecorded": _outcome,
    "PersonDiffers": _match,
    "PersonMatched": _match,
    "QualityStepped": _quality,
    "ReferralClosed": _referral,
    "ReferralMade": _refer,
    "ReferralReceived": _referral,
    "RiskAssessed": _assess,
    "RiskNoted": _note_risk,
    "SafeguardingDone": _action_done,
    "SafeguardingPlanned": _plan,
    "SafetyConfirmed": _safety,
    "SuspectAdded": _add_suspect,
    "SuspectStatusChanged": _suspect_status,
    "TwoWayVideoStarted": _two_way,
    "VictimAway": _away,
    "VictimReturned": _returned,
    "ContactWithoutPicture": _without_picture,
    **feedback.MAKERS,
    **writing.MAKERS,
    **guests.MAKERS,
    **recording.MAKERS,
    **arms.MAKERS,
}
"""Moves that decide something of their own, by the event that they make; all others are `plain`."""

FORM_OF: dict[str, tuple[str, ...]] = {
    "CaseAllocated": ("team",),
    "CaseFiled": ("filing_checks",),
    "AppointmentMade": ("appointment_at",),
    "ConsentGiven": ("consent_kind", "consent_answer"),
    "ContactWithoutPicture": ("contact_mode",),
    "CriterionAnswered": ("answers",),
    "DeviceChecked": ("camera", "microphone"),
    "GradeOverridden": ("risk_level", "rationale"),
    "MicrophoneStopped": ("side", "microphone_cause"),
    "GuestAdmitted": ("guest",),
    "GuestDeviceChecked": ("camera", "microphone"),
    "GuestHeld": ("guest",),
    "GuestLetBack": ("guest",),
    "GuestRefused": ("guest",),
    "OfficerAssigned": ("officer",),
    "OrderMatched": ("live_order", "breached"),
    "OutcomeRecorded": ("outcome_code",),
    "PersonDiffers": ("candidate",),
    "PersonMatched": ("candidate",),
    "ReferralClosed": ("referral",),
    "ReferralMade": ("partner", "referral_basis"),
    "ReferralReceived": ("referral",),
    "RiskAssessed": ("risk_tool", "risk_answers", "risk_level"),
    "RiskNoted": ("risk_tool", "risk_answers"),
    "SafeguardingDone": ("action",),
    "SafeguardingPlanned": ("action_kind", "action_owner"),
    "SuspectStatusChanged": ("suspect_status",),
    "VictimAway": ("away_because", "away_since"),
    **writing.FORM_OF,
    **recording.FORM_OF,
}
"""The fields by their own names that these makers cannot do without."""

FILLED = frozenset(
    [
        *("AppointmentMade", "CaseFiled", "ContactAttempted", "HandoverAccepted", "HandoverOffered", "LinkOpened"),
        *("ContactWithoutPicture", "DeviceChecked", "VictimAway"),
        *("OutcomeRecorded", "ReferralClosed", "ReferralReceived", "SafeguardingDone", "SafetyConfirmed"),
    ]
)
"""Makers that add a check or a fact, and otherwise fill the event from the form as `plain` does."""
