"""The risk tools on a page: what is drawn, and how a page's boxes become answers and answers its boxes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rvr.core import risk
from rvr.messages import catalogue
from rvr.web import form_views, question_views
from rvr.web.question_views import Question, Tool
from tests.builders import OFFICER, a_case, answered, da_desk, shipped
from tests.builders import risk as form

FLOW = da_desk()
DASH, DARA = (shipped().instruments[name] for name in ("dash", "dara"))
FIELD = "risk_answers"


def drawn(values: dict[str, str], *, faulty: bool = False) -> dict[str, Tool]:
    return {tool.id: tool for tool in question_views.tools(FLOW, FIELD, values, faulty=faulty)}


def questions(tool: Tool) -> dict[str, Question]:
    return {one.name.rpartition(".")[2]: one for block in tool.blocks for one in block.questions}


def taken(post: dict[str, str]) -> Any:
    return form_views.form_from(post, FLOW, ["risk_tool", FIELD]).get(FIELD)


# --- Drawn -------------------------------------------------------------------------------------------------------


def test_both_tools_are_drawn_each_under_its_own_choice() -> None:
    tools = drawn({})
    assert list(tools) == ["dash", "dara"]
    assert tools["dara"].only_if is not None
    assert json.loads(tools["dara"].only_if.when) == {"risk_tool": ["dara"]}
    assert len(questions(tools["dash"])) == len(DASH.every)


def test_a_set_stands_below_the_question_that_opens_it_and_says_when_it_is_asked() -> None:
    blocks = drawn({})["dash"].blocks
    assert [block.id for block in blocks] == ["", "stalking_set", "", "honour_set", ""]
    assert blocks[0].questions[-1].name == "risk_answers.dash.stalking"
    assert [one.number for one in blocks[1].questions][:2] == ["8.1", "8.2"]
    assert blocks[2].questions[0].number == "9"
    assert blocks[4].questions[-1].number == "27"
    only_if = blocks[1].only_if
    assert only_if is not None
    assert json.loads(only_if.when) == {"risk_answers.dash.stalking": ["yes"]}
    assert only_if.answers == (("8", (("yes", ""),)),)


def test_a_frequency_has_the_steps_of_its_scale_and_the_answers_that_all_have() -> None:
    one = questions(drawn({})["dara"])["follows"]
    assert [code for code, _ in one.answers] == ["never", "occasionally", "often", "all_the_time", "unknown", "refused"]
    assert one.answers[1] == ("occasionally", "Occasionally")


def test_a_form_that_came_back_marks_what_is_left_of_the_chosen_tool_alone() -> None:
    values = {"risk_tool": "dash", "risk_answers.dash.fears_what": "yes", "risk_answers.dash.frightened": "no"}
    assert not any(one.todo for tool in drawn(values).values() for one in questions(tool).values())
    tools = drawn(values, faulty=True)
    marked = {name for name, one in questions(tools["dash"]).items() if one.todo}
    assert {"fears_what", "injury_now"} <= marked
    assert not {"frightened", "stalking_fear"} & marked
    assert not any(one.todo for one in questions(tools["dara"]).values())


# --- Read back ---------------------------------------------------------------------------------------------------


def test_a_page_sends_the_answers_of_the_chosen_tool_and_none_that_is_not_asked() -> None:
    post = {
        "risk_tool": "dash",
        "risk_answers.dash.frightened": "yes",
        "risk_answers.dash.stalking": "no",
        "risk_answers.dash.stalking_fear": "yes",
        "risk_answers.dara.follows": "often",
    }
    assert taken(post) == {"frightened": "yes", "stalking": "no"}
    assert taken(post | {"risk_answers.dash.stalking": "yes"}) == {
        "frightened": "yes",
        "stalking": "yes",
        "stalking_fear": "yes",
    }
    assert taken(post | {"risk_tool": "dara"}) == {"follows": "often"}
    assert taken(post | {"risk_tool": "tarot"}) is None


@pytest.mark.parametrize(
    ("boxes", "answer"),
    [
        ({"": "yes", ".killed.self": "yes", ".injury.children": "yes"}, ["injury.children", "killed.self"]),
        ({".killed.self": "yes"}, ["killed.self"]),
        ({"": "yes"}, "yes"),  # the desk then says that nothing is ticked
        ({"": "no", ".killed.self": "yes"}, "no"),  # the boxes are asked only after a yes
        ({"": "refused"}, "refused"),
    ],
)
def test_the_boxes_of_a_matrix_become_a_list_of_cells(boxes: dict[str, str], answer: Any) -> None:
    post = {f"risk_answers.dash.fears_what{key}": value for key, value in boxes.items()}
    assert taken({"risk_tool": "dash", **post}) == {"fears_what": answer}


def test_words_that_were_typed_are_never_lost_to_a_button_beside_them() -> None:
    post = {"risk_tool": "dara", "risk_answers.dara.worst_fear": "refused"}
    assert taken(post) == {"worst_fear": "refused"}
    assert taken(post | {"risk_answers.dara.worst_fear.words": " Being found. "}) == {"worst_fear": "Being found."}


@pytest.mark.parametrize("tool", [DASH, DARA], ids=lambda tool: str(tool.id))
def test_answers_become_boxes_and_the_same_answers_again(tool: risk.Instrument) -> None:
    given = answered(tool, "refused") | {"noticed": "A child hid."} if tool is DARA else answered(tool, "unknown")
    if tool is DASH:
        given |= answered(
            tool, "no", fears_what=["killed.self", "other.somebody"], stalking="yes", others_involved="yes"
        )
    boxes = question_views.boxes_of(given, FIELD, tool)
    assert question_views.answers_from(boxes, FIELD, tool) == given


def test_an_assessment_that_is_corrected_begins_with_what_was_answered() -> None:
    case = a_case("assessment").does(OFFICER, "assess_risk", **form("high", tool="dara", worst_fear="Tonight.")).case
    known = form_views.known_values(case, FLOW, OFFICER)
    assert (known["risk_tool"], known["risk_answers.dara.worst_fear.words"]) == ("dara", "Tonight.")
    assert known["risk_answers.dara.follows"] == "never"


# --- Told --------------------------------------------------------------------------------------------------------


def test_a_colleague_reads_each_answer_in_words() -> None:
    story = a_case("assessment").does(
        OFFICER, "assess_risk", **form("high", fears_what=["killed.self"], stalking="yes")
    )
    told = question_views.assessed(story.case, FLOW, catalogue())
    assert told is not None
    rows = {ask: (answer, scores) for ask, answer, scores in told.rows}
    assert rows["What does the victim fear, and for whom?"] == ("Being killed: The victim", True)
    assert told.subscores == (("More about stalking and harassment", 0),)
    given = {"separated": "yes", "follows": "often", "afraid": "often"}
    story.does(OFFICER, "assess_risk", **form("high", tool="dara", **given))
    told = question_views.assessed(story.case, FLOW, catalogue())
    assert told is not None
    assert ("Often", True) in [(answer, scores) for _, answer, scores in told.rows]
    assert told.combinations == (DARA.combinations[0].why,)
    assert question_views.assessed(a_case("assessment").case, FLOW, catalogue()) is None
