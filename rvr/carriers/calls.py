"""One request to a carrier over HTTP: its answer as JSON, or why there is none in one of two exceptions.

No redirect is followed, and no proxy of the environment is used: a victim's number goes where the setting says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import orjson

from rvr.carriers import Away, TurnedDown

WITHIN_S: Final = 8.0
"""Less than the outbox holds a message for one sender (`outbox.HELD_S`)."""
MOST_BYTES: Final = 65_536
LATER: Final = frozenset({401, 403, 408, 409, 425, 429})
"""Of the 4xx those that somebody can put right without another message: a key, a limit, a conflict that passes."""


def session() -> aiohttp.ClientSession:
    """For one carrier, to be closed by whoever opened it."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WITHIN_S), trust_env=False)


async def asked(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    params: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Any:
    """The JSON of a 2xx answer; None for one without. Raises TurnedDown or Away."""
    try:
        async with http.request(
            method, url, headers=dict(headers), params=params, data=body, allow_redirects=False
        ) as answer:
            told = await answer.content.read(MOST_BYTES)
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, OSError) as fault:
        raise Away(type(fault).__name__) from None
    if 400 <= status < 500 and status not in LATER:
        raise TurnedDown(f"http-{status}")
    if not 200 <= status < 300:
        raise Away(f"http-{status}")
    try:
        return orjson.loads(told) if told else None
    except orjson.JSONDecodeError:
        return None
