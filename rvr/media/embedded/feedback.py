"""Congestion feedback that the forwarder makes itself, since no receiver's would fit what it sent.

Up: transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01), which is what a browser's
estimate of its own way up rests on; without any feedback Chrome stays near 300 kbit/s. Down: what the receivers can
take, told to the sender as a cap (REMB). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

from rvr.media.embedded.rtp import unwrapped

EVERY_S: Final = 0.1
"""libwebrtc sends its own feedback every 50 to 250 ms, 100 by default."""

TICK_US: Final = 250
REFERENCE_US: Final = 64_000
KEEP_US: Final = 500_000
"""A packet that comes this late is still told of; libwebrtc's own limit."""
MAX_STATUSES: Final = 1_000
"""In one message; 100 ms of the most that a seat may send has 150."""

_ABSENT: Final = 0
_SMALL: Final = 1
_LARGE: Final = 2

_FCI: Final = Struct("!HH")
_CHUNK: Final = Struct("!H")
_DELTA: Final = Struct("!h")


class Arrivals:
    """When the packets of one connection came, by their transport-wide sequence numbers."""

    def __init__(self) -> None:
        self._at: dict[int, int] = {}
        """Extended sequence number -> microseconds."""
        self._highest = -1
        self._next = -1
        """The first number that the next message tells of."""
        self._messages = 0

    def note(self, seq: int, at_us: int) -> None:
        if self._highest < 0:
            # One turn up, so that an earlier packet that comes late has a number above zero.
            number = self._highest = self._next = seq + 0x10000
        else:
            number = unwrapped(seq, self._highest)
            if number > self._highest:
                if number - self._highest > MAX_STATUSES:  # nobody loses so much: a counter that began anew
                    self._at.clear()
                    self._next = number
                self._highest = number
            elif number < self._next:
                if self._highest - number > MAX_STATUSES:
                    return
                self._next = number
        self._at.setdefault(number, at_us)

    def message(self, now_us: int) -> bytes | None:
        """The next feedback message's FCI: all packets from the last one's end on; None when none came since."""
        first, end = self._next, self._highest + 1
        arrivals = [self._at.get(n) for n in range(first, min(end, first + MAX_STATUSES))]
        if arrivals.count(None) == len(arrivals):
            return None
        fci, told = encoded(first, arrivals, self._messages)
        self._messages = (self._messages + 1) & 0xFF
        self._next = first + told
        self._forget(now_us - KEEP_US)
        return fci

    def _forget(self, before_us: int) -> None:
        for number, at_us in list(self._at.items()):
            if at_us >= before_us or number >= self._next:
                break
            del self._at[number]


def encoded(first: int, arrivals: list[int | None], message: int) -> tuple[bytes, int]:
    """The FCI that tells of these packets (microseconds, None for absent; at least one is there), and of how many.

    A message ends early where a step is too large for its 16 bits: the next one has a reference time of its own.
    """
    reference = next(at_us for at_us in arrivals if at_us is not None) // REFERENCE_US
    last = reference * REFERENCE_US
    statuses: list[int] = []
    deltas = bytearray()
    for at_us in arrivals:
        if at_us is None:
            statuses.append(_ABSENT)
            continue
        # Rounded on the running sum, so that errors do not add up.
        ticks = (at_us - last + TICK_US // 2) // TICK_US
        if not -0x8000 <= ticks < 0x8000:
            break
        last += ticks * TICK_US
        if 0 <= ticks < 0x100:
            statuses.append(_SMALL)
            deltas.append(ticks)
        else:
            statuses.append(_LARGE)
            deltas += _DELTA.pack(ticks)
    while statuses[-1] == _ABSENT:  # only where the step after it did not fit
        statuses.pop()
    head = _FCI.pack(first & 0xFFFF, len(statuses)) + (reference & 0xFFFFFF).to_bytes(3, "big") + bytes([message])
    return head + b"".join(map(_CHUNK.pack, _chunks(statuses))) + deltas, len(statuses)


def _chunks(statuses: list[int]) -> Iterable[int]:
    at = 0
    while at < len(statuses):
        run = _run(statuses, at)
        if run >= 7:
            yield statuses[at] << 13 | run
            at += run
            continue
        two_bits = _LARGE in statuses[at : at + 14]
        size, width = (7, 2) if two_bits else (14, 1)
        symbols = statuses[at : at + size]
        chunk = 0xC000 if two_bits else 0x8000
        for n, symbol in enumerate(symbols):
            chunk |= symbol << width * (size - 1 - n)
        yield chunk
        at += len(symbols)


def _run(statuses: list[int], at: int) -> int:
    end = at
    limit = min(len(statuses), at + 0x1FFF)
    while end < limit and statuses[end] == statuses[at]:
        end += 1
    return end - at


FLOOR_BPS: Final = 100_000
"""The lowest step at which a face is still a face; below it the sender's own ladder decides."""
CEILING_BPS: Final = 10_000_000
"""More than any camera here sends: told as a REMB it lifts an earlier cap."""
GROWTH_PER_S: Final = 1.08
LOSS_THAT_COUNTS: Final = 0.10
"""Above a tenth the classic loss-based rule takes off half of the loss (RFC 8698's and libwebrtc's older controller);
less than that NACK and RTX repair."""


class Downlink:
    """What one receiver's way down can take, or None while nothing says that it is too narrow.

    A receiver's estimate (REMB) never exceeds one and a half of what it is sent, so it says something only when it lies
    below that: taken at its word it would hold a call back that has just begun.
    """

    def __init__(self) -> None:
        self.limit_bps: int | None = None
        self._at = 0.0
        self._cut_at = float("-inf")

    def estimate(self, remb_bps: int, sent_bps: int, now: float) -> None:
        if sent_bps and remb_bps < sent_bps:
            self._narrow(remb_bps, now)
        else:
            self._widen(now, at_least=remb_bps if self.limit_bps is not None and remb_bps > self.limit_bps else 0)

    def loss(self, fraction: float, sent_bps: int, now: float) -> None:
        if fraction > LOSS_THAT_COUNTS and sent_bps and now - self._cut_at >= 1.0:
            self._cut_at = now
            known = self.limit_bps if self.limit_bps is not None else sent_bps
            self._narrow(int(min(known, sent_bps) * (1 - fraction / 2)), now)

    def _narrow(self, bps: int, now: float) -> None:
        self.limit_bps = max(FLOOR_BPS, bps)
        self._at = now

    def _widen(self, now: float, at_least: int) -> None:
        if self.limit_bps is None:
            return
        grown = self.limit_bps * GROWTH_PER_S ** min(5.0, now - self._at)
        self._at = now
        self.limit_bps = int(max(grown, min(at_least, grown * 1.25)))
        if self.limit_bps > CEILING_BPS // 4:
            self.limit_bps = None
