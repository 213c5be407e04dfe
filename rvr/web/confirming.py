"""Where somebody comes back to who had to prove anew who it is: a page of ours, and the one that was open."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from aiohttp import web

_OURS = re.compile(r"/(?![/\\])[A-Za-z0-9/_.?=&%-]*")
"""A path on this host: what begins with two slashes names another."""


def place(told: str) -> str:
    """The path, or the start page for anything else."""
    return told if len(told) < 300 and _OURS.fullmatch(told) else "/"


def asked_from(request: web.Request) -> str:
    """The page that was open: this one, or for a form the one that it stood on."""
    if request.method == "GET":
        return place(request.path_qs)
    before = urlsplit(request.headers.get("Referer", ""))
    return place(before.path + (f"?{before.query}" if before.query else "")) if before.netloc == request.host else "/"
