"""Join links: a one-time token in the fragment of an address, bound to the first browser that taps Join.

A GET never changes anything. Tokens and cookies are kept as hashes only; a token has 256 bits, so that a plain hash
cannot be searched.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from rvr.core.moment import parse_iso
from rvr.store.tables import LinkRow

FEEDBACK = "feedback"
"""The purpose of a link that leads into no call."""


def new_token() -> str:
    return secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Redeeming:
    """What a tap on Join comes to."""

    result: str
    """bound (the first browser), again (the same one), or the reason against it: expired, revoked, second_browser."""


def redeem(link: LinkRow, browser: str, now: datetime) -> Redeeming:
    """Decides a tap. `browser` is the hash of the join cookie, empty when the browser has none."""
    if link.revoked_at:
        return Redeeming("revoked")
    if link.browser_hash:
        return Redeeming(
            "again" if browser and secrets.compare_digest(browser, link.browser_hash) else "second_browser"
        )
    if parse_iso(link.expires_at) < now:
        return Redeeming("expired")
    return Redeeming("bound")
