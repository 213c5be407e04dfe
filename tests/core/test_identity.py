"""By what a person is recognised: spelling, order and case of a name do not matter; a name alone is not enough."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvr.core.identity import STRENGTH, Candidate, IdentityKey, keys_of, name_parts

BORN = "1991-04-30"

letters = st.characters(min_codepoint=0x41, max_codepoint=0x17F, categories=["Lu", "Ll"])
words = st.text(letters, min_size=2, max_size=12)
names = st.lists(words, min_size=2, max_size=4)


def keys(name: str = "", born: str = "", number: str = "", role: str = "victim", **more: Any) -> set[tuple[str, str]]:
    personal = {f"{role}_name": name, f"{role}_dob": born, "safe_number": number, **more}
    return {(key.kind, key.text) for key in keys_of({}, personal) if key.role == role}


@given(names, st.randoms())
def test_the_order_of_the_names_does_not_matter(parts: list[str], random: Any) -> None:
    mixed = random.sample(parts, len(parts))
    assert keys(" ".join(parts), BORN) == keys(" ".join(mixed), BORN)


@given(names, st.sampled_from([" ", "  ", "\t", "-", ", ", " - "]))
def test_spaces_commas_and_hyphens_between_names_do_not_matter(parts: list[str], between: str) -> None:
    assert keys(between.join(parts), BORN) == keys(f" {' '.join(parts)} ", BORN)


@given(names)
def test_upper_and_lower_case_do_not_matter(parts: list[str]) -> None:
    name = " ".join(parts)
    assert keys(name.upper(), BORN) == keys(name, BORN) == keys(name.lower(), BORN)


@given(names, st.sampled_from("\u0301\u0300\u0308\u0327\u030c"))
def test_accents_do_not_matter_however_they_are_stored(parts: list[str], accent: str) -> None:
    name = " ".join(parts)
    accented = "".join(sign + accent if sign.isalpha() else sign for sign in name)
    assert keys(accented, BORN) == keys(name, BORN)
    assert keys(unicodedata.normalize("NFC", accented), BORN) == keys(name, BORN)


@given(names)
def test_what_is_normal_stays_as_it_is(parts: list[str]) -> None:
    once = name_parts(" ".join(parts))
    assert name_parts(" ".join(once)) == once


@pytest.mark.parametrize(
    ("told", "parts"),
    [
        ("Dr. Zoë O'Neill-Smith", ("oneill", "smith", "zoe")),
        ("O’NEILL SMITH, Zoe (Mrs)", ("oneill", "smith", "zoe")),
        ("Łukasz Sørensen", ("lukasz", "sorensen")),
        ("Straße", ("strasse",)),
        ("सीता देवी", tuple(sorted(("सीता", "देवी")))),
        ("Mr", ()),
        ("– , .", ()),
        ("", ()),
    ],
)
def test_one_person_told_in_many_ways(told: str, parts: tuple[str, ...]) -> None:
    assert name_parts(told) == parts


def test_a_whole_name_and_a_date_of_birth_give_a_strong_key_and_weaker_ones() -> None:
    assert keys("Ann Example", BORN) == {
        ("name_dob", "ann example|1991-04-30"),
        ("name_year", "ann example|1991"),
        ("part_dob", "ann|1991-04-30"),
        ("part_dob", "example|1991-04-30"),
    }


def test_a_surname_changed_by_marriage_leaves_a_weak_key_and_no_strong_one() -> None:
    shared = keys("Ann Example", BORN) & keys("Ann Married", BORN)
    assert shared == {("part_dob", "ann|1991-04-30")}


def test_a_name_alone_is_no_key_and_one_name_with_a_date_is_only_a_weak_one() -> None:
    assert keys("Ann Example") == set()
    assert keys("Ann", BORN) == {("part_dob", "ann|1991-04-30")}
    assert keys("A B", BORN) == {("name_dob", "a b|1991-04-30"), ("name_year", "a b|1991")}


@pytest.mark.parametrize("born", ["", "30.4.1991", "1900-01-01", "1991-02-30"])
def test_a_date_of_birth_that_nobody_knows_is_no_key(born: str) -> None:
    assert keys("Ann Example", born) == set()


def test_the_victims_number_is_a_key_and_the_suspect_has_none() -> None:
    assert keys(number="+447700900123") == {("phone", "+447700900123")}
    assert keys(number="+44 (7700) 900-123") == {("phone", "+447700900123")}
    assert keys("Bob Example", BORN, "+447700900123", role="suspect") == keys("Bob Example", BORN, role="suspect")
    assert keys(number="07700 900123") == set(), "the forms store E.164"


def test_the_strongest_keys_come_first_and_each_says_its_strength() -> None:
    told = {"victim_name": "Ann Example", "victim_dob": BORN, "safe_number": "+447700900123"}
    found = keys_of({}, told)
    assert [key.strength for key in found] == ["strong", "strong", "weak", "weak", "weak"]
    assert [key.kind for key in found][:2] == ["name_dob", "phone"]
    assert Candidate("victim", "p", ("phone", "part_dob"), ()).strength == "strong"
    assert {IdentityKey("victim", kind, "").strength for kind in STRENGTH} == {"strong", "weak"}


def test_keys_are_found_wherever_the_form_put_the_answers() -> None:
    assert keys_of({"victim_dob": BORN}, {"victim_name": "Ann Example"}) == keys_of(
        {}, {"victim_name": "Ann Example", "victim_dob": BORN}
    )
