"""Passkeys of local accounts (WebAuthn level 3, by `webauthn`): a key on a device, unlocked there, in place of password
and code. A look-alike site gets nothing from it: the browser names the real one in what is signed.

A challenge is made by the desk and recognised again by its own seal, so that nothing is kept for strangers. It holds
when it was made: it is good for two minutes, and each passkey takes none that is not later than its last.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from rvr.config import Settings
from rvr.core.moment import iso
from rvr.desk import Desk
from rvr.store.engine import Connection
from rvr.store.tables import PasskeyRow

GOOD_FOR = timedelta(minutes=2)
_STAMP, _RANDOM, _SEAL = 8, 16, 16
_USE = (
    "UPDATE passkey SET challenge = :at, uses = :uses, used_at = :now WHERE id = :id AND challenge < :at RETURNING id"
)


class PasskeyRefused(Exception):
    """What the browser sent proves nothing."""


def challenge(desk: Desk, purpose: str) -> bytes:
    """When it was made, something random, and a seal over both and what it is for."""
    made = int(desk.observe().at.timestamp() * 1_000_000).to_bytes(_STAMP, "big") + os.urandom(_RANDOM)
    return made + _seal(desk, purpose, made)


def made_at(desk: Desk, purpose: str, told: bytes, now: datetime) -> int:
    """When this challenge was made, in microseconds. Raises PasskeyRefused for one that is not ours, or too old."""
    made, seal = told[: _STAMP + _RANDOM], told[_STAMP + _RANDOM :]
    if not hmac.compare_digest(seal, _seal(desk, purpose, made)):
        raise PasskeyRefused
    at = int.from_bytes(made[:_STAMP], "big")
    if not 0 <= now.timestamp() * 1_000_000 - at <= GOOD_FOR / timedelta(microseconds=1):
        raise PasskeyRefused
    return at


def _seal(desk: Desk, purpose: str, made: bytes) -> bytes:
    return desk.store.fingerprint(f"passkey/{purpose}/".encode() + made)[:_SEAL]


def of_the_answer(answer: Mapping[str, Any]) -> bytes:
    """The challenge that the browser says it answered. Raises PasskeyRefused."""
    try:
        told = json.loads(base64url_to_bytes(answer["response"]["clientDataJSON"]))
        return base64url_to_bytes(told["challenge"])
    except (KeyError, TypeError, ValueError):
        raise PasskeyRefused from None


def to_register(
    desk: Desk, settings: Settings, person: str, username: str, name: str, have: Sequence[PasskeyRow]
) -> str:
    """What the browser needs to make a new one, as JSON."""
    options = webauthn.generate_registration_options(
        rp_id=site(settings),
        rp_name=f"RVR {settings.force}",
        user_id=person.encode(),
        user_name=username,
        user_display_name=name,
        challenge=challenge(desk, f"register/{person}"),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.id)) for one in have],
    )
    return webauthn.options_to_json(options)


def registered(desk: Desk, settings: Settings, person: str, name: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the new passkey. Raises PasskeyRefused."""
    told, now = of_the_answer(answer), desk.observe().at
    at = made_at(desk, f"register/{person}", told, now)
    try:
        proof = webauthn.verify_registration_response(
            credential=dict(answer),
            expected_challenge=told,
            expected_rp_id=site(settings),
            expected_origin=settings.base_url,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise PasskeyRefused from None
    return {
        "id": bytes_to_base64url(proof.credential_id),
        "person": person,
        "name": name,
        "public_key": proof.credential_public_key,
        "uses": proof.sign_count,
        "challenge": at,
    }


def to_sign_in(desk: Desk, settings: Settings) -> str:
    """What the browser needs to sign in with whichever passkey its owner chooses, as JSON."""
    options = webauthn.generate_authentication_options(
        rp_id=site(settings),
        challenge=challenge(desk, "sign-in"),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


async def used(desk: Desk, settings: Settings, row: PasskeyRow, answer: Mapping[str, Any]) -> None:
    """Checks that this passkey was used here and now, and notes it. Raises PasskeyRefused, also for a second use."""
    told, now = of_the_answer(answer), desk.observe().at
    at = made_at(desk, "sign-in", told, now)
    try:
        proof = webauthn.verify_authentication_response(
            credential=dict(answer),
            expected_challenge=told,
            expected_rp_id=site(settings),
            expected_origin=settings.base_url,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.uses,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise PasskeyRefused from None
    values = {"at": at, "uses": proof.new_sign_count, "now": iso(now), "id": row.id}

    def note(connection: Connection) -> bool:
        return connection.execute(_USE, values).fetchone() is not None

    if not await desk.store.write(note):
        raise PasskeyRefused


def site(settings: Settings) -> str:
    """The host whose passkeys these are. An address of numbers is none: browsers then offer nothing."""
    return urlsplit(settings.base_url).hostname or ""
