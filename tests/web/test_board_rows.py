"""A row that was made for somebody else holds nothing of theirs: its token, its presses and its time are one's own."""

from __future__ import annotations

import re

from rvr.web.board_rows import NOW, PRESS, TOKEN, filled
from tests.serving import Client, Served, ready_for_handover


def offered(someone: Client, case: str) -> tuple[str, str, str]:
    """The token, the press and the time in the row of this case."""
    page = someone.call("GET", "/").body.decode()
    assert not any(mark in page for mark in (NOW, TOKEN, PRESS))
    row = re.search(rf'<tr [^>]*id="row-{case}".*?</tr>', page, re.DOTALL)
    assert row
    told = [
        re.search(pattern, row[0]) for pattern in (r'name="csrf" value="([^"]+)"', r'name="command_id" value="([^"]+)"')
    ]
    now = re.search(r'data-now="([^"]+)"', row[0])
    assert told[0]
    assert told[1]
    assert now
    return told[0][1], told[1][1], now[1]


def test_two_sergeants_are_shown_the_same_row_each_with_the_own_token_and_a_press_of_its_own(desk: Served) -> None:
    handler, first, second = (desk.client(name) for name in ("handler", "sergeant", "sergeant2"))
    case = ready_for_handover(handler)
    assert handler.move(case, "offer_handover", {"note": "Calm."}).status == 200
    seen = [offered(someone, case) for someone in (first, second, first)]
    assert [token for token, _, _ in seen] == [first.csrf, second.csrf, first.csrf]
    assert len({press for _, press, _ in seen}) == 3
    assert sorted(at for _, _, at in seen) == [at for _, _, at in seen]
    assert len({at for _, _, at in seen}) == 3


def test_every_press_of_a_page_is_another() -> None:
    html = filled(f"{PRESS} {TOKEN} {PRESS} {NOW}", now="now", token="mine")
    one, token, other, now = html.split(" ")
    assert (token, now) == ("mine", "now")
    assert one != other
