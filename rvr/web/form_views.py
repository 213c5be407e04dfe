"""A move as a form on a page: its fields with what is known and what was wrong, and the page's answers read back.

Values that people type are local (times in the force's zone); what leaves here is what the desk takes.
"""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rvr.core import routing
from rvr.core.case import Case
from rvr.core.commands import Actor
from rvr.core.decide import MoveView
from rvr.core.errors import RvrError
from rvr.core.moment import iso
from rvr.core.vocabulary import Facts
from rvr.core.workflow import Field, Workflow
from rvr.messages import Catalogue
from rvr.web.choices import Choice, Choices, grouped
from rvr.web.question_views import TOOL, Question, Tool, answers_from, boxes_of, checks, criteria, tools
from rvr.web.views import class_of, classes_for

WIDGETS = {
    "text": "text",
    "long_text": "textarea",
    "phone": "tel",
    "reach": "text",
    "choice": "radios",
    "response_grade": "radios",
    "area": "select",
    "team": "select",
    "instrument": "radios",
    "date": "date",
    "datetime": "datetime-local",
    "officer": "select",
    "action": "select",
    "safeguard": "select",
    "partner": "select",
    "guest_contact": "select",
    "guest": "radios",
    "referral": "radios",
    "civil_order": "radios",
    "live_order": "radios",
    "candidate": "radios",
    "suspect": "radios",
    "suspect_status": "radios",
    "outcome": "select",
    "checks": "checks",
    "criteria": "questions",
    "risk_answers": "tools",
}
"""How each kind of field is asked. Flags come from devices, never from a page."""

SELECT_FROM = 6
"""As many options as this make a select box of a choice."""


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
    options: tuple[Choice, ...] = ()
    questions: tuple[Question, ...] = ()
    tools: tuple[Tool, ...] = ()
    max: int = 200

    @property
    def groups(self) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
        return grouped(self.options)

    @property
    def explained(self) -> bool:
        """Whether some option has a line of its own: they then stand below each other."""
        return any(option.say for option in self.options)


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
    part: str = ""
    """The shared part of the workflow that the move stands in; empty for the workflow's own."""
    key: str = ""
    """What it is about, where the same move stands on the page more than once."""

    @property
    def dom_id(self) -> str:
        return f"{self.id}-{self.key}" if self.key else self.id

    @property
    def allowed(self) -> bool:
        return not self.reasons

    def field(self, name: str) -> FieldView:
        return next(field for field in self.fields if field.name == name)

    def about(self, key: str, trouble: Mapping[str, str], **fixed: str) -> FormView:
        """The same move about one thing: its field is settled, and its boxes have ids of their own.

        `trouble` is what was typed if this move was refused: another thing's errors do not belong here.
        """
        mine = all(trouble.get(name) == value for name, value in fixed.items())

        def asked(field: FieldView) -> FieldView:
            if field.name in fixed:
                return replace(field, widget="hidden", value=fixed[field.name], error="")
            own = replace(field, id=f"{field.id}-{key}")
            return own if mine else replace(own, value="", error="")

        return replace(self, key=key, fields=tuple(map(asked, self.fields)), command_id=str(uuid.uuid4()))

    def only(self, name: str, values: Container[str]) -> FormView:
        """With these options of one field alone."""
        fields = [
            replace(field, options=tuple(option for option in field.options if option.value in values))
            if field.name == name
            else field
            for field in self.fields
        ]
        return replace(self, fields=tuple(fields))


def command_id(post: Mapping[str, Any]) -> str:
    """The id that the page made for this press; a fresh one without."""
    given = str(post.get("command_id", ""))
    return given if 8 <= len(given) <= 64 else str(uuid.uuid4())


def errors_of(error: RvrError, words: Catalogue) -> dict[str, str]:
    """Each field's faults, as one text."""
    told: dict[str, list[str]] = {}
    for reason in error.reasons:
        if reason.field:
            told.setdefault(reason.field, []).append(words.reason(reason))
    return {name: " ".join(texts) for name, texts in told.items()}


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
        if field.kind == "risk_answers":
            tool = workflow.instruments.get(str(post.get(TOOL)))
            value: Any = answers_from(post, name, tool) if tool else {}
        elif WIDGETS.get(field.kind) in ("questions", "checks"):
            value = _answers(post, name)
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
        values |= {TOOL: case.risk.tool, "risk_level": case.risk_level}
        tool = workflow.instruments.get(case.risk.tool)
        values |= boxes_of(case.risk.answers, "risk_answers", tool) if tool else {}
    proposal = routing.propose(workflow.routes, Facts(case)) if case.state == "review" else None
    return values | ({"team": proposal.team} if proposal else {})


def form_view(
    view: MoveView, case: Case, choices: Choices, values: Mapping[str, str], errors: Mapping[str, str]
) -> FormView:
    """A move's form, filled with what is known and with the errors beside their fields."""
    move, workflow = view.move, choices.workflow
    return FormView(
        id=move.id,
        name=move.name,
        action=f"/cases/{case.id}/moves/{move.id}",
        tone=move.tone,
        hint=move.hint,
        reasons=tuple(choices.words.reason(reason) for reason in view.reasons),
        fields=fields_view(choices, move.asks, move.may_ask, move.id, values, errors),
        command_id=str(uuid.uuid4()),
        version=case.version,
        part=_part(workflow.origin("moves", move.id)),
    )


def _part(file: str) -> str:
    """`parts/people/moves.toml` is of the part `people`."""
    folders = file.split("/")
    return folders[1] if folders[0] == "parts" else ""


def fields_view(
    choices: Choices,
    asks: Iterable[str],
    may_ask: Iterable[str],
    prefix: str,
    values: Mapping[str, str],
    errors: Mapping[str, str],
) -> tuple[FieldView, ...]:
    """The fields of a form in their order."""
    needed, fields = tuple(asks), choices.workflow.fields
    return tuple(_field(choices, fields[name], name in needed, prefix, values, errors) for name in (*needed, *may_ask))


def _field(
    choices: Choices,
    field: Field,
    required: bool,
    prefix: str,
    values: Mapping[str, str],
    errors: Mapping[str, str],
) -> FieldView:
    workflow, options, faulty = choices.workflow, choices.of(field), bool(errors.get(field.id))
    value = values.get(field.id, "")
    if field.kind == "instrument" and not value and options:
        value = options[0].value
    return FieldView(
        name=field.id,
        id=f"{prefix}-{field.id}",
        widget=_widget(field, options),
        label=field.label,
        hint=" ".join(filter(None, (field.hint, _needed_for(workflow, field, choices.words)))),
        required=required,
        value=value,
        error=errors.get(field.id, ""),
        options=options,
        questions=_questions(choices, field, values, faulty=faulty),
        tools=tools(workflow, field.id, values, faulty=faulty) if field.kind == "risk_answers" else (),
        max=field.max,
    )


def _widget(field: Field, options: tuple[Choice, ...]) -> str:
    widget = WIDGETS.get(field.kind, "text")
    if widget == "radios" and len(options) >= SELECT_FROM and not any(option.say for option in options):
        return "select"
    return "hidden" if field.kind == "instrument" and len(options) < 2 else widget


def _questions(choices: Choices, field: Field, values: Mapping[str, str], *, faulty: bool) -> tuple[Question, ...]:
    match field.kind:
        case "criteria":
            return criteria(choices.criteria, field.id, values, faulty=faulty)
        case "checks":
            return checks(field, values, faulty=faulty)
    return ()


def _needed_for(workflow: Workflow, field: Field, words: Catalogue) -> str:
    """The outcomes whose record this answer is a part of."""
    codes = [one.code for one in workflow.outcomes.values() if field.id in one.needs]
    return words.say("page.needed_for", codes=", ".join(codes)) if codes else ""
