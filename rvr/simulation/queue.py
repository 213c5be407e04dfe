"""The short reckoning: callers, officers by shift and one queue, with the deadlines of the workflow, in memory.

It decides what `play` decides on the real desk, so far as a wait depends on it: whoever offered first is taken first,
as soon as an officer is free and the sergeant had time to look; a shift's officers end what they have begun and take
nothing new after its end; an offer that nobody takes ends with the caller's patience or the workflow's.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import count

from rvr.core.force import Hours
from rvr.simulation.callers import Caller
from rvr.simulation.stages import Stages

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Shift:
    """Officers who come and go together each day, by a clock on the wall there. Ends after midnight where that is
    not later than its beginning."""

    begins: time
    ends: time
    officers: int

    def __str__(self) -> str:
        return f"{self.begins:%H:%M}-{self.ends:%H:%M}"

    def on(self, day: date, hours: Hours) -> tuple[datetime, datetime]:
        """From when to when it lasts, in UTC. In an hour that the clocks show twice the first is meant, in one that
        they leave out the time at which they then stand.
        """
        begin, end = datetime.combine(day, self.begins), datetime.combine(day, self.ends)
        begun, ended = (_utc(hours, at) for at in (begin, end if end > begin else end + _DAY))
        return begun, ended

    def holds(self, at: datetime, hours: Hours) -> bool:
        """Whether that moment lies in it."""
        local = hours.local(at).time()
        if self.begins < self.ends:
            return self.begins <= local < self.ends
        return local >= self.begins or local < self.ends


def _utc(hours: Hours, local: datetime) -> datetime:
    readings = hours.readings(local)
    return readings[0] if readings else _utc(hours, local + timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one caller whom the desk was asked to take."""

    number: int
    offered_at: datetime
    ended: str
    """video; drop: left once an officer was assigned; left: did not wait any longer; timed_out: the workflow took the
    offer back; closed: no officer came any more."""
    waited_s: float
    """From when a sergeant could have accepted until an officer was found, or the offer ended."""
    contact_s: float | None = None
    """From the opening of the case to two-way video."""
    held_s: float = 0.0
    """For how long the officer was bound."""
    shift: int | None = None
    """The place in the roster of the shift whose officer was found."""


@dataclass(order=True, slots=True)
class _Due:
    at: datetime
    order: int
    do: Callable[[_Due], Iterator[Seen]] = field(compare=False)
    caller: Caller | None = field(compare=False, default=None)
    duty: _Duty | None = field(compare=False, default=None)
    ended: str = field(compare=False, default="")


@dataclass(slots=True, eq=False)
class _Duty:
    """The officers of one shift: the same people every day. Whom a call holds beyond the end of it is not free when the
    next day's begins."""

    shift: int
    free: int
    days: int = 0
    """On how many days' account it is on: two at the moment at which one that lasts a whole day follows on itself."""


class Queue:
    """One run of it. Yields what became of each caller, as it is known."""

    def __init__(self, stages: Stages, hours: Hours, shifts: Sequence[Shift]) -> None:
        self._stages, self._hours, self._shifts = stages, hours, shifts
        self._due: list[_Due] = []
        self._numbers = count()
        self._duties: list[_Duty] = []
        self._waits: deque[tuple[Caller, datetime]] = deque()
        self._gone: set[int] = set()

    def run(self, callers: Iterable[Caller], start: datetime, end: datetime) -> Iterator[Seen]:
        """Whoever calls; offers that are neither taken nor lost by `end` are left out."""
        self._roster(start, end)
        for caller in callers:
            if caller.wants_video:
                asked = caller.at + timedelta(seconds=caller.until_asked_s)
                self._push(asked, self._ask, caller)
        while self._due and self._due[0].at < end:
            due = heapq.heappop(self._due)
            yield from due.do(due)

    def _push(
        self,
        at: datetime,
        do: Callable[[_Due], Iterator[Seen]],
        caller: Caller | None = None,
        duty: _Duty | None = None,
        ended: str = "",
    ) -> None:
        heapq.heappush(self._due, _Due(at, next(self._numbers), do, caller, duty, ended))

    def _roster(self, start: datetime, end: datetime) -> None:
        """All that come before all that go: whoever comes at that moment comes first, or the queue would be sent away
        between two shifts."""
        duties = [_Duty(place, shift.officers) for place, shift in enumerate(self._shifts)]
        day, goes = self._hours.local(start).date() - _DAY, list[tuple[datetime, _Duty]]()
        while day <= self._hours.local(end).date():
            for shift, duty in zip(self._shifts, duties, strict=True):
                begins, ends = shift.on(day, self._hours)
                if ends > start and shift.officers:
                    goes.append((ends, duty))
                    self._push(max(begins, start), self._open, duty=duty)
            day += _DAY
        for ends, duty in goes:
            self._push(ends, self._close, duty=duty)

    # --- What happens ------------------------------------------------------------------------------------------------

    def _open(self, due: _Due) -> Iterator[Seen]:
        if due.duty is not None:
            due.duty.days += 1
            if due.duty not in self._duties:
                self._duties.append(due.duty)
        yield from self._serve(due.at)

    def _close(self, due: _Due) -> Iterator[Seen]:
        if due.duty is not None:
            due.duty.days -= 1
            if not due.duty.days:
                self._duties.remove(due.duty)
        if not self._duties:
            while self._waits:
                caller, ready = self._waits.popleft()
                if caller.number not in self._gone:
                    yield self._lost(caller, ready, due.at, "closed")

    def _ask(self, due: _Due) -> Iterator[Seen]:
        """Video is spoken of only while anybody is there."""
        if due.caller is not None and self._duties:
            self._push(due.caller.at + timedelta(seconds=due.caller.until_offer_s), self._offer, due.caller)
        yield from ()

    def _offer(self, due: _Due) -> Iterator[Seen]:
        if due.caller is not None and self._duties:
            self._push(due.at + timedelta(seconds=due.caller.stages["accept"]), self._ready, due.caller)
        yield from ()

    def _ready(self, due: _Due) -> Iterator[Seen]:
        caller, limit = due.caller, self._stages.gives_up_s
        if caller is None:
            return
        if not self._duties:
            yield self._lost(caller, due.at, due.at, "closed")
            return
        offered = due.at - timedelta(seconds=caller.stages["accept"])
        patient = timedelta(seconds=caller.patience_s)
        leaves, ends = offered + patient, "left"
        if limit is not None and timedelta(seconds=limit) < patient:
            leaves, ends = offered + timedelta(seconds=limit), "timed_out"
        self._waits.append((caller, due.at))
        yield from self._serve(due.at)
        if self._waits and self._waits[-1][0] is caller:
            self._push(max(leaves, due.at), self._gives_up, caller, ended=ends)

    def _gives_up(self, due: _Due) -> Iterator[Seen]:
        for caller, ready in self._waits:
            if caller is due.caller and caller.number not in self._gone:
                yield self._lost(caller, ready, due.at, due.ended)

    def _free(self, due: _Due) -> Iterator[Seen]:
        if due.duty is not None:
            due.duty.free += 1
            yield from self._serve(due.at)

    # --- Who is served -----------------------------------------------------------------------------------------------

    def _serve(self, at: datetime) -> Iterator[Seen]:
        while self._waits:
            if self._waits[0][0].number in self._gone:
                self._gone.discard(self._waits.popleft()[0].number)
                continue
            duty = next((one for one in self._duties if one.free), None)
            if duty is None:
                return
            duty.free -= 1
            caller, ready = self._waits.popleft()
            yield self._served(caller, ready, at, duty)

    def _served(self, caller: Caller, ready: datetime, at: datetime, duty: _Duty) -> Seen:
        held_s = held(caller, self._stages)
        self._push(at + timedelta(seconds=held_s), self._free, duty=duty)
        waited_s, contact = (at - ready).total_seconds(), None
        opened = caller.at + timedelta(seconds=caller.stages["answer_to_open"])
        if caller.drop not in BEFORE_VIDEO:
            contact = (at - opened).total_seconds() + caller.after_officer_s
        ended = "drop" if caller.drop else "video"
        return Seen(caller.number, self._offered(caller), ended, waited_s, contact, held_s, duty.shift)

    def _lost(self, caller: Caller, ready: datetime, at: datetime, ended: str) -> Seen:
        self._gone.add(caller.number)
        return Seen(caller.number, self._offered(caller), ended, (at - ready).total_seconds())

    def _offered(self, caller: Caller) -> datetime:
        return caller.at + timedelta(seconds=caller.until_offer_s)


BEFORE_VIDEO = ("link_fails", "rings_off")
"""Drop-outs that never come to two-way video."""

DROPS_AFTER = 0.3
"""What part of the session is over when somebody drops out of it: about when the questions become hard. Assumed."""


def held(caller: Caller, stages: Stages) -> float:
    """For how many seconds this caller binds an officer who was found."""
    if caller.drop == "link_fails":
        sent = caller.takes("assign", "send_link")
        return sent + (stages.link_lost_s if stages.link_lost_s is not None else caller.session_s)
    if caller.drop == "rings_off":
        return caller.takes("assign", "send_link", "open_link")
    session_s = caller.session_s * (DROPS_AFTER if caller.drop else 1.0)
    wraps_up_s = caller.wrap_up_s if stages.wraps_up and not caller.drop else 0.0
    return caller.after_officer_s + session_s + wraps_up_s
