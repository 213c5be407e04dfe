"""Earlier cases within so many days, and civil orders: what counts at the very edge, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rvr.core import events as e
from rvr.core import history as past
from rvr.core.history import PastCase
from rvr.core.moment import Moment, iso
from rvr.core.orders import Order, apply_order

OPENED = datetime(2026, 11, 22, 21, 18, 4, 118221, tzinfo=UTC)


def a_case(case: str, victim: str, suspect: str, **ago: float) -> PastCase:
    return PastCase(case, case.upper(), iso(OPENED - timedelta(**ago)), victim, suspect, "standard", "closed")


HISTORY = (
    a_case("old", "ann", "bob", days=400),
    a_case("year", "ann", "bob", days=365),
    a_case("month", "ann", "carl", days=30),
    a_case("week", "eve", "bob", days=7),
    a_case("day", "ann", "bob", days=1),
)


def ids(cases: tuple[PastCase, ...]) -> list[str]:
    return [one.case for one in cases]


def test_the_pair_the_victim_and_the_suspect_each_have_their_own_history() -> None:
    at = iso(OPENED)
    assert ids(past.of_pair(HISTORY, "ann", "bob", at, 365)) == ["year", "day"]
    assert ids(past.of_victim(HISTORY, "ann", at, 365)) == ["year", "month", "day"]
    assert ids(past.of_suspect(HISTORY, "bob", at, 365)) == ["year", "week", "day"]
    assert ids(past.of_pair(reversed(HISTORY), "ann", "bob", at, 400)) == ["old", "year", "day"]


def test_exactly_so_many_days_ago_counts_and_a_microsecond_more_does_not() -> None:
    edge = (a_case("in", "ann", "bob", days=365), a_case("out", "ann", "bob", days=365, microseconds=1))
    assert ids(past.of_pair(edge, "ann", "bob", iso(OPENED), 365)) == ["in"]


def test_the_case_itself_and_later_ones_are_not_earlier() -> None:
    others = (a_case("same", "ann", "bob"), a_case("later", "ann", "bob", days=-1))
    assert past.of_pair(others, "ann", "bob", iso(OPENED), 365) == ()


def test_a_day_has_86400_seconds_also_when_the_clocks_change() -> None:
    """British summer time ended on 25 October 2026 at 01:00 UTC: that local day had 25 hours."""
    opened = datetime(2026, 10, 25, 12, tzinfo=UTC)
    before = PastCase("x", "X", iso(opened - timedelta(seconds=86_400)), "ann", "bob", "", "closed")
    assert ids(past.of_victim((before,), "ann", iso(opened), 1)) == ["x"]


# --- Civil orders ------------------------------------------------------------------------------------------------

IMPORTED = e.OrderImported(
    kind="non_molestation",
    starts="2026-01-01T00:00:00.000000Z",
    ends="2027-01-01T00:00:00.000000Z",
    lpa="coventry",
    suspect_name="Bob Example",
    suspect_dob="1988-02-01",
    conditions="Not within 100 metres",
)


def an_order(*facts: e.Fact) -> Order:
    order = Order("o1")
    for fact in facts:
        order = apply_order(order, e.Event(fact, "", Moment(OPENED, "boot", 1), "importer", "bot"))
    return order


def test_an_order_holds_from_its_start_and_no_longer_at_its_end() -> None:
    order = an_order(IMPORTED)
    assert (order.version, order.kind, order.conditions) == (1, "non_molestation", "Not within 100 metres")
    assert order.live("2026-01-01T00:00:00.000000Z")
    assert order.live("2026-12-31T23:59:59.999999Z")
    assert not order.live("2025-12-31T23:59:59.999999Z")
    assert not order.live("2027-01-01T00:00:00.000000Z")
    assert an_order(e.OrderImported(kind="restraining", starts=IMPORTED.starts)).live("2099-01-01T00:00:00.000000Z")


def test_an_order_that_ended_is_live_no_more_until_it_is_imported_again() -> None:
    ended = e.OrderEnded(ends="2026-06-01T00:00:00.000000Z", because="discharged")
    assert not an_order(IMPORTED, ended).live(iso(OPENED))
    assert an_order(IMPORTED, ended).ended_because == "discharged"
    again = an_order(IMPORTED, ended, IMPORTED)
    assert (again.version, again.ended_because, again.live(iso(OPENED))) == (3, "", True)


def test_an_order_names_its_people_as_a_case_does() -> None:
    assert {(key.role, key.kind) for key in an_order(IMPORTED).keys} == {
        ("suspect", "name_dob"),
        ("suspect", "name_year"),
        ("suspect", "part_dob"),
    }
    assert an_order(e.OrderImported(kind="x", starts="")).keys == ()
