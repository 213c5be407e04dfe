"""The tree is RFC 6962's: the published vectors, and a naive writing of the RFC's own definitions beside it."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvr.store import merkle
from rvr.store.merkle import Frontier, Tree, leaf_hash, verify_consistency, verify_inclusion

# The test data of Certificate Transparency (merkle_tree_test.cc of google/certificate-transparency, reused by
# transparency-dev/merkle): eight leaves and the root after each.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        *("", "00", "10", "2021", "3031", "40414243"),
        *("5051525354555657", "606162636465666768696a6b6c6d6e6f"),
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {  # (leaf, size): path
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {  # (old, new): path
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def hashed(data: list[bytes]) -> list[bytes]:
    return [leaf_hash(one) for one in data]


def frontier(leaves: list[bytes]) -> Frontier:
    growing = Frontier()
    for leaf in leaves:
        growing.append(leaf)
    return growing


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots(size: int) -> None:
    leaves = hashed(INPUTS)
    assert frontier(leaves[:size]).root().hex() == ROOTS[size]
    assert Tree(leaves).root(size).hex() == ROOTS[size]


@pytest.mark.parametrize("place", INCLUSION)
def test_the_published_inclusion_proofs(place: tuple[int, int]) -> None:
    index, size = place
    path = Tree(hashed(INPUTS)).inclusion(index, size)
    assert [step.hex() for step in path] == INCLUSION[place]
    assert verify_inclusion(leaf_hash(INPUTS[index]), index, size, path, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize("sizes", CONSISTENCY)
def test_the_published_consistency_proofs(sizes: tuple[int, int]) -> None:
    old, new = sizes
    path = Tree(hashed(INPUTS)).consistency(old, new)
    assert [step.hex() for step in path] == CONSISTENCY[sizes]
    assert verify_consistency(old, new, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]), path)


# --- The RFC's definitions, as they are written there ---------------------------------------------------------------


def largest_power_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(d: list[bytes]) -> bytes:
    if not d:
        return sha256(b"").digest()
    if len(d) == 1:
        return sha256(b"\x00" + d[0]).digest()
    k = largest_power_below(len(d))
    return sha256(b"\x01" + mth(d[:k]) + mth(d[k:])).digest()


def path(m: int, d: list[bytes]) -> list[bytes]:
    if len(d) == 1:
        return []
    k = largest_power_below(len(d))
    return [*path(m, d[:k]), mth(d[k:])] if m < k else [*path(m - k, d[k:]), mth(d[:k])]


def subproof(m: int, d: list[bytes], whole: bool) -> list[bytes]:
    if m == len(d):
        return [] if whole else [mth(d)]
    k = largest_power_below(len(d))
    if m <= k:
        return [*subproof(m, d[:k], whole), mth(d[k:])]
    return [*subproof(m - k, d[k:], False), mth(d[:k])]


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_roots_are_the_rfc_s_at_every_size(data: list[bytes]) -> None:
    growing, tree = Frontier(), Tree(hashed(data))
    assert growing.root() == mth([])
    for size, leaf in enumerate(hashed(data), 1):
        growing.append(leaf)
        assert growing.root() == mth(data[:size]) == tree.root(size)
    assert (growing.size, growing.root()) == (tree.size, tree.root())


@given(st.data())
def test_inclusion_is_the_rfc_s_and_proves_that_leaf_at_that_place_only(draw: st.DataObject) -> None:
    data = draw.draw(st.lists(st.binary(max_size=4), min_size=1, max_size=70, unique=True))
    size = draw.draw(st.integers(1, len(data)))
    index = draw.draw(st.integers(0, size - 1))
    steps, root, leaf = Tree(hashed(data)).inclusion(index, size), mth(data[:size]), leaf_hash(data[index])
    assert steps == path(index, data[:size])
    assert verify_inclusion(leaf, index, size, steps, root)
    other = draw.draw(st.integers(0, size + 1).filter(lambda at: at != index))
    assert not verify_inclusion(leaf, other, size, steps, root)
    assert not verify_inclusion(leaf_hash(b"another"), index, size, steps, root)
    assert not verify_inclusion(leaf, index, size, [*steps, root], root)
    assert not steps or not verify_inclusion(leaf, index, size, steps[:-1], root)


@given(st.data())
def test_consistency_is_the_rfc_s_and_no_other_beginning_has_a_proof(draw: st.DataObject) -> None:
    data = draw.draw(st.lists(st.binary(max_size=4), min_size=1, max_size=70, unique=True))
    new = draw.draw(st.integers(1, len(data)))
    old = draw.draw(st.integers(1, new))
    steps, before, after = Tree(hashed(data)).consistency(old, new), mth(data[:old]), mth(data[:new])
    assert steps == ([] if old == new else subproof(old, data[:new], True))
    assert verify_consistency(old, new, before, after, steps)
    forked = mth([*data[: old - 1], b"another"])
    assert not verify_consistency(old, new, forked, after, steps)
    assert not verify_consistency(old, new, before, mth([*data[:new], b"another"]), steps)
    assert not verify_consistency(old, new, before, after, [*steps, before])
    assert not steps or not verify_consistency(old, new, before, after, steps[:-1])


def test_every_tree_begins_with_the_empty_one() -> None:
    root = bytes.fromhex(ROOTS[8])
    assert verify_consistency(0, 8, merkle.EMPTY, root, [])
    assert verify_consistency(0, 0, merkle.EMPTY, merkle.EMPTY, [])
    assert not verify_consistency(0, 8, root, root, [])
    assert not verify_consistency(8, 5, root, bytes.fromhex(ROOTS[5]), [])


def test_what_is_not_in_the_tree_has_no_proof() -> None:
    tree = Tree(hashed(INPUTS))
    for ask in (lambda: tree.inclusion(8, 8), lambda: tree.inclusion(3, 3), lambda: tree.root(9)):
        with pytest.raises(ValueError):
            ask()
    for old, new in ((0, 3), (4, 3), (1, 9)):
        with pytest.raises(ValueError):
            tree.consistency(old, new)
