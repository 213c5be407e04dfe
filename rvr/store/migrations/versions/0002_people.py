"""Who is named in more than one case: identities, civil orders; to which units a member of staff belongs; and an index
by which boards find what was written lately.

The read rows are made again from the log at the next start (`projections.MADE_AS`): no step fills them.
"""

from alembic import op

from rvr.store.migrations.steps import blob, number, text, told, yes_no

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("event_type_observed_at", "event", ["type", "observed_at"])
    for person in ("victim_id", "suspect_id"):
        op.add_column("case_row", text(person, server_default=""))
        op.create_index(f"case_row_{person}", "case_row", [person])
    op.add_column("case_row", yes_no("marac", server_default="0"))
    op.add_column("account", told("units", server_default="[]"))
    op.create_table(
        "identity_row",
        *(text(name, primary_key=True) for name in ("stream", "role", "kind")),
        blob("digest", primary_key=True),
        text("person_id"),
    )
    op.create_index("identity_row_digest", "identity_row", ["digest"])
    op.create_table(
        "order_row",
        text("id", primary_key=True),
        number("version"),
        *(text(name) for name in ("kind", "lpa", "neighbourhood", "starts", "ends", "ended_because")),
    )
