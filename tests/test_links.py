"""Join links: what a tap comes to."""

from __future__ import annotations

from datetime import timedelta

from rvr import links
from rvr.core.moment import iso
from rvr.store.tables import LinkRow
from tests.builders import START


def a_link(**more: str) -> LinkRow:
    expires = iso(START + timedelta(minutes=15))
    return LinkRow(id="1", case_id="1", seat="s", token_hash="t", expires_at=expires, **more)


def tapped(link: LinkRow, browser: str = "mine", minutes: float = 1) -> str:
    return links.redeem(link, links.hash_of(browser), START + timedelta(minutes=minutes)).result


def test_the_first_tap_binds_the_link() -> None:
    assert tapped(a_link()) == "bound"


def test_the_same_browser_comes_back_also_after_the_link_has_run_out() -> None:
    bound = a_link(browser_hash=links.hash_of("mine"))
    assert [tapped(bound), tapped(bound, minutes=600)] == ["again", "again"]


def test_another_browser_is_told_apart() -> None:
    bound = a_link(browser_hash=links.hash_of("mine"))
    assert tapped(bound, "other") == "second_browser"
    assert links.redeem(bound, "", START).result == "second_browser"


def test_an_unopened_link_runs_out_to_the_second() -> None:
    assert [tapped(a_link(), minutes=15), tapped(a_link(), minutes=15.001)] == ["bound", "expired"]


def test_a_replaced_link_is_dead_for_everybody() -> None:
    for browser_hash in ("", links.hash_of("mine")):
        assert tapped(a_link(revoked_at=iso(START), browser_hash=browser_hash)) == "revoked"


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {links.new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert min(map(len, tokens)) >= 43, "256 bits in base64"
    assert len(links.hash_of("x")) == 64
