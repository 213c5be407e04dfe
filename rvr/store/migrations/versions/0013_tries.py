"""Tries to sign in, counted by keyed hashes: the counts outlive a restart."""

from alembic import op

from rvr.store.migrations.steps import blob, text

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table("sign_in_try", text("id", primary_key=True), blob("pair"), blob("address"), text("at"))
    for name in ("pair", "address"):
        op.create_index(f"sign_in_try_{name}", "sign_in_try", [name, "at"])
    op.create_index("sign_in_try_at", "sign_in_try", ["at"])
