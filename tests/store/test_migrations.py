"""The schema: what the migrations make is what the program's tables say."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from rvr.store import Store
from rvr.store.engine import schema_engine
from rvr.store.tables import METADATA
from tests.store.builders import Clock, Place


async def test_the_tables_equal_the_newest_migration(store: Store, place: Place) -> None:
    engine = schema_engine(place.connection)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


async def test_starting_again_leaves_the_schema_as_it_is(store: Store, place: Place, clock: Clock) -> None:
    def schema() -> list[tuple[str]]:
        connection = place.connection()
        found = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
        found += connection.execute("SELECT version_num FROM alembic_version").fetchall()
        connection.close()
        return found

    before = schema()
    await store.close()
    again = place.store(clock)
    await again.start()
    await again.close()
    assert schema() == before
    assert ("0001",) in before
