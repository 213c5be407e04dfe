"""The figures of a case, defined once as data: moments, the intervals between them, and the limits on those.

Reads a case's public events and nothing else. Which of several events counts is by version, never by time. A duration
is that of the clock that never steps where both ends were seen in one boot: setting the wall clock makes none odd. All
arithmetic is on whole microseconds, so that whoever repeats it from the exported readings gets the same digits. A
moment that did not happen is absent, never nought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rvr.core import events as e
from rvr.core.clocks import elapsed_us
from rvr.core.moment import Moment, iso, parse_iso

LIVE = ("video", "audio")
"""Modes of contact that count as an officer's response; a telephone call alone does not (docs/ARCHITECTURE.md)."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Milestone:
    """One moment of a case: which event it is."""

    name: str
    """The column of cases.csv, or `_name` for one that only serves others."""
    events: tuple[str, ...]
    meaning: str
    pick: str = "first"
    """first or last, by version."""
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values that the event's fields must have, where it has such a field."""
    before: str = ""
    """Only events before that other milestone, if that happened at all."""
    after: str = ""
    """Only events after that other milestone, if that happened at all."""
    stated: bool = False
    """Its time is the stated one, not the observed one."""

    @property
    def source(self) -> str:
        """The events behind it, as the codebook names them."""
        where = ", ".join(f"{name} {' or '.join(values)}" for name, values in self.where.items())
        return " | ".join(self.events) + (f" ({where})" if where else "")


MILESTONES = (  # each after those that it names
    Milestone("received_at", ("CaseOpened",), "The case was opened; the desk's clocks run from here"),
    Milestone(
        "call_answered_at",
        ("CallAnswered",),
        "The call was answered, as stated by a person or another system (the last statement)",
        pick="last",
        stated=True,
    ),
    Milestone("_undone", ("CaseReopened", "AllocationRejected"), "", pick="last"),
    Milestone("_eligibility", ("EligibilityDecided",), "", pick="last"),
    Milestone(
        "_at_screening",
        ("CapacityNoted",),
        "",
        pick="last",
        where={"moment": ("screening",)},
        before="_eligibility",
    ),
    Milestone("_consent", ("ConsentGiven",), "", where={"kind": ("video",)}),
    Milestone("_refusal", ("ConsentRefused",), "", where={"kind": ("video",)}),
    Milestone(
        "consent_withdrawn_at",
        ("ConsentWithdrawn",),
        "Consent to video was first withdrawn",
        where={"kind": ("video",)},
    ),
    Milestone("handover_first_offered_at", ("HandoverOffered",), "The handover was offered for the first time"),
    Milestone("handover_accepted_at", ("HandoverAccepted",), "A sergeant first accepted a handover"),
    Milestone(
        "handover_offered_at",
        ("HandoverOffered",),
        "The offer that was accepted: the last before handover_accepted_at; without acceptance the last of all",
        pick="last",
        before="handover_accepted_at",
    ),
    Milestone(
        "_at_offer",
        ("CapacityNoted",),
        "",
        pick="last",
        where={"moment": ("offer",)},
        before="handover_offered_at",
    ),
    Milestone(
        "_at_acceptance",
        ("CapacityNoted",),
        "",
        pick="last",
        where={"moment": ("acceptance",)},
        before="handover_accepted_at",
    ),
    Milestone("officer_assigned_at", ("OfficerAssigned",), "An officer was first assigned"),
    Milestone("_officer", ("OfficerAssigned",), "", pick="last"),
    Milestone("link_sent_at", ("LinkSent",), "The first link was handed to the outbox"),
    Milestone("link_opened_at", ("LinkOpened",), "The victim first opened a link"),
    Milestone(
        "two_way_video_at",
        ("TwoWayVideoStarted",),
        "The server first had decodable video from both sides and forwarded it",
    ),
    Milestone(
        "session_ended_at",
        ("SessionEnded",),
        "The session with the first two-way video ended; without two-way video, the first end of a session",
        after="two_way_video_at",
    ),
    Milestone("first_contact_at", ("OfficerContactStarted",), "First live contact with an officer, in any mode"),
    Milestone("_live_contact", ("OfficerContactStarted",), "", where={"mode": LIVE}),
    Milestone(
        "deployment_requested_at",
        ("DeploymentRequested", "HandoverDiverted"),
        "An officer in person was first asked for, an emergency apart",
    ),
    Milestone("_deployment", ("DeploymentRequested", "HandoverDiverted"), "", pick="last"),
    Milestone("emergency_dispatched_at", ("EmergencyDispatched",), "Emergency response was first asked for"),
    Milestone("attended_at", ("OfficerAttended",), "An officer was first with the victim in person"),
    Milestone("_attended_after_request", ("OfficerAttended",), "", after="deployment_requested_at"),
    Milestone("_response", ("OfficerContactStarted", "OfficerAttended"), "", where={"mode": LIVE}),
    Milestone("_appointment", ("AppointmentMade",), "", pick="last"),
    Milestone("_agreed", ("AppointmentMade",), "", pick="last", before="_response"),
    Milestone("_not_kept", ("ContactLost", "DeploymentRequested"), "", after="_agreed", before="_response"),
    Milestone("_risk_reported", ("RiskReported",), ""),
    Milestone("risk_assessed_at", ("RiskAssessed",), "The risk was first assessed"),
    Milestone("_risk", ("RiskReported", "RiskAssessed", "GradeOverridden"), "", pick="last"),
    Milestone(
        "decided_at",
        ("CaseAllocated", "CaseFiled"),
        "The decision in force was taken; empty after a reopening or a rejected allocation until the next decision",
        pick="last",
        after="_undone",
    ),
    Milestone(
        "allocation_accepted_at",
        ("AllocationAccepted",),
        "The receiving team took the case; empty after a reopening until it is taken again",
        pick="last",
        after="_undone",
    ),
    Milestone("investigator_contact_at", ("InvestigatorContactMade",), "An investigator first reached the victim"),
    Milestone("_support", ("VictimSupportChanged",), "", pick="last"),
    Milestone(
        "charged_at",
        ("ChargeRecorded",),
        "The first charge was recorded here; the day of the charge itself is charged_on",
    ),
    Milestone("_outcome", ("OutcomeRecorded",), "", pick="last"),
    Milestone(
        "ended_at",
        ("CaseClosed", "CaseVoided"),
        "The case was closed or voided, and not reopened since",
        pick="last",
        after="_undone",
    ),
)

_STATED = frozenset(milestone.name for milestone in MILESTONES if milestone.stated)


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
        return not _STATED.isdisjoint((self.start, self.end))


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


LIMITS = (
    Limit(
        "transfer_within_10_min_from_answer",
        "transfer_from_answer_s",
        "Contact by video or audio within 600 s of the call's answer",
        limit_s=600,
    ),
    Limit(
        "transfer_within_10_min_from_open",
        "transfer_s",
        "Contact by video or audio within 600 s of the opening",
        limit_s=600,
    ),
    Limit(
        "handover_within_target",
        "handover_s",
        "Accepted within the target of the clock `handover` that the offer started",
        clock="handover",
    ),
    Limit("within_24_h", "response_s", "A response of any kind within 86,400 s of the opening", limit_s=86_400),
)

_STARTS = {interval.name: interval.start for interval in INTERVALS}

Moments = Mapping[str, e.Recorded]
"""The milestones that happened, by name."""


def moments(log: Sequence[e.Recorded]) -> dict[str, e.Recorded]:
    """The milestones that happened in this case. `log`: its events in order of version."""
    by_type: dict[str, list[e.Recorded]] = {}
    for recorded in log:
        by_type.setdefault(recorded.event.type, []).append(recorded)
    found: dict[str, e.Recorded] = {}
    for milestone in MILESTONES:
        chosen = _choose(milestone, by_type, found)
        if chosen is not None:
            found[milestone.name] = chosen
    return found


def _choose(milestone: Milestone, by_type: Mapping[str, list[e.Recorded]], found: Moments) -> e.Recorded | None:
    fitting = [r for kind in milestone.events for r in by_type.get(kind, ()) if _fits(milestone, r)]
    if milestone.before in found:
        fitting = [r for r in fitting if r.version < found[milestone.before].version]
    if milestone.after in found:
        fitting = [r for r in fitting if r.version > found[milestone.after].version]
    choose = min if milestone.pick == "first" else max
    return choose(fitting, key=lambda r: r.version, default=None)


def _fits(milestone: Milestone, recorded: e.Recorded) -> bool:
    if milestone.stated and not recorded.event.stated_at:
        return False
    fact = recorded.event.fact
    return all(getattr(fact, name, values[0]) in values for name, values in milestone.where.items())


def time_of(found: Moments, name: str) -> datetime | None:
    """When that milestone happened: stated or observed, as it is defined."""
    recorded = found.get(name)
    if recorded is None:
        return None
    return parse_iso(recorded.event.stated_at) if name in _STATED else recorded.event.at.at


def times(found: Moments) -> dict[str, str]:
    """The columns of cases.csv that hold a moment."""
    return {m.name: time_text(found, m.name) for m in MILESTONES if not m.name.startswith("_")}


def time_text(found: Moments, name: str) -> str:
    """The same as it is written; empty when it did not happen."""
    at = time_of(found, name)
    return iso(at) if at else ""


def durations(found: Moments) -> dict[str, int]:
    """Each interval whose two ends happened, in microseconds."""
    measured = {i.name: _between(found, i) for i in INTERVALS if i.start in found and i.end in found}
    if "two_way_video_at" not in found:
        measured.pop("session_s", None)
    return measured


def _between(found: Moments, interval: Interval) -> int:
    """A stated time is compared with the wall clock: nobody read another one then."""
    if interval.stated:
        start, end = parse_iso(time_text(found, interval.start)), parse_iso(time_text(found, interval.end))
        return (end - start) // _MICROSECOND
    return elapsed_us(found[interval.start].event.at, found[interval.end].event.at)


def seconds(microseconds: int) -> str:
    """Seconds with six decimals, exact: `4.118221`."""
    sign, rest = ("-", -microseconds) if microseconds < 0 else ("", microseconds)
    return f"{sign}{rest // 1_000_000}.{rest % 1_000_000:06d}"


def verdicts(found: Moments, measured: Mapping[str, int], cut: datetime) -> dict[str, bool]:
    """Each limit that was kept (True) or overrun (False).

    An interval without its end was overrun once the limit had passed by the end of the case or the data cut, whichever
    came first. A limit that had not passed by then is absent: nobody knows yet.
    """
    told: dict[str, bool] = {}
    followed = min(time_of(found, "ended_at") or cut, cut)
    for limit in LIMITS:
        start, limit_s = time_of(found, _STARTS[limit.interval]), _limit_s(limit, found)
        if start is None or limit_s is None:
            continue
        if limit.interval in measured:
            told[limit.name] = measured[limit.interval] <= limit_s * 1_000_000
        elif followed - start > timedelta(seconds=limit_s):
            told[limit.name] = False
    return told


def _limit_s(limit: Limit, found: Moments) -> int | None:
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


# --- Clocks ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ClockRun:
    """One run of one clock, as the log tells it."""

    clock: str
    run: int
    started_at: str
    started_by: str
    target_s: int
    counts: str
    paused_at: Moment | None = None
    """Of the pause in which it is."""
    paused_us: int | None = None
    """All pauses that have ended; None without any."""
    stopped_at: str = ""
    stopped_by: str = ""
    elapsed_us: int | None = None
    verdict: str = ""
    thresholds_fired: int = 0
    breach: e.ClockRanOut | None = None
    """The first threshold at or behind the target that was noticed."""
    breach_at: str = ""


def clock_runs(log: Sequence[e.Recorded]) -> list[ClockRun]:
    """Every run of every clock of the case, in the order in which they were started."""
    runs: dict[tuple[str, int], ClockRun] = {}
    for recorded in log:
        event = recorded.event
        for change in event.clocks:
            if change.change == "started":
                run = ClockRun(change.clock, change.run, change.at, event.type, change.target_s, change.counts)
                runs[change.clock, change.run] = run
            else:
                _change(runs[change.clock, change.run], change, event)
        if isinstance(event.fact, e.ClockRanOut):
            _ran_out(runs[event.fact.clock, event.fact.run], event.fact, iso(event.at.at))
    return list(runs.values())


def _change(run: ClockRun, change: e.ClockChange, event: e.Event) -> None:
    if run.paused_at:
        run.paused_us = (run.paused_us or 0) + elapsed_us(run.paused_at, event.at)
    run.paused_at = event.at if change.change == "paused" else None
    if change.change == "stopped":
        run.stopped_at, run.stopped_by = change.at, event.type
        run.elapsed_us, run.verdict = change.elapsed_us, change.verdict


def _ran_out(run: ClockRun, fact: e.ClockRanOut, at: str) -> None:
    run.thresholds_fired += 1
    if run.breach is None and fact.after_s >= run.target_s:
        run.breach, run.breach_at = fact, at


def clock_columns(run: ClockRun) -> dict[str, Any]:
    """The run as a row of clocks.csv, its case apart."""
    return {
        "clock": run.clock,
        "run": run.run,
        "started_at": run.started_at,
        "started_by": run.started_by,
        "target_s": run.target_s,
        "counts": run.counts,
        "paused_s": "" if run.paused_us is None else seconds(run.paused_us),
        "stopped_at": run.stopped_at,
        "stopped_by": run.stopped_by,
        "elapsed_s": "" if run.elapsed_us is None else seconds(run.elapsed_us),
        "verdict": run.verdict,
        "thresholds_fired": run.thresholds_fired,
        "ran_out_due_at": run.breach.due_at if run.breach else "",
        "ran_out_at": run.breach_at,
        "lateness_s": seconds(run.breach.late_us) if run.breach else "",
        "censored": not run.stopped_at,
    }
