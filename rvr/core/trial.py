"""A randomised trial inside normal operation: its design, and the list of places that the evaluator's secret makes.

Pure, and all that anybody needs who holds the secret and wants to make the list again. Each stratum has a list of its
own, of permuted blocks whose sizes are drawn, too. A place's arm follows from secret, trial, stratum and place alone:

    size of block b      SIZES[ HMAC(secret, "TRIAL|STRATUM|b|size") mod how many sizes there are ]
    order within it      slot i (from 0) by HMAC(secret, "TRIAL|STRATUM|b|i"), the smallest first;
                         the slots hold the arms by their shares, in the order of the design

HMAC is HMAC-SHA-256 over UTF-8 (RFC 2104), read as one big-endian number; b counts from 0. The secret is 32 bytes; what
is published of it is its SHA-256, the commitment.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from rvr.core.conditions import Condition, Facts
from rvr.core.triggers import Trigger

SECRET_BYTES = 32

LABELS = "ABCDEFGH"
"""What the arms are called where nobody is to know which is which."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the ways that are compared."""

    id: str
    name: str
    say: str
    """What whoever has the caller on the line does now."""
    delivered: tuple[Trigger, ...]
    """What shows that it was received."""
    share: int = 1
    """Its part of each block."""
    opens: tuple[str, ...] = ()
    """Moves that this arm alone opens."""
    completed: tuple[Trigger, ...] = ()
    """What shows that it was received to the end; none: receiving it is all of it."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Cases that are allocated from one list. The first that fits has the case."""

    id: str
    name: str
    when: Condition


@dataclass(frozen=True, slots=True)
class Stop:
    """A rule by which the trial ends, or is looked at: one of a number, a day, or so many of a fact in one arm."""

    id: str
    say: str
    randomised: int = 0
    after: date | None = None
    event: str = ""
    count: int = 0
    arm: str = ""

    @property
    def by_itself(self) -> bool:
        """Whether it closes the draw by itself; else a person decides, and stops the trial."""
        return bool(self.randomised or self.after)


@dataclass(frozen=True, slots=True)
class Design:
    """A trial as it is planned. Nothing of it changes once it is registered (`digest`)."""

    id: str
    name: str
    compares: str
    """The question that it answers, in words."""
    primary_outcome: str
    arms: Mapping[str, Arm]
    strata: tuple[Stratum, ...]
    blocks: tuple[int, ...]
    states: tuple[str, ...]
    """In which the draw may be made."""
    consents: tuple[str, ...]
    """Kinds of consent that must have been given before it."""
    digest: str
    """SHA-256 of the design as it was read (canonical JSON)."""
    capacity: int = 1
    """Officers who must be free at the draw."""
    outside: bool = True
    """Whether what an arm opens is open to cases that are not in the trial: refused, no officer free, no stratum."""
    stops: tuple[Stop, ...] = ()
    wording: str = ""
    """What is read out before the last of the consents; empty: the workflow's own wording."""
    source: str = ""

    @property
    def read_for(self) -> str:
        """The kind of consent for which the trial's own wording is read out; empty where it has none."""
        return self.consents[-1] if self.wording and self.consents else ""

    @property
    def wording_version(self) -> str:
        """By which an answer to the trial's wording is known in the log: a design is registered once."""
        return f"{self.id}/{self.digest[:12]}"

    @property
    def shares(self) -> int:
        return sum(arm.share for arm in self.arms.values())

    @property
    def opened(self) -> frozenset[str]:
        """Moves that only some arm opens."""
        return frozenset(move for arm in self.arms.values() for move in arm.opens)

    def stratum_of(self, facts: Facts) -> Stratum | None:
        """The stratum of a case with these facts."""
        return next((one for one in self.strata if one.when.holds(facts)), None)

    def unknown_for_stratum(self, facts: Facts) -> tuple[str, ...]:
        """Facts that the strata ask for and that nobody has told yet, each once."""
        asked = dict.fromkeys(name for one in self.strata for name in one.when.facts())
        return tuple(name for name in asked if facts.get(name) in (None, ""))


@dataclass(frozen=True, slots=True)
class TrialNow:
    """A registered trial at one feed position, with what is needed for the next draw."""

    id: str
    commitment: str = ""
    """Empty: not registered."""
    design: str = ""
    """Digest of the design that was registered."""
    stopped: str = ""
    """Code of the reason."""
    places: Mapping[str, int] = field(default_factory=dict)
    """Stratum -> places taken, which is the version of its stream."""
    secret: bytes | None = field(default=None, repr=False)

    @property
    def randomised(self) -> int:
        return sum(self.places.values())


def digest(design: Mapping[str, Any]) -> str:
    """What identifies a design: SHA-256 over the canonical JSON of its tables."""
    canonical = json.dumps(design, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def commitment(secret: bytes) -> str:
    """What may be published of the secret before the trial."""
    return hashlib.sha256(secret).hexdigest()


def _number(secret: bytes, *parts: object) -> int:
    return int.from_bytes(hmac.digest(secret, "|".join(map(str, parts)).encode(), "sha256"))


def _block(design: Design, secret: bytes, stratum: str, number: int) -> list[str]:
    """The arms of one block, in their order."""
    size = design.blocks[_number(secret, design.id, stratum, number, "size") % len(design.blocks)]
    slots = [arm.id for arm in design.arms.values() for _ in range(arm.share * size // design.shares)]
    order = sorted(range(size), key=lambda slot: _number(secret, design.id, stratum, number, slot))
    return [slots[slot] for slot in order]


def places(design: Design, secret: bytes, stratum: str) -> Iterator[str]:
    """The arms of a stratum's places, from the first on, without end."""
    number = 0
    while True:
        yield from _block(design, secret, stratum, number)
        number += 1


def arm_at(design: Design, secret: bytes, stratum: str, place: int) -> str:
    """The arm of a place; the first is 1."""
    for number, arm in enumerate(places(design, secret, stratum), 1):
        if number == place:
            return arm
    raise AssertionError("a list without end has every place")


def labels(design: Design, secret: bytes) -> dict[str, str]:
    """Arm -> a letter that does not tell which it is: in the order of HMAC(secret, "TRIAL|label|ARM")."""
    ordered = sorted(design.arms, key=lambda arm: _number(secret, design.id, "label", arm))
    return dict(zip(ordered, LABELS, strict=False))
