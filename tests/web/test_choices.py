"""The options of each kind of field: of this case, this person and this day; and a move about one thing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rvr.core import decide, forms
from rvr.core.case import Case
from rvr.core.commands import Actor
from rvr.core.errors import Refused
from rvr.core.moment import Moment
from rvr.messages import catalogue
from rvr.web import form_views
from rvr.web.choices import Choice, Choices, span
from rvr.web.form_views import FormView
from tests.builders import (
    ADVOCATE,
    HANDLER,
    SERGEANT,
    Story,
    Universe,
    a_case,
    considers_evidence,
    crime_report,
    da_desk,
)

WORDS = catalogue()
MONDAY = Moment(datetime(2026, 11, 23, 12, 0, tzinfo=UTC), "boot", 1, 500)
FLOW = da_desk()


def options(
    kind: str, case: Case | None = None, at: Moment = MONDAY, by: Actor = SERGEANT, **more: Any
) -> list[Choice]:
    field = next(one for one in FLOW.fields.values() if one.kind == kind)
    return list(Choices(FLOW, WORDS, at, case, by, **more).of(field))


def form(story: Story, move: str, values: dict[str, str] | None = None, **errors: str) -> FormView:
    view = next(
        v for v in decide.view_moves(story.workflow, story.case, SERGEANT, story.universe.basis()) if v.move.id == move
    )
    choices = Choices(story.workflow, WORDS, MONDAY, story.case, SERGEANT)
    return form_views.form_view(view, story.case, choices, values or {}, errors)


def test_a_safeguarding_action_is_chosen_in_its_group_with_its_owner_and_when_it_is_due() -> None:
    found = {one.value: one for one in options("safeguard")}
    assert found["safety_plan"] == Choice("safety_plan", "Safety plan agreed (DA desk officer, 2 hours)", "Advice")
    assert {one.group for one in found.values()} >= {"Advice", "At once", "Referral", "Protection"}


@pytest.mark.parametrize(("day", "how"), [(0, "in the room today"), (1, "by e-mail")])
def test_partners_of_the_area_stand_first_with_how_they_are_reached_today(day: int, how: str) -> None:
    case = replace(a_case().case, details={"lpa": "birmingham"})
    first, *rest = options("partner", case, replace(MONDAY, at=MONDAY.at + timedelta(days=day)))
    assert first.label == f"Birmingham and Solihull Women's Aid ({how})"
    assert [one.value for one in rest if not one.disabled] == ["victim_support"]
    assert {one.value for one in rest if one.disabled} == {"black_country", "wolverhampton", "coventry"}


def test_civil_orders_are_those_that_exist_on_the_day_each_with_what_it_is() -> None:
    long_ago = replace(MONDAY, at=datetime(2019, 1, 1, tzinfo=UTC))
    assert "spo" in [one.value for one in options("civil_order")]
    assert "spo" not in [one.value for one in options("civil_order", at=long_ago)]
    assert all(one.say for one in options("civil_order"))


def test_outcomes_are_told_by_code_and_name() -> None:
    found = {one.value: one.label for one in options("outcome")}
    assert found["16"] == "16  Suspect identified, victim does not support"


def test_with_one_suspect_only_the_next_steps_are_offered() -> None:
    case = a_case().case
    assert "unknown" not in [one.value for one in options("suspect_status", case)]
    (alone,) = options("suspect", case)
    assert alone.label == "Suspect not named (Not known)"
    two = a_case().does(SERGEANT, "add_suspect", another_suspect="Max").case
    assert "unknown" in [one.value for one in options("suspect_status", two)]
    assert [one.label for one in options("suspect", two)][1] == "Max (Named)"


def test_an_advocate_chooses_among_the_own_organisations_open_referrals() -> None:
    story = Story(Universe()).opens(lpa="birmingham")
    story.does(HANDLER, "request_deployment", response_grade="priority", deployment_reason="prefers_in_person")
    for partner in ("bswa", "victim_support"):
        story.does(SERGEANT, "make_referral", partner=partner, referral_basis="consent")
    assert len(options("referral", story.case)) == 2
    assert [one.label for one in options("referral", story.case, by=ADVOCATE)] == [
        "Birmingham and Solihull Women's Aid"
    ]


def test_the_points_of_a_list_are_asked_one_by_one_and_come_back_with_the_unmet_one_marked() -> None:
    story = considers_evidence(a_case("review"))
    points = [option.value for option in FLOW.fields["filing_checks"].options]
    post = {f"filing_checks.{point}": "yes" for point in points} | {f"filing_checks.{points[0]}": "no"}
    taken = form_views.form_from(post, FLOW, ["filing_checks"])
    assert taken["filing_checks"] == dict.fromkeys(points, "yes") | {points[0]: "no"}
    shown = form(story, "file", post, filing_checks="Not filed").field("filing_checks")
    assert [one.todo for one in shown.questions] == [True, *[False] * (len(points) - 1)]
    assert [code for code, _ in shown.questions[0].answers] == ["yes", "no", "not_applicable"]
    with pytest.raises(Refused):
        forms.clean(FLOW, ["filing_checks"], [], {"filing_checks": {points[0]: "yes"}})


def test_answers_that_an_outcome_requires_say_for_which() -> None:
    story = Story(Universe(), crime_report()).opens(SERGEANT)
    field = form_views.fields_view(Choices(story.workflow, WORDS, MONDAY), [], ["evidence_led_done"], "x", {}, {})[0]
    assert field.hint == "Required for outcomes 15, 16."


def test_a_move_about_one_thing_has_boxes_of_its_own_and_only_its_own_errors() -> None:
    story = a_case().does(SERGEANT, "add_suspect", another_suspect="Max")
    first, second = story.case.suspects
    typed = {"suspect": second, "suspect_status": "arrested"}
    whole = form(story, "change_suspect", typed, suspect_status="Not so")
    one, two = whole.about("1", typed, suspect=first), whole.about("2", typed, suspect=second)
    assert (one.dom_id, two.dom_id) == ("change_suspect-1", "change_suspect-2")
    assert (one.field("suspect").widget, one.field("suspect").value) == ("hidden", first)
    assert [f.field("suspect_status").error for f in (one, two)] == ["", "Not so"]
    assert one.field("suspect_status").id != two.field("suspect_status").id
    assert [o.value for o in one.only("suspect_status", ["named"]).field("suspect_status").options] == ["named"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(60, "1 minute"), (5400, "90 minutes"), (7200, "2 hours"), (86400, "1 day"), (61, "61 seconds")],
)
def test_a_length_of_time_is_said_in_its_largest_whole_unit(seconds: int, said: str) -> None:
    assert span(seconds, WORDS) == said


def test_a_question_is_asked_on_the_days_on_which_it_is_in_force() -> None:
    adult = replace(FLOW.criteria["adult"], until=MONDAY.at.date())
    flow = replace(FLOW, criteria=FLOW.criteria | {"adult": adult})
    tuesday = replace(MONDAY, at=MONDAY.at + timedelta(days=1))
    asked = [{one.id for one in Choices(flow, WORDS, at).criteria} for at in (MONDAY, tuesday)]
    assert asked == [set(FLOW.criteria), set(FLOW.criteria) - {"adult"}]
