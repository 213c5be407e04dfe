"""Congestion feedback: what the forwarder tells a sender of its way up, and of the receivers' ways down."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvr.media.embedded.feedback import CEILING_BPS, FLOOR_BPS, KEPT, MAX_STATUSES, Arrivals, Downlink


def decoded(fci: bytes) -> dict[int, int | None]:
    """A message after draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1: number -> microseconds or None.

    Written from the draft alone, bit by bit, to be told apart from the encoder's own thinking.
    """
    base, count = struct.unpack_from("!HH", fci)
    reference = int.from_bytes(fci[4:7], "big", signed=True)
    symbols: list[int] = []
    at = 8
    while len(symbols) < count:
        bits = f"{struct.unpack_from('!H', fci, at)[0]:016b}"
        at += 2
        if bits[0] == "0":
            symbols += [int(bits[1:3], 2)] * int(bits[3:], 2)
        elif bits[1] == "0":
            symbols += [int(bit) for bit in bits[2:]]
        else:
            symbols += [int(bits[n : n + 2], 2) for n in range(2, 16, 2)]
    assert len(symbols) - count < 14, "chunks beyond the last packet"
    assert not any(symbols[count:])
    clock = reference * 64_000
    told: dict[int, int | None] = {}
    for n, symbol in enumerate(symbols[:count]):
        if symbol == 0:
            told[(base + n) & 0xFFFF] = None
            continue
        size = {1: 1, 2: 2}[symbol]
        clock += 250 * int.from_bytes(fci[at : at + size], "big", signed=size == 2)
        at += size
        told[(base + n) & 0xFFFF] = clock
    assert at == len(fci)
    return told


@settings(deadline=None)
@given(
    st.integers(0, 0xFFFF),
    st.integers(1_000_000, 2**43),
    st.lists(st.tuples(st.integers(-20_000, 60_000), st.integers(0, 9)), min_size=1, max_size=120),
)
def test_every_packet_is_told_with_its_time_to_an_eighth_of_a_millisecond(
    first: int, start_us: int, steps: list[tuple[int, int]]
) -> None:
    arrivals = Arrivals()
    at = start_us
    came: dict[int, int] = {}
    for n, (step, luck) in enumerate(steps):
        at += step
        if luck or n == 0:
            came[(first + n) & 0xFFFF] = at
            arrivals.note((first + n) & 0xFFFF, at / 1_000_000)
    told: dict[int, int | None] = {}
    while (fci := arrivals.message()) is not None:
        told |= decoded(fci)
    last = max(n for n in range(len(steps)) if (first + n) & 0xFFFF in came)
    assert list(told) == [(first + n) & 0xFFFF for n in range(last + 1)], "also those that never came"
    for number, heard in told.items():
        assert (heard is None) == (number not in came)
        if heard is not None:
            # The 24 bits of the reference time turn over after twelve days: compare within them.
            apart = (heard - came[number]) % ((1 << 24) * 64_000)
            assert min(apart, (1 << 24) * 64_000 - apart) <= 125


def test_a_packet_lost_between_two_messages_is_told_as_lost_in_the_second() -> None:
    arrivals = Arrivals()
    arrivals.note(10, 1.0)
    assert decoded(arrivals.message() or b"") == {10: 1_000_000}
    arrivals.note(12, 1.1)
    told = decoded(arrivals.message() or b"")
    assert list(told) == [11, 12]
    assert told[11] is None
    assert arrivals.message() is None, "nothing came since"


def test_a_packet_that_comes_late_is_told_of_once_more_with_those_after_it() -> None:
    arrivals = Arrivals()
    arrivals.note(10, 1.0)
    arrivals.note(12, 1.002)
    arrivals.message()
    arrivals.note(11, 1.004)
    told = decoded(arrivals.message() or b"")
    assert told == {11: 1_004_000, 12: 1_002_000}


def test_messages_are_counted_and_begin_anew_after_256() -> None:
    arrivals = Arrivals()
    counts = []
    for n in range(258):
        arrivals.note(n, n / 100)
        message = arrivals.message()
        assert message is not None
        counts.append(message[7])
    assert [counts[n] for n in (0, 255, 256)] == [0, 255, 0]


def test_a_step_too_large_for_sixteen_bits_begins_a_message_of_its_own() -> None:
    arrivals = Arrivals()
    arrivals.note(1, 1.0)
    arrivals.note(2, 10.0)
    first, second = (decoded(arrivals.message() or b"") for _ in range(2))
    assert first == {1: 1_000_000}
    assert second == {2: 10_000_000}


def test_a_sender_that_counts_wildly_costs_a_bounded_message() -> None:
    arrivals = Arrivals()
    for n in range(0, 200_000, 900):
        arrivals.note(n & 0xFFFF, n / 1_000_000)
    assert len(arrivals._at) <= MAX_STATUSES + KEPT
    while (message := arrivals.message()) is not None:
        assert len(message) < 4_000
    assert len(arrivals._at) < 1_000


def test_numbers_long_told_are_forgotten() -> None:
    arrivals = Arrivals()
    for n in range(20_000):
        arrivals.note(n & 0xFFFF, n * 0.003)
        if n % 30 == 0:
            arrivals.message()
    assert len(arrivals._at) < 300


# --- the ways down ---


def test_an_estimate_that_only_trails_what_is_sent_holds_nobody_back() -> None:
    down = Downlink()
    for second in range(10):
        down.estimate(1_400_000, sent_bps=900_000, now=float(second))
    assert down.limit_bps is None


def test_an_estimate_below_what_is_sent_is_a_limit_that_opens_again_slowly() -> None:
    down = Downlink()
    down.estimate(300_000, sent_bps=900_000, now=0.0)
    assert down.limit_bps == 300_000
    limits = []
    for second in range(1, 60):
        down.estimate(450_000, sent_bps=min(300_000, down.limit_bps or 0), now=float(second))
        limits.append(down.limit_bps)
    assert limits[0] is not None
    assert 300_000 < limits[0] < 420_000
    assert limits[-1] is None, "in the end nothing speaks for a limit"


def test_the_floor_holds_whatever_a_receiver_says() -> None:
    down = Downlink()
    down.estimate(0, sent_bps=900_000, now=0.0)
    assert down.limit_bps == FLOOR_BPS


@pytest.mark.parametrize(("fraction", "limit"), [(0.05, None), (0.10, None), (0.20, 810_000), (0.5, 675_000)])
def test_loss_of_more_than_a_tenth_takes_half_of_itself_off(fraction: float, limit: int | None) -> None:
    down = Downlink()
    down.loss(fraction, sent_bps=900_000, now=0.0)
    down.loss(fraction, sent_bps=900_000, now=0.3)  # not again within the second
    assert down.limit_bps == limit


def test_a_way_down_that_carries_nothing_is_never_limited() -> None:
    down = Downlink()
    down.estimate(100_000, sent_bps=0, now=0.0)
    down.loss(0.9, sent_bps=0, now=0.0)
    assert down.limit_bps is None
    assert CEILING_BPS > 4_000_000
