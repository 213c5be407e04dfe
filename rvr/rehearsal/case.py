"""One rehearsed case: every step is decided by the core, and what came of it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rvr.core import decide
from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.clocks import threshold_of
from rvr.core.commands import THE_BOT, Actor, MakeMove, OpenCase, Picture, RunOut
from rvr.core.errors import Reason, RvrError
from rvr.core.roster import Officer, apply_officer
from rvr.core.trial import SECRET_BYTES, TrialNow, commitment
from rvr.core.vocabulary import Basis
from rvr.core.workflow import Workflow
from rvr.rehearsal.universe import Universe

REHEARSED = bytes(SECRET_BYTES)
"""By which a rehearsed trial is drawn: the same in every story."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One step, or one threshold that fell due, with everything that came of it."""

    at: datetime
    before: Case
    after: Case
    events: tuple[e.Event, ...]
    move: str = ""
    """The move that was made, by a person or by the workflow itself; empty for an opening or a mere reminder."""
    undone: tuple[Reason, ...] = ()
    """Why the workflow did not make the move that the threshold is for."""


@dataclass
class Rehearsal:
    """One case in a universe."""

    universe: Universe
    workflow: Workflow
    case: Case = field(default_factory=lambda: Case("1"))
    happened: list[Happening] = field(default_factory=list)
    refused: list[Reason] = field(default_factory=list)
    """Every reason for which a move was refused."""

    def open_case(self, who: Actor, form: Mapping[str, Any]) -> Happening:
        """Raises Forbidden or Refused, as the desk would."""
        at, basis, id_ = self.universe.at, self._basis(), self.case.id
        command = OpenCase("open", form, self.workflow.id)
        return self.take(decide.decide_open(command, self.workflow, case_id=id_, by=who, at=at, basis=basis))

    def make(self, who: Actor, move: str, form: Mapping[str, Any]) -> Happening:
        """Raises NotFound, Forbidden or Refused, as the desk would."""
        at, basis = self.universe.at, self._basis()
        command = MakeMove("move", self.case.id, move, form, picture=Picture(basis.ids[0], "0" * 64, 640, 480))
        try:
            decision = decide.decide_move(self.case, command, self.workflow, by=who, at=at, basis=basis)
        except RvrError as refusal:
            self.refused += refusal.reasons
            raise
        return self.take(decision, move)

    def ring(self, clock: str, after_s: int, run: int = 0) -> Happening:
        """A threshold of this run, or else the latest, is put to the case, whether it is due or not."""
        command = RunOut("ring", self.case.id, clock, run or self.case.runs.get(clock, 0), after_s)
        at, basis = self.universe.at, self._basis()
        decision = decide.decide_run_out(self.case, command, self.workflow, at=at, basis=basis)
        did = "".join(event.fact.did for event in decision.events if isinstance(event.fact, e.ClockRanOut))
        return self.take(decision, did, () if did else self._undone(clock, after_s))

    def pass_until(self, until: datetime) -> Iterator[Happening]:
        """Time passes, and every threshold that falls due meanwhile fires at its own moment."""
        while due := self.next_due(until):
            when, clock, after_s = due
            self.universe.pass_(max(0.0, (when - self.universe.wall).total_seconds()))
            yield self.ring(clock, after_s)
        self.universe.pass_((until - self.universe.wall).total_seconds())

    def next_due(self, until: datetime | None = None) -> tuple[datetime, str, int] | None:
        """(when, clock, threshold) of what fires next, if it does by then."""
        due = [(when, running.clock, s) for running in self.case.clocks.values() for s, when in running.due]
        return min((one for one in due if until is None or one[0] <= until), default=None)

    def offered(self, who: Actor) -> list[decide.MoveView]:
        """The moves that are this person's from here, each allowed or with its reasons."""
        return decide.view_moves(self.workflow, self.case, who, self._basis())

    def _basis(self) -> Basis:
        """What the desk would gather, with the trial where it is registered: drawn by a secret that is none."""
        basis, design = self.universe.basis(), self.workflow.trial
        if design is None or not self.universe.trial:
            return basis
        places, known = dict(self.universe.places), commitment(REHEARSED)
        return replace(basis, trial=TrialNow(design.id, known, design.digest, places=places, secret=REHEARSED))

    def take(self, decision: decide.Decision, move: str = "", undone: tuple[Reason, ...] = ()) -> Happening:
        """What was decided becomes so."""
        happening = Happening(self.universe.wall, self.case, decision.case, decision.events, move, undone)
        for id_, events in decision.officers.items():
            officer = self.universe.officers.get(id_, Officer(id_))
            for event in events:
                officer = apply_officer(officer, event)
            self.universe.officers[id_] = officer
        for stream in decision.strata:
            stratum = stream.rpartition("/")[2]
            self.universe.places[stratum] = self.universe.places.get(stratum, 0) + 1
        self.case = decision.case
        self.happened.append(happening)
        return happening

    def _undone(self, clock: str, after_s: int) -> tuple[Reason, ...]:
        running = self.case.clocks.get(clock)
        threshold = threshold_of(self.workflow.clocks[clock], running, after_s) if running else None
        if threshold is None or not threshold.do:
            return ()
        wanted = threshold.do
        views = {view.move.id: view for view in self.offered(THE_BOT)}
        if wanted in views:
            return views[wanted].reasons
        state = self.workflow.states[self.case.state].name
        return (Reason("not-from-here", {"move": self.workflow.moves[wanted].name, "state": state}),)
