"""Control charts against published examples, and each signal where it is due and not a point sooner."""

from __future__ import annotations

import pytest

from rvr.evaluation.control_charts import (
    BASELINE,
    D4,
    FEWEST,
    Period,
    Point,
    mean_moving_range,
    p_chart,
    p_limits,
    xmr,
    xmr_limits,
)


def periods(*values: float | None, n: int = 100) -> list[Period]:
    return [Period(f"p{number}", value, n) for number, value in enumerate(values)]


def signals(points: list[Point]) -> dict[str, tuple[str, ...]]:
    return {point.label: point.signals for point in points if point.signals}


def test_individual_values_are_those_of_the_nist_handbook() -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2: flow rates of ten batches."""
    rates = [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]
    assert mean_moving_range(rates) == pytest.approx(1.8778, abs=5e-5)
    limits = xmr_limits(rates)
    assert (limits.centre, limits.high, limits.low) == pytest.approx((50.81, 55.8041, 45.8159), abs=5e-5)
    assert limits.furthest == pytest.approx(D4 * 1.8778, abs=5e-4)


def test_shares_are_those_of_the_nist_handbook_and_of_a_textbook() -> None:
    """NIST 6.3.3.2: thirty wafers of fifty chips; ten samples of 200 items with 320 defects."""
    limits = p_limits(0.2313, 50)
    assert (limits.high, limits.low) == pytest.approx((0.4102, 0.0524), abs=5e-5)
    defects = (40, 44, 22, 34, 24, 32, 28, 32, 34, 30)
    points = p_chart(periods(*(count / 200 for count in defects), n=200))
    assert {(round(p.centre or 0, 4), round(p.high or 0, 4), round(p.low or 0, 4)) for p in points} == {
        (0.16, 0.2378, 0.0822)
    }
    assert signals(points) == {}


def test_a_share_of_fewer_cases_has_wider_limits() -> None:
    few, many = p_chart([*periods(0.5, 0.5, 0.5, 0.5), Period("few", 0.5, 10), Period("many", 0.5, 1000)])[-2:]
    assert (few.high or 0) - (few.low or 0) > (many.high or 0) - (many.low or 0)


def test_a_point_outside_the_frozen_limits_is_a_signal_and_does_not_widen_them() -> None:
    quiet = [10.0, 11.0] * (BASELINE // 2)
    points = xmr(periods(*quiet, 30.0, 10.5))
    assert signals(points) == {f"p{BASELINE}": ("outside", "jump"), f"p{BASELINE + 1}": ("jump",)}
    assert points[-1].high == points[0].high


@pytest.mark.parametrize(("above", "found"), [(7, 0), (8, 1), (9, 2)])
def test_eight_on_one_side_are_a_run(above: int, found: int) -> None:
    values = [10.0, 12.0] * (BASELINE // 2) + [10.0, *([11.5, 11.2] * 5)[:above]]
    assert sum("run" in one for one in signals(xmr(periods(*values))).values()) == found


@pytest.mark.parametrize(("rising", "found"), [(5, 0), (6, 1)])
def test_six_that_rise_are_a_trend(rising: int, found: int) -> None:
    values = [10.0, 14.0] * (BASELINE // 2) + [10.0 + 0.3 * step for step in range(rising)]
    assert sum("trend" in one for one in signals(xmr(periods(*values))).values()) == found


def test_a_value_on_the_centre_breaks_a_run() -> None:
    values = [10.0, 12.0] * (BASELINE // 2) + [10.0] + [11.5] * 4 + [11.0] + [11.5] * 4
    assert "run" not in [signal for one in signals(xmr(periods(*values))).values() for signal in one]


def test_from_a_recorded_decision_on_the_limits_are_those_of_a_new_baseline() -> None:
    values = [10.0, 12.0] * 4 + [30.0, 32.0] * 4
    kept, based = xmr(periods(*values)), xmr(periods(*values), ["p8"])
    assert any("outside" in point.signals for point in kept[8:])
    assert signals(based) == {}
    assert [point.rebased for point in based].index(True) == 8
    assert (based[7].centre, based[8].centre) == (11.0, 31.0)


def test_too_few_periods_have_no_limits_and_a_period_of_too_few_cases_no_point() -> None:
    assert all(point.centre is None for point in xmr(periods(*[1.0] * (FEWEST - 1))))
    points = xmr(periods(1.0, 2.0, None, 1.0, 2.0))
    assert (points[2].value, points[2].centre) == (None, None)
    assert points[3].centre == 1.5


def test_a_time_has_no_limit_below_nought() -> None:
    assert xmr(periods(1.0, 9.0, 1.0, 9.0), least=0.0)[0].low == 0.0
