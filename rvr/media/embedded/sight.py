"""Which of a room's two principal seats is there, and whether each sees the other: what the desk is told, in order.

Pure: it is told what happened and emits what the contract calls for, once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from rvr.core.moment import Moment, iso
from rvr.media import Kind

Emit = Callable[[Kind, str | None, Mapping[str, str]], Moment]
"""Records an observation and gives back when that was."""


class Sight:
    """One room's facts."""

    def __init__(
        self, principals: tuple[str, ...], emit: Emit, *, had_two_way: bool = False, away: Collection[str] = ()
    ) -> None:
        """`had_two_way` and `away` (lost, but not gone) come from an earlier process that held this room."""
        self._principals = principals
        self._emit = emit
        self._present: set[str] = set()
        self._away = set(away)
        self._first: dict[str, str] = {}
        """Seat -> when the first frame of its present connection was decoded."""
        self._blank: set[str] = set()
        self._seen: set[str] = set()
        """The seats of which a whole key frame was handed to the partner while both were present."""
        self._last_back: str | None = None
        self._had_two_way = had_two_way
        self._two_way = False

    @property
    def had_two_way(self) -> bool:
        return self._had_two_way

    def partner(self, seat: str) -> str | None:
        return next((other for other in self._principals if other != seat), None)

    def connected(self, seat: str, *, again: bool = False) -> None:
        if not again:
            self._first.pop(seat, None)
        self._present.add(seat)
        self._away.discard(seat)
        self._last_back = seat
        self._emit("connected", seat, self._detail(seat, again="yes") if again else self._detail(seat))

    def first_frame(self, seat: str, *, blank: bool = False) -> None:
        """The seat's first key frame was decoded. It counts even when it is one even tone: media came and could be
        shown; whether a lens was covered is not for this side to judge, but it is told."""
        picture = {"picture": "blank"} if blank else {}
        (self._blank.add if blank else self._blank.discard)(seat)
        self._first[seat] = iso(self._emit("first_frame", seat, self._detail(seat, **picture)).at)
        self._look()

    def handed_on(self, seat: str) -> None:
        """A whole key frame of this seat was passed to its partner."""
        if not self._two_way and {*self._principals} <= self._present:
            self._seen.add(seat)
            self._look()

    def _look(self) -> None:
        both = {*self._principals}
        if len(both) == 2 and not self._two_way and both <= self._present & self._seen & self._first.keys():
            self._two_way = True
            self._tell_two_way()

    def lost(self, seat: str, cause: str) -> None:
        if seat in self._present:
            self._leave(seat)
            self._away.add(seat)
            self._emit("lost", seat, self._detail(seat, cause=cause))

    def is_away(self, seat: str) -> bool:
        """Lost and not yet known to have left."""
        return seat in self._away

    def gone(self, seat: str, cause: str) -> None:
        self._leave(seat)
        self._away.discard(seat)
        self._emit("gone", seat, self._detail(seat, cause=cause))

    def _leave(self, seat: str) -> None:
        self._present.discard(seat)
        self._seen.clear()
        self._two_way = False

    def _tell_two_way(self) -> None:
        if self._had_two_way:
            back = self._last_back
            self._emit("resumed", back, self._detail(back) if back is not None else {})
        else:
            self._had_two_way = True
            firsts = {f"first:{seat}": self._first[seat] for seat in self._principals}
            blanks = {f"picture:{seat}": "blank" for seat in self._principals if seat in self._blank}
            self._emit("two_way", None, firsts | blanks)

    def _detail(self, seat: str, **more: str) -> dict[str, str]:
        partner = self.partner(seat)
        return more if partner is None else {"partner": partner, **more}
