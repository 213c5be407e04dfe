"""Opens the store and the desk of these settings, for every verb that works on them."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from rvr import definitions, timekeeping
from rvr.config import Settings
from rvr.desk import Desk
from rvr.realtime import Hub
from rvr.store.store import Store


class Fault(Exception):
    """A sentence for the person at the terminal; exit code 1."""


@contextlib.asynccontextmanager
async def open_store(settings: Settings, *, existing: bool = False) -> AsyncIterator[Store]:
    """The store of these settings. With `existing`, a folder without one is a fault, not a new store."""
    store = Store(settings.data_path, settings.key_path, force=settings.force)
    if existing and not store.file.exists():
        raise Fault(f"There is no RVR database in {settings.data_path}: name its folder with --data.")
    await store.start()
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def open_desk(settings: Settings, *, existing: bool = False) -> AsyncIterator[Desk]:
    """The desk on its store, without anything that moves by itself."""
    defined = definitions.load(Path(settings.workflows), settings.force)
    async with open_store(settings, existing=existing) as store:
        desk = Desk(
            store,
            defined,
            Hub(),
            observe=timekeeping.observe,
            join_url=settings.victim_url,
            link_text=settings.link_text,
            new_id=lambda: str(uuid.uuid4()),
            staff_url=settings.base_url,
        )
        await desk.start()
        yield desk
