"""Whose case it is: a role makes its moves on the cases that concern it, however much of another case it may see."""

from __future__ import annotations

import dataclasses

import pytest

from rvr.core.commands import Actor
from tests.builders import HANDLER, INVESTIGATOR, OFFICER_2, RESOURCING, a_case, then

ANYBODYS = "dispatch_emergency"
"""Of an open case this alone is everybody's whom the workflow names."""

FORMS = {
    "lose_contact": {"lost_reason": "call_cut"},
    "record_contact_attempt": {"attempt_result": "no_answer"},
    "record_arrest": {},
}


def through_the_glass(who: Actor) -> Actor:
    """The same person, who looks at the case outside the own ones."""
    return dataclasses.replace(who, glass=frozenset({"1"}))


@pytest.mark.parametrize("state", ["call_taking", "waiting_room", "video", "review"])
@pytest.mark.parametrize("who", [INVESTIGATOR, RESOURCING, OFFICER_2], ids=lambda who: who.id)
def test_whoever_breaks_glass_looks_and_calls_for_help_and_makes_no_other_move(state: str, who: Actor) -> None:
    story, looker = a_case(state), through_the_glass(who)
    assert {view.move.id for view in story.offered(looker)} <= {ANYBODYS}
    for move in ("lose_contact", "record_contact_attempt", "record_arrest"):
        if not looker.roles.isdisjoint(story.workflow.moves[move].who):
            assert story.forbids(looker, move, **FORMS[move]) == {"not-your-case"}, move


def test_a_call_on_video_is_not_cut_by_an_investigator_who_looks_at_it() -> None:
    story = a_case("video")
    assert story.forbids(through_the_glass(INVESTIGATOR), "lose_contact", **FORMS["lose_contact"]) == {"not-your-case"}
    then(story).is_in("video").has_a_session()


def test_an_investigators_case_is_a_decided_one() -> None:
    assert a_case("review").forbids(INVESTIGATOR, "record_contact_attempt", attempt_result="no_answer")
    for state in ("allocated", "filed"):
        a_case(state).does(INVESTIGATOR, "record_contact_attempt", attempt_result="no_answer")


def test_resourcing_acts_where_somebody_is_sent_until_officers_are_there() -> None:
    assert a_case("call_taking").forbids(RESOURCING, "record_no_reply") == {"not-your-case"}
    story = a_case("call_taking").does(HANDLER, ANYBODYS).does(RESOURCING, "record_no_reply")
    story.does(RESOURCING, "record_attendance")
    assert story.forbids(RESOURCING, "record_no_reply") == {"not-your-case"}
