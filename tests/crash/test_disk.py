"""The simulated disk itself: what is synced stays, what is not may go in any mixture, and syncs can be slow or fail."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash import disk
from tests.crash.image import SECTOR, Disk, through


def runs(script: str, library: Path, below: Path, **told: str | int | Path) -> subprocess.CompletedProcess[str]:
    """A script whose writes go to this folder, with what the library was told."""
    below.mkdir(exist_ok=True)
    environment = {**os.environ, **disk.environment(library, below=below, **told)}  # type: ignore[arg-type]
    command = [sys.executable, "-c", f"import os\nos.chdir({str(below)!r})\nat = {str(below)!r}\n{script}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def images(script: str, library: Path, folder: Path, count: int = 200) -> list[dict[str, bytes]]:
    """What may be left on the disk behind this script, by file."""
    root = folder / "disk"
    assert runs(script, library, root, trace=folder / "trace").returncode == 0
    state, dice, found = through(disk.records(folder / "trace"), root), random.Random(7), []
    for number in range(count):
        image = state.cut(folder / f"image-{number}", dice, dice.choice((0.0, 0.3, 0.7, 1.0)))
        found.append({file.name: file.read_bytes() for file in image.rglob("*") if file.is_file()})
    return found


WRITES = """
def write(name, *parts, sync=True):
    fd = os.open(f"{at}/{name}", os.O_RDWR | os.O_CREAT, 0o600)
    for offset, data in parts:
        os.pwrite(fd, data, offset)
    if sync:
        os.fsync(fd)
    os.close(fd)

def sync_folder():
    fd = os.open(at, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
"""


def test_what_was_synced_is_there_and_of_what_was_not_each_sector_by_itself(library: Path, tmp_path: Path) -> None:
    two = f"(0, b'a' * {SECTOR}), ({SECTOR}, b'b' * {SECTOR})"
    other = f"(0, b'x' * {2 * SECTOR})"
    script = f"{WRITES}\nwrite('f', {two})\nsync_folder()\nwrite('f', {other}, sync=False)"
    found = {image["f"] for image in images(script, library, tmp_path)}
    sectors = ((first, second) for first in (b"a", b"x") for second in (b"b", b"x"))
    assert found == {first * SECTOR + second * SECTOR for first, second in sectors}


def test_a_file_that_grew_may_be_shorter_or_have_zeros_where_a_sector_did_not_come_to_the_disk(
    library: Path, tmp_path: Path
) -> None:
    script = f"{WRITES}\nwrite('f', (0, b'a'))\nsync_folder()\nwrite('f', (1, b'b' * {2 * SECTOR}), sync=False)"
    found = {image["f"] for image in images(script, library, tmp_path)}
    assert b"a" in found
    assert b"a" + b"b" * 2 * SECTOR in found
    assert b"a" + bytes(SECTOR - 1) + b"b" * (SECTOR + 1) in found


def test_a_name_that_was_not_synced_may_be_missing_and_a_rename_undone(library: Path, tmp_path: Path) -> None:
    script = f"{WRITES}\nwrite('old', (0, b'1'))\nsync_folder()\nwrite('new', (0, b'2'))\n"
    script += "os.rename(at + '/new', at + '/old')"
    found = {tuple(sorted(image.items())) for image in images(script, library, tmp_path)}
    assert found == {(("old", b"1"),), (("new", b"2"), ("old", b"1")), (("old", b"2"),)}


def test_a_sync_can_be_made_slow(library: Path, tmp_path: Path) -> None:
    script = "import time\nfd = os.open(at + '/f', os.O_RDWR | os.O_CREAT)\nstart = time.monotonic()\n"
    script += "for _ in range(5): os.fsync(fd); os.fdatasync(fd)\nprint(time.monotonic() - start)"
    slow, quick = (float(runs(script, library, tmp_path / "disk", fsync_ms=ms).stdout) for ms in (30, 0))
    assert slow >= 0.3
    assert slow - quick > 0.2


@pytest.mark.parametrize(
    ("fail", "told"),
    [("write:2:ENOSPC", "1 28 3"), ("write:2:EIO:on", "1 5 5"), ("sync:1:EIO", "1 2 3"), ("act:3:EIO", "1 2 5")],
)
def test_one_act_fails_or_all_from_one_on(library: Path, tmp_path: Path, fail: str, told: str) -> None:
    script = "fd = os.open(at + '/f', os.O_RDWR | os.O_CREAT)\nfor n in range(1, 4):\n    try: os.write(fd, b'x')\n"
    script += "    except OSError as error: n = error.errno\n    print(n, end=' ')"
    assert runs(script, library, tmp_path / "disk", fail=fail).stdout.strip() == told


def test_the_process_is_killed_instead_of_a_sync(library: Path, tmp_path: Path) -> None:
    script = "fd = os.open(at + '/f', os.O_RDWR | os.O_CREAT)\nos.write(fd, b'x')\nos.fsync(fd)\nos.fsync(fd)"
    done = runs(script, library, tmp_path / "disk", trace=tmp_path / "trace", fail="sync:2:KILL")
    assert done.returncode == -signal.SIGKILL
    assert [record.what for record in disk.records(tmp_path / "trace")] == ["B", "O", "W", "S"]


def test_a_folder_that_was_not_synced_is_lost_with_all_that_is_in_it(library: Path, tmp_path: Path) -> None:
    script = f"{WRITES}\nos.mkdir(at + '/in')\nwrite('in/f', (0, b'1'))\nat += '/in'\nsync_folder()"
    assert {} in images(script, library, tmp_path)
    state = Disk(tmp_path / "disk")
    assert list(state.cut(tmp_path / "empty", random.Random(), 0.0).iterdir()) == []
