"""The rules of witnessing, after C2SP tlog-witness and tlog-cosignature (cosignature/v1, Ed25519): what is submitted,
when a witness cosigns, what it then signs, and how that is checked. Pure: texts and keys in, a verdict out.

Both sides use them, a witness and whoever asks one; each keeps its own state.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rvr.store.checkpoints import Head
from rvr.store.merkle import EMPTY, verify_consistency
from rvr.store.notes import Verifier, key_id, parted, signature_line

COSIGNATURE = b"\x04"
"""The specification's number for a timestamped Ed25519 cosignature."""

MOST_STEPS = 63
"""No longer proof may be sent: a tree of 2^63 leaves needs no more."""

SIZE_TYPE = "text/x.tlog.size"
"""What an answer 409 is made of: the size that the witness knows."""

UNSEEN = Head(0, EMPTY)
"""What a witness knows of a log that it has never cosigned."""


class Refuses(Exception):
    """A witness does not cosign. `status`: the answer's number after the specification."""

    def __init__(self, status: int, size: int = 0) -> None:
        super().__init__(f"refused with {status}")
        self.status, self.size = status, size


# --- What is submitted -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint, with the proof that its tree begins with the one of `old` leaves."""

    old: int
    path: tuple[bytes, ...]
    note: str

    def body(self) -> bytes:
        """As it is sent to add-checkpoint."""
        steps = "".join(f"{b64encode(step).decode()}\n" for step in self.path)
        return f"old {self.old}\n{steps}\n{self.note}".encode()


def read_submission(body: bytes) -> Submission:
    """Raises ValueError for a body that is none."""
    lines, gap, note = body.decode().partition("\n\n")
    first, *steps = lines.split("\n")
    word, _, size = first.partition(" ")
    if word != "old" or not gap or len(steps) > MOST_STEPS:
        raise ValueError("no submission")
    return Submission(number(size), tuple(_hash(step) for step in steps), note)


def head_of(note: str) -> tuple[str, Head]:
    """The origin and the head that a checkpoint tells, signed or not. Raises ValueError for what is no checkpoint."""
    origin, size, root, *_ = parted(note)[0].split("\n")
    if not origin:
        raise ValueError("a checkpoint without its origin")
    return origin, Head(number(size), _hash(root))


def number(text: str) -> int:
    """A size, spelt in the one way. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and str(int(text)) == text and int(text) < 1 << 63):
        raise ValueError(f"{text!r} is no size")
    return int(text)


def _hash(text: str) -> bytes:
    found = b64decode(text, validate=True)
    if len(found) != 32 or b64encode(found).decode() != text:
        raise ValueError(f"{text!r} is no hash")
    return found


# --- When a witness cosigns --------------------------------------------------------------------------------------


def judge(told: Submission, logs: Mapping[str, Sequence[Verifier]], known: Mapping[str, Head]) -> tuple[str, Head]:
    """The log's origin and the head that may be cosigned, in the order of the specification's questions.

    `logs`: origin -> the keys that sign for it. `known`: origin -> the last head that was cosigned. Raises Refuses;
    ValueError for a note that is no checkpoint.
    """
    origin, head = head_of(told.note)
    if origin not in logs:
        raise Refuses(404)
    if not any(key.signed(told.note) for key in logs[origin]):
        raise Refuses(403)
    if told.old > head.size:
        raise Refuses(400)
    last = known.get(origin, UNSEEN)
    if told.old != last.size or (head.size == last.size and head != last):
        raise Refuses(409, last.size)
    if not verify_consistency(last.size, head.size, last.root, head.root, told.path):
        raise Refuses(422)
    return origin, head


# --- What it signs -----------------------------------------------------------------------------------------------


class Cosignature(NamedTuple):
    """That a witness knew this head as the largest of its log, and consistent with all before."""

    at: int
    """In seconds since 1970, UTC, by the witness's clock. Under the signature."""
    line: str
    """The signature line, with its line end."""


class Cosigner:
    """Cosigns checkpoints under one name."""

    def __init__(self, name: str, seed: bytes) -> None:
        """`seed`: 32 bytes (RFC 8032, 5.1.5). Raises ValueError for a name that no key can have."""
        self._name, self._key = name, Ed25519PrivateKey.from_private_bytes(seed)
        public = COSIGNATURE + self._key.public_key().public_bytes_raw()
        self._id = key_id(name, public)
        self.verifier = f"{name}+{self._id.hex()}+{b64encode(public).decode()}"
        """The public key as others are told it."""

    def cosign(self, note: str, at: int) -> Cosignature:
        """Whoever calls this has asked `judge`, and has put the head where a kill cannot reach it."""
        signature = self._key.sign(_message(parted(note)[0], at))
        return Cosignature(at, signature_line(self._name, self._id + at.to_bytes(8, "big") + signature))


def cosignature(witness: Verifier, note: str, lines: list[str]) -> Cosignature:
    """The witness's own among these lines. Raises ValueError where there is none, or a false one."""
    found, text = witness.of(lines), parted(note)[0]
    for stamped in found:
        if len(stamped) != 72 or not witness.fits(_message(text, int.from_bytes(stamped[:8], "big")), stamped[8:]):
            raise ValueError(f"{witness.name}: a cosignature that is not over this checkpoint")
    if not found or witness.kind != COSIGNATURE:
        raise ValueError(f"{witness.name}: no cosignature")
    at = int.from_bytes(found[0][:8], "big")
    return Cosignature(at, next(line for line in lines if witness.of([line])))


def _message(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()
