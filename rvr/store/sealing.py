"""Seals personal data: AES-256-GCM under one random data key a scope, wrapped by the master key.

A scope is a stream (`case/<id>`, `person/<id>`). Destroying its data key erases everything that was sealed under it,
in every backup that does not hold the key, while the hashes over the ciphertext still verify. What is sealed is bound
to its place by the associated data: it does not open in another row.
"""

from __future__ import annotations

import hmac
import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rvr.core.errors import RvrError
from rvr.core.identity import IdentityKey
from rvr.store.engine import Connection
from rvr.store.keys import KEY_BYTES, Keys
from rvr.store.ledger import canonical

NONCE_BYTES = 12
"""Random 96-bit nonces: one key may be used 2^32 times (NIST SP 800-38D, 8.3); no case comes near."""


AT_ONCE = 100
"""Keys asked for in one statement. A case has one; the feed and the outbox ask for those of many."""


class SealBroken(RvrError):
    """What is sealed was changed, or moved to another place. Not the same as erased, which reads as absent."""

    code = "seal-broken"


@dataclass(frozen=True, slots=True, repr=False)
class DataKey:
    """The opened data key of one scope."""

    id: str
    secret: bytes


class Sealer:
    """Seals and opens with the keys of one store. Keeps no opened key, so that a destroyed one is gone at once."""

    def __init__(self, keys: Keys, reread: Callable[[], Keys] | None = None) -> None:
        self._keys, self._reread = keys, reread

    def fingerprint(self, told: bytes) -> bytes:
        """HMAC-SHA256 under the index key."""
        return hmac.digest(self._keys.index, told, "sha256")

    def digest(self, key: IdentityKey) -> bytes:
        """The blind index of a person's key: HMAC-SHA256 under a key of each role's and kind's own, so that nobody
        can see whether a number, a name, a victim or a suspect stands behind two rows that are equal.
        """
        own = self.fingerprint(f"identity/{key.role}/{key.kind}".encode())
        return hmac.digest(own, key.text.encode(), "sha256")

    def key_for(self, connection: Connection, scope: str) -> DataKey:
        """The scope's current data key, made at first use. Needs the writing connection."""
        row = connection.execute(
            "SELECT key_id, scope, master_id, wrapped FROM data_key WHERE scope = :scope AND length(wrapped) > 0"
            " LIMIT 1",
            {"scope": scope},
        ).fetchone()
        return self._unwrap(*row) if row else self._create(connection, scope)

    def keys_of(self, connection: Connection, key_ids: Iterable[str]) -> dict[str, DataKey]:
        """The data keys with these ids; a destroyed one is left out."""
        wanted, found = sorted(set(key_ids) - {""}), dict[str, DataKey]()
        for start in range(0, len(wanted), AT_ONCE):
            told = {f"k{number}": key_id for number, key_id in enumerate(wanted[start : start + AT_ONCE])}
            rows = connection.execute(
                "SELECT key_id, scope, master_id, wrapped FROM data_key WHERE length(wrapped) > 0"  # noqa: S608 (names)
                f" AND key_id IN ({', '.join(f':{name}' for name in told)})",
                told,
            )
            found |= {row[0]: self._unwrap(*row) for row in rows}
        return found

    def derived(self, connection: Connection, scope: str, purpose: str) -> bytes | None:
        """A key of its own for a file that belongs to this scope, never stored: it goes when the scope's does. None
        where that was destroyed, or nothing was ever sealed.
        """
        row = connection.execute(
            "SELECT key_id, scope, master_id, wrapped FROM data_key WHERE scope = :scope AND length(wrapped) > 0"
            " LIMIT 1",
            {"scope": scope},
        ).fetchone()
        if row is None:
            return None
        return HKDF(SHA256(), KEY_BYTES, None, f"rvr/{purpose}".encode()).derive(self._unwrap(*row).secret)

    def _create(self, connection: Connection, scope: str) -> DataKey:
        master_id, master = self._keys.masters[-1]
        key = DataKey(str(uuid.uuid4()), os.urandom(KEY_BYTES))
        connection.execute(
            "INSERT INTO data_key (key_id, scope, master_id, wrapped) VALUES (:key_id, :scope, :master_id, :wrapped)",
            {
                "key_id": key.id,
                "scope": scope,
                "master_id": master_id,
                "wrapped": _encrypt(master, key.secret, place_of(scope, key.id)),
            },
        )
        return key

    def _unwrap(self, key_id: str, scope: str, master_id: str, wrapped: bytes) -> DataKey:
        return DataKey(key_id, _decrypt(self._master(master_id), wrapped, place_of(scope, key_id)))

    def _master(self, master_id: str) -> bytes:
        """A master key that is not known yet was made while this process ran: the key file has it."""
        if self._reread is not None and all(known != master_id for known, _ in self._keys.masters):
            self._keys = self._reread()
        return self._keys.master(master_id)


def place_of(scope: str, key_id: str) -> str:
    """To which place a wrapped data key is bound."""
    return f"{scope}|{key_id}"


def rewrap(wrapped: bytes, place: str, old: bytes, new: bytes) -> bytes:
    """A wrapped data key under another master key. Raises SealBroken."""
    return _encrypt(new, _decrypt(old, wrapped, place), place)


def seal_event(key: DataKey, stream: str, version: int, kind: str, fields: Mapping[str, Any]) -> bytes:
    """nonce(12) ‖ ciphertext of the sealed fields of one event."""
    return _encrypt(key.secret, canonical(fields), f"{stream}|{version}|{kind}|{key.id}")


def unseal_event(key: DataKey | None, stream: str, version: int, kind: str, sealed: bytes) -> dict[str, Any]:
    """The sealed fields; none without a key, for it was destroyed. Raises SealBroken."""
    if key is None or not sealed:
        return {}
    fields: dict[str, Any] = json.loads(_decrypt(key.secret, sealed, f"{stream}|{version}|{kind}|{key.id}"))
    return fields


def seal_row(key: DataKey, table: str, row_id: str, column: str, value: Any) -> bytes:
    """nonce(12) ‖ ciphertext of a JSON value in a row that is no event."""
    return _encrypt(key.secret, canonical(value), f"{table}|{row_id}|{column}|{key.id}")


def unseal_row(key: DataKey | None, table: str, row_id: str, column: str, sealed: bytes) -> Any:
    """The JSON value; None without a key, for it was destroyed. Raises SealBroken."""
    if key is None or not sealed:
        return None
    return json.loads(_decrypt(key.secret, sealed, f"{table}|{row_id}|{column}|{key.id}"))


def _encrypt(key: bytes, text: bytes, place: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, place.encode())


def _decrypt(key: bytes, sealed: bytes, place: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken(place=place) from error
