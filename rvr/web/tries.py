"""How often a sign-in may be tried. The counts are rows: a restart begins none anew, and all desks on a database share
them. A row holds keyed hashes: neither a name that somebody typed nor where they were can be read from it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from aiohttp import web

from rvr.core.errors import Reason, TooMany
from rvr.core.moment import iso, parse_iso
from rvr.store.engine import Connection
from rvr.store.statements import put
from rvr.store.tables import TryRow
from rvr.web import crowd
from rvr.web.context import DESK

WINDOW_S = 60
OF_A_NAME = 5
"""Wrong passwords for one user name from one address: it slows guessing and locks nobody out for a shift, for a
stranger's guesses do not count against the officer's own address."""

OF_AN_ADDRESS = 30
"""Of all names together: who guesses one password for many names is slowed, too. A station with thirty officers who
all mistype in one minute waits for the next."""


_hashing = ThreadPoolExecutor(1, "rvr-hashing")


async def aside(request: web.Request, check: Callable[[], bool]) -> bool:
    """What the check of a password says. One at a time: each takes 27 ms of a processor and 19 MiB, by design, and of
    many that guess each should wait for the others, not everybody for all of them."""
    request[crowd.TURN_OF].end()
    return await asyncio.get_running_loop().run_in_executor(_hashing, check)


async def spend(request: web.Request, username: str) -> None:
    """Counts the try before the password is looked at, so that forty at once are forty. Raises TooMany."""
    desk, now = request.app[DESK], request.app[DESK].observe().at
    pair, address = _keys(request, username)
    since = iso(now - timedelta(seconds=WINDOW_S))

    def count(connection: Connection) -> str:
        connection.execute("DELETE FROM sign_in_try WHERE at <= :since", {"since": since})
        if oldest := _oldest(connection, "pair", pair, OF_A_NAME) or _oldest(
            connection, "address", address, OF_AN_ADDRESS
        ):
            return oldest
        put(connection, TryRow(id=str(uuid.uuid4()), pair=pair, address=address, at=iso(now)))
        return ""

    if oldest := await desk.store.write(count):
        wait = max(1, int(WINDOW_S - (now - parse_iso(oldest)).total_seconds()) + 1)
        raise TooMany(Reason("too-many-tries", {"seconds": wait}), retry_after=wait)


async def forgive(request: web.Request, username: str) -> None:
    """The password was right: what this address tried for this name does not count any more."""
    pair, _ = _keys(request, username)

    def forget(connection: Connection) -> None:
        connection.execute("DELETE FROM sign_in_try WHERE pair = :pair", {"pair": pair})

    await request.app[DESK].store.write(forget)


def _oldest(connection: Connection, what: str, key: bytes, most: int) -> str:
    """When the oldest of the tries was that are too many; empty while there are fewer."""
    if not key:
        return ""
    query = f"SELECT at FROM sign_in_try WHERE {what} = :key ORDER BY at"  # noqa: S608 (names of ours)
    rows = connection.execute(query, {"key": key}).fetchall()
    return str(rows[0][0]) if len(rows) >= most else ""


def _keys(request: web.Request, username: str) -> tuple[bytes, bytes]:
    """By what a try is counted. Of this machine's own address names alone: a proxy that does not say who asks
    (`trusted_proxies`) would make everybody one."""
    told, store = crowd.address_of(request), request.app[DESK].store
    pair = store.fingerprint(f"try:{told}:{username}".encode())
    return pair, b"" if _own(told) else store.fingerprint(f"try:{told}".encode())


def _own(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
