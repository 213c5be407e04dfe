"""What a form may hold, how it is put into one form, and that its JSON Schema says the same."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rvr.core import conditions, forms
from rvr.core.errors import Refused
from rvr.core.workflow import Field, Option
from tests.builders import da_desk

FLOW = da_desk()


def read(kind: str, raw: Any, **more: Any) -> Any:
    return forms.KINDS[kind](FLOW, Field("f", "A field", kind, **more), raw)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("07700 900123", "+447700900123"),
        ("(0121) 496-0123", "+441214960123"),
        ("+44 7700 900123", "+447700900123"),
        ("0033 1 23 45 67 89", "+33123456789"),
    ],
)
def test_a_telephone_number_is_kept_in_its_international_form(typed: str, kept: str) -> None:
    assert read("phone", typed) == kept


@pytest.mark.parametrize("typed", ["12", "0800", "call me", "+44 0 7700", "++447700900123", "07700 900123 ext 4", 7700])
def test_what_is_no_telephone_number_is_refused(typed: Any) -> None:
    with pytest.raises(forms._Bad):
        read("phone", typed)


@pytest.mark.parametrize("unseen", ["\x00", "\x85", "\u202e", "\u200b", "\u2028", "\ufeff", "\ud800"])
def test_characters_that_cannot_be_seen_or_stored_are_refused(unseen: str) -> None:
    with pytest.raises(forms._Bad, match="unseen-characters"):
        read("text", f"Ann{unseen}e")


def test_text_is_trimmed_composed_and_bounded() -> None:
    assert read("text", "  A\u0308nne\r\nO’Hara ") == "Änne\nO’Hara"
    assert read("text", "x" * 200) == "x" * 200
    for raw, code in [("x" * 201, "too-long"), ("   ", "missing"), (5, "not-text"), (["a"], "not-text")]:
        with pytest.raises(forms._Bad, match=code):
            read("text", raw)


@pytest.mark.parametrize(
    "typed",
    ["2026-11-22", "2026-11-22T21:18:04", "soon", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", 5, None],
)
def test_a_time_names_its_offset_and_lies_in_the_calendar(typed: Any) -> None:
    with pytest.raises(forms._Bad):
        read("datetime", typed)


def test_choices_flags_dates_and_answers_take_their_own_values_only() -> None:
    options = (Option("a", "A"),)
    assert read("choice", "a", options=options) == "a"
    assert read("date", "1990-01-31") == "1990-01-31"
    assert read("flag", False) is False
    assert read("criteria", {"adult": "unknown"}) == {"adult": "unknown"}
    for kind, raw in [
        ("choice", "b"),
        ("choice", None),
        ("date", "31.1.1990"),
        ("flag", "true"),
        ("criteria", {"adult": "perhaps"}),
        ("criteria", {"shoe_size": "yes"}),
        ("criteria", ["yes"]),
        ("area", "atlantis"),
        ("team", "atlantis"),
        ("instrument", "tarot"),
    ]:
        with pytest.raises(forms._Bad):
            read(kind, raw, options=options)


def test_every_form_has_a_valid_schema_whose_example_it_meets() -> None:
    asked = [(move.asks, move.may_ask) for move in FLOW.moves.values()]
    for asks, may_ask in [*asked, (FLOW.opens_asks, FLOW.opens_may_ask)]:
        schema = forms.json_schema(FLOW, asks, may_ask)
        Draft202012Validator.check_schema(schema)
        assert Draft202012Validator(schema).is_valid(schema["examples"][0])
        assert set(schema["required"]) == set(asks)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(form=st.dictionaries(st.sampled_from([*FLOW.fields, "shoe_size"]), JSON, max_size=6))
def test_whatever_is_typed_is_either_read_or_refused_with_reasons(form: dict[str, Any]) -> None:
    fields = tuple(FLOW.fields)
    with contextlib.suppress(Refused):  # any other error fails the test
        values = forms.clean(FLOW, (), fields, form)
        assert forms.clean(FLOW, (), fields, values) == values, "reading twice is reading once"


def test_an_unknown_fact_meets_no_condition_but_none() -> None:
    for table in ({"is": "x"}, {"is_not": "x"}, {"in": ["x"]}, {"at_least": 1}, {"known": True}, {"same_as": "by"}):
        condition = conditions.parse({"fact": "nothing", **table})
        assert not condition.holds({})
        assert not condition.holds({"nothing": "", "by": ""})
        assert conditions.parse({"none": [{"fact": "nothing", **table}]}).holds({})
    assert conditions.parse({"fact": "nothing", "known": False}).holds({})


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"fact": "a"},
        {"fact": "a", "is": 1, "in": [1]},
        {"fact": "a", "like": 1},
        {"all": 5},
        {"all": [], "any": []},
        {"fact": "a", "in": "abc"},
        {"fact": "a", "known": "yes"},
        {"fact": "a", "at_least": "1"},
    ],
)
def test_a_condition_with_a_wrong_table_is_refused_when_it_is_read(table: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        conditions.parse(table)
