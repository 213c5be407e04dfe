"""The risk engine: what is asked, what answers are taken, what they add up to, and what that suggests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvr.core import risk
from rvr.core.risk import Band, Combination, Instrument, Named, Question, QuestionSet, Step
from tests.builders import OFFICER, a_case, answered, shipped
from tests.builders import risk as form

DASH, DARA = (shipped().instruments[name] for name in ("dash", "dara"))

TOOL = Instrument(
    id="tool",
    name="Tool",
    hash="",
    about="",
    source="",
    questions=(
        Question("hit", "Was the victim hit?"),
        Question("often", "How often?", kind="frequency", when={"hit": ("yes",)}),
        Question(
            "feared",
            "What is feared?",
            kind="matrix",
            rows=(Named("injury", "Injury"), Named("death", "Death")),
            columns=(Named("self", "The victim"), Named("child", "A child")),
        ),
        Question("words", "Anything else?", kind="text", optional=True),
        Question("own_words", "In the victim's words?", kind="text"),
    ),
    bands=(Band("standard", 0), Band("medium", 4), Band("high", 6)),
    sets=(
        QuestionSet("more", "More", (Question("m1", "m1"), Question("m2", "m2")), {"feared": ("yes",)}, risk.OWN),
        QuestionSet("deep", "Deep", (Question("d1", "d1", critical=True),), {"m1": ("yes", "unknown")}, risk.NONE),
        QuestionSet("always", "Always", (Question("a1", "a1"),), score=risk.TOTAL),
        QuestionSet(
            "graded", "Graded", (Question("g1", "g1"),), {"hit": ("yes",)}, risk.OWN, bands=(Band("medium", 1),)
        ),
    ),
    scale=(Step("never", "Never", 0), Step("sometimes", "Sometimes", 1), Step("daily", "Daily", 3)),
    combinations=(Combination("both", "high", ("often", "a1"), "Both"),),
)


def asked(**answers: Any) -> list[str]:
    return [question.id for question in risk.asked(TOOL, answers)]


def codes(tool: Instrument = TOOL, **answers: Any) -> list[tuple[str, str]]:
    return [(reason.code, reason.params["question"]) for reason in risk.faults_of(tool, answers)]


# --- What is asked -----------------------------------------------------------------------------------------------

ALONE = ["hit", "feared", "words", "own_words", "a1"]


def test_a_question_is_asked_only_when_another_has_one_of_the_answers_that_open_it() -> None:
    assert asked() == ALONE
    assert asked(hit="no") == ALONE
    assert asked(hit="unknown") == ALONE
    assert asked(hit="yes") == ["hit", "often", "feared", "words", "own_words", "a1", "g1"]


def test_a_whole_set_opens_and_a_tick_in_a_matrix_counts_as_yes() -> None:
    assert asked(feared="no") == ALONE
    assert asked(feared=["death.self"]) == ["hit", "feared", "words", "own_words", "m1", "m2", "a1"]


def test_what_is_not_asked_opens_nothing_whatever_it_was_answered() -> None:
    assert "d1" in asked(feared=["death.self"], m1="unknown")
    assert "d1" not in asked(feared="no", m1="yes")


def test_only_what_is_asked_can_be_missing_and_what_is_optional_never_is() -> None:
    assert risk.assess(TOOL, {}).missing == ("hit", "feared", "own_words", "a1")
    assert risk.assess(TOOL, {"hit": "yes"}).missing == ("often", "feared", "own_words", "a1", "g1")
    done = {"hit": "no", "feared": "no", "own_words": "refused", "a1": "unknown"}
    assert risk.assess(TOOL, done).missing == ()


# --- What is taken -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["unknown", "refused"])
@pytest.mark.parametrize("question", ["hit", "often", "feared", "own_words"])
def test_every_kind_of_question_may_be_answered_unknown_or_refused(question: str, answer: str) -> None:
    given = {"hit": "yes", question: answer} if question != "hit" else {"hit": answer}
    assert codes(**given) == []
    assert question not in risk.assess(TOOL, given).missing
    assert risk.assess(TOOL, given).because == (("hit",) if question != "hit" else ())


@pytest.mark.parametrize(
    ("question", "answer", "code"),
    [
        ("hit", "daily", "not-its-answer"),
        ("hit", ["yes"], "not-its-answer"),
        ("often", "yes", "not-its-answer"),
        ("often", "daily", ""),
        ("feared", "yes", "nothing-ticked"),
        ("feared", "no", ""),
        ("feared", ["death.self", "injury.child"], ""),
        ("feared", ["death.dog"], "not-its-answer"),
        ("feared", [], "not-its-answer"),
        ("feared", "daily", "not-its-answer"),
        ("own_words", "They said: tonight.", ""),
        ("own_words", ["words"], "not-its-answer"),
    ],
)
def test_an_answer_that_does_not_belong_to_its_kind_is_refused(question: str, answer: Any, code: str) -> None:
    topics = {one.id: one.topic for one in TOOL.every}
    assert codes(**({"hit": "yes"} | {question: answer})) == ([(code, topics[question])] if code else [])


def test_answers_to_what_is_not_asked_or_not_known_are_refused_and_all_faults_are_told_at_once() -> None:
    found = codes(hit="no", often="daily", feared="daily", shoe_size="yes")
    assert found == [
        ("question-not-asked", "How often?"),
        ("not-its-answer", "What is feared?"),
        ("unknown-question", "shoe_size"),
    ]
    assert all(reason.field == "risk_answers" for reason in risk.faults_of(TOOL, {"often": "daily"}))


# --- What it adds up to ------------------------------------------------------------------------------------------


def test_a_score_comes_with_its_parts_and_sets_have_scores_of_their_own() -> None:
    given = answered(TOOL, hit="yes", often="daily", feared=["death.self", "death.child"], m1="yes", d1="yes", g1="yes")
    result = risk.assess(TOOL, given)
    assert result.score == 5
    assert result.parts == {"hit": 1, "often": 3, "feared": 1, "m1": 1, "g1": 1}
    assert result.subscores == {"more": 1, "graded": 1}
    assert result.because == ("hit", "often", "feared", "m1", "d1", "g1")


def test_a_set_that_is_not_opened_has_no_score_and_its_answers_count_for_nothing() -> None:
    result = risk.assess(TOOL, {"hit": "no", "feared": "no", "m1": "yes", "d1": "yes", "g1": "yes"})
    assert (result.score, result.subscores, result.because, result.suggested) == (0, {}, (), "standard")


def test_words_are_never_scored() -> None:
    assert risk.assess(TOOL, {"own_words": "yes", "words": "yes"}).because == ()


@pytest.mark.parametrize(
    ("given", "suggested"),
    [
        ({}, "standard"),
        ({"hit": "yes", "often": "sometimes"}, "standard"),
        ({"hit": "yes", "often": "daily"}, "medium"),  # a band of the score
        ({"hit": "yes", "g1": "yes"}, "medium"),  # a band of a set's own score
        ({"feared": ["death.self"], "m1": "yes", "d1": "yes"}, "medium"),  # a critical question
        ({"hit": "yes", "often": "sometimes", "a1": "yes"}, "high"),  # a combination
        ({"hit": "yes", "often": "never", "a1": "yes"}, "standard"),
        ({"hit": "yes", "often": "daily", "feared": ["death.self"], "a1": "yes"}, "high"),
    ],
)
def test_bands_critical_questions_and_combinations_suggest_and_the_highest_counts(given: Any, suggested: str) -> None:
    assert risk.assess(TOOL, answered(TOOL, **given)).suggested == suggested


# --- The shipped ones --------------------------------------------------------------------------------------------


def test_the_bands_of_dash_count_its_27_topics_alone() -> None:
    stalked = answered(DASH, stalking="yes", **{one.id: "yes" for one in DASH.sets[0].questions})
    result = risk.assess(DASH, stalked)
    assert (len(DASH.questions), len(DASH.sets[0].questions)) == (27, 11)
    assert (result.score, result.subscores, result.suggested) == (1, {"stalking_set": 11}, "medium")


def test_the_honour_set_opens_with_somebody_else_who_is_feared() -> None:
    opened = answered(DASH, others_involved="yes")
    assert {one.id for one in DASH.sets[1].questions} <= set(opened)
    assert not {one.id for one in DASH.sets[1].questions} & set(answered(DASH))


def test_dara_suggests_high_for_stalking_after_a_separation_and_never_by_its_count() -> None:
    given = answered(DARA, separated="yes", follows="often", afraid="all_the_time")
    result = risk.assess(DARA, given)
    assert (result.suggested, result.combinations) == ("high", ("stalking_after_separation",))
    assert max(band.level for band in DARA.bands if band.at_least) == "medium"
    local = [one.id for one in DARA.every if one.local]
    assert local == ["sexual", "children_live_there", "children_hurt", "children_witness"]


def test_a_case_is_assessed_with_either_tool_and_the_fact_names_it_with_its_parts() -> None:
    story = a_case("assessment").does(OFFICER, "assess_risk", **form("high", tool="dara", worst_fear="Being found."))
    public, sealed = story.last[0].fact.split()
    assert (public["tool"], public["tool_version"]) == ("dara", DARA.hash)
    assert (public["parts"], public["subscores"], public["combinations"]) == ({}, {}, ())
    assert sealed["answers"]["worst_fear"] == "Being found."
    assert "Being found." not in str(public)
    story.does(OFFICER, "assess_risk", **form("high", fears_what="yes", stalking="yes"))
    public, sealed = story.last[0].fact.split()
    assert (public["tool"], public["parts"]) == ("dash", {"fears_what": 1, "stalking": 1})
    assert (sealed["answers"]["fears_what"], public["subscores"]) == (["injury.self"], {"stalking_set": 0})


def test_a_case_takes_no_answer_of_the_wrong_kind_and_none_that_is_not_asked() -> None:
    story = a_case("assessment")
    assert story.refuses(OFFICER, "assess_risk", **form("high", honour_family="yes")) == {"question-not-asked"}
    assert story.refuses(OFFICER, "assess_risk", **form("high", frightened="often")) == {"not-its-answer"}
    wrong = form("high")
    wrong["risk_answers"] |= {"frightened": 5}
    assert story.refuses(OFFICER, "assess_risk", **wrong) == {"not-text"}
    wrong["risk_answers"] = "yes"
    assert story.refuses(OFFICER, "assess_risk", **wrong) == {"not-answers"}


@st.composite
def filled_in(draw: st.DrawFn, tool: Instrument) -> dict[str, Any]:
    """Answers of every kind to everything that is asked."""
    answers: dict[str, Any] = {}
    while missing := risk.assess(tool, answers).missing:
        questions = {question.id: question for question in tool.every}
        for name in missing:
            one = questions[name]
            ticks = st.lists(st.sampled_from(one.cells), min_size=1, unique=True) if one.cells else st.nothing()
            taken = [code for code in risk.takes(one, tool.scale) if not (one.cells and code == "yes")]
            answers[name] = draw(st.sampled_from(taken) | ticks)
    return answers


def worse(tool: Instrument, question: Question) -> list[Any]:
    """Its answers from the mildest to the worst."""
    match question.kind:
        case "frequency":
            return [step.id for step in tool.scale]
        case "matrix":
            return ["no", [question.cells[0]]]
        case "text":
            return ["unknown"]
    return ["no", "yes"]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), tool=st.sampled_from([DASH, DARA]))
def test_one_more_yes_never_lowers_what_is_suggested(data: st.DataObject, tool: Instrument) -> None:
    answers = data.draw(filled_in(tool))
    before = risk.assess(tool, answers)
    question = data.draw(st.sampled_from(risk.asked(tool, answers)))
    changed = answered(tool, **answers | {question.id: worse(tool, question)[-1]})
    after = risk.assess(tool, changed)
    assert not risk.below(after.suggested, before.suggested)
    assert after.score >= before.score
    assert risk.faults_of(tool, changed) == ()
    assert after.score == sum(after.parts.values()) - sum(after.subscores.values())
