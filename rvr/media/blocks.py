"""The sealed file of one person's recorded packets: how it is written, read, and examined block by block.

    "RVRREC1\\n"  length(4)  header: canonical JSON  SHA-256 of all that        the head of the chain before block 1
    "RVRB"  n(4)  flags(1)  length(4)  sealed  SHA-256(head before, all this)   block n = 1, 2, 3 ...

Numbers are big-endian. A block is AES-256-GCM under a key of this file alone (HKDF-SHA256 of the recording's key with
the header's salt); its nonce is n, its associated data the header's hash and the block's own mark, so that it opens in
no other place. Inside: the time of its first packet (8), then packets: kind(1) length(2) microseconds since(4) bytes.
The chain can be followed without any key: against heads that were told elsewhere it shows what was cut off or remade.
Pure: bytes in, bytes out.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from mmap import mmap
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT: Final = "rvr-recording/1"
MAGIC: Final = b"RVRREC1\n"
MARK: Final = b"RVRB"
SALT_BYTES: Final = 32
HASH_BYTES: Final = 32
MAX_BLOCK_BYTES: Final = 64 << 20
"""Two seconds at 250 Mbit/s: whatever claims to be longer is no block of ours."""
MAX_HEADER_BYTES: Final = 64 << 10

LAST: Final = 1
"""Flag of the block with which the recording was closed in order."""

AUDIO: Final = 0
VIDEO: Final = 1
CODECS: Final = 2
"""No packet: what the payload types of the packets behind it mean (JSON)."""
KINDS: Final[Mapping[str, int]] = {"audio": AUDIO, "video": VIDEO, "codecs": CODECS}

_LENGTH = struct.Struct(">I")
_BLOCK = struct.Struct(">4sIBI")
_SINCE = struct.Struct(">q")
_PACKET = struct.Struct(">BHI")
_UNTIL_US: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Packet:
    """One thing that was recorded."""

    kind: int
    """AUDIO, VIDEO or CODECS."""
    at_ns: int
    """When it arrived, by the clock that the header's `monotonic_ns` was read from."""
    data: bytes
    """The plain RTP packet as it came, after its SRTP was opened."""


class Sealing:
    """Makes the blocks of one new file, in order."""

    def __init__(self, key: bytes, salt: bytes, facts: Mapping[str, Any]) -> None:
        """`key`: 32 bytes, of the recording. `salt`: 32 random bytes. `facts`: what the header tells, as JSON values.

        Raises ValueError for a key or a salt of another length.
        """
        if len(salt) != SALT_BYTES:
            raise ValueError(f"a salt has {SALT_BYTES} bytes")
        told = json.dumps({"format": FORMAT, "salt": salt.hex(), **facts}, sort_keys=True, separators=(",", ":"))
        head = MAGIC + _LENGTH.pack(len(told.encode())) + told.encode()
        self.head = self._header_hash = sha256(head).digest()
        """Of the chain, so far."""
        self.header: Final = head + self.head
        self.n = 0
        self._cipher = AESGCM(_file_key(key, salt))

    def block(self, packets: Sequence[Packet], *, last: bool = False) -> bytes:
        """The next block. Packets of one block span less than an hour."""
        self.n += 1
        plain = _packed(packets)
        mark = _BLOCK.pack(MARK, self.n, LAST if last else 0, len(plain) + 16)
        sealed = self._cipher.encrypt(_nonce(self.n), plain, self._header_hash + mark)
        chain = sha256(self.head)
        chain.update(mark)
        chain.update(sealed)
        self.head = chain.digest()
        return b"".join((mark, sealed, self.head))


def _packed(packets: Sequence[Packet]) -> bytes:
    since = min((packet.at_ns for packet in packets), default=0)
    parts = [_SINCE.pack(since)]
    for packet in packets:
        after_us = min((packet.at_ns - since) // 1000, _UNTIL_US)
        parts.append(_PACKET.pack(packet.kind, len(packet.data), after_us))
        parts.append(packet.data)
    return b"".join(parts)


def _unpacked(plain: bytes) -> Iterator[Packet]:
    (since,) = _SINCE.unpack_from(plain)
    place = _SINCE.size
    while place < len(plain):
        kind, length, after_us = _PACKET.unpack_from(plain, place)
        place += _PACKET.size
        yield Packet(kind, since + after_us * 1000, plain[place : place + length])
        place += length


def _file_key(key: bytes, salt: bytes) -> bytes:
    if len(key) != 32:
        raise ValueError("a recording's key has 32 bytes")
    return HKDF(SHA256(), 32, salt, FORMAT.encode()).derive(key)


def _nonce(n: int) -> bytes:
    """A counter: the key is of this file alone, and no block number is used twice in it."""
    return n.to_bytes(12, "big")


# --- Reading -----------------------------------------------------------------------------------------------------

File = bytes | mmap
"""A whole file, in memory or mapped: an hour of one person is half a gigabyte."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was told elsewhere, while the file grew, of its first `n` blocks."""

    n: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One block that is not as it was written."""

    n: int
    """Its number; 0 is the header."""
    code: str
    """`altered`, `missing`, `repeated`, `moved` (it stands in another place), `foreign` (bytes before it that are no
    block), `remade` (sound in itself, and not what was told of it while it was recorded)."""

    def __str__(self) -> str:
        return f"block {self.n} {self.code}" if self.n else f"header {self.code}"


@dataclass(frozen=True, slots=True)
class Block:
    """Where one block lies."""

    n: int
    last: bool
    starts: int
    ends: int
    head: bytes
    """Of the chain, as it stands behind this block."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What a file came to."""

    facts: Mapping[str, Any]
    """Of the header; empty when that is not sound."""
    blocks: tuple[Block, ...] = ()
    """Every sound block, in order, none twice."""
    faults: tuple[Fault, ...] = ()
    torn: int = 0
    """Bytes at the end that are the beginning of a block and no more: a crash leaves them, they are no fault."""
    closed: bool = False
    """Whether it was ended in order. If not, the process died, the disk was full, or the end was cut off: of the last
    seconds of such a file only what was told elsewhere proves that nothing is missing."""


def examine(file: File, key: bytes | None = None, told: Iterable[Told] = ()) -> Examined:
    """Every block that is not as it was written, by its number.

    Without the key the chain alone is followed, which whoever can write could make anew: `told` then decides. With it
    each block must also open. Raises ValueError for a key of another length; never for what is in the file.
    """
    facts, start = _header(file)
    if not facts:
        return Examined({}, faults=(Fault(0, "altered"),))
    reader = _Reader(file, start, facts, key)
    reader.read()
    whole = {block.n: block for block in reversed(reader.sound)}
    order = list(dict.fromkeys(block.n for block in reader.sound))
    faults = set(reader.faults)
    faults |= {Fault(n, "repeated") for n in order if sum(block.n == n for block in reader.sound) > 1}
    faults |= {Fault(n, "moved") for n, place in zip(order, sorted(order), strict=True) if n != place}
    named = {fault.n for fault in reader.faults if fault.code == "altered"}
    faults |= {Fault(n, "missing") for n in range(1, max(order, default=0)) if n not in whole and n not in named}
    faults |= _against(whole, named, told)
    closed = bool(reader.sound) and reader.sound[-1].last and not reader.torn
    blocks = tuple(whole[n] for n in sorted(whole))
    return Examined(facts, blocks, tuple(sorted(faults)), reader.torn, closed)


def packets(file: File, examined: Examined, key: bytes) -> Iterator[Packet]:
    """What was recorded, in order, of the sound blocks. Raises ValueError for another key."""
    reader = _Reader(file, _header(file)[1], examined.facts, key)
    for block in examined.blocks:
        plain = reader.opened(block)
        if plain is None:
            raise ValueError(f"block {block.n} does not open with this key")
        yield from _unpacked(plain)


def facts_of(file: File) -> dict[str, Any]:
    """What a file's header tells; its first 64 KiB do. Raises ValueError for one that is not sound."""
    facts, _ = _header(file)
    if not facts:
        raise ValueError("this is no recording, or its header was changed")
    return facts


def _header(file: File) -> tuple[dict[str, Any], int]:
    """The facts and where block 1 begins; no facts for a header that is not sound."""
    try:
        (length,) = _LENGTH.unpack(file[len(MAGIC) : len(MAGIC) + _LENGTH.size])
        text = len(MAGIC) + _LENGTH.size
        ends = text + min(length, MAX_HEADER_BYTES)
        sound = file[: len(MAGIC)] == MAGIC and sha256(file[:ends]).digest() == file[ends : ends + HASH_BYTES]
        facts = json.loads(file[text:ends]) if sound else {}
    except (struct.error, ValueError):
        return {}, 0
    return (facts, ends + HASH_BYTES) if facts.get("format") == FORMAT else ({}, 0)


class _Reader:
    """Goes through one file from block to block; damage in one does not hide those behind it."""

    def __init__(self, file: File, start: int, facts: Mapping[str, Any], key: bytes | None) -> None:
        self._file, self._start = file, start
        self._hash = file[start - HASH_BYTES : start]
        self._cipher = AESGCM(_file_key(key, bytes.fromhex(facts["salt"]))) if key is not None else None
        self._heads: dict[int, set[bytes]] = {0: {self._hash}}
        """What the chain may stand at behind each block, as stored and as computed."""
        self._behind: set[bytes] = {self._hash}
        """The same behind whatever stands before the place that is read."""
        self.sound: list[Block] = []
        self.faults: list[Fault] = []
        self.torn = 0

    def read(self) -> None:
        place, after, broken = self._start, 0, list[int]()
        while place < len(self._file):
            block = self._whole(place)
            if block is not None and self._is_sound(block, after):
                self._keep(block)
                place, after = block.ends, block.n
                continue
            behind = self._next(place)
            if behind is None and self._is_torn(place, after):
                self.torn = len(self._file) - place
                break
            after += 1  # what stands here is taken for the block that is due
            broken.append(after)
            end = len(self._file) if behind is None else behind
            self._behind = {self._file[end - HASH_BYTES : end], *self._computed(place, end)}
            self._heads.setdefault(after, set()).update(self._behind)
            place = end
        there = {block.n for block in self.sound}
        self.faults = [Fault(n, "foreign" if n in there else "altered") for n in broken]

    def opened(self, block: Block) -> bytes | None:
        """What was sealed; None for a seal that does not open, or without a key."""
        if self._cipher is None:
            return None
        mark, sealed = self._parts(block)
        try:
            return self._cipher.decrypt(_nonce(block.n), sealed, self._hash + mark)
        except InvalidTag:
            return None

    def _parts(self, block: Block) -> tuple[bytes, bytes]:
        sealed = block.starts + _BLOCK.size
        return self._file[block.starts : sealed], self._file[sealed : block.ends - HASH_BYTES]

    def _is_sound(self, block: Block, after: int) -> bool:
        """With the key the seal decides, and the chain where the block before it is sound; without, the chain alone."""
        if self._cipher is not None and self.opened(block) is None:
            return False
        mark, sealed = self._parts(block)
        before = self._heads.get(block.n - 1, set()) | self._behind
        if any(sha256(head + mark + sealed).digest() == block.head for head in before):
            return True
        if self._cipher is not None:
            return all(one.n != block.n - 1 for one in self.sound) and block.n > 1
        # Behind a block that was cut out nothing links; a number that was changed would link under the right one.
        right = _BLOCK.pack(MARK, after + 1, *_BLOCK.unpack(mark)[2:])
        mended = any(sha256(head + right + sealed).digest() == block.head for head in before)
        return block.n > after + 1 and not mended

    def _computed(self, place: int, end: int) -> set[bytes]:
        """What the chain comes to behind a block that is not sound: only its stored head may have been changed."""
        body = self._file[place : end - HASH_BYTES]
        return {sha256(head + body).digest() for head in self._behind}

    def _keep(self, block: Block) -> None:
        self.sound.append(block)
        self._heads.setdefault(block.n, set()).add(block.head)
        self._behind = {block.head}

    def _whole(self, place: int) -> Block | None:
        """The block that begins here, if it is all there."""
        if len(self._file) - place < _BLOCK.size:
            return None
        mark, n, flags, length = _BLOCK.unpack(self._file[place : place + _BLOCK.size])
        ends = place + _BLOCK.size + length + HASH_BYTES
        if mark != MARK or length > MAX_BLOCK_BYTES or ends > len(self._file):
            return None
        return Block(n, bool(flags & LAST), place, ends, self._file[ends - HASH_BYTES : ends])

    def _next(self, place: int) -> int | None:
        """Where the next block begins behind this place: one that is whole, or the last one, which may be torn."""
        found = self._file.find(MARK, place + 1)
        while found != -1:
            block = self._whole(found)
            if block is not None and self._file[block.ends : block.ends + len(MARK)] in (MARK, b""):
                return found
            if block is None and self._is_torn(found, None):
                return found
            found = self._file.find(MARK, found + 1)
        return None

    def _is_torn(self, place: int, after: int | None) -> bool:
        """Whether what is left is the beginning of the block that is due, which a crash left unfinished."""
        left = self._file[place : place + _BLOCK.size]
        if len(left) < _BLOCK.size:
            return left[: len(MARK)] == MARK[: len(left)]
        mark, n, flags, length = _BLOCK.unpack(left)
        ends = place + _BLOCK.size + length + HASH_BYTES
        if (
            mark != MARK
            or length > MAX_BLOCK_BYTES
            or ends <= len(self._file)
            or (after is not None and n != after + 1)
        ):
            return False
        # A length that was changed makes the last block look unfinished; what it should be, its end tells.
        right = len(self._file) - place - _BLOCK.size - HASH_BYTES
        if right < 0:
            return True
        told = self._file[place + _BLOCK.size : len(self._file)]
        real = _BLOCK.pack(mark, n, flags, right) + told[:right]
        return all(sha256(head + real).digest() != told[right:] for head in self._behind)


def _against(whole: Mapping[int, Block], named: set[int], told: Iterable[Told]) -> set[Fault]:
    """What the heads that were told show: blocks that are not there any more, or are sound and others."""
    faults, agreed = set[Fault](), 0
    there = set(whole) | named
    for one in sorted(told, key=lambda one: one.n):
        faults |= {Fault(n, "missing") for n in range(agreed + 1, one.n + 1) if n not in there}
        if one.n in whole and whole[one.n].head.hex() != one.sha256:
            faults |= {Fault(n, "remade") for n in range(agreed + 1, one.n + 1) if n in whole}
        agreed = one.n
    return faults
