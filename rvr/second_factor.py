"""The second factor of a sign-in: six digits of an authenticator, new every half minute (RFC 6238).

Each step is good once, and one step earlier or later for a clock that is a little off (5.2 there).
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Final

import pyotp

STEP_S: Final = 30
OFF: Final = 1
"""Steps that a clock may be off, either way."""


def new_secret() -> str:
    """160 bits in base32, as authenticators take it."""
    return pyotp.random_base32()


def address(secret: str, username: str, desk: str) -> str:
    """What an authenticator reads as a picture: an otpauth:// address with the secret in it."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=desk)


def step_of(secret: str, code: str, at: datetime, used: int) -> int | None:
    """The step whose code this is, later than the last one that was `used`; None: it is none."""
    now, totp = int(at.timestamp()) // STEP_S, pyotp.TOTP(secret)
    steps = range(max(used + 1, now - OFF), now + OFF + 1)
    return next((step for step in steps if hmac.compare_digest(totp.generate_otp(step), code)), None)
