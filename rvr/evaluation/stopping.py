"""How a trial stands while it runs: its flow, exactly, and which stopping rule has come about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from rvr.core.arms import reached
from rvr.core.force import Hours
from rvr.core.trial import Design, Stop, TrialNow
from rvr.evaluation.consort import Flow
from rvr.evaluation.trial_runs import Trials, runs
from rvr.evaluation.window import Window
from rvr.store.store import Store


@dataclass(frozen=True, slots=True)
class Standing:
    """A trial as the log has it."""

    flow: Flow
    harms: Counter[tuple[str, str]]
    """(stopping rule, letter of the arm) -> cases with the rule's event after their draw."""
    arms: dict[str, str]
    """Arm -> its letter, as far as anybody was drawn."""


def standing(store: Store, window: Window, design: Design) -> Standing:
    """Reads every case of the window once. For a thread of the caller's own."""
    flow, harms, letters = Flow(design.id), Counter[tuple[str, str]](), dict[str, str]()
    trials = Trials(window.definitions(store), runs(store, window.until))
    watched = [stop for stop in design.stops if stop.event]
    for log in window.cases(store):
        taking = trials.taking(log)
        if taking is None or taking.design.id != design.id:
            continue
        flow.add(taking)
        if taking.allocated is None or taking.draw is None:
            continue
        letters |= taking.allocated.labels
        after = {recorded.event.type for recorded in log[taking.draw.version :]}
        letter = taking.allocated.labels.get(taking.allocated.arm, "")
        harms.update((stop.id, letter) for stop in watched if stop.event in after)
    return Standing(flow, harms, letters)


def told(found: Standing, design: Design, now: TrialNow, at: str, hours: Hours) -> Iterator[tuple[Stop, str, bool]]:
    """Each stopping rule, how far it is, and whether it has come about. `at`: the UTC time now."""
    for stop in design.stops:
        if stop.randomised:
            yield stop, f"{now.randomised} of {stop.randomised} randomised", reached(stop, now, at, hours)
        elif stop.after:
            yield stop, f"after {stop.after.isoformat()}", reached(stop, now, at, hours)
        else:
            arms = {letter: found.harms[stop.id, letter] for letter in sorted(found.flow.arms)}
            meant = found.arms.get(stop.arm, "")
            most = arms.get(meant, 0) if stop.arm else max(arms.values(), default=0)
            by_arm = ", ".join(f"{letter} {count}" for letter, count in arms.items()) or "none"
            yield stop, f"{stop.event}, cases by arm: {by_arm}; the rule is {stop.count} in one", most >= stop.count
