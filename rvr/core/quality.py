"""How each side's line fared in a session: measured at the media server every ten seconds, noted in a stream of the
session's own, so that an hour of figures makes no case slow.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rvr.core.call_facts import QualityMeasured
from rvr.core.commands import Actor, NoteQuality
from rvr.core.errors import Forbidden, Reason
from rvr.core.events import Event
from rvr.core.moment import Moment

FIGURES: Final[tuple[str, ...]] = (
    *("up_kbps", "down_kbps", "up_lost_permille", "down_lost_permille", "rtt_ms"),
    *("width", "height", "frames", "freezes", "nacks", "plis"),
)
"""What a stretch tells, under these names."""


def stream_of(session: str) -> str:
    """The stream of a session's figures."""
    return f"session/{session}"


def decide_note(command: NoteQuality, *, by: Actor, at: Moment) -> Event:
    """What is recorded of it. Raises Forbidden for anybody but the media plane."""
    if "media" not in by.roles:
        raise Forbidden(Reason("not-allowed-here"))
    told = command.stretches
    fact = QualityMeasured(
        case=command.case,
        side=command.side,
        seat=command.seat,
        ended=tuple(one.ended for one in told),
        lasted_ms=tuple(one.lasted_ms for one in told),
        **{name: tuple(one.figures.get(name) for one in told) for name in FIGURES},
    )
    return Event(fact, "", at, by.id, "media")


@dataclass(frozen=True, slots=True)
class Line:
    """One side's line over a whole session. A rate is the median over its stretches, so that one bad one does not hide
    that the others were good, nor the other way round; None: nobody could tell.
    """

    measured_s: int
    """For how long there are figures."""
    up_kbps: int | None
    up_lost_permille: int | None
    rtt_ms: int | None
    height: int | None
    fps: int | None
    freezes: int


def lines(measured: Iterable[QualityMeasured]) -> Mapping[str, Line]:
    """What the figures of a session add up to: side -> its line. A side of which nothing was measured is not in it."""
    told: dict[str, list[QualityMeasured]] = {}
    for fact in measured:
        told.setdefault(fact.side, []).append(fact)
    return {side: _line(facts) for side, facts in told.items()}


def _line(facts: Iterable[QualityMeasured]) -> Line:
    found: dict[str, list[int]] = {name: [] for name in ("lasted_ms", *FIGURES)}
    rates = []
    for fact in facts:
        for name, all_of_it in found.items():
            all_of_it += [figure for figure in getattr(fact, name) if figure is not None]
        pairs = zip(fact.frames, fact.lasted_ms, strict=True)
        rates += [round(1000 * frames / ms) for frames, ms in pairs if frames is not None and ms]
    return Line(
        measured_s=round(sum(found["lasted_ms"]) / 1000),
        up_kbps=_median(found["up_kbps"]),
        up_lost_permille=_median(found["up_lost_permille"]),
        rtt_ms=_median(found["rtt_ms"]),
        height=_median([height for height in found["height"] if height]),
        fps=_median(rates),
        freezes=sum(found["freezes"]),
    )


def _median(figures: list[int]) -> int | None:
    return statistics.median_low(figures) if figures else None
