"""The database's schema, step by step. Run at every start; what fails or is killed leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from rvr.store.engine import CannotOpen, Connection, Database

T = TypeVar("T")


def run(database: Database, settings: Mapping[str, str], then: Callable[[Connection], T]) -> T:
    """Brings the database to the newest step, and does what belongs to that, in one transaction: after a kill it is as
    it was. Of several processes that start at once one migrates, and the others find it done.

    `settings` are facts about a new store; one that has them keeps its own. Raises CannotOpen.
    """
    config = configured()
    engine = database.schema_engine()
    try:
        with engine.begin() as connection:
            refuse_newer(MigrationContext.configure(connection).get_current_heads(), database.where)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            for key, value in settings.items():
                told = text("INSERT INTO setting (key, value) VALUES (:key, :value) ON CONFLICT DO NOTHING")
                connection.execute(told, {"key": key, "value": value})
            return then(connection.connection.driver_connection)  # type: ignore[arg-type]
    except DBAPIError as error:
        raise CannotOpen(
            f"{database.where} could not be brought to step {newest()}, and is as it was: {_sentence(error)}"
        ) from error
    finally:
        engine.dispose()


def configured() -> Config:
    """Where the steps are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def known() -> list[str]:
    """Every step, the oldest first."""
    return [step.revision for step in ScriptDirectory.from_config(configured()).walk_revisions()][::-1]


def newest() -> str:
    return known()[-1]


def refuse_newer(found: Iterable[str], where: str) -> None:
    """Raises CannotOpen for a database of a step that this program does not know."""
    if unknown := set(found).difference(known()):
        raise CannotOpen(
            f"{where} is of step {', '.join(sorted(unknown))}, made by a newer version of this program, which knows the"
            f" steps up to {newest()}: use that version. Nothing was changed."
        )


def _sentence(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
