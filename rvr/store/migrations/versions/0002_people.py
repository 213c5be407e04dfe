"""Who is named in more than one case: identities, civil orders; to which units a member of staff belongs; and an index
by which boards find what was written lately.

The read rows are made again from the log at the next start (`projections.MADE_AS`): no step fills them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def text(name: str, **more: object) -> sa.Column[str]:
    return sa.Column(name, sa.String(), **{"nullable": False, **more})  # type: ignore[arg-type]


def upgrade() -> None:
    op.create_index("event_type_observed_at", "event", ["type", "observed_at"])
    for person in ("victim_id", "suspect_id"):
        op.add_column("case_row", text(person, server_default=""))
        op.create_index(f"case_row_{person}", "case_row", [person])
    op.add_column("case_row", sa.Column("marac", sa.Boolean(), nullable=False, server_default="0"))
    op.add_column("account", sa.Column("units", sa.JSON(), nullable=False, server_default="[]"))
    op.create_table(
        "identity_row",
        *(text(name, primary_key=True) for name in ("stream", "role", "kind")),
        sa.Column("digest", sa.LargeBinary(), primary_key=True, nullable=False),
        text("person_id"),
    )
    op.create_index("identity_row_digest", "identity_row", ["digest"])
    op.create_table(
        "order_row",
        text("id", primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        *(text(name) for name in ("kind", "lpa", "neighbourhood", "starts", "ends", "ended_because")),
    )
