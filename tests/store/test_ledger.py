"""The chain: its bytes are fixed for ever, and what is changed afterwards shows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from rvr.core import events as e
from rvr.core.case import Case
from rvr.store import Store, ledger
from tests.store.builders import Clock, Place, a_batch, blank, edit_public, event, number_given, opened

SALT1, SALT2 = bytes(range(16)), bytes(range(16, 32))


def test_the_hashes_of_the_documented_example_never_change() -> None:
    public = ledger.canonical({"type": "CaseOpened", "at": "2026-11-22T21:18:04.118221Z", "n": 1, "name": "Zoë"})
    assert public == '{"at":"2026-11-22T21:18:04.118221Z","n":1,"name":"Zoë","type":"CaseOpened"}'.encode()
    header = ledger.header_hash(SALT1, "case/1", 1, ledger.GENESIS)
    body = ledger.body_hash(SALT2, public)
    seal = ledger.seal_hash(b"\x00\x01\x02")
    assert header.hex() == "bbc169590263dd5bbcfc09205baceafc4b945bd74fc0184b270edebd59a862b3"
    assert body.hex() == "06dd5440748a92805e15788d93f50dfd7dbb5845cb6bb64648227d24ddbbb7e5"
    assert seal.hex() == "1ac998e684da1dd5421947045d008d15915939ccee113f2309bd387bd20ff4dc"
    assert ledger.seal_hash(b"").hex() == "f299791cddd3d6664f6670842812ef6053eb6501bd6282a476bbbf3ee91e750c"
    assert (
        ledger.event_hash(header, body, seal).hex()
        == "83ac1a14f3a0afd32f4cad0db6d66faf6bce3d04102b357bfefc3106be84ddf9"
    )


def test_the_hashes_are_what_their_description_says() -> None:
    """Written out once more without the program's own functions, as an outside verifier would."""
    stream = "case/Ünit".encode()
    header = hashlib.sha256(
        b"\x10" + SALT1 + len(stream).to_bytes(2, "big") + stream + (7).to_bytes(8, "big") + b"\xaa" * 32
    ).digest()
    body = hashlib.sha256(b"\x11" + SALT2 + b"{}").digest()
    seal = hashlib.sha256(b"\x12").digest()
    expected = hashlib.sha256(b"\x13" + header + body + seal).digest()
    assert ledger.chain(ledger.Entry("case/Ünit", 7, b"{}", b"", SALT1, SALT2, b"\xaa" * 32, b"")) == expected


def anything(draw: random.Random, depth: int = 0) -> Any:
    """A random JSON value without fractions, with signs of every kind in its texts."""

    def text() -> str:
        signs = (
            draw.choice([draw.randrange(0x80), draw.randrange(0xD800), draw.randrange(0xE000, 0x11000)]) for _ in "4"
        )
        return "".join(map(chr, signs)) * draw.randrange(4)

    kind = draw.randrange(6 if depth < 3 else 3)
    match kind:
        case 0:
            return text()
        case 1:
            return draw.randrange(-(2**63), 2**64)
        case 2:
            return draw.choice([True, False, None])
        case 3:
            return {text(): anything(draw, depth + 1) for _ in range(draw.randrange(5))}
    return [list, tuple][kind - 4](anything(draw, depth + 1) for _ in range(draw.randrange(5)))


def test_a_value_is_written_as_pythons_own_library_would_write_it() -> None:
    """The form is documented for verifiers that have that and nothing else."""
    draw = random.Random(62)
    for _ in range(5_000):
        value = anything(draw)
        plain = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert ledger.canonical(value) == plain


@pytest.mark.parametrize("value", [2**64, 1.0, {"a": [0.5]}, {1: "a"}, {"a": b"x"}, {"a": {1, 2}}, float("nan")])
def test_what_two_programs_could_write_differently_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        ledger.canonical(value)


def a_stream(length: int) -> list[ledger.Entry]:
    rows, previous = [], ledger.GENESIS
    for version in range(1, length + 1):
        row = ledger.Entry("case/1", version, b'{"n":%d}' % version, b"sealed", SALT1, SALT2, previous, b"")
        previous = ledger.chain(row)
        rows.append(row._replace(hash=previous))
    return rows


def codes(rows: list[ledger.Entry], length: int | None = None) -> set[str]:
    return {fault.code for fault in ledger.verify_stream(rows, length)}


def test_an_untouched_stream_has_no_fault() -> None:
    assert ledger.verify_stream(a_stream(5), 5) == []


@pytest.mark.parametrize(
    "change", [{"public": b'{"n":9}'}, {"sealed": b"Sealed"}, {"salt2": SALT1}, {"stream": "case/2"}, {"version": 9}]
)
def test_an_edited_event_is_found(change: dict[str, object]) -> None:
    rows = a_stream(5)
    rows[2] = rows[2]._replace(**change)
    assert "hash" in codes(rows)


def test_an_event_that_was_edited_and_hashed_again_is_found_at_its_follower() -> None:
    rows = a_stream(5)
    edited = rows[2]._replace(public=b'{"n":9}')
    rows[2] = edited._replace(hash=ledger.chain(edited))
    assert ledger.verify_stream(rows) == [ledger.Fault("case/1", 4, "previous")]


def test_a_cut_tail_a_gap_and_a_swap_are_found() -> None:
    rows = a_stream(5)
    assert codes(rows[:3], 5) == {"tail"}
    assert "gap" in codes([*rows[:1], *rows[2:]])
    swapped = [rows[0], rows[2]._replace(version=2), rows[1]._replace(version=3), *rows[3:]]
    assert {"hash", "previous"} <= codes(swapped)


async def test_the_store_s_own_log_verifies(store: Store, clock: Clock) -> None:
    for number in range(3):
        await store.append(a_batch(f"c{number}", Case(f"case-{number}"), opened(clock, f"R{number}", name="Ann")))
    assert await store.verify() == []


def cut_tail(connection: Any) -> None:
    connection.execute("DELETE FROM event WHERE position = 4")
    number_given(connection, "event", 3)


def other_type(connection: Any) -> None:
    """SQLite lets an intruder put any type into any column."""
    connection.execute("UPDATE event SET public = CAST(public AS TEXT) WHERE position = 2")


TAMPERS: dict[str, str | Callable[[Any], None]] = {
    "an edited body": partial(edit_public, position=2),
    "a body of another type": other_type,
    "an edited seal": partial(blank, table="event", column="sealed", where="position = 1"),
    "an edited column": "UPDATE event SET observed_at = '2026-01-01T00:00:00.000000Z' WHERE position = 1",
    "a cut tail": "DELETE FROM event WHERE position = 4",
    "a cut tail, with the number that was given": cut_tail,
    "a cut stream": "DELETE FROM event WHERE stream = 'case/2'",
    "two swapped events": "UPDATE event SET version = 90 WHERE position = 1; "
    "UPDATE event SET version = 1 WHERE position = 2; UPDATE event SET version = 2 WHERE position = 1",
}


@pytest.mark.parametrize("tamper", TAMPERS)
async def test_a_change_behind_the_program_s_back_is_found(
    store: Store, place: Place, clock: Clock, tamper: str
) -> None:
    accepted = event(e.HandoverAccepted(), "accepted", clock)
    offered = event(e.HandoverOffered(note="Bruised arm"), "handover", clock)
    await store.append(a_batch("c1", Case("1"), opened(clock, "R1", name="Ann"), offered, accepted))
    await store.append(a_batch("c2", Case("2"), opened(clock, "R2", name="Eve")))
    if place.url and tamper == "a body of another type":
        pytest.skip("a server keeps the type of a column")
    place.tamper(TAMPERS[tamper])
    assert await store.verify() != []


async def test_the_chain_links_each_event_to_the_one_before(store: Store, clock: Clock) -> None:
    first = await store.append(a_batch("c1", Case("1"), opened(clock)))
    after = dataclasses.replace(Case("1"), version=1)
    second = await store.append(a_batch("c2", after, event(e.HandoverAccepted(), "accepted", clock)))
    previous = await store.write(lambda c: c.execute("SELECT previous FROM event ORDER BY version").fetchall())
    assert previous == [(ledger.GENESIS,), (first[0].hash,)]
    assert (await store.load("case/1"))[1].hash == second[0].hash
