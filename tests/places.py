"""Where a test's store lies: on each engine in turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.builders import Place


def empty_place(request: pytest.FixtureRequest, folder: Path) -> Place:
    """An empty place on the engine that the fixture's parameter names; a test that is marked `files` has files only."""
    url = ""
    if request.param == "postgres":
        if request.node.get_closest_marker("files"):
            pytest.skip("of files")
        url = request.getfixturevalue("server").database()
    return Place(folder / "data", folder / "keys" / "keys.json", url)
