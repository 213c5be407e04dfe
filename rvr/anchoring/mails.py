"""Carries the newest head to a mailbox once a day: whoever keeps those mails has an anchor that no desk can reach.

The first mail of a UTC day that has a head which was not yet mailed. A day on which it could not be sent is made up
for by the next mail: a head covers all before it.
"""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage

from rvr.anchoring.refused import CannotAnchor
from rvr.config import Settings
from rvr.core.moment import iso
from rvr.mailing import MailNotTaken, MailServer, a_mail
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
        self._store, self._settings = store, settings
        self._server = MailServer(settings, within_s=within_s)

    async def carry(self, head: Checkpoint, now: datetime, *, last: bool) -> None:
        kept = await self._store.look(lambda connection: anchors.last(connection, MAIL, ""))
        today = now.date().isoformat()
        if kept and (kept.subject >= today or kept.size >= head.size):
            return
        mail = self._mail(head, now)
        try:
            await self._server.send(mail)
        except MailNotTaken as fault:
            if fault.refused:
                raise CannotAnchor("mail-refused", wait_s=REFUSED_S) from None
            raise CannotAnchor("mail-unreachable", wait_s=RETRY_S) from None
        row = Anchor(MAIL, "", today, head.size, iso(now), str(mail["Message-ID"]).encode())
        await self._store.write(lambda connection: anchors.keep(connection, row))

    def _mail(self, head: Checkpoint, now: datetime) -> EmailMessage:
        words, told = catalogue(), self._settings
        subject = words.say("anchor.mail_subject", size=head.size, day=now.date().isoformat())
        text = words.say("anchor.mail_text", note=head.note, public=self._store.notary.verifier)
        return a_mail(told.head_mail_from, told.head_mail_to, subject, text, now)
