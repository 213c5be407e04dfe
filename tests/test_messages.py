"""The catalogue: a sentence for every reason that the code gives, and none that nobody says."""

from __future__ import annotations

import string

import pytest

from rvr.core import decide
from rvr.core import events as e
from rvr.core.errors import Reason, RvrError
from rvr.messages import ENGLISH, catalogue, languages, missing, offered, preferred
from tests.builders import EVERYBODY, WAYS, a_case


def test_a_reason_becomes_its_sentence_with_what_it_names() -> None:
    assert catalogue().reason(Reason("missing", {"label": "Victim's name"})) == "Fill in: Victim's name"
    with pytest.raises(KeyError):
        catalogue().reason(Reason("nobody-says-this"))


@pytest.mark.parametrize("state", list(WAYS))
def test_every_reason_for_which_a_move_is_closed_reads_as_a_sentence(state: str) -> None:
    story = a_case(state)
    basis = story.universe.basis()
    for who in EVERYBODY:
        for view in decide.view_moves(story.workflow, story.case, who, basis):
            for reason in view.reasons:
                assert catalogue().reason(reason).endswith((".", ":")), (view.move.id, reason)


def test_every_type_of_event_has_a_name() -> None:
    missing = [name for name in e.FACTS if f"event.{name}" not in catalogue()]
    assert missing == []


def test_every_kind_of_refusal_has_a_title() -> None:
    def below(kind: type[RvrError]) -> list[type[RvrError]]:
        return [kind, *(one for child in kind.__subclasses__() for one in below(child))]

    codes = {kind.code for kind in below(RvrError) if kind.__module__ == "rvr.core.errors"} - {"definition-fault"}
    assert [code for code in sorted(codes) if f"problem.{code}" not in catalogue()] == []


def test_every_sentence_can_be_said() -> None:
    for key in catalogue():
        text = catalogue().say(key)
        named = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
        said = catalogue().say(key, **dict.fromkeys(named, "x"), extra="x")
        assert not set("{}") & set(said), key


def test_a_code_without_a_name_is_shown_as_it_is() -> None:
    assert catalogue().name("event", "CaseOpened") == "Case opened"
    assert catalogue().name("event", "Nothing") == "Nothing"


OTHERS = [code for code in languages() if code != ENGLISH]


@pytest.mark.parametrize("code", OTHERS)
def test_another_language_says_what_english_says_with_the_same_parameters(code: str) -> None:
    def named(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    english, other = catalogue(), catalogue(code)
    assert [key for key in other if key not in english] == []
    assert [key for key in other if named(other.say(key)) != named(english.say(key))] == []


def test_a_language_is_offered_as_soon_as_the_victims_page_is_whole_in_it() -> None:
    assert offered() == (ENGLISH, "cy")
    assert len(OTHERS) == 4
    assert {code for code in OTHERS if "join.welcome" in missing(code)} == {"pa", "pl", "ur"}


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "en"),
        ("cy", "cy"),
        ("cy-GB,cy;q=0.9,en;q=0.8", "cy"),
        ("en;q=0.9, cy;q=0.4", "en"),
        ("cy;q=0, en;q=0.1", "en"),
        ("ur, cy;q=0.5", "cy"),
        ("de", "en"),
        ("cy;q=high", "en"),
        ("*", "en"),
    ],
)
def test_the_page_is_in_the_language_that_the_reader_prefers_among_those_there_are(header: str, code: str) -> None:
    assert preferred(header) == code
