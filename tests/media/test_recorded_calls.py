"""A call through real worker processes is recorded: both tracks of those who agreed, from then until they do not."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import av
import pytest

from rvr.media import MediaUnavailable, Recording
from rvr.media.blocks import AUDIO, VIDEO, Told, examine, packets
from rvr.media.playable import derive
from rvr.media.rooms import Rooms
from tests.media.conftest import ROOM, Client, Notebook, room

KEY = bytes(range(32))
BOTH = Recording("r1", KEY, frozenset({"officer", "victim"}))

Join = Callable[..., Awaitable[Client]]


@pytest.fixture
async def engine(notebook: Notebook, tmp_path: Path) -> AsyncIterator[Rooms]:
    rooms = Rooms(notebook, lost_after_s=1.5, recordings=tmp_path)
    await rooms.start()
    await rooms.want({ROOM: room()})
    yield rooms
    await rooms.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def until_told(
    notebook: Notebook, state: str, seat: str, within_s: float = 8.0, times: int = 1
) -> dict[str, str]:
    async with asyncio.timeout(within_s):
        while True:
            told = [dict(seen.detail) for seen in notebook.of("recording")]
            found = [one for one in told if (one["state"], one["seat"]) == (state, seat)]
            if len(found) >= times:
                return found[times - 1]
            await asyncio.sleep(0.02)


async def test_both_sides_are_recorded_with_sound_and_picture_and_what_was_recorded_plays(
    engine: Rooms, notebook: Notebook, client: Join, tmp_path: Path
) -> None:
    for seat in ("officer", "victim"):
        await client(seat)
    await notebook.until("two_way")
    await asyncio.sleep(0.5)
    assert names(tmp_path) == []  # nothing before it is wanted
    await engine.want({ROOM: room(recording=BOTH)})
    for seat in ("officer", "victim"):
        assert (await until_told(notebook, "started", seat))["part"] == "1"
    await asyncio.sleep(2.5)
    stopped = time.monotonic()
    await engine.want({ROOM: room()})
    for seat in ("officer", "victim"):
        last = await until_told(notebook, "stopped", seat)
        assert time.monotonic() - stopped < 1.0
        assert int(last["audio"]) > 100
        assert int(last["video"]) > 20
        path = tmp_path / "r1" / f"{seat}.1.rvrrec"
        file = path.read_bytes()
        found = examine(file, KEY, [Told(int(last["n"]), int(last["bytes"]), last["sha256"])])
        assert (found.faults, found.closed, len(file)) == ((), True, int(last["bytes"]))
        kinds = [one.kind for one in packets(file, found, KEY)]
        assert (kinds.count(AUDIO), kinds.count(VIDEO)) == (int(last["audio"]), int(last["video"]))
        out = io.BytesIO()
        report = derive([path], KEY, out)
        with av.open(io.BytesIO(out.getvalue())) as container:
            frames = sum(1 for _ in container.decode(video=0))
        assert frames == report.frames > 15
        assert report.sounds > 100


async def test_only_the_one_who_agreed_is_recorded(
    engine: Rooms, notebook: Notebook, client: Join, tmp_path: Path
) -> None:
    for seat in ("officer", "victim"):
        await client(seat)
    await engine.want({ROOM: room(recording=Recording("r1", KEY, frozenset({"officer"})))})
    await until_told(notebook, "started", "officer")
    assert names(tmp_path / "r1") == ["officer.1.rvrrec"]


async def test_a_worker_that_is_killed_leaves_all_but_the_last_second_and_the_recording_goes_on_in_a_second_file(
    engine: Rooms, notebook: Notebook, client: Join, tmp_path: Path
) -> None:
    await engine.want({ROOM: room(recording=BOTH)})
    for seat in ("officer", "victim"):
        await client(seat)
    await until_told(notebook, "started", "victim")
    await asyncio.sleep(2)
    os.kill(engine.worker_pids[0], signal.SIGKILL)
    killed_ns = time.monotonic_ns()
    await notebook.until("lost", "victim")
    file = (tmp_path / "r1" / "victim.1.rvrrec").read_bytes()
    found = examine(file, KEY)
    assert (found.faults, found.closed) == ((), False)
    last = max(one.at_ns for one in packets(file, found, KEY))
    assert (killed_ns - last) / 1e9 < 1.1  # a second, and how long it took to notice the time
    for _ in range(50):
        if await joined(client):
            break
        await asyncio.sleep(0.2)
    again = await until_told(notebook, "started", "victim", times=2)
    assert again["part"] == "2"


async def joined(client: Join) -> bool:
    """Whether a worker was there to answer."""
    with contextlib.suppress(MediaUnavailable):
        await client("victim")
        return True
    return False


async def test_whoever_joins_anew_goes_on_in_the_same_file(
    engine: Rooms, notebook: Notebook, client: Join, tmp_path: Path
) -> None:
    await engine.want({ROOM: room(recording=BOTH)})
    for _ in range(2):
        await client("victim")
        await asyncio.sleep(1.5)
    await engine.want({ROOM: room()})
    await until_told(notebook, "stopped", "victim")
    out = io.BytesIO()
    report = derive([tmp_path / "r1" / "victim.1.rvrrec"], KEY, out)
    assert report.frames > 10
    assert report.seconds > 2
