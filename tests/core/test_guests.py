"""Who else joins a call: asked in, let in by the victim alone, held by either side, and never hidden."""

from __future__ import annotations

import pytest

from rvr.core import events as e
from rvr.core import presence
from rvr.core.commands import THE_MEDIA, Actor
from rvr.core.guests import actor_of
from rvr.core.session import FREE, Guest, Session, seats
from tests.builders import ADVOCATE, OFFICER, OFFICER_2, SERGEANT, SERGEANT_2, THE_VICTIM, Story, a_case, then

ASKED = {"guest_to": "07700 900111", "guest_role": "interpreter"}


def session_of(story: Story) -> Session:
    assert story.case.session is not None
    return story.case.session


def the_guest(story: Story, number: int = 1) -> Guest:
    return list(session_of(story).guests.values())[number - 1]


def with_a_guest(state: str = "video") -> tuple[Story, str, Actor]:
    """A call into which an interpreter was asked, who has arrived."""
    story = a_case(state).does(OFFICER, "invite_guest", **ASKED)
    guest = the_guest(story)
    story.does(actor_of(guest.id), "guest_arrive", guest_name="Ina Example", declared=True)
    return story, guest.id, actor_of(guest.id)


def passes(story: Story) -> dict[str, bool]:
    return dict(seats(session_of(story)))


@pytest.mark.parametrize("state", ["waiting_room", "video", "interrupted", "lost_contact"])
def test_nothing_passes_to_or_from_a_guest_before_the_victim_has_agreed(state: str) -> None:
    story, guest, _ = with_a_guest(state)
    seat = the_guest(story).seat
    assert passes(story)[seat] is False
    for who in (OFFICER, SERGEANT, ADVOCATE, actor_of(guest), THE_MEDIA):
        assert story.forbids(who, "admit_guest", guest=guest) == {"not-your-move"}
    story.does(THE_VICTIM, "admit_guest", guest=guest)
    assert passes(story)[seat] is True
    then(story).is_in(state)


def test_a_guest_has_no_seat_in_the_room_before_arriving() -> None:
    story = a_case("video").does(OFFICER, "invite_guest", **ASKED)
    assert the_guest(story).seat not in passes(story)
    assert story.refuses(THE_VICTIM, "admit_guest", guest=the_guest(story).id) == {"no-such-guest"}


def test_a_refusal_is_kept_and_the_guest_is_told_what_everybody_is_told_at_the_end() -> None:
    story, guest, _ = with_a_guest()
    story.does(THE_VICTIM, "refuse_guest", guest=guest)
    assert story.types == ["GuestRefused"]
    removed, other, _ = with_a_guest()
    removed.does(OFFICER, "remove_guest", guest=other)
    over, third, _ = with_a_guest()
    over.does(OFFICER, "end_session", end_reason="completed")
    told = [presence.guest_told(s.case, g) for s, g in ((story, guest), (removed, other), (over, third))]
    assert told[0] == told[1] == told[2] == {"state": "ended", "people": []}


@pytest.mark.parametrize(("holds", "other"), [(OFFICER, THE_VICTIM), (THE_VICTIM, OFFICER)])
def test_either_side_holds_with_one_press_and_lets_back_whom_it_holds(holds: Actor, other: Actor) -> None:
    story, guest, _ = with_a_guest()
    story.does(THE_VICTIM, "admit_guest", guest=guest).does(holds, "hold_guest", guest=guest)
    assert passes(story)[the_guest(story).seat] is False
    assert story.refuses(other, "let_guest_back", guest=guest) == {"guest-held-by-other"}
    story.does(other, "hold_guest", guest=guest).does(holds, "let_guest_back", guest=guest)
    assert passes(story)[the_guest(story).seat] is False, "the other side still holds"
    story.does(other, "let_guest_back", guest=guest)
    assert passes(story)[the_guest(story).seat] is True


def test_a_hold_before_the_victims_answer_outlasts_it() -> None:
    story, guest, _ = with_a_guest()
    story.does(OFFICER, "hold_guest", guest=guest).does(THE_VICTIM, "admit_guest", guest=guest)
    assert passes(story)[the_guest(story).seat] is False


def test_everybody_in_the_room_is_told_by_role_to_everybody_and_names_to_nobody() -> None:
    story, guest, _ = with_a_guest()
    story.does(SERGEANT, "supervise_call")
    victim, told = presence.victim_told(story.case), presence.guest_told(story.case, guest)
    everybody = [("victim", "here"), ("officer", "here"), ("interpreter", "asked"), ("supervisor", "asked")]
    for page in (victim, told):
        assert [(one["role"], one["state"]) for one in page["people"]] == everybody
    assert [one["at"] for one in victim["people"]] == [None, 0, 1, 2]
    assert [one["at"] for one in told["people"]] == [0, 1, None, 2]
    assert "Ina" not in f"{victim}{told}"
    assert all(not one["guest"] for one in told["people"]), "a guest answers for nobody"


def test_the_place_of_a_guest_stays_the_guests_when_another_leaves() -> None:
    story, first, _ = with_a_guest()
    story.does(SERGEANT, "supervise_call").does(OFFICER, "remove_guest", guest=first)
    second = the_guest(story, 2)
    assert [seat for seat, _ in seats(session_of(story))][2:] == [f"{FREE}0", second.seat]
    at = next(one["at"] for one in presence.victim_told(story.case)["people"] if one["role"] == "supervisor")
    assert at == 2
    story.does(OFFICER, "invite_guest", **ASKED)
    assert the_guest(story, 3).place == 0


def test_a_room_has_two_places_for_guests() -> None:
    story, _, _ = with_a_guest()
    story.does(SERGEANT, "supervise_call")
    assert story.refuses(OFFICER, "invite_guest", **ASKED) == {"guest_place_free"}
    assert story.refuses(SERGEANT_2, "supervise_call") == {"guest_place_free"}
    assert "supervise_call" not in story.may(SERGEANT)


def test_a_guest_who_drops_keeps_the_seat_and_the_agreement() -> None:
    story, guest, _ = with_a_guest()
    story.does(THE_VICTIM, "admit_guest", guest=guest).does(THE_MEDIA, "guest_connected", guest=guest)
    seat = the_guest(story).seat
    move = presence.move_for(story.case, "lost", seat, "silent")
    assert move == ("lose_guest", {"guest": guest, "cause": "silent"})
    story.does(THE_MEDIA, move[0], **move[1])
    assert (the_guest(story).state, passes(story)[seat]) == ("away", True)
    assert presence.move_for(story.case, "connected", seat, "") == ("guest_connected", {"guest": guest})
    then(story).is_in("video")


def test_a_guest_acts_for_nobody_but_the_own_seat() -> None:
    story, guest, by = with_a_guest()
    stranger = actor_of("somebody-else")
    for move, form in (("guest_arrive", {"guest_name": "X", "declared": True}), ("check_guest_device", {})):
        assert story.forbids(stranger, move, **form) == {"not-your-case"}
    for move in ("hold_guest", "let_guest_back", "remove_guest", "refuse_guest"):
        assert story.forbids(by, move, guest=guest) == {"not-your-move"}
    assert not story.may(by) & {"end_session", "victim_exit", "confirm_safety"}


def test_another_officer_asks_nobody_in() -> None:
    assert a_case("video").forbids(OFFICER_2, "invite_guest", **ASKED) == {"not-your-case"}


def test_who_is_asked_in_is_on_the_list_or_typed_and_never_both() -> None:
    story = a_case("video")
    assert story.refuses(OFFICER, "invite_guest") == {"guest-to-whom"}
    assert story.refuses(OFFICER, "invite_guest", guest_contact="x", **ASKED) == {"guest-to-whom"}
    assert story.refuses(OFFICER, "invite_guest", guest_contact="x") == {"no-such-contact"}
    for wrong in ("nobody", "a@b", "a b@example.org", "\u202ea@example.org", "999"):
        assert story.refuses(OFFICER, "invite_guest", guest_to=wrong, guest_role="interpreter")
    story.does(OFFICER, "invite_guest", guest_to="calls@example.org", guest_role="advocate")
    assert story.last[0].fact.channel == "email"  # type: ignore[attr-defined]


def test_after_a_quick_exit_nobody_who_was_asked_in_is_in_the_call() -> None:
    story, guest, _ = with_a_guest()
    story.does(THE_VICTIM, "admit_guest", guest=guest).does(THE_VICTIM, "victim_exit")
    assert len(passes(story)) == 2
    story.does(OFFICER, "record_contact_attempt", attempt_result="reached").does(OFFICER, "send_link")
    assert len(passes(story)) == 2, "nor after a new link"
    assert story.said("AlarmRaised")[-1].fact == e.AlarmRaised(to_role="sergeant", about="victim_left")


def test_a_referral_goes_into_the_session_only_while_a_place_is_free() -> None:
    story, _, _ = with_a_guest()
    story.does(OFFICER, "correct_details", lpa="solihull")
    full = story.branch().does(SERGEANT, "supervise_call")
    for told, how in ((story, "session"), (full, "room")):
        told.universe.wall = told.universe.wall.replace(day=23)  # a Monday: their advocate is with the desk
        told.does(OFFICER, "make_referral", partner="bswa", referral_basis="consent")
        assert told.last[0].fact.how == how  # type: ignore[attr-defined]
        assert ("take_seat" in told.may(ADVOCATE)) == (how == "session")


def test_the_same_finding_of_the_device_is_noted_once() -> None:
    story = a_case("video")
    for network in ("", "good", "good", "slow"):
        story.does(
            THE_VICTIM, "check_device", camera=True, microphone=True, **({"network": network} if network else {})
        )
    assert [event.fact.network for event in story.said("DeviceChecked")] == ["", "good", "slow"]  # type: ignore[attr-defined]
