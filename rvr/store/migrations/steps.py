"""What the steps are made of: column types and triggers that mean the same on either engine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

NUMBER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TOLD = sa.JSON().with_variant(sa.String(), "postgresql")


def text(name: str, **more: object) -> sa.Column[str]:
    return sa.Column(name, sa.String(), **{"nullable": False, **more})  # type: ignore[arg-type]


def number(name: str, **more: object) -> sa.Column[int]:
    return sa.Column(name, NUMBER, **{"nullable": False, **more})  # type: ignore[arg-type]


def yes_no(name: str, **more: object) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), **{"nullable": False, **more})  # type: ignore[arg-type]


def blob(name: str, **more: object) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), **{"nullable": False, **more})  # type: ignore[arg-type]


def told(name: str, **more: object) -> sa.Column[object]:
    """Lists and mappings, as JSON."""
    return sa.Column(name, TOLD, **{"nullable": False, **more})  # type: ignore[arg-type]


def on_a_server() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def counted(name: str) -> sa.Column[int]:
    """The number of an append-only table's row, as the program gives it."""
    return number(name, primary_key=True, autoincrement=not on_a_server())


def append_only(table: str) -> None:
    """What was written stays: the program cannot change it, even by mistake."""
    if on_a_server():
        op.execute(
            f"CREATE FUNCTION {table}_stays() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'restrict_violation'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_stays()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def remembers(table: str, column: str) -> None:
    """Keeps the highest number that the table ever gave, as SQLite's AUTOINCREMENT does by itself."""
    if not on_a_server():
        return
    if not sa.inspect(op.get_bind()).has_table("given"):
        op.create_table("given", text("name", primary_key=True), number("last"))
    op.execute(sa.text("INSERT INTO given (name, last) VALUES (:table, 0)").bindparams(table=table))
    step = f"UPDATE given SET last = greatest(last, NEW.{column}) WHERE name = '{table}'"  # noqa: S608 (names of ours)
    op.execute(
        f"CREATE FUNCTION {table}_given() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {step}; RETURN NULL; END $$"
    )
    op.execute(f"CREATE TRIGGER {table}_given AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_given()")
