"""Carries heads to a time-stamp authority (RFC 3161): its token says that the checkpoint was there at its time.

The request tells the authority the SHA-256 of the checkpoint's note and nothing else. A token is checked before it is
kept: the request's own nonce, the hash, and a chain of certificates to one that the setting names.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import aiohttp
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from rvr.anchoring.refused import CannotAnchor
from rvr.config import SettingFault, Settings
from rvr.core.moment import iso, parse_iso
from rvr.store import anchors
from rvr.store.anchors import TIMESTAMP, Anchor
from rvr.store.checkpoints import Checkpoint
from rvr.store.store import Store

EVERY = timedelta(hours=1)
"""Authorities ask for money or for restraint; between two tokens the witnesses' own times stand."""

RETRY_S = 60.0

MOST_BYTES = 65_536
"""Of an answer: a token with its certificates has some 2 to 6 kB."""


class Existed(NamedTuple):
    """What a token says of a note."""

    at: datetime
    by: str
    """The authority, as its certificate names it."""


def trusted(settings: Settings) -> list[Certificate]:
    """The certificates that a token must lead to. Raises SettingFault."""
    try:
        return load_pem_x509_certificates(Path(settings.timestamp_ca).read_bytes())
    except (OSError, ValueError):
        raise SettingFault(
            f"The setting “timestamp_ca”: {settings.timestamp_ca or 'nothing'} is no PEM file of certificates"
        ) from None


def existed(note: str, token: bytes, roots: list[Certificate], nonce: int | None = None) -> Existed:
    """When the note existed, and who says so. Raises ValueError for a token that does not show that."""
    try:
        answer = decode_timestamp_response(token)
        VerifierBuilder(roots=roots, nonce=nonce).build().verify_message(answer, note.encode())
        return Existed(answer.tst_info.gen_time, _signer(answer))
    except VerificationError as wrong:
        raise ValueError(str(wrong)) from wrong


def _signer(answer: TimeStampResponse) -> str:
    """The subject of the certificate that the token is signed with."""
    (signer,) = answer.signed_data.signer_infos
    found = (load_der_x509_certificate(one) for one in answer.signed_data.certificates)
    return next(
        one.subject.rfc4514_string()
        for one in found
        if (one.issuer, one.serial_number) == (signer.issuer, signer.serial_number)
    )


class Timestamps:
    """The authority of the settings."""

    kind = TIMESTAMP

    def __init__(self, store: Store, settings: Settings, web: aiohttp.ClientSession) -> None:
        self._store, self._web, self._roots = store, web, trusted(settings)
        self.name = settings.timestamp_url

    async def carry(self, head: Checkpoint, now: datetime, *, last: bool) -> None:
        kept = await self._store.look(lambda connection: anchors.last(connection, TIMESTAMP, self.name))
        if kept and (kept.size >= head.size or (now < parse_iso(kept.at) + EVERY and not last)):
            return
        request = TimestampRequestBuilder().data(head.note.encode()).hash_algorithm(HashAlgorithm.SHA256).build()
        token = await self._post(request.as_bytes())
        try:
            existed(head.note, token, self._roots, request.nonce)
        except ValueError:
            raise CannotAnchor("timestamp-rejects", wait_s=RETRY_S) from None
        row = Anchor(TIMESTAMP, self.name, str(head.size), head.size, iso(now), token)
        await self._store.write(lambda connection: anchors.keep(connection, row))

    async def _post(self, query: bytes) -> bytes:
        try:
            async with self._web.post(
                self.name, data=query, headers={"Content-Type": "application/timestamp-query"}, allow_redirects=False
            ) as answer:
                if answer.status == 200:
                    return await answer.content.read(MOST_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        raise CannotAnchor("timestamp-unreachable", wait_s=RETRY_S)
