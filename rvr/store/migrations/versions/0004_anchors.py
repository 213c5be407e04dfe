"""What was kept of the log's heads outside the desk."""

from alembic import op

from rvr.store.migrations.steps import append_only, blob, number, text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "anchor",
        *(text(name, primary_key=True) for name in ("kind", "name", "subject")),
        number("size"),
        text("at"),
        blob("proof"),
    )
    op.create_index("anchor_kind_size", "anchor", ["kind", "size"])
    append_only("anchor")
