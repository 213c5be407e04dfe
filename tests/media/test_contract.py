"""The contract's own values: what no engine would ever be asked for."""

from __future__ import annotations

import pytest

from rvr.media import Recording, Room, Seat


def test_a_room_has_at_most_four_seats_and_each_once() -> None:
    assert len(Room(tuple(Seat(one) for one in "abcd")).seats) == 4
    with pytest.raises(ValueError, match="4 is the most"):
        Room(tuple(Seat(one) for one in "abcde"))
    with pytest.raises(ValueError, match="twice"):
        Room((Seat("a"), Seat("a", admitted=False)))


def test_a_recordings_key_is_whole_and_is_never_written_into_a_message() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Recording("r", b"short")
    assert "SECRET" not in repr(Recording("r", b"SECRET" + bytes(26)))
