"""The kinds of file: which fields each holds, and how one line of it goes through the desk's door.

A line has a key, its reference in the system that it comes from. Ids made of it are keyed fingerprints: the same line
finds what it made before, and nobody reads a reference out of an id.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from rvr.core import duty_plan, earlier, orders
from rvr.core.commands import THE_IMPORTER, Command, ImportEarlier, ImportOrder, MakeMove, OpenCase, PlanDuty
from rvr.core.errors import NotFound, Reason, Refused, Reused
from rvr.core.events import EarlierCaseTimed
from rvr.core.identity import reference_text
from rvr.core.workflow import Field, Workflow
from rvr.desk import Desk
from rvr.importing.mappings import LOCAL, Wanted
from rvr.noting import earlier_known

Form = Mapping[str, Any]
Door = Callable[[Command], Awaitable[bool]]
"""Carries out a command, or only asks whether it would be: whether there was anything to record."""

REPORTS = "crime-report"
"""The workflow that reports are opened under, and whose fields an outcome has."""


class Kind(Protocol):
    """One kind of file."""

    wanted: Wanted

    def __init__(self, desk: Desk) -> None: ...

    def key(self, form: Form) -> tuple[str, ...]:
        """By what the line is known where it comes from."""
        ...

    async def land(self, form: Form, door: Door) -> bool:
        """Puts one line through the door; False if it was there already. Raises Refused with every reason."""
        ...


class Reports:
    """Crime reports: each opens a case, known by its crime reference."""

    def __init__(self, desk: Desk) -> None:
        self.desk, flow = desk, _flow(desk)
        self.wanted = Wanted(flow, flow.opens_asks, flow.opens_may_ask)

    def key(self, form: Form) -> tuple[str, ...]:
        return (reference_text(form["crime_reference"]),)

    async def land(self, form: Form, door: Door) -> bool:
        command = OpenCase(id_of(self.desk, "report", *self.key(form)), form, REPORTS)
        before = await self.desk.store.command(THE_IMPORTER.id, command.command_id)
        if before is None and (others := await self.desk.cases_with(form["crime_reference"])):
            raise Refused(Reason("import-known-case", {"case": others[0].reference}))
        return await _unless_other(self.desk, command, door, "import-other-details")


class Outcomes:
    """Home Office outcomes, known by crime reference, code and day. A case that is closed takes them, too."""

    def __init__(self, desk: Desk) -> None:
        self.desk, flow = desk, _flow(desk)
        self._move = flow.moves["record_outcome"]
        needed = ("crime_reference", *self._move.asks, "outcome_on")
        self.wanted = Wanted(flow, needed, tuple(name for name in self._move.may_ask if name not in needed))

    def key(self, form: Form) -> tuple[str, ...]:
        return (reference_text(form["crime_reference"]), form["outcome_code"], form["outcome_on"])

    async def land(self, form: Form, door: Door) -> bool:
        cases = await self.desk.cases_with(form["crime_reference"])
        if not cases:
            raise Refused(Reason("import-no-case"))
        if len(cases) > 1:
            raise Refused(Reason("import-many-cases", {"cases": ", ".join(case.reference for case in cases)}))
        told = {name: value for name, value in form.items() if name != "crime_reference"}
        command = MakeMove(id_of(self.desk, "outcome", *self.key(form)), cases[0].case, self._move.id, told)
        return await _unless_other(self.desk, command, door, "import-other-outcome")


class Orders:
    """Civil orders, known by the reference of the system that holds them. Imported again, an order is as it is told."""

    def __init__(self, desk: Desk) -> None:
        self.desk, flow = desk, _flow(desk)
        reference = Field("reference", "reference", "text", max=100, personal=True)
        fields = {"reference": reference, **orders.fields_of(flow)}
        asks, whole_days = ("reference", *orders.ASKS), {"starts": 0, "ends": 1}
        self.wanted = Wanted(replace(flow, fields=fields), asks, orders.MAY_ASK, whole_days)

    def key(self, form: Form) -> tuple[str, ...]:
        return (reference_text(form["reference"]),)

    async def land(self, form: Form, door: Door) -> bool:
        told = {name: value for name, value in form.items() if name != "reference"}
        return await door(ImportOrder(self.desk.new_id(), id_of(self.desk, "order", *self.key(form)), told))


class WholeKind(Protocol):
    """A kind of file that lands as a whole, or not at all."""

    wanted: Wanted

    def __init__(self, desk: Desk) -> None: ...

    def key(self, form: Form) -> tuple[str, ...]:
        """By what the line is known where it comes from."""
        ...

    async def begin(self) -> None:
        """Looks up what was imported before."""
        ...

    def is_new(self, form: Form) -> bool:
        """Whether the line is not there already. Raises Refused with every reason."""
        ...

    async def land(self, new: Sequence[Form], door: Door) -> None:
        """Puts all of them through the door at once."""
        ...


class Timings:
    """Timings of an earlier desk, known by source and reference. The reference itself is not kept."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self._flow = desk, _flow(desk)
        reference = Field("reference", "reference", "text", max=100)
        fields = {"reference": reference, **earlier.fields_of()}
        self.wanted = Wanted(replace(self._flow, fields=fields), ("reference", *earlier.ASKS), earlier.MAY_ASK)
        self._known: Mapping[str, EarlierCaseTimed] = {}

    def key(self, form: Form) -> tuple[str, ...]:
        return (form["source"], reference_text(form["reference"]))

    async def begin(self) -> None:
        self._known = await earlier_known(self.desk.store)

    def is_new(self, form: Form) -> bool:
        known = self._known.get(self._id(form))
        earlier.fact_of(_without_reference(form), self._flow, self.desk.observe(), known)
        return known is None

    async def land(self, new: Sequence[Form], door: Door) -> None:
        rows = tuple((self._id(form), _without_reference(form)) for form in new)
        await door(ImportEarlier(self.desk.new_id(), rows))

    def _id(self, form: Form) -> str:
        return id_of(self.desk, "timings", *self.key(form))


class Duty:
    """The duty plan. An officer is told by the sign-in name, by an e-mail address that begins with it, or by name."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        flow = replace(_flow(desk), fields=duty_plan.fields_of())
        self.wanted = Wanted(flow, duty_plan.ASKS, (), time_format=LOCAL)
        self._officers: dict[str, list[str]] = {}

    def key(self, form: Form) -> tuple[str, ...]:
        return (form["officer"], form["begins_at"])

    async def begin(self) -> None:
        for one in (await self.desk.people()).values():
            if "officer" in one.roles and not one.disabled:
                for known_as in {one.username.casefold(), one.name.casefold()}:
                    self._officers.setdefault(known_as, []).append(one.id)

    def is_new(self, form: Form) -> bool:
        duty_plan.shift_of(form, self._officer(form))
        return True  # a plan is as it is told, also where it was told before

    async def land(self, new: Sequence[Form], door: Door) -> None:
        shifts = ((self._officer(form), form["begins_at"], form["ends_at"]) for form in new)
        await door(PlanDuty(self.desk.new_id(), tuple(shifts)))

    def _officer(self, form: Form) -> str:
        told = form["officer"].casefold()
        found = self._officers.get(told) or self._officers.get(told.partition("@")[0], [])
        if len(found) != 1:
            code = "import-many-officers" if found else "import-no-officer"
            raise Refused(Reason(code, {}, "officer"))
        return found[0]


def _without_reference(form: Form) -> Form:
    return {name: value for name, value in form.items() if name != "reference"}


KINDS: Mapping[str, type[Kind]] = {"reports": Reports, "orders": Orders, "outcomes": Outcomes}
WHOLE: Mapping[str, type[WholeKind]] = {"timings": Timings, "duty": Duty}


def id_of(desk: Desk, *known_by: str) -> str:
    """The id that this line always has in this force: a keyed fingerprint in the shape of every other id (UUIDv4)."""
    told = json.dumps(["import", _flow(desk).force.id, *known_by]).encode()
    return str(uuid.UUID(bytes=desk.store.fingerprint(told)[:16], version=4))


def _flow(desk: Desk) -> Workflow:
    if REPORTS not in desk.definitions.workflows:
        raise NotFound(Reason("no-such-workflow"))
    return desk.definitions.workflows[REPORTS]


async def _unless_other(desk: Desk, command: Command, door: Door, code: str) -> bool:
    """What the door says; a line that came before with other details is refused and its case named."""
    try:
        return await door(command)
    except Reused:
        before = await desk.store.command(THE_IMPORTER.id, command.command_id)
        case = await desk.case(before.result["case"]) if before is not None else None
        raise Refused(Reason(code, {"case": case.reference if case else ""})) from None
