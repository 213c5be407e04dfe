"""What a link is for, where it is none into a call."""

from alembic import op

from rvr.store.migrations.steps import text

revision = "0012"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("link_row", text("purpose", server_default=""))
