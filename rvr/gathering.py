"""Gathers what a decision may rest on: the case as it stands, who is on duty, what is known of its people. One look.

The cases of the last minutes are kept as they were read, so that of each only what is new is read and unsealed again:
the log is append-only, and what was read of it stays true. An erased case alone is read anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rvr.core.case import Case, apply, fold, names_people
from rvr.core.erasure import is_erased
from rvr.core.events import Recorded
from rvr.core.roster import Capacity, Officer
from rvr.core.trial import Design, TrialNow
from rvr.store import log, staff, trials
from rvr.store.engine import Connection
from rvr.store.history import Known, known
from rvr.store.sealing import Sealer

MOST = 500
"""Cases that are kept: as many as are open at once on a large desk, some 100 kB each."""


class Told(NamedTuple):
    """A case's log as far as it was read, and what it adds up to."""

    log: tuple[Recorded, ...]
    case: Case


class Recent:
    """The cases that were asked for last. For one thread, that of the loop; the looks themselves run elsewhere."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[str, Told] = OrderedDict()

    def of(self, case_id: str) -> Told:
        """What was last read of the case; nothing, where nothing is kept."""
        return self._kept.get(case_id) or Told((), Case(case_id))

    def keep(self, told: Told) -> None:
        """Keeps the case, unless more of it is kept already."""
        case_id = told.case.id
        if is_erased(told.case) or not told.log:
            self._kept.pop(case_id, None)
            return
        if told.case.version >= self.of(case_id).case.version:
            self._kept[case_id] = told
        self._kept.move_to_end(case_id)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def grow(self, case: Case, recorded: Iterable[Recorded]) -> Told | None:
        """Adds what was recorded just now, after which the case is this; None where that does not follow on what is
        kept."""
        before, stream = self.of(case.id), f"case/{case.id}"
        fresh = [one for one in recorded if one.stream == stream]
        if not fresh or fresh[0].version != before.case.version + 1:
            return None
        told = Told((*before.log, *fresh), case)
        self.keep(told)
        return told

    def forget(self, case_id: str) -> None:
        self._kept.pop(case_id, None)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a decision may rest on, all of it as it stood at one feed position."""

    position: int
    officers: Mapping[str, Officer]
    told: Told
    known: Known
    queue: int = 0
    """Other cases that wait for an officer: offered, or to be offered by the arm that was drawn for them."""
    trials: Mapping[str, TrialNow] = field(default_factory=dict)
    """The trials that were asked for, by id, without their secrets."""

    @property
    def case(self) -> Case:
        return self.told.case

    @property
    def log(self) -> tuple[Recorded, ...]:
        """The case's events, oldest first."""
        return self.told.log

    def after(self, told: Told, officers: Iterable[Officer]) -> Gathered | None:
        """The same once more was recorded of the case and these officers changed by it; None where other people may be
        known of it now, or a place of a trial may be taken.
        """
        fresh = told.log[self.case.version :]
        if (
            any(names_people(one.event) for one in fresh)
            or told.case.not_the_same != self.case.not_the_same
            or self.trials
        ):
            return None
        changed = {officer.id: officer for officer in officers}
        return replace(self, position=fresh[-1].position, officers={**self.officers, **changed}, told=told)

    def capacity(self, *, desk_open: bool) -> Capacity:
        """How much of the desk is there."""
        on_duty = [officer for officer in self.officers.values() if officer.duty == "on"]
        free, ids = sum(officer.free for officer in on_duty), tuple(officer.id for officer in on_duty)
        return Capacity(len(on_duty), free, self.position, ids, desk_open=desk_open, queue=self.queue)

    def trial(self, design: Design | None, secret: bytes | None) -> TrialNow | None:
        """The trial of this design as it stands, for a draw; None where none is on."""
        now = self.trials.get(design.id) if design else None
        return replace(now, secret=secret) if now else None


def read_on(connection: Connection, sealer: Sealer, before: Told) -> Told:
    """The same case as it is now."""
    stream = f"case/{before.case.id}"
    fresh = log.load(connection, sealer, stream, before.case.version)
    case = before.case
    for recorded in fresh:
        case = apply(case, recorded.event)
    if before.log and is_erased(case):  # what was read before may not be shown any more
        return read_on(connection, sealer, Told((), Case(case.id)))
    return Told((*before.log, *fresh), case)


def at_version(told: Told, version: int | None) -> Told:
    """The case as it was at a version; as it is, without one."""
    if version is None or version >= told.case.version:
        return told
    return Told(told.log[:version], fold(told.case.id, told.log[:version]))


@dataclass(frozen=True, slots=True)
class Around:
    """What else of the desk's definitions is looked at with each case."""

    queue: frozenset[str] = frozenset()
    """States in which a case waits for the desk."""
    trials: tuple[Design, ...] = ()

    @property
    def drawn_in(self) -> frozenset[str]:
        """States in which a case may wait to be offered what its arm opens."""
        return frozenset(state for design in self.trials for state in design.states)

    @property
    def offering(self) -> frozenset[str]:
        """Arms that open anything."""
        return frozenset(arm.id for design in self.trials for arm in design.arms.values() if arm.opens)


def gather(connection: Connection, sealer: Sealer, told: Told, at: str, around: Around) -> Gathered:
    """What stands around this case at this UTC time; nothing is known of one that has yet to be opened."""
    found = known(connection, sealer, told.case, at) if told.log else Known()
    return Gathered(
        log.position(connection),
        staff.officers(connection),
        told,
        found,
        _waiting(connection, around, told.case.id),
        {design.id: trials.standing(connection, design.id) for design in around.trials},
    )


def _waiting(connection: Connection, around: Around, but: str) -> int:
    """Cases that wait for an officer, that one apart. Between its draw and its offer a case is in no queue, and needs
    the officer who was free for it."""
    offered = staff.waiting(connection, around.queue, but)
    return offered + staff.drawn(connection, around.drawn_in, around.offering, but) if around.trials else offered
