"""How somebody signed in, when that was last proven, passkeys, by which key an identity provider knows the person, and
who looks at a case outside the own ones or may not look at it.

The read rows are made again from the log at the next start (`projections.MADE_AS`): no step fills them.
"""

import sqlalchemy as sa
from alembic import op

from rvr.store.migrations.steps import blob, number, text, told

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("account", text("provider_key", server_default=""))
    op.create_index("account_provider_key", "account", ["provider_key"])
    for name in ("proved_at", "how"):
        op.add_column("signin", text(name, server_default=""))
    op.create_table(
        "passkey",
        text("id", primary_key=True),
        sa.Column("person", sa.String(), sa.ForeignKey("account.id", name="passkey_person"), nullable=False),
        text("name"),
        blob("public_key"),
        number("uses"),
        number("challenge"),
        text("created_at"),
        text("used_at"),
    )
    op.add_column("case_row", told("conflicts", server_default="[]"))
    op.create_table("glass_row", *(text(name, primary_key=True) for name in ("person", "case_id")), text("until"))
