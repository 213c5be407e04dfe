"""Congestion feedback that the forwarder makes itself, since no receiver's would fit what it sent.

Up: transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01), which is what a browser's
estimate of its own way up rests on; without any feedback Chrome stays near 300 kbit/s. Down: what the receivers can
take, told to the sender as a cap (REMB). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import sub
from struct import Struct
from typing import Final

EVERY_S: Final = 0.1
"""libwebrtc sends its own feedback every 50 to 250 ms, 100 by default."""

TICKS_PER_S: Final = 4_000
REFERENCE_TICKS: Final = 256
KEPT: Final = 200
"""Packets that were told of already and are told of again when an earlier one comes late: a second of a seat at its
most. libwebrtc goes back half a second."""
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
        self._at: list[float | None] = []
        """Seconds of each number in turn, up to the one before `_due`; None for what has not come."""
        self._told = 0
        """How many of them the messages have told of already."""
        self._due = -1
        """The number after the highest, in its sixteen bits."""
        self._messages = 0

    def note(self, seq: int, at: float) -> None:
        if seq == self._due:
            self._at.append(at)
            self._due = (seq + 1) & 0xFFFF
        else:
            self._note_out_of_turn(seq, at)

    def _note_out_of_turn(self, seq: int, at: float) -> None:
        ahead = ((seq - self._due + 0x8000) & 0xFFFF) - 0x8000
        place = len(self._at) + ahead
        if self._due < 0 or place - self._told >= MAX_STATUSES:  # nobody loses so much: a counter that began anew
            self._at, self._told, self._due = [at], 0, (seq + 1) & 0xFFFF
        elif ahead > 0:
            self._at += [*[None] * ahead, at]
            self._due = (seq + 1) & 0xFFFF
        elif -ahead <= MAX_STATUSES:
            if place < 0:
                self._at[:0] = [None] * -place
                place = self._told = 0
            if self._at[place] is None:
                self._at[place] = at
                self._told = min(self._told, place)

    def message(self) -> bytes | None:
        """The next feedback message's FCI: all packets from the last one's end on; None when none came since."""
        untold = self._at[self._told : self._told + MAX_STATUSES]
        if untold.count(None) == len(untold):
            return None
        # Each time is rounded by itself, not each step, so that errors do not add up.
        ticks = [None if at is None else int(at * TICKS_PER_S + 0.5) for at in untold]
        fci, told = encoded(self._due - len(self._at) + self._told, ticks, self._messages)
        self._messages = (self._messages + 1) & 0xFF
        self._told += told
        if self._told > KEPT:
            del self._at[: self._told - KEPT]
            self._told = KEPT
        return fci


def encoded(first: int, ticks: list[int | None], message: int) -> tuple[bytes, int]:
    """The FCI that tells of these packets (None for absent; at least one is there), and of how many.

    A message ends early where a step is too large for its 16 bits: the next one has a reference time of its own.
    """
    came = [tick for tick in ticks if tick is not None]
    reference = came[0] // REFERENCE_TICKS
    close = _close(came, reference) if len(came) == len(ticks) else None
    chunks, deltas, told = close or _apart(ticks, reference)
    head = _FCI.pack(first & 0xFFFF, told) + (reference & 0xFFFFFF).to_bytes(3, "big") + bytes([message])
    return head + chunks + deltas, told


def _close(came: list[int], reference: int) -> tuple[bytes, bytes, int] | None:
    """One chunk for all, as nearly always: none is missing, and each came within 64 ms of the one before."""
    try:
        deltas = bytes(map(sub, came, [reference * REFERENCE_TICKS, *came]))
    except ValueError:  # a step that is no byte
        return None
    return _CHUNK.pack(_SMALL << 13 | len(came)), deltas, len(came)


def _apart(ticks: list[int | None], reference: int) -> tuple[bytes, bytes, int]:
    last = reference * REFERENCE_TICKS
    statuses: list[int] = []
    deltas = bytearray()
    for tick in ticks:
        if tick is None:
            statuses.append(_ABSENT)
            continue
        step = tick - last
        if not -0x8000 <= step < 0x8000:
            break
        last = tick
        if 0 <= step < 0x100:
            statuses.append(_SMALL)
            deltas.append(step)
        else:
            statuses.append(_LARGE)
            deltas += _DELTA.pack(step)
    while statuses[-1] == _ABSENT:  # only where the step after it did not fit
        statuses.pop()
    return b"".join(map(_CHUNK.pack, _chunks(statuses))), bytes(deltas), len(statuses)


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
