"""Civil orders that protect somebody: what is known of each, and whether it is live at a moment.

Orders come from the systems that hold them. The desk shows a live one at call taking; whether it was broken is for
the people who look at it. Their fields are called by their ids: nobody but an import fills them in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rvr.core import events as e
from rvr.core import forms
from rvr.core.commands import IMPORTER, Actor, ImportOrder
from rvr.core.errors import Forbidden, Reason, Refused
from rvr.core.identity import IdentityKey, keys_of
from rvr.core.moment import Moment
from rvr.core.workflow import Field, Option, Workflow

OTHER = "other"
"""An order of a kind that is not in the force's table: its conditions then say what it is."""

ENDED_BECAUSE = ("discharged", "expired", "replaced", "revoked")

WHO = (IMPORTER, "administrator")
"""Who may take over orders."""

ASKS = ("kind", "starts", "suspect_name")
MAY_ASK = (
    *("ends", "ended_because", "lpa", "neighbourhood", "conditions"),
    *("suspect_dob", "suspect_address", "victim_name", "victim_dob", "victim_address"),
)


@dataclass(frozen=True, slots=True)
class Order:
    """A civil order, at one version of its stream."""

    id: str
    version: int = 0
    kind: str = ""
    lpa: str = ""
    neighbourhood: str = ""
    starts: str = ""
    ends: str = ""
    """UTC time; empty until further notice."""
    ended_because: str = ""
    suspect_name: str = ""
    suspect_dob: str = ""
    suspect_address: str = ""
    victim_name: str = ""
    victim_dob: str = ""
    victim_address: str = ""
    conditions: str = ""
    found_by: tuple[tuple[str, str], ...] = ()
    """(role, kind of key) by which it was found for a case, the strongest first; empty elsewhere."""

    def live(self, at: str) -> bool:
        """Whether it holds at this UTC time: from its start on, and no longer at its end."""
        return self.starts <= at and (not self.ends or at < self.ends)

    @property
    def keys(self) -> tuple[IdentityKey, ...]:
        """By what its two people may be recognised."""
        names = ("suspect_name", "suspect_dob", "victim_name", "victim_dob")
        return keys_of({}, {name: getattr(self, name) for name in names})


def fold_order(order_id: str, log: Iterable[e.Recorded]) -> Order:
    """The order that these events add up to."""
    order = Order(order_id)
    for recorded in log:
        order = apply_order(order, recorded.event)
    return order


def apply_order(order: Order, event: e.Event) -> Order:
    """The order after one more event; imported again, it is as the newer import says."""
    order = replace(order, version=order.version + 1)
    match event.fact:
        case e.OrderImported() as fact:
            told, _ = fact.split()
            hidden = {name: getattr(fact, name) for name in fact.sealed_fields()}
            return replace(order, **told, **hidden, ended_because="")
        case e.OrderEnded(ends=ends, because=because):
            return replace(order, ends=ends, ended_because=because)
    return order


def fields_of(workflow: Workflow) -> dict[str, Field]:
    """What is asked of an order in this force."""
    kinds = [Option(one.id, one.name) for one in workflow.force.orders.values()]
    told = (
        Field("kind", "kind", "choice", options=(*kinds, Option(OTHER, OTHER))),
        Field("starts", "starts", "datetime"),
        Field("ends", "ends", "datetime"),
        Field("ended_because", "ended_because", "choice", options=tuple(Option(code, code) for code in ENDED_BECAUSE)),
        Field("lpa", "lpa", "area"),
        Field("neighbourhood", "neighbourhood", "text", max=100),
        *(Field(f"{who}_name", f"{who}_name", "text", max=100, personal=True) for who in ("suspect", "victim")),
        *(Field(f"{who}_dob", f"{who}_dob", "date", personal=True) for who in ("suspect", "victim")),
        *(
            Field(f"{who}_address", f"{who}_address", "long_text", max=300, personal=True)
            for who in ("suspect", "victim")
        ),
        Field("conditions", "conditions", "long_text", max=4000, personal=True),
    )
    return {field.id: field for field in told}


def decide_import(
    order: Order, command: ImportOrder, workflow: Workflow, *, by: Actor, at: Moment
) -> tuple[e.Event, ...]:
    """Takes over an order, or what has changed of it; nothing if it stands as told.

    Raises Forbidden for a role that may not, Refused with every reason.
    """
    role = next((role for role in WHO if role in by.roles), "")
    if not role:
        raise Forbidden(Reason("not-allowed-here"))
    form = forms.clean(replace(workflow, fields=fields_of(workflow)), ASKS, MAY_ASK, command.form)
    because = form.pop("ended_because", "")
    if faults := _faults(form, because):
        raise Refused(*faults)
    told: list[e.Fact] = []
    imported = e.OrderImported(**form)
    known = {name: getattr(order, name) for name in (*ASKS, *MAY_ASK) if name != "ended_because"}
    new = {name: getattr(imported, name) for name in known}
    if because:  # then the end is told by a fact of its own
        known["ends"] = new["ends"]
    if not order.version or known != new:
        told.append(imported)
    if because and (told or (order.ends, order.ended_because) != (imported.ends, because)):
        told.append(e.OrderEnded(ends=imported.ends, because=because))
    return tuple(e.Event(fact, "", at, by.id, role, definition=workflow.hash) for fact in told)


def _faults(form: Mapping[str, Any], because: str) -> list[Reason]:
    missing = [(form["kind"] == OTHER, "conditions"), (bool(because), "ends")]
    faults = [Reason("missing", {"label": name}, name) for needed, name in missing if needed and name not in form]
    if "ends" in form and form["ends"] <= form["starts"]:
        faults.append(Reason("ends-before-it-starts", {}, "ends"))
    return faults
