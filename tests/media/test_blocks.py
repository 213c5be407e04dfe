"""Every change to a recorded file is found, and the block that it concerns is named (scorecard S31)."""

from __future__ import annotations

import os
import random
from hashlib import sha256

import pytest

from rvr.media.blocks import AUDIO, VIDEO, Fault, Packet, Sealing, Told, examine, packets

KEY = bytes(range(32))
SALT = bytes(32)
BLOCKS = 9


def a_file(key: bytes = KEY, *, blocks: int = BLOCKS, closed: bool = True) -> tuple[list[bytes], list[Told]]:
    """The header and each block, and what was told of each while it grew."""
    dice = random.Random(7)
    sealing = Sealing(key, SALT, {"recording": "r", "seat": "s", "part": 1})
    parts, told = [sealing.header], []
    for n in range(1, blocks + 1):
        made = [Packet(n % 2, n * 10**9 + i * 10**6, dice.randbytes(dice.randint(40, 400))) for i in range(12)]
        parts.append(sealing.block(made, last=closed and n == blocks))
        told.append(Told(n, sum(map(len, parts)), sealing.head.hex()))
    return parts, told


def faults(parts: list[bytes], told: list[Told] | None = None, key: bytes | None = KEY) -> list[str]:
    return [str(fault) for fault in examine(b"".join(parts), key, told or ()).faults]


def test_an_untouched_file_has_no_fault_and_gives_every_packet_back() -> None:
    parts, told = a_file()
    file = b"".join(parts)
    found = examine(file, KEY, told)
    assert (found.faults, found.torn, found.closed, len(found.blocks)) == ((), 0, True, BLOCKS)
    assert found.blocks[-1].head.hex() == told[-1].sha256
    got = list(packets(file, found, KEY))
    assert len(got) == BLOCKS * 12
    assert {packet.kind for packet in got} == {AUDIO, VIDEO}
    assert got[13].at_ns == 2 * 10**9 + 10**6
    assert examine(file, None, told).faults == ()


def test_nothing_of_a_packet_can_be_read_in_the_file() -> None:
    sealing = Sealing(KEY, os.urandom(32), {})
    block = sealing.block([Packet(AUDIO, 1, b"canary-in-the-sound" * 20)])
    assert b"canary" not in sealing.header + block


@pytest.mark.parametrize("key", [KEY, None], ids=["with the key", "without the key"])
def test_each_flipped_bit_names_its_block(key: bytes | None) -> None:
    """Every byte of the file in turn, one random bit of it."""
    parts, told = a_file(blocks=4)
    dice, place = random.Random(11), 0
    for number, part in enumerate(parts):
        for offset in range(len(part)):
            changed = bytearray(b"".join(parts))
            changed[place + offset] ^= 1 << dice.randrange(8)
            found = examine(bytes(changed), key, told)
            named = {fault.n for fault in found.faults}
            assert named == {number}, (number, offset, found.faults)
        place += len(part)


def test_a_flip_is_found_without_anything_told_elsewhere_and_the_others_still_play() -> None:
    parts, _ = a_file()
    parts[5] = parts[5][:40] + bytes([parts[5][40] ^ 4]) + parts[5][41:]
    file = b"".join(parts)
    found = examine(file, KEY)
    assert found.faults == (Fault(5, "altered"),)
    assert [block.n for block in found.blocks] == [1, 2, 3, 4, 6, 7, 8, 9]
    assert len(list(packets(file, found, KEY))) == 8 * 12


@pytest.mark.parametrize("key", [KEY, None], ids=["with the key", "without the key"])
@pytest.mark.parametrize("which", range(1, BLOCKS + 1))
def test_a_block_cut_out_is_missing(which: int, key: bytes | None) -> None:
    parts, told = a_file()
    del parts[which]
    found = examine(b"".join(parts), key, told)
    assert Fault(which, "missing") in found.faults
    if key is not None:
        assert found.faults == (Fault(which, "missing"),)


def test_swapped_blocks_are_both_named() -> None:
    parts, told = a_file()
    parts[3], parts[5] = parts[5], parts[3]
    assert faults(parts, told) == ["block 3 moved", "block 5 moved"]


def test_a_block_that_stands_twice_is_named() -> None:
    parts, told = a_file()
    parts.insert(7, parts[2])
    assert faults(parts, told) == ["block 2 repeated"]


@pytest.mark.parametrize("cut", [1, 5, 20, 100])
def test_a_torn_tail_is_cut_and_said_so_and_is_missing_once_it_was_told(cut: int) -> None:
    parts, told = a_file()
    torn = b"".join(parts)[:-cut]
    found = examine(torn, KEY)
    assert (found.faults, found.closed, len(found.blocks)) == ((), False, BLOCKS - 1)
    assert found.torn == len(parts[-1]) - cut
    assert [str(fault) for fault in examine(torn, KEY, told).faults] == [f"block {BLOCKS} missing"]


def test_a_file_cut_between_two_blocks_lacks_those_that_were_told() -> None:
    parts, told = a_file()
    assert faults(parts[:7], told[:8:4]) == []  # block 5 was told last, and is there
    assert faults(parts[:4], told[:8:4]) == ["block 4 missing", "block 5 missing"]
    assert examine(b"".join(parts[:7]), KEY).closed is False


def test_a_file_made_anew_with_the_key_is_not_what_was_told() -> None:
    parts, _ = a_file(blocks=4)
    _, told = a_file(blocks=4, closed=False)
    assert faults(parts, [told[1]]) == []  # the first blocks are the same bytes
    other = Sealing(KEY, SALT, {"recording": "r", "seat": "s", "part": 1})
    anew = [other.header, *(other.block([Packet(AUDIO, n, b"other")], last=n == 4) for n in range(1, 5))]
    assert faults(anew) == []
    assert faults(anew, [told[1], told[3]]) == [f"block {n} remade" for n in range(1, 5)]


def test_a_block_of_another_recording_does_not_belong_here() -> None:
    parts, told = a_file()
    parts[4] = a_file(bytes(32))[0][4]
    assert faults(parts, told) == ["block 4 altered"]
    parts.insert(4, b"something else")
    assert "block 4 altered" in faults(parts, told)


def test_another_header_is_named_as_block_0() -> None:
    parts, told = a_file()
    assert faults([parts[0].replace(b'"seat":"s"', b'"seat":"t"'), *parts[1:]], told) == ["header altered"]
    forged = parts[0][:-32].replace(b'"seat":"s"', b'"seat":"t"')
    assert faults([forged + sha256(forged).digest(), *parts[1:]], told) == [
        f"block {n} altered" for n in range(1, BLOCKS + 1)
    ]


def test_random_damage_is_always_found() -> None:
    """Some four hundred files with one random change each: none passes for what was recorded."""
    parts, told = a_file()
    whole, dice = b"".join(parts), random.Random(5)
    for _ in range(400):
        a, b = sorted(dice.sample(range(len(whole)), 2))
        changed = dice.choice(
            [
                whole[:a] + whole[b:],
                whole[:a] + whole[a:b] * 2 + whole[b:],
                whole[:a] + dice.randbytes(b - a) + whole[b:],
                whole[:a] + dice.randbytes(9) + whole[a:],
                whole[:a],
            ]
        )
        assert examine(changed, KEY, told).faults, (a, b)
