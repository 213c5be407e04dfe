"""Opens the store and the desk of these settings, for every verb that works on them."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from rvr import definitions, timekeeping
from rvr.config import SettingFault, Settings, read_secret
from rvr.core.trial import SECRET_BYTES
from rvr.desk import Desk
from rvr.realtime import Hub
from rvr.store.place import Place
from rvr.store.store import Store


class Fault(Exception):
    """A sentence for the person at the terminal; exit code 1."""


def place_of(settings: Settings, *, existing: bool = False) -> Place:
    """Where the store of these settings lies. Raises Fault, with `existing`, where there is none."""
    place = Place(settings.data_path, settings.key_path, settings.database)
    if existing and not place.exists():
        named = place.where if place.url else settings.data_path
        raise Fault(f"There is no RVR database in {named}: name it with --data or --database.")
    return place


@contextlib.asynccontextmanager
async def open_store(settings: Settings, *, existing: bool = False) -> AsyncIterator[Store]:
    """The store of these settings. With `existing`, a place without one is a fault, not a new store."""
    store = Store(place_of(settings, existing=existing), force=settings.force)
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
            trial_secret=trial_secret(settings),
        )
        await desk.start()
        yield desk


def trial_secret(settings: Settings) -> bytes | None:
    """The evaluator's secret; None where the setting names no file. Raises SettingFault for a file that holds none."""
    if not settings.trial_secret_file:
        return None
    return read_trial_secret(Path(settings.trial_secret_file))


def read_trial_secret(file: Path) -> bytes:
    """The secret in this file. Raises SettingFault."""
    told = read_secret("trial_secret_file", file).strip()
    if not re.fullmatch(f"[0-9a-f]{{{2 * SECRET_BYTES}}}", told):
        raise SettingFault(f"{file} holds no secret of a trial: {2 * SECRET_BYTES} digits of 0-9 and a-f")
    return bytes.fromhex(told)
