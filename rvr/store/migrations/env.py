"""Alembic's entry: runs the steps on the connection that `migrations.run` hands over. There is no offline mode."""

from alembic import context

from rvr.store import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.METADATA,
    transactional_ddl=True,
)
context.run_migrations()
