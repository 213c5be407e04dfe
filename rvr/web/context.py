"""What every handler may reach, by typed keys: no globals, no frameworks for injection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from rvr.anchoring import Anchoring
from rvr.attendance import Attendance
from rvr.config import Settings
from rvr.core.commands import Actor
from rvr.desk import Desk
from rvr.messages import Catalogue
from rvr.store.access import Signin

if TYPE_CHECKING:
    from jinja2 import Environment

    from rvr.media import MediaEngine
    from rvr.sign_on import Provider
    from rvr.turn import Turn
from rvr.web.board_rows import BoardRows
from rvr.web.night import Nights

DESK = web.AppKey("desk", Desk)
SETTINGS = web.AppKey("settings", Settings)
WORDS = web.AppKey("words", Catalogue)
TEMPLATES: web.AppKey[Environment] = web.AppKey("templates")
NIGHTS = web.AppKey("nights", Nights)
BOARD_ROWS = web.AppKey("board_rows", BoardRows)
ANCHORING = web.AppKey("anchoring", Anchoring)
ATTENDANCE = web.AppKey("attendance", Attendance)
SIGN_ON: web.AppKey[Provider | None] = web.AppKey("sign_on")
"""The force's identity provider; None: there are local accounts only."""
MEDIA: web.AppKey[MediaEngine] = web.AppKey("media")
TURN: web.AppKey[Turn | None] = web.AppKey("turn")
"""None: browsers reach the media plane directly."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A member of staff with a live sign-in."""

    actor: Actor
    csrf: str
    signin: Signin
    """As the access log names it."""
    username: str
    proved_at: str = ""
    """When the person last proved who it is."""
    how: str = ""
    """By what the person signed in: password, passkey or provider."""
    ends_at: str = ""
    """When it ends in any case, a UTC time."""

    @property
    def roles(self) -> frozenset[str]:
        return self.actor.roles


PAGES: web.AppKey[dict[str, str]] = web.AppKey("pages")
"""Seat -> the page that joined it last (`X-RVR-Page`), as far as this process knows."""

SIGNED_IN = web.RequestKey("signed_in", SignedIn)
"""Set by `auth` on every request of a route that needs a role."""
