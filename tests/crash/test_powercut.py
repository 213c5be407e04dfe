"""After a power cut the disk has everything that was acknowledged, and a store that goes on.

The cut is simulated: what a process does to its files is written down (`disk`), and what a disk may hold at a moment is
made from that (`image`). The control runs the same with commits that are not synced: it must lose something, or the
proof proves nothing.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.crash import children, disk
from tests.crash.children import Hurry, opens
from tests.crash.image import KEPT, Disk, through
from tests.crash.soundness import is_sound
from tests.store.builders import Place

FULL, NORMAL = 2, 1
"""SQLite's levels of `synchronous`."""


class Trace(NamedTuple):
    """What two processes did, of which the first was killed."""

    place: Place
    records: list[disk.Record]
    since_ns: int


def a_trace(library: Path, folder: Path, *, synchronous: int = FULL, answers: int = 400) -> Trace:
    """Lets a process give half of the answers until it is killed, and another the rest; the folder then is the disk."""
    root, since_ns = folder / "disk", time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    root.mkdir()
    place = Place(root / "data", root / "keys" / "keys.json")
    under = disk.environment(library, below=root, trace=folder / "trace")
    again: list[dict[str, Any]] = []
    for name in ("first", "second"):
        more: dict[str, Any] = {"name": name, "since_ns": since_ns, "again": again, "synchronous": synchronous}
        with children.at("write", place, under=under, **more) as child:
            child.until("started")
            child.until("done", answers // 2)
            again = children.unanswered(child.kill())
    return Trace(place, list(disk.records(folder / "trace")), since_ns)


def image_of(place: Place, root: Path, image: Path) -> Place:
    """The same place in an image of its disk."""
    return Place(*(image / path.relative_to(root) for path in (place.data, place.key_file)))


def promised(acknowledged: str) -> set[str]:
    return children.acknowledged(json.loads(line) for line in acknowledged.splitlines())


def moments_of(records: list[disk.Record], cuts: int, dice: random.Random) -> list[int]:
    """Random moments: a fifth before the first answer, when the store is made; half just before a sync, when most is at
    stake."""
    first = next(number for number, record in enumerate(records) if record.what == "A")
    syncs = [number for number, record in enumerate(records) if record.what == "S"]
    early, anywhere = (lambda: dice.randrange(first)), (lambda: dice.randrange(first, len(records)))
    drawn = dice.choices((early, anywhere, lambda: dice.choice(syncs)), (2, 3, 5), k=cuts)
    return sorted(draw() for draw in drawn)


def cut_again_and_again(trace: Trace, folder: Path, cuts: int, seed: int = 7) -> dict[str, Any]:
    """Cuts where `moments_of` says; what was lost, and how."""
    dice, root = random.Random(seed), trace.place.data.parent
    moments = moments_of(trace.records, cuts, dice)
    told: dict[str, Any] = {"cuts": cuts, "records": len(trace.records), "acknowledged": 0, "faults": []}
    state, done = Disk(root), 0
    for moment in moments:
        for record in trace.records[done:moment]:
            state.take(record)
        done = moment
        kept = dice.choice(KEPT)
        image, acknowledged = state.cut(folder / "image", dice, kept), promised(state.acknowledged)
        told["acknowledged"] = len(acknowledged)
        try:
            asyncio.run(is_sound(image_of(trace.place, root, image), acknowledged, observe=Hurry(trace.since_ns, 600)))
        except Exception as fault:  # noqa: BLE001 (whatever keeps the store from going on is what is looked for)
            told["faults"].append(f"at {moment} of {len(trace.records)}, {kept:.0%} kept: {fault!r}")
        shutil.rmtree(image)
    told["syncs"] = state.syncs
    return told


def test_the_trace_is_all_that_was_done_to_the_disk(library: Path, tmp_path: Path) -> None:
    """With everything kept the image is the disk, byte for byte: no way to it passes the library by."""
    trace = a_trace(library, tmp_path, answers=100)
    root = trace.place.data.parent
    state = through(trace.records, root)
    image = state.cut(tmp_path / "image", random.Random(), 1.0)
    found = [{p.relative_to(at): p.read_bytes() for p in at.rglob("*") if p.is_file()} for at in (root, image)]
    there, made = ({name: data for name, data in one.items() if not name.name.endswith("-shm")} for one in found)
    assert made == there
    assert {"rvr.db", "rvr.db-wal", "keys.json", "heads.txt"} <= {name.name for name in there}
    assert state.syncs > 20
    assert promised(state.acknowledged)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_power_cut_loses_an_acknowledged_command_or_stops_the_store(
    library: Path, tmp_path: Path, cuts: int
) -> None:
    told = cut_again_and_again(a_trace(library, tmp_path), tmp_path, cuts)
    assert told["faults"] == []
    assert told["acknowledged"] > 20


@pytest.mark.slow
def test_the_same_without_synced_commits_loses_some_or_this_proof_proves_nothing(library: Path, tmp_path: Path) -> None:
    told = cut_again_and_again(a_trace(library, tmp_path, synchronous=NORMAL), tmp_path, 30)
    assert any("acknowledged commands lost" in fault for fault in told["faults"])


OPENS = ("ask", asdict(opens("opens")))
SIGNS = ("sign", "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([("fails", "sync:1:KILL"), OPENS], [OPENS]),
        ([("fails", "sync:1:KILL"), OPENS], [SIGNS]),
        ([OPENS, ("fails", "sync:2:KILL"), SIGNS], [SIGNS]),
    ],
    ids=["answered again", "signed", "signed before, in a file of no synced name"],
)
def test_what_a_killed_process_had_not_synced_is_on_the_disk_before_anything_is_built_on_it(
    library: Path, tmp_path: Path, before: list[Any], after: list[Any]
) -> None:
    """The kill comes between a write and its sync, and the power cut soon after the next start."""
    root = tmp_path / "disk"
    root.mkdir()
    place = Place(root / "data", root / "keys" / "keys.json")
    under = disk.environment(library, below=root, trace=tmp_path / "trace")
    with children.at("steps", place, under=under, todo=before) as first:
        assert first.ends() == -signal.SIGKILL
    with children.at("steps", place, under=under, todo=after) as second:
        second.until("all done")
        acknowledged = children.acknowledged(second.kill())
    image = through(disk.records(tmp_path / "trace"), root).cut(tmp_path / "image", random.Random(), kept=0.0)
    asyncio.run(is_sound(image_of(place, root, image), acknowledged))
