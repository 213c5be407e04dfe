"""The third-party files that a browser is sent: whole, counted, and without any mark of GOV.UK."""

import hashlib
import re
from pathlib import Path

import pytest

from rvr import assets

VENDOR = assets.STATIC / "vendor"
MARKS = re.compile(r"gds|font-face|crest|crown", re.IGNORECASE)


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A static folder with the real fetched packages and nothing built."""
    (tmp_path / "node_modules").symlink_to(assets.STATIC / "node_modules")
    return tmp_path


def test_the_built_folder_holds_every_file_that_the_pages_ask_for() -> None:
    for name in ("govuk-frontend.css", "govuk-frontend.js", "moj.css", "htmx.js", "hx-sse.js"):
        assert (VENDOR / name).stat().st_size > 1000, name


@pytest.mark.parametrize("name", ["govuk-frontend.css", "moj.css"])
def test_no_font_crest_or_crown_of_govuk_reaches_a_browser(name: str) -> None:
    css = (VENDOR / name).read_text(encoding="utf-8")
    assert MARKS.findall(css) == []
    assert "sourceMappingURL" not in css
    assert "/assets/" not in css
    assert css.count("{") == css.count("}")
    assert css.count(assets.FONT) > 50


def test_the_built_folder_holds_no_font_file_and_no_icon_or_logo_of_govuk() -> None:
    names = [path.name for path in VENDOR.rglob("*") if path.is_file()]
    assert [name for name in names if re.search(r"woff|\.ico$|opengraph|logo|govuk-icon|crest", name)] == []


def test_every_image_that_a_stylesheet_asks_for_is_there() -> None:
    wanted = assets.images_of((VENDOR / "moj.css").read_text(encoding="utf-8"))
    assert wanted
    assert wanted == {path.name for path in (VENDOR / "images").iterdir()}


def test_every_package_that_is_sent_on_comes_with_its_licence() -> None:
    for name in ("govuk-frontend.txt", "moj-frontend.txt", "htmx.txt"):
        assert "AS IS" in (VENDOR / "LICENSES" / name).read_text(encoding="utf-8"), name


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_packages_give_the_same_bytes(static: Path) -> None:
    assets.build(static)
    assert hashes(static / "vendor") == hashes(VENDOR)


def test_a_build_replaces_the_old_folder_and_clears_what_a_killed_build_left(static: Path) -> None:
    (static / "vendor").mkdir()
    (static / "vendor/of-an-older-release.css").touch()
    (static / ".vendor-killed").mkdir()
    assets.build(static)
    assert not (static / "vendor/of-an-older-release.css").exists()
    assert sorted(path.name for path in static.iterdir()) == ["node_modules", "vendor"]


def test_a_build_that_fails_leaves_the_old_folder_in_place(tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor/htmx.js").write_text("old")
    with pytest.raises(assets.AssetsError, match="is missing"):
        assets.build(tmp_path)
    assert (tmp_path / "vendor/htmx.js").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["node_modules", "vendor"]


def test_without_fetched_packages_the_sentence_says_how_to_fetch_them(tmp_path: Path) -> None:
    with pytest.raises(assets.AssetsError, match=r"python3 run\.py"):
        assets.build(tmp_path)


def test_the_transform_drops_the_marked_rules_and_keeps_their_neighbours() -> None:
    css = (
        '@charset "UTF-8";/* a font of gov.uk alone */@font-face{font-family:GDS Transport;src:url(/assets/f.woff)}'
        "a{font-family:GDS Transport,arial,sans-serif}"
        "@media print{.x:before{mask-image:url(/assets/images/govuk-crest.svg)}}"
        ".y__crown,.y{color:red}.z{background:url(/assets/images/tick.svg)}\n/*# sourceMappingURL=x.map */"
    )
    assert assets.transform_css(css) == (
        '@charset "UTF-8";'
        "a{font-family:var(--rvr-font, Arial, Helvetica, sans-serif)}"
        ".y{color:red}.z{background:url(images/tick.svg)}\n"
    )


def test_a_new_form_of_a_mark_stops_the_build_instead_of_slipping_through() -> None:
    with pytest.raises(assets.AssetsError, match="GDS Transport"):
        assets.transform_css("a{font:bold 12px 'GDS Transport'}")
