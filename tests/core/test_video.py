"""The link, the waiting room, two-way video, interruptions and the end of a session."""

from __future__ import annotations

import pytest

from rvr.core import events as e
from rvr.core import presence
from rvr.core.commands import THE_MEDIA
from tests.builders import OFFICER, OFFICER_2, THE_VICTIM, a_case, then


def test_a_link_prepares_a_session_with_two_seats_and_waits() -> None:
    story = a_case("waiting_room")
    assert story.types == ["SessionPrepared", "LinkSent"]
    session = story.case.session
    assert session is not None
    assert len({session.id, session.victim_seat, session.officer_seat, session.link}) == 4
    then(story).is_in("waiting_room").runs("link_opened", "waiting").has_stopped("assign")


def test_an_unopened_link_is_flagged_at_three_minutes_and_lost_contact_at_ten() -> None:
    story = a_case("waiting_room").waits(600)
    assert story.said("ContactLost")[0].fact == e.ContactLost(reason="link_not_opened")
    then(story).is_in("lost_contact").runs("safe_contact").has_stopped("link_opened", "waiting").has_officer(OFFICER)


def test_a_new_link_is_given_its_own_time_and_the_first_is_not_counted_as_opened() -> None:
    story = a_case("waiting_room").waits(590).does(OFFICER, "resend_link")
    assert story.change("link_opened").verdict == "breached"
    assert story.change("link_opened", "started").run == 2
    then(story.waits(11)).is_in("waiting_room")
    quick = a_case("waiting_room").waits(10).does(OFFICER, "resend_link")
    assert quick.change("link_opened").verdict == "cancelled"


def test_only_the_newest_link_opens_the_case() -> None:
    story = a_case("waiting_room")
    first = story.case.session.link  # type: ignore[union-attr]
    story.does(OFFICER, "resend_link")
    assert story.refuses(THE_VICTIM, "open_link", link=first) == {"link-revoked"}
    story.does(THE_VICTIM, "open_link", link=story.case.session.link)  # type: ignore[union-attr]
    then(story).has_stopped("link_opened")


def test_two_way_video_is_the_first_contact_and_stops_the_promises_of_time() -> None:
    story = a_case("video")
    assert story.types == ["TwoWayVideoStarted", "OfficerContactStarted"]
    then(story).is_in("video").has_stopped("transfer", "service_level", "waiting", "link_opened").runs("session")
    assert {story.change("transfer").verdict, story.change("service_level").verdict} == {"met"}
    assert story.case.contacts == ("video",)


def test_contact_starts_once_however_often_the_picture_breaks() -> None:
    story = a_case("interrupted").does(THE_MEDIA, "resume_video")
    story.does(THE_MEDIA, "interrupt_video", side="officer", cause="failed").does(THE_MEDIA, "resume_video")
    assert len(story.said("OfficerContactStarted")) == len(story.said("TwoWayVideoStarted")) == 1
    assert story.case.session is not None
    assert (story.case.session.interruptions, story.case.session.flowing) == (2, True)


def test_a_lost_picture_interrupts_and_the_same_picture_again_resumes_within_two_minutes() -> None:
    story = a_case("interrupted")
    then(story).is_in("interrupted").runs("reconnect").has_officer(OFFICER).has_a_session()
    story.waits(119.9).does(THE_MEDIA, "resume_video")
    then(story).is_in("video").has_stopped("reconnect")
    assert story.change("reconnect").verdict == "met"


def test_two_minutes_without_a_picture_are_lost_contact() -> None:
    story = a_case("interrupted").waits(119)
    then(story).is_in("interrupted")
    story.waits(1)
    then(story).is_in("lost_contact").runs("safe_contact").has_officer(OFFICER).has_a_session()
    assert story.said("ContactLost")[-1].fact == e.ContactLost(reason="not_back_in_time")


def test_a_victim_who_comes_back_after_contact_was_lost_is_on_video_again() -> None:
    then(a_case("lost_contact").does(THE_MEDIA, "resume_video")).is_in("video").has_stopped("safe_contact")


def test_quick_exit_is_lost_contact_at_once_with_the_link_dead_and_nothing_goes_out() -> None:
    for state in ("waiting_room", "video", "interrupted"):
        story = a_case(state)
        link = story.case.session.link  # type: ignore[union-attr]
        story.does(THE_VICTIM, "victim_exit")
        assert story.types == ["VictimExited", "AlarmRaised"]
        then(story).is_in("lost_contact").runs("safe_contact").has_officer(OFFICER)
        assert story.refuses(THE_VICTIM, "open_link", link=link) == {"link-revoked"}
        assert story.refuses(OFFICER, "send_link") == {"reached_since_exit"}
        assert presence.victim_sees(story.case) == "ended"


def test_after_a_quick_exit_a_link_goes_out_once_the_victim_was_reached_on_the_safe_number() -> None:
    story = a_case("video").does(THE_VICTIM, "victim_exit")
    story.does(OFFICER, "record_contact_attempt", attempt_result="no_answer")
    assert "send_link" not in story.may(OFFICER)
    story.does(OFFICER, "record_contact_attempt", attempt_result="reached").does(OFFICER, "send_link")
    then(story).is_in("waiting_room")
    assert presence.victim_sees(story.case) != "ended"


def test_safety_that_was_confirmed_before_a_quick_exit_is_not_safety_now() -> None:
    story = a_case("video").does(OFFICER, "confirm_safety", alone="yes", place_verified="yes")
    story.does(THE_VICTIM, "victim_exit").does(THE_MEDIA, "resume_video")
    then(story.does(OFFICER, "end_session", end_reason="completed")).is_in("lost_contact")


def test_a_session_ended_without_confirmed_safety_is_lost_contact() -> None:
    story = a_case("video").does(OFFICER, "end_session", end_reason="victim_asked")
    then(story).is_in("lost_contact").runs("safe_contact").has_no_session().has_officer(OFFICER)


@pytest.mark.parametrize(("alone", "place"), [("unknown", "yes"), ("yes", "no")])
def test_what_is_not_known_to_be_safe_is_not_safety(alone: str, place: str) -> None:
    story = a_case("video").does(OFFICER, "confirm_safety", alone=alone, place_verified=place)
    then(story.does(OFFICER, "end_session", end_reason="completed")).is_in("lost_contact").runs("safe_contact")


def test_a_session_ended_with_confirmed_safety_is_assessment_with_the_same_officer() -> None:
    then(a_case("assessment")).is_in("assessment").runs("assessment").has_no_session().has_officer(OFFICER)


def test_only_the_assigned_officer_ends_the_session_or_confirms_safety() -> None:
    story = a_case("video")
    for move, form in [("end_session", {"end_reason": "completed"}), ("confirm_safety", {"alone": "yes"})]:
        assert story.forbids(OFFICER_2, move, **form) == {"not-your-case"}


def test_a_session_of_ten_minutes_asks_for_safety_and_one_of_two_hours_for_a_second_look() -> None:
    story = a_case("video").waits(7200)
    assert [event.fact.after_s for event in story.last] == [600, 7200]  # type: ignore[attr-defined]
    then(story).is_in("video")


def test_a_second_session_does_not_start_contact_a_second_time() -> None:
    story = a_case("video").does(OFFICER, "end_session", end_reason="video_failed").does(OFFICER, "send_link")
    assert story.types == ["SessionPrepared", "LinkSent"]
    story.does(THE_MEDIA, "two_way_video")
    assert story.types == ["TwoWayVideoStarted"]
    then(story).is_in("video").has_a_session()


def test_media_outside_a_session_is_refused() -> None:
    assert a_case("assessment").refuses(THE_MEDIA, "two_way_video") == {"not-from-here"}
    story = a_case("video").does(OFFICER, "end_session", end_reason="completed")
    assert story.refuses(THE_MEDIA, "resume_video") == {"session_live"}


# --- What the media plane's observations mean -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "kind", "side", "means"),
    [
        ("waiting_room", "connected", "victim", "victim_connected"),
        ("waiting_room", "connected", "officer", "officer_connected"),
        ("waiting_room", "two_way", "", "two_way_video"),
        ("waiting_room", "gone", "victim", None),
        ("waiting_room", "first_frame", "victim", None),
        ("video", "connected", "victim", None),
        ("video", "two_way", "", None),
        ("video", "lost", "victim", "interrupt_video"),
        ("video", "gone", "officer", "interrupt_video"),
        ("interrupted", "lost", "victim", None),
        ("interrupted", "gone", "victim", "lose_media"),
        ("interrupted", "resumed", "", "resume_video"),
        ("interrupted", "two_way", "", "resume_video"),
        ("lost_contact", "resumed", "", "resume_video"),
        ("assessment", "lost", "victim", None),
        ("call_taking", "connected", "victim", None),
    ],
)
def test_an_observation_asks_for_a_move_or_for_nothing(state: str, kind: str, side: str, means: str | None) -> None:
    case = a_case(state).case
    seat = getattr(case.session, f"{side}_seat") if case.session and side else None
    wanted = presence.move_for(case, kind, seat, "left")
    assert (wanted[0] if wanted else None) == means


def test_what_an_observation_asks_for_is_a_move_that_the_rules_allow() -> None:
    for state in ("waiting_room", "video", "interrupted", "lost_contact"):
        for kind in ("connected", "two_way", "lost", "resumed", "gone"):
            for side in ("victim_seat", "officer_seat"):
                story = a_case(state)
                wanted = presence.move_for(story.case, kind, getattr(story.case.session, side), "silent")
                if wanted:
                    story.does(THE_MEDIA, wanted[0], **wanted[1])


def test_every_cause_that_the_media_plane_reports_can_be_recorded() -> None:
    """The causes are those that `rvr.media.Observation` documents."""
    field = a_case().workflow.fields["cause"]
    documented = {"silent", "failed", "worker_lost", "left", "replaced", "closed", "deadline"}
    assert {option.value for option in field.options} == documented


def test_the_victims_page_is_told_one_word_and_nothing_about_the_case() -> None:
    seen = {state: presence.victim_sees(a_case(state).case) for state in ("waiting_room", "video", "interrupted")}
    assert seen == {"waiting_room": "waiting", "video": "connected", "interrupted": "interrupted"}
    assert presence.victim_sees(a_case("assessment").case) == "ended"
