"""A force in which a trial is on, and a universe in which it is registered."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from rvr.core import trial as t
from rvr.core.decide import Decision
from rvr.core.errors import Reason
from rvr.core.trial import TrialNow
from rvr.core.vocabulary import Basis
from rvr.core.workflow import Workflow
from rvr.definitions import Definitions, load
from rvr.rehearsal import Happening
from tests.builders import HANDLER, WORKFLOWS, Story, Universe, all_met

SECRET = bytes(range(32))

SWITCH = "[changes.da-desk.workflow]\n"


def switched_on(folder: Path, force: str = "wmp", changes: str = "") -> Path:
    """A copy of the shipped workflows in which this force has the trial on. `changes`: keys of its design, as TOML."""
    root = folder / "workflows"
    shutil.copytree(WORKFLOWS, root)
    file = root / "forces" / f"{force}.toml"
    text = file.read_text(encoding="utf-8")
    text = text if SWITCH in text else f"{text}\n{SWITCH}"
    text = text.replace(SWITCH, f"{SWITCH}trial = true\n")
    file.write_text(f"{text}\n[changes.da-desk.trial]\n{changes}\n", encoding="utf-8")
    return root


@cache
def trial_on(force: str = "wmp", changes: str = "") -> Definitions:
    """The definitions of that force."""
    with tempfile.TemporaryDirectory() as folder:
        return load(switched_on(Path(folder), force, changes), force)


def trial_desk(force: str = "wmp", changes: str = "") -> Workflow:
    return trial_on(force, changes).workflows["da-desk"]


@dataclass
class TrialUniverse(Universe):
    """A universe with a registered trial, whose places are counted from story to story."""

    standing: TrialNow | None = None
    taken: dict[str, int] = field(default_factory=dict)
    queue: int = 0

    def basis(self) -> Basis:
        basis = super().basis()
        now = replace(self.standing, places=dict(self.taken)) if self.standing else None
        return replace(basis, trial=now, capacity=replace(basis.capacity, queue=self.queue))


class TrialStory(Story):
    """A case in that universe."""

    def take(self, decision: Decision, move: str = "", undone: tuple[Reason, ...] = ()) -> Happening:
        for stream, events in decision.strata.items():
            stratum = stream.rpartition("/")[2]
            assert isinstance(self.universe, TrialUniverse)
            self.universe.taken[stratum] = self.universe.taken.get(stratum, 0) + len(events)
        return super().take(decision, move, undone)


def registered(flow: Workflow) -> TrialNow:
    assert flow.trial is not None
    return TrialNow(flow.trial.id, t.commitment(SECRET), flow.trial.digest, secret=SECRET)


def in_trial(universe: TrialUniverse | None = None, flow: Workflow | None = None, **opening: str) -> TrialStory:
    """An eligible case whose victim has agreed to everything that the trial asks for."""
    flow = flow or trial_desk()
    universe = universe or TrialUniverse(standing=registered(flow))
    story = TrialStory(universe, flow)
    story.opens(**{"victim_sex": "female", "relationship": "partner"} | opening)
    story.does(HANDLER, "answer_criteria", **all_met())
    assert flow.trial is not None
    for kind in flow.trial.consents:
        story.does(HANDLER, "record_consent", consent_kind=kind, consent_answer="given")
    return story
