"""A store with some events in it, and a witness that knows its log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rvr.store import Store
from tests.anchors.places import Process, witness
from tests.store.builders import Place
from tests.store.conftest import clock, store

__all__ = ["at", "clock", "place", "store"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "data", tmp_path / "keys" / "keys.json")


@pytest.fixture
def at(store: Store, tmp_path: Path) -> Iterator[Process]:
    """A witness of the store's log, in a process of its own."""
    with witness(tmp_path / "witness", store.notary.verifier) as running:
        yield running
