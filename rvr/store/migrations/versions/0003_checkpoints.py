"""Signed heads of the Merkle tree over all events."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.Integer(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER checkpoint_no_{verb.lower()} BEFORE {verb} ON checkpoint"
            " BEGIN SELECT RAISE(ABORT, 'checkpoint is append-only'); END"
        )
