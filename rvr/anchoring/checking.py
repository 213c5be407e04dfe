"""What `verify` says of the anchors that were kept: each proof against the checkpoint that it is of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.x509 import Certificate

from rvr.anchoring.timestamps import existed, trusted
from rvr.anchoring.witnesses import configured
from rvr.config import Settings
from rvr.core.moment import iso
from rvr.cosigning import cosignature
from rvr.messages import catalogue
from rvr.store import anchors
from rvr.store.anchors import TIMESTAMP, WITNESS, Anchor
from rvr.store.notes import Verifier
from rvr.store.store import Store


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, as sentences."""

    faults: list[str]
    told: list[str]
    """Of each witness, authority and mailbox: the newest head that it has."""


async def check(store: Store, settings: Settings) -> Checked:
    """Every anchor of the store: see `check_all`."""
    return check_all(await store.look(anchors.every), settings)


def check_all(kept: Iterable[tuple[Anchor, str]], settings: Settings) -> Checked:
    """Anchors, each with the note of its checkpoint. A witness or an authority that no setting names is told as not
    checked. Raises SettingFault."""
    keys = {one.key.name: one.key for one in configured(settings)}
    roots = trusted(settings) if settings.timestamp_ca else []
    faults, newest, counts, words = list[str](), dict[tuple[str, str], str](), Counter[tuple[str, str]](), catalogue()
    for anchor, note in kept:
        whose = anchor.kind, anchor.name
        try:
            newest[whose] = _told(anchor, note, keys, roots)
            counts[whose] += 1
        except ValueError:
            faults.append(words.say("anchor.false", kind=anchor.kind, name=anchor.name, size=anchor.size))
    told = [words.say("anchor.newest", told=one, count=counts[whose]) for whose, one in newest.items()]
    return Checked(faults, told)


def _told(anchor: Anchor, note: str, keys: Mapping[str, Verifier], roots: list[Certificate]) -> str:
    """Raises ValueError for a proof that is false, or of a checkpoint that is gone."""
    words, told = catalogue(), {"name": anchor.name, "size": anchor.size, "at": anchor.at}
    if not note:
        raise ValueError("the checkpoint is gone")
    if anchor.kind == WITNESS and anchor.name in keys:
        found = cosignature(keys[anchor.name], note, [anchor.proof.decode()])
        return words.say("anchor.cosigned", **told | {"at": iso(datetime.fromtimestamp(found.at, UTC))})
    if anchor.kind == TIMESTAMP and roots:
        stamped = existed(note, anchor.proof, roots)
        return words.say("anchor.existed", **told | {"at": iso(stamped.at), "name": stamped.by})
    return words.say("anchor.mailed" if anchor.kind == anchors.MAIL else "anchor.unchecked", **told)
