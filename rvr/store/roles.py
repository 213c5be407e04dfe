"""What the role that serves may do on a PostgreSQL: GRANT statements, made from the tables.

Another role owns the schema and migrates. Then whoever takes over a serving desk, or its password, cannot with the
rights of that role change or take away what was recorded, nor the triggers and the tables that keep it.
"""

from __future__ import annotations

from collections.abc import Iterator

from rvr.store.tables import METADATA

ADDED_TO = frozenset({"event", "access", "checkpoint", "anchor"})
"""Rows are only ever added (`migrations.steps.append_only`)."""

EMPTIED = frozenset(
    {
        *("case_row", "clock_row", "officer_row", "order_row", "identity_row", "glass_row"),
        *("signin", "sign_in_try", "passkey"),
    }
)
"""Read rows, which are made again; sign-ins with their tries, which end; passkeys, which their owners take away. Rows
of no other table are deleted."""

ENGINES = {"given": "SELECT, UPDATE", "alembic_version": "SELECT"}
"""Tables of the migrations' own. `given` is raised by a trigger, in the name of whoever adds the row: to lower it would
make a false alarm, and hide nothing."""


def rights() -> dict[str, str]:
    """Table -> what the serving role may do with its rows."""
    return {table.name: _rights(table.name) for table in METADATA.sorted_tables} | ENGINES


def _rights(table: str) -> str:
    changes = "" if table in ADDED_TO else ", UPDATE"
    return f"SELECT, INSERT{changes}" + (", DELETE" if table in EMPTIED else "")


def grants(role: str, schema: str = "public") -> Iterator[str]:
    """The statements, for the owner of the schema to run in one transaction after each migration. They take away what
    they do not give."""
    name, place = _quoted(role), _quoted(schema)
    yield "BEGIN;"
    yield f"REVOKE ALL ON SCHEMA {place} FROM PUBLIC, {name};"
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {place} FROM PUBLIC, {name};"
    yield f"GRANT USAGE ON SCHEMA {place} TO {name};"
    for table, told in sorted(rights().items()):
        yield f"GRANT {told} ON {place}.{_quoted(table)} TO {name};"
    yield "COMMIT;"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
