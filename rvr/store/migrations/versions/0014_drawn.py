"""The arm of a trial that waits to be offered, so that nobody counts on the same free officer.

Two indexes answer by themselves: how many wait, which is asked with every command, and a desk may have hundreds of
reports in its list; and how the messages of a day fared.

The read rows are made again from the log at the next start (`projections.MADE_AS`): no step fills them.
"""

from alembic import op

from rvr.store.migrations.steps import text

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("case_row", text("arm", server_default=""))
    op.create_index("message_created", "message", ["created_at", "kind", "status"])
    op.create_index("case_row_waiting", "case_row", ["state", "officer", "arm", "id"])
