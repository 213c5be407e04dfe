"""The figures of a case, defined once as data: points of the literature, intervals between moments, limits on those.

A duration is that of the clock that never steps where both ends were seen in one boot: setting the wall clock makes
none odd. All arithmetic is on whole microseconds, so that whoever repeats it from the exported readings gets the same
digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from rvr.core import events as e
from rvr.core.clocks import elapsed_us
from rvr.core.moment import parse_iso
from rvr.evaluation.milestones import STATED, Moments, time_of, time_text

_MICROSECOND = timedelta(microseconds=1)


# --- Points and clocks of the literature -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Point:
    """A point in time that the literature names, and which moment of a case here it is."""

    id: str
    """T0 to T18: a case with video; B1 to B3: one to which an officer was sent."""
    means: str
    milestone: str = ""
    """Empty: nothing here sees it."""
    note: str = ""
    """How the moment here differs, or why there is none."""


POINTS = (
    Point("T0", "call answered", "call_answered_at", "stated by a person or another system"),
    Point("T1", "incident logged", "received_at"),
    Point("T2", "grade set", "deployment_requested_at", "a response grade is given with the request for an officer"),
    Point("T3", "eligibility decided", "_screened", "the last verdict before the first offer"),
    Point("T4", "rapid video offered", "_asked", "question and answer are one entry: the first answer, yes or no"),
    Point("T5", "consent", "_consent"),
    Point("T6", "handover requested", "handover_first_offered_at", "the first offer, declined ones included"),
    Point("T7", "sergeant accepted", "handover_accepted_at"),
    Point("T8", "officer assigned", "officer_assigned_at"),
    Point("T9", "link sent", "link_sent_at"),
    Point("T10", "victim joined", "_joined", "the server has a connection with the victim's browser"),
    Point("T11", "officer and victim both on video", "two_way_video_at", "the first two-way video"),
    Point("T12", "risk assessment done", "risk_assessed_at"),
    Point("T13", "safeguarding complete", "_safeguarded", "nothing open any more of what was planned"),
    Point("T14", "session end", "session_ended_at"),
    Point("T15", "sergeant's review", "_first_submitted", "the case first lay before the sergeant"),
    Point("T16", "allocated or filed", "decided_at", "the decision in force"),
    Point("T17", "arrest", "_arrest"),
    Point("T18", "outcome", "_first_outcome", "the first that is assigned"),
    Point("B1", "resource assigned", note="the dispatch system's, which is not connected"),
    Point("B2", "en route", note="the dispatch system's, which is not connected"),
    Point("B3", "at scene", "attended_at", "arrival_source tells whether it was pressed here"),
)
"""Timing points of rapid video response trials (docs/DOMAIN.md)."""

_BY_ID = {point.id: point for point in POINTS}


def between(start: str, end: str) -> Interval:
    """The interval from one point to another, by their ids: T5, T11. Raises ValueError for what is no point here."""
    ends = [_BY_ID.get(one.upper()) for one in (start, end)]
    for told, point in zip((start, end), ends, strict=True):
        if point is None:
            raise ValueError(f"{told} is none of the points {', '.join(_BY_ID)}")
        if not point.milestone:
            raise ValueError(f"{point.id} ({point.means}) is not recorded here: {point.note}")
    first, last = (point for point in ends if point)
    return Interval(f"{first.id}_{last.id}", first.milestone, last.milestone, f"{first.means} to {last.means}")


def stages() -> list[Interval]:
    """The way of a case with video, from each point to the next."""
    seen = [point.id for point in POINTS if point.milestone and point.id.startswith("T")]
    return [between(start, end) for start, end in pairwise(seen)]


# --- Intervals and limits ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interval:
    """A duration in seconds: from one milestone to another, where both happened."""

    name: str
    start: str
    end: str
    meaning: str

    @property
    def stated(self) -> bool:
        """Whether one of its ends is a stated time."""
        return not STATED.isdisjoint((self.start, self.end))


INTERVALS = (
    Interval("handover_s", "handover_offered_at", "handover_accepted_at", "The accepted offer, until it was accepted"),
    Interval(
        "handover_from_first_offer_s",
        "handover_first_offered_at",
        "handover_accepted_at",
        "The first offer until the first acceptance, refused offers included",
    ),
    Interval(
        "transfer_s",
        "received_at",
        "_live_contact",
        "Opening of the case until the first live contact with an officer by video or audio",
    ),
    Interval(
        "transfer_from_answer_s",
        "call_answered_at",
        "_live_contact",
        "Answer of the call (stated) until the first live contact with an officer by video or audio",
    ),
    Interval("answer_to_open_s", "call_answered_at", "received_at", "Answer of the call (stated) until the opening"),
    Interval(
        "response_s",
        "received_at",
        "_response",
        "Opening of the case until the first of contact by video, contact by audio, attendance in person",
    ),
    Interval("link_opened_s", "link_sent_at", "link_opened_at", "First link sent until a link was first opened"),
    Interval(
        "session_s",
        "two_way_video_at",
        "session_ended_at",
        "First two-way video until that session ended, interruptions included",
    ),
    Interval(
        "deployment_s",
        "deployment_requested_at",
        "_attended_after_request",
        "First request for an officer in person until the next attendance",
    ),
    Interval("decision_s", "received_at", "decided_at", "Opening of the case until the decision in force"),
)


@dataclass(frozen=True, slots=True)
class Limit:
    """Whether an interval kept within a limit."""

    name: str
    interval: str
    meaning: str
    limit_s: int = 0
    clock: str = ""
    """The limit is the target of this clock, as recorded when the interval's first event started it."""
    restated_by: str = ""
    """The clock whose target in another version of the workflow stands in place of this limit."""


LIMITS = (
    Limit(
        "transfer_within_10_min_from_answer",
        "transfer_from_answer_s",
        "Contact by video or audio within 600 s of the call's answer",
        limit_s=600,
        restated_by="transfer",
    ),
    Limit(
        "transfer_within_10_min_from_open",
        "transfer_s",
        "Contact by video or audio within 600 s of the opening",
        limit_s=600,
        restated_by="transfer",
    ),
    Limit(
        "handover_within_target",
        "handover_s",
        "Accepted within the target of the clock `handover` that the offer started",
        clock="handover",
        restated_by="handover",
    ),
    Limit(
        "within_24_h",
        "response_s",
        "A response of any kind within 86,400 s of the opening",
        limit_s=86_400,
        restated_by="service_level",
    ),
)

# --- What is summed up --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Timing:
    """One line of the summary: an interval, the cases that it is about, and its limit."""

    name: str
    interval: Interval
    source: str = ""
    """Where the definition comes from; empty: this desk's own."""
    among: str = ""
    """offered: cases in which a handover was offered, whatever came of it; sent: cases without one, in which an
    officer in person was asked for; empty: every case."""
    limit: Limit | None = None


_ROTHWELL = "Rothwell et al. 2022, doi 10.1007/s41887-022-00075-w: averages of 3 min against 1,969 min"
_COLLEGE = "College of Policing, Video first response evaluation: share within an hour of the incident's record"
_WMP = "West Midlands Police, VAWG report, 2024: about ten minutes with handover, against 24 hours"


def _clock(name: str, start: str, end: str, source: str, limit_s: int = 0) -> Timing:
    one = between(start, end)
    limit = Limit(name, one.name, "", limit_s) if limit_s else None
    return Timing(name, one, source, "sent" if end == "B3" else "offered", limit)


LITERATURE = (
    _clock("kent_video", "T0", "T11", _ROTHWELL),
    _clock("kent_attendance", "T0", "B3", _ROTHWELL),
    _clock("college_video", "T1", "T11", _COLLEGE, 3_600),
    _clock("college_attendance", "T1", "B3", _COLLEGE, 3_600),
    _clock("wmp_video", "T0", "T11", _WMP, 600),
    _clock("wmp_video_from_consent", "T5", "T11", _WMP, 600),
    _clock("wmp_attendance", "T0", "B3", _WMP, 86_400),
)
"""The three clocks of the literature side by side: each has its own start, end and limit. Attendance is that of cases
without an offer, so that a case that was offered video and then had an officer stays with those that were offered it.
"""

TIMINGS = (
    *LITERATURE,
    *(Timing(i.name, i, limit=next((n for n in LIMITS if n.interval == i.name), None)) for i in INTERVALS),
    *(Timing(i.name, i) for i in stages()),
)
"""What is summed up unless somebody asks for another pair of points."""

_STARTS = {interval.name: interval.start for interval in INTERVALS}


def durations(found: Moments) -> dict[str, int]:
    """Each interval whose two ends happened, in microseconds."""
    measured = {i.name: elapsed(found, i) for i in INTERVALS}
    if "two_way_video_at" not in found:
        measured.pop("session_s", None)
    return {name: microseconds for name, microseconds in measured.items() if microseconds is not None}


def elapsed(found: Moments, interval: Interval) -> int | None:
    """The interval in microseconds, if both its ends happened; below nought where the second came first. A stated time
    is compared with the wall clock: nobody read another one then.
    """
    if interval.start not in found or interval.end not in found:
        return None
    if interval.stated:
        start, end = parse_iso(time_text(found, interval.start)), parse_iso(time_text(found, interval.end))
        return (end - start) // _MICROSECOND
    return elapsed_us(found[interval.start].event.at, found[interval.end].event.at)


def seconds(microseconds: int) -> str:
    """Seconds with six decimals, exact: `4.118221`."""
    sign, rest = ("-", -microseconds) if microseconds < 0 else ("", microseconds)
    return f"{sign}{rest // 1_000_000}.{rest % 1_000_000:06d}"


def verdicts(found: Moments, measured: Mapping[str, int], cut: datetime) -> dict[str, bool]:
    """Each limit that was kept (True) or overrun (False); a limit of which nobody knows yet is absent."""
    told = {}
    for limit in LIMITS:
        limit_s = limit_of(limit, found)
        kept = (
            None
            if limit_s is None
            else within(found, _STARTS[limit.interval], measured.get(limit.interval), limit_s, cut)
        )
        if kept is not None:
            told[limit.name] = kept
    return told


def within(found: Moments, start: str, measured_us: int | None, limit_s: int, cut: datetime) -> bool | None:
    """Whether an interval that began at that milestone kept within the limit; None: not begun, or nobody knows yet.

    An interval without its end was overrun once the limit had passed by the end of the case or the data cut, whichever
    came first.
    """
    began = time_of(found, start)
    if began is None:
        return None
    if measured_us is not None:
        return measured_us <= limit_s * 1_000_000
    followed = min(time_of(found, "ended_at") or cut, cut)
    return False if followed - began > timedelta(seconds=limit_s) else None


def limit_of(limit: Limit, found: Moments) -> int | None:
    """The limit that holds for this case, in seconds; None where its clock did not start."""
    if not limit.clock:
        return limit.limit_s
    started = found.get(_STARTS[limit.interval])
    changes = started.event.clocks if started else ()
    return next((c.target_s for c in changes if c.clock == limit.clock and c.change == "started"), None)


def response_kind(found: Moments) -> str:
    """What the first response was; appointment: contact at a time that was agreed, and not lost meanwhile."""
    if "_response" not in found:
        return "none"
    response = found["_response"]
    if response.event.type == "OfficerAttended":
        return "deployment"
    agreed = "_agreed" in found and found["_agreed"].version < response.version
    return "appointment" if agreed and "_not_kept" not in found else str(getattr(response.event.fact, "mode", ""))


def interruptions(log: Sequence[e.Recorded]) -> int:
    """How often video that flowed both ways was lost."""
    flowing, count = False, 0
    for recorded in log:
        match recorded.event.type:
            case "TwoWayVideoStarted" | "MediaResumed":
                flowing = True
            case "MediaLost":
                count, flowing = count + flowing, False
            case "SessionEnded" | "VictimExited":
                flowing = False
    return count
