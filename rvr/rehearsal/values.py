"""Answers and times as people write them, made into what a form holds.

What cannot be read as its kind of field is passed on as it was written: the form itself refuses it, with its sentence.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from rvr.core import forms, risk
from rvr.core.case import Case
from rvr.core.moment import iso
from rvr.core.workflow import Field
from rvr.rehearsal.case import Rehearsal

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):([0-5]\d)")
_COUNT = re.compile(r"(\d+) ?(s|m|h|d)(?:ec(?:ond)?s?|in(?:ute)?s?|ours?|ays?)?")


class CannotRead(ValueError):
    """A text that means nothing here; the message says what was expected."""


def seconds(text: str) -> int:
    """`1:30`, `24:00:00`, `5m` or `2 days`, in seconds. Raises CannotRead."""
    if clock := _CLOCK.fullmatch(text.strip()):
        return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + int(clock[3])
    if count := _COUNT.fullmatch(text.strip()):
        return int(count[1]) * UNITS_S[count[2]]
    raise CannotRead(f"“{text}” is no time: expected one such as 1:30, 24:00:00, 5 min or 2 days")


def clock(total_s: int) -> str:
    """Seconds as `1:30` or `24:00:00`."""
    if total_s < 0:
        return f"-{clock(-total_s)}"
    minutes, left = divmod(total_s, 60)
    return f"{minutes}:{left:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{left:02}"


def spelt(text: str) -> str:
    """A name as it is compared: `lost_reason`, `lost reason` and `Lost reason` are one."""
    return re.sub(r"[\s_-]+", " ", text).strip().lower()


def one_of(text: str, known: Mapping[str, str], what: str) -> str:
    """What this name stands for. Raises CannotRead with the nearest names."""
    names = {spelt(name): value for name, value in known.items()}
    if (wanted := spelt(text)) in names:
        return names[wanted]
    near = difflib.get_close_matches(wanted, names, 4, 0.4) or sorted(names)
    raise CannotRead(f"“{text}” is no {what}: expected one such as {', '.join(near)}")


def read_form(rehearsal: Rehearsal, fields: Iterable[str], text: str) -> dict[str, Any]:
    """The answers of `field value; field value`; `no field` leaves one empty. Raises CannotRead."""
    form: dict[str, Any] = {}
    for pair in filter(None, (part.strip() for part in text.split(";"))):
        name, value = _split(rehearsal, fields, pair)
        form[name] = read(rehearsal, rehearsal.workflow.fields[name], value, form) if value else ""
    return form


def _split(rehearsal: Rehearsal, asked: Iterable[str], pair: str) -> tuple[str, str]:
    """The field is the longest name that the pair begins with: one of the form's own, else any of the workflow's."""
    asked, empty = tuple(asked), pair.lower().startswith("no ")
    words = pair[3:].split() if empty else pair.split()
    for known in (asked, rehearsal.workflow.fields):
        names = {spelt(name): name for name in known}
        for count in range(len(words), 0, -1):
            name = names.get(spelt(" ".join(words[:count]).rstrip(":")))
            if name and (not empty or count == len(words)):
                return name, " ".join(words[count:])
    raise CannotRead(f"“{pair}” begins with no field: expected {', '.join(asked) or 'none, this form asks nothing'}")


def read(rehearsal: Rehearsal, field: Field, text: str, form: Mapping[str, Any]) -> Any:
    """The value of one field, whose form has these answers before it. Raises CannotRead."""
    if reader := READERS.get(field.kind):
        return reader(rehearsal, field, text, form)
    options: dict[str, str] = {}
    for option in forms.options_of(rehearsal.workflow, field):
        options |= {spelt(option.label): option.value, spelt(option.value): option.value}
    return options.get(spelt(text), text) if options else _nth(rehearsal.case, field.kind, text) or text


def _answers(text: str, known: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Reads `all met but adult no, suspect_away unknown`, `all no` or `adult no`: the usual answer, and the others."""
    every, _, but = text.partition(" but ")
    usual = every.removeprefix("all ").strip() if every.startswith("all ") else ""
    answers: dict[str, str] = {}
    names = {name: name for name in known}
    for pair in filter(None, (part.strip() for part in (but if usual else text).split(","))):
        name, _, answer = pair.rpartition(" ")
        answers[one_of(name, names, "question")] = answer
    return usual, answers


def _criteria(rehearsal: Rehearsal, field: Field, text: str, form: Mapping[str, Any]) -> dict[str, str]:
    criteria = rehearsal.workflow.criteria
    usual, answers = _answers(text, criteria)
    if usual:
        return {c.id: c.met if usual == "met" else usual for c in criteria.values()} | answers
    return answers


def _checks(rehearsal: Rehearsal, field: Field, text: str, form: Mapping[str, Any]) -> dict[str, str]:
    points = [option.value for option in field.options]
    usual, answers = _answers(text, points)
    return (dict.fromkeys(points, usual) if usual else {}) | answers


def _risk_answers(rehearsal: Rehearsal, field: Field, text: str, form: Mapping[str, Any]) -> dict[str, Any]:
    """`all no` gives questions that take no “no” the mildest answer; `row.column+row.column` ticks cells."""
    instruments = rehearsal.workflow.instruments
    tool = instruments[form.get("risk_tool") or next(iter(instruments))]
    usual, written = _answers(text, (question.id for question in tool.every))
    answers: dict[str, Any] = {name: told.split("+") if "." in told else told for name, told in written.items()}
    if not usual:
        return answers
    taken = {question.id: risk.takes(question, tool.scale) for question in risk.asked(tool, answers)}
    return {name: usual if usual in codes else codes[0] for name, codes in taken.items()} | answers


def _datetime(rehearsal: Rehearsal, field: Field, text: str, form: Mapping[str, Any]) -> str:
    """`in 2 days` and `30 min ago` count from now; everything else is a time with its zone."""
    now = rehearsal.universe.wall
    if text.startswith("in "):
        return iso(now + timedelta(seconds=seconds(text.removeprefix("in "))))
    if text.endswith(" ago"):
        return iso(now - timedelta(seconds=seconds(text.removesuffix(" ago"))))
    return text


def _officer(rehearsal: Rehearsal, field: Field, text: str, form: Mapping[str, Any]) -> str:
    """`officer`, `officer 2` or `2`."""
    number = text.removeprefix("officer").strip() or "1"
    return rehearsal.universe.person("officer", int(number)).id if number.isdigit() else text


def _candidate(rehearsal: Rehearsal, field: Field, text: str, form: Mapping[str, Any]) -> str:
    """`victim` or `suspect`: the one of the earlier cases."""
    proposed = {one.role: f"{one.role}:{one.person_id}" for one in rehearsal.universe.basis().candidates}
    return proposed.get(text, text)


def _live_order(rehearsal: Rehearsal, field: Field, text: str, form: Mapping[str, Any]) -> str:
    """The kind of the order."""
    return next((one.id for one in rehearsal.universe.orders if spelt(one.kind) == spelt(text)), text)


def _guest(rehearsal: Rehearsal, field: Field, text: str, form: Mapping[str, Any]) -> str:
    """`guest`, `guest 2` or `2`: in the order in which they were asked into the session."""
    guests = list(rehearsal.case.session.guests) if rehearsal.case.session else []
    number = text.removeprefix("guest").strip() or "1"
    return guests[int(number) - 1] if number.isdigit() and 0 < int(number) <= len(guests) else text


def _nth(case: Case, kind: str, text: str) -> str:
    """`action 2` or `2`: the second of the case's actions, referrals, suspects ...; empty where there is none."""
    kept = getattr(case, f"{kind}s", None)
    number = text.removeprefix(kind).strip()
    if not isinstance(kept, Mapping) or not number.isdigit() or not 0 < int(number) <= len(kept):
        return ""
    return str(list(kept)[int(number) - 1])


Reader = Callable[[Rehearsal, Field, str, Mapping[str, Any]], Any]
READERS: dict[str, Reader] = {
    "flag": lambda rehearsal, field, text, form: {"yes": True, "no": False}.get(text.lower(), text),
    "datetime": _datetime,
    "officer": _officer,
    "candidate": _candidate,
    "guest": _guest,
    "live_order": _live_order,
    "criteria": _criteria,
    "checks": _checks,
    "risk_answers": _risk_answers,
}
"""Kinds of fields that are written in a way of their own."""
