"""What happened, as the lines of a scenario: events with their codes, clocks, the new state, refusals.

Only what evaluation may see is told, and no drawn ids: the same story gives the same lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any

from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.clocks import threshold_of
from rvr.core.errors import Reason
from rvr.core.moment import parse_iso
from rvr.core.workflow import Workflow
from rvr.messages import catalogue
from rvr.rehearsal.case import Happening
from rvr.rehearsal.values import clock

DRAWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}|[0-9a-f]{64}")
"""Random ids and content hashes: they say nothing to a reader, and a hash changes with every comma."""

MANY = 3
"""More of the same event at once than this are counted, not told one by one."""


class Telling:
    """Tells of one case; times count from its start."""

    def __init__(self, workflow: Workflow, start: datetime) -> None:
        self.workflow, self.start, self.words = workflow, start, catalogue()

    def step(self, happening: Happening) -> list[str]:
        """What somebody's step came to."""
        return list(self._events(happening)) or ["Nothing changes."]

    def ringing(self, happening: Happening) -> list[str]:
        """What fell due between two steps, with its own time."""
        return [f"{self.since(happening.at)} {line}" for line in self._events(happening)]

    def refusal(self, reasons: Iterable[Reason]) -> list[str]:
        return [sentence(f"Refused: {self.words.reason(reason)}") for reason in reasons]

    def since(self, at: datetime) -> str:
        return clock(int((at - self.start).total_seconds()))

    def now(self, case: Case) -> str:
        """The state, and who has to act."""
        state = self.workflow.states[case.state]
        role, _ = state.acting(case.officer)
        return f"{state.name} ({self.words.name('role', role)})" if role else state.name

    def _events(self, happening: Happening) -> Iterator[str]:
        for _, same in groupby(happening.events, lambda event: event.type):
            events = list(same)
            if len(events) > MANY:
                yield f"{self.words.name('event', events[0].type)}, {len(events)} times."
            else:
                yield from (self._event(event, happening) for event in events)
        changes = [change for event in happening.events for change in event.clocks]
        for kind, word in (("paused", "Pauses"), ("resumed", "Resumes")):
            if named := [self._clock(c) for c in changes if c.change == kind]:
                yield f"{word}: {', '.join(named)}."
        if stopped := [self._stopped(c) for c in changes if c.change == "stopped"]:
            yield f"Stops: {', '.join(stopped)}."
        if started := [f"{self._clock(c)} {clock(c.target_s)}" for c in changes if c.change == "started"]:
            yield f"Starts: {', '.join(started)}."
        if self._seen(happening.before) != self._seen(happening.after):
            yield f"Now: {self.now(happening.after)}."

    def _seen(self, case: Case) -> str:
        return self.now(case) if case.state else ""

    def _event(self, event: e.Event, happening: Happening) -> str:
        if isinstance(event.fact, e.ClockRanOut):
            return self._rang(event.fact, happening)
        known = {field: _code(value, self.since) for field, value in event.fact.split()[0].items()}
        codes = [_pair(field, code) for field, code in known.items() if code]
        name = self.words.name("event", event.type)
        return f"{name} ({'; '.join(codes)})." if codes else f"{name}."

    def _rang(self, fact: e.ClockRanOut, happening: Happening) -> str:
        defined = self.workflow.clocks[fact.clock]
        threshold = threshold_of(defined, happening.before.clocks[fact.clock], fact.after_s)
        when, say = f"has run for {clock(fact.after_s)}", threshold.say if threshold else ""
        if defined.until_fact and threshold:
            apart = clock(abs(threshold.after_s))
            when = "is due" if not threshold.after_s else f"is {apart} {'away' if threshold.after_s < 0 else 'past'}"
        told = sentence(f"{defined.name} {when}: {say}")
        not_done = " ".join(sentence(self.words.reason(reason)) for reason in happening.undone)
        return f"{told} Not done: {not_done}" if not_done else told

    def _clock(self, change: e.ClockChange) -> str:
        known = self.workflow.clocks.get(change.clock)
        return known.name if known else change.clock

    def _stopped(self, change: e.ClockChange) -> str:
        return f"{self._clock(change)} {change.verdict} after {clock((change.elapsed_us or 0) // 1_000_000)}"


def sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _code(value: Any, since: Callable[[datetime], str]) -> str:
    """A public value as a reader needs it; empty for what says nothing."""
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple() | list():
            return ", ".join(filter(None, (_code(one, since) for one in value)))
        case Mapping() | None:
            return ""
    text = str(value)
    if DRAWN.fullmatch(text):
        return ""
    return since(parse_iso(text)) if re.match(r"\d{4}-\d\d-\d\dT", text) else text


def _pair(field: str, code: str) -> str:
    name = field.replace("_", " ")
    return code if code == name or code.startswith(f"{name} ") else f"{name} {code}"
