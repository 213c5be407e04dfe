"""Where a store lies: its rows, in a file or on a server, and the key file that opens them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rvr.store.engine import Connection, Database
from rvr.store.keys import Keys, load
from rvr.store.postgres import Postgres
from rvr.store.sqlite import Sqlite


@dataclass(frozen=True, slots=True)
class Place:
    """Names it; opens nothing by itself."""

    data: Path
    """The data folder: the database file of a desk without a server."""
    key_file: Path
    url: str = ""
    """postgresql://...; empty: the file in the data folder."""

    @property
    def file(self) -> Path:
        return self.data / "rvr.db"

    @property
    def heads_file(self) -> Path:
        """The signed heads of the log, outside the database."""
        return self.key_file.with_name("heads.txt")

    @property
    def where(self) -> str:
        """As people are told it, without a password."""
        return Postgres(self.url).where if self.url else str(self.file)

    def exists(self) -> bool:
        """Whether there is a store. Raises CannotOpen for a server that does not answer."""
        return Postgres(self.url).exists() if self.url else self.file.exists()

    def keys(self, *, database_exists: bool = True) -> Keys:
        """Its keys, made at first use unless there is a database already. Raises CannotOpen."""
        return load(self.key_file, data=self.data, database_exists=database_exists)

    def database(self, found: Keys) -> Database:
        return Postgres(self.url) if self.url else Sqlite(self.file, found.database)

    @contextlib.contextmanager
    def opened(self, found: Keys | None = None) -> Iterator[Connection]:
        """A writing connection. Raises CannotOpen."""
        with contextlib.closing(self.database(found or self.keys()).connect(write=True)) as connection:
            yield connection
