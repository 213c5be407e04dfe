"""`verify` by what lies at the path: a backup is checked as it lies there and stays as it is."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rvr import cli
from rvr.core.case import Case
from rvr.store import backup
from rvr.store.sqlite import connect
from tests.store.builders import Clock, Place, a_batch, a_note, opened

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "data", tmp_path / "keys" / "keys.json")


@pytest.fixture
def run(place: Place, capsys: pytest.CaptureFixture[str]) -> Run:
    """`verify` with the key file of the place: its exit code and all that it said."""

    def done(*arguments: str | Path) -> tuple[int, str]:
        capsys.readouterr()
        told = [str(one) for one in arguments]
        code = cli.main(["verify", *told, "--data", str(place.data), "--key-file", str(place.key_file)])
        said = capsys.readouterr()
        return code, said.out + said.err

    return done


def fill(place: Place, cases: range, *, sign: bool = True) -> None:
    async def work() -> None:
        clock = Clock()
        store = place.store(clock)
        await store.start()
        for number in cases:
            await store.append(a_batch(f"c{number}", Case(str(number)), opened(clock, f"R{number}", name="Ann")))
            if sign:
                await store.checkpoint()
        await store.close()

    asyncio.run(work())


def held(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its bytes and the time of its last change."""
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


def test_a_backup_without_a_fault_is_proven_as_the_live_store_is(place: Place, run: Run, tmp_path: Path) -> None:
    fill(place, range(5))
    fill(place, range(5, 7), sign=False)
    out = tmp_path / "b"
    backup.make(place, out, "wmp", a_note(Clock()))
    before = held(out)
    code, told = run(out)
    assert code == 0, told
    assert "No fault" in told
    assert "the first 5 events are those of the head" in told
    assert "the 2 events that no head covers yet" in told
    assert "has no head of more" in told
    live = run()[1].splitlines()
    assert [line for line in told.splitlines() if line not in live] == [told.splitlines()[5]], "one sentence is its own"
    key = told.rpartition("Public key: ")[2].strip()
    assert run(out, "--key", key)[0] == 0
    code, told = run(out, "--key", f"{key}x")
    assert (code, "signed with another key" in told) == (1, True), told
    assert held(out) == before


def test_a_backup_on_a_mount_that_cannot_be_written_is_checked_and_nothing_lies_beside_it(
    place: Place, run: Run, tmp_path: Path
) -> None:
    """In the place of a mount, where none can be made: a folder without the right to write."""
    fill(place, range(3))
    backup.make(place, tmp_path / "made", "wmp", a_note(Clock()))
    out = tmp_path / "mount"
    with read_only(tmp_path / "made", out):
        with pytest.raises(OSError, match=r"Read-only|Permission"):
            (out / "x").touch()
        before = held(out)
        code, told = run(out)
        assert (code, held(out)) == (0, before), told


class read_only:  # noqa: N801 (used like a function)
    """The folder once more, where nobody can write into it."""

    def __init__(self, folder: Path, at: Path) -> None:
        self.folder, self.at, self.mounted = folder, at, False

    def __enter__(self) -> None:
        self.at.mkdir()
        for step in (["--bind", str(self.folder), str(self.at)], ["-o", "remount,bind,ro", str(self.at)]):
            self.mounted = subprocess.run(["mount", *step], capture_output=True, check=False).returncode == 0
        if self.mounted:
            return
        if os.geteuid() == 0:
            self.at.rmdir()
            pytest.skip("root writes everywhere, and cannot mount here")
        for file in self.folder.iterdir():
            shutil.copy2(file, self.at)
        self.at.chmod(stat.S_IRUSR | stat.S_IXUSR)

    def __exit__(self, *_: object) -> None:
        if self.mounted:
            subprocess.run(["umount", str(self.at)], check=True)
        self.at.chmod(stat.S_IRWXU)


def test_what_was_signed_after_a_backup_is_told_and_is_no_fault_of_it(place: Place, run: Run, tmp_path: Path) -> None:
    fill(place, range(3))
    out, heads = tmp_path / "b", place.heads_file
    backup.make(place, out, "wmp", a_note(Clock()))
    fill(place, range(3, 8))
    code, told = run(out)
    assert (code, f"{heads} has a head of 8 events, signed at 2026-" in told) == (0, True), told
    assert "5 of them were recorded later" in told
    heads.rename(tmp_path / "away")
    code, told = run(out)
    assert (code, f"There is no {heads}: whether more was signed since is not known" in told) == (0, True), told


def test_a_backup_of_another_course_of_the_log_does_not_fit_the_heads(place: Place, run: Run, tmp_path: Path) -> None:
    """What heads.txt has of the events that the backup holds is a check of it; only what comes later is not."""
    fill(place, range(3))
    out = tmp_path / "b"
    backup.make(place, out, "wmp", a_note(Clock()))
    lines = place.heads_file.read_text().splitlines()
    origin, size, _, at = lines[1].split(" ")
    forged = " ".join((origin, size, "A" * 43 + "=", at))
    place.heads_file.write_text("\n".join((lines[0], forged, lines[2])) + "\n")
    code, told = run(out)
    assert (code, "tree: events 2 to 2 are not those of the head" in told) == (1, True), told


def forged_manifest(out: Path) -> None:
    """Whoever changes the file can change its manifest, too."""
    file = out / "rvr.db"
    told = json.loads((out / backup.MANIFEST).read_text()) | {
        "size": file.stat().st_size,
        "sha256": backup._digest(file),
    }
    (out / backup.MANIFEST).write_text(json.dumps(told))


CHANGES = {
    "hash": "DROP TRIGGER event_no_update; UPDATE event SET salt1 = zeroblob(16) WHERE position = 2",
    "positions": "DROP TRIGGER event_no_delete; DELETE FROM event WHERE position = 3",
    "access, version 1: hash": "DROP TRIGGER access_no_update; UPDATE access SET what = 'other' WHERE seq = 1",
    "signature": "DROP TRIGGER checkpoint_no_update; UPDATE checkpoint SET note = note || 'x' WHERE size = 2",
    "behind": "INSERT INTO checkpoint SELECT 9, root, at, note FROM checkpoint WHERE size = 3",
    "master key": "UPDATE data_key SET master_id = '0011223344556677'",
    "does not hold what its manifest says": "DROP TRIGGER access_no_delete; DELETE FROM access WHERE seq = 1",
}


@pytest.mark.parametrize("fault", CHANGES)
def test_a_backup_that_somebody_changed_has_its_fault(place: Place, run: Run, tmp_path: Path, fault: str) -> None:
    fill(place, range(3))
    out = tmp_path / "b"
    backup.make(place, out, "wmp", a_note(Clock()))
    database = connect(out / "rvr.db", place.keys().database, write=False)
    database.execute("PRAGMA query_only = OFF")
    database.executescript(CHANGES[fault])
    database.close()
    code, told = run(out)
    assert (code, "is not what its manifest says" in told) == (1, True), told
    forged_manifest(out)
    code, told = run(out)
    assert (code, fault in told) == (1, True), told


def test_a_backup_opens_with_its_own_key_file_only(place: Place, run: Run, tmp_path: Path) -> None:
    fill(place, range(1))
    out = tmp_path / "b"
    backup.make(place, out, "wmp", a_note(Clock()))
    stranger = Place(tmp_path / "other", tmp_path / "other.keys")
    fill(stranger, range(1))
    place.key_file.write_bytes(stranger.key_file.read_bytes())
    code, told = run(out)
    assert (code, "another key" in told) == (1, True), told
    place.key_file.unlink()
    code, told = run(out)
    assert (code, "is missing" in told, place.key_file.exists()) == (1, True, False), told


def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Where there is neither an export nor a backup."""
    yield tmp_path / "nothing"
    empty = tmp_path / "empty"
    empty.mkdir()
    yield empty
    file = tmp_path / "notes.txt"
    file.write_text("Not a package")
    yield file


def test_where_neither_an_export_nor_a_backup_lies_a_sentence_says_so(place: Place, run: Run, tmp_path: Path) -> None:
    fill(place, range(1))
    for path in (*elsewhere(tmp_path), place.data):
        code, told = run(path)
        assert (code, "is neither an export" in told) == (2, True), told
    broken = tmp_path / "b.zip"
    broken.write_bytes(b"PK")
    assert run(broken)[0] == 1, "an export that is cut off is one"
