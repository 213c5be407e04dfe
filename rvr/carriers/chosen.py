"""Which carrier takes what, as the settings say; and what live mode lacks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from rvr.carriers import ByKind, Carrier, Demo, calls
from rvr.carriers.gateway import Gateway
from rvr.carriers.mail import Mail
from rvr.carriers.notify import Notify
from rvr.carriers.webhook import Webhook
from rvr.config import Settings, read_secret
from rvr.mailing import MailServer


@asynccontextmanager
async def carrier(settings: Settings) -> AsyncIterator[Carrier]:
    """The carrier of a served desk. Raises SettingFault for a key or a secret that cannot be used."""
    if settings.demo:
        yield Demo()
        return
    async with calls.session() as http:
        chosen: dict[str, Carrier] = {}
        if settings.notify_key_file:
            templates = {"sms": settings.notify_sms_template, "email": settings.notify_email_template}
            kinds = {kind: template for kind, template in templates.items() if template}
            key = read_secret("notify_key_file", Path(settings.notify_key_file))
            chosen |= dict.fromkeys(kinds, Notify(http, settings.notify_url, key, kinds))
        if settings.sms_url:
            token = read_secret("sms_token_file", Path(settings.sms_token_file)) if settings.sms_token_file else ""
            chosen["sms"] = Gateway(http, settings.sms_url, token, settings.sms_status_url)
        if settings.smtp_host and settings.mail_from:
            chosen["email"] = Mail(MailServer(settings, within_s=calls.WITHIN_S), settings.mail_from)
        if settings.webhook_secret_file:
            secret = read_secret("webhook_secret_file", Path(settings.webhook_secret_file))
            chosen["webhook"] = Webhook(http, secret)
        yield ByKind(chosen)


def lacks(settings: Settings, kinds: frozenset[str]) -> Iterator[str]:
    """What the settings lack for live mode, in words; `kinds`: of the messages that the force's contacts ask for."""
    sms = settings.sms_url or (settings.notify_key_file and settings.notify_sms_template)
    mail = (settings.smtp_host and settings.mail_from) or (settings.notify_key_file and settings.notify_email_template)
    if not sms:
        yield "a carrier of texts (notify_key_file with notify_sms_template, or sms_url)"
    if "email" in kinds and not mail:
        yield "a carrier of e-mails, for the force's contacts have some (smtp_host with mail_from, or Notify)"
    if "webhook" in kinds and not settings.webhook_secret_file:
        yield "the secret of the webhooks that the force's contacts have (webhook_secret_file)"
