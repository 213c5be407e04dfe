"""Carries the newest head to a mailbox once a day: whoever keeps those mails has an anchor that no desk can reach.

The first mail of a UTC day that has a head which was not yet mailed. A day on which it could not be sent is made up
for by the next mail: a head covers all before it.
"""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

import aiosmtplib

from rvr.anchoring.refused import CannotAnchor
from rvr.config import Settings, read_secret
from rvr.core.moment import iso
from rvr.messages import catalogue
from rvr.store import anchors
from rvr.store.anchors import MAIL, Anchor
from rvr.store.checkpoints import Checkpoint
from rvr.store.store import Store

RETRY_S = 60.0
"""After a server that is away, or says that it cannot just now (4xx)."""

REFUSED_S = 3600.0
"""After a server that says no (5xx): somebody has to change something first."""


class Mails:
    """The mail server of the settings."""

    kind, name = MAIL, ""

    def __init__(self, store: Store, settings: Settings, *, within_s: float) -> None:
        self._store, self._settings, self._within_s = store, settings, within_s
        self._password = _password(settings)

    async def carry(self, head: Checkpoint, now: datetime, *, last: bool) -> None:
        kept = await self._store.look(lambda connection: anchors.last(connection, MAIL, ""))
        today = now.date().isoformat()
        if kept and (kept.subject >= today or kept.size >= head.size):
            return
        mail = self._mail(head, now)
        await self._send(mail)
        row = Anchor(MAIL, "", today, head.size, iso(now), str(mail["Message-ID"]).encode())
        await self._store.write(lambda connection: anchors.keep(connection, row))

    def _mail(self, head: Checkpoint, now: datetime) -> EmailMessage:
        words, sender, mail = catalogue(), self._settings.head_mail_from, EmailMessage()
        mail["From"], mail["To"] = sender, self._settings.head_mail_to
        mail["Subject"] = words.say("anchor.mail_subject", size=head.size, day=now.date().isoformat())
        mail["Date"], mail["Message-ID"] = format_datetime(now), make_msgid(domain=sender.rpartition("@")[2])
        text = words.say("anchor.mail_text", note=head.note, public=self._store.notary.verifier)
        mail.set_content(text, cte="quoted-printable")  # its lines are long, and one begins with a dash outside ASCII
        return mail

    async def _send(self, mail: EmailMessage) -> None:
        told = self._settings
        try:
            await aiosmtplib.send(
                mail,
                hostname=told.smtp_host,
                port=told.smtp_port,
                username=told.smtp_user or None,
                password=self._password,
                use_tls=told.smtp_security == "tls",
                start_tls=told.smtp_security == "starttls",
                timeout=self._within_s,
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _fault(error) from None


def _fault(error: Exception) -> CannotAnchor:
    refused = error.recipients if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else [error]
    if any(getattr(one, "code", 0) >= 500 for one in refused):
        return CannotAnchor("mail-refused", wait_s=REFUSED_S)
    return CannotAnchor("mail-unreachable", wait_s=RETRY_S)


def _password(settings: Settings) -> str | None:
    file = settings.smtp_password_file
    return read_secret("smtp_password_file", Path(file)) if file else None
