"""The first schema: event, command, data keys, read rows, links, outbox, accounts, access log."""

import sqlalchemy as sa
from alembic import op

from rvr.store.migrations.steps import append_only, blob, counted, number, remembers, text, told, yes_no

revision = "0001"
down_revision = None


def upgrade() -> None:
    the_log()
    read_rows()
    links_and_messages()
    people()
    for table, column in (("event", "position"), ("access", "seq")):
        append_only(table)
        remembers(table, column)


def the_log() -> None:
    op.create_table(
        "event",
        counted("position"),
        *(text(name) for name in ("stream",)),
        number("version"),
        *(text(name) for name in ("event_id", "type", "observed_at", "recorded_at")),
        *(blob(name) for name in ("public", "sealed", "salt1", "salt2", "previous", "hash")),
        sa.UniqueConstraint("stream", "version", name="event_stream_version"),
        sa.UniqueConstraint("event_id", name="event_event_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "command",
        text("person", primary_key=True),
        text("command_id", primary_key=True),
        blob("body_hash"),
        text("recorded_at"),
        told("writes"),
        told("result"),
    )
    op.create_table("data_key", text("key_id", primary_key=True), text("scope"), text("master_id"), blob("wrapped"))
    op.create_index("data_key_scope", "data_key", ["scope"])
    op.create_table("setting", text("key", primary_key=True), text("value"))


def read_rows() -> None:
    op.create_table(
        "case_row",
        text("id", primary_key=True),
        *(text(name) for name in ("reference", "workflow", "definition", "state")),
        number("version"),
        *(text(name) for name in ("opened_at", "opened_by", "sergeant", "officer")),
        yes_no("emergency"),
        *(text(name) for name in ("session", "victim_seat", "officer_seat")),
        yes_no("session_open"),
        yes_no("flowing"),
        *(text(name) for name in ("victim_presence", "officer_presence", "link_sent_at", "link_opened_at")),
        *(text(name) for name in ("risk_level", "response_grade", "decision", "team", "lpa", "channel")),
        number("updated_position"),
        told("clocks"),
        sa.UniqueConstraint("reference", name="case_row_reference"),
    )
    op.create_index("case_row_state", "case_row", ["state"])
    op.create_table(
        "clock_row",
        text("case_id", primary_key=True),
        text("clock", primary_key=True),
        number("run", primary_key=True),
        number("after_s", primary_key=True),
        *(text(name) for name in ("due_at", "started_at", "boot")),
        number("boottime_ns"),
    )
    op.create_index("clock_row_due_at", "clock_row", ["due_at"])
    op.create_table("officer_row", text("id", primary_key=True), number("version"), text("status"), text("case_id"))


def links_and_messages() -> None:
    op.create_table(
        "link_row",
        text("id", primary_key=True),
        *(text(name) for name in ("case_id", "seat", "token_hash", "expires_at", "code_hash", "revoked_at")),
        *(text(name) for name in ("browser_hash", "bound_at")),
        sa.UniqueConstraint("token_hash", name="link_row_token_hash"),
    )
    op.create_index("link_row_case_id", "link_row", ["case_id"])
    op.create_table(
        "message",
        text("id", primary_key=True),
        *(text(name) for name in ("case_id", "kind", "key_id")),
        blob("sealed"),
        *(text(name) for name in ("created_at", "status")),
        number("attempts"),
        *(text(name) for name in ("next_at", "sent_at")),
    )
    op.create_index("message_status_next_at", "message", ["status", "next_at"])


def people() -> None:
    op.create_table(
        "account",
        text("id", primary_key=True),
        *(text(name) for name in ("username", "name")),
        told("roles"),
        text("password_hash"),
        yes_no("disabled"),
        sa.UniqueConstraint("username", name="account_username"),
    )
    op.create_table(
        "signin",
        text("token_hash", primary_key=True),
        sa.Column("person", sa.String(), sa.ForeignKey("account.id", name="signin_person"), nullable=False),
        *(text(name) for name in ("csrf", "created_at", "seen_at", "expires_at")),
    )
    op.create_table(
        "access",
        counted("seq"),
        *(text(name) for name in ("at", "person", "role", "category")),
        text("case_id", nullable=True),
        *(text(name) for name in ("what", "reason", "recipient", "signin")),
        *(blob(name) for name in ("salt", "previous", "hash")),
        sqlite_autoincrement=True,
    )
    op.create_index("access_signin", "access", ["signin", "case_id", "what", "at"])
    op.create_index("access_case_id", "access", ["case_id"])
