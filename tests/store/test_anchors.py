"""What is kept of the heads outside the desk stays as it was kept, and is found again."""

from __future__ import annotations

import psycopg
import pytest

from rvr.core.moment import iso
from rvr.store import Store, anchors
from rvr.store.anchors import Anchor
from rvr.store.sqlite import dbapi
from tests.store.builders import Clock, Place
from tests.store.test_checkpoints import cases


async def test_what_was_kept_can_be_neither_changed_nor_taken_away(store: Store, place: Place, clock: Clock) -> None:
    await cases(store, clock, "ab")
    rows = [Anchor("witness", "w", str(size), size, iso(clock.at), b"first\n") for size in (4, 6)]
    for row in rows:
        await store.write(lambda connection, row=row: anchors.keep(connection, row))
    await store.write(lambda connection: anchors.keep(connection, rows[1]._replace(proof=b"second")))
    kept = await store.look(lambda connection: list(anchors.every(connection)))
    assert [(row, bool(note)) for row, note in kept] == [(rows[0], True), (rows[1], True)]
    assert await store.look(lambda connection: anchors.last(connection, "witness", "w")) == rows[1]
    assert (await store.head_over(1)).note.endswith("\nfirst\n"), "the earliest head that was cosigned, with that"
    connection = place.connection()
    for script in ("UPDATE anchor SET size = 2", "DELETE FROM anchor"):
        with pytest.raises((dbapi.DatabaseError, psycopg.DatabaseError), match="append-only"):
            connection.execute(script)
    connection.close()
