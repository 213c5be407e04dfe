"""The database's schema, step by step. Run at every start; what fails or is killed leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from rvr.store.engine import CannotOpen, Connection, Database

if TYPE_CHECKING:
    from alembic.config import Config

T = TypeVar("T")


def run(database: Database, settings: Mapping[str, str], then: Callable[[Connection], T]) -> T:
    """Brings the database to the newest step, and does what belongs to that, in one transaction: after a kill it is as
    it was. Of several processes that start at once one migrates, and the others find it done.

    `settings` are facts about a new store; one that has them keeps its own. Raises CannotOpen.
    """
    engine = database.schema_engine()
    try:
        with engine.begin() as connection:
            found = _standing(connection)
            refuse_newer(found, database.where)
            if found != [newest()]:
                _upgrade(connection)
            for key, value in settings.items():
                told = sa.text("INSERT INTO setting (key, value) VALUES (:key, :value) ON CONFLICT DO NOTHING")
                connection.execute(told, {"key": key, "value": value})
            return then(connection.connection.driver_connection)  # type: ignore[arg-type]
    except DBAPIError as error:
        raise CannotOpen(
            f"{database.where} could not be brought to step {newest()}, and is as it was: {_sentence(error)}"
        ) from error
    finally:
        engine.dispose()


def _standing(connection: sa.Connection) -> list[str]:
    """The step of the database; none where it is new."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return []
    return list(connection.scalars(sa.text("SELECT version_num FROM alembic_version")))


def _upgrade(connection: sa.Connection) -> None:
    # Here alone, and not at every start of every verb: to import it costs an eighth of what all else together does.
    from alembic import command

    config = configured()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def configured() -> Config:
    """Where the steps are."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def known() -> list[str]:
    """Every step, the oldest first: the name of its file begins with it."""
    return sorted(path.name.partition("_")[0] for path in Path(__file__).parent.glob("versions/[0-9]*.py"))


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
