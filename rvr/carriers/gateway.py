"""A text gateway of the force's own, spoken to in the plainest way: `POST {"id", "to", "text"}` with a bearer token.

It answers 2xx, with `{"status": ...}` if it likes: `delivered`, `failed`, or anything else for `on its way`. Where it
can be asked later, `GET` of the status address, with the id in it, gives the same. 4xx means that it will never take
this message, but for 401, 403, 408, 409, 425 and 429. A repeat has the same id, in `Idempotency-Key` too.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from rvr.carriers import Word
from rvr.carriers.calls import asked
from rvr.store.messages import Message


class Gateway:
    """One gateway; `status_url` has {id} in it, or is empty where it cannot be asked."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str, status_url: str) -> None:
        self._http, self._url, self._token, self._status_url = http, url, token, status_url

    async def send(self, message: Message, *, again: bool) -> Word:
        body = {"id": message.id, "to": message.recipient, "text": message.body}
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.id}
        told = await self._ask("POST", self._url, headers, body=orjson.dumps(body))
        return _word(told) or ("taken" if self._status_url else "gone")

    async def word(self, message: Message) -> Word:
        if not self._status_url:
            return "gone"
        return _word(await self._ask("GET", self._status_url.replace("{id}", quote(message.id)), {})) or "taken"

    async def _ask(self, method: str, url: str, headers: dict[str, str], **more: Any) -> Any:
        return await asked(
            self._http, method, url, headers={"Authorization": f"Bearer {self._token}", **headers}, **more
        )


def _word(told: Any) -> Word | None:
    status = told.get("status") if isinstance(told, dict) else None
    return status if status in ("delivered", "failed") else None
