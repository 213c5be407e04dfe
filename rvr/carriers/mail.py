"""E-mail by the mail server of the settings. What it has taken is handed on: no more will be heard of it."""

from __future__ import annotations

from datetime import UTC, datetime

from rvr.carriers import Away, TurnedDown, Word
from rvr.mailing import MailNotTaken, MailServer, a_mail
from rvr.messages import catalogue
from rvr.store.messages import Message


class Mail:
    """Each message as a mail of its own, whose subject says nothing of what it is about."""

    def __init__(self, server: MailServer, sender: str) -> None:
        self._server, self._sender = server, sender

    async def send(self, message: Message, *, again: bool) -> Word:
        subject, now = catalogue().say("notice.subject"), datetime.now(UTC)
        try:
            await self._server.send(a_mail(self._sender, message.recipient, subject, message.body, now, id_=message.id))
        except MailNotTaken as fault:
            raise (TurnedDown if fault.refused else Away)(str(fault)) from None
        return "gone"

    async def word(self, message: Message) -> Word:
        return "gone"
