"""Signed heads: what is signed is what was committed, and a log that is not what was signed is never signed on."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rvr.core import events as e
from rvr.core.case import Case, apply
from rvr.store import Store, checkpoints, ledger, notes
from rvr.store.checkpoints import Head, Heads, RefusesToSign, Sequencer
from rvr.store.engine import Connection
from rvr.store.merkle import EMPTY, leaf_hash, verify_consistency, verify_inclusion
from rvr.store.tables import EventRow
from tests.store.builders import Clock, Place, a_batch, blank, edit_public, event, number_given, opened

ROOT = Path(__file__).parents[2]


async def cases(store: Store, clock: Clock, names: str, steps: int = 3) -> None:
    """Opens these cases and takes each a few steps on, by turns; a head is signed after each turn."""
    states = {name: Case(name) for name in names}
    for step in range(steps):
        for name, case in states.items():
            note = event(e.HandoverOffered(note="Bruised arm"), "handover", clock)
            fact = note if step else opened(clock, f"R{name}", name="Ann")
            await store.append(a_batch(f"{name}/{step}", case, fact))
            states[name] = apply(case, fact)
        await store.checkpoint()


def heads_file(place: Place) -> Path:
    return place.key_file.with_name("heads.txt")


def kept(place: Place) -> list[tuple[int, bytes]]:
    lines = heads_file(place).read_text().splitlines()
    return [(int(line.split(" ")[1]), b64decode(line.split(" ")[2])) for line in lines]


# --- Notes and heads ---------------------------------------------------------------------------------------------


def test_a_note_is_written_as_the_specification_s_own_example() -> None:
    """Key and text of golang.org/x/mod/sumdb/note's documentation, which C2SP's specification took over."""
    seed = b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
    notary = notes.Notary("PeterNeumann", seed)
    assert notary.verifier == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    assert notary.note(text) == f"{text}\n— PeterNeumann {signature}\n"
    assert notary.signed(notary.note(text))


@pytest.mark.parametrize(
    "change", [("answer", "Answer"), ("Qx", "Qy"), ("— P", "- P"), ("M=\n", "N=\n"), ("\n\n", "\n")]
)
def test_a_note_that_is_changed_anywhere_is_not_signed(change: tuple[str, str]) -> None:
    notary = notes.Notary("PeterNeumann", b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:])
    note = notary.note("answer\n")
    changed = note.replace(*change) if change[0] in note else note + "x"
    assert changed != note
    assert not notary.signed(changed)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_name_that_a_note_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        notes.Notary(name, bytes(32))


async def test_a_checkpoint_is_a_signed_note_of_the_committed_events(store: Store, place: Place, clock: Clock) -> None:
    empty = await store.checkpoint()
    assert empty is not None
    assert (empty.size, empty.root) == (0, EMPTY)
    await cases(store, clock, "ab")
    head = await store.head()
    assert head is not None
    assert store.notary.name.startswith("rvr/wmp/")
    origin, size, _, gap, _ = head.note.splitlines()
    assert (origin, size, gap) == (store.notary.name, "6", "")
    assert store.notary.signed(head.note)
    assert kept(place) == [(0, EMPTY), *await roots(store, 2, 4, 6)]
    assert await store.checkpoint() is None
    assert await store.verify() == []


async def roots(store: Store, *sizes: int) -> list[tuple[int, bytes]]:
    tree = await asyncio.to_thread(store.tree, 6)
    return [(size, tree.root(size)) for size in sizes]


async def test_every_event_is_in_the_tree_and_every_head_begins_the_next(store: Store, clock: Clock) -> None:
    await cases(store, clock, "ab")
    tree = await asyncio.to_thread(store.tree, 6)
    for name in "ab":
        for recorded in await store.load(f"case/{name}"):
            index, leaf = recorded.position - 1, leaf_hash(recorded.hash)
            assert verify_inclusion(leaf, index, 6, tree.inclusion(index, 6), tree.root())
    assert verify_consistency(2, 6, tree.root(2), tree.root(6), tree.consistency(2, 6))


async def test_an_export_finds_the_same_head_however_long_the_log_grows(store: Store, clock: Clock) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock)))
    first = await store.head_over(1)
    await cases(store, clock, "ab")
    assert await store.head_over(1) == first
    assert (await store.head_over(3)).size == 3
    assert (await store.head_over(4)).size == 5


# --- Refusals ----------------------------------------------------------------------------------------------------


async def refuses(store: Store, code: str) -> None:
    for _ in range(2):
        with pytest.raises(RefusesToSign) as refused:
            await store.checkpoint()
        assert refused.value.code == code
    assert store.refusal is not None
    assert store.refusal.code == code


@pytest.mark.files
async def test_a_database_put_back_to_yesterday_is_refused_also_when_it_has_grown_again(
    place: Place, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    store = place.store(clock)
    await store.start()
    await cases(store, clock, "ab")
    await store.close()
    shutil.copytree(place.data, place.data.with_name("yesterday"))
    store = place.store(clock)
    await store.start()
    await cases(store, clock, "cd")
    await store.close()
    shutil.rmtree(place.data)
    place.data.with_name("yesterday").rename(place.data)
    store = place.store(clock)
    await store.start()
    await refuses(store, "behind")
    assert "checkpoint_refused" in "".join(capsys.readouterr())
    assert [fault.code for fault in await store.verify()] == ["behind"]
    before = kept(place)
    with pytest.raises(RefusesToSign):
        await cases(store, clock, "efghij")
    await refuses(store, "fork")
    assert [fault.code for fault in await store.verify()] == ["tree"]
    assert kept(place) == before
    heads_file(place).rename(place.key_file.with_name("heads-before-restore.txt"))
    await refuses(store, "heads-missing")
    heads_file(place).touch()
    assert await store.checkpoint() is not None
    assert store.refusal is None
    assert await store.verify() == []
    await store.close()


@pytest.mark.files
async def test_a_fork_of_the_database_is_refused(place: Place, clock: Clock) -> None:
    store = place.store(clock)
    await store.start()
    await cases(store, clock, "a")
    await store.close()
    shutil.copytree(place.data, place.data.with_name("fork"))
    ours, theirs = place.store(clock), Place(place.data.with_name("fork"), place.key_file).store(clock)
    await ours.start()
    await theirs.start()
    await cases(ours, clock, "b")
    with pytest.raises(RefusesToSign):
        await cases(theirs, clock, "cd")
    await refuses(theirs, "fork" if await theirs.position() >= await ours.position() else "behind")
    await ours.append(a_batch("more", Case("x"), opened(clock, "RX")))
    assert await ours.checkpoint() is not None
    await ours.close()
    await theirs.close()


async def test_an_event_that_is_missing_is_refused(store: Store, place: Place, clock: Clock) -> None:
    await cases(store, clock, "ab")
    place.tamper("DELETE FROM event WHERE position = 3")
    again = place.store(clock)
    await again.start()
    await refuses(again, "gap")
    await again.close()


@pytest.mark.parametrize("zeros", [False, True])
async def test_a_line_that_was_torn_off_or_never_reached_the_disk_is_written_again(
    store: Store, place: Place, clock: Clock, zeros: bool
) -> None:
    """Of a line across two sectors a power cut may keep the second: the file is as long as it was to be, with zeros."""
    await cases(store, clock, "a")
    whole = heads_file(place).read_bytes()
    line = whole.splitlines(keepends=True)[0]
    heads_file(place).write_bytes(whole + (bytes(40) + line[40:] if zeros else line[:40]))
    assert await store.verify() == []
    await store.append(a_batch("more", Case("x"), opened(clock, "RX")))
    assert await store.checkpoint() is not None
    assert heads_file(place).read_bytes().startswith(whole)
    assert len(kept(place)) == whole.count(b"\n") + 1
    assert await store.verify() == []


async def test_a_line_that_is_no_head_is_told(store: Store, place: Place, clock: Clock) -> None:
    await cases(store, clock, "a")
    heads_file(place).write_bytes(b"nonsense\n" + heads_file(place).read_bytes())
    assert [fault.code for fault in await store.verify()] == ["heads"]
    heads_file(place).write_bytes(b"\0\n" + heads_file(place).read_bytes().removeprefix(b"nonsense\n"))
    assert [fault.code for fault in await store.verify()] == ["heads"]


def test_the_newest_head_is_found_among_those_of_many_logs(tmp_path: Path) -> None:
    file = tmp_path / "heads.txt"
    mine, others = Heads(file, "rvr/a"), Heads(file, "rvr/b")
    assert mine.last() is None
    mine.append(Head(7, EMPTY), "2026")
    for size in range(200):
        others.append(Head(size, EMPTY), "2026")
    assert mine.last() == Head(7, EMPTY)
    assert others.last() == Head(199, EMPTY)
    assert len([*others.all(others.length())]) == 200


def test_a_head_that_cannot_be_kept_outside_is_not_signed(tmp_path: Path) -> None:
    with pytest.raises(RefusesToSign, match="cannot be written"):
        Heads(tmp_path / "gone" / "heads.txt", "rvr/a").append(Head(1, EMPTY), "2026")


# --- Races and kills ---------------------------------------------------------------------------------------------


async def test_of_two_sequencers_at_once_one_wins_and_the_other_goes_on_behind_it(
    store: Store, place: Place, clock: Clock
) -> None:
    """Both take the same events before either signs."""
    await store.append(a_batch("c1", Case("1"), opened(clock)))
    one, two = (Sequencer(store.notary, Heads(heads_file(place), store.notary.name)) for _ in range(2))
    first, second = place.connection(), place.connection()
    assert not one.take(first)
    assert not two.take(second)
    assert one.sign(first, "2026") is not None
    assert two.sign(second, "2026") is None
    await store.append(a_batch("c2", Case("2"), opened(clock, "R2")))
    assert not two.take(second)
    assert not one.take(first)
    assert two.sign(second, "2026") is not None
    assert one.sign(first, "2026") is None
    assert [size for size, _ in kept(place)] == [1, 2]
    first.close()
    second.close()
    assert await store.verify() == []


async def test_stores_that_sign_while_all_write_keep_one_line_of_heads(place: Place, clock: Clock) -> None:
    stores = [place.store(clock) for _ in range(3)]
    for store in stores:
        await store.start()
    await asyncio.gather(
        *(cases(store, clock, names) for store, names in zip(stores, ("abc", "def", "ghi"), strict=True))
    )
    await stores[0].head_over(27)
    sizes = [size for size, _ in kept(place)]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == 27
    for store in stores:
        assert await store.verify() == []
        await store.close()


@pytest.mark.parametrize("at", ["before the line", "before the row", "before the commit"])
async def test_a_kill_between_append_and_signature_raises_no_alarm(place: Place, clock: Clock, at: str) -> None:
    store = place.store(clock)
    await store.start()
    await cases(store, clock, "a")
    await store.append(a_batch("c1", Case("1"), opened(clock)))
    await store.close()
    command = [sys.executable, "-m", "tests.store.signing_child", *place.arguments, at]
    killed = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    again = place.store(clock)
    await again.start()
    assert await again.verify() == []
    signed = await again.checkpoint()
    assert signed is not None
    assert (signed.size, kept(place)[-1][0]) == (4, 4)
    assert len({size for size, _ in kept(place)}) == len(kept(place))
    assert await again.verify() == []
    await again.close()


async def test_events_behind_a_head_that_a_kill_left_without_its_row_are_signed(place: Place, clock: Clock) -> None:
    """The last row and the last line are then two heads, with more events behind both."""
    store = place.store(clock)
    await store.start()
    await cases(store, clock, "a")
    await store.append(a_batch("c1", Case("1"), opened(clock)))
    await store.close()
    command = [sys.executable, "-m", "tests.store.signing_child", *place.arguments]
    await asyncio.to_thread(subprocess.run, [*command, "before the commit"], cwd=ROOT, check=False)
    again = place.store(clock)
    await again.start()
    await again.append(a_batch("c2", Case("2"), opened(clock, "R2")))
    async with asyncio.timeout(10):
        signed = await again.checkpoint()
    assert signed is not None
    assert (signed.size, [size for size, _ in kept(place)][-2:]) == (5, [4, 5])
    assert await again.verify() == []
    await again.close()


async def test_many_reads_of_events_behind_the_last_head_are_signed_after_a_restart(
    place: Place, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.store(clock)
    await store.start()
    await cases(store, clock, "a")
    for number in range(9):
        await store.append(a_batch(f"c{number}", Case(str(number)), opened(clock, f"R{number}")))
    await store.close()
    monkeypatch.setattr(checkpoints, "CHUNK", 2)
    again = place.store(clock)
    await again.start()
    async with asyncio.timeout(10):
        signed = await again.checkpoint()
    assert signed is not None
    assert signed.size == 12
    await again.close()


async def test_a_head_that_somebody_else_signed_over_other_events_is_found_at_one_s_own_size_too(
    store: Store, place: Place, clock: Clock
) -> None:
    """The other's head has as many events as one has taken oneself: it must not be grown past unlooked at."""
    await cases(store, clock, "a")
    await store.append(a_batch("c1", Case("1"), opened(clock)))
    while await store.look(store._sequencer.take):
        pass
    other, at = Head(4, b"\x01" * 32), "2026-11-22T21:18:04Z"
    note = store.notary.note(checkpoints.text(store.notary.name, other))
    row = {"size": other.size, "root": other.root, "at": at, "note": note}
    insert = "INSERT INTO checkpoint (size, root, at, note) VALUES (:size, :root, :at, :note)"
    await store.write(lambda connection: connection.execute(insert, row))
    Heads(heads_file(place), store.notary.name).append(other, at)
    await store.append(a_batch("c2", Case("2"), opened(clock, "R2")))
    with pytest.raises(RefusesToSign) as refused:
        await store.checkpoint()
    assert refused.value.code == "fork"


async def test_verification_beside_a_desk_at_work_raises_no_alarm(store: Store, place: Place, clock: Clock) -> None:
    other = place.store(clock)
    await other.start()
    work = asyncio.create_task(cases(store, clock, "abcdefgh", steps=6))
    while not work.done():
        assert await other.verify() == []
    await work
    await other.close()


# --- Twelve ways of changing the log behind the program's back ---------------------------------------------------


def rechain(connection: Connection, stream: str) -> None:
    """Every hash of the stream anew, as an insider with the database key would."""
    previous = ledger.GENESIS
    rows = connection.execute(
        "SELECT position, stream, version, public, sealed, salt1, salt2 FROM event"
        " WHERE stream = :stream ORDER BY version",
        {"stream": stream},
    ).fetchall()
    for position, *row in rows:
        hashed = ledger.chain(ledger.Entry(*row, previous, b""))
        told = {"previous": previous, "hash": hashed, "position": position}
        connection.execute("UPDATE event SET previous = :previous, hash = :hash WHERE position = :position", told)
        previous = hashed


def rewrite(connection: Connection) -> None:
    edit_public(connection, 5)
    rechain(connection, "case/b")


def forget(connection: Connection, streams: set[str]) -> None:
    """Adjusts the commands and the numbers that were given, so that nothing but the heads knows of these streams."""
    for person, command, writes in connection.execute("SELECT person, command_id, writes FROM command").fetchall():
        if {stream for stream, _ in json.loads(writes)} & streams:
            told = {"person": person, "command": command}
            connection.execute("DELETE FROM command WHERE person = :person AND command_id = :command", told)
    renumber(connection)


def renumber(connection: Connection) -> None:
    rows = connection.execute("SELECT position FROM event ORDER BY position").fetchall()
    for number, (position,) in enumerate(rows, 1):
        move(connection, position, number)
    number_given(connection, "event", len(rows))


def move(connection: Any, was: int, now: int) -> None:
    connection.execute("UPDATE event SET position = :now WHERE position = :was", {"was": was, "now": now})


def delete_case(connection: Connection) -> None:
    connection.execute("DELETE FROM event WHERE stream = 'case/b'")
    forget(connection, {"case/b"})


def cut_tail(connection: Connection) -> None:
    connection.execute("DELETE FROM event WHERE position = 9")
    connection.execute("DELETE FROM command WHERE command_id = 'c/2'")
    renumber(connection)


def insert_back_dated(connection: Connection) -> None:
    """A whole case, chained and numbered, before the others; everything behind moves up by one."""
    names = list(EventRow.model_fields)
    row = connection.execute(f"SELECT {', '.join(names)} FROM event WHERE position = 1").fetchone()  # noqa: S608
    told = dict(zip(names, row, strict=True))
    for (position,) in connection.execute("SELECT position FROM event ORDER BY position DESC").fetchall():
        move(connection, position, position + 1)
    public = json.loads(told["public"])
    public["event_id"] = "forged"
    told |= {"position": 1, "stream": "case/forged", "event_id": "forged", "public": ledger.canonical(public)}
    marks = ", ".join(f":{name}" for name in names)
    connection.execute(f"INSERT INTO event ({', '.join(names)}) VALUES ({marks})", told)  # noqa: S608
    rechain(connection, "case/forged")
    number_given(connection, "event", 10)


def reorder(connection: Connection) -> None:
    """Two cases' openings change places in the order of all events: no chain knows of that."""
    for was, now in ((1, 100), (2, 1), (100, 2)):
        move(connection, was, now)
    number_given(connection, "event", 9)


def swap_cases(connection: Connection) -> None:
    """What happened in one case stands in the other, hashed again."""
    for was, now in (("case/a", "case/x"), ("case/b", "case/a"), ("case/x", "case/b")):
        told = {"now": now, "was": was}
        connection.execute("UPDATE event SET stream = :now WHERE stream = :was AND version = 2", told)
    rechain(connection, "case/a")
    rechain(connection, "case/b")


TAMPERS: dict[str, tuple[str | Callable[[Any], None], str]] = {
    "edit public": (partial(edit_public, position=5), "case/b"),
    "edit sealed": (partial(blank, table="event", column="sealed", where="position = 5"), "case/b"),
    "delete an event": ("DELETE FROM event WHERE position = 5", "case/b"),
    "cut the tail": (cut_tail, "case/c"),
    "delete a whole case": (delete_case, "case/b"),
    "insert back-dated": (insert_back_dated, "case/forged"),
    "reorder": (reorder, "case/a"),
    "swap two cases' events": (swap_cases, "case/b"),
    "rewrite and re-chain": (rewrite, "case/b"),
    "change a checkpoint": (
        partial(blank, table="checkpoint", column="root", where="size = 6"),
        "checkpoint of 6 events",
    ),
}
"""Two more have tests of their own: the key replaced, and yesterday's file put back."""


@pytest.mark.parametrize("kind", TAMPERS)
async def test_each_kind_of_tampering_is_found_and_named(place: Place, clock: Clock, kind: str) -> None:
    store = place.store(clock)
    await store.start()
    await cases(store, clock, "abc")
    assert await store.verify() == []
    await store.close()
    script, named = TAMPERS[kind]
    place.tamper(script)
    again = place.store(clock)
    await again.start()
    found = [str(fault) for fault in await again.verify()]
    assert any(named in told for told in found), found
    await again.close()


@pytest.mark.parametrize(
    "kind", ["cut the tail", "delete a whole case", "insert back-dated", "reorder", "rewrite and re-chain"]
)
async def test_what_the_chains_alone_would_miss_is_refused_by_the_next_signature(
    place: Place, clock: Clock, kind: str
) -> None:
    store = place.store(clock)
    await store.start()
    await cases(store, clock, "abc")
    await store.close()
    place.tamper(TAMPERS[kind][0])
    again = place.store(clock)
    await again.start()
    chains = await again.look(ledger.verify_all)
    assert chains == []
    with pytest.raises(RefusesToSign):
        await again.checkpoint()
    await again.close()


async def test_another_signing_key_is_found(place: Place, clock: Clock) -> None:
    store = place.store(clock)
    await store.start()
    await cases(store, clock, "a")
    await store.close()
    told: dict[str, Any] = json.loads(place.key_file.read_text())
    place.key_file.write_text(json.dumps(told | {"signing": "11" * 32}))
    again = place.store(clock)
    await again.start()
    await refuses(again, "signature")
    assert {fault.code for fault in await again.verify()} == {"signature"}
    await again.close()


async def test_a_key_file_of_an_older_version_gets_a_signing_key_once(place: Place, clock: Clock) -> None:
    store = place.store(clock)
    await store.start()
    await store.close()
    told = json.loads(place.key_file.read_text())
    del told["signing"]
    place.key_file.write_text(json.dumps(told))
    keys = set()
    for _ in range(2):
        store = place.store(clock)
        await store.start()
        keys.add(store.notary.verifier)
        await store.close()
    assert len(keys) == 1
    assert json.loads(place.key_file.read_text())["masters"] == told["masters"]
