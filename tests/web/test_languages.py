"""The victim's page in another language: the whole page, in one answer."""

from __future__ import annotations

import re
from collections import Counter
from html import unescape

from rvr.messages import catalogue
from tests.serving import ROOT, Served


def test_the_victims_page_speaks_the_browsers_language_and_a_guests_english(desk: Served) -> None:
    somebody = desk.client()
    pages = {path: _text(somebody.call("GET", path, Accept_Language="cy-GB,en;q=0.5").body) for path in ("/j", "/g")}
    assert '<html lang="cy" dir="ltr"' in pages["/j"]
    assert 'lang="en"' in pages["/g"]
    welsh, english = catalogue("cy"), catalogue()
    shown = [key for key in english if key.startswith("join.") and f">{english.say(key)}<" in pages["/j"]]
    assert [key for key in shown if welsh.say(key) != english.say(key)] == []
    assert f">{welsh.say('join.welcome')}<" in pages["/j"]
    assert welsh.say("reason.link-expired") in pages["/j"]


def _text(body: bytes) -> str:
    return unescape(body.decode())


def test_every_sentence_of_the_victims_page_can_be_put_in_another_language_where_it_stands() -> None:
    page = (ROOT / "rvr/web/templates/join.html").read_text()
    said = Counter(re.findall(r"t\('join\.([\w-]+)'\)", page))
    assert len(said) >= 40
    assert Counter(re.findall(r"data-(?:t|label)=\"([\w-]+)\"", page)) == said
