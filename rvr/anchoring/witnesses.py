"""Carries heads to witnesses: the submission of C2SP tlog-witness, with a proof from the size that the witness knows.

Nothing of a witness's word is taken without its signature, and a head that it does not take is not taken for seen.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

import aiohttp
import structlog

from rvr.anchoring.refused import CannotAnchor
from rvr.config import SettingFault, Settings
from rvr.core.moment import iso
from rvr.cosigning import COSIGNATURE, SIZE_TYPE, Cosignature, Submission, cosignature, number
from rvr.store import anchors
from rvr.store.anchors import WITNESS, Anchor
from rvr.store.checkpoints import Checkpoint
from rvr.store.merkle import Frontier
from rvr.store.notes import Verifier
from rvr.store.store import Store

log = structlog.get_logger()

TRIES = 4
"""A size may have moved on between two requests: another process of this desk submits, too."""

MOST_BYTES = 65_536
"""Of an answer: a few signature lines."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness of the settings."""

    url: str
    """Its submission prefix."""
    key: Verifier


def configured(settings: Settings) -> list[Witness]:
    """Pairs of address and public key. Raises SettingFault, which says which is none."""
    words = settings.witnesses.split()
    if len(words) % 2:
        raise SettingFault("The setting “witnesses” is pairs: the address of a witness, then its public key")
    return [_witness(url, key) for url, key in zip(words[::2], words[1::2], strict=True)]


def _witness(url: str, told: str) -> Witness:
    try:
        key = Verifier(told)
    except ValueError:
        raise SettingFault(f"The setting “witnesses” has “{told}”, which is no public key") from None
    if key.kind != COSIGNATURE or not url.startswith(("https://", "http://")):
        raise SettingFault(f"The setting “witnesses”: {url} {told} is not the address and the key of a witness")
    return Witness(url.rstrip("/"), key)


class Asked:
    """One witness, asked to cosign."""

    kind = WITNESS

    def __init__(self, store: Store, witness: Witness, web: aiohttp.ClientSession) -> None:
        self._store, self._witness, self._web = store, witness, web
        self.name = witness.key.name
        self._edge = Frontier()
        """Of the tree as the witness knows it; grown again after a start."""
        self._seen = 0
        """The size that it cosigned last, while this process runs. At a start it is asked in any case: a database that
        was put back believes that its own head is known."""

    async def carry(self, head: Checkpoint, now: datetime, *, last: bool) -> None:
        kept = await self._store.look(lambda connection: anchors.last(connection, WITNESS, self.name))
        known = kept.size if kept else 0
        if self._seen and max(self._seen, known) >= head.size:
            return
        await self._submit(head, min(known, head.size), now)

    async def _submit(self, head: Checkpoint, known: int, now: datetime) -> None:
        for _ in range(TRIES):
            status, answer = await self._post(await self._submission(known, head))
            match status:
                case 200:
                    return await self._keep(head, answer, now)
                case 409:
                    told = _size(answer)
                    head = await self._newest(head, told)
                    if told == known:
                        raise CannotAnchor("witness-fork", alarm=True)
                    if told < known:
                        log.warning("witness_forgot", kind=WITNESS)  # it lost its state: what it says now is new
                    known = told
                case 422:
                    raise CannotAnchor("witness-fork", alarm=True)
                case _:
                    raise CannotAnchor("witness-rejects")
        raise CannotAnchor("witness-rejects")

    async def _newest(self, head: Checkpoint, told: int) -> Checkpoint:
        """The head to go on with. What another process submitted is in the database: a larger size is nobody's."""
        newest = head if told <= head.size else await self._store.head()
        if newest is None or newest.size < told:
            raise CannotAnchor("witness-ahead", alarm=True)
        return newest

    async def _submission(self, known: int, head: Checkpoint) -> Submission:
        try:
            path = await asyncio.to_thread(self._path, known, head.size)
        except ValueError:  # events are missing: nothing leads to the head
            raise CannotAnchor("witness-fork", alarm=True) from None
        return Submission(known, tuple(path), head.note)

    def _path(self, known: int, size: int) -> list[bytes]:
        """Every tree begins with the empty one, and with itself: that needs no proof."""
        if not 0 < known < size:
            return []
        if self._edge.size > known:
            self._edge = Frontier()
        for leaf in self._store.leaves(self._edge.size, known):
            self._edge.append(leaf)
        if self._edge.size < known:
            raise ValueError("leaves are missing")
        return self._edge.consistency(size, self._store.leaves(known, size))

    async def _post(self, told: Submission) -> tuple[int, str]:
        try:
            url = f"{self._witness.url}/add-checkpoint"
            async with self._web.post(url, data=told.body(), allow_redirects=False) as answer:
                body = await answer.content.read(MOST_BYTES)
                typed = answer.status != 409 or answer.content_type == SIZE_TYPE
                return (answer.status if typed else 0), body.decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise CannotAnchor("witness-unreachable") from None

    async def _keep(self, head: Checkpoint, answer: str, now: datetime) -> None:
        try:
            found: Cosignature = cosignature(self._witness.key, head.note, answer.splitlines(keepends=True))
        except ValueError:
            raise CannotAnchor("witness-rejects") from None
        row = Anchor(WITNESS, self.name, str(head.size), head.size, iso(now), found.line.encode())
        await self._store.write(lambda connection: anchors.keep(connection, row))
        self._seen = head.size


def _size(answer: str) -> int:
    try:
        return number(answer.removesuffix("\n"))
    except ValueError:
        raise CannotAnchor("witness-rejects") from None
