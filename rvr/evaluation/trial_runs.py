"""The trials of a log: by which design each case was screened, and when each trial ran.

A trial runs from its registration until somebody stops it or a rule of its design closes the draw. What lies before or
after is told by the order of the log, which no clock can turn round; only a last day is one of the force's wall.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time

from rvr.core import events as e
from rvr.core.arms import reached, stream_of
from rvr.core.force import Hours
from rvr.core.moment import iso
from rvr.core.registering import fold_trial
from rvr.core.trial import Design, TrialNow
from rvr.evaluation import stored_text
from rvr.evaluation.rows import version_of
from rvr.evaluation.taking_part import Taking, taking_part
from rvr.store.store import Store


@dataclass(slots=True)
class Run:
    """What the log says of a trial as a whole."""

    registered: e.Recorded | None = None
    stopped: e.Recorded | None = None
    taken: dict[str, list[e.Recorded]] = field(default_factory=dict)
    """Stratum -> its places, from the first on."""

    def at(self, trial: str, position: int) -> TrialNow:
        """The trial as it stood before this position of the log."""
        own = (one for one in (self.registered, self.stopped) if one and one.position < position)
        now = fold_trial(trial, own)
        places = {
            stratum: bisect_left(taken, position, key=lambda one: one.position) for stratum, taken in self.taken.items()
        }
        return TrialNow(now.id, now.commitment, now.design, now.stopped, places)


def runs(store: Store, until: int | None = None) -> dict[str, Run]:
    """Every trial of the log, up to a position. For a thread of the caller's own."""
    found: dict[str, Run] = {}
    for recorded in store.iterate(kind=stream_of(""), until=until):
        trial, _, stratum = recorded.stream.removeprefix(stream_of("")).partition("/")
        run = found.setdefault(trial, Run())
        match recorded.event.fact:
            case e.TrialRegistered():
                run.registered = recorded
            case e.TrialStopped():
                run.stopped = recorded
            case e.PlaceTaken():
                run.taken.setdefault(stratum, []).append(recorded)
    return found


def registered_design(
    stored: Mapping[str, e.DefinitionStored], found: Mapping[str, Run], trial: str = ""
) -> e.DefinitionStored | None:
    """The text of the workflow by which a trial was registered, whether it is still on or not. `trial`: its id; empty:
    the one that was registered last."""
    told = [run.registered for id_, run in found.items() if run.registered and trial in ("", id_)]
    for registered in sorted(told, key=lambda one: one.position, reverse=True):
        if registered.event.definition in stored:
            return stored[registered.event.definition]
    return None


class Trials:
    """Which cases of a log are in which trial."""

    def __init__(self, stored: Mapping[str, e.DefinitionStored], runs: Mapping[str, Run]) -> None:
        self._designs = {version: stored_text.trial(one) for version, one in stored.items()}
        self._hours = {version: Hours(time(), time(), stored_text.zone(one)) for version, one in stored.items()}
        self._runs = runs

    def taking(self, log: Sequence[e.Recorded]) -> Taking | None:
        """The case in the trial of its workflow; None where that had none. `log`: its events, oldest first."""
        version = version_of(log)
        design = self._designs.get(version)
        if design is None:
            return None
        return taking_part(log, design, lambda recorded: self._ran(design, version, recorded))

    def _ran(self, design: Design, version: str, recorded: e.Recorded) -> bool:
        """Whether arms were drawn by this design when the event was recorded."""
        now = self._runs.get(design.id, Run()).at(design.id, recorded.position)
        if now.design != design.digest or now.stopped:
            return False
        at, hours = iso(recorded.event.at.at), self._hours[version]
        return not any(reached(stop, now, at, hours) for stop in design.stops)
