"""Indexes by which the media plane finds open rooms, and a room's case, however many cases are closed."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index("case_row_session_open", "case_row", ["session_open"])
    op.create_index("case_row_session", "case_row", ["session"])
