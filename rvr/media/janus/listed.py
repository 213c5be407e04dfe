"""The file in which an operator lists the Janus servers, and has one drained: read again while the desk runs. TOML:

    [[server]]
    url = "wss://media1.example:8989"
    secret = "..."        # its token_auth_secret
    draining = false      # true: it takes no new room, and those it has stay until they end

One that is taken out of the list drains as well. Imports nothing of media, so that the main process can read it.
"""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

KINDS: Final = {"url": str, "secret": str, "draining": bool}
LEAST_SECRET: Final = 16
"""Characters. Who knows it can open and close rooms on that server."""


@dataclass(frozen=True, slots=True)
class JanusServer:
    """One server."""

    url: str
    """Of its websocket API, ws:// or wss://."""
    secret: str = field(repr=False)
    draining: bool = False


class BadList(ValueError):
    """The file cannot be used: a sentence for the operator."""


def listed(file: Path) -> tuple[JanusServer, ...]:
    """The servers in this file. Raises BadList."""
    try:
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise BadList(f"The list of Janus servers {file} can be read by others: chmod 600")
        table = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise BadList(f"The list of Janus servers {file} cannot be read: {fault}") from None
    found = table.get("server")
    if table.keys() != {"server"} or not isinstance(found, list) or not found:
        raise BadList(f"{file}: wants one [[server]] or more, and nothing else")
    servers = tuple(_server(file, number, entry) for number, entry in enumerate(found, 1))
    if len({one.url for one in servers}) != len(servers):
        raise BadList(f"{file}: a server stands there twice")
    return servers


def _server(file: Path, number: int, entry: dict[str, Any]) -> JanusServer:
    where = f"{file}: server {number}"
    for name, value in entry.items():
        if name not in KINDS:
            raise BadList(f"{where}: there is no “{name}”")
        if type(value) is not KINDS[name]:
            raise BadList(f"{where}: “{name}” must be of the kind {KINDS[name].__name__}")
    if missing := {"url", "secret"} - entry.keys():
        raise BadList(f"{where} lacks {', '.join(sorted(missing))}")
    if urlsplit(entry["url"]).scheme not in ("ws", "wss") or not urlsplit(entry["url"]).hostname:
        raise BadList(f"{where}: “url” begins with ws:// or wss://")
    if len(entry["secret"]) < LEAST_SECRET:
        raise BadList(f"{where}: “secret” has at least {LEAST_SECRET} characters")
    return JanusServer(**entry)
