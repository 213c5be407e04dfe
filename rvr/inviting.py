"""The links and the texts that a decision's events ask for: written with them, or not at all."""

from __future__ import annotations

from dataclasses import replace

from rvr import links as tokens
from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.decide import Decision
from rvr.core.moment import iso
from rvr.messages import catalogue
from rvr.store import Batch
from rvr.store.messages import Message
from rvr.store.store import Store
from rvr.store.tables import LinkRow, every

LINKS_CHANGE = (
    *(e.LinkSent, e.GuestInvited, e.GuestRefused, e.GuestRemoved, e.SessionEnded, e.VictimExited),
    *(e.FeedbackInvited, e.FeedbackGiven, e.FeedbackWithheld),
)


class Inviting:
    """Of one desk."""

    def __init__(self, store: Store, join_url: str, link_text: str) -> None:
        """`link_text`: of the text to the victim, with {link} in it."""
        self._store, self._join_url, self._link_text = store, join_url, link_text

    async def with_links(self, batch: Batch, decision: Decision) -> Batch:
        """The batch with the rows of new links, or the end of those there are, and the texts that carry them."""
        facts = [event.fact for event in decision.events]
        if not any(isinstance(fact, LINKS_CHANGE) for fact in facts):
            return batch
        now = iso(decision.events[0].at.at)
        dead = [
            LinkRow(**{**row.model_dump(), "revoked_at": now})
            for row in await self._links_of(decision.case.id)
            if any(_ends(fact, row) for fact in facts)
        ]
        made = [self._link(decision.case, fact) for fact in facts if isinstance(fact, e.LinkSent | e.GuestInvited)]
        made += [self._questions(decision.case, fact) for fact in facts if isinstance(fact, e.FeedbackInvited)]
        links, texts = [row for row, _ in filter(None, made)], [text for _, text in filter(None, made)]
        return replace(batch, links=(*dead, *links), messages=(*batch.messages, *texts))

    def _link(self, case: Case, fact: e.LinkSent | e.GuestInvited) -> tuple[LinkRow, Message] | None:
        """A new link with the message that carries it; None for a guest who needs none."""
        if case.session is None or not fact.link:
            return None
        token = tokens.new_token()
        row = LinkRow(
            id=fact.link,
            case_id=case.id,
            seat=fact.seat if isinstance(fact, e.GuestInvited) else case.session.victim_seat,
            token_hash=tokens.hash_of(token),
            expires_at=fact.expires_at,
            guest=fact.guest if isinstance(fact, e.GuestInvited) else "",
        )
        if isinstance(fact, e.LinkSent):
            body = self._link_text.replace("{link}", f"{self._join_url}/j#{token}")
            return row, Message(fact.link, case.id, "sms", fact.number, body)
        words = catalogue()
        link, role = f"{self._join_url}/g#{token}", words.name("seat", fact.guest_role)
        return row, Message(fact.link, case.id, fact.channel, fact.to, words.say("notice.guest", role=role, link=link))

    def _questions(self, case: Case, fact: e.FeedbackInvited) -> tuple[LinkRow, Message]:
        """The link to the questions afterwards, with the text that carries it."""
        token = tokens.new_token()
        row = LinkRow(
            id=fact.link,
            case_id=case.id,
            seat="",
            token_hash=tokens.hash_of(token),
            expires_at=fact.expires_at,
            purpose=tokens.FEEDBACK,
        )
        said = catalogue().say("notice.feedback", link=f"{self._join_url}/f#{token}")
        return row, Message(fact.link, case.id, fact.channel, fact.number, said)

    async def _links_of(self, case_id: str) -> list[LinkRow]:
        return await self._store.read(
            lambda session: every(session, LinkRow, LinkRow.case_id == case_id, LinkRow.revoked_at == "")
        )


def _ends(fact: e.Fact, row: LinkRow) -> bool:
    """Whether this fact is the end of a link. A new one for the victim leaves whoever has joined the seat, the help and
    the exit, and no guest is concerned.
    """
    if row.purpose == tokens.FEEDBACK:
        return isinstance(fact, e.FeedbackGiven | e.FeedbackWithheld)
    match fact:
        case e.SessionEnded() | e.VictimExited():
            return True
        case e.GuestRefused(guest=guest) | e.GuestRemoved(guest=guest):
            return row.guest == guest
        case e.LinkSent():
            return not row.guest and not row.browser_hash
    return False
