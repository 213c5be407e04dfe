"""What goes on beside the picture, or without one: who may write when, and what safety is worth after a signal."""

from __future__ import annotations

import pytest

from rvr.core import beside, presence, writing
from rvr.core.commands import THE_MEDIA
from tests.builders import OFFICER, SERGEANT, THE_VICTIM, Story, a_case, then

SAFE = {"alone": "yes", "place_verified": "yes"}


def written(story: Story) -> list[str]:
    """What stands on the victim's screen."""
    return [one["text"] for one in presence.victim_told(story.case)["messages"]]


@pytest.mark.parametrize("state", ["waiting_room", "video", "interrupted"])
def test_somebody_who_comes_in_takes_the_confirmed_safety_and_the_screen(state: str) -> None:
    story = a_case(state).does(OFFICER, "write_to_victim", message="Hello")
    if state != "waiting_room":
        story.does(OFFICER, "confirm_safety", **SAFE)
    story.does(THE_VICTIM, "victim_not_alone")
    assert story.case.safety is None
    assert written(story) == []
    assert story.refuses(OFFICER, "write_to_victim", message="Who?") == {"not_overlooked"}
    assert story.types == ["VictimNotAlone", "AlarmRaised"]


def test_no_question_stands_on_a_screen_that_somebody_else_reads() -> None:
    story = a_case("video").does(OFFICER, "ask_camera")
    assert presence.victim_told(story.case)["asks"] == ["camera"]
    story.does(THE_VICTIM, "victim_not_alone")
    assert presence.victim_told(story.case)["asks"] == []
    assert story.refuses(OFFICER, "ask_consent", asked_for="still") == {"not_overlooked"}
    story.does(OFFICER, "confirm_safety", **SAFE)
    assert presence.victim_told(story.case)["asks"] == ["camera"]


@pytest.mark.parametrize(("alone", "seen"), [("yes", ["Hello"]), ("no", ["Hello"]), ("unknown", [])])
def test_only_who_is_alone_or_with_somebody_safe_reads_again(alone: str, seen: list[str]) -> None:
    story = a_case("video").does(OFFICER, "write_to_victim", message="Hello").does(THE_VICTIM, "victim_not_alone")
    story.does(OFFICER, "confirm_safety", alone=alone, place_verified="yes")
    assert written(story) == seen


def test_nobody_writes_without_end_and_nobody_else_writes() -> None:
    story = a_case("video")
    for number in range(writing.MOST):
        story.does(THE_VICTIM, "write_to_officer", message=f"{number}")
    assert story.refuses(THE_VICTIM, "write_to_officer", message="more") == {"messages-full"}
    assert story.refuses(OFFICER, "write_to_victim", message="more") == {"messages-full"}
    assert len(written(story)) == beside.SHOWN
    assert written(story)[-1] == str(writing.MOST - 1)
    for who in (SERGEANT, THE_MEDIA):
        assert story.forbids(who, "write_to_victim", message="Hello")
        assert story.forbids(who, "write_to_officer", message="Hello")


def test_by_sound_alone_the_promises_of_time_are_met_and_by_writing_alone_they_run_on() -> None:
    for mode, met in (("audio", True), ("text", False)):
        story = a_case("waiting_room")
        link = story.case.session.link  # type: ignore[union-attr]
        story.does(THE_VICTIM, "open_link", link=link)
        story.does(OFFICER, "continue_without_picture", contact_mode=mode, picture_reason="not_wanted")
        then(story).is_in("video")
        assert ("transfer" in story.case.clocks, story.case.contacts) == (not met, (mode,))


def test_a_call_by_sound_goes_on_by_itself_when_both_are_there_again() -> None:
    story = a_case("waiting_room")
    story.does(THE_VICTIM, "open_link", link=story.case.session.link)  # type: ignore[union-attr]
    for side in ("victim", "officer"):
        story.does(THE_MEDIA, f"{side}_connected")
    story.does(OFFICER, "continue_without_picture", contact_mode="audio", picture_reason="no_camera")
    assert presence.victim_sees(story.case) == "connected"
    for side in ("victim", "officer"):
        story.does(THE_MEDIA, "interrupt_video", side=side, cause="silent")
        then(story).is_in("interrupted")
        assert presence.victim_sees(story.case) == "waiting"
        story.does(THE_MEDIA, f"{side}_connected")
        then(story).is_in("video")
        assert presence.presence_of(story.case) == "in_contact"
    story.does(THE_MEDIA, "two_way_video")
    assert story.case.session.beside.without == ""  # type: ignore[union-attr]
    assert presence.presence_of(story.case) == "on_video"
