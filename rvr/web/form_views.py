"""A move as a form on a page: its fields with what is known and what was wrong, and the page's answers read back.

Values that people type are local (times in the force's zone); what leaves here is what the desk takes.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rvr.core import routing
from rvr.core.case import Case
from rvr.core.commands import Actor
from rvr.core.decide import MoveView
from rvr.core.forms import options_of
from rvr.core.moment import iso
from rvr.core.risk import Instrument
from rvr.core.vocabulary import facts_of
from rvr.core.workflow import Field, Workflow
from rvr.messages import Catalogue
from rvr.store.tables import AccountRow, OfficerRow
from rvr.web.views import class_of, classes_for

WIDGETS = {
    "text": "text",
    "long_text": "textarea",
    "phone": "tel",
    "choice": "radios",
    "response_grade": "radios",
    "area": "select",
    "team": "select",
    "instrument": "hidden",
    "date": "date",
    "datetime": "datetime-local",
    "officer": "select",
    "action": "select",
    "criteria": "questions",
    "risk_answers": "questions",
}
"""How each kind of field is asked. Flags come from devices, never from a page."""

SELECT_FROM = 6
"""As many options as this make a select box of a choice."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a list that is answered yes, no, not known or refused."""

    name: str
    ask: str
    why: str
    value: str
    critical: bool = False


@dataclass(frozen=True, slots=True)
class FieldView:
    """A field, ready to be asked."""

    name: str
    id: str
    widget: str
    label: str
    hint: str
    required: bool
    value: str
    error: str
    options: tuple[tuple[str, str], ...] = ()
    questions: tuple[Question, ...] = ()
    max: int = 200


@dataclass(frozen=True, slots=True)
class FormView:
    """A move, ready to be made: or the reasons why not."""

    id: str
    name: str
    action: str
    tone: str
    hint: str
    reasons: tuple[str, ...]
    fields: tuple[FieldView, ...]
    command_id: str
    version: int

    @property
    def allowed(self) -> bool:
        return not self.reasons

    def field(self, name: str) -> FieldView:
        return next(field for field in self.fields if field.name == name)


@dataclass(frozen=True, slots=True)
class Choices:
    """Options that no definition holds: they are of this case and of this moment."""

    officers: tuple[tuple[str, str], ...] = ()
    actions: tuple[tuple[str, str], ...] = ()
    instruments: Mapping[str, Instrument] = dataclasses.field(default_factory=dict)


def form_from(
    post: Mapping[str, Any], workflow: Workflow, names: Iterable[str], now: datetime | None = None
) -> dict[str, Any]:
    """The form as the desk takes it, from a page's flat fields. Empty answers are left out.

    A local time becomes one with its offset. In the hour that comes twice in autumn the reading nearer to `now` is
    taken; a time in the hour that is left out in spring stays as it is, and is then refused as no time.
    """
    form: dict[str, Any] = {}
    for name in names:
        field = workflow.fields[name]
        if WIDGETS.get(field.kind) == "questions":
            value: Any = _answers(post, name)
        else:
            value = str(post.get(name, "")).strip()
        if value and field.kind == "datetime":
            value = _with_offset(value, ZoneInfo(workflow.force.hours.zone), now)
        if value:
            form[name] = value
    return form


def _answers(post: Mapping[str, Any], name: str) -> dict[str, str]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): str(value) for key, value in post.items() if key.startswith(prefix) and value}


def _with_offset(text: str, zone: ZoneInfo, now: datetime | None) -> str:
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return text
    if local.tzinfo is not None:
        return iso(local)
    readings = [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    real = [at for at in readings if at.astimezone(zone).replace(tzinfo=None) == local]
    if not real:
        return text
    return iso(min(real, key=lambda at: abs(at - now)) if now else real[0])


def known_values(case: Case, workflow: Workflow, actor: Actor) -> dict[str, str]:
    """What the case already knows, by the names of the form's boxes: nobody types a thing twice."""
    classes = classes_for(case, actor)
    values = {name: str(value) for name, value in case.details.items()}
    values |= {name: str(value) for name, value in case.personal.items() if class_of(workflow, name) in classes}
    values |= {f"answers.{name}": answer for name, answer in case.answers.items()}
    if case.risk and "risk" in classes:
        values |= {f"risk_answers.{name}": answer for name, answer in case.risk.answers.items()}
        values |= {"risk_level": case.risk_level}
    proposal = routing.propose(workflow.routes, facts_of(case)) if case.state == "review" else None
    return values | ({"team": proposal.team} if proposal else {})


def form_view(
    view: MoveView,
    case: Case,
    workflow: Workflow,
    words: Catalogue,
    choices: Choices,
    values: Mapping[str, str],
    errors: Mapping[str, str],
) -> FormView:
    """A move's form, filled with what is known and with the errors beside their fields."""
    move = view.move
    return FormView(
        id=move.id,
        name=move.name,
        action=f"/cases/{case.id}/moves/{move.id}",
        tone=move.tone,
        hint=move.hint,
        reasons=tuple(words.reason(reason) for reason in view.reasons),
        fields=fields_view(workflow, move.asks, move.may_ask, move.id, choices, values, errors),
        command_id=str(uuid.uuid4()),
        version=case.version,
    )


def fields_view(
    workflow: Workflow,
    asks: Iterable[str],
    may_ask: Iterable[str],
    prefix: str,
    choices: Choices,
    values: Mapping[str, str],
    errors: Mapping[str, str],
) -> tuple[FieldView, ...]:
    """The fields of a form in their order."""
    needed = tuple(asks)
    return tuple(
        _field(workflow, workflow.fields[name], name in needed, prefix, choices, values, errors)
        for name in (*needed, *may_ask)
    )


def _field(
    workflow: Workflow,
    field: Field,
    required: bool,
    prefix: str,
    choices: Choices,
    values: Mapping[str, str],
    errors: Mapping[str, str],
) -> FieldView:
    options = _options(workflow, field, choices)
    widget = WIDGETS.get(field.kind, "text")
    if widget == "radios" and len(options) >= SELECT_FROM:
        widget = "select"
    if field.kind == "instrument" and len(options) > 1:
        widget = "select"
    value = values.get(field.id, "")
    if field.kind == "instrument" and not value and options:
        value = options[0][0]
    return FieldView(
        name=field.id,
        id=f"{prefix}-{field.id}",
        widget=widget,
        label=field.label,
        hint=field.hint,
        required=required,
        value=value,
        error=errors.get(field.id, ""),
        options=options,
        questions=_questions(workflow, field, choices, values),
        max=field.max,
    )


def _options(workflow: Workflow, field: Field, choices: Choices) -> tuple[tuple[str, str], ...]:
    match field.kind:
        case "officer":
            return choices.officers
        case "action":
            return choices.actions
    return tuple((str(option.value), str(option.label)) for option in options_of(workflow, field))


def _questions(workflow: Workflow, field: Field, choices: Choices, values: Mapping[str, str]) -> tuple[Question, ...]:
    def of(name: str, ask: str, why: str, critical: bool = False) -> Question:
        box = f"{field.id}.{name}"
        return Question(box, ask, why, values.get(box, ""), critical)

    match field.kind:
        case "criteria":
            return tuple(of(c.id, c.ask, c.why) for c in workflow.criteria.values())
        case "risk_answers":
            named = [choices.instruments[name] for name in workflow.instruments if name in choices.instruments]
            return tuple(of(q.id, q.topic, "", q.critical) for tool in named[:1] for q in tool.questions)
    return ()


def officers_to_choose(
    roster: Iterable[OfficerRow], people: Mapping[str, AccountRow], words: Catalogue
) -> tuple[tuple[str, str], ...]:
    """Officers on duty, the free ones first. A busy one is named, too: the refusal then says why."""
    on_duty = [row for row in roster if row.status == "on"]
    named = [(bool(row.case_id), people[row.id].name, row.id) for row in on_duty if row.id in people]
    return tuple(
        (who, f"{name} ({words.say('page.busy') if busy else words.say('page.free')})")
        for busy, name, who in sorted(named)
    )
