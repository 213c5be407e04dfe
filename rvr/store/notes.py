"""Signed notes (C2SP signed-note v1, Ed25519): a text, an empty line, and a line that tells who signed it.

Pure but for the library's Ed25519, whose signatures are deterministic: the same text gives the same bytes.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

CHECKPOINT = b"\x01"
"""The specification's number for an Ed25519 signature over the text of a note."""


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes that name a key. `public`: the kind's number and the key. Raises ValueError for a bad name."""
    if not name or "+" in name or any(letter.isspace() for letter in name):
        raise ValueError(f"{name!r} is no name for a key")
    return sha256(name.encode() + b"\n" + public).digest()[:4]


def signature_line(name: str, signature: bytes) -> str:
    """`signature` begins with the four bytes that name the key."""
    return f"— {name} {b64encode(signature).decode()}\n"


def parted(note: str) -> tuple[str, list[str]]:
    """The text of a note and its signature lines, with their line ends. Raises ValueError for what is no note."""
    text, gap, lines = note.rpartition("\n\n")
    if not gap or not lines.endswith("\n") or any(letter < " " and letter != "\n" for letter in note):
        raise ValueError("no signed note")
    return f"{text}\n", [f"{line}\n" for line in lines[:-1].split("\n")]


class Verifier:
    """Somebody's public Ed25519 key, as it is told: `name+hash+base64`. Raises ValueError for what is none."""

    def __init__(self, told: str) -> None:
        self.told = told
        self.name, hashed, encoded = told.split("+", 2)
        public = b64decode(encoded, validate=True)
        self._id = key_id(self.name, public)
        if hashed != self._id.hex() or len(public) != 33:
            raise ValueError(f"{told!r} is no public key")
        self.kind = public[:1]
        """What it signs with: 0x01 a note's text, 0x04 a cosignature of a checkpoint."""
        self._key = Ed25519PublicKey.from_public_bytes(public[1:])

    def of(self, lines: list[str]) -> list[bytes]:
        """The signatures of this key among these lines. Those of other keys, known or not, are no concern of it."""
        return [signature for line in lines if (signature := self._own(line)) is not None]

    def _own(self, line: str) -> bytes | None:
        dash, _, rest = line.removesuffix("\n").partition(" ")
        name, _, encoded = rest.partition(" ")
        if (dash, name) != ("—", self.name):
            return None
        try:
            signature = b64decode(encoded, validate=True)
        except ValueError:
            return None
        return signature[4:] if signature[:4] == self._id else None

    def fits(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed these bytes."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def signed(self, note: str) -> bool:
        """Whether this key signed the note's text, and none of its lines is false. Raises ValueError for no note."""
        text, lines = parted(note)
        return bool(found := self.of(lines)) and all(self.fits(text.encode(), one) for one in found)


class Notary:
    """Signs texts under one name."""

    def __init__(self, name: str, seed: bytes) -> None:
        """`name`: without spaces and plus signs. `seed`: 32 bytes (RFC 8032, 5.1.5). Raises ValueError."""
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = CHECKPOINT + self._key.public_key().public_bytes_raw()
        self._id = key_id(name, public)
        self.verifier = f"{name}+{self._id.hex()}+{b64encode(public).decode()}"
        """The public key as others are told it: `name+hash+base64`."""

    def sign(self, text: str) -> str:
        """The signature line for the text, with its line end."""
        return signature_line(self.name, self._id + self._key.sign(text.encode()))

    def note(self, text: str) -> str:
        """The whole note. Raises ValueError for a text that does not end with a line end."""
        if not text.endswith("\n"):
            raise ValueError("the text of a note ends with a line end")
        return f"{text}\n{self.sign(text)}"

    def signed(self, note: str) -> bool:
        """Whether the note is exactly what this key would have written."""
        text, gap, _ = note.rpartition("\n\n")
        return bool(gap) and note == self.note(f"{text}\n")
