"""What the desk is told of two seats: who is there, and when each sees the other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from rvr.core.moment import Moment
from rvr.media.embedded.sight import Sight

START = datetime(2026, 11, 23, 9, tzinfo=UTC)


class Seen(list[tuple[str, str | None]]):
    """What a room emitted, as (kind, seat)."""

    details: list[Mapping[str, str]]

    def __call__(self, kind: str, seat: str | None, detail: Mapping[str, str]) -> Moment:
        self.append((kind, seat))
        self.details = [*getattr(self, "details", []), detail]
        return Moment(START + timedelta(seconds=len(self)), "boot", len(self))


@pytest.fixture
def seen() -> Seen:
    return Seen()


def connect(sight: Sight, seat: str) -> None:
    """Comes up, and its first key frame is decoded."""
    sight.connected(seat)
    sight.first_frame(seat)


def both_ways(sight: Sight) -> None:
    for seat in ("a", "b"):
        sight.handed_on(seat)


def test_two_way_is_told_once_and_only_when_both_are_seen(seen: Seen) -> None:
    sight = Sight(("a", "b"), seen)
    connect(sight, "a")
    both_ways(sight)
    assert ("two_way", None) not in seen, "nothing counts while one seat is empty"
    connect(sight, "b")
    sight.handed_on("a")
    sight.handed_on("a")
    assert ("two_way", None) not in seen
    sight.handed_on("b")
    both_ways(sight)
    assert seen[-1] == ("two_way", None)
    assert seen.count(("two_way", None)) == 1


@pytest.mark.parametrize("end", ["lost", "gone"])
def test_resumed_needs_fresh_pictures_both_ways_after_a_break(seen: Seen, end: str) -> None:
    sight = Sight(("a", "b"), seen)
    connect(sight, "a")
    connect(sight, "b")
    both_ways(sight)
    getattr(sight, end)("b", "why")
    both_ways(sight)
    assert seen[-1] == (end, "b"), "pictures still on their way do not count"
    sight.connected("b")
    both_ways(sight)
    assert seen[-1] == ("connected", "b"), "what the new connection brings has not been decoded yet"
    sight.first_frame("b")
    assert seen[-1] == ("resumed", "b")
    assert seen.details[-1] == {"partner": "a"}


def test_a_room_that_was_two_way_in_an_earlier_process_resumes(seen: Seen) -> None:
    sight = Sight(("a", "b"), seen, had_two_way=True)
    connect(sight, "a")
    connect(sight, "b")
    both_ways(sight)
    assert seen[-1] == ("resumed", "b")


def test_only_who_was_there_can_be_lost_and_only_once(seen: Seen) -> None:
    sight = Sight(("a", "b"), seen)
    sight.lost("a", "failed")
    assert seen == []
    sight.connected("a")
    sight.lost("a", "silent")
    sight.lost("a", "failed")
    assert seen == [("connected", "a"), ("lost", "a")]


def test_one_seat_alone_is_never_two_way(seen: Seen) -> None:
    sight = Sight(("a",), seen)
    connect(sight, "a")
    sight.handed_on("a")
    assert seen == [("connected", "a"), ("first_frame", "a")]


def test_two_way_says_when_each_side_was_first_decoded_and_who_sent_nothing_but_one_tone(seen: Seen) -> None:
    sight = Sight(("a", "b"), seen)
    sight.connected("a")
    sight.first_frame("a", blank=True)
    connect(sight, "b")
    both_ways(sight)
    assert seen.details[1] == {"partner": "b", "picture": "blank"}
    assert seen.details[-1] == {
        "first:a": "2026-11-23T09:00:02.000000Z",
        "first:b": "2026-11-23T09:00:04.000000Z",
        "picture:a": "blank",
    }


def test_a_line_that_comes_back_by_itself_need_not_be_decoded_again_but_must_be_seen_again(seen: Seen) -> None:
    sight = Sight(("a", "b"), seen)
    connect(sight, "a")
    connect(sight, "b")
    both_ways(sight)
    sight.lost("a", "silent")
    sight.connected("a", again=True)
    sight.handed_on("a")
    assert seen[-1] == ("connected", "a")
    sight.handed_on("b")
    assert seen[-1] == ("resumed", "a")


def test_pictures_that_were_never_decoded_are_never_two_way(seen: Seen) -> None:
    sight = Sight(("a", "b"), seen)
    connect(sight, "a")
    sight.connected("b")
    both_ways(sight)
    assert ("two_way", None) not in seen
