"""Timings of an earlier desk, or of business as usual before this one: told by another system, and kept as told.

Each row is an event of a stream of its own, `earlier/<id>`, never of a case: nobody works on it, and no figure of this
desk has it in its count. Its times are stated ones, with their source; the event's own time is that of the import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rvr.core import events as e
from rvr.core import forms
from rvr.core.commands import IMPORTER, Actor, ImportEarlier
from rvr.core.errors import Forbidden, Reason, Refused
from rvr.core.moment import Moment, iso
from rvr.core.workflow import Field, Workflow

STREAM = "earlier/"

WHO = (IMPORTER, "administrator")

ASKS = ("source", "opened_at")
MAY_ASK = ("answered_at", "requested_at", "attended_at", "video_at", "closed_at", "lpa", "response_grade")
TIMES = tuple(name for name in (*ASKS, *MAY_ASK) if name.endswith("_at"))

_CODE = re.compile(r"[a-z0-9_-]{1,40}")


def fields_of() -> dict[str, Field]:
    """What is asked of a row."""
    told = (
        Field("source", "source", "text", max=40),
        *(Field(name, name, "datetime") for name in TIMES),
        Field("lpa", "lpa", "area"),
        Field("response_grade", "response_grade", "response_grade"),
    )
    return {field.id: field for field in told}


def fact_of(
    form: Mapping[str, Any], workflow: Workflow, at: Moment, known: e.EarlierCaseTimed | None
) -> e.EarlierCaseTimed:
    """The row as a fact; `known`: what was imported under its id before. Raises Refused with every reason."""
    told = forms.clean(replace(workflow, fields=fields_of()), ASKS, MAY_ASK, form)
    faults = [] if _CODE.fullmatch(told["source"]) else [Reason("import-source", {}, "source")]
    now = iso(at.at)
    faults += [Reason("in-the-future", {"label": name}, name) for name in TIMES if told.get(name, "") > now]
    fact = e.EarlierCaseTimed(**told)
    if not faults and known not in (None, fact):
        faults = [Reason("import-other-timings")]
    if faults:
        raise Refused(*faults)
    return fact


def decide_import(
    known: Mapping[str, e.EarlierCaseTimed], command: ImportEarlier, workflow: Workflow, *, by: Actor, at: Moment
) -> dict[str, e.Event]:
    """By id, an event for each row that is not known yet. Raises Forbidden for a role that may not, Refused with the
    reasons of every row: then none is taken over.
    """
    role = next((role for role in WHO if role in by.roles), "")
    if not role:
        raise Forbidden(Reason("not-allowed-here"))
    faults, events = list[Reason](), dict[str, e.Event]()
    for id_, form in command.rows:
        try:
            fact = fact_of(form, workflow, at, known.get(id_))
        except Refused as refused:
            faults += refused.reasons
            continue
        if id_ not in known:
            events[id_] = e.Event(
                fact, "", at, by.id, role, workflow.hash, stated_at=fact.opened_at, stated_source=fact.source
            )
    if faults:
        raise Refused(*faults)
    return events
