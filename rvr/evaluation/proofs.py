"""Proofs that the rows of events.csv are events of the signed log: proofs/rows.jsonl, in the order of the rows.

A proof shows an event's whole public part, as it was hashed: the desk's own random ids, the reference and the answers
that a row shows as pseudonyms, or withholds, among them. What is sealed, and which stream it is, stays a hash.
"""

from __future__ import annotations

import json
from typing import IO

from rvr.core.events import Recorded
from rvr.store.checkpoints import Checkpoint
from rvr.store.store import Store

ROWS = "proofs/rows.jsonl"


class Proofs:
    """Writes the proofs of one package."""

    def __init__(self, store: Store, head: Checkpoint, out: IO[str]) -> None:
        """`head`: what the paths lead to; it must cover every event that is asked for."""
        self._store, self._size, self._out = store, head.size, out
        self._tree = store.tree(head.size)

    def put(self, case: str, log: list[Recorded]) -> None:
        """A line for each of these events of one case; `case`: its pseudonym."""
        shown = self._store.shown(log[0].stream)
        for recorded in log:
            event = shown[recorded.version]
            proof = {
                "case": case,
                "version": recorded.version,
                "index": event.leaf,
                "public": event.public.decode(),
                "path": [step.hex() for step in self._tree.inclusion(event.leaf, self._size)],
            }
            proof |= {name: getattr(event, name).hex() for name in ("header", "salt2", "seal")}
            self._out.write(json.dumps(proof, sort_keys=True, separators=(",", ":")) + "\n")
