"""What a browser is told before it joins: through which servers it may reach the media plane, and for how long."""

from __future__ import annotations

import secrets
from typing import Any

from aiohttp import web

from rvr.web.context import DESK, TURN


def told(request: web.Request, *, victim: bool) -> dict[str, Any]:
    """`ice_servers` and `ice_policy` as RTCConfiguration has them, with a credential of its own at each call;
    `ice_lifetime_s`: when to ask again, 0 for never."""
    turn = request.app[TURN]
    if turn is None:  # an explicit empty list: a browser without one might ask somebody else's server
        return {"ice_servers": [], "ice_policy": "all", "ice_lifetime_s": 0}
    server = turn.server(request.app[DESK].observe().at, secrets.token_urlsafe(12))
    return {
        "ice_servers": [server.for_browser()],
        "ice_policy": turn.policy(victim=victim),
        "ice_lifetime_s": turn.lifetime_s,
    }
