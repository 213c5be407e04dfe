"""The ledger of OWASP ASVS 5.0.0 has no blank: each requirement in its scope has a test that exists or says why not."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]

LEVEL_1 = (
    *("1.2.1", "1.2.2", "1.2.3", "1.2.4", "1.2.5", "1.3.1", "1.3.2", "1.5.1", "2.1.1", "2.2.1", "2.2.2", "2.3.1"),
    *("3.2.1", "3.2.2", "3.3.1", "3.4.1", "3.4.2", "3.5.1", "3.5.2", "3.5.3", "4.1.1", "4.4.1", "5.2.1", "5.2.2"),
    *("5.3.1", "5.3.2", "6.1.1", "6.2.1", "6.2.2", "6.2.3", "6.2.4", "6.2.5", "6.2.6", "6.2.7", "6.2.8", "6.3.1"),
    *("6.3.2", "6.4.1", "6.4.2", "7.2.1", "7.2.2", "7.2.3", "7.2.4", "7.4.1", "7.4.2", "8.1.1", "8.2.1", "8.2.2"),
    *("8.3.1", "9.1.1", "9.1.2", "9.1.3", "9.2.1", "10.4.1", "10.4.2", "10.4.3", "10.4.4", "10.4.5", "11.3.1"),
    *("11.3.2", "11.4.1", "12.1.1", "12.2.1", "12.2.2", "13.4.1", "14.2.1", "14.3.1", "15.1.1", "15.2.1", "15.3.1"),
)
LEVEL_2 = (
    *("3.3.2", "3.3.3", "3.3.4", "3.4.3", "3.4.4", "3.4.5", "3.4.6", "3.5.4", "3.5.5", "3.7.1", "3.7.2", "12.1.2"),
    *("12.1.3", "12.3.1", "12.3.2", "12.3.3", "12.3.4", "16.1.1", "16.2.1", "16.2.2", "16.2.3", "16.2.4", "16.2.5"),
    *("16.3.1", "16.3.2", "16.3.3", "16.3.4", "16.4.1", "16.4.2", "16.4.3", "16.5.1", "16.5.2", "16.5.3", "17.1.1"),
    *("17.2.1", "17.2.2", "17.2.3", "17.2.4", "17.3.1", "17.3.2"),
)
"""Of the chapters 3, 12, 16 and 17. The numbers are those of the standard's own table, version 5.0.0."""


@cache
def ledger() -> dict[str, dict[str, str]]:
    chapters = tomllib.loads((ROOT / "docs" / "ASVS.toml").read_text(encoding="utf-8"))
    lines = [(number, line) for chapter in chapters.values() for number, line in chapter.items()]
    assert len(lines) == len(dict(lines)), "a requirement stands twice"
    return dict(lines)


@cache
def known() -> Counter[str]:
    found = [
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    return Counter(found)


def test_level_1_has_seventy_requirements_and_the_ledger_has_them_all_and_no_other() -> None:
    assert len(set(LEVEL_1)) == 70
    assert sorted(ledger()) == sorted({*LEVEL_1, *LEVEL_2})


def test_each_line_is_of_one_kind_and_says_something() -> None:
    for number, line in ledger().items():
        assert len(line) == 1, number
        [(kind, told)] = line.items()
        assert kind in ("test", "gap", "none"), number
        assert told.strip() == told, number
        assert told, number


def test_a_test_that_is_named_exists_and_cannot_be_taken_for_another() -> None:
    named = {number: line["test"] for number, line in ledger().items() if "test" in line}
    assert {number: name for number, name in named.items() if known()[name] != 1} == {}


def test_the_page_on_threats_tells_how_much_of_it_is_open() -> None:
    kinds = Counter(kind for line in ledger().values() for kind in line)
    page = (ROOT / "docs" / "THREATS.md").read_text(encoding="utf-8")
    told = (
        f"{len(ledger())} requirements: {kinds['test']} with a test, {kinds['gap']} gaps, {kinds['none']} that do not"
    )
    assert told in page
