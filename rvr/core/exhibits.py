"""What is kept of a call as evidence, as a case knows it: recordings and stills, and who has agreed to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rvr.core import events as e
from rvr.core import recording_facts as f

RECORDING = "recording"
STILL = "still"


@dataclass(frozen=True, slots=True)
class Taped:
    """One recording of the case."""

    id: str
    session: str
    seats: Mapping[str, str]
    """Whose packets are kept -> the seat."""
    started_at: str
    stopped_at: str = ""
    because: str = ""
    """Why it stopped."""
    faltered: frozenset[tuple[str, str]] = frozenset()
    """(side, track) of which nothing comes now."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One still of the case."""

    id: str
    sha256: str
    width: int
    height: int
    intimate: bool
    exhibit: str
    """Empty once the case's key is destroyed."""
    taken_at: str
    by: str


@dataclass(frozen=True, slots=True)
class Exhibits:
    """All of it."""

    tapes: Mapping[str, Taped] = field(default_factory=dict)
    stills: Mapping[str, Kept] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    """Kinds of consent that the victim's page asks for now."""
    still_agreed_at: str = ""
    """When the victim agreed to the next still."""

    @property
    def running(self) -> Taped | None:
        """The recording that is under way."""
        return next((tape for tape in self.tapes.values() if not tape.stopped_at), None)


TapeFact = f.RecordingStopped | f.RecordingFaltered | f.RecordingRecovered
ExhibitFact = f.ConsentAsked | f.RecordingStarted | TapeFact | f.StillTaken
Answered = e.ConsentGiven | e.ConsentRefused | e.ConsentWithdrawn
Consents = Mapping[str, str]
"""What the victim agrees to: kind -> given, refused or withdrawn."""

ANSWERS: Mapping[type[e.Fact], str] = {
    e.ConsentGiven: "given",
    e.ConsentRefused: "refused",
    e.ConsentWithdrawn: "withdrawn",
}


def after(consents: Consents, exhibits: Exhibits, fact: ExhibitFact, at: str, by: str) -> tuple[Consents, Exhibits]:
    """What is agreed and kept after one more fact. A still was agreed to once: for the next one the victim is asked
    anew.
    """
    match fact:
        case f.ConsentAsked(kind=kind):
            return consents, replace(exhibits, asked=exhibits.asked | {kind})
        case f.RecordingStarted():
            seats = {"victim": fact.victim_seat, "officer": fact.officer_seat}
            begun = Taped(fact.recording, fact.session, seats, at)
            return consents, replace(exhibits, tapes={**exhibits.tapes, begun.id: begun})
        case f.StillTaken():
            kept = Kept(fact.still, fact.sha256, fact.width, fact.height, fact.intimate == "yes", fact.exhibit, at, by)
            left = {kind: answer for kind, answer in consents.items() if kind != STILL}
            return left, replace(exhibits, stills={**exhibits.stills, kept.id: kept}, still_agreed_at="")
    tape = _wound(exhibits.tapes[fact.recording], fact, at)
    return consents, replace(exhibits, tapes={**exhibits.tapes, tape.id: tape})


def _wound(tape: Taped, fact: TapeFact, at: str) -> Taped:
    match fact:
        case f.RecordingStopped():
            return replace(tape, stopped_at=at, because=fact.because)
        case f.RecordingFaltered():
            return replace(tape, faltered=tape.faltered | {(fact.side, fact.track)})
        case f.RecordingRecovered():
            return replace(tape, faltered=tape.faltered - {(fact.side, fact.track)})


def answered(consents: Consents, exhibits: Exhibits, fact: Answered, at: str) -> tuple[Consents, Exhibits]:
    """The same after an answer to a question of consent. An officer's own is no answer of the victim's."""
    if isinstance(fact, e.ConsentGiven) and fact.whose:
        return consents, exhibits
    answer = ANSWERS[type(fact)]
    agreed_at = exhibits.still_agreed_at if fact.kind != STILL else at if answer == "given" else ""
    asked = exhibits.asked - {fact.kind}
    return {**consents, fact.kind: answer}, replace(exhibits, asked=asked, still_agreed_at=agreed_at)


def read_before(wordings: Mapping[str, str], fact: Answered) -> Mapping[str, str]:
    """Kind -> version of what was read out before the victim's answer. Nothing is read out before one is taken back."""
    if isinstance(fact, e.ConsentGiven) and fact.whose:
        return wordings
    left = {kind: version for kind, version in wordings.items() if kind != fact.kind}
    return left if isinstance(fact, e.ConsentWithdrawn) else {**left, fact.kind: fact.wording}


def over(exhibits: Exhibits) -> Exhibits:
    """After the session: nothing is asked any more."""
    return replace(exhibits, asked=frozenset()) if exhibits.asked else exhibits
