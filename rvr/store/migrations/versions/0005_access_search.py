"""Indexes by which an auditor finds rows of the access log, the newest first: by person, case or kind of processing."""

from alembic import op

revision = "0005"
down_revision = "0004"

SEARCHED = ("person", "case_id", "category")


def upgrade() -> None:
    op.drop_index("access_case_id", "access")
    op.create_index("access_at", "access", ["at", "seq"])
    for name in SEARCHED:
        op.create_index(f"access_{name}_at", "access", [name, "at", "seq"])
