"""The Merkle tree of RFC 6962, section 2.1: roots, proofs and their verification. Pure: bytes in, bytes out.

A leaf is given as its data; what is stored and proved is its hash. All hashes are SHA-256, 32 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import islice

EMPTY = sha256().digest()
"""Root of a tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """H(0x00 ‖ data): no node can be passed off as a leaf."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """H(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: all that appending and the root need, at most one hash for each bit of size."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []
        """Roots of the complete subtrees, the largest first: one for each bit that is set in `size`."""

    def append(self, leaf: bytes) -> None:
        """Adds a leaf's hash behind the others."""
        peak, size = leaf, self.size
        while size & 1:
            peak, size = node_hash(self._peaks.pop(), peak), size >> 1
        self._peaks.append(peak)
        self.size += 1

    def copy(self) -> Frontier:
        """One that grows on its own from here."""
        same = Frontier()
        same.size, same._peaks = self.size, [*self._peaks]
        return same

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._peaks:
            return EMPTY
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def consistency(self, new: int, leaves: Iterable[bytes]) -> list[bytes]:
        """The proof that a tree of `new` leaves begins with this one (RFC 6962, 2.1.2): what `Tree.consistency` gives.

        `leaves`: the hashes of those behind this tree, in order. Each is looked at once, so that nothing but this edge
        need be held. Raises ValueError unless 0 < size <= new, and where there are too few leaves.
        """
        if not 0 < self.size <= new:
            raise ValueError(f"no proof leads from {self.size} to {new} leaves")
        peaks, behind = iter(self._peaks), iter(leaves)
        path: list[bytes | int] = []
        low, high = 0, new
        while self.size < high:
            middle = low + _split(high - low)
            if self.size <= middle:
                path.append(high - middle)  # as many of the new leaves: their root
                high = middle
            else:
                path.append(next(peaks))
                low = middle
        own = [next(peaks)] if low else []
        return own + [_root(behind, step) if isinstance(step, int) else step for step in reversed(path)]


def _root(leaves: Iterable[bytes], count: int) -> bytes:
    """The root over the next `count` leaves. Raises ValueError where there are fewer."""
    edge = Frontier()
    for leaf in islice(leaves, count):
        edge.append(leaf)
    if edge.size < count:
        raise ValueError(f"{count - edge.size} leaves are missing")
    return edge.root()


class Tree:
    """A whole tree, for proofs: 64 bytes a leaf in memory."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        """`leaves`: their hashes, in order."""
        level = bytearray().join(leaves)
        self.size = len(level) // 32
        self._levels = [level]
        """Level k: the roots of all complete subtrees of 2^k leaves."""
        while len(level) >= 64:
            pairs = range(0, len(level) - 63, 64)
            level = bytearray().join(sha256(b"\x01" + level[at : at + 64]).digest() for at in pairs)
            self._levels.append(level)

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` leaves, over all by default. Raises ValueError for more than there are."""
        return self._over(0, self._known(self.size if size is None else size))

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The path from leaf `index` to the root over the first `size` leaves (RFC 6962, 2.1.1).

        Raises ValueError for a leaf that is not among them.
        """
        if not 0 <= index < self._known(size):
            raise ValueError(f"there is no leaf {index} among {size}")
        path, low, high = [], 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._over(middle, high))
                high = middle
            else:
                path.append(self._over(low, middle))
                low = middle
        return path[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the first `new` leaves begin with the first `old` (RFC 6962, 2.1.2).

        Raises ValueError unless 0 < old <= new <= size.
        """
        if not 0 < old <= self._known(new):
            raise ValueError(f"no proof leads from {old} to {new} leaves")
        path, low, high, whole = [], 0, new, True
        while old < high:
            middle = low + _split(high - low)
            if old <= middle:
                path.append(self._over(middle, high))
                high = middle
            else:
                path.append(self._over(low, middle))
                low, whole = middle, False
        return path[::-1] if whole else [self._over(low, high), *path[::-1]]

    def _known(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise ValueError(f"the tree has {self.size} leaves, not {size}")
        return size

    def _over(self, low: int, high: int) -> bytes:
        """The root over these leaves; `low` stands where a subtree of their size can begin."""
        size = high - low
        if not size:
            return EMPTY
        if size & (size - 1) == 0:
            at = low // size * 32
            return bytes(self._levels[size.bit_length() - 1][at : at + 32])
        middle = low + _split(size)
        return node_hash(self._over(low, middle), self._over(middle, high))


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf with this hash is at `index` of the tree with this size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    here, last, found = index, size - 1, leaf
    for step in path:
        if not last:
            return False
        if here & 1 or here == last:
            found = node_hash(step, found)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, step)
        here, last = here >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the tree of `new` leaves begins with the tree of `old` (RFC 9162, 2.1.4.2).

    Every tree begins with the empty one: that needs no path.
    """
    if old == 0 or old == new:
        return not path and 0 <= old <= new and old_root == (new_root if old == new else EMPTY)
    if not 0 < old < new or not path:
        return False
    steps = list(path) if old & (old - 1) else [old_root, *path]
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if not last:
            return False
        if here & 1 or here == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            after = node_hash(after, step)
        here, last = here >> 1, last >> 1
    return last == 0 and (before, after) == (old_root, new_root)
