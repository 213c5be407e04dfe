"""The mail server of the settings: one mail at a time, taken or not."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

import aiosmtplib

from rvr.config import Settings, read_secret


class MailNotTaken(Exception):
    """`refused`: the server says no (5xx), and somebody has to change something first; else another try may help."""

    def __init__(self, *, refused: bool) -> None:
        super().__init__("refused" if refused else "unreachable")
        self.refused = refused


class MailServer:
    """Raises SettingFault where the password's file cannot be used."""

    def __init__(self, settings: Settings, *, within_s: float) -> None:
        self._settings, self._within_s = settings, within_s
        file = settings.smtp_password_file
        self._password = read_secret("smtp_password_file", Path(file)) if file else None

    async def send(self, mail: EmailMessage) -> None:
        """Raises MailNotTaken."""
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
            raise MailNotTaken(refused=_is_refusal(error)) from None


def _is_refusal(error: Exception) -> bool:
    refused = error.recipients if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else [error]
    return any(getattr(one, "code", 0) >= 500 for one in refused)


def a_mail(sender: str, to: str, subject: str, text: str, at: datetime, *, id_: str = "") -> EmailMessage:
    """A mail of plain text. `id_`: of what it carries, so that a repeat has the same Message-ID."""
    mail, domain = EmailMessage(), sender.rpartition("@")[2]
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{id_}@{domain}>" if id_ else make_msgid(domain=domain)
    mail.set_content(text, cte="quoted-printable")  # a line may be long, or begin with a sign outside ASCII
    return mail
