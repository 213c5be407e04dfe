"""Secret sharing: a secret as shares on paper, any `need` of which give it back; fewer tell nothing but its length.

Shamir's scheme over GF(256), byte by byte, with the field of AES and the layout of draft-mcgrew-tss-03, whose test
vector it meets. Ours because it is forty lines, and a key must be restorable in years to come with this file alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import textwrap
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MOST = 16
"""Shares that anybody could look after."""

_DIGEST = 32
_LINE = 60


class BadShare(Exception):
    """Shares cannot be read or do not belong together: a sentence for whoever typed them in."""


@dataclass(frozen=True, slots=True, repr=False)
class Share:
    """One share. Has no repr, so that no log can hold one."""

    force: str
    bundle: str
    """Random id of the splitting: shares of two of them do not go together."""
    number: int
    need: int
    of: int
    data: bytes

    def text(self) -> str:
        """As it is printed and kept."""
        signs = base64.b32encode(self.data).decode().rstrip("=")
        lines = textwrap.wrap(" ".join(textwrap.wrap(signs, 5)), _LINE)
        head = f"RVR key share {self.number} of {self.of}: any {self.need} of them restore the key file\n"
        facts = f"force: {self.force}\nset: {self.bundle}\nchecksum: {self.checksum}\n"
        return "\n".join([head, facts, *lines, "", "Restore: python3 run.py keys restore SHARE SHARE --out FILE", ""])

    @property
    def checksum(self) -> str:
        """Finds a slip of the pen; it tells nothing of the secret, since a share alone is random."""
        told = f"{self.force}|{self.bundle}|{self.number}|{self.need}|{self.of}|".encode()
        return hashlib.sha256(told + self.data).hexdigest()[:16]


_TEXT = re.compile(
    r"RVR key share (?P<number>\d+) of (?P<of>\d+): any (?P<need>\d+) .*?"
    r"force: (?P<force>[^\n]*)\nset: (?P<bundle>[0-9a-f]+)\nchecksum: (?P<checksum>[0-9a-f]{16})\n"
    r"(?P<data>[A-Za-z2-7\s]*?)\n(?:Restore:|\Z)",
    re.DOTALL | re.IGNORECASE,
)


def read(text: str, name: str) -> Share:
    """The share of a text; `name` is what its faults are told of. Raises BadShare."""
    found = _TEXT.search(text.replace("\r\n", "\n"))
    if found is None:
        raise BadShare(f"{name} is not a key share of this program")
    signs = re.sub(r"\s", "", found["data"]).upper()
    try:
        data = base64.b32decode(signs + "=" * (-len(signs) % 8))
    except ValueError:
        raise BadShare(f"{name}: its letters are not as they were written") from None
    number, need, of = (int(found[field]) for field in ("number", "need", "of"))
    share = Share(found["force"], found["bundle"].lower(), number, need, of, data)
    if share.checksum != found["checksum"].lower():
        raise BadShare(f"{name}: its letters or numbers are not as they were written (the checksum differs)")
    return share


def split(secret: bytes, force: str, need: int, of: int) -> list[Share]:
    """The secret as `of` shares. Raises BadShare for numbers that would protect nothing."""
    if not 2 <= need <= of <= MOST:
        raise BadShare(f"from 2 to {MOST} shares, at least two of them needed: {need} of {of} cannot be made")
    packed = zlib.compress(secret, 9)
    told = hashlib.sha256(packed).digest() + packed
    bundle = secrets.token_hex(4)
    return [Share(force, bundle, x, need, of, data) for x, data in share_bytes(told, need, of).items()]


def join(shares: Sequence[Share]) -> bytes:
    """The secret. Raises BadShare when these are too few, of two splittings, or not what was made."""
    if not shares or len({(one.bundle, one.need, one.of, one.force, len(one.data)) for one in shares}) > 1:
        raise BadShare("these shares are not of one set")
    points = {one.number: one.data for one in shares}
    need = shares[0].need
    if len(points) < need:
        raise BadShare(f"{need} different shares are needed, and there are {len(points)}")
    told = join_bytes(dict(list(points.items())[:need]))
    if hashlib.sha256(told[_DIGEST:]).digest() != told[:_DIGEST]:
        raise BadShare("these shares do not give back what was split")
    return zlib.decompress(told[_DIGEST:])


# --- The arithmetic ----------------------------------------------------------------------------------------------


def share_bytes(
    secret: bytes, need: int, of: int, draw: Callable[[int], bytes] = secrets.token_bytes
) -> dict[int, bytes]:
    """x -> the values at x of one random polynomial a byte, of degree need-1, whose value at 0 is the byte."""
    coefficients = [secret, *(draw(len(secret)) for _ in range(need - 1))]
    return {x: _values(coefficients, x) for x in range(1, of + 1)}


def join_bytes(points: dict[int, bytes]) -> bytes:
    """The values at 0 of the polynomials that go through these points (Lagrange)."""
    found = bytes(len(next(iter(points.values()))))
    for x, data in points.items():
        weight = 1
        for other in points.keys() - {x}:
            weight = _times(weight, _times(other, _inverse(other ^ x)))
        found = bytes(a ^ _times(weight, b) for a, b in zip(found, data, strict=True))
    return found


def _values(coefficients: Sequence[bytes], x: int) -> bytes:
    found = bytes(len(coefficients[0]))
    for row in reversed(coefficients):
        found = bytes(_times(a, x) ^ b for a, b in zip(found, row, strict=True))
    return found


def _times(a: int, b: int) -> int:
    """The product in GF(256) of FIPS 197, 4.2 (x^8 + x^4 + x^3 + x + 1): no table or branch that hangs on a secret."""
    product = 0
    for _ in range(8):
        product ^= -(b & 1) & a
        a = (a << 1) ^ (-(a >> 7) & 0x11B)
        b >>= 1
    return product


def _inverse(a: int) -> int:
    """a^254, which is 1/a: 254 = 2 + 4 + ... + 128."""
    product, power = 1, a
    for _ in range(7):
        power = _times(power, power)
        product = _times(product, power)
    return product
