"""The page of one case: what is known of it, and every move that this person may make, where it belongs.

The state's own moves stand first; a move about one person, order or referral stands beside it; all others are closed
under a few headings. Emergency is one press, always in sight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from markupsafe import Markup

from rvr.core import forms
from rvr.core.assigning import wishes_of
from rvr.core.case import Case
from rvr.core.commands import Actor, MakeMove
from rvr.core.decide import MoveView
from rvr.core.errors import Forbidden, NotFound, Reason, Refused, RvrError, Stale, Unavailable
from rvr.core.events import Recorded
from rvr.core.moment import iso
from rvr.core.presence import people_for, presence_of
from rvr.core.session import Guest
from rvr.core.workflow import Workflow
from rvr.messages import Catalogue
from rvr.store.staff import Person
from rvr.web import (
    auth,
    break_glass,
    case_parts,
    evidence,
    form_views,
    question_views,
    rendering,
    roster_view,
    stills,
    views,
)
from rvr.web.around import after, gather
from rvr.web.case_parts import Around
from rvr.web.choices import Choices
from rvr.web.context import DESK, SIGNED_IN, WORDS, SignedIn
from rvr.web.form_views import FormView

FRAGMENT = "X-RVR-Fragment"
"""A form that is sent by script asks with this header for the case's fragment in place of a redirect: during a call
the page must not be left."""

HEADINGS = ("people", "guests", "safeguarding", "investigation", "response", "")
"""Under which the moves of each shared part stand, in this order; all else stands under the last."""

BESIDE = {
    "match_person": "candidate",
    "reject_match": "candidate",
    "match_order": "live_order",
    "change_suspect": "suspect",
    "record_arrest": "suspect",
    "receive_referral": "referral",
    "close_referral": "referral",
    "hold_guest": "guest",
    "let_guest_back": "guest",
    "remove_guest": "guest",
    "signal_victim": "signal",
}
"""Moves that stand beside what they are about, each with the field that names it."""

SEATED = frozenset({"officer", "sergeant", "inspector", "advocate"})
"""Roles that may have a seat in a call."""

RECORDING = ("stop_recording", "start_recording", "take_still", "ask_consent")
"""Moves that stand in the part of the page about recording."""

PLACED = frozenset(
    [
        *("dispatch_emergency", "clear_line", "clear_line_with_plan"),
        *("voice_to_phone", "voice_to_call", "continue_without_picture", "ask_camera", "write_to_victim"),
        *("invite_guest", "supervise_call", "take_seat", "leave_seat"),
        *("note_risk", "take_account", "check_triage"),
        *("draw_arm", "override_arm"),
        *RECORDING,
    ]
)
"""Moves that have a place of their own on the page."""

IN_STEPS = {
    "review": frozenset(
        [
            *("assign_officer", "raise_level", "plan_safeguarding"),
            *("refer_to_marac", "consider_evidence_led", "endorse_filing"),
        ]
    ),
}
"""State -> moves that stand in its steps beside those that it is there for."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A move that was not made: its form is shown again as it was filled in."""

    move: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    general: tuple[str, ...] = ()
    status: int = 200
    stale: bool = False


NO_TROUBLE = Trouble()


async def show(request: web.Request) -> web.StreamResponse:
    """The case, as this person may see it."""
    desk = request.app[DESK]
    position = await desk.store.position()  # before the case: what comes between is shown twice, not never
    around = await gather(desk, request.match_info["id"], request[SIGNED_IN].actor)
    return await _respond(request, around, NO_TROUBLE, position)


async def make_move(request: web.Request) -> web.StreamResponse:
    """Makes a move: back to the case, or the form again with the reasons beside it."""
    desk, actor, post = request.app[DESK], request[SIGNED_IN].actor, await auth.form_of(request)
    around = await gather(desk, request.match_info["id"], actor)
    case, move = around.case, around.flow.moves.get(request.match_info["move"])
    if move is None:
        raise NotFound(Reason("unknown-move", {"move": request.match_info["move"]}))
    form = form_views.form_from(post, around.flow, move.fields, desk.observe().at)
    command = MakeMove(form_views.command_id(post), case.id, move.id, form, _version(post))
    try:
        async with stills.with_picture(request, command, case) as whole:
            outcome = await desk.handle(whole, actor, signin=request[SIGNED_IN].signin)
    except (Refused, Stale, Forbidden, Unavailable) as error:
        trouble = _trouble(request, move.id, post, error)
        return await _respond(request, await gather(desk, case.id, actor), trouble)
    now = await desk.case(case.id) if outcome.repeated else outcome.case
    if not views.may_see(now, actor):  # made, and by that no longer this person's
        return leave(request, "/")
    if FRAGMENT not in request.headers:
        return leave(request, case.id)
    shown = await gather(desk, case.id, actor) if outcome.repeated else await after(desk, outcome, actor)
    return await _respond(request, shown, NO_TROUBLE)


def leave(request: web.Request, case: str) -> web.Response:
    """To the page of this case, or home: as a redirect, or as a word to the script that sent the form."""
    place = "/" if case == "/" else f"/cases/{case}"
    if FRAGMENT in request.headers:
        return web.Response(status=200, headers={"X-RVR-Go": place})
    return web.Response(status=303, headers={"Location": place})


def _version(post: Mapping[str, Any]) -> int | None:
    given = str(post.get("expected_version", ""))
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


def _trouble(request: web.Request, move: str, post: Mapping[str, Any], error: RvrError) -> Trouble:
    words = request.app[WORDS]
    return Trouble(
        move=move,
        values={name: str(value) for name, value in post.items()},
        errors=form_views.errors_of(error, words),
        general=tuple(_said(reason, words) for reason in error.reasons if not reason.field),
        status=error.status,
        stale=isinstance(error, Stale),
    )


def _said(reason: Reason, words: Catalogue) -> str:
    """A stale form is told what happened by the event's name as people read it."""
    if reason.code == "stale":
        what = words.name("event", str(reason.params["what"]))
        return words.say("page.stale", what=what, who=reason.params["who"] or words.say("page.the_desk"))
    return words.reason(reason)


async def _respond(request: web.Request, around: Around, trouble: Trouble, position: int = 0) -> web.Response:
    """`position`: of the feed, up to which the page surely shows everything."""
    signed = request[SIGNED_IN]
    await auth.looked(request, views.shown(around, signed.actor))
    inner = await _inner(request.app, signed, around, trouble)
    if FRAGMENT in request.headers:
        return web.Response(text=inner, status=trouble.status, content_type="text/html")
    html = rendering.render(
        request.app,
        "case.html",
        signed,
        case_id=around.case.id,
        position=position,
        reference=around.case.reference,
        inner=Markup(inner),  # noqa: S704 - made by our own template
        may_call=bool(signed.roles & SEATED),
        **break_glass.told(request, around),
    )
    return web.Response(text=html, status=trouble.status, content_type="text/html")


async def fragment(request: web.Request, case_id: str) -> str:
    """The case as it is now, for an open page. Raises NotFound for somebody who may no longer see it."""
    signed = request[SIGNED_IN]
    around = await gather(request.app[DESK], case_id, signed.actor)
    await auth.looked(request, views.shown(around, signed.actor))
    return await _inner(request.app, signed, around, NO_TROUBLE)


async def _inner(app: web.Application, signed: SignedIn, around: Around, trouble: Trouble) -> str:
    """The part of the page that is swapped: of a referral for the organisation that it went to, else of the case."""
    desk, words, actor = app[DESK], app[WORDS], signed.actor
    case, flow = around.case, around.flow
    whole, partner = views.sees_whole(case, actor), views.is_partner(case, actor)
    moves = [view for view in around.moves if whole or partner or _in_outline(view)]
    assigns = any(flow.fields[name].kind == "officer" for view in moves for name in view.move.fields)
    roster = await roster_view.look(desk, around.officers if assigns else {})
    contacts = desk.definitions.contacts
    officers = roster_view.to_choose(roster, around.people, words, wishes_of(case.details), contacts.officers)
    choices = Choices(flow, words, desk.observe(), case, actor, around.known, officers, contacts.guests)
    made = _forms(around, moves, choices, trouble)
    shown = views.case_json(around, moves, actor, words)
    context = {
        "case": shown,
        "forms": made,
        "trouble": trouble,
        "labels": _labels(flow),
        "beside": _beside(made, around, trouble),
        **_seated(case, actor),
    }
    if partner:
        contact = views.labelled(shown["safe_contact"], flow)
        return rendering.render(app, "_referral.html", signed, contact=contact, **context)
    context |= {
        "whole": whole,
        "facts": views.facts_shown(case, flow, actor),
        "presence": presence_of(case),
        "line": views.line_told(case, actor),
        "roles": actor.roles,
        "may_watch": views.may_watch(case, actor),
        "look_reasons": evidence.REASONS,
        "turn": _turn(case, flow, words, actor),
        "capacity": await desk.capacity(),
        "desk_open": views.desk_is_open(flow.force, desk.observe()),
        "wording": around.wording,
        "consents": _consents(made.get("record_consent"), around, trouble),
        "assessed": question_views.assessed(case, flow, words),
        "noted": question_views.noted(case, flow),
        "criteria": flow.criteria,
        "history": _history(around.log, around.people, words) if whole else [],
        **_placed(made, case, flow, actor),
    }
    return rendering.render(app, "_case.html", signed, **context)


def _in_outline(view: MoveView) -> bool:
    """A press, or a move of those who see the outline alone: nothing is typed into a case that is not shown."""
    return not view.move.asks or views.LOOKS_OVER.issuperset(view.move.who)


APART = ("recording", "evaluation", "feedback")
"""Consents that are asked for apart from the one to video, so that none of them is taken for another."""


def _consents(form: FormView | None, around: Around, trouble: Trouble) -> dict[str, FormView]:
    """Kind -> its own form; recording where this workflow records."""
    if form is None:
        return {}
    values = trouble.values if trouble.move == form.id else {}
    records = "start_recording" in around.flow.moves
    kinds = [kind for kind in APART if kind in around.wording and (kind != "recording" or records)]
    return {kind: form.about(kind, values, consent_kind=kind) for kind in kinds}


def _seated(case: Case, actor: Actor) -> dict[str, Any]:
    """What the call on this page needs: the person's seat, who is in the room, and how a guest's own seat stands."""
    seat, session = views.live_seat(case, actor), case.session
    guest = next((one for one in session.live_guests if one.seat == seat), None) if session and seat else None
    return {
        "seat": seat,
        "people": people_for(session, seat) if session and seat else [],
        "own": guest.state if guest else "",
        "call": case_parts.company(case, names=False),
    }


def _turn(case: Case, flow: Workflow, words: Catalogue, actor: Actor) -> dict[str, Any] | None:
    """Whose step it is and what it is, in the state's words."""
    role, say = flow.states[case.state].acting(case.officer)
    if not role or not say:
        return None
    mine = role in actor.roles and case.id not in actor.glass and (role != "officer" or case.officer in ("", actor.id))
    return {"mine": mine, "who": words.name("role", role), "say": say}


def _labels(flow: Workflow) -> dict[str, dict[str, str]]:
    """The words of each field's options."""
    return {
        one.id: {str(option.value): str(option.label) for option in forms.options_of(flow, one)}
        for one in flow.fields.values()
    }


# --- The moves, and where each stands ----------------------------------------------------------------------------


def _forms(around: Around, moves: Iterable[MoveView], choices: Choices, trouble: Trouble) -> dict[str, FormView]:
    assert choices.by is not None  # noqa: S101 - made for this person
    known = form_views.known_values(around.case, around.flow, choices.by)
    made = {}
    for view in moves:
        troubled = view.move.id == trouble.move
        values, errors = (trouble.values, trouble.errors) if troubled else (known if view.move.corrects else {}, {})
        made[view.move.id] = form_views.form_view(view, around.case, choices, values, errors)
    return made


def _beside(made: Mapping[str, FormView], around: Around, trouble: Trouble) -> dict[str, dict[str, FormView]]:
    """Move -> what it is about -> its form: for each candidate, order, suspect and referral that it may be made for."""
    found: dict[str, dict[str, FormView]] = {}
    case, flow = around.case, around.flow
    for move, name in BESIDE.items():
        form = made.get(move)
        if form is None or not form.allowed:
            continue
        values = trouble.values if trouble.move == move else {}
        options = [option.value for option in form.field(name).options]
        found[move] = {value: form.about(str(n), values, **{name: value}) for n, value in enumerate(options, 1)}
    for suspect in case.suspects.values():
        state = flow.suspect_states.get(suspect.status)
        steps = state.to if state else ()
        if suspect.id in found.get("change_suspect", {}):
            changed = found["change_suspect"]
            changed[suspect.id] = changed[suspect.id].only("suspect_status", steps)
        if "arrested" not in steps:
            found.get("record_arrest", {}).pop(suspect.id, None)
    for referral in case.referrals.values():
        if referral.received_at:
            found.get("receive_referral", {}).pop(referral.id, None)
    for guest in case.session.live_guests if case.session else []:
        _about_guest(found, guest)
    return found


def _about_guest(found: dict[str, dict[str, FormView]], guest: Guest) -> None:
    """One press: hold whoever is there, or let back whom the officer holds."""
    found.get("hold_guest" if "officer" in guest.held_by else "let_guest_back", {}).pop(guest.id, None)
    if not guest.arrived_at:
        found.get("hold_guest", {}).pop(guest.id, None)


def _placed(made: Mapping[str, FormView], case: Case, flow: Workflow, actor: Actor) -> dict[str, Any]:
    """The forms by their place: what the state is there for, what is about recording, all others in groups."""
    first = [made[name] for name in flow.states[case.state].next if name in made]
    in_call = views.live_seat(case, actor)
    return {
        "next": first,
        "recording_moves": [made[name] for name in RECORDING if name in made and in_call],
        "groups": _groups(made, {form.id for form in first} | IN_STEPS.get(case.state, frozenset())),
    }


def _groups(made: Mapping[str, FormView], elsewhere: set[str]) -> list[tuple[str, list[FormView]]]:
    """The moves that stand nowhere else and can be made, under the heading of their part."""
    apart = elsewhere | PLACED | set(BESIDE)
    rest = [form for name, form in made.items() if name not in apart and form.allowed]
    rest.sort(key=lambda form: form.tone == "warning")
    by_part = {part: [form for form in rest if _heading(form) == part] for part in HEADINGS}
    return [(part or "other", forms_) for part, forms_ in by_part.items() if forms_]


def _heading(form: FormView) -> str:
    return form.part if form.part in HEADINGS else ""


# --- The log -----------------------------------------------------------------------------------------------------


def _history(log: Iterable[Recorded], people: Mapping[str, Person], words: Catalogue) -> list[dict[str, Any]]:
    """What happened, newest first, in words; the same thing many times in a row by one person is one line."""
    told: list[dict[str, Any]] = []
    for recorded in reversed(list(log)):
        event = recorded.event
        if told and (told[-1]["type"], told[-1]["by"]) == (event.type, event.by):
            told[-1]["times"] += 1
            continue
        who = people.get(event.by)
        told.append(
            {
                "version": recorded.version,
                "type": event.type,
                "by": event.by,
                "times": 1,
                "what": words.name("event", event.type),
                "who": who.name if who else words.name("role", event.by_role),
                "at": iso(event.at.at),
                "stated": event.stated_at,
            }
        )
    return told
