"""An index by which a board finds the newest of very many decided cases; it finds the open ones as the old one did."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("case_row_state_updated", "case_row", ["state", "updated_position"])
    op.drop_index("case_row_state", "case_row")
