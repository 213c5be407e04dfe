"""The stream of a trial: it is registered once, before its first case, and it can be stopped."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rvr.core import events as e
from rvr.core.commands import Actor, RegisterTrial, StopTrial
from rvr.core.errors import Forbidden, NotFound, Reason, Refused
from rvr.core.moment import Moment
from rvr.core.trial import TrialNow
from rvr.core.workflow import Workflow

REGISTERS = ("evaluator",)
STOPS = ("evaluator", "inspector", "administrator")
"""Who may. To stop a trial never waits for one person."""

BESIDES = ("safety", "funder", "other")
"""Reasons for a stop that no rule of the design foresaw."""

_COMMITMENT = re.compile(r"[0-9a-f]{64}")


def fold_trial(trial: str, log: Iterable[e.Recorded]) -> TrialNow:
    """The trial that the events of its own stream add up to; places stand in the streams of its strata."""
    now = TrialNow(trial)
    for recorded in log:
        match recorded.event.fact:
            case e.TrialRegistered(design=design, commitment=commitment):
                now = TrialNow(trial, commitment, design, now.stopped)
            case e.TrialStopped(reason=reason):
                now = TrialNow(trial, now.commitment, now.design, reason)
    return now


def decide_register(now: TrialNow, command: RegisterTrial, workflow: Workflow, *, by: Actor, at: Moment) -> e.Event:
    """Raises Forbidden, NotFound where no such trial is on, Refused for one that is registered or no commitment."""
    design = workflow.trial
    if by.roles.isdisjoint(REGISTERS):
        raise Forbidden(Reason("not-your-move", {"move": "register"}))
    if design is None or design.id != command.trial:
        raise NotFound(Reason("no-such-trial"))
    if now.commitment:
        raise Refused(Reason("trial-registered"))
    if not _COMMITMENT.fullmatch(command.commitment):
        raise Refused(Reason("trial-commitment", {}, "commitment"))
    fact = e.TrialRegistered(workflow=workflow.id, design=design.digest, commitment=command.commitment)
    return e.Event(fact, "", at, by.id, next(role for role in REGISTERS if role in by.roles), definition=workflow.hash)


def decide_stop(now: TrialNow, command: StopTrial, workflow: Workflow, *, by: Actor, at: Moment) -> e.Event:
    """Raises Forbidden, Refused for a trial that is not registered, is stopped already, or an unknown reason."""
    design = workflow.trial
    if by.roles.isdisjoint(STOPS):
        raise Forbidden(Reason("not-your-move", {"move": "stop"}))
    if not now.commitment:
        raise Refused(Reason("trial-not-registered"))
    if now.stopped:
        raise Refused(Reason("trial-over"))
    known = (*(stop.id for stop in design.stops), *BESIDES) if design else BESIDES
    if command.reason not in known:
        raise Refused(Reason("trial-stop-reason", {"known": ", ".join(known)}, "reason"))
    fact = e.TrialStopped(reason=command.reason)
    return e.Event(fact, "", at, by.id, next(role for role in STOPS if role in by.roles), definition=workflow.hash)
