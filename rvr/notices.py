"""Who hears of something away from the screens: whoever is on call for a role, and the partner of a referral.

A notice carries a reference or a link, and no word about the people: it may be read on anybody's telephone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rvr.core import events as e
from rvr.core.case import Case
from rvr.core.force import Contacts
from rvr.messages import Catalogue
from rvr.store.messages import Message


def notices(
    case: Case,
    made: Iterable[e.Event],
    *,
    contacts: Contacts,
    words: Catalogue,
    staff_url: str,
    new_id: Callable[[], str],
) -> Iterator[Message]:
    """The messages that these events of the case ask for, to be written in the same transaction."""
    for event in made:
        match event.fact:
            case e.AlarmRaised(to_role=role, about=about):
                what = words.name("alarm", about)
            case e.HandoverEscalated(to_role=role):
                what = words.name("alarm", "handover_waits")
            case e.ReferralMade(how="email", partner=partner):
                to = contacts.partners.get(partner, "")
                body = words.say("notice.referral", link=f"{staff_url}/cases/{case.id}")
                if to:
                    yield Message(new_id(), case.id, "email", to, body)
                continue
            case _:
                continue
        body = words.say("notice.alarm", reference=case.reference, what=what)
        for on_call in contacts.on_call:
            if on_call.role == role:
                yield Message(new_id(), case.id, on_call.channel, on_call.to, body)
