"""GOV.UK Notify: texts and e-mails by its REST API, version 2 (docs.notifications.service.gov.uk/rest-api.html).

Notify sends only texts of a template that was agreed with it: ours has one place, ((body)), for all that we say.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from typing import Any, Final

import aiohttp
import orjson

from rvr.carriers import Word
from rvr.carriers.calls import asked
from rvr.config import SettingFault
from rvr.store.messages import Message

UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KEY: Final = re.compile(rf".*?-?({UUID})-({UUID})")
"""A name, the id of the service, the secret: as Notify writes its keys."""

WORDS: Final[dict[str, Word]] = {
    "delivered": "delivered",
    "permanent-failure": "failed",
    "temporary-failure": "failed",
    "technical-failure": "failed",
}
"""Their last words; any other (created, sending, pending, sent) is not the last."""

FIELD: Final = {"sms": "phone_number", "email": "email_address"}


class Notify:
    """One service there."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str, templates: dict[str, str]) -> None:
        """`key`: as Notify shows it once; `templates`: kind of message -> id of its template. Raises SettingFault for
        what is no key."""
        found = _KEY.fullmatch(key)
        if found is None:
            raise SettingFault("The key in notify_key_file is none of GOV.UK Notify: NAME-SERVICE_ID-SECRET")
        self._http, self._url = http, url.rstrip("/")
        self._service, self._secret = found[1], found[2]
        self._templates = templates

    async def send(self, message: Message, *, again: bool) -> Word:
        if again and (known := await self._found(message)) is not None:
            return known
        body = {
            FIELD[message.kind]: message.recipient,
            "template_id": self._templates[message.kind],
            "personalisation": {"body": message.body},
            "reference": message.id,
        }
        await self._ask("POST", f"/v2/notifications/{message.kind}", body=orjson.dumps(body))
        return "taken"

    async def word(self, message: Message) -> Word:
        return await self._found(message) or "taken"

    async def _found(self, message: Message) -> Word | None:
        """What it says of the newest that it took under our id; None: it took none."""
        told = await self._ask("GET", "/v2/notifications", params={"reference": message.id})
        taken = told.get("notifications") if isinstance(told, dict) else None
        return WORDS.get(str(taken[0].get("status")), "taken") if taken else None

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        return await asked(self._http, method, self._url + path, headers=headers, **more)

    def _token(self) -> str:
        """A JSON Web Token (RFC 7519) with HS256, good for thirty seconds there."""
        parts = ({"typ": "JWT", "alg": "HS256"}, {"iss": self._service, "iat": int(time.time())})
        signed = b".".join(_base64(orjson.dumps(part)) for part in parts)
        return b".".join((signed, _base64(hmac.digest(self._secret.encode(), signed, "sha256")))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
