"""How somebody signed in, when that was last proven, and by which key an identity provider knows the person."""

from alembic import op

from rvr.store.migrations.steps import text

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("account", text("provider_key", server_default=""))
    op.create_index("account_provider_key", "account", ["provider_key"])
    for name in ("proved_at", "how"):
        op.add_column("signin", text(name, server_default=""))
