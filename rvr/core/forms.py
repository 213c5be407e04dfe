"""What a form may hold: each value is checked and put into one form, and every fault is told at once.

Fields are declared by the workflow; this module knows their kinds. It neither renders nor stores them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from rvr.core.criteria import ANSWERS as CRITERION_ANSWERS
from rvr.core.errors import Reason, Refused
from rvr.core.moment import iso, parse_iso
from rvr.core.risk import NOT_TOLD, Instrument, Question, asked, takes
from rvr.core.workflow import Field, Option, Workflow

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Control and text-direction characters: they can make a name read as another (Unicode TR 36). Half a surrogate pair
cannot be stored at all."""

_UK_MOBILE_OR_LANDLINE = re.compile(r"\+44[1-9]\d{8,9}")


_E_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
"""What HTML takes for an e-mail address (input type=email), with a dot in the domain."""


CHECK_ANSWERS = ("yes", "no", "not_applicable")


class _Bad(Exception):
    """A value that its field does not take: the reason's code and parameters."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code)
        self.code, self.params = code, params


def clean(workflow: Workflow, asks: Iterable[str], may_ask: Iterable[str], form: Mapping[str, Any]) -> dict[str, Any]:
    """The form with each value in its one true form; empty optional answers are left out.

    Raises Refused with a reason for every missing, unknown or unreadable field.
    """
    asks, may_ask = tuple(asks), tuple(may_ask)
    reasons = [Reason("unknown-field", {"field": name}, name) for name in form if name not in (*asks, *may_ask)]
    values: dict[str, Any] = {}
    for name in (*asks, *may_ask):
        field, raw = workflow.fields[name], form.get(name)
        if raw in (None, "", {}):
            if name in asks:
                reasons.append(Reason("missing", {"label": field.label}, name))
            continue
        try:
            values[name] = KINDS[field.kind](workflow, field, raw)
        except _Bad as bad:
            reasons.append(Reason(bad.code, {"label": field.label, **bad.params}, name))
    if reasons:
        raise Refused(*reasons)
    return values


def _text(workflow: Workflow, field: Field, raw: Any) -> str:
    if not isinstance(raw, str):
        raise _Bad("not-text")
    text = unicodedata.normalize("NFC", raw.replace("\r\n", "\n")).strip()
    if _UNSEEN.search(text):
        raise _Bad("unseen-characters")
    if len(text) > field.max:
        raise _Bad("too-long", max=field.max)
    if not text:
        raise _Bad("missing")
    return text


def _phone(workflow: Workflow, field: Field, raw: Any) -> str:
    """E.164. A national number is taken to be a British one."""
    digits = re.sub(r"[\s().-]", "", _text(workflow, field, raw))
    digits = re.sub(r"^00", "+", digits)
    digits = re.sub(r"^0", "+44", digits)
    if not _UK_MOBILE_OR_LANDLINE.fullmatch(digits) and not re.fullmatch(r"\+(?!44)[1-9]\d{7,14}", digits):
        raise _Bad("not-a-phone-number")
    return digits


def _reach(workflow: Workflow, field: Field, raw: Any) -> str:
    """A telephone number, or an e-mail address: what has an @ in it."""
    text = _text(workflow, field, raw)
    if "@" not in text:
        return _phone(workflow, field, text)
    if not _E_MAIL.fullmatch(text):
        raise _Bad("not-an-address")
    return text


def _choice(workflow: Workflow, field: Field, raw: Any) -> str:
    table = TABLES.get(field.kind)
    known = table(workflow) if table else [option.value for option in field.options]
    if not isinstance(raw, str) or raw not in known:
        raise _Bad("not-an-option")
    return str(raw)


def _date(workflow: Workflow, field: Field, raw: Any) -> str:
    try:
        return date.fromisoformat(_text(workflow, field, raw)).isoformat()
    except ValueError:
        raise _Bad("not-a-date") from None


def _datetime(workflow: Workflow, field: Field, raw: Any) -> str:
    try:
        return iso(parse_iso(_text(workflow, field, raw)))
    except (ValueError, OverflowError):  # an offset can push the first and the last day out of the calendar
        raise _Bad("not-a-time") from None


def _flag(workflow: Workflow, field: Field, raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise _Bad("not-a-flag")
    return raw


def _id(workflow: Workflow, field: Field, raw: Any) -> str:
    return _text(workflow, field, raw)


def _checks(workflow: Workflow, field: Field, raw: Any) -> dict[str, str]:
    """Every point of a list, each met, not met, or not applicable: none is left out."""
    if not isinstance(raw, Mapping):
        raise _Bad("not-answers")
    points = [option.value for option in field.options]
    for name, answer in raw.items():
        if name not in points:
            raise _Bad("unknown-question", question=name)
        if answer not in CHECK_ANSWERS:
            raise _Bad("not-an-option", question=name)
    left = [name for name in points if name not in raw]
    if left:
        raise _Bad("questions-left", count=len(left))
    return {name: str(raw[name]) for name in points}


def _answers(known: Callable[[Workflow], Iterable[str] | None], allowed: tuple[str, ...]) -> Any:
    def read(workflow: Workflow, field: Field, raw: Any) -> dict[str, str]:
        if not isinstance(raw, Mapping):
            raise _Bad("not-answers")
        names = known(workflow)
        for name, answer in raw.items():
            if answer not in allowed:
                raise _Bad("not-an-option", question=name)
            if names is not None and name not in names:
                raise _Bad("unknown-question", question=name)
        return dict(raw)

    return read


def _risk_answers(workflow: Workflow, field: Field, raw: Any) -> dict[str, str | list[str]]:
    """Words or lists of words. Which of them a question takes is checked where the instrument is known, in `makers`."""
    if not isinstance(raw, Mapping):
        raise _Bad("not-answers")
    given = {name: answer for name, answer in raw.items() if answer not in (None, "", [])}
    return {
        name: sorted({_text(workflow, field, one) for one in answer})
        if isinstance(answer, list)
        else _text(workflow, field, answer)
        for name, answer in given.items()
    }


KINDS: dict[str, Callable[[Workflow, Field, Any], Any]] = {
    "text": _text,
    "long_text": _text,
    "phone": _phone,
    "reach": _reach,
    "choice": _choice,
    "area": _choice,
    "team": _choice,
    "response_grade": _choice,
    "instrument": _choice,
    "safeguard": _choice,
    "partner": _choice,
    "civil_order": _choice,
    "suspect_status": _choice,
    "outcome": _choice,
    "checks": _checks,
    "candidate": _id,
    "live_order": _id,
    "referral": _id,
    "guest": _id,
    "guest_contact": _id,
    "suspect": _id,
    "date": _date,
    "datetime": _datetime,
    "flag": _flag,
    "officer": _id,
    "action": _id,
    "criteria": _answers(lambda workflow: workflow.criteria, CRITERION_ANSWERS),
    "risk_answers": _risk_answers,
}
"""How each kind of field is read."""


TABLES: dict[str, Callable[[Workflow], Mapping[str, Any]]] = {
    "area": lambda workflow: workflow.force.areas,
    "team": lambda workflow: workflow.force.teams,
    "response_grade": lambda workflow: workflow.force.response_grades,
    "partner": lambda workflow: workflow.force.partners,
    "civil_order": lambda workflow: workflow.force.orders,
    "safeguard": lambda workflow: workflow.safeguarding,
    "suspect_status": lambda workflow: workflow.suspect_states,
    "outcome": lambda workflow: workflow.outcomes,
    "instrument": lambda workflow: workflow.instruments,
}
"""Kinds of choice that stand for a table of the workflow or the force: what may be chosen, by id."""


def options_of(workflow: Workflow, field: Field) -> tuple[Option, ...]:
    """The options of a choice: its own, or those of the table that it stands for."""
    if field.kind not in TABLES:
        return field.options
    return tuple(Option(id_, _label(field.kind, id_, one)) for id_, one in TABLES[field.kind](workflow).items())


def _label(kind: str, id_: str, one: Any) -> str:
    name = one if isinstance(one, str) else str(one.name)
    return f"{id_} {name}" if kind == "outcome" else name


@lru_cache(4096)
def json_schema(workflow: Workflow, asks: tuple[str, ...], may_ask: tuple[str, ...]) -> Mapping[str, Any]:
    """JSON Schema 2020-12 of a form, with an example. Made once for each form: not to be changed by who is given it."""
    properties = {name: _schema(workflow, workflow.fields[name]) for name in (*asks, *may_ask)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": list(asks),
        "additionalProperties": False,
        "examples": [{name: properties[name]["examples"][0] for name in asks}],
    }


def _schema(workflow: Workflow, field: Field) -> dict[str, Any]:
    about: dict[str, Any] = {"title": field.label, **({"description": field.hint} if field.hint else {})}
    match field.kind:
        case "text" | "long_text":
            return {**about, "type": "string", "minLength": 1, "maxLength": field.max, "examples": ["text"]}
        case "officer" | "action" | "candidate" | "live_order" | "referral" | "suspect" | "guest" | "guest_contact":
            return {**about, "type": "string", "minLength": 1, "maxLength": field.max, "examples": ["text"]}
        case "phone" | "reach":
            return {**about, "type": "string", "maxLength": 40, "examples": ["07700 900123"]}
        case "date":
            return {**about, "type": "string", "format": "date", "examples": ["1990-01-31"]}
        case "datetime":
            return {**about, "type": "string", "format": "date-time", "examples": ["2026-11-22T21:18:04Z"]}
        case "checks":
            points = {option.value: {"title": option.label, "enum": list(CHECK_ANSWERS)} for option in field.options}
            example = dict.fromkeys(points, "yes")
            about |= {"type": "object", "properties": points, "additionalProperties": False}
            return {**about, "required": list(points), "examples": [example]}
        case "flag":
            return {**about, "type": "boolean", "examples": [True]}
        case "criteria":
            return {
                **about,
                "type": "object",
                "additionalProperties": {"enum": list(CRITERION_ANSWERS)},
                "examples": [dict.fromkeys(workflow.criteria, "yes")],
            }
        case "risk_answers":
            tools = [_instrument_schema(tool, field.max) for tool in workflow.instruments.values()]
            return {**about, "type": "object", "anyOf": tools or [{}], "examples": [_example(workflow.instruments)]}
    values = [option.value for option in options_of(workflow, field)]
    return {**about, "enum": values, "examples": values[:1]}


def _example(instruments: Mapping[str, Instrument]) -> dict[str, Any]:
    """The first instrument with the mildest answer to each question that is always asked."""
    return {
        question.id: {"frequency": takes(question, tool.scale)[0], "text": NOT_TOLD[0]}.get(question.kind, "no")
        for tool in list(instruments.values())[:1]
        for question in asked(tool, {})
    }


def _instrument_schema(tool: Instrument, longest: int) -> dict[str, Any]:
    """The answers that this instrument takes; which questions are asked depends on the answers before them."""
    return {
        "title": tool.name,
        "properties": {question.id: _answer_schema(tool, question, longest) for question in tool.every},
        "additionalProperties": False,
    }


def _answer_schema(tool: Instrument, question: Question, longest: int) -> dict[str, Any]:
    about = {"title": question.topic}
    match question.kind:
        case "text":
            return {**about, "type": "string", "minLength": 1, "maxLength": longest}
        case "matrix":
            ticked = {"type": "array", "items": {"enum": list(question.cells)}, "minItems": 1, "uniqueItems": True}
            return {**about, "anyOf": [ticked, {"enum": ["no", *NOT_TOLD]}]}
    return {**about, "enum": list(takes(question, tool.scale))}
