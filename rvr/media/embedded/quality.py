"""How one connection's media fared over a stretch of time: the figures of a `quality` observation. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rvr.media.embedded.leg import Leg

EVERY_S: Final = 10.0
LEAST_S: Final = 1.0
"""A connection's last stretch is told from this length on: a shorter one has no rate to speak of."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """Running totals of a leg. Up is from the browser."""

    up: int
    down: int
    """Octets."""
    expected: int
    received: int
    frames: int
    freezes: int
    nacks: int
    plis: int


class Meter:
    """Measures one leg, from one look to the next."""

    def __init__(self, leg: Leg, now: float) -> None:
        self._leg = leg
        self._since = now
        self._before = _counted(leg)

    def due(self, now: float) -> bool:
        return now - self._since >= EVERY_S

    def read(self, now: float) -> dict[str, str] | None:
        """The figures since the last reading, as an observation's detail; None when that was just now."""
        seconds = now - self._since
        if seconds < LEAST_S:
            return None
        before, after = self._before, _counted(self._leg)
        self._since, self._before = now, after
        expected, received = after.expected - before.expected, after.received - before.received
        if expected < 0 or received < 0:  # the source began anew
            expected, received = after.expected, after.received
        video = self._leg.inlets.get("video")
        rtts = [outlet.rtt_s for outlet in self._leg.outlets if outlet.rtt_s is not None]
        losses = [outlet.lost_fraction for outlet in self._leg.outlets if outlet.inlet is not None]
        figures = {
            "up_kbps": _kbps(after.up - before.up, seconds),
            "down_kbps": _kbps(after.down - before.down, seconds),
            "up_loss_pct": _percent(expected - received, expected),
            "down_loss_pct": f"{100 * max(losses, default=0.0):.1f}",
            "width": str(video.size.width if video else 0),
            "height": str(video.size.height if video else 0),
            "fps": f"{(after.frames - before.frames) / seconds:.1f}",
            "freezes": str(after.freezes - before.freezes),
            "nacks": str(after.nacks - before.nacks),
            "plis": str(after.plis - before.plis),
            "seconds": f"{seconds:.1f}",
        }
        if rtts:
            figures["rtt_ms"] = str(round(1000 * max(rtts)))
        return figures


def _counted(leg: Leg) -> _Counted:
    inlets = list(leg.inlets.values())
    totals = [inlet.lost for inlet in inlets]
    return _Counted(
        sum(inlet.octets for inlet in inlets),
        sum(outlet.octets for outlet in leg.outlets),
        sum(expected for expected, _ in totals),
        sum(received for _, received in totals),
        sum(inlet.frames for inlet in inlets),
        sum(inlet.freezes for inlet in inlets),
        sum(inlet.asking.nacks for inlet in inlets),
        sum(inlet.asking.plis for inlet in inlets),
    )


def _kbps(octets: int, seconds: float) -> str:
    return str(round(octets * 8 / seconds / 1000))


def _percent(part: int, whole: int) -> str:
    return f"{100 * max(0, part) / whole:.1f}" if whole > 0 else "0.0"
