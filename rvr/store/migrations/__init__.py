"""The database's schema, step by step. Run at every start; a step that fails leaves nothing behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from rvr.store.engine import Database


def run(database: Database, settings: Mapping[str, str]) -> None:
    """Brings the database to the newest step, in one transaction on a writing connection.

    `settings` are facts about a new store; one that has them keeps its own.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = database.schema_engine()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        for key, value in settings.items():
            told = text("INSERT INTO setting (key, value) VALUES (:key, :value) ON CONFLICT DO NOTHING")
            connection.execute(told, {"key": key, "value": value})
    engine.dispose()
