"""What the media plane saw, given to whoever at the desk it concerns: the case, its recording, or its lines."""

from __future__ import annotations

from rvr import calls, metrics
from rvr.desk import Desk
from rvr.measuring import Measuring
from rvr.media import Observation
from rvr.recordings import Recordings


class Observing:
    """The desk's ear on the media plane."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.recordings = Recordings(desk)
        self._measuring = Measuring(desk)

    async def observed(self, seen: Observation) -> None:
        """Raises Stale or Unavailable when it could not be recorded: it is offered again then."""
        metrics.MEDIA_SEEN.labels(seen.kind, seen.detail.get("cause", "")).inc()
        match seen.kind:
            case "recording":
                await self.recordings.observed(seen)
            case "quality":
                await self._measuring.observed(seen)
            case _:
                if seen.kind in ("lost", "gone"):
                    await self._measuring.ended(seen.room, seen.seat or "")
                cause, name = seen.detail.get("cause", ""), f"{seen.worker}:{seen.number}"
                firsts = {key.removeprefix("first:"): at for key, at in seen.detail.items() if key.startswith("first:")}
                await calls.observed(
                    self._desk, seen.room, seen.seat, seen.kind, cause, seen.moment, name, firsts=firsts
                )
