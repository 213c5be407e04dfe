"""Every version of the workflows that cases began under: kept in the log as text, found again by its hash."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from rvr.core import events as e
from rvr.core.commands import THE_BOT
from rvr.core.errors import NotFound, Reason
from rvr.core.moment import Moment
from rvr.core.workflow import Workflow
from rvr.definitions import Definitions, load_stored
from rvr.store import Append, Batch, Conflict, Store


class Versions:
    """Of one desk."""

    def __init__(self, store: Store, definitions: Definitions, new_id: Callable[[], str]) -> None:
        self._store, self._definitions, self._new_id = store, definitions, new_id
        self._read: dict[str, Workflow] = {}

    async def keep(self, at: Moment) -> None:
        """Stores the text of every definition that new cases will run under, where it is not stored yet."""
        for flow in self._definitions.workflows.values():
            stream = f"definition/{flow.hash}"
            if not await self._store.load(stream):
                stored = e.DefinitionStored(workflow=flow.id, files=dict(flow.files))
                event = e.Event(stored, "", at, THE_BOT.id, THE_BOT.id)
                batch = Batch(self._new_id(), THE_BOT.id, b"", (Append(stream, 0, (event,)),))
                with contextlib.suppress(Conflict):  # another process stored the same text this moment
                    await self._store.append(batch)

    async def find(self, digest: str) -> Workflow:
        """The version with this hash, in force or not. Raises NotFound; DefinitionFault for a text that this build does
        not read any more."""
        current = self._definitions.by_hash(digest)
        if current is not None:
            return current
        if digest not in self._read:
            stored = next((one.event.fact for one in await self._store.load(f"definition/{digest}")), None)
            if not isinstance(stored, e.DefinitionStored):
                raise NotFound(Reason("no-such-workflow"))
            self._read[digest] = load_stored(stored.workflow, stored.files)
        return self._read[digest]

    async def every(self, workflow: str) -> dict[str, e.Event]:
        """Hash -> when it was first in force, of every version of this workflow, the newest first."""
        stored = {
            one.stream.removeprefix("definition/"): one.event
            for one in reversed(await self._store.of_type("DefinitionStored"))
        }
        return {
            digest: event
            for digest, event in stored.items()
            if isinstance(event.fact, e.DefinitionStored) and event.fact.workflow == workflow
        }
