"""What the browser of a track is asked for: a whole picture, and packets that have not come. Pure, as `streams` is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from rvr.media.embedded import rtcp

MAX_GAP: Final = 128
"""Packets missing at once above which a key frame is cheaper than asking for each."""
NACK_TRIES: Final = 8
NACK_EVERY_S: Final = 0.1
KEY_FRAME_EVERY_S: Final = 0.4
"""A key frame costs a sender ten ordinary ones: those who ask within this time share one."""

Say = Callable[[bytes], object]
"""Sends an RTCP packet to the browser whose track this is."""


class Asking:
    """The wishes for one track: said at once or when it is time, and again until they are granted or given up."""

    def __init__(self, own_ssrc: int, say: Say, *, again: bool) -> None:
        self.nacks = 0
        """Packets asked for."""
        self.plis = 0
        """Key frames asked for."""
        self._own_ssrc = own_ssrc
        self._say = say
        self._again = again
        """Whether the browser knows retransmission."""
        self._ssrc = 0
        """Of the track; 0 before its first packet."""
        self._missing: dict[int, tuple[int, float]] = {}
        """Number -> (times asked for, when again)."""
        self._asked_at = float("-inf")
        self._wanted = False

    def begin(self, ssrc: int) -> None:
        """The source begins, or begins anew: what was missing before is never filled."""
        self._ssrc = ssrc
        self._missing.clear()

    def key_frame(self, now: float) -> None:
        """Now, or as soon as the last request lies far enough back."""
        self._wanted = True
        if self._ssrc and now - self._asked_at >= KEY_FRAME_EVERY_S:
            self._asked_at = now
            self._wanted = False
            self.plis += 1
            self._say(rtcp.picture_loss(self._own_ssrc, self._ssrc))

    def key_frame_came(self) -> None:
        self._wanted = False

    def gap(self, first: int, end: int, now: float) -> None:
        """The packets from `first` to before `end` were passed over."""
        if end - first + len(self._missing) > MAX_GAP:
            self._missing.clear()
            self.key_frame(now)
        else:
            self._ask_for(range(first, end), now)

    def again(self, number: int, now: float) -> None:
        """A receiver lacks a packet that is not here either."""
        tries, due = self._missing.get(number, (0, 0.0))
        if due <= now and tries < NACK_TRIES:
            self._ask_for([number], now)

    def came(self, number: int) -> None:
        self._missing.pop(number, None)

    def tick(self, oldest: int, now: float) -> None:
        """Every tenth of a second: ask again for what has not come, as long as it lies after `oldest`."""
        if self._wanted:
            self.key_frame(now)
        if not self._missing:
            return
        for number, (tries, _) in list(self._missing.items()):
            if tries >= NACK_TRIES or number <= oldest:
                del self._missing[number]
        if due := [number for number, (_, at) in self._missing.items() if at <= now]:
            self._ask_for(due, now)

    def _ask_for(self, numbers: Iterable[int], now: float) -> None:
        if not self._again:
            return
        asked = list(numbers)
        for number in asked:
            tries, _ = self._missing.get(number, (0, 0.0))
            self._missing[number] = tries + 1, now + NACK_EVERY_S
        self.nacks += len(asked)
        self._say(rtcp.nack(self._own_ssrc, self._ssrc, [number & 0xFFFF for number in asked]))
