"""Signed notes (C2SP signed-note v1, Ed25519): a text, an empty line, and a line that tells who signed it.

Pure but for the library's Ed25519, whose signatures are deterministic: the same text gives the same bytes.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519 = b"\x01"
"""The specification's number for the kind of signature."""


class Notary:
    """Signs texts under one name."""

    def __init__(self, name: str, seed: bytes) -> None:
        """`name`: without spaces and plus signs. `seed`: 32 bytes (RFC 8032, 5.1.5). Raises ValueError."""
        if not name or "+" in name or any(letter.isspace() for letter in name):
            raise ValueError(f"{name!r} is no name for a key")
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = _ED25519 + self._key.public_key().public_bytes_raw()
        self._id = sha256(name.encode() + b"\n" + public).digest()[:4]
        self.verifier = f"{name}+{self._id.hex()}+{b64encode(public).decode()}"
        """The public key as others are told it: `name+hash+base64`."""

    def sign(self, text: str) -> str:
        """The signature line for the text, with its line end."""
        signature = self._id + self._key.sign(text.encode())
        return f"— {self.name} {b64encode(signature).decode()}\n"

    def note(self, text: str) -> str:
        """The whole note. Raises ValueError for a text that does not end with a line end."""
        if not text.endswith("\n"):
            raise ValueError("the text of a note ends with a line end")
        return f"{text}\n{self.sign(text)}"

    def signed(self, note: str) -> bool:
        """Whether the note is exactly what this key would have written."""
        text, gap, _ = note.rpartition("\n\n")
        return bool(gap) and note == self.note(f"{text}\n")
