"""The parts of a case beside its call: the same people elsewhere, civil orders, escalations, suspects, referrals, what
was agreed and what came of it. Each as plain values, for the pages and the JSON API; who is shown them is in `views`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rvr.core import events as e
from rvr.core.case import Case, Suspect
from rvr.core.decide import MoveView
from rvr.core.events import Event, Recorded
from rvr.core.exhibits import Kept, Taped
from rvr.core.history import PastCase
from rvr.core.identity import VICTIM
from rvr.core.moment import iso
from rvr.core.roster import Officer
from rvr.core.session import Guest, Sitting, sittings
from rvr.core.workflow import Workflow
from rvr.messages import Catalogue
from rvr.store.history import Known
from rvr.store.staff import Person
from rvr.web.choices import NOTHING_KNOWN, candidate_id, order_name, partner_name, same_keys, suspect_status

F = TypeVar("F", bound=e.Fact)


@dataclass(frozen=True, slots=True)
class Around:
    """A case with what stands around it when it is shown."""

    case: Case
    flow: Workflow
    log: tuple[Recorded, ...] = ()
    known: Known = NOTHING_KNOWN
    """Empty for whoever may not be shown other cases."""
    moves: tuple[MoveView, ...] = ()
    """Every move that the reader's roles have from here."""
    wording: Mapping[str, str] = field(default_factory=dict)
    """Consent kind -> what is read out for it now."""
    officers: Mapping[str, Officer] = field(default_factory=dict)
    """Who was ever on duty, by person id."""
    people: Mapping[str, Person] = field(default_factory=dict)
    """Colleagues, by person id."""
    states: Mapping[str, str] = field(default_factory=dict)
    """Names of the states of every workflow: an earlier case may have run under another."""
    mine: frozenset[str] = frozenset()
    """Ids of the other cases that the reader may open."""

    def facts(self, kind: type[F]) -> list[tuple[F, Event]]:
        """Every fact of this kind with its event, the oldest first."""
        return [(one.event.fact, one.event) for one in self.log if isinstance(one.event.fact, kind)]


# --- The same people elsewhere -----------------------------------------------------------------------------------


def earlier(around: Around) -> list[dict[str, Any]]:
    """Earlier cases of this victim or this suspect, the newest first."""
    return [
        {
            "id": past.case if past.case in around.mine else None,
            "reference": past.reference,
            "opened_at": past.opened_at,
            "state": past.state,
            "state_name": around.states.get(past.state, past.state),
            "risk_level": past.risk_level or None,
            "marac": past.marac,
            "same": _same(around.case, past),
        }
        for past in reversed(around.known.history)
    ]


def _same(case: Case, past: PastCase) -> str:
    """Code of who is the same: pair, victim or suspect."""
    if past.victim_id != case.victim_id:
        return "suspect"
    return "pair" if past.suspect_id == case.suspect_id else "victim"


def candidates(around: Around, words: Catalogue) -> list[dict[str, Any]]:
    """Who may be somebody of an earlier case: references, dates and by what they matched; no names.

    The victim first: while only the suspect is known to be the same, every earlier case counts as another victim's.
    """
    return [
        {
            "candidate": candidate_id(one),
            "role": one.role,
            "strength": one.strength,
            "kinds": list(one.kinds),
            "same": same_keys(one.kinds, words),
            "cases": [
                {
                    "id": case.id if case.id in around.mine else None,
                    "reference": case.reference,
                    "opened_at": case.opened_at,
                    "state_name": around.states.get(case.state, case.state),
                }
                for case in one.cases
            ],
        }
        for one in sorted(around.known.candidates, key=lambda one: one.role != VICTIM)
    ]


def live_orders(around: Around, words: Catalogue) -> list[dict[str, Any]]:
    """Live civil orders that may concern these people; `breached` is empty until somebody has looked at it."""
    shown = [
        {
            "id": order.id,
            "kind": order.kind,
            "name": order_name(order, around.flow, words),
            "until": order.ends or None,
            "conditions": order.conditions,
            "same": [{"role": role, "by": words.name("key_kind", kind)} for role, kind in order.found_by],
            "breached": around.case.orders.get(order.id, ""),
        }
        for order in around.known.orders
    ]
    return sorted(shown, key=lambda order: {"yes": 0, "": 1}.get(str(order["breached"]), 2))


# --- Suspects, referrals, escalations ----------------------------------------------------------------------------


def suspects(case: Case, workflow: Workflow) -> list[dict[str, Any]]:
    """Each suspect with where that person stands and since when."""
    return [_suspect(one, workflow) for one in case.suspects.values()]


def _suspect(one: Suspect, workflow: Workflow) -> dict[str, Any]:
    state = workflow.suspect_states.get(one.status)
    return {
        "id": one.id,
        "name": one.name,
        "status": one.status,
        "status_name": suspect_status(one, workflow),
        "outstanding": bool(state and state.outstanding),
        "since": one.since,
        "next": list(state.to) if state else [],
    }


def referrals(case: Case, workflow: Workflow, partners: frozenset[str] | None = None) -> list[dict[str, Any]]:
    """Each referral with how far it has come; with `partners` those of these organisations alone."""
    return [
        {
            "id": one.id,
            "partner": one.partner,
            "partner_name": partner_name(one.partner, workflow),
            "how": one.how,
            "note": one.note,
            "made_at": one.made_at,
            "received_at": one.received_at or None,
            "result": one.result or None,
            "state": one.result or ("received" if one.received_at else "sent"),
        }
        for one in case.referrals.values()
        if partners is None or one.partner in partners
    ]


def escalations(around: Around) -> list[dict[str, Any]]:
    """What was proposed for more than the usual route, with the cases that it rests on."""
    proposed = around.facts(e.EscalationProposed)
    return [_escalation(fact, around.flow) | {"at": iso(event.at.at)} for fact, event in proposed]


def _escalation(fact: e.EscalationProposed, workflow: Workflow) -> dict[str, Any]:
    rule = workflow.rules.get(fact.rule)
    return {
        "rule": fact.rule,
        "proposes": fact.proposes,
        "say": rule.say if rule else fact.rule,
        "source": rule.source if rule else "",
        "counts": rule.counts if rule else "",
        "count": fact.count,
        "cases": [reference for reference in fact.cases.split(", ") if reference],
    }


# --- Who is in the call ------------------------------------------------------------------------------------------


def company(case: Case, *, names: bool) -> list[dict[str, Any]]:
    """Everybody in the live call, and who was asked in and has not come. A guest's name (`names`) is for those who see
    how people are reached.
    """
    session = case.session
    if session is None or session.ended_at or not session.link_sent_at:
        return []
    return [_sitting(one, session.guests.get(one.guest), names=names) for one in sittings(session)]


def _sitting(one: Sitting, guest: Guest | None, *, names: bool) -> dict[str, Any]:
    told = {"role": one.role, "state": one.state, "guest": one.guest}
    if guest is None:
        return told
    return told | {
        "name": guest.name if names else "",
        "channel": guest.channel,
        "invited_at": guest.invited_at,
        "delivered": guest.delivered,
        "held_by": sorted(guest.held_by),
        "camera": guest.camera,
        "microphone": guest.microphone,
    }


# --- Recordings and stills ---------------------------------------------------------------------------------------


def exhibits(around: Around) -> dict[str, Any]:
    """What is kept of the call, and whether it is being recorded now. No picture and no sound is among it."""
    kept = around.case.exhibits
    return {
        "recording": kept.running is not None,
        "asked": sorted(kept.asked),
        "recordings": [exhibit(around, tape) for tape in kept.tapes.values()],
        "stills": [exhibit(around, still) for still in kept.stills.values()],
    }


def exhibit(around: Around, one: Taped | Kept) -> dict[str, Any]:
    """One of them."""
    if isinstance(one, Taped):
        return {
            "id": one.id,
            "kind": "recording",
            "sides": list(one.seats),
            "started_at": one.started_at,
            "stopped_at": one.stopped_at or None,
            "because": one.because or None,
            "faltered": [{"side": side, "track": track} for side, track in sorted(one.faltered)],
        }
    return {
        "id": one.id,
        "kind": "still",
        "exhibit": one.exhibit,
        "intimate": one.intimate,
        "taken_at": one.taken_at,
        "by": _name(around, one.by),
        "width": one.width,
        "height": one.height,
        "sha256": one.sha256,
    }


# --- What was agreed and told, what came of it -------------------------------------------------------------------


def told(around: Around) -> list[dict[str, Any]]:
    """What the victim was told, by whom and when, the newest first."""
    labels = {
        str(option.value): option.label
        for name in ("told", "informed_about")
        if name in around.flow.fields
        for option in around.flow.fields[name].options
    }
    said = [(fact.what, event) for fact, event in around.facts(e.VictimTold)]
    said += [(fact.about, event) for fact, event in around.facts(e.VictimInformed)]
    said.sort(key=lambda one: one[1].at.at, reverse=True)
    return [
        {"what": labels.get(code, code), "at": iso(event.at.at), "who": _name(around, event.by)} for code, event in said
    ]


def _name(around: Around, person: str) -> str:
    row = around.people.get(person)
    return row.name if row else ""


def accounts(around: Around) -> list[dict[str, Any]]:
    """What the victim told, as it was written down, the newest first."""
    return [
        {
            "at": iso(event.at.at),
            "who": _name(around, event.by),
            "text": fact.text,
            "read_back": fact.read_back == "yes",
        }
        for fact, event in reversed(around.facts(e.AccountTaken))
        if fact.text
    ]


def line_cleared(around: Around) -> dict[str, Any] | None:
    """When and on what ground the caller was let go."""
    cleared = around.facts(e.LineCleared)
    if not cleared:
        return None
    fact, event = cleared[-1]
    return {"at": iso(event.at.at), "because": fact.because, "next_contact": fact.next_contact}


def appointment(case: Case) -> dict[str, Any] | None:
    """The agreed time; how to make contact then is for those who see how the victim is reached."""
    agreed = case.appointment
    return {"starts_at": agreed.starts_at, "reason": agreed.reason, "how": agreed.how} if agreed else None


def investigation(around: Around) -> dict[str, Any]:
    """What the receiving team has done."""
    case = around.case
    return {
        "accepted_by": _name(around, case.accepted_by) or None,
        "investigator_contact": case.investigator_contact,
        "support": case.support or None,
        "charges": [
            {"charged_on": fact.charged_on, "first_hearing_on": fact.first_hearing_on}
            for fact, _ in around.facts(e.ChargeRecorded)
        ],
        "outcomes": [
            {"code": fact.outcome_code, "at": iso(event.at.at), "rationale": fact.rationale}
            for fact, event in around.facts(e.OutcomeRecorded)
        ],
    }
