"""The second factor of an account: its secret, sealed, and the last step of it that was used."""

import sqlalchemy as sa
from alembic import op

from rvr.store.migrations.steps import blob, number, on_a_server, text

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("account", text("factor_key", server_default=""))
    op.add_column("account", blob("factor", server_default=sa.text("''" if on_a_server() else "x''")))
    op.add_column("account", number("factor_step", server_default="0"))
