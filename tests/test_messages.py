"""The catalogue: a sentence for every reason that the code gives, and none that nobody says."""

from __future__ import annotations

import string

import pytest

from rvr.core import decide
from rvr.core import events as e
from rvr.core.errors import Reason, RvrError
from rvr.messages import catalogue
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
