"""The database's schema, step by step. Run at every start; a step that fails leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from alembic import command
from alembic.config import Config

from rvr.store.engine import Connection, schema_engine


def run(open_one: Callable[[], Connection], settings: Mapping[str, str]) -> None:
    """Brings the database to the newest step, in one transaction on a writing connection.

    `settings` are facts about a new store; one that has them keeps its own.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = schema_engine(open_one)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        for pair in settings.items():
            connection.exec_driver_sql("INSERT OR IGNORE INTO setting (key, value) VALUES (?, ?)", pair)
    engine.dispose()
