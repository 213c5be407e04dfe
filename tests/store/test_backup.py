"""A backup: made while the desk writes, whole or not there, without its keys, and the way back."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rvr.core.case import Case, fold
from rvr.store import CannotOpen, Store, backup, ledger
from tests.store.builders import Clock, Place, a_batch, a_note, opened
from tests.store.test_sealing import CANARIES

pytestmark = pytest.mark.files

ROOT = Path(__file__).parents[2]


def elsewhere(place: Place, data: Path) -> Place:
    """Another data folder with the same key file."""
    return Place(data, place.key_file)


def named(folder: Path, start: str) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(start)]


async def test_a_backup_made_while_the_desk_writes_is_a_store_of_one_moment(
    store: Store, place: Place, clock: Clock, tmp_path: Path
) -> None:
    stop = asyncio.Event()

    async def write() -> int:
        for number in itertools.count():
            if stop.is_set():
                return number
            await store.append(a_batch(f"c{number}", Case(str(number)), opened(clock, f"R{number}", name="Ann")))
        raise AssertionError

    writing = asyncio.create_task(write())
    await asyncio.sleep(0.1)
    made = await asyncio.to_thread(backup.make, place, tmp_path / "b", "wmp", a_note(clock, "backup"))
    stop.set()
    written = await writing
    assert 0 < made.position <= written
    there = elsewhere(place, tmp_path / "there")
    found = await asyncio.to_thread(backup.restore, tmp_path / "b", there, a_note(clock, "restore"))
    assert found == made
    again = there.store(clock)
    await again.start()
    assert await again.position() == made.position
    assert fold("0", await again.load("case/0")).personal == {"name": "Ann"}
    assert await again.verify() == []
    await again.append(a_batch("new", Case("new"), opened(clock, "NEW", name="Eve")))
    await again.close()


async def test_a_backup_holds_no_key_and_no_name_in_clear(
    store: Store, place: Place, clock: Clock, tmp_path: Path
) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock, name=" ".join(CANARIES))))
    made = backup.make(place, tmp_path / "b", "wmp", a_note(clock, "backup"))
    assert sorted(named(tmp_path / "b", "")) == [backup.MANIFEST, "rvr.db"]
    told = json.loads(place.key_file.read_text())
    secrets = [told["index"], told["database"], told["masters"][0]["key"]]
    for file in (tmp_path / "b" / name for name in named(tmp_path / "b", "")):
        held = file.read_bytes()
        assert [one for one in CANARIES if one.encode() in held] == []
        assert [one for one in secrets if one.encode() in held or bytes.fromhex(one) in held] == []
    assert made.masters == (told["masters"][0]["id"],)


async def test_a_backup_and_a_restore_stand_in_the_access_log(
    store: Store, place: Place, clock: Clock, tmp_path: Path
) -> None:
    backup.make(place, tmp_path / "b", "wmp", a_note(clock, "backup"))
    there = elsewhere(place, tmp_path / "there")
    backup.restore(tmp_path / "b", there, a_note(clock, "restore"))
    for one, rows in ((place, ["backup"]), (there, ["backup", "restore"])):
        connection = one.connection()
        assert [row[0] for row in connection.execute("SELECT what FROM access ORDER BY seq")] == rows
        connection.close()


async def test_a_changed_or_cut_backup_is_refused_and_nothing_is_left_of_it(
    store: Store, place: Place, clock: Clock, tmp_path: Path
) -> None:
    for number in range(20):
        await store.append(a_batch(f"c{number}", Case(str(number)), opened(clock, f"R{number}", name="Ann")))
    backup.make(place, tmp_path / "b", "wmp", a_note(clock))
    file, there = tmp_path / "b" / "rvr.db", elsewhere(place, tmp_path / "there")
    whole, manifest = file.read_bytes(), (tmp_path / "b" / backup.MANIFEST).read_text()
    middle = len(whole) // 2
    for damaged in (whole[:-4096], whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :], b""):
        file.write_bytes(damaged)
        with pytest.raises(CannotOpen, match="not what its manifest says"):
            backup.restore(tmp_path / "b", there, a_note(clock))
        told = json.loads(manifest) | {"size": len(damaged), "sha256": backup._digest(file)}
        (tmp_path / "b" / backup.MANIFEST).write_text(json.dumps(told))  # whoever changes one can change the other
        with pytest.raises(CannotOpen):
            backup.restore(tmp_path / "b", there, a_note(clock))
        (tmp_path / "b" / backup.MANIFEST).write_text(manifest)
    file.write_bytes(whole)
    (tmp_path / "b" / backup.MANIFEST).unlink()
    with pytest.raises(CannotOpen, match="no whole backup"):
        backup.restore(tmp_path / "b", there, a_note(clock))
    assert named(tmp_path, "there") == []


async def test_a_log_with_a_fault_gives_no_backup(store: Store, place: Place, clock: Clock, tmp_path: Path) -> None:
    await store.append(a_batch("c1", Case("1"), opened(clock, name="Ann")))
    intruder = place.connection()
    intruder.executescript("DROP TRIGGER event_no_update; UPDATE event SET salt1 = x'00000000000000000000000000000000'")
    intruder.close()
    with pytest.raises(CannotOpen, match="not sound"):
        backup.make(place, tmp_path / "b", "wmp", a_note(clock))
    assert named(tmp_path, "b") == []


async def test_a_backup_is_restored_into_a_new_folder_only_with_its_key_file(
    store: Store, place: Place, clock: Clock, tmp_path: Path
) -> None:
    backup.make(place, tmp_path / "b", "wmp", a_note(clock))
    with pytest.raises(CannotOpen, match="not empty"):
        backup.restore(tmp_path / "b", place, a_note(clock))
    with pytest.raises(CannotOpen, match="not empty"):
        backup.make(place, tmp_path / "b", "wmp", a_note(clock))
    with pytest.raises(CannotOpen, match="inside the data folder"):
        backup.make(place, place.data / "b", "wmp", a_note(clock))
    without = Place(tmp_path / "there", tmp_path / "none" / "keys.json")
    with pytest.raises(CannotOpen, match="is missing"):
        backup.restore(tmp_path / "b", without, a_note(clock))
    assert not (tmp_path / "none").exists(), "a restore never makes keys"
    other = Place(tmp_path / "other", tmp_path / "other.keys")
    stranger = other.store(clock)
    await stranger.start()
    await stranger.close()
    with pytest.raises(CannotOpen, match="another key"):
        backup.restore(tmp_path / "b", Place(tmp_path / "there", other.key_file), a_note(clock))


def test_a_backup_killed_anywhere_is_whole_or_not_there(place: Place, clock: Clock, tmp_path: Path) -> None:
    async def fill() -> None:
        store = place.store(clock)
        await store.start()
        for number in range(30):
            await store.append(a_batch(f"c{number}", Case(str(number)), opened(clock, f"R{number}", name="Ann")))
        await store.close()

    asyncio.run(fill())
    dice, out, whole = random.Random(3), tmp_path / "b", 0
    for turn in range(9):
        command = [sys.executable, "-m", "tests.store.operator_child", "backup", *place.arguments]
        with subprocess.Popen([*command, str(out)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(1 + turn % 7):
                child.stdout.readline()
            time.sleep(dice.uniform(0, 0.03))
            child.send_signal(signal.SIGKILL)
        if out.exists():
            whole += 1
            there = elsewhere(place, tmp_path / f"there-{turn}")
            assert backup.restore(out, there, a_note(clock)).position == 30
            out.rename(tmp_path / f"kept-{turn}")
        connection = place.connection()
        assert ledger.verify_all(connection) == []
        connection.close()
    assert backup.make(place, out, "wmp", a_note(clock)).position == 30, "what a kill left stands in nobody's way"
    assert whole < 9
