"""docs/screens shows every screen that it names and nothing else, and stays small."""

from __future__ import annotations

from tests.e2e import gallery


def test_the_folder_holds_the_pictures_that_the_page_names_and_no_other() -> None:
    kept = {path.name for path in gallery.FOLDER.iterdir()}
    assert kept == {*gallery.names(), gallery.PAGE.name}, "make them anew: python3 run.py screens"


def test_the_page_is_what_the_list_makes_it() -> None:
    assert gallery.PAGE.read_text(encoding="utf-8") == gallery.page(), "make it anew: python3 run.py screens"


def test_all_pictures_together_are_small() -> None:
    assert sum(path.stat().st_size for path in gallery.FOLDER.iterdir()) < gallery.MOST_BYTES
