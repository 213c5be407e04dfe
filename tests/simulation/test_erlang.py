"""The formulas of queues against what was published of them."""

from __future__ import annotations

import math

import pytest

from rvr.simulation.erlang import erlang_b, erlang_c, servers_for, waiting_a, waiting_c


@pytest.mark.parametrize(
    ("servers", "load", "blocked"),
    [
        (1, 0.0101, 0.01),
        (5, 1.361, 0.01),
        (10, 4.461, 0.01),
        (20, 12.03, 0.01),
        (50, 37.90, 0.01),
        (100, 84.06, 0.01),
        (5, 1.657, 0.02),
        (10, 5.084, 0.02),
        (20, 13.18, 0.02),
        (5, 2.219, 0.05),
        (10, 6.216, 0.05),
        (20, 15.25, 0.05),
    ],
)
def test_erlang_b_as_in_the_traffic_tables(servers: int, load: float, blocked: float) -> None:
    """Traffic capacity in erlangs by grade of service, as every telephone engineer's table has it."""
    assert erlang_b(servers, load) == pytest.approx(blocked, rel=2e-3)


@pytest.mark.parametrize(
    ("servers", "load", "waits"),
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (3, 2.0, 4 / 9), (5, 4.0, 0.5541), (10, 8.0, 0.4092), (55, 48.0, 0.239)],
)
def test_erlang_c_as_in_the_textbooks(servers: int, load: float, waits: float) -> None:
    """M/M/c tables; the last is the worked example of Mitan's guide to Erlang C: 360 calls in half an hour of 4 min."""
    assert erlang_c(servers, load) == pytest.approx(waits, abs=5e-4)


def test_a_worked_example_of_call_centres() -> None:
    """Mitan: 360 calls in half an hour of 240 s, 55 agents: 84.6 % within 15 s, 8.2 s on average."""
    told = waiting_c(55, 48.0, 240, 15)
    assert (round(told.within, 3), round(told.mean_s, 1)) == (0.846, 8.2)
    told = waiting_c(14, 10.0, 180, 20)  # Call Centre Helper's: 100 calls in half an hour of 180 s, 14 agents
    assert (round(told.waits, 3), round(told.within, 3), round(told.mean_s, 1)) == (0.174, 0.888, 7.8)


@pytest.mark.parametrize(
    ("an_hour", "minutes", "officers"), [(2, 75, 6), (2, 105, 8), (4, 75, 9), (4, 105, 12), (6, 75, 13), (6, 105, 16)]
)
def test_how_many_officers_as_the_desk_reckons(an_hour: int, minutes: int, officers: int) -> None:
    """docs/DOMAIN.md: officers needed on rapid video at once, 95 % answered within ten minutes."""
    assert servers_for(an_hour * minutes / 60, minutes * 60, 600, 0.95) == officers


def test_erlang_a_as_its_authors_tell_it() -> None:
    """Mandelbaum and Zeltyn 2007: 48 calls a minute of a minute each, 50 agents, callers who wait for two minutes."""
    told = waiting_a(50, 48.0, 60, 120, 12.5)
    assert round(told.leaves, 3) == 0.031
    assert round(told.mean_s, 1) == 3.7
    assert round(48 * (1 - told.leaves) / 50, 2) == 0.93
    patient = waiting_c(50, 48.0, 60, 12.5)
    assert round(patient.mean_s, 1) == 20.8


def test_callers_who_wait_for_ever_are_those_of_erlang_c() -> None:
    for servers, load in ((6, 2.5), (12, 7.0), (16, 10.5)):
        told, patient = waiting_a(servers, load, 6300, 1e9, 600), waiting_c(servers, load, 6300, 600)
        assert told.waits == pytest.approx(patient.waits, rel=1e-4)
        assert told.within == pytest.approx(patient.within, abs=1e-4)
        assert told.mean_s == pytest.approx(patient.mean_s, rel=1e-3)


def test_callers_who_do_not_wait_at_all_are_lost_as_in_erlang_b() -> None:
    told = waiting_a(10, 7.0, 6300, 1e-3, 600)
    assert told.leaves == pytest.approx(erlang_b(10, 7.0), rel=1e-3)


def test_what_gives_up_and_what_is_served_in_time_or_late_is_everybody() -> None:
    soon, late = waiting_a(8, 9.0, 6300, 1800, 0.0), waiting_a(8, 9.0, 6300, 1800, 1e6)
    assert soon.within == pytest.approx(1 - soon.waits)
    assert late.within == pytest.approx(1 - late.leaves)


def test_too_much_work_is_told_and_no_number() -> None:
    told = waiting_c(3, 3.5, 6300, 600)
    assert (told.waits, told.mean_s, told.within) == (1.0, math.inf, 0.0)
    with pytest.raises(ValueError, match="no queue"):
        erlang_b(3, -1.0)
    with pytest.raises(ValueError, match="no number"):
        servers_for(5.0, 6300, 0, 1.0 + 1e-9)
