"""Who else is in a call, the victim's presence in one word in place of what it was made of, and for whom a link is.

The read rows are made again from the log at the next start (`projections.MADE_AS`): no step fills them.
"""

from alembic import op

from rvr.store.migrations.steps import text, told

revision = "0008"
down_revision = "0007"

MADE_OF = ("flowing", "victim_presence", "officer_presence", "link_sent_at", "link_opened_at")


def upgrade() -> None:
    op.add_column("case_row", text("presence", server_default="none"))
    for name in ("seats", "guests"):
        op.add_column("case_row", told(name, server_default="[]"))
    for name in MADE_OF:
        op.drop_column("case_row", name)
    op.add_column("link_row", text("guest", server_default=""))
