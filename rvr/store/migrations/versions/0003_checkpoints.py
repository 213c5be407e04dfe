"""Signed heads of the Merkle tree over all events."""

from alembic import op

from rvr.store.migrations.steps import append_only, blob, number, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "checkpoint", number("size", primary_key=True, autoincrement=False), blob("root"), text("at"), text("note")
    )
    append_only("checkpoint")
